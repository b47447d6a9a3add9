//! No loss without a cause: who is told that its lock was taken or broken by force, that its bucket was replaced, or at the
//! release that it had lost the lock before, had that happen to it: somebody else's write, a deletion, the record's end by
//! the store's clock. What was given back before the deadline had not expired: records outlive their deadlines. And the mark of
//! who breaks it by force takes nothing: who finds that is told "broken", and "taken" only where a leader that was cut off may
//! have been asked what it was.
//!
//! A lease runs out at its deadline and not before; while nothing has been broken yet, and the store takes writes, none does:
//! everybody renews but those who do not want to. (What was broken may be felt by servers long after it was healed.) And a
//! daemon ends what it keeps only with itself.

use super::fault::Band;
use super::operation::{Mark, Operation};
use super::{Finding, Run, length, store};
use crate::history::Freed;

/// How much later than the loss was told the auditor may read what caused it.
const READ_NS: u64 = 5_000_000_000;

/// A release that is begun so shortly before the deadline may be heard after it, on a busy machine.
const HEARD_NS: u64 = 500_000_000;

/// How long after it was cut off from others a leader may answer.
const LEADS_NS: u64 = 20_000_000_000;

/// For how long the library waits for an answer to what stands there, and what a busy machine adds.
const UNANSWERED_NS: u64 = 2_000_000_000;

/// What a daemon, or whoever keeps a lease by it, says of a lease that it does not keep any more.
const NOT_KEPT: [&str; 4] = ["connection-closed", "draining", "unknown-lease", "keeper-gone"];

/// How long after a bucket was made again processes that were cut off may find that out.
const FOUND_OUT_NS: u64 = 30_000_000_000;

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("no loss without a cause", "contract §1.4 and §1.5");
    let mut unseen = 0;
    for operation in &run.operations {
        if let Some(what) = own_end(run, operation, &mut finding) {
            let lines = [operation.asks.line, operation.last_line()];
            finding.violate(lines, format!("{} was told {what}.", operation.title()));
        }
        let Some((at, what)) = told(operation) else { continue };
        let Some(grant) = &operation.granted else { continue };
        let replaced = run
            .faults
            .iter()
            .any(|it| it.nemesis == "bucket" && it.touches(grant.at.at_ns, at.at_ns, FOUND_OUT_NS));
        // A daemon that is started again knows none of the leases of before.
        let ends = |it: &&Band| it.ends_daemon_of(&operation.worker);
        let restarted = run.faults.iter().filter(ends).any(|it| it.touches(grant.at.at_ns, at.at_ns, 0));
        let beyond = run.is_beyond(grant.at.at_ns, at.at_ns, operation.ttl_ns())
            || store::has_forked(run, grant.at.at_ns, at.at_ns);
        // A daemon that stands still hears of the release when it wakes up, perhaps after the deadline.
        let asleep = operation.lost.is_none()
            && operation.releases.is_some_and(|from| run.was_paused(&operation.worker, from.at_ns, at.at_ns));
        if replaced || restarted || beyond || asleep {
            continue;
        }
        let causes = operation.names.iter().map(|name| cause(run, operation, name, at));
        match causes.max() {
            Some(Cause::Seen) => finding.examine(),
            Some(Cause::None) => {
                finding.examine();
                let title = operation.title();
                finding.violate(
                    [grant.at.line, at.line],
                    format!("{title} was told {what}, and nothing had happened to what it held."),
                );
            }
            Some(Cause::Unknown) | None => unseen += 1,
        }
    }
    if unseen > 0 {
        finding.why = Some(format!("written where the auditor was not reading: {unseen} losses"));
    }
    finding.done("nobody was told of a loss but by its own clock")
}

