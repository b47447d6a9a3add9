//! The order of the line: while nothing is broken, nobody who waits is overtaken more than four times in a row by those
//! who came later and are served by the same process. Whoever has no place only *tries*, and may step in while nobody
//! holds: that is shown where it happens often. An office goes by priority, and a set of locks lets others pass.

use std::collections::{BTreeMap, BTreeSet};

use super::audit::Revision;
use super::{Finding, Run};

/// How often in a row a waiter may be overtaken.
const OFTEN: u32 = 4;
/// How long a fault may be felt in the line: until presence, reservations and looks have come round again.
const FELT_NS: u64 = 20_000_000_000;

#[derive(Clone)]
struct Place {
    line: usize,
    at_ns: u64,
    attempt: String,
    by: String,
    overtaken: u32,
    stepped: u32,
}

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding =
        Finding::new("nobody is overtaken again and again", "contract §1.7; lease-lib/src/docs/fairness.md");
    let sets = sets(run);
    let mut lines: BTreeMap<&str, BTreeMap<u64, Place>> = BTreeMap::new();
    let mut places: BTreeMap<&str, u64> = BTreeMap::new();
    let mut last: BTreeMap<String, &str> = BTreeMap::new();
    for write in run.audit.in_order() {
        if let Some((wanted, _)) = write.key.strip_prefix("line.").and_then(|it| it.rsplit_once('.')) {
            let line = lines.entry(wanted).or_default();
            if let Some(order) = places.remove(write.key.as_str()) {
                line.remove(&order);
            }
            let attempt = write.value.as_ref().and_then(|it| it.get("attempt")).and_then(|it| it.as_str());
            if let Some(attempt) = attempt.filter(|it| !write.is_deletion && !sets.contains(*it)) {
                let (attempt, at) = (attempt.to_owned(), write.at);
                let (line_of, at_ns, by) = (at.line, at.at_ns, String::new());
                line.insert(
                    write.revision,
                    Place { line: line_of, at_ns, attempt, by, overtaken: 0, stepped: 0 },
                );
                places.insert(&write.key, write.revision);
            }
            continue;
        }
        let Some(record) = write.record().filter(|it| !it.is_reserved && it.token.is_none()) else {
            continue;
        };
        let Some(wanted) = wanted(write).filter(|_| !record.attempt.is_empty()) else { continue };
        // A batch writes it once for each guard: one turn.
        if last.insert(wanted.clone(), record.attempt) == Some(record.attempt) {
            continue;
        }
        let Some(line) = lines.get_mut(wanted.as_str()) else { continue };
        // With a bucket that is deleted go its places, and nobody writes that they do.
        let bucket = run.faults.iter().filter(|band| band.nemesis == "bucket").map(|band| band.from.at_ns);
        if let Some(deleted) = bucket.filter(|at| *at <= write.at.at_ns).max() {
            line.retain(|_, place| place.at_ns >= deleted);
        }
        let order = line.iter().find(|(_, place)| place.attempt == record.attempt).map(|(order, _)| *order);
        let is_troubled = troubled(run, write.at.at_ns);
        for (place_order, place) in line.iter_mut() {
            if order.is_some_and(|order| order <= *place_order) {
                // A turn in order, which whoever stands behind waited for.
                if !is_troubled && order.is_some_and(|order| order < *place_order) {
                    finding.examine();
                }
                (place.overtaken, place.stepped) = (0, 0);
                continue;
            }
            if is_troubled {
                continue;
            }
            finding.examine();
            let counted = if order.is_some() { &mut place.overtaken } else { &mut place.stepped };
            *counted = if place.by == record.holder { *counted + 1 } else { 1 };
            let times = *counted;
            record.holder.clone_into(&mut place.by);
            let what =
                format!("Whoever waits for {wanted} in this place was passed by {times} times in a row");
            match order {
                Some(_) if times > OFTEN => {
                    finding.violate([place.line, write.at.line], format!("{what} by those who came later."));
                }
                None if times == OFTEN + 1 => {
                    finding.show(
                        [place.line, write.at.line],
                        format!("{what} by those who only try, while it was free."),
                    );
                }
                _ => {}
            }
        }
    }
    finding.done("nobody stood in a line while another was granted what it waits for, but under faults")
}

/// What those stand in line for who want this record.
fn wanted(write: &Revision) -> Option<String> {
    let (kind, rest) = write.key.split_once('.')?;
    match kind {
        "lock" => Some(write.key.clone()),
        "read" => rest.rsplit_once('.').map(|(name, _)| format!("lock.{name}")),
        "sem" => rest.rsplit_once('.').map(|(name, _)| format!("sem.{name}")),
        _ => None,
    }
}

/// The attempts that want several locks, or may: those that were granted a set, and those that wait for a name that is
/// asked for in sets and were never granted.
fn sets(run: &Run) -> BTreeSet<String> {
    let in_sets: BTreeSet<String> = run
        .operations
        .iter()
        .filter(|it| it.names.len() > 1)
        .flat_map(|it| it.names.iter().map(|name| format!("lock.{name}")))
        .collect();
    let (mut sets, mut alone) = (BTreeSet::new(), BTreeSet::new());
    for record in run.audit.in_order().filter_map(Revision::record).filter(|it| !it.is_reserved) {
        if record.is_set {
            sets.insert(record.attempt.to_owned())
        } else {
            alone.insert(record.attempt.to_owned())
        };
    }
    for write in run.audit.in_order() {
        let wanted = write.key.strip_prefix("line.").and_then(|it| it.rsplit_once('.'));
        let attempt = write.value.as_ref().and_then(|it| it.get("attempt")).and_then(|it| it.as_str());
        if let (Some((wanted, _)), Some(attempt)) = (wanted, attempt)
            && in_sets.contains(wanted)
            && !alone.contains(attempt)
        {
            sets.insert(attempt.to_owned());
        }
    }
    sets
}

/// Whether a fault was on shortly before, or a process had gone.
fn troubled(run: &Run, at_ns: u64) -> bool {
    let felt = at_ns.saturating_sub(FELT_NS);
    let gone = |at: u64| (felt..=at_ns).contains(&at);
    run.faults.iter().any(|band| band.touches(at_ns, at_ns, FELT_NS))
        || run.lives.iter().any(|life| life.gone.is_some_and(|at| gone(at.at_ns)))
}
