//! The order of the line: while nothing is broken, nobody who waits is overtaken more than four times in a row by those
//! who came later and are served by the same process. Whoever has no place only *tries*, and may step in while nobody
//! holds: that is shown where it happens often. An office goes by priority, and a set of locks lets others pass.

use std::collections::BTreeMap;

use super::places::each_turn;
use super::{Finding, Run};

/// How often in a row a waiter may be overtaken.
const OFTEN: u32 = 4;
/// How long a fault may be felt in the line: until presence, reservations and looks have come round again.
const FELT_NS: u64 = 20_000_000_000;

/// How often in a row whoever waits in a place was passed.
#[derive(Default)]
struct Passed {
    by: String,
    overtaken: u32,
    stepped: u32,
}

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding =
        Finding::new("nobody is overtaken again and again", "contract §1.7; lease-lib/src/docs/fairness.md");
    // By the order of the place, which is a revision: no two lines share one.
    let mut passed: BTreeMap<u64, Passed> = BTreeMap::new();
    each_turn(run, |turn| {
        let is_troubled = troubled(run, turn.write.at.at_ns);
        for (order, place) in turn.line {
            let passed = passed.entry(*order).or_default();
            if turn.order.is_some_and(|mine| mine <= *order) {
                // A turn in order, which whoever stands behind waited for.
                if !is_troubled && turn.order.is_some_and(|mine| mine < *order) {
                    finding.examine();
                }
                (passed.overtaken, passed.stepped) = (0, 0);
                continue;
            }
            if is_troubled {
                continue;
            }
            finding.examine();
            let counted = if turn.order.is_some() { &mut passed.overtaken } else { &mut passed.stepped };
            *counted = if passed.by == turn.record.holder { *counted + 1 } else { 1 };
            let times = *counted;
            turn.record.holder.clone_into(&mut passed.by);
            let (wanted, lines) = (turn.wanted, [place.said, turn.write.at.line]);
            let what =
                format!("Whoever waits for {wanted} in this place was passed by {times} times in a row");
            match turn.order {
                Some(_) if times > OFTEN => {
                    finding.violate(lines, format!("{what} by those who came later."));
                }
                None if times == OFTEN + 1 => {
                    finding.show(lines, format!("{what} by those who only try, while it was free."));
                }
                _ => {}
            }
        }
    });
    finding.done("nobody stood in a line while another was granted what it waits for, but under faults")
}

/// Whether a fault was on shortly before, or a process had gone.
fn troubled(run: &Run, at_ns: u64) -> bool {
    let felt = at_ns.saturating_sub(FELT_NS);
    let gone = |at: u64| (felt..=at_ns).contains(&at);
    run.faults.iter().any(|band| band.touches(at_ns, at_ns, FELT_NS))
        || run.lives.iter().any(|life| life.gone.is_some_and(|at| gone(at.at_ns)))
}
