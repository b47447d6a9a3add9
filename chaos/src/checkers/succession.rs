//! Nobody touches another's grant: a record is written over, or deleted, by another attempt only after it was deleted,
//! kept free for somebody by its holder, or had expired by the servers' clocks; and over a list of readers, only once each
//! is gone. The mark of whoever breaks it by force stands as long as the record does.
//!
//! Whoever wants several locks waits for one of them, and writes the set over the grant that its turn gave it: that grant
//! was nobody's but its process's own, and no worker was ever told of it.

use std::collections::{BTreeMap, BTreeSet};

use super::audit::{Record, Revision};
use super::run::FORKED_NS;
use super::{Finding, Run, store};

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("no grant is written over while it stands", "contract §1.3");
    let slack_us = run.slack_ns() / 1_000;
    let mut last: BTreeMap<&str, &Revision> = BTreeMap::new();
    let told: BTreeSet<u64> = run.grants().map(|held| held.token).collect();
    let mut unseen = 0;
    for write in run.audit.in_order() {
        let before = last.insert(write.key.as_str(), write);
        let Some((before, was)) = before.and_then(|before| Some((before, before.record()?))) else {
            continue;
        };
        if write.is_deletion {
            deletion(run, &mut finding, before, &was, write, slack_us);
            continue;
        }
        let Some(is) = write.record() else { continue };
        if before.is_marked() && is.attempt == was.attempt && !write.is_marked() {
            finding.examine();
            let what =
                format!("The mark of whoever broke {} by force was written over by its holder.", write.key);
            finding.violate([before.at.line, write.at.line], what);
            continue;
        }
        if was.is_reserved || is.attempt == was.attempt && is.readers.is_empty() {
            continue;
        }
        if !run.audit.saw_all_between(before.revision, write.revision) {
            unseen += 1;
            continue;
        }
        if !was.readers.is_empty() {
            readers(run, &mut finding, &last, before, &was, (write, &is), slack_us);
            continue;
        }
        let token = was.token.unwrap_or(before.revision);
        // Whoever ends its own grant by keeping it free for another names that grant.
        if is.is_reserved && is.previous_token == Some(token) {
            finding.examine();
            continue;
        }
        if is.is_set && is.holder == was.holder && !told.contains(&token) {
            continue;
        }
        finding.examine();
        if !expired(before, write, slack_us) {
            if run.is_beyond(before.at.at_ns, write.at.at_ns, FORKED_NS) {
                finding.show(
                    [before.at.line, write.at.line],
                    format!("{} went back to what it was before.", write.key),
                );
                continue;
            }
            finding.violate(
                [before.at.line, write.at.line],
                format!(
                    "{} was written over by {} while the grant of {} (token {token}) stood.",
                    write.key,
                    who(&is),
                    who(&was)
                ),
            );
        }
    }
    if unseen > 0 {
        finding.why = Some(format!("left out, as the auditor missed revisions in between: {unseen}"));
    }
    finding.done("no record followed another without having been given back")
}

/// A release names its attempt in what it leaves: it deletes its own record, or one that had expired.
fn deletion(
    run: &Run,
    finding: &mut Finding,
    before: &Revision,
    was: &Record<'_>,
    write: &Revision,
    slack_us: u64,
) {
    let Some(by) =
        write.attempt().filter(|by| *by != was.attempt && !by.is_empty() && !was.attempt.is_empty())
    else {
        return;
    };
    if was.is_reserved || !run.audit.saw_all_between(before.revision, write.revision) {
        return;
    }
    finding.examine();
    if expired(before, write, slack_us) {
        return;
    }
    if store::has_forked(run, before.at.at_ns, write.at.at_ns) {
        finding
            .show([before.at.line, write.at.line], format!("{} went back to what it was before.", write.key));
    } else {
        finding.violate(
            [before.at.line, write.at.line],
            format!("{} was deleted by the attempt {by} while the grant of {} stood.", write.key, who(was)),
        );
    }
}

/// Over a list of readers: whoever is not on the new list has gone.
fn readers(
    run: &Run,
    finding: &mut Finding,
    last: &BTreeMap<&str, &Revision>,
    before: &Revision,
    was: &Record<'_>,
    (write, is): (&Revision, &Record<'_>),
    slack_us: u64,
) {
    let Some(name) = write.key.strip_prefix("lock.") else { return };
    for id in was.readers.iter().filter(|id| !is.readers.contains(id)) {
        let Some(reader) = last.get(format!("read.{name}.{id}").as_str()) else { continue };
        finding.examine();
        if reader.is_deletion || expired(reader, write, slack_us) {
            continue;
        }
        let lines = [before.at.line, reader.at.line, write.at.line];
        if store::has_forked(run, before.at.at_ns, write.at.at_ns) {
            finding.show(lines, format!("{} went back to what it was before.", write.key));
        } else {
            finding.violate(lines, format!("{} was written over while its reader {id} stood.", write.key));
        }
    }
}

fn expired(before: &Revision, write: &Revision, slack_us: u64) -> bool {
    before.expires_us().is_some_and(|at| write.written_us.saturating_add(slack_us) >= at)
}

fn who<'a>(record: &Record<'a>) -> &'a str {
    if record.owner.is_empty() { record.attempt } else { record.owner }
}
