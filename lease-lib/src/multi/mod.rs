//! Several locks at once: all of them or none, in one atomic batch.

mod lease;
mod pursuit;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

pub use lease::MultiLease;

use crate::error::Error;
use crate::lock::Lock;
use crate::protocol::Holder;
use crate::space::Space;

/// The most names that may be locked together: each is a write of one batch, and so is each reader that must be gone.
pub(crate) const MOST_NAMES: usize = 64;

/// Several locks to be acquired together. Made by [`Space::lock_all`]; cheap to clone.
///
/// They are the locks of those names: whoever holds one of them alone keeps all of this waiting. While one is held by
/// somebody else, this waits in its line and holds nothing. Where it is first in one line and another name is taken, it
/// lets others pass; after having done so four times it takes the names one after the other, in their alphabetical
/// order, and keeps them until it has all. So it neither deadlocks with others that do the same, nor starves.
///
/// ```
/// # async fn run() -> Result<(), lease::Error> {
/// let space = lease::Space::embedded();
/// let both = space.lock_all(["account.1", "account.2"]).acquire().await?;
/// assert!(matches!(space.lock("account.2").try_acquire().await?, lease::Attempt::Held(_)));
/// println!("fence account.1 with {}", both.token("account.1").unwrap());
/// both.release().await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct LockAll {
    space: Space,
    names: BTreeSet<String>,
    /// The settings, under the first of the names.
    lock: Lock,
    renewed_by_caller: bool,
}

/// What came of an attempt at several locks that does not wait for ever.
#[derive(Debug)]
pub enum MultiAttempt {
    /// All are granted.
    Granted(MultiLease),
    /// At least this one is held by somebody else, who is named if that was seen.
    Held(String, Option<Holder>),
}

impl LockAll {
    pub(crate) fn new<N: Into<String>>(space: Space, names: impl IntoIterator<Item = N>) -> LockAll {
        let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        let lock = Lock::new(space.clone(), names.first().map_or("", String::as_str));
        LockAll { space, names, lock, renewed_by_caller: false }
    }

    /// How long the grant outlives its holder's last sign of life: see [`Lock::ttl`].
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> LockAll {
        LockAll { lock: self.lock.ttl(ttl), ..self }
    }

    /// Who the holder says it is: see [`Lock::owner`].
    #[must_use]
    pub fn owner(self, owner: impl Into<String>) -> LockAll {
        LockAll { lock: self.lock.owner(owner), ..self }
    }

    /// What others can see about the holder: see [`Lock::metadata`].
    #[must_use]
    pub fn metadata(self, metadata: BTreeMap<String, String>) -> LockAll {
        LockAll { lock: self.lock.metadata(metadata), ..self }
    }

    /// Leaves renewing to the caller, by [`MultiLease::renew`]: see [`Lock::renewed_by_caller`].
    #[must_use]
    pub fn renewed_by_caller(self) -> LockAll {
        LockAll { renewed_by_caller: true, ..self }
    }

    /// Checks the names and the settings, without any IO.
    ///
    /// # Errors
    /// [`Error::InvalidName`] or [`Error::InvalidSetting`], with the offending value and what is allowed.
    pub fn check(&self) -> Result<(), Error> {
        if !(1..=MOST_NAMES).contains(&self.names.len()) {
            return Err(Error::InvalidSetting {
                setting: "names",
                value: format!("of {} different locks", self.names.len()),
                allowed: format!("allowed are 1 to {MOST_NAMES}"),
            });
        }
        self.names.iter().try_for_each(|name| self.one(name).check())
    }

    /// Waits until all can be held, and holds them.
    ///
    /// Cancel-safe: dropping the future leaves every line, and gives back what may have been granted meanwhile.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub async fn acquire(&self) -> Result<MultiLease, Error> {
        match self.wait(None)?.granted().await? {
            MultiAttempt::Granted(lease) => Ok(lease),
            // Without a limit the wait ends with a grant or an error.
            MultiAttempt::Held(..) => Err(Error::Unknown("the wait ended without a grant")),
        }
    }

    /// Waits for at most `limit`. Cancel-safe, as [`LockAll::acquire`].
    ///
    /// # Errors
    /// As [`Lock::acquire_within`].
    pub async fn acquire_within(&self, limit: Duration) -> Result<MultiAttempt, Error> {
        self.wait(Some(limit))?.granted().await
    }

    /// Holds all of them if nobody holds one; does not wait, except for the store. Cancel-safe, as [`LockAll::acquire`].
    ///
    /// # Errors
    /// As [`Lock::try_acquire`].
    pub async fn try_acquire(&self) -> Result<MultiAttempt, Error> {
        self.wait(Some(Duration::ZERO))?.granted().await
    }

    /// What the acquires are made of: a wait that also shows the place in line. `None` waits without limit, zero does
    /// not wait.
    ///
    /// # Errors
    /// Invalid settings; nothing was sent.
    pub fn wait(&self, limit: Option<Duration>) -> Result<MultiWaiting, Error> {
        self.check()?;
        let (caller, answer) = oneshot::channel();
        let (place, ahead) = watch::channel(None);
        pursuit::start(self.clone(), limit, caller, place)?;
        Ok(MultiWaiting { answer, ahead })
    }

    /// One of the locks, with the settings of all.
    fn one(&self, name: &str) -> Lock {
        self.lock.clone().named(name)
    }
}

/// A wait for several locks, under way. Dropping it leaves every line.
#[derive(Debug)]
pub struct MultiWaiting {
    answer: oneshot::Receiver<Result<MultiAttempt, Error>>,
    ahead: watch::Receiver<Option<usize>>,
}

impl MultiWaiting {
    /// How many are ahead in the line in which it stands at present: of the one name that is in the way. So the number may
    /// rise again, when another is. `None` while that is not known (yet).
    pub fn ahead(&self) -> watch::Receiver<Option<usize>> {
        self.ahead.clone()
    }

    /// Waits for the outcome. Cancel-safe: may be called again after having been dropped.
    ///
    /// # Errors
    /// As [`LockAll::acquire_within`].
    pub async fn granted(&mut self) -> Result<MultiAttempt, Error> {
        // The task answers before it ends, unless the runtime is being shut down.
        (&mut self.answer).await.unwrap_or(Err(Error::Closing))
    }
}