/// What is wrong with a loss that nobody else caused.
fn own_end(run: &Run, operation: &Operation, finding: &mut Finding) -> Option<String> {
    let (lost, reason) = operation.lost.as_ref()?;
    let (deadline, at) = (operation.deadline()?, lost.at_ns);
    let begun = operation.asks.at_ns;
    let what = if reason == "expired" {
        finding.examine();
        if at < deadline {
            return Some(format!(
                "that its lease had run out, {} before its deadline",
                length(deadline - at)
            ));
        }
        let since = at.saturating_sub(operation.ttl_ns());
        let renews = run.lives.iter().any(|it| it.worker == operation.worker && it.workload != "fresh");
        let was_hindered = run.faults.iter().any(|band| band.from.at_ns <= at)
            || run.stalled_ns(since, at) > 0
            || run.audit.longest_silence(since, at) > operation.ttl_ns() / 4;
        (renews && !was_hindered).then_some("that its lease had run out, and nothing was broken")
    } else if NOT_KEPT.contains(&reason.as_str()) {
        finding.examine();
        let has_ended = run
            .faults
            .iter()
            .any(|band| band.ends_daemon_of(&operation.worker) && band.touches(begun, at, HEARD_NS));
        let was_asleep = run.was_paused(&operation.worker, begun, at);
        (!has_ended && !was_asleep).then_some("that its lease is not kept, and its daemon had not ended")
    } else {
        None
    };
    what.map(|what| format!("{what} ({reason})"))
}

/// Whether something happened; the surest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    None,
    Unknown,
    Seen,
}

/// A loss that somebody else must have caused.
fn told(operation: &Operation) -> Option<(Mark, String)> {
    if let Some((at, reason)) = &operation.lost {
        let by_others = ["taken", "broken", "bucket-replaced"].contains(&reason.as_str());
        return by_others.then(|| (*at, format!("that it was lost ({reason})")));
    }
    let releases = operation.releases?;
    let (at, freed) = operation.released?;
    let before = releases.at_ns.saturating_add(HEARD_NS) < operation.deadline()?;
    (freed == Freed::Lost && before).then(|| (at, "at its release that it had lost it".to_owned()))
}

fn cause(run: &Run, operation: &Operation, name: &str, at: Mark) -> Cause {
    let token = operation.granted.as_ref().and_then(|grant| grant.tokens.get(name));
    let Some(granting) = token.and_then(|token| run.audit.get(*token)) else { return Cause::Unknown };
    let Some(attempt) = granting.record().map(|record| record.attempt.to_owned()) else {
        return Cause::Unknown;
    };
    let until = at.at_ns.saturating_add(READ_NS);
    let later = run.audit.in_order().filter(|it| it.revision > granting.revision && it.key == granting.key);
    // Told at a release, which was begun before the deadline.
    let is_release = operation.lost.is_none();
    let was_taken = operation.lost.as_ref().is_some_and(|(_, reason)| reason == "taken");
    // A leader that was cut off may have been asked, or nobody may have answered what stands there.
    let may_not_know = run.faults.iter().any(|band| {
        band.parts_servers() && band.touches(at.at_ns, at.at_ns, LEADS_NS)
            || !band.pauses() && band.touches(at.at_ns.saturating_sub(UNANSWERED_NS), at.at_ns, 0)
    });
    let counts_marks = was_taken && !may_not_know;
    let mut last = granting;
    let grant_token = token.copied();
    for write in later.take_while(|it| it.at.at_ns <= until) {
        // What it ended itself, nobody took: what follows is no cause.
        let ends = write.is_deletion && write.attempt() == Some(attempt.as_str())
            || write.record().is_some_and(|it| it.is_reserved && it.previous_token == grant_token);
        if ends {
            break;
        }
        let own =
            write.record().is_some_and(|it| it.attempt == attempt) && (counts_marks || !write.is_marked());
        if !own {
            let expired_first = last.expires_us().is_some_and(|expires| expires <= write.written_us);
            return if is_release && expired_first { Cause::None } else { Cause::Seen };
        }
        last = write;
    }
    // Read at `at`, written a little earlier.
    let expires = last.ttl_secs.saturating_mul(1_000_000_000).saturating_add(last.at.at_ns);
    let may_have_expired =
        !is_release && last.ttl_secs > 0 && expires <= at.at_ns.saturating_add(READ_NS / 5);
    if may_have_expired {
        return Cause::Seen;
    }
    // What was missed later was no cause.
    let later = run.audit.in_order().filter(|it| it.revision > granting.revision && it.at.at_ns > until);
    let first = later.map(|it| it.revision).next().unwrap_or(u64::MAX);
    if run.audit.may_miss_between(granting.revision, first) { Cause::Unknown } else { Cause::None }
}
