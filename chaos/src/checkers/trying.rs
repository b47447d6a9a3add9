//! Nobody tries again without pause: whoever was refused since what it read is old, or is shown what the store says is not
//! there, tries the same again later and later, or not at all. Heard on the wire: different writes to a key upon the same
//! revision, by one attempt, or by all who remove a place.

use super::{Finding, Run};

/// How often an attempt may try the same within the two seconds that are counted. One whose claims are refused pauses from 5 ms
/// to 1 s, which makes ten; and what was on its way for long comes at once.
const MOST: u64 = 50;
/// How often a place may be removed: by each process once, or twice where two of its waiters find out at the same time.
const MOST_REMOVALS: u64 = 30;

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new(
        "nobody tries again without pause",
        "contract §2; AWS Builders' Library, Timeouts, retries and backoff",
    );
    for tries in &run.tries {
        finding.examine();
        let (most, whose) = match tries.attempt.is_empty() {
            true => (MOST_REMOVALS, ""),
            false => (MOST, ", by one attempt"),
        };
        if tries.writes > most {
            let (key, revision, writes) = (&tries.key, tries.revision, tries.writes);
            let what =
                format!("{key} was tried to be written {writes} times within 2 s upon revision {revision}");
            finding.violate([tries.at.line], format!("{what}{whose}; {most} are allowed."));
        }
    }
    finding.done("nothing was heard of what was tried")
}
