//! No use after loss: nothing is sent under a grant once its worker was told of its end or gave it back, or after the deadline;
//! and the token sent is the grant's. A worker takes the time, asks its grant whether it holds, and sends: so what it says
//! is when it held, wherever it stood still in between.

use super::{Finding, Run, SCHEDULING_NS, length};

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("no use after loss", "contract §1.2 and §2 Time");
    for operation in &run.operations {
        for it in &operation.uses {
            finding.examine();
            let title = operation.title();
            let Some(grant) = &operation.granted else {
                finding.violate(
                    [operation.asks.line, it.at.line],
                    format!("{title} wrote, but was never granted."),
                );
                continue;
            };
            if !grant.tokens.values().any(|token| *token == it.token) {
                finding.violate(
                    [grant.at.line, it.at.line],
                    format!("{title} wrote with token {}, not its own.", it.token),
                );
            }
            let ended = [operation.lost.as_ref().map(|lost| lost.0), operation.releases];
            if let Some(end) = ended.into_iter().flatten().find(|end| end.line < it.at.line) {
                finding.violate(
                    [end.line, it.at.line],
                    format!("{title} wrote though it knew that it had ended."),
                );
                continue;
            }
            // What was known at that moment, not later.
            let renewed = operation.renewed.iter().filter(|(at, _)| at.line < it.at.line).map(|(_, to)| *to);
            let deadline = renewed.fold(grant.deadline_ns, u64::max);
            if it.at.at_ns <= deadline.saturating_add(SCHEDULING_NS) {
                continue;
            }
            let what = format!("{title} wrote {} after its deadline.", length(it.at.at_ns - deadline));
            finding.violate([grant.at.line, it.at.line], what);
        }
    }
    finding.done("nothing was written under a lock")
}
