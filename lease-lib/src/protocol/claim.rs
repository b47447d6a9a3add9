//! Winning a record: from the first send of a granting write to a [`Hold`], or to "not ours".

use std::time::Duration;

use super::cas::{Cas, Step};
use super::gate::{Gate, Request};
use super::hold::Hold;
use super::record::{Record, Slot};
use super::times::Times;
use crate::ambient::Moment;
use crate::store::{Ack, Body, Revision, Write, WriteError};
use crate::token::Token;

/// An attempt to be granted a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    key: String,
    record: Record,
    times: Times,
    cas: Cas,
    /// Before the first send of the write in `cas`.
    sent: Moment,
    /// Set once the granting write is known to have been applied, but not to stand: `cas` is then its confirmation.
    granted: Option<Revision>,
    /// What must be so for the granting write.
    gate: Gate,
}

/// What to do about a claim.
#[derive(Clone, Debug)]
pub enum ClaimStep {
    /// Send [`Claim::write`], after this pause.
    Send(Duration),
    /// Read this revision and pass what was found to [`Claim::found`].
    Look(Revision),
    /// Held from now on.
    Granted(Box<Hold>),
    /// Not ours; the key's revision, if it is known.
    NotOurs(Option<Revision>),
    /// Not granted in time. The write may have been applied: this is what to delete by CAS, if anything is known.
    TooLate {
        /// The revision known to be ours.
        ours: Option<Revision>,
    },
    /// The store refuses for good.
    Refused(String),
}

impl Claim {
    /// A claim on `key` at `expect` (0 for absent, a marker's revision, or a reservation's), first sent right after
    /// `now`. `serial` makes the write's id unique among the attempt's own.
    pub fn new(
        key: String,
        record: Record,
        times: Times,
        expect: Revision,
        serial: u64,
        now: Moment,
    ) -> Claim {
        let cas = Cas::new(write(&key, &record, times, expect, serial), record.attempt.clone());
        Claim { key, record, times, cas, sent: now, granted: None, gate: Gate::default() }
    }

    /// Grants only together with what the gate asks for.
    #[must_use]
    pub fn under(self, gate: Gate) -> Claim {
        let cas = if gate.is_empty() { self.cas } else { self.cas.gated() };
        Claim { cas, gate, ..self }
    }

    /// The same write was sent before, by a claim that was given up without an answer.
    #[must_use]
    pub fn repeated(self) -> Claim {
        Claim { cas: self.cas.opened(), ..self }
    }

    /// Whether nothing is known of what came of the granting write.
    pub fn is_unanswered(&self) -> bool {
        self.cas.is_open() && self.granted.is_none()
    }

    /// What to send: [`Claim::write`], with what goes with it.
    pub fn request(&self) -> Request {
        match self.granted {
            None => self.gate.request(self.cas.write()),
            // Its being granted is proven already; what is asked is whether it stands.
            Some(_) => Request::One(self.cas.write().clone()),
        }
    }

    /// The granting write, or its confirmation.
    pub fn write(&self) -> &Write {
        self.cas.write()
    }

    /// Past this moment nothing that claims is sent.
    pub fn deadline(&self) -> Moment {
        self.times.deadline(self.sent)
    }

    /// Whether some try's outcome is unknown.
    pub fn is_open(&self) -> bool {
        self.cas.is_open() || self.granted.is_some()
    }

    /// Takes the outcome of one try. `serial` as in [`Claim::new`], used if another write becomes necessary.
    pub fn answered(&mut self, now: Moment, serial: u64, answer: Result<Ack, WriteError>) -> ClaimStep {
        let step = self.cas.answered(answer);
        self.follow(now, serial, step)
    }

    /// Takes what [`ClaimStep::Look`] found.
    pub fn found(&mut self, now: Moment, serial: u64, slot: Option<&Slot>) -> ClaimStep {
        if let Some(Slot::Taken { record, revision, .. }) = slot
            && record.attempt == self.record.attempt
        {
            if record.broken.is_some() {
                // Granted and broken before its answer arrived: to confirm it would wipe out the breaker's mark.
                return ClaimStep::TooLate { ours: Some(*revision) };
            }
            if !record.reserved {
                // An earlier claim of this attempt may have confirmed its grant, and was told otherwise by a leader that had been
                // cut off: the token is the granting write's, not the confirmation's.
                self.granted = self.granted.or(record.token.map(Token::get));
            }
        }
        let step = self.cas.found(slot);
        self.follow(now, serial, step)
    }

    fn follow(&mut self, now: Moment, serial: u64, step: Step) -> ClaimStep {
        match step {
            // A late yes is no grant: by now the store may have given the name to somebody else.
            Step::Applied(revision) | Step::AppliedOnce(revision) if now >= self.deadline() => {
                ClaimStep::TooLate { ours: Some(revision) }
            }
            Step::Applied(revision) => ClaimStep::Granted(Box::new(Hold::new(
                self.key.clone(),
                self.record.clone(),
                self.times,
                Token::new(self.granted.unwrap_or(revision)),
                revision,
                self.sent,
            ))),
            // Applied once need not mean standing: only a CAS on that very revision proves that it is ours. The
            // confirmation is a renewal in all but name, so the deadline counts from its own send.
            Step::AppliedOnce(revision) => {
                let token = self.granted.unwrap_or(revision);
                self.granted = Some(token);
                self.record.token = Some(Token::new(token));
                let write = write(&self.key, &self.record, self.times, revision, serial);
                self.cas = Cas::new(write, self.record.attempt.clone());
                self.sent = now;
                ClaimStep::Send(Duration::ZERO)
            }
            Step::Not(current) => ClaimStep::NotOurs(current),
            Step::Again(_) | Step::Look(_) if now >= self.deadline() => {
                ClaimStep::TooLate { ours: self.granted }
            }
            Step::Again(pause) => ClaimStep::Send(pause),
            Step::Look(revision) => ClaimStep::Look(revision),
            Step::Refused(why) => ClaimStep::Refused(why),
        }
    }
}

fn write(key: &str, record: &Record, times: Times, expect: Revision, serial: u64) -> Write {
    Write {
        key: key.to_owned(),
        expect,
        body: Body::Put(record.encode()),
        ttl_secs: times.store_secs(),
        id: format!("{}-{serial}", record.attempt),
    }
}
