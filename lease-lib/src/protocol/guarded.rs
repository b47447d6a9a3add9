//! What goes with a renewal in one batch, so that the store itself refuses it once the grant has ended.
//!
//! ```text
//!   a write:  [data.k := value, while my record has the revision I know; my record there := renewed]
//!   a look:   [my record at the revision I know := renewed, while data.k has the revision that was read]
//! ```
//!
//! Both are renewals: they count as such, and their deadline is counted from before their first send. Both name the
//! record's revision, so after the grant was released, handed over, broken or has expired, they change nothing. (A guard
//! by an epoch key would still let in a holder that has expired.) A batch that a single server cuts short has had its
//! conditions looked at before, so a value that stands without the renewal was rightly written.

use super::gate::Gate;
use crate::store::{BatchWrite, Body, Condition, Revision};

/// What goes with a renewal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Guarded {
    /// Writes a key, whatever is there.
    Put {
        /// The key.
        key: String,
        /// What to write.
        body: Body,
        /// As [`BatchWrite::ttl_secs`].
        ttl_secs: u64,
    },
    /// Proves that a key has this revision.
    Unchanged {
        /// The key.
        key: String,
        /// The revision; 0 if nothing is there.
        revision: Revision,
    },
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was applied while the grant stood.
    Done,
    /// The key does not have that revision (any more).
    Changed,
    /// It was not applied, and never will be: the grant has ended.
    Not,
    /// The store refuses it, whatever the grant: too long, or not permitted.
    Refused,
    /// The grant ended, or its holder gave up, before the outcome was known.
    Unknown,
}

/// One that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Extra {
    /// Counts them within the grant; the renewal that carries it says so in the record.
    pub number: u64,
    pub what: Guarded,
    /// A try was sent whose outcome is unknown, or is not known yet.
    pub open: bool,
    pub flying: bool,
}

impl Extra {
    /// What goes with the renewal of `record`, which has revision `mine`.
    pub(super) fn gate(&self, record: &str, mine: Revision) -> Gate {
        let mut gate = Gate::default();
        match &self.what {
            Guarded::Put { key, body, ttl_secs } => gate.with(BatchWrite {
                key: key.clone(),
                only_if: Condition::Other { key: record.to_owned(), revision: mine },
                body: body.clone(),
                ttl_secs: *ttl_secs,
            }),
            Guarded::Unchanged { key, revision } => gate.unchanged(key.clone(), *revision),
        }
        gate
    }

    pub(super) fn is_look(&self) -> bool {
        matches!(self.what, Guarded::Unchanged { .. })
    }

    /// What it comes to if nothing more is sent.
    pub(super) fn given_up(&self) -> Outcome {
        if self.open || self.flying { Outcome::Unknown } else { Outcome::Not }
    }
}
