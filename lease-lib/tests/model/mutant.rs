//! Wrong protocols, made by bending what the right one says or hears. The shipped code knows nothing of them.

use std::time::Duration;

use lease::Moment;
use lease::protocol::{Claim, Record, Slot};
use lease::store::{Ack, Revision, Write, WriteError};

use crate::bounds::Bounds;
use crate::store::{KEY, author, record};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Releases and handovers hit whatever is stored.
    ReleaseWithoutCas,
    /// A grant's deadline counts from the arrival of the answer.
    DeadlineFromTheAnswer,
    /// Belief lasts for the whole of T.
    NoMargin,
    /// Renewals have no TTL.
    RenewalWithoutTtl,
    /// "Applied once" is taken for "stands", whether the store says so or a read.
    DuplicateStands,
    /// Silence is taken for a definite no.
    UnknownIsNo,
    /// Silence is taken for a yes.
    UnknownIsYes,
    /// A renewal's answer is judged by a clock that was read a second before it arrived.
    LateYesCounts,
    /// A breaker's mark on one's own record is not looked for.
    MarkOverlooked,
}

/// What is told of a write.
pub(crate) type Outcome = Result<Ack, WriteError>;

impl Mutant {
    /// The revision and the TTL that a write comes with.
    pub(crate) fn sends(mutant: Option<Mutant>, write: &Write, stored: Revision) -> (Revision, u64) {
        let written = || record(&write.body);
        match mutant {
            Some(Mutant::ReleaseWithoutCas) if written().is_none_or(|record| record.reserved) => {
                (stored, write.ttl_secs)
            }
            Some(Mutant::RenewalWithoutTtl) if written().is_some_and(|record| record.token.is_some()) => {
                (write.expect, 0)
            }
            _ => (write.expect, write.ttl_secs),
        }
    }

    /// What is made of an answer; `last` is the store's last revision.
    pub(crate) fn hears(mutant: Option<Mutant>, answer: Outcome, last: Revision) -> Outcome {
        match (mutant, answer) {
            (Some(Mutant::DuplicateStands), Ok(ack)) => Ok(Ack { duplicate: false, ..ack }),
            (Some(Mutant::UnknownIsNo), Err(WriteError::Unknown(_))) => {
                Err(WriteError::Conflict { current: None })
            }
            (Some(Mutant::UnknownIsYes), Err(WriteError::Unknown(_))) => {
                Ok(Ack { revision: last.max(1), duplicate: false })
            }
            (_, answer) => answer,
        }
    }

    /// What is made of what a revision was found to hold.
    pub(crate) fn finds(mutant: Option<Mutant>, slot: Option<Slot>) -> Option<Slot> {
        match (mutant, slot) {
            (
                Some(Mutant::MarkOverlooked),
                Some(Slot::Taken { revision, record, ttl_secs, written_micros }),
            ) => {
                let record = Record { broken: None, ..record };
                Some(Slot::Taken { revision, record, ttl_secs, written_micros })
            }
            (_, slot) => slot,
        }
    }

    /// What a claim hears instead of what a revision was found to hold, if anything.
    pub(crate) fn hears_found(mutant: Option<Mutant>, claim: &Claim, slot: Option<&Slot>) -> Option<Outcome> {
        let slot = slot.filter(|_| mutant == Some(Mutant::DuplicateStands))?;
        let own = slot.attempt().is_some_and(|attempt| author(claim.write()) == attempt);
        own.then_some(Ok(Ack { revision: slot.revision(), duplicate: false }))
    }

    /// The claim to which a yes is told.
    pub(crate) fn claims(bounds: &Bounds, claim: Claim, serial: u64, now: Moment) -> Claim {
        let (write, body) = (claim.write(), record(&claim.write().body));
        match (bounds.mutant, body) {
            (Some(Mutant::DeadlineFromTheAnswer), Some(body)) => {
                Claim::new(KEY.into(), body, bounds.times(), write.expect, serial, now)
            }
            _ => claim,
        }
    }

    /// The moment at which a hold takes an answer.
    pub(crate) fn takes_at(mutant: Option<Mutant>, now: Moment) -> Moment {
        match mutant {
            Some(Mutant::LateYesCounts) => now - Duration::from_secs(1),
            _ => now,
        }
    }

    /// The moment at which belief is judged.
    pub(crate) fn believes_at(bounds: &Bounds, now: Moment) -> Moment {
        match bounds.mutant {
            Some(Mutant::NoMargin) => now - bounds.times().margin(),
            _ => now,
        }
    }
}
