//! What a user was granted, of whatever kind.

use std::time::Duration;

use lease::{Error, Lease, Loss, Moment, MultiLease, Status, Term};

/// One lease, or several that were granted together.
#[derive(Debug)]
pub enum Grant {
    One(Lease),
    Many(MultiLease),
    Office(Term),
}

impl Grant {
    /// The names that are held, with their tokens.
    pub fn parts(&self) -> Vec<(String, u64)> {
        match self {
            Grant::One(lease) => vec![(lease.name().to_owned(), lease.token().get())],
            Grant::Office(term) => vec![(term.lease().name().to_owned(), term.token().get())],
            Grant::Many(leases) => leases.tokens().into_iter().map(|(name, t)| (name, t.get())).collect(),
        }
    }

    /// The names, for people.
    pub fn shown(&self) -> String {
        self.parts().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join("+")
    }

    pub fn status(&self) -> Status {
        match self {
            Grant::One(lease) => lease.status(),
            Grant::Many(leases) => leases.status(),
            Grant::Office(term) => term.status(),
        }
    }

    pub fn believes(&self) -> bool {
        matches!(self.status(), Status::Held | Status::Jeopardy)
    }

    pub fn ttl(&self) -> Duration {
        match self {
            Grant::One(lease) => lease.ttl(),
            Grant::Many(leases) => leases.ttl(),
            Grant::Office(term) => term.lease().ttl(),
        }
    }

    pub fn deadline(&self) -> Moment {
        match self {
            Grant::One(lease) => lease.deadline(),
            Grant::Many(leases) => leases.deadline(),
            Grant::Office(term) => term.lease().deadline(),
        }
    }

    pub async fn lost(&self) -> Loss {
        match self {
            Grant::One(lease) => lease.lost().await,
            Grant::Many(leases) => leases.lost().await.1,
            Grant::Office(term) => term.lost().await,
        }
    }

    /// What can be written under it: one record's lease.
    pub fn lease(&self) -> Option<&Lease> {
        match self {
            Grant::One(lease) => Some(lease),
            Grant::Office(term) => Some(term.lease()),
            Grant::Many(_) => None,
        }
    }

    pub async fn renew(&self) -> Result<(), Error> {
        match self {
            Grant::One(lease) => lease.renew().await.map(drop),
            // Sets are renewed by themselves.
            Grant::Many(_) | Grant::Office(_) => Ok(()),
        }
    }

    pub async fn release(self) -> Result<(), Error> {
        match self {
            Grant::One(lease) => lease.release().await,
            Grant::Many(leases) => leases.release().await,
            Grant::Office(term) => term.resign().await,
        }
    }
}
