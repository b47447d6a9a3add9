//! A claim is in turn: whoever stands behind others in a line does not claim what it waits for, unless it is kept free for it
//! or handed on within its process. The line decides who tries next; so a claim past a place says that its process does
//! not keep to the line, or believes another to be dead who is not.
//!
//! Only single locks and semaphores: readers are let in together, an office goes by priority.

use super::fault::Band;
use super::places::{FELT_NS, Turn, each_turn};
use super::run::Life;
use super::{Finding, Run};

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("a claim is in turn", "lease-lib/src/docs/fairness.md");
    each_turn(run, |turn| {
        let Some(order) = turn.order.filter(|_| is_claim(turn)) else { return };
        let claims = turn.line.get(&order).map_or("", |place| place.owner.as_str());
        let at_ns = turn.write.at.at_ns;
        let mut ahead = turn.line.range(..order).map(|(_, place)| place);
        if turn.line.len() > 1 {
            finding.examine();
        }
        if let Some(first) = ahead.find(|place| !may_be_passed(run, at_ns, [claims, &place.owner])) {
            let what = format!(
                "{} was claimed by {claims}, past {}, who stood ahead of it and lives.",
                turn.wanted, first.owner
            );
            finding.violate([first.said, turn.write.at.line], what);
        }
    });
    finding.done("nothing was claimed that others stood in line for")
}

/// Whether it was neither kept free for whoever is granted it, nor handed on within its process.
fn is_claim(turn: &Turn) -> bool {
    let is_of_few = turn.write.key.starts_with("lock.") || turn.write.key.starts_with("sem.");
    let before = turn.before.and_then(|before| before.record());
    is_of_few
        && !turn.record.is_set
        && before.is_none_or(|was| {
            let kept = was.is_reserved && was.attempt == turn.record.attempt;
            !kept && was.holder != turn.record.holder
        })
}

/// Whether something befell one of these two workers shortly before, or the servers, so that the one may not have been seen
/// by the other.
fn may_be_passed(run: &Run, at_ns: u64, two: [&str; 2]) -> bool {
    let workers = || run.lives.iter().map(|life| life.worker.as_str());
    // Whose process died left its places to be passed. The next life of that worker has places of its own.
    let is_dead = |whom: &str| {
        let gone = |life: &Life| life.gone.is_some_and(|at| at.at_ns <= at_ns);
        run.lives.iter().any(|life| life.worker == whom && gone(life))
    };
    // Who says not to be a worker may be anybody.
    let are_known = two.iter().all(|it| workers().any(|worker| worker == *it));
    let spares = |band: &Band| {
        let others = || band.names_only(workers()) && !two.iter().any(|it| band.names(it));
        are_known && (band.nemesis == "kill-worker" || others())
    };
    two.iter().any(|it| is_dead(it))
        || run.faults.iter().any(|band| band.touches(at_ns, at_ns, FELT_NS) && !spares(band))
}
