//! Who stood in which line when something was granted: what the checkers of the line look at.

use std::collections::{BTreeMap, BTreeSet};

use super::Run;
use super::audit::{Record, Revision};

/// A place in a line.
#[derive(Clone, Debug)]
pub struct Place {
    /// The line of the history that says so.
    pub said: usize,
    /// Since when it stands there.
    pub at_ns: u64,
    /// The attempt that waits in it.
    pub attempt: String,
    /// Which worker it is of.
    pub owner: String,
}

impl Place {
    /// The place that this write of a key in a line makes.
    pub fn of(write: &Revision) -> Option<Place> {
        let attempt = write.text("attempt").filter(|_| !write.is_deletion)?.to_owned();
        let owner = write.text("owner").unwrap_or_default().to_owned();
        Some(Place { said: write.at.line, at_ns: write.at.at_ns, attempt, owner })
    }
}

/// Something was granted, or kept free for somebody.
#[derive(Debug)]
pub struct Turn<'a> {
    /// What those stand in line for who want it.
    pub wanted: &'a str,
    /// The granting write, or that which keeps it free.
    pub write: &'a Revision,
    /// What it says.
    pub record: Record<'a>,
    /// What its key said before.
    pub before: Option<&'a Revision>,
    /// The order of the place of whoever is granted it, if it had one.
    pub order: Option<u64>,
    /// The places by their order, that of the one who is granted it among them.
    pub line: &'a BTreeMap<u64, Place>,
}

/// Calls `taken` for each turn of something that has a line, in the order in which they were written. Who wants a set of
/// locks lets others pass: such have no place here. Where revisions were missed, places are forgotten: one of them may
/// have been removed.
pub fn each_turn(run: &Run, mut taken: impl FnMut(&Turn)) {
    let sets = sets(run);
    let mut lines: BTreeMap<&str, BTreeMap<u64, Place>> = BTreeMap::new();
    let mut places: BTreeMap<&str, u64> = BTreeMap::new();
    let mut turns: BTreeMap<String, &str> = BTreeMap::new();
    let mut last: BTreeMap<&str, &Revision> = BTreeMap::new();
    for (is_unsure, write) in run.audit.walk() {
        if is_unsure {
            lines.clear();
            places.clear();
        }
        if let Some(wanted) = write.line() {
            let line = lines.entry(wanted).or_default();
            if let Some(order) = places.remove(write.key.as_str()) {
                line.remove(&order);
            }
            if let Some(place) = Place::of(write).filter(|place| !sets.contains(&place.attempt)) {
                line.insert(write.revision, place);
                places.insert(&write.key, write.revision);
            }
            continue;
        }
        let before = last.insert(&write.key, write);
        let Some(record) = write.record().filter(|it| it.token.is_none() && !it.attempt.is_empty()) else {
            continue;
        };
        let Some(wanted) = wanted(write) else { continue };
        // Kept free for it, then granted; and a batch writes it once for each guard: one turn.
        let is_again = turns.insert(wanted.clone(), record.attempt) == Some(record.attempt);
        let Some(line) = lines.get_mut(wanted.as_str()) else { continue };
        // With a bucket that is deleted go its places, and nobody writes that they do.
        let made_anew = run.made_anew(write.at.at_ns);
        line.retain(|_, place| place.at_ns >= made_anew);
        let order = line.iter().find(|(_, place)| place.attempt == record.attempt).map(|(order, _)| *order);
        let is_granted = !record.is_reserved;
        if !is_again {
            taken(&Turn { wanted: &wanted, write, record, before, order, line });
        }
        // Its place goes a little later, perhaps after it has given back what it was granted.
        if let Some(order) = order.filter(|_| is_granted) {
            line.remove(&order);
        }
    }
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

/// The attempts that want several locks: those that were granted a set, and all of workers who ask for nothing else.
pub fn sets(run: &Run) -> BTreeSet<String> {
    let many = run.lives.iter().filter(|life| life.workload == "multi").map(|life| life.worker.as_str());
    let many: BTreeSet<&str> = many.collect();
    let is_of_set = |write: &&Revision| {
        write.record().is_some_and(|it| it.is_set)
            || Place::of(write).is_some_and(|place| many.contains(place.owner.as_str()))
    };
    let writes = run.audit.in_order().filter(is_of_set);
    writes.filter_map(|write| write.attempt().map(str::to_owned)).collect()
}
