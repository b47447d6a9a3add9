//! The store: one key, compare-and-set, TTL, and write ids that are applied once.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use lease::protocol::{MARKER_SECS, Record, Slot};
use lease::store::{Ack, Body, Entry, Revision, Write, WriteError};

use crate::bounds::{Bounds, Repeats};
use crate::mutant::{Mutant, Outcome};

/// The one key.
pub(crate) const KEY: &str = "lock.a";

/// What is stored under the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub revision: Revision,
    pub body: Body,
    pub ttl_secs: u64,
    /// The tick at which it was written; 0 for what outlives every run, so that such states count as one.
    pub written: u64,
    /// The body once more, read: for the record of a grant or of a reservation.
    pub record: Option<Record>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Store {
    /// The revision of the last write.
    pub last: Revision,
    pub kept: Option<Arc<Kept>>,
    /// Ids of applied writes that may be sent again. A run is much shorter than the duplicate window.
    pub applied: BTreeMap<String, Revision>,
}

/// The answer to a write that reached the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Applied { revision: Revision, duplicate: bool },
    Conflict { current: Revision },
}

/// A rule that was seen to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Foul {
    /// A write changed a record of another attempt.
    TouchedAnother,
    /// A write of the marked grant wiped out the breaker's mark.
    WipedMark,
    /// A token that is not above all before it.
    TokenNotAbove,
    /// A lease that was lost or released is believed again.
    Resurrected,
    /// Somebody was told that its lease is over, and its record is still there.
    LeftBehind,
}

impl Answer {
    pub(crate) fn told(self) -> Outcome {
        match self {
            Answer::Applied { revision, duplicate } => Ok(Ack { revision, duplicate }),
            Answer::Conflict { current } => Err(WriteError::Conflict { current: Some(current) }),
        }
    }
}

// What is read is the body's, and reading it takes longer than all else.
impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.revision, &self.body, self.ttl_secs, self.written).hash(state);
    }
}

impl Kept {
    /// Reads it as the library does.
    pub(crate) fn slot(&self) -> Slot {
        Slot::of(Some(&Entry {
            key: KEY.into(),
            revision: self.revision,
            body: self.body.clone(),
            ttl_secs: self.ttl_secs,
            written_micros: 0,
        }))
    }

    /// Whether it is never removed within a run.
    pub(crate) fn stays(&self) -> bool {
        self.ttl_secs == 0 || self.ttl_secs == MARKER_SECS
    }
}

/// The record that a write puts there.
pub(crate) fn record(body: &Body) -> Option<Record> {
    match body {
        Body::Put(value) => serde_json::from_slice(value).ok(),
        Body::Delete(_) => None,
    }
}

/// The attempt that a write comes from: all ids begin with it.
pub(crate) fn author(write: &Write) -> &str {
    write.id.split('-').next().unwrap_or_default()
}

impl Store {
    pub(crate) fn revision(&self) -> Revision {
        self.kept.as_ref().map_or(0, |kept| kept.revision)
    }

    pub(crate) fn slot(&self) -> Slot {
        self.kept.as_ref().map_or(Slot::of(None), |kept| kept.slot())
    }

    /// The record of a grant, or of a reservation.
    pub(crate) fn record(&self) -> Option<&Record> {
        self.kept.as_ref().and_then(|kept| kept.record.as_ref())
    }

    /// Takes a write.
    pub(crate) fn write(&mut self, bounds: &Bounds, tick: u64, write: &Write) -> (Answer, Option<Foul>) {
        let (expect, ttl_secs) = Mutant::sends(bounds.mutant, write, self.revision());
        let fits = expect == self.revision();
        match self.applied.get(&write.id) {
            Some(revision) if fits || bounds.repeats == Repeats::ById => {
                (Answer::Applied { revision: *revision, duplicate: true }, None)
            }
            None if fits => {
                let new = record(&write.body);
                let foul = self.foul_of(write, new.as_ref());
                let revision = self.put(tick, write.body.clone(), new, ttl_secs);
                self.applied.insert(write.id.clone(), revision);
                (Answer::Applied { revision, duplicate: false }, foul)
            }
            _ => (Answer::Conflict { current: self.revision() }, None),
        }
    }

    /// Whether a write would change anything now.
    pub(crate) fn would_apply(&self, bounds: &Bounds, write: &Write) -> bool {
        !self.applied.contains_key(&write.id)
            && Mutant::sends(bounds.mutant, write, self.revision()).0 == self.revision()
    }

    /// Whether a write might change something, now or before the horizon.
    pub(crate) fn may_apply(&self, bounds: &Bounds, tick: u64, write: &Write) -> bool {
        self.would_apply(bounds, write)
            || (write.expect == 0
                && !self.applied.contains_key(&write.id)
                && self.absent_from(bounds, tick) <= bounds.horizon)
    }

    /// The first tick at which nothing may be there. What stays may make room for a claim that expires.
    fn absent_from(&self, bounds: &Bounds, tick: u64) -> u64 {
        match &self.kept {
            None => tick,
            Some(kept) if kept.stays() => bounds.may_go(tick, bounds.times().store_secs()),
            Some(kept) => bounds.may_go(kept.written, kept.ttl_secs),
        }
    }

    /// Writes without asking.
    pub(crate) fn put(&mut self, tick: u64, body: Body, record: Option<Record>, ttl_secs: u64) -> Revision {
        self.last += 1;
        let mut kept = Kept { revision: self.last, body, ttl_secs, written: 0, record };
        kept.written = if kept.stays() { 0 } else { tick };
        self.kept = Some(Arc::new(kept));
        self.last
    }

    fn foul_of(&self, write: &Write, new: Option<&Record>) -> Option<Foul> {
        let there = self.record()?;
        if there.attempt != author(write) {
            return Some(Foul::TouchedAnother);
        }
        let renewed = new.filter(|record| !record.reserved)?;
        let same_grant = renewed.token == Some(there.token_at(self.revision()));
        (there.broken.is_some() && same_grant).then_some(Foul::WipedMark)
    }

    /// Whether the entry may expire at this tick, and whether it must.
    pub(crate) fn expiry(&self, bounds: &Bounds, tick: u64) -> (bool, bool) {
        match self.kept.as_ref().filter(|kept| !kept.stays()) {
            Some(kept) => (
                tick >= bounds.may_go(kept.written, kept.ttl_secs),
                tick >= bounds.must_go(kept.written, kept.ttl_secs),
            ),
            None => (false, false),
        }
    }
}
