//! `lost` before the deadline: who holds is told of its end in time, by its own clock, and no belief comes back.

use super::operation::Operation;
use super::{Finding, Run, SCHEDULING_NS, length};

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let source = "contract §1.2 and §2 Time";
    let mut finding = Finding::new("lost is told by the deadline", source);
    for operation in &run.operations {
        let (Some(grant), Some(deadline)) = (&operation.granted, operation.deadline()) else { continue };
        let late_from = deadline.saturating_add(SCHEDULING_NS);
        let mut known = grant.deadline_ns;
        for (at, next) in &operation.renewed {
            let lost = operation.lost.as_ref().is_some_and(|(lost, _)| lost.line < at.line);
            let allowed = SCHEDULING_NS.saturating_add(stood_still(run, operation, known, at.at_ns));
            let past = at.at_ns > known.saturating_add(allowed);
            if lost || past {
                let what = if lost { "after it had been lost" } else { "after its deadline had passed" };
                finding
                    .violate([grant.at.line, at.line], format!("{} was renewed {what}.", operation.title()));
            }
            known = known.max(*next);
        }
        let gone_before =
            [operation.releases, operation.gone].into_iter().flatten().any(|it| it.at_ns <= late_from);
        if gone_before {
            continue;
        }
        let told = operation.lost.as_ref().map(|(at, _)| *at);
        if told.is_none() && run.span.1 <= late_from {
            continue;
        }
        finding.examine();
        let ended = [operation.releases, operation.gone].into_iter().flatten().map(|it| it.at_ns).min();
        let at = told.map(|at| at.at_ns).or(ended).unwrap_or(run.span.1);
        if at <= late_from {
            continue;
        }
        let lines = [grant.at.line, operation.last_line()];
        let late = length(at - deadline);
        let what = match told {
            Some(_) => format!("{} was told of its loss {late} after its deadline.", operation.title()),
            None => {
                format!("{} was not told of its loss, up to {late} after its deadline.", operation.title())
            }
        };
        let (late_ns, paused_ns) = (at - late_from, run.paused_ns(&operation.worker, deadline, at));
        if late_ns <= paused_ns {
            finding.show(lines, format!("{what} It was paused."));
        } else if late_ns <= stood_still(run, operation, deadline, at) {
            finding.show(lines, format!("{what} The whole machine stood still meanwhile."));
        } else {
            finding.violate(lines, what);
        }
    }
    finding.done("every grant was given back before its deadline")
}

/// For how long it could do nothing: paused on purpose, or because the machine stood still.
fn stood_still(run: &Run, operation: &Operation, from: u64, to: u64) -> u64 {
    run.paused_ns(&operation.worker, from, to).saturating_add(run.stalled_ns(from, to))
}
