//! Nothing is leaked: when all have stopped, the store holds no record or presence whose time has passed by more than the
//! slack, none without a TTL that should have one, and no place of a process that ended by itself. Lists of readers, limits
//! and values have no TTL. What was written over and is there all the same is no leak: a replica has kept it. And what was
//! told to be given back is: its record was deleted, kept free for somebody else, or written over by then.

use std::collections::BTreeMap;

use super::audit::Revision;
use super::fault::Band;
use super::places::Place;
use super::{Finding, Run, length};
use crate::history::Freed;

/// How old what one replica answers may be, when the store is well.
const OLD_NS: u64 = 2_000_000_000;

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new(
        "nothing is leaked",
        "lease-lib/src/docs/kinds.md; NATS: an update without TTL never expires",
    );
    let slack = run.slack_ns();
    // Every write, not only those that stand at the end: whoever died then would have left it for ever.
    for write in run.audit.in_order().filter(|it| !it.is_deletion && owes_a_ttl(it)) {
        finding.examine();
        if write.ttl_secs == 0 {
            finding
                .violate([write.at.line], format!("{} was written without a TTL: it never goes.", write.key));
        }
    }
    given_back(run, &mut finding);
    let Some((at, keys)) = &run.audit.remains else {
        finding.why =
            Some("nobody looked what the store holds at the end; only the TTLs were examined".to_owned());
        return finding.done("the auditor read nothing");
    };
    // Of each key, the last that was read.
    let newest: BTreeMap<&str, &Revision> =
        run.audit.in_order().map(|write| (write.key.as_str(), write)).collect();
    for (key, revision) in keys {
        finding.examine();
        // What was written over, and is there, the replica that answered has kept.
        let later = newest.get(key.as_str()).filter(|it| it.revision > *revision);
        if let Some(later) = later {
            let ago = at.at_ns.saturating_sub(later.at.at_ns);
            if ago > OLD_NS {
                let what = format!("{key} is there as revision {revision}, {} after it was", length(ago));
                finding.show(
                    [later.at.line, at.line],
                    format!("{what} written over: by the store, not by a client."),
                );
            }
            continue;
        }
        let Some(write) = run.audit.get(*revision).filter(|it| it.key == *key) else { continue };
        // The auditor reads after the server wrote, so this is late rather than early.
        let ttl = write.ttl_secs.saturating_mul(1_000_000_000);
        let goes = write.at.at_ns.saturating_add(ttl).saturating_add(slack);
        if owes_a_ttl(write) && ttl > 0 && goes < at.at_ns {
            finding.violate(
                [write.at.line, at.line],
                format!("{key} is still there, {} after its time and the slack.", length(at.at_ns - goes)),
            );
        }
        if let Some(place) = Place::of(write).filter(|_| is_left(run, write)) {
            let whose = &place.owner;
            let sentence = format!("{key} is still there, a place of {whose}, who ended by itself.");
            finding.violate([write.at.line, at.line], sentence);
        }
    }
    finding.done("the auditor read nothing")
}

/// How much later than a release is told the auditor may read it, where the store's stamps cannot be compared.
const READ_NS: u64 = 5_000_000_000;
/// By how much a server's clock is wrong on purpose, within the slack, and a little that any is.
const CLOCK_NS: u64 = 1_010_000_000;

/// Each release that was told to be done was done.
fn given_back(run: &Run, finding: &mut Finding) {
    let by_key = run.audit.by_key();
    for held in run.grants() {
        let told = held.operation.released.filter(|(_, freed)| *freed == Freed::Clean).map(|(at, _)| at);
        let Some((told, granting)) = told.zip(run.audit.get(held.token)) else { continue };
        let Some(attempt) = granting.record().map(|record| record.attempt) else { continue };
        let until = told.at_ns.saturating_add(READ_NS);
        let first_after = run.audit.first_read_after(until);
        let is_unsure = run.audit.may_miss_between(granting.revision, first_after)
            || run.is_beyond(granting.at.at_ns, until, 0);
        if is_unsure || run.span.1 < until {
            continue;
        }
        finding.examine();
        let writes = by_key.get(granting.key.as_str()).into_iter().flatten().copied();
        // An auditor that is cut off reads later; when it was written, the store says.
        let in_time = |it: &Revision| match run.began.as_ref().and_then(|began| began.wall_ahead_ns) {
            Some(ahead_ns) => it.written_ns(ahead_ns) <= told.at_ns.saturating_add(CLOCK_NS),
            None => it.at.at_ns <= until,
        };
        let mut later = writes.filter(|it| it.revision > granting.revision && in_time(it)).peekable();
        let is_ours = |it: &&Revision| it.record().is_some_and(|it| it.attempt == attempt && !it.is_reserved);
        let mut last = granting;
        while let Some(renewal) = later.next_if(is_ours) {
            last = renewal;
        }
        if later.peek().is_none() && last.ends_ns() > told.at_ns {
            let (title, key) = (held.operation.title(), &granting.key);
            let sentence = format!("{title} was told that it gave back {key}, whose record stood on.");
            finding.violate([last.at.line, told.line], sentence);
        }
    }
}

/// Whether this place should have been removed by whose it was: nobody killed that process, or its daemon, and no deletion
/// can have been missed.
fn is_left(run: &Run, write: &Revision) -> bool {
    let owner = write.text("owner").unwrap_or_default();
    let (from, healed) = (write.at.at_ns, run.healed.map_or(u64::MAX, |healed| healed.at_ns));
    let is_known = run.lives.iter().any(|life| life.worker == owner);
    let was_killed = run
        .lives
        .iter()
        .filter(|life| life.worker == owner)
        .any(|life| life.gone.is_some_and(|gone| (from..=healed).contains(&gone.at_ns)));
    let daemon = |band: &Band| band.nemesis.ends_with("-daemon") && !band.pauses() && band.names(owner);
    let was_left = run.faults.iter().filter(|band| daemon(band)).any(|band| band.touches(from, u64::MAX, 0));
    write.line().is_some()
        && is_known
        && !was_killed
        && !was_left
        && !run.is_beyond(from, u64::MAX, 0)
        && !run.audit.may_miss_between(write.revision, u64::MAX)
}

fn owes_a_ttl(write: &Revision) -> bool {
    let key = write.key.as_str();
    if key.starts_with("lock.") {
        return write.record().is_none_or(|record| record.readers.is_empty());
    }
    let kinds = ["elect.", "sem.", "read.", "group.", "line.", "here."];
    kinds.iter().any(|it| key.starts_with(it)) && !(key.starts_with("sem.") && key.ends_with(".limit"))
}
