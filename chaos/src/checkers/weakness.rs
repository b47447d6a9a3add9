//! What is known of NATS itself, and that the library's way beside it shows nothing of the kind.

use super::{Finding, Run};

/// See the file's head. Whether the weakness was seen is said either way; only the library's own count is a property.
pub fn check(run: &Run) -> Finding {
    let mut finding =
        Finding::new("a known weakness of NATS does not reach the library", "chaos/src/weakness");
    let mut said = Vec::new();
    for it in &run.weaknesses {
        let (tries, wrong) = (it.tries, it.wrong);
        let counted = format!("{}: {wrong} of {tries} {}", it.weakness, it.sort);
        if it.is_library {
            finding.examined += usize::try_from(tries).unwrap_or(usize::MAX);
            said.push(format!("the library's way: {wrong} of {tries}"));
            if wrong > 0 {
                finding.violate([it.at.line], format!("The library's way, {counted}."));
            }
        } else {
            said.push(format!("{counted} ({})", if wrong > 0 { "shown" } else { "not seen" }));
            if wrong > 0 {
                finding.show([it.at.line], format!("NATS by itself, {counted}."));
            }
        }
    }
    if !said.is_empty() {
        finding.why = Some(said.join("; "));
    }
    finding.done("no weakness was tried")
}
