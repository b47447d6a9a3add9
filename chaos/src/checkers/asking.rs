//! Nobody asks without pause: whoever is refused, or reads what is old, asks again later and later. Counted by the servers: the
//! messages that come from a worker's host.

use std::collections::BTreeMap;

use super::operation::Mark;
use super::{Finding, Run};

/// What a worker and its daemon may ask within a second for each operation under way, again and again. The busiest were seen to
/// ask 140 times for each, of two leaders at once, one of which says of every write that another one is in flight; with
/// what is being cleaned up of operations that have ended.
const MOST_EACH: u64 = 250;
/// For fewer operations than this, as for as many: what a process asks for its own sake counts, too.
const FEWEST: u64 = 4;
/// For how many seconds in a row it takes more to be a violation.
const SECONDS: usize = 3;
/// Two counts that are further apart are not of seconds in a row.
const APART_NS: u64 = 1_600_000_000;

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new(
        "nobody asks without pause",
        "contract §2; AWS Builders' Library, Timeouts, retries and backoff",
    );
    let under_way = under_way(run);
    let mut busy: BTreeMap<&str, Vec<(Mark, u64)>> = BTreeMap::new();
    for (at, host, messages) in &run.traffic {
        finding.examine();
        let row = busy.entry(host).or_default();
        let goes_on = row.last().is_some_and(|(before, _)| at.at_ns.saturating_sub(before.at_ns) <= APART_NS);
        let most = MOST_EACH * under_way.get(host.as_str()).copied().unwrap_or_default().max(FEWEST);
        if *messages <= most {
            row.clear();
            continue;
        }
        if !goes_on {
            row.clear();
        }
        row.push((*at, *messages));
        if row.len() == SECONDS {
            let least = row.iter().map(|(_, messages)| *messages).min().unwrap_or_default();
            finding.violate(
                row.iter().map(|(at, _)| at.line).collect::<Vec<_>>(),
                format!("{host} asked the servers more than {least} times a second, {SECONDS} seconds in a row; {most} are allowed."),
            );
        }
    }
    finding.done("nobody asked more than a hundred times in a second")
}

/// How many operations each worker had under way at a time, at most.
fn under_way(run: &Run) -> BTreeMap<&str, u64> {
    let mut changes: Vec<(u64, &str, i64)> = Vec::new();
    for operation in &run.operations {
        let ends = [
            operation.refused.map(|it| it.0),
            operation.releases,
            operation.lost.as_ref().map(|it| it.0),
            operation.gone,
        ];
        let end = ends.into_iter().flatten().map(|at| at.at_ns).min();
        changes.push((operation.asks.at_ns, &operation.worker, 1));
        changes.push((end.unwrap_or(u64::MAX), &operation.worker, -1));
    }
    changes.sort_unstable();
    let (mut now, mut most): (BTreeMap<&str, i64>, BTreeMap<&str, u64>) = Default::default();
    for (_, worker, change) in changes {
        let now = now.entry(worker).or_default();
        *now += change;
        let most = most.entry(worker).or_default();
        *most = (*most).max(u64::try_from(*now).unwrap_or_default());
    }
    most
}
