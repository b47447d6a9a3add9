//! First come, first served: read from the places and records that the store was given.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lease::protocol::{Slot, line};
use lease::store::{Entry, Revision};

use super::causes::Causes;
use super::records;
use super::{Waiting, Wrote};

/// How often in a row a waiter may be overtaken.
const OFTEN: u32 = 4;
/// How many places an attempt may take: one, and another whenever it was passed over because of a fault.
const MOST_PLACES: u32 = 30;
/// How long a fault may be felt in the line: until presence, reservations and looks have come round again.
const FELT: Duration = Duration::from_secs(20);

struct Place {
    attempt: String,
    /// By which process it was overtaken last, and how often in a row. The promise is for each process that serves
    /// its own next: another's turn in between comes by chance, to whoever tries first.
    by: usize,
    overtaken: u32,
}

/// The lines of all names, by order, and who held last.
#[derive(Default)]
pub struct Line {
    lines: BTreeMap<String, BTreeMap<Revision, Place>>,
    last: BTreeMap<String, (usize, String)>,
    /// When a place was last removed by somebody else than its waiter's process: what the others have heard of who
    /// stands behind whom may be out of date for a while.
    passed_over: BTreeMap<String, Duration>,
    /// How often each attempt took a place.
    joined: BTreeMap<String, u32>,
    /// Places that were taken when their waiter had gone: by a write that arrived after it was given up. Whoever comes
    /// to stand behind one is told, and removes it.
    ghosts: BTreeSet<Revision>,
    /// Keys of places that some write arrived late for.
    late: BTreeSet<String>,
}

impl Line {
    pub fn wrote(
        &mut self,
        wrote: &Wrote<'_>,
        waiting: &BTreeMap<String, Waiting>,
        causes: &Causes,
    ) -> Option<String> {
        if let Some(name) = name_of_place(&wrote.entry.key) {
            let line = self.lines.entry(name.to_owned()).or_default();
            if let Some(before) = wrote.before {
                line.remove(&before.revision);
                let owner = line::place(before).map(|place| place.waiter.owner);
                if owner.is_some_and(|owner| !owner.starts_with(&format!("{}/", wrote.by))) {
                    self.passed_over.insert(name.to_owned(), wrote.at);
                }
            }
            let place = line::place(wrote.entry)?;
            let attempt = place.waiter.owner;
            if !waiting.contains_key(&attempt) {
                self.ghosts.insert(place.order);
            }
            let joined = self.joined.entry(attempt.clone()).or_default();
            *joined += 1;
            let restless =
                (*joined == MOST_PLACES).then(|| format!("{attempt} takes place after place in {name}"));
            line.insert(place.order, Place { attempt, by: 0, overtaken: 0 });
            return restless;
        }
        let name = records::name(&wrote.entry.key)?;
        match Slot::of(Some(wrote.entry)) {
            Slot::Taken { record, .. } if !record.reserved && record.token.is_none() => {
                self.granted(name, &record.owner, wrote, waiting, causes)
            }
            _ => None,
        }
    }

    /// A place went without a write.
    pub fn expired(&mut self, entry: &Entry) {
        if let Some(name) = name_of_place(&entry.key)
            && let Some(line) = self.lines.get_mut(name)
        {
            line.remove(&entry.revision);
        }
    }

    /// A write is going to arrive late.
    pub fn late(&mut self, key: &str) {
        self.late.insert(key.to_owned());
    }

    /// Whether this place was, or may have been, taken by a write that nobody waited for any more.
    pub fn is_ghost(&self, entry: &Entry) -> bool {
        self.ghosts.contains(&entry.revision) || self.late.contains(&entry.key)
    }

    /// All places from this revision on are gone.
    pub fn emptied(&mut self, from: Revision) {
        for line in self.lines.values_mut() {
            line.retain(|order, _| *order < from);
        }
    }

    /// A granting write was applied.
    fn granted(
        &mut self,
        name: &str,
        attempt: &str,
        wrote: &Wrote<'_>,
        waiting: &BTreeMap<String, Waiting>,
        causes: &Causes,
    ) -> Option<String> {
        let before = self.last.insert(name.to_owned(), (wrote.by.index, attempt.to_owned()));
        // A batch writes it once for each guard, and a set is written over what was taken on the way to it: one turn.
        if before.as_ref().is_some_and(|(_, before)| before == attempt) {
            return None;
        }
        let before = before.map(|(index, _)| index);
        let line = self.lines.get_mut(name)?;
        let order = line.iter().find(|(_, place)| place.attempt == attempt).map(|(order, _)| *order);
        let tries = waiting.get(attempt).is_none_or(|waiting| waiting.tries);
        let felt = wrote.at.saturating_sub(FELT);
        let in_flux = self.passed_over.get(name).is_some_and(|at| *at >= felt);
        let mut found = None;
        for (place_order, place) in line.iter_mut() {
            // Behind the one that is granted now: nobody was overtaken in between.
            if order.is_some_and(|order| order <= *place_order) {
                place.overtaken = 0;
                continue;
            }
            let Some(waits) = waiting.get(&place.attempt).filter(|_| order.is_some() || !tries) else {
                continue;
            };
            let troubled = [Some(wrote.by.index), Some(waits.by.index), before]
                .into_iter()
                .flatten()
                .any(|who| causes.troubled(Some(who), felt));
            if troubled {
                continue;
            }
            place.overtaken = if place.by == wrote.by.index { place.overtaken + 1 } else { 1 };
            place.by = wrote.by.index;
            if place.overtaken > OFTEN {
                found = Some(format!(
                    "{} was overtaken {} times, now by {attempt}",
                    place.attempt, place.overtaken
                ));
            } else if order.is_some() && !causes.troubled(None, felt) && !in_flux {
                found = Some(format!(
                    "{attempt} was granted {name} before {}, which stands ahead",
                    place.attempt
                ));
            }
        }
        found
    }
}

/// The name of the line that this key is a place in.
fn name_of_place(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("line.lock.").or_else(|| key.strip_prefix("line.sem."))?;
    rest.rsplit_once('.').map(|(name, _)| name)
}
