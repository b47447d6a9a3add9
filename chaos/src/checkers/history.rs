//! The history itself: it begins, it ends, and every line can be read. A run whose runner was killed shows it here.

use super::{Finding, Run};

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("the history is whole", "chaos/src/history.rs");
    let mut missing = Vec::new();
    if run.began.is_none() {
        missing.push("it does not say how it began".to_owned());
    }
    if let Some(interrupted) = run.interrupted {
        missing.push(format!("the runner was told to end at line {}, before its time", interrupted.line));
    } else if run.ended.is_none() {
        missing.push(format!("it breaks off after line {}: the runner did not finish", run.lines));
    }
    if let Some(first) = run.unreadable.first() {
        missing.push(format!("{} lines cannot be read, the first is line {first}", run.unreadable.len()));
    }
    for line in &run.strays {
        finding.show([*line], "It belongs to nothing that was said before.".to_owned());
    }
    if missing.is_empty() {
        finding.examined = run.lines;
    } else {
        finding.why = Some(missing.join("; "));
    }
    finding.done("no lines")
}
