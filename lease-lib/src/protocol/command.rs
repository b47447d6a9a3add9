//! What a [`Hold`](super::Hold) is told, and what it asks for.

use super::ending::{Ending, Released};
use super::gate::Request;
use super::guarded::Guarded;
use super::loss::Loss;
use super::payload::Payload;
use super::record::Slot;
use crate::ambient::Moment;
use crate::store::{Ack, Revision, WriteError};

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The outcome of the write that [`Command::Send`] asked for.
    Answered(Result<Ack, WriteError>),
    /// What [`Command::Look`] found; `None` if nothing could be read.
    Found(Option<Slot>),
    /// Renew now. The answer shows as a later deadline.
    Renew,
    /// Say this from now on, with a renewal at once. That it was confirmed shows in [`Hold::said`](super::Hold::said).
    Say(Payload),
    /// Give it back. Drop a write or a look that is under way.
    End(Ending),
    /// Renew, and this with it in one batch. One at a time: what comes of it shows in [`Hold::guarded`](super::Hold::guarded).
    Guard(Guarded),
    /// Stop believing at once.
    Lose(Loss),
    /// This process has written another grant over it: nothing is left to be given back.
    Supersede,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send this once, and tell the outcome.
    Send(Request),
    /// Read this revision, and tell what was found.
    Look(Revision),
    /// Nothing until this moment, or an event.
    Wait(Moment),
    /// Nothing any more until an event.
    Rest,
    /// It is over.
    Done(Released),
}
