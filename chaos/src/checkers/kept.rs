//! A place is kept: whoever stands behind others in the line of a lock does not go to its end. Only who is first may have had
//! its turn and made nothing of it. Who does not see its own place asks the store for it, since what it read may be old.
//!
//! Of those who want one lock alone: readers claim side by side, and a set of locks lets others pass.

use std::collections::BTreeMap;

use super::places::Place;
use super::{Finding, Run};

/// What those do who want one lock alone.
const ALONE: [&str; 4] = ["lock", "patient", "greedy", "guarded"];

/// Where somebody stood last.
struct Stood {
    key: String,
    order: u64,
    place: Place,
}

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new("a place is kept", "contract §1.7; lease-lib/src/docs/fairness.md");
    let alone = run.lives.iter().filter(|life| ALONE.contains(&life.workload.as_str()));
    let alone: Vec<&str> = alone.map(|life| life.worker.as_str()).collect();
    // The orders of each line with their keys, and where each attempt stood last.
    let mut lines: BTreeMap<&str, BTreeMap<u64, (&str, u64)>> = BTreeMap::new();
    let mut stood: BTreeMap<String, Stood> = BTreeMap::new();
    for (is_unsure, write) in run.audit.walk() {
        if is_unsure {
            lines.clear();
            stood.clear();
        }
        let Some(wanted) = write.line().filter(|wanted| wanted.starts_with("lock.")) else {
            // It was given its turn, or held: what comes of that is another matter.
            if let Some(record) = write.record() {
                stood.remove(record.attempt);
            }
            continue;
        };
        let line = lines.entry(wanted).or_default();
        // With a bucket that is deleted go its places, and nobody writes that they do.
        let made_anew = run.made_anew(write.at.at_ns);
        line.retain(|_, (key, at_ns)| *key != write.key && *at_ns >= made_anew);
        let Some(place) = Place::of(write) else { continue };
        line.insert(write.revision, (&write.key, write.at.at_ns));
        if !alone.contains(&place.owner.as_str()) {
            continue;
        }
        finding.examine();
        let attempt = place.attempt.clone();
        let now = Stood { key: write.key.clone(), order: write.revision, place };
        let Some(before) = stood.insert(attempt, now) else { continue };
        // Under the same key it takes again what somebody removed who thought it dead.
        let is_another = before.key != write.key;
        let is_behind = line.range(..before.order).next().is_some();
        let (from, to) = (before.place.at_ns, write.at.at_ns);
        let made_anew = run.faults.iter().any(|band| band.nemesis == "bucket" && band.touches(from, to, 0));
        if is_another && is_behind && !made_anew && !run.is_beyond(from, to, 0) {
            let whose = &before.place.owner;
            let sentence =
                format!("{whose} stood in the line of {wanted} behind others, and went to its end.");
            finding.violate([before.place.said, write.at.line], sentence);
        }
    }
    finding.done("nobody stood in the line of a lock")
}
