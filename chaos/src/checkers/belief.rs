//! Never more believe than may: belief intervals of different holders do not overlap, readers' among themselves apart; of
//! a semaphore at most as many as its limit.
//!
//! A belief lasts from when the worker was told to its last deadline, or to when it let go before. A process that is
//! paused inside its critical section cannot know that its deadline passed, and acts on: that overlap is shown with its
//! length, if the pause was ours. Without a pause it belongs to the notice, which came too late.

use super::audit::Revision;
use super::run::Held;
use super::{Finding, Run, length, store};
use crate::history::Kind;

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let source = "contract §1.2; Gray and Cheriton, Leases (1989)";
    let mut finding = Finding::new("nobody believes beside another", source);
    for ((_, name), told) in run.by_name() {
        let mut active: Vec<Held<'_>> = Vec::new();
        for held in told {
            finding.examine();
            let now = held.grant.at.at_ns;
            active.retain(|other| acts_until(run, other) > now);
            let believe = |other: &&Held<'_>| other.operation.belief().is_some_and(|(_, to)| to > now);
            match held.operation.limit.filter(|_| held.operation.kind == Kind::Semaphore) {
                Some(limit) => {
                    let others: Vec<_> = active.iter().filter(believe).collect();
                    if others.len() >= limit as usize && believes(&held) {
                        let mut lines: Vec<_> = others.iter().map(|it| it.grant.at.line).collect();
                        lines.push(held.grant.at.line);
                        let many = others.len() + 1;
                        let what = format!("{many} hold permits of {name}, which has {limit}.");
                        if run.is_beyond(now, now, held.operation.ttl_ns())
                            || store::has_forked(run, now, now)
                        {
                            finding.show(
                                lines,
                                format!("{what} What the contract assumes was broken on purpose."),
                            );
                        } else {
                            finding.violate(lines, what);
                        }
                    }
                }
                None if held.operation.kind == Kind::Semaphore => {}
                None => {
                    for other in &active {
                        pair(run, &mut finding, name, other, &held);
                    }
                }
            }
            active.push(held);
        }
    }
    finding.done("nothing was granted")
}

fn believes(held: &Held<'_>) -> bool {
    held.operation.belief().is_some_and(|(from, to)| from < to)
}

/// Whether the record of the older grant was deleted by force before the newer was granted, as far as is known.
fn was_broken(run: &Run, name: &str, older: u64, newer: u64) -> bool {
    let key = format!("lock.{name}");
    let deletes = |it: &&Revision| it.is_deletion && it.key == key && it.previous_token() == Some(older);
    run.audit.may_miss_between(older, newer) || run.audit.between(older, newer).any(|it| deletes(&it))
}

/// When its worker stops to act on it.
fn acts_until(run: &Run, held: &Held<'_>) -> u64 {
    let deadline = held.operation.deadline().unwrap_or_default();
    held.operation.let_go().map_or(run.span.1.max(deadline), |mark| mark.at_ns)
}

fn pair(run: &Run, finding: &mut Finding, name: &str, one: &Held<'_>, other: &Held<'_>) {
    if one.operation.kind == Kind::Shared && other.operation.kind == Kind::Shared {
        return;
    }
    let from = other.grant.at.at_ns;
    let lines = [one.grant.at.line, one.operation.last_line(), other.grant.at.line];
    let (first, second) = (one.operation.title(), other.operation.title());
    let until = |held: &Held<'_>| held.operation.belief().map_or(0, |(_, to)| to);
    let to = until(one).min(until(other));
    if from < to {
        let (one_token, other_token) = (one.token, other.token);
        let what = format!(
            "{first} and {second} both believed to hold {name}, for {} (tokens {one_token} and {other_token}).",
            length(to - from)
        );
        // In the order of what the store granted: who stood still may have been told of its grant after the next was.
        let (older, newer) = if one_token < other_token { (one, other) } else { (other, one) };
        let broken = run.broken_at_once.get(&(name.to_owned(), older.token));
        let broken = broken.filter(|broken| broken.at_ns <= newer.grant.at.at_ns);
        if let Some(broken) = broken.filter(|_| was_broken(run, name, older.token, newer.token)) {
            finding.show(
                [lines[0], broken.line, lines[2]],
                format!("{what} {} had been broken by force.", older.token),
            );
            return;
        }
        let ttl = one.operation.ttl_ns().max(other.operation.ttl_ns());
        if run.is_beyond(from, to, ttl) || store::has_forked(run, from, to) {
            finding.show(lines, format!("{what} What the contract assumes was broken on purpose."));
        } else {
            finding.violate(lines, what);
        }
        return;
    }
    let to = acts_until(run, one).min(acts_until(run, other));
    let deadline = one.operation.deadline().unwrap_or_default();
    if from < to && run.was_paused(&one.operation.worker, deadline, to) {
        finding.show(
            lines,
            format!(
                "{first} was paused and acted on as if it held {name} for {} beside {second}: what its token is for.",
                length(to - from)
            ),
        );
    }
}
