//! Giving a grant back: how it is to be done, and what came of it.

use super::loss::Loss;
use super::record::{End, MARKER_SECS, Marker, Previous, Record, Slot};
use crate::store::{Body, Revision};
use crate::token::Token;

/// How a grant is to be given back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    /// What the next holder is told.
    pub why: End,
    /// When, RFC 3339, for people.
    pub at: String,
    /// Keep the record free for this waiter instead of deleting it: a reserved record without TTL or token.
    pub reserve_for: Option<Record>,
}

impl Ending {
    /// What it writes over the record of `attempt`, and for how many seconds.
    pub(super) fn body(&self, attempt: &str, previous: Previous, grace_secs: u64) -> (Body, u64) {
        match self.reserved(previous.clone(), grace_secs) {
            Some(reserved) if reserved.attempt.is_empty() => (Body::Put(reserved.encode()), grace_secs),
            Some(reserved) => (Body::Put(reserved.encode()), RESERVATION_SECS),
            None => {
                let marker = Marker { attempt: attempt.to_owned(), previous };
                (Body::Delete(serde_json::to_vec(&marker).unwrap_or_default().into()), MARKER_SECS)
            }
        }
    }

    /// The record that it leaves, if it is no marker: kept free for the next one or, where there is a grace and the grant
    /// was not given back in order, for nobody.
    pub(super) fn reserved(&self, previous: Previous, grace_secs: u64) -> Option<Record> {
        let in_order = matches!(previous.why, End::Released | End::Stopped | End::HandedOver);
        let next = match grace_secs > 0 && !in_order {
            true => Some(Record::nobodys(self.at.clone())),
            false => self.reserve_for.clone(),
        };
        Some(Record { previous: Some(previous), reserved: true, token: None, ..next? })
    }
}

/// Why a grant ended that may have been lost before it was given back for the reason `asked`.
pub(super) fn why(loss: Option<&Loss>, asked: End) -> End {
    match (loss, asked) {
        (Some(Loss::Broken(_)), _) => End::Broken,
        // Whoever gives back what ran out did not do so in order, unless all that worked under it was seen gone.
        (Some(Loss::Expired), End::Stopped) => End::Stopped,
        (Some(Loss::Expired), _) => End::Expired,
        (_, asked) => asked,
    }
}

/// Whether what stands there shows that this grant's ending was applied, though its answer was lost.
pub(super) fn was_applied(slot: &Slot, attempt: &str, token: Token) -> bool {
    match slot {
        Slot::Free { by, .. } => by.as_deref() == Some(attempt),
        slot => slot.previous().is_some_and(|previous| previous.token == token),
    }
}

/// Whether what stands there shows that somebody had ended this grant by force before. Whoever ends it because of a mark says the
/// same of itself.
pub(super) fn was_forestalled(slot: &Slot, token: Token, loss: Option<&Loss>) -> bool {
    let is_broken = slot.previous().is_some_and(|it| it.token == token && it.why == End::Broken);
    is_broken && !matches!(loss, Some(Loss::Broken(_)))
}

/// How giving it back went.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Released {
    /// The record is free, or reserved for the next in line.
    Clean,
    /// It was lost before; nothing of anybody else's was touched.
    Lost(Loss),
    /// The store did not answer until the record must have expired by itself.
    Unknown,
}

/// What an ending left in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ended {
    /// Its revision.
    pub revision: Revision,
    /// What it says of the grant.
    pub previous: Previous,
    /// The reservation, if it is one; else it is a marker.
    pub reserved: Option<Record>,
}

/// How long a record is kept free for the next in line. Nobody believes in it, so it needs no slack.
pub const RESERVATION_SECS: u64 = 3;
