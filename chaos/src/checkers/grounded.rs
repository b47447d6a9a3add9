//! Belief rests on a record: whoever holds believes no longer than its ttl less the margin from when the store wrote the
//! newest of its writes. It counts from before that write was sent, so its deadline is earlier still; one that is later
//! rests on nothing that the store knows of. And who is told of a grant is told so by the answer to a question that was just
//! asked: an older write may not stand any more, so it is confirmed by another one first.
//!
//! Clocks of servers and workers are one here, that of the machine: `began` says how far the wall clock was ahead.

use std::collections::BTreeMap;

use super::operation::Mark;
use super::run::Held;
use super::{Finding, Run, SCHEDULING_NS, length};
use crate::history::Kind;

/// What the wall clock may have been moved by while the run went on.
const CLOCK_NS: u64 = 10_000_000;
/// By how much a server's clock is wrong on purpose, within the slack.
const SERVER_CLOCK_NS: u64 = 1_000_000_000;

/// How long the library waits for an answer before it asks again, and what a busy machine adds.
const ANSWER_NS: u64 = 1_500_000_000 + 2 * SCHEDULING_NS;

/// The writes of one attempt to one key: number, when written (`CLOCK_BOOTTIME`), line.
type Writes = Vec<(u64, u64, usize)>;

/// The writes of every attempt, and up to when all of them were read: `None` for to the end. Where the history breaks off, or
/// the runner was told to end, the auditor was somewhat behind.
struct Known<'a> {
    writes: BTreeMap<(&'a str, &'a str), Writes>,
    until_ns: Option<u64>,
    /// Every number, with the latest moment at which any up to there was written.
    moments: Vec<(u64, u64)>,
}

impl Known<'_> {
    /// The first number that was surely given after this moment, or the highest there can be.
    fn first_after(&self, at_ns: u64) -> u64 {
        let after = self.moments.partition_point(|(_, latest)| *latest <= at_ns);
        self.moments.get(after).map_or(u64::MAX, |(number, _)| *number)
    }
}

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("belief rests on a record", "contract §2 Time");
    let Some(ahead_ns) = run.began.as_ref().and_then(|began| began.wall_ahead_ns) else {
        return finding.done("the history does not say how far the wall clock was ahead");
    };
    let until_ns = run.ended.is_none().then_some(0);
    let mut known = Known { writes: BTreeMap::new(), until_ns, moments: Vec::new() };
    let mut latest = 0;
    for write in run.audit.in_order() {
        let at_ns = write.written_ns(ahead_ns);
        known.until_ns = known.until_ns.map(|until| until.max(at_ns));
        latest = at_ns.max(latest);
        known.moments.push((write.revision, latest));
        let Some(record) = write.record().filter(|record| !record.attempt.is_empty()) else { continue };
        let writes = known.writes.entry((&write.key, record.attempt)).or_default();
        writes.push((write.revision, at_ns, write.at.line));
    }
    for held in run.grants() {
        let Some(own) = own(run, &known, held.token) else { continue };
        if let Some((line, age)) = age(run, &known, own, held) {
            finding.violate(
                [line, held.grant.at.line],
                format!(
                    "{} was told that it holds {} (token {}) by an answer to what it had written {} before.",
                    held.operation.title(),
                    held.name,
                    held.token,
                    length(age)
                ),
            );
        }
        let granted = (held.grant.at, held.grant.deadline_ns);
        for (at, deadline) in std::iter::once(granted).chain(held.operation.renewed.iter().copied()) {
            match excess(run, &known, own, at, deadline, held.operation.ttl_ns()) {
                None => {}
                Some((_, 0)) => finding.examine(),
                Some((line, longer)) => {
                    finding.examine();
                    finding.violate(
                        [held.grant.at.line, line, at.line],
                        format!(
                            "{} believed to hold {} (token {}) for {} longer than the newest write that the store had \
                             of it allows.",
                            held.operation.title(),
                            held.name,
                            held.token,
                            length(longer)
                        ),
                    );
                    break;
                }
            }
        }
    }
    shown(run, &known, &mut finding);
    finding.done("no grant's writes were read")
}

