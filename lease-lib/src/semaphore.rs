//! Semaphores: as many holders at once as the limit says, each with a lease and a token of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_stream::StreamExt;

use crate::error::Error;
use crate::history::{self, Held};
use crate::lease::Lease;
use crate::lock::{Attempt, Lock, Waiting, What};
use crate::name::Name;
use crate::protocol::line::{self, Waiter};
use crate::protocol::{Holder, key};
use crate::space::{Space, holders};
use crate::target;

/// A semaphore: a name, its limit, and how to hold one of its permits. Made by [`Space::semaphore`]; cheap to clone.
///
/// A permit is a [`Lease`]. Tokens rise within each of the semaphore's slots; no two permits that were ever granted have
/// the same. Waiters are served in the order in which they came.
///
/// ```
/// # async fn run() -> Result<(), lease::Error> {
/// let space = lease::Space::embedded();
/// let gpus = space.semaphore("gpu", 2);
/// let (first, second) = (gpus.acquire().await?, gpus.acquire().await?);
/// assert!(matches!(gpus.try_acquire().await?, lease::Attempt::Held(_)));
/// first.release().await?;
/// assert!(matches!(gpus.try_acquire().await?, lease::Attempt::Granted(_)));
/// # drop(second); Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore {
    permit: Lock,
}

/// A semaphore as it was seen; it may be some seconds old, and decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permits {
    /// How many there are; `None` if nobody ever asked for one.
    pub limit: Option<u32>,
    /// Who holds one, by token. After the limit was lowered there may be more of them than the limit.
    pub holders: Vec<Holder>,
    /// Who waits, in order.
    pub waiters: Vec<Waiter>,
}

impl Semaphore {
    pub(crate) fn new(space: Space, name: &str, limit: u32) -> Semaphore {
        Semaphore { permit: Lock::new(space, name).of(What::Permit { limit }) }
    }

    /// How long a permit outlives its holder's last sign of life: see [`Lock::ttl`].
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Semaphore {
        Semaphore { permit: self.permit.ttl(ttl) }
    }

    /// Who the holder says it is: see [`Lock::owner`].
    #[must_use]
    pub fn owner(self, owner: impl Into<String>) -> Semaphore {
        Semaphore { permit: self.permit.owner(owner) }
    }

    /// What others can see about the holder: see [`Lock::metadata`].
    #[must_use]
    pub fn metadata(self, metadata: BTreeMap<String, String>) -> Semaphore {
        Semaphore { permit: self.permit.metadata(metadata) }
    }

    /// Leaves renewing to the caller: see [`Lock::renewed_by_caller`].
    #[must_use]
    pub fn renewed_by_caller(self) -> Semaphore {
        Semaphore { permit: self.permit.renewed_by_caller() }
    }

    /// A permit as a [`Lock`], with all that one can do.
    pub fn permit(&self) -> Lock {
        self.permit.clone()
    }

    /// Checks the name, the limit and the settings, without any IO.
    ///
    /// # Errors
    /// [`Error::InvalidName`] or [`Error::InvalidSetting`], with the offending value and what is allowed.
    pub fn check(&self) -> Result<(), Error> {
        self.permit.check()
    }

    /// Waits for its turn, and holds a permit. Cancel-safe, as [`Lock::acquire`].
    ///
    /// # Errors
    /// As [`Lock::acquire`]; and [`Error::LimitMismatch`], also while waiting, once the limit is changed for all.
    pub async fn acquire(&self) -> Result<Lease, Error> {
        self.permit.acquire().await
    }

    /// Waits for its turn for at most `limit`. Cancel-safe, as [`Lock::acquire`].
    ///
    /// # Errors
    /// As [`Semaphore::acquire`], and as [`Lock::acquire_within`].
    pub async fn acquire_within(&self, limit: Duration) -> Result<Attempt, Error> {
        self.permit.acquire_within(limit).await
    }

    /// Holds a permit if one is free; does not wait, except for the store. Cancel-safe, as [`Lock::acquire`].
    ///
    /// # Errors
    /// As [`Semaphore::acquire`], and as [`Lock::try_acquire`].
    pub async fn try_acquire(&self) -> Result<Attempt, Error> {
        self.permit.try_acquire().await
    }

    /// A wait that also shows the place in line: see [`Lock::wait`].
    ///
    /// # Errors
    /// Invalid settings; nothing was sent.
    pub fn wait(&self, limit: Option<Duration>) -> Result<Waiting, Error> {
        self.permit.wait(limit)
    }

    /// Runs `work` while holding a permit, and stops it if that is lost: see [`Lock::with`].
    ///
    /// # Errors
    /// As [`Semaphore::acquire`], and [`Error::Lost`] if the permit was lost before the work was done.
    pub async fn with<T, F, W>(&self, work: F) -> Result<T, Error>
    where
        F: FnOnce(std::sync::Arc<Lease>) -> W,
        W: Future<Output = T>,
    {
        self.permit.with(work).await
    }

    /// Changes the limit for all, whatever it was, also while permits are held and waited for. Returns the semaphore with
    /// that limit; whoever asks with the old one is refused from then on.
    ///
    /// Nobody's permit is taken away. After the limit was lowered, permits are granted again once those above it have been
    /// given back, and never while as many as the new limit are held.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a limit outside 1 to 500, [`Error::Unreachable`] if the store did not confirm it
    /// within some seconds; then it may have been changed or not.
    pub async fn set_limit(&self, limit: u32) -> Result<Semaphore, Error> {
        let changed = Semaphore { permit: self.permit.clone().of(What::Permit { limit }) };
        changed.check()?;
        target::change_limit(changed.permit.space().core(), changed.permit.name(), limit).await?;
        Ok(changed)
    }

    /// Breaks the permit with this token, whoever holds it: see [`Lock::break_by_force`].
    ///
    /// # Errors
    /// As [`Lock::break_by_force`].
    pub async fn break_by_force(&self, token: crate::Token, reason: &str, now: bool) -> Result<(), Error> {
        self.permit.break_by_force(token, reason, now).await
    }

    /// The last holds of its permits that have ended: see [`Space::history`].
    ///
    /// # Errors
    /// As [`Space::history`].
    pub async fn history(&self) -> Result<Vec<Held>, Error> {
        let name = Name::new(self.permit.name())?;
        history::of(self.permit.space().core(), &key::permits(name.as_str())).await
    }

    /// Looks at it: the limit, the holders, and the line. It works with any limit.
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::Unreachable`].
    pub async fn look(&self) -> Result<Permits, Error> {
        let name = Name::new(self.permit.name())?;
        let space = self.permit.space();
        let agreed = target::agreed(space.core(), name.as_str()).await?;
        let wanted = key::permits(name.as_str());
        let slots = space.scan(format!("{wanted}.*")).collect::<Result<Vec<_>, _>>().await?;
        let places = space.scan(key::line(&wanted)).collect::<Result<Vec<_>, _>>().await?;
        Ok(Permits {
            limit: agreed.map(|(agreed, _)| agreed.limit),
            holders: holders(slots),
            waiters: line::places(places).into_iter().map(|place| place.waiter).collect(),
        })
    }
}
