//! Locks for readers and writers: many of the one, or one of the other.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::Error;
use crate::lease::Lease;
use crate::lock::{Attempt, Lock};
use crate::space::Space;

/// A lock that many may read under, or one may write under. Made by [`Space::rw_lock`]; cheap to clone.
///
/// It is the same lock as [`Space::lock`] of that name, with two ways to hold it. Readers and writers stand in one line, in
/// the order in which they came: a writer waits for the readers before it, and the readers after it wait for the writer,
/// so neither starves. There is no upgrade: two readers that both waited for the other to go would wait for ever. Release,
/// and acquire for writing; what was read may have changed by then.
///
/// ```
/// # async fn run() -> Result<(), lease::Error> {
/// let space = lease::Space::embedded();
/// let catalog = space.rw_lock("catalog");
/// let (one, two) = (catalog.read().await?, catalog.read().await?);
/// assert!(matches!(catalog.try_write().await?, lease::Attempt::Held(_)));
/// one.release().await?;
/// two.release().await?;
/// let writer = catalog.write().await?;
/// # drop(writer); Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct RwLock {
    lock: Lock,
}

impl RwLock {
    pub(crate) fn new(space: Space, name: &str) -> RwLock {
        RwLock { lock: Lock::new(space, name) }
    }

    /// How long a grant outlives its holder's last sign of life: see [`Lock::ttl`].
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> RwLock {
        RwLock { lock: self.lock.ttl(ttl) }
    }

    /// Who the holder says it is: see [`Lock::owner`].
    #[must_use]
    pub fn owner(self, owner: impl Into<String>) -> RwLock {
        RwLock { lock: self.lock.owner(owner) }
    }

    /// What others can see about the holder: see [`Lock::metadata`].
    #[must_use]
    pub fn metadata(self, metadata: BTreeMap<String, String>) -> RwLock {
        RwLock { lock: self.lock.metadata(metadata) }
    }

    /// The lock as readers hold it, with all that a [`Lock`] can do.
    pub fn reader(&self) -> Lock {
        self.lock.clone().shared()
    }

    /// The lock as a writer holds it, with all that a [`Lock`] can do.
    pub fn writer(&self) -> Lock {
        self.lock.clone()
    }

    /// Waits for its turn, and reads beside others. Cancel-safe, as [`Lock::acquire`].
    ///
    /// # Errors
    /// As [`Lock::acquire`]; and [`Error::TooMany`] where 500 read already.
    pub async fn read(&self) -> Result<Lease, Error> {
        self.reader().acquire().await
    }

    /// Waits for its turn, and writes alone. Cancel-safe, as [`Lock::acquire`].
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub async fn write(&self) -> Result<Lease, Error> {
        self.lock.acquire().await
    }

    /// From writing to reading, with no other writer in between: the writer's grant ends, and the record is kept free for
    /// this reader until it holds. Those who wait to read are let in behind it.
    ///
    /// The reader's grant has a token of its own, higher than the writer's. Not cancel-safe: dropping the future gives the
    /// lock up.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if the lease is not this lock's, held for writing. [`Error::Lost`] or [`Error::Unknown`] if the
    /// writer's grant was lost, or what was kept free for the reader was not taken within 3 s: then nothing is held.
    pub async fn downgrade(&self, writer: Lease) -> Result<Lease, Error> {
        self.reader().kept_from(writer).await
    }

    /// Reads if nobody writes, and nobody is seen to wait for that; does not wait, except for the store.
    ///
    /// # Errors
    /// As [`RwLock::read`], and as [`Lock::try_acquire`].
    pub async fn try_read(&self) -> Result<Attempt, Error> {
        self.reader().try_acquire().await
    }

    /// Writes if nobody reads or writes; does not wait, except for the store.
    ///
    /// # Errors
    /// As [`Lock::try_acquire`].
    pub async fn try_write(&self) -> Result<Attempt, Error> {
        self.lock.try_acquire().await
    }
}
