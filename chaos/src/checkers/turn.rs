//! A claim is in turn: whoever stands behind others in a line neither claims what it waits for, nor is it kept free for it by
//! another process. (Within a process it may be handed on, four times in a row: that is the line's checker's.) The line
//! decides who tries next; so a turn past a place says that somebody does not keep to the line, or believes another to be
//! dead who is not.
//!
//! Only single locks and semaphores: readers are let in together, an office goes by priority.

use super::audit::Revision;
use super::fault::Band;
use super::places::{Place, Turn, each_turn};
use super::run::Life;
use super::{Finding, Run};

/// How long a fault may be felt by presence (4 s, and as much until absence counts) and by reservations (3 s).
const FELT_NS: u64 = 12_000_000_000;

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("a claim is in turn", "lease-lib/src/docs/fairness.md");
    each_turn(run, |turn| {
        let Some(order) = turn.order.filter(|_| is_of_one(turn) && !is_handed_on(turn)) else { return };
        let owner = |order: &u64| turn.line.get(order).map_or("", |place| place.owner.as_str());
        // Who keeps it free for another knows the line by what it was told.
        let keeps = turn.before.and_then(|it| it.text("owner")).filter(|_| turn.record.is_reserved);
        let at_ns = turn.write.at.at_ns;
        let others = turn.line.iter().filter(|(other, _)| **other != order);
        let mut may_be_told = others.filter(|(_, other)| {
            let concerned = [Some(owner(&order)), Some(other.owner.as_str()), keeps];
            !may_be_passed(run, at_ns, &concerned.into_iter().flatten().collect::<Vec<_>>())
        });
        let Some((first, place)) = may_be_told.find(|(_, place)| !is_left_behind(run, place, at_ns)) else {
            return;
        };
        finding.examine();
        if *first < order {
            let what = if turn.record.is_reserved { "kept free for" } else { "claimed by" };
            let sentence = format!(
                "{} was {what} {}, past {}, who stood ahead of it and lives.",
                turn.wanted,
                owner(&order),
                place.owner
            );
            finding.violate([place.said, turn.write.at.line], sentence);
        }
    });
    finding.done("nothing was claimed that others stood in line for, but under faults")
}

/// Whether it goes to one after the other.
fn is_of_one(turn: &Turn) -> bool {
    let is_of_few = turn.write.key.starts_with("lock.") || turn.write.key.starts_with("sem.");
    is_of_few && !turn.record.is_set
}

/// Whether the process that it is given to had it until now.
fn is_handed_on(turn: &Turn) -> bool {
    let stands = |before: &Revision| before.expires_us().is_none_or(|at| turn.write.written_us < at);
    let before = turn.before.filter(|before| stands(before)).and_then(|before| before.record());
    before.is_some_and(|was| was.holder == turn.record.holder)
}

/// Whether the daemon that stood there for its worker has ended since: nobody waits there any more.
fn is_left_behind(run: &Run, place: &Place, at_ns: u64) -> bool {
    let ends = |band: &&Band| band.ends_daemon_of(&place.owner);
    run.faults.iter().filter(ends).any(|band| (place.at_ns..=at_ns).contains(&band.from.at_ns))
}

/// Whether something befell one of these workers shortly before, or the servers, so that one of them may not have been seen
/// by another.
fn may_be_passed(run: &Run, at_ns: u64, concerned: &[&str]) -> bool {
    let workers = || run.lives.iter().map(|life| life.worker.as_str());
    // Whose process died left its places to be passed. The next life of that worker has places of its own.
    let is_dead = |whom: &str| {
        let gone = |life: &Life| life.gone.is_some_and(|at| at.at_ns <= at_ns);
        run.lives.iter().any(|life| life.worker == whom && gone(life))
    };
    // Who says not to be a worker may be anybody.
    let are_known = concerned.iter().all(|it| workers().any(|worker| worker == *it));
    let spares = |band: &Band| {
        let others = || band.names_only(workers()) && !concerned.iter().any(|it| band.names(it));
        are_known && (band.nemesis == "kill-worker" || others())
    };
    concerned.iter().any(|it| is_dead(it))
        || run.faults.iter().any(|band| band.touches(at_ns, at_ns, FELT_NS) && !spares(band))
}
