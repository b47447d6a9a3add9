//! Who stood in which line when something was granted: what the checkers of the line look at.

use std::collections::{BTreeMap, BTreeSet};

use super::Run;
use super::audit::{Record, Revision};

/// How long a fault may be felt in the line: until presence, reservations and looks have come round again.
pub const FELT_NS: u64 = 20_000_000_000;

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

/// Something was granted.
#[derive(Debug)]
pub struct Turn<'a> {
    /// What those stand in line for who want it.
    pub wanted: &'a str,
    /// The granting write.
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

/// Calls `taken` for each grant of something that has a line, in the order in which they were written. Who wants a set of
/// locks lets others pass: such have no place here.
pub fn each_turn(run: &Run, mut taken: impl FnMut(&Turn)) {
    let sets = sets(run);
    let mut lines: BTreeMap<&str, BTreeMap<u64, Place>> = BTreeMap::new();
    let mut places: BTreeMap<&str, u64> = BTreeMap::new();
    let mut granted: BTreeMap<String, &str> = BTreeMap::new();
    let mut last: BTreeMap<&str, &Revision> = BTreeMap::new();
    for write in run.audit.in_order() {
        if let Some((wanted, _)) = write.key.strip_prefix("line.").and_then(|it| it.rsplit_once('.')) {
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
        let Some(record) = write.record().filter(|it| !it.is_reserved && it.token.is_none()) else {
            continue;
        };
        let Some(wanted) = wanted(write).filter(|_| !record.attempt.is_empty()) else { continue };
        // A batch writes it once for each guard: one turn.
        if granted.insert(wanted.clone(), record.attempt) == Some(record.attempt) {
            continue;
        }
        let Some(line) = lines.get_mut(wanted.as_str()) else { continue };
        // With a bucket that is deleted go its places, and nobody writes that they do.
        let bucket = run.faults.iter().filter(|band| band.nemesis == "bucket").map(|band| band.from.at_ns);
        if let Some(deleted) = bucket.filter(|at| *at <= write.at.at_ns).max() {
            line.retain(|_, place| place.at_ns >= deleted);
        }
        let order = line.iter().find(|(_, place)| place.attempt == record.attempt).map(|(order, _)| *order);
        taken(&Turn { wanted: &wanted, write, record, before, order, line });
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

/// The attempts that want several locks, or may: those that were granted a set, and those that wait for a name that is
/// asked for in sets and were never granted.
pub fn sets(run: &Run) -> BTreeSet<String> {
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
        if let (Some((wanted, _)), Some(attempt)) = (wanted, write.text("attempt"))
            && in_sets.contains(wanted)
            && !alone.contains(attempt)
        {
            sets.insert(attempt.to_owned());
        }
    }
    sets
}
