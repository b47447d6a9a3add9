//! Members, as they are seen, and in their own hands.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::lease::Lease;
use crate::protocol::{Holder, Loss, Payload, Status};
use crate::token::Token;

/// A member as it was seen; it may be some seconds old.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Which member: new with each joining, unique in the space.
    pub id: String,
    /// What it has to say; `None` if a newer release wrote it, so that it cannot be read.
    pub value: Option<Payload>,
    /// Who it says it is.
    pub owner: String,
    /// The host it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Its token: higher than that of every member that joined before.
    pub token: Token,
    /// Since when it is a member, RFC 3339, by its wall clock.
    pub since: String,
    /// Its logical TTL in milliseconds.
    pub ttl_ms: u64,
}

impl Member {
    pub(super) fn of(id: &str, holder: Holder) -> Member {
        let Holder { owner, host, pid, token, since, ttl_ms, value, .. } = holder;
        Member { id: id.to_owned(), value, owner, host, pid, token, since, ttl_ms }
    }
}

/// Being a member of a group: a [`Lease`] on a place of one's own. It is renewed in the background (unless the caller asked
/// to renew it) until it is left, dropped or lost.
///
/// Dropping it leaves the group in the background, best effort, without blocking. [`Membership::leave`] also reports.
#[derive(Debug)]
pub struct Membership {
    id: String,
    lease: Lease,
}

impl Membership {
    pub(super) fn new(id: String, lease: Lease) -> Membership {
        Membership { id, lease }
    }

    /// Which member this is: [`Member::id`].
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The group's name.
    pub fn group(&self) -> &str {
        self.lease.name()
    }

    /// The token: higher than that of every member that joined before.
    pub fn token(&self) -> Token {
        self.lease.token()
    }

    /// Where the membership stands at this very moment: see [`Lease::status`].
    pub fn status(&self) -> Status {
        self.lease.status()
    }

    /// Waits until the membership is lost, and says why. Never returns if the group is left instead. Cancel-safe.
    ///
    /// It fires by the clock, without the network, before others see the member expire.
    pub async fn lost(&self) -> Loss {
        self.lease.lost().await
    }

    /// A token that is cancelled when the membership is lost or given back: hand it to the work.
    pub fn cancellation(&self) -> CancellationToken {
        self.lease.cancellation()
    }

    /// Shows another value from now on: see [`Lease::set_value`].
    ///
    /// # Errors
    /// As [`Lease::set_value`].
    pub async fn set_value(&self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.lease.set_value(&value).await
    }

    /// The lease under it.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The same as a plain lease, which leaves the group when it is released or dropped.
    pub fn into_lease(self) -> Lease {
        self.lease
    }

    /// Leaves the group, and says how that went. From the moment of the call it is no member any more.
    ///
    /// Dropping the future does not stop the leaving; it goes on in the background.
    ///
    /// # Errors
    /// As [`Lease::release`].
    pub async fn leave(self) -> Result<(), Error> {
        self.lease.release().await
    }
}
