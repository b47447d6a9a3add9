//! One logical compare-and-set write, however often it has to be sent.
//!
//! What an answer means depends on the tries before it. As long as no earlier try is *open* (sent, outcome unknown),
//! a conflict is a definite no. With an open try, the conflict may have been caused by that very try: then the
//! revision that stands in the way is read by its number and its nonce compared. That read may fail but cannot
//! mislead: what a revision holds never changes.
//!
//! A try may be heard by two leaders, one that was cut off and the one that was elected instead: by clients of a server that
//! reaches both. The first answer counts, and mostly that is the former's, which has to ask nobody. So an answer that such a
//! leader may have given leaves the try open: it did nothing itself, and the other one may have applied it.

use std::time::Duration;

use super::pauses::Pauses;
use super::record::Slot;
use crate::store::{Ack, Revision, Write, WriteError};

/// One logical write: the same [`Write`], with the same id, until its outcome is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cas {
    write: Write,
    nonce: String,
    open: bool,
    pauses: Pauses,
    /// It goes with others in one batch, so a conflict may name another key's revision.
    gated: bool,
}

/// What to do about a logical write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was applied as this revision, and the store said so to the first try: it stands.
    Applied(Revision),
    /// It was applied as this revision some time ago. Whether it still stands only another CAS can tell.
    AppliedOnce(Revision),
    /// It was not applied and never will be by a try whose outcome is known; the key's revision is this one.
    Not(Option<Revision>),
    /// Send it again, unchanged, after this pause.
    Again(Duration),
    /// Read this revision and pass what was found to [`Cas::found`].
    Look(Revision),
    /// The store refuses it for good, with what to mend.
    Refused(String),
}

impl Cas {
    /// A write that has not been sent. `nonce` is the attempt that its record carries.
    pub fn new(write: Write, nonce: impl Into<String>) -> Cas {
        Cas { write, nonce: nonce.into(), open: false, pauses: Pauses::default(), gated: false }
    }

    /// Some earlier write that did the same may yet be applied.
    pub fn opened(self) -> Cas {
        Cas { open: true, ..self }
    }

    /// The write goes with others in one batch.
    pub fn gated(self) -> Cas {
        Cas { gated: true, ..self }
    }

    /// What to send.
    pub fn write(&self) -> &Write {
        &self.write
    }

    /// Whether some try's outcome is unknown.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Takes the outcome of one try.
    pub fn answered(&mut self, answer: Result<Ack, WriteError>) -> Step {
        match answer {
            Ok(Ack { revision, duplicate: false }) => Step::Applied(revision),
            Ok(Ack { revision, duplicate: true }) => Step::AppliedOnce(revision),
            // A key's revision never sinks: this answer comes from a server that was left behind and does not know what
            // we were told already. It says nothing about who holds.
            Err(WriteError::Conflict { current: Some(older @ 1..) })
                if older < self.write.expect && !self.gated =>
            {
                self.set_back()
            }
            Err(WriteError::Conflict { current }) if !self.open => Step::Not(current),
            Err(WriteError::Conflict { current: Some(0) }) => Step::Not(Some(0)),
            // Of a batch, whatever key the revision belongs to: who says so looks at the id first, so that one has not applied it
            // up to now. Should it yet be, or have been by another leader, the next look finds the record and its nonce.
            Err(WriteError::Conflict { current: Some(revision) }) => Step::Look(revision),
            Err(WriteError::Conflict { current: None }) | Err(WriteError::NotTaken) => self.later(),
            // For a leader that was cut off, whatever it was asked since is under way for ever.
            Err(WriteError::InFlight) => {
                self.open = true;
                Step::Again(self.pauses.in_flight())
            }
            Err(WriteError::Unknown(_)) => self.set_back(),
            Err(WriteError::Refused(why)) => Step::Refused(why),
        }
    }

    /// What was answered says nothing, as whoever sent the write can tell: it may have been applied, and is sent again.
    pub fn set_back(&mut self) -> Step {
        self.open = true;
        self.later()
    }

    /// Takes what [`Step::Look`] found under the revision in the way; `None` if it was overwritten meanwhile or the
    /// read had no answer. Then the write is sent again, and the conflict names a newer revision.
    pub fn found(&mut self, slot: Option<&Slot>) -> Step {
        match slot {
            // Kept free for us by somebody else, whose grant came in between: none of our writes.
            Some(Slot::Taken { record, revision, .. })
                if record.attempt == self.nonce && !record.reserved =>
            {
                Step::AppliedOnce(*revision)
            }
            // A release's marker of our own nonce, or a record that names ours as the one before, also says that
            // the write was applied; Hold::release looks for those, a claim has no use for them.
            Some(slot) => Step::Not(Some(slot.revision())),
            None => self.later(),
        }
    }

    fn later(&mut self) -> Step {
        Step::Again(self.pauses.later())
    }
}
