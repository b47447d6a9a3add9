//! The order of the line: while nothing is broken, nobody who waits is overtaken more than four times in a row by those
//! who came later and are served by the same process. Whoever only *tries* may step in while nobody holds: that is shown
//! where it happens often. A process that takes again what it has just released need not look who waits, but it does after
//! four times, and not every look is old. An office goes by priority, and a set of locks lets others pass.

use std::collections::{BTreeMap, BTreeSet};

use super::places::{Turn, each_turn};
use super::{Finding, Run};

/// How often in a row a waiter may be passed by the same process.
const OFTEN: u32 = 4;
/// How many looks in a row may be old.
const OLD_LOOKS: u32 = 6;
/// How long a fault may be felt in the line: until presence, reservations and looks have come round again.
const FELT_NS: u64 = 20_000_000_000;

/// How whoever waits was passed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// By one in a place behind.
    Overtaken,
    /// By one who waits too, but took no place.
    Pushed,
    /// By one who only tries, as far as is known.
    SteppedIn,
}

/// How often in a row whoever waits in a place was passed by one process.
#[derive(Default)]
struct Passed {
    by: String,
    overtaken: u32,
    pushed: u32,
    stepped_in: u32,
}

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding =
        Finding::new("nobody is overtaken again and again", "contract §1.7; lease-lib/src/docs/fairness.md");
    // By the order of the place, which is a revision: no two lines share one.
    let mut passed: BTreeMap<u64, Passed> = BTreeMap::new();
    let waited: BTreeSet<u64> =
        run.grants().filter(|held| held.operation.waits).map(|held| held.token).collect();
    each_turn(run, |turn| {
        let how = how(turn, &waited);
        let is_troubled = is_troubled(run, turn.write.at.at_ns, how);
        for (order, place) in turn.line {
            let passed = passed.entry(*order).or_default();
            if passed.by != turn.record.holder {
                *passed = Passed { by: turn.record.holder.to_owned(), ..Passed::default() };
            }
            if turn.order.is_some_and(|mine| mine <= *order) {
                // A turn in order, which whoever stands behind waited for.
                if !is_troubled && turn.order.is_some_and(|mine| mine < *order) {
                    finding.examine();
                }
                (passed.overtaken, passed.pushed, passed.stepped_in) = (0, 0, 0);
                continue;
            }
            if is_troubled {
                continue;
            }
            finding.examine();
            let (counted, by) = match how {
                How::Overtaken => (&mut passed.overtaken, "those who came later"),
                How::Pushed => (&mut passed.pushed, "the same process, which did not look who waits"),
                How::SteppedIn => (&mut passed.stepped_in, "those who only try, while it was free"),
            };
            *counted += 1;
            let (times, wanted, lines) = (*counted, turn.wanted, [place.said, turn.write.at.line]);
            let what = format!(
                "Whoever waits for {wanted} in this place was passed {times} times in a row by {by}."
            );
            match how {
                How::Overtaken if times > OFTEN => finding.violate(lines, what),
                // After every four there is a look, which may be old while servers do not hear each other.
                How::Pushed if times > OFTEN * OLD_LOOKS => finding.violate(lines, what),
                How::SteppedIn if times == OFTEN + 1 => finding.show(lines, what),
                _ => {}
            }
        }
    });
    finding.done("nobody stood in a line while another was granted what it waits for, but under faults")
}

/// How those whom this turn passes are passed.
fn how(turn: &Turn, waited: &BTreeSet<u64>) -> How {
    match turn.order {
        Some(_) => How::Overtaken,
        None if waited.contains(&turn.write.revision) => How::Pushed,
        None => How::SteppedIn,
    }
}

/// Whether a fault was on shortly before that may make somebody be passed so, or a process had gone.
fn is_troubled(run: &Run, at_ns: u64, how: How) -> bool {
    let felt = at_ns.saturating_sub(FELT_NS);
    let gone = |at: u64| (felt..=at_ns).contains(&at);
    // Over a bridge processes do not hear who waits. What is to be read tells them, if they look.
    let tells = |nemesis: &str| how == How::Pushed && nemesis == "bridge";
    run.faults.iter().any(|band| band.touches(at_ns, at_ns, FELT_NS) && !tells(&band.nemesis))
        || run.lives.iter().any(|life| life.gone.is_some_and(|at| gone(at.at_ns)))
}
