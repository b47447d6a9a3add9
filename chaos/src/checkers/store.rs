//! What is assumed, and not promised: the store gives each number to one write, for as long as it is the same bucket. Where it
//! does not, it lost what it had acknowledged, or its replicas count differently. Then a token may name a revision that
//! the auditor read as another's, and what else is violated has to be seen in that light.

use super::audit::Revision;
use super::fault::Band;
use super::run::FORKED_NS;
use super::{Finding, Run};

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding =
        Finding::new("the store gives each number once", "assumed, not promised: contract §1").assumed();
    if run.audit.revisions.is_empty() {
        return finding.done("the auditor read nothing");
    }
    finding.examined = run.audit.by_number.len();
    for (before, again) in given_twice(run).filter(|(before, again)| !is_another_bucket(run, before, again)) {
        let lines = [before.at.line, again.at.line];
        let (number, one, other) = (again.revision, &before.key, &again.key);
        let sentence = format!("Revision {number} was written twice, as {one} and as {other}.");
        // Where that was broken on purpose, what the library made of it is for the other checkers.
        if run.may_have_forked(before.at.at_ns, again.at.at_ns) {
            finding.show(lines, sentence);
        } else {
            finding.violate(lines, sentence);
        }
    }
    finding.done("the auditor read nothing")
}

/// Every two revisions of one number, in the order in which they were read.
pub fn given_twice(run: &Run) -> impl Iterator<Item = (&Revision, &Revision)> {
    let pair = |(again, before): &(usize, usize)| {
        Some((run.audit.revisions.get(*before)?, run.audit.revisions.get(*again)?))
    };
    run.audit.twice.iter().filter_map(pair)
}

/// Whether the bucket was deleted and made again between the two: then it is the library's matter where numbers go on. Where
/// the store was made to lose writes as well, an earlier bucket may have come back.
pub fn is_another_bucket(run: &Run, before: &Revision, again: &Revision) -> bool {
    let (one, other) = (before.at.at_ns, again.at.at_ns);
    let made_again = |it: &Band| it.nemesis == "bucket" && it.touches(one.min(other), one.max(other), 0);
    run.faults.iter().any(made_again) && !run.may_have_forked(one, other)
}

/// Whether it was made to lose writes, and was seen to have lost some about when this was.
pub fn has_forked(run: &Run, from: u64, to: u64) -> bool {
    let about = from.saturating_sub(FORKED_NS)..=to.saturating_add(FORKED_NS);
    let is_seen = |(before, again): (&Revision, &Revision)| {
        about.contains(&before.at.at_ns) && about.contains(&again.at.at_ns)
    };
    run.may_have_forked(from, to) && given_twice(run).any(is_seen)
}

/// From when on numbers cannot be relied upon, since the store was seen to give one twice.
pub fn failed_at(run: &Run) -> Option<u64> {
    let failed = given_twice(run).filter(|(before, again)| !is_another_bucket(run, before, again));
    failed.map(|(before, again)| before.at.at_ns.min(again.at.at_ns).saturating_sub(FORKED_NS)).min()
}
