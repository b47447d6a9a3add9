//! Progress after healing: within the longest TTL + 15 s, every acquire of a living worker is answered, and of every name
//! that is asked for until then somebody is granted. Where somebody held a name alone when it was healed, or all permits were held,
//! and that went on, the time for the next one begins when one lets go: workers hold for up to five times the ttl.

use std::collections::{BTreeMap, BTreeSet};

use super::operation::Operation;
use super::{Finding, Run, length, out};
use crate::history::Kind;

/// How long after healing, and the longest TTL, servers and clients may need.
const BOUND_NS: u64 = 15_000_000_000;

/// For how long a name may be asked for by nobody between two who do.
const BETWEEN_NS: u64 = 2_000_000_000;

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("progress after healing", "contract §1.5 and §1.6");
    let Some(healed) = run.healed else { return finding.done("the run was not healed") };
    if out::is_out(run) {
        return finding.done(out::OUT);
    }
    let longest = run.operations.iter().map(|it| it.ttl_ns()).max().unwrap_or_default();
    let bound = longest.saturating_add(BOUND_NS);
    let over = run.span.1;
    // Of each name, the first that asks for it, and whether it was granted in time; and those that were asked for until then.
    let mut names: BTreeMap<(&str, &str), (usize, bool)> = BTreeMap::new();
    let mut wanted: BTreeSet<(&str, &str)> = BTreeSet::new();
    let held = held_until(run, healed.at_ns);
    for operation in &run.operations {
        let answers = [operation.granted.as_ref().map(|it| it.at), operation.refused.map(|it| it.0)];
        let answered = answers.into_iter().flatten().min();
        if answered.is_some_and(|at| at.at_ns < healed.at_ns) {
            continue;
        }
        let until = operation.asks.at_ns.max(healed.at_ns).saturating_add(bound);
        let lives = operation.gone.is_none_or(|gone| gone.at_ns > until);
        // Of a name that nobody else wants, what its own worker took back says nothing.
        let counts = lives && !operation.withdrawn;
        for name in &operation.names {
            let free = held.get(&(operation.space(), name.as_str())).copied().unwrap_or(healed.at_ns);
            let due = free.saturating_add(bound);
            let granted = operation.granted.as_ref().is_some_and(|it| it.at.at_ns <= due);
            // Whoever took it back after that, or was told to stop, did ask until then.
            if operation.asks.at_ns <= due
                && answered.is_none_or(|at| at.at_ns.saturating_add(BETWEEN_NS) >= due)
            {
                wanted.insert((operation.space(), name));
            }
            if operation.asks.at_ns <= due && over >= due && (counts || granted) {
                let it = names.entry((operation.space(), name)).or_insert((operation.asks.line, false));
                it.1 |= granted;
            }
        }
        // What its own worker took back says nothing of how long it would have taken.
        if operation.withdrawn {
            continue;
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
    for ((space, name), (line, granted)) in names {
        if !granted && !wanted.contains(&(space, name)) {
            continue;
        }
        finding.examine();
        if !granted {
            let what = format!("Nobody was granted {name} within {} after healing.", length(bound));
            finding.violate([healed.line, line], what);
        }
    }
    finding.done("nobody asked for anything after healing, or the run ended too soon to tell")
}

/// Until when nobody else could be granted a name, since all that there is of it was held at this moment.
fn held_until(run: &Run, at_ns: u64) -> BTreeMap<(&str, &str), u64> {
    // By name, how many may hold at once, and until when those did who held then.
    let mut held: BTreeMap<(&str, &str), (usize, Vec<u64>)> = BTreeMap::new();
    let alone =
        |it: &&Operation| matches!(it.kind, Kind::Lock | Kind::Multi | Kind::Election | Kind::Semaphore);
    for operation in run.operations.iter().filter(alone) {
        let Some((from, to)) = operation.belief() else { continue };
        if from < at_ns && at_ns < to {
            let many = operation.limit.map_or(1, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
            for name in &operation.names {
                held.entry((operation.space(), name.as_str())).or_insert((many, Vec::new())).1.push(to);
            }
        }
    }
    let free_at = |(many, mut ends): (usize, Vec<u64>)| {
        ends.sort_unstable();
        // When so many are left that there is room for one more.
        ends.len().checked_sub(many).and_then(|it| ends.get(it).copied())
    };
    held.into_iter().filter_map(|(name, held)| Some((name, free_at(held)?))).collect()
}
