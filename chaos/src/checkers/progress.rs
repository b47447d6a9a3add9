//! Progress after healing: within the longest TTL + 15 s, every acquire of a living worker is answered, and of every name
//! that is asked for somebody is granted.

use std::collections::BTreeMap;

use super::{Finding, Run, length};

/// How long after healing, and the longest TTL, servers and clients may need.
const BOUND_NS: u64 = 15_000_000_000;

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("progress after healing", "contract §1.5 and §1.6");
    let Some(healed) = run.healed else { return finding.done("the run was not healed") };
    let longest = run.operations.iter().map(|it| it.ttl_ns()).max().unwrap_or_default();
    let bound = longest.saturating_add(BOUND_NS);
    let over = run.span.1;
    // Of each name, the first that asks for it, and whether it was granted in time.
    let mut names: BTreeMap<(&str, &str), (usize, bool)> = BTreeMap::new();
    let first_bound = healed.at_ns.saturating_add(bound);
    for operation in &run.operations {
        let answers = [operation.granted.as_ref().map(|it| it.at), operation.refused.map(|it| it.0)];
        let answered = answers.into_iter().flatten().min();
        if answered.is_some_and(|at| at.at_ns < healed.at_ns) {
            continue;
        }
        let until = operation.asks.at_ns.max(healed.at_ns).saturating_add(bound);
        let lives = operation.gone.is_none_or(|gone| gone.at_ns > until);
        let granted = operation.granted.as_ref().is_some_and(|it| it.at.at_ns <= first_bound);
        if operation.asks.at_ns <= first_bound && over >= first_bound && (lives || granted) {
            for name in &operation.names {
                let it = names.entry((operation.space(), name)).or_insert((operation.asks.line, false));
                it.1 |= granted;
            }
        }
        match answered {
            Some(at) if at.at_ns <= until => finding.examine(),
            Some(_) | None if lives && over >= until => {
                finding.examine();
                let late = answered.map_or(over, |at| at.at_ns) - operation.asks.at_ns.max(healed.at_ns);
                let mut lines = vec![healed.line, operation.asks.line];
                lines.extend(answered.map(|at| at.line));
                let what = format!("{} was not answered for {}", operation.title(), length(late));
                finding.violate(lines, format!("{what}; {} are allowed.", length(bound)));
            }
            _ => {}
        }
    }
    for ((_, name), (line, granted)) in names {
        finding.examine();
        if !granted {
            let what = format!("Nobody was granted {name} within {} after healing.", length(bound));
            finding.violate([healed.line, line], what);
        }
    }
    finding.done("nobody asked for anything after healing, or the run ended too soon to tell")
}
