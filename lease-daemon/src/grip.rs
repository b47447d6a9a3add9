//! What the daemon holds for a client: one lease of any kind, or several that stand and fall together.

use std::time::Duration;

use lease::{End, Error, Lease, Loss, Membership, Moment, MultiLease};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::wire::{self, Code, Grant, Problem};

/// A grant of the library's.
#[derive(Debug)]
pub enum Grip {
    /// One lease; of a membership, with the member's id.
    One(Lease, Option<String>),
    /// Several locks.
    All(MultiLease),
}

impl From<Lease> for Grip {
    fn from(lease: Lease) -> Grip {
        Grip::One(lease, None)
    }
}

impl From<Membership> for Grip {
    fn from(membership: Membership) -> Grip {
        let id = membership.id().to_owned();
        Grip::One(membership.into_lease(), Some(id))
    }
}

impl Grip {
    /// What is held, in the words of the wire.
    pub fn what(&self) -> Grant {
        match self {
            Grip::One(lease, member) => Grant::One {
                name: lease.name().to_owned(),
                token: lease.token().get(),
                fence: lease.fence().map(lease::Token::get),
                member: member.clone(),
            },
            Grip::All(lease) => Grant::All {
                tokens: lease.tokens().into_iter().map(|(name, token)| (name, token.get())).collect(),
            },
        }
    }

    /// The logical TTL.
    pub fn ttl(&self) -> Duration {
        match self {
            Grip::One(lease, _) => lease.ttl(),
            Grip::All(lease) => lease.ttl(),
        }
    }

    /// How the grant before this one ended; of several, nothing is told.
    pub fn previous(&self) -> Option<wire::Previous> {
        match self {
            Grip::One(lease, _) => lease.previous().map(wire::Previous::from),
            Grip::All(_) => None,
        }
    }

    /// The deadline, changed with every confirmed renewal.
    pub fn renewals(&self) -> watch::Receiver<Moment> {
        match self {
            Grip::One(lease, _) => lease.renewals(),
            Grip::All(lease) => lease.renewals(),
        }
    }

    /// Waits until it is lost. Cancel-safe.
    pub async fn lost(&self) -> Loss {
        match self {
            Grip::One(lease, _) => lease.lost().await,
            Grip::All(lease) => {
                let (name, loss) = lease.lost().await;
                tracing::info!(name, reason = loss.code(), "lost, and with it all that was granted together");
                loss
            }
        }
    }

    /// Cancelled when it is lost or given back.
    pub fn cancellation(&self) -> CancellationToken {
        match self {
            Grip::One(lease, _) => lease.cancellation(),
            Grip::All(lease) => lease.cancellation(),
        }
    }

    /// Renews, and returns once that is confirmed. Cancel-safe: the renewal goes on.
    ///
    /// # Errors
    /// If it is lost.
    pub async fn renew(&self) -> Result<(), Error> {
        match self {
            Grip::One(lease, _) => lease.renew().await.map(drop),
            Grip::All(lease) => lease.renew().await.map(drop),
        }
    }

    /// Gives it back.
    ///
    /// # Errors
    /// As [`Lease::release`].
    pub async fn release_as(self, why: End) -> Result<(), Error> {
        match self {
            Grip::One(lease, _) => lease.release_as(why).await,
            Grip::All(lease) => lease.release_as(why).await,
        }
    }

    /// Drops it, telling the next holder why.
    pub fn abandon(self, why: End) {
        match self {
            Grip::One(lease, _) => lease.abandon(why),
            Grip::All(lease) => lease.abandon(why),
        }
    }

    /// The one lease that it is.
    ///
    /// # Errors
    /// `wrong-kind`, for several.
    pub fn one(&self) -> Result<&Lease, Problem> {
        match self {
            Grip::One(lease, _) => Ok(lease),
            Grip::All(_) => Err(several()),
        }
    }

    /// Hands it to somebody in line, by name.
    ///
    /// # Errors
    /// The problem to answer with, and what is still held.
    pub async fn hand_over(self, to: &str) -> Result<(), (Problem, Option<Grip>)> {
        match self {
            Grip::One(lease, member) => match lease.hand_over(to).await {
                Ok(()) => Ok(()),
                Err((error, lease)) => Err((error.into(), lease.map(|lease| Grip::One(lease, member)))),
            },
            Grip::All(lease) => Err((several(), Some(Grip::All(lease)))),
        }
    }
}

fn several() -> Problem {
    let detail = "this lease is of several locks together, and only one of a single name can do that";
    Problem::new(Code::WrongKind, detail)
}
