//! Nobody tries again without pause: whoever was refused since what it read is old, or is shown what the store says is not
//! there, tries the same again later and later, or not at all. Heard on the wire: different writes to a key upon the same
//! revision, by one attempt, or by all who remove a place.

use super::{Finding, Run};

/// How often the same may be tried within the two seconds that are counted. An attempt whose claims are refused pauses from 5 ms
/// to 1 s, which makes ten, and what was on its way for long comes at once; a place that is not there is removed by each process
/// once.
const MOST: u64 = 50;

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new(
        "nobody tries again without pause",
        "contract §2; AWS Builders' Library, Timeouts, retries and backoff",
    );
    for tries in &run.tries {
        finding.examine();
        if tries.writes > MOST {
            let (key, revision, writes) = (&tries.key, tries.revision, tries.writes);
            let what =
                format!("{key} was tried to be written {writes} times within 2 s upon revision {revision}");
            let whose = if tries.attempt.is_empty() { "" } else { ", by one attempt" };
            finding.violate([tries.at.line], format!("{what}{whose}; {MOST} are allowed."));
        }
    }
    finding.done("nothing was heard of what was tried")
}
