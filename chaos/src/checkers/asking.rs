//! Nobody asks without pause: whoever is refused, or reads what is old, asks again later and later. Counted by the servers: the
//! messages that come from a worker's host.

use std::collections::BTreeMap;

use super::operation::Mark;
use super::{Finding, Run};

/// What a worker and its daemon may ask within a second, again and again. The busiest was seen to ask 634 times, of two leaders at
/// once, one of which says of every write that another one is in flight.
const MOST: u64 = 1_200;
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
    let mut busy: BTreeMap<&str, Vec<(Mark, u64)>> = BTreeMap::new();
    for (at, host, messages) in &run.traffic {
        finding.examine();
        let row = busy.entry(host).or_default();
        let goes_on = row.last().is_some_and(|(before, _)| at.at_ns.saturating_sub(before.at_ns) <= APART_NS);
        if *messages <= MOST {
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
                format!("{host} asked the servers more than {least} times a second, {SECONDS} seconds in a row; {MOST} are allowed."),
            );
        }
    }
    finding.done("nobody asked more than a hundred times in a second")
}
