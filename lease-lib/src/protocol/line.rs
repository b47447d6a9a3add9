//! The line: who tries next. It decides nothing else; a CAS on the record decides who holds.
//!
//! A place is a key whose revision is its order. Each waiter follows exactly one key, that of the place directly
//! ahead; when it goes, the waiter either follows another or is first. The first follows the record. So a handover
//! wakes one waiter, at 8 waiters as at 1,000.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::payload::Payload;
use super::record::{Previous, Record, VERSION};
use crate::store::{Body, Entry, Revision};

/// Who waits, as a place's value and in notes between processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// The place's id: unique among the places of a line.
    pub place: String,
    /// The nonce of the waiting attempt.
    pub attempt: String,
    /// The waiting process.
    pub process: String,
    /// Who the waiter says it is, for people.
    pub owner: String,
    /// The host it waits on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Since when, RFC 3339, for people.
    pub since: String,
    /// Candidates only: who is preferred at the next vacancy; higher is better.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// Candidates only: whether it would take office now.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub is_ready: bool,
    /// Candidates only: what it has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Payload>,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

fn yes() -> bool {
    true
}

fn is_yes(yes: &bool) -> bool {
    *yes
}

impl Waiter {
    /// The record that keeps a lock free for this waiter. Nobody believes in it.
    pub fn reservation(&self) -> Record {
        Record {
            v: VERSION,
            holder: self.process.clone(),
            owner: self.owner.clone(),
            host: self.host.clone(),
            pid: self.pid,
            attempt: self.attempt.clone(),
            token: None,
            fence: None,
            ttl_ms: super::RESERVATION_SECS * 1_000,
            grace_secs: 0,
            since: self.since.clone(),
            metadata: Default::default(),
            previous: None,
            reserved: true,
            broken: None,
            readers: Vec::new(),
            with: Vec::new(),
            value: self.value.clone(),
            guarded: 0,
        }
    }
}

/// A place as it was found in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its key.
    pub key: String,
    /// Its revision, which is its order.
    pub order: Revision,
    /// Who waits there.
    pub waiter: Waiter,
}

/// What a place's deletion says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The waiter was first in line and has been granted the lock: whoever is behind is first now.
    #[serde(default)]
    pub granted: bool,
}

/// Reads a place; `None` for a marker, or something that is no place.
pub fn place(entry: &Entry) -> Option<Place> {
    let waiter = serde_json::from_slice(entry.value()?).ok()?;
    Some(Place { key: entry.key.clone(), order: entry.revision, waiter })
}

/// The places among the entries of a line, by order. An entry may be there in an older state as well, if it came with
/// another page: the newest counts.
pub fn places(mut entries: Vec<Entry>) -> Vec<Place> {
    entries.sort_by_key(|entry| entry.revision);
    let newest: BTreeMap<&str, &Entry> = entries.iter().map(|entry| (entry.key.as_str(), entry)).collect();
    let mut places: Vec<Place> = newest.into_values().filter_map(place).collect();
    places.sort_by_key(|place| place.order);
    places
}

/// The places that may come into office, the best first: by priority, then in order.
pub fn by_priority(mut places: Vec<Place>) -> Vec<Place> {
    places.retain(|place| place.waiter.is_ready);
    places.sort_by_key(|place| (std::cmp::Reverse(place.waiter.priority), place.order));
    places
}

/// Whether this entry, of the key of the place ahead, says that its waiter was granted the lock.
pub fn granted(entry: &Entry) -> bool {
    match &entry.body {
        Body::Delete(note) => serde_json::from_slice::<Left>(note).is_ok_and(|left| left.granted),
        Body::Put(_) => false,
    }
}

/// A note from process to process, at most once delivered: it makes things fast and decides nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// To the process of the waiter directly ahead: this one comes next after it.
    Behind {
        /// What the line is for.
        line: String,
        /// The place directly ahead.
        of: String,
        /// The attempt that waits there: a process uses the names of its places again.
        after: String,
        /// The sender's order.
        order: Revision,
        /// The sender.
        waiter: Waiter,
    },
    /// To the holder's process: this one is first in line.
    First {
        /// What the line is for.
        line: String,
        /// The sender's order.
        order: Revision,
        /// The sender.
        waiter: Waiter,
    },
    /// To whoever was told that it is next: it waits no more.
    Gone {
        /// What the line is for.
        line: String,
        /// The place that was left.
        place: String,
    },
    /// To the next in line: the record is kept free for it.
    Handed {
        /// What the line is for.
        line: String,
        /// The record.
        key: String,
        /// The attempt it is kept free for.
        attempt: String,
        /// The revision of the reservation.
        revision: Revision,
        /// How the grant before ended.
        previous: Option<Previous>,
    },
    /// To a waiter: nobody of the sender's process waits at the place that it said it stands behind.
    NotHere {
        /// What the line is for.
        line: String,
        /// The empty place.
        place: String,
        /// The attempt that is told.
        attempt: String,
    },
    /// To the holder's process: its grant was marked as broken.
    Broken {
        /// The record.
        key: String,
    },
}