/// A leader is not shown to others for longer than it may believe itself.
fn shown(run: &Run, known: &Known<'_>, finding: &mut Finding) {
    let terms = run.operations.iter().filter(|it| it.kind == Kind::Election);
    let ttl = terms.map(|it| it.ttl_ns()).max().unwrap_or_default();
    for (at, name, token, until) in &run.shown {
        let Some(own) = own(run, known, *token) else { continue };
        let Some((line, longer)) = excess(run, known, own, *at, *until, ttl) else { continue };
        finding.examine();
        if longer > 0 {
            finding.violate(
                [line, at.line],
                format!(
                    "The leader of {name} (token {token}) was shown as leading for {} longer than it may believe.",
                    length(longer)
                ),
            );
        }
    }
}

/// The writes of the attempt that was granted this token. A number that was given twice says nothing of when.
fn own<'a>(run: &'a Run, known: &'a Known<'a>, token: u64) -> Option<&'a Writes> {
    let granting = run.audit.get(token).filter(|_| run.audit.earlier(token).is_empty())?;
    known.writes.get(&(granting.key.as_str(), granting.record()?.attempt))
}

/// How old the newest write was when a grant was told, if that is older than any answer that its process may have waited for.
fn age(run: &Run, known: &Known<'_>, own: &Writes, held: Held<'_>) -> Option<(usize, u64)> {
    let (at, ttl) = (held.grant.at, held.operation.ttl_ns());
    let (line, written) = newest(run, known, own, at, ttl)?;
    // Who stands still hears late.
    let stood_still =
        run.paused_ns(&held.operation.worker, written, at.at_ns) + run.stalled_ns(written, at.at_ns);
    let late = clock_ns(run, at, ttl).saturating_add(stood_still);
    let age = at.at_ns.saturating_sub(written);
    (age > ANSWER_NS.saturating_add(late)).then_some((line, age))
}

/// By how much `until`, as it was told at `at`, is later than the newest write of that time allows, and the line of that
/// write; `None` if it cannot be told.
fn excess(
    run: &Run,
    known: &Known<'_>,
    own: &Writes,
    at: Mark,
    until: u64,
    ttl: u64,
) -> Option<(usize, u64)> {
    let (line, written) = newest(run, known, own, at, ttl)?;
    let bears = ttl.saturating_sub((ttl / 100).max(50_000_000)).saturating_add(clock_ns(run, at, ttl));
    Some((line, until.saturating_sub(written.saturating_add(bears))))
}

/// How far apart the clocks of servers and workers may have been.
fn clock_ns(run: &Run, at: Mark, ttl: u64) -> u64 {
    let is_skewed = run.faults.iter().any(|band| {
        band.nemesis == "server-clock" && band.touches(at.at_ns.saturating_sub(ttl), at.at_ns, ttl)
    });
    if is_skewed { SERVER_CLOCK_NS + CLOCK_NS } else { CLOCK_NS }
}

/// The newest write that what was told at `at` can rest on: its line, and when it was written; `None` if that cannot be told.
fn newest(run: &Run, known: &Known<'_>, own: &Writes, at: Mark, ttl: u64) -> Option<(usize, u64)> {
    let said_by_ns = at.at_ns.saturating_add(clock_ns(run, at, ttl));
    // Not the last, where servers' clocks differ: a later write may bear an earlier stamp.
    let before = own.iter().filter(|(_, written, _)| *written <= said_by_ns);
    let (revision, written, line) = before.max_by_key(|(_, written, _)| *written).copied()?;
    let next = own.iter().map(|it| it.0).find(|it| *it > revision);
    let may_be_unread = next.is_none() && known.until_ns.is_some_and(|until_ns| until_ns <= said_by_ns);
    if may_be_unread
        || run.is_beyond(written, at.at_ns, ttl)
        // Of what was missed later nothing can have been its renewal.
        || run.audit.may_miss_between(revision, next.unwrap_or_else(|| known.first_after(said_by_ns)))
    {
        return None;
    }
    Some((line, written))
}
