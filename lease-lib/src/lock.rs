//! Locks: exclusive or shared, fenced, first come first served.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio_stream::StreamExt;

use crate::ambient::fresh_id;
use crate::error::Error;
use crate::lease::Lease;
use crate::name::{Filter, Name};
use crate::protocol::{DEFAULT_TTL, Holder, Loss, Slot, Times, key};
use crate::space::Space;
use crate::target::{MOST_PERMITS, Target};
use crate::token::Token;
use crate::waiter::{self, Candidacy, Wanted};
use crate::watch::Watched;

/// The most entries in a lease's metadata.
const MOST_METADATA: usize = 32;
/// The most bytes in a lease's metadata, keys and values together.
const METADATA_BYTES: usize = 4_096;
/// The most characters in a holder's name for people.
pub const MAX_OWNER: usize = 256;

/// A lock to be acquired: a name and how to hold it. Made by [`Space::lock`]; cheap to clone.
///
/// Settings are checked when the lock is used, by [`Lock::check`], before anything is sent.
#[derive(Clone, Debug)]
pub struct Lock {
    space: Space,
    name: String,
    ttl: Duration,
    owner: Option<String>,
    metadata: BTreeMap<String, String>,
    renewed_by_caller: bool,
    grace: Duration,
    what: What,
}

/// What the settings are for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Exclusive,
    Shared,
    Permit { limit: u32 },
    Office,
}

/// What came of an attempt that does not wait for ever.
#[derive(Debug)]
pub enum Attempt {
    /// Granted.
    Granted(Lease),
    /// Held by somebody else, who is named if that was seen.
    Held(Option<Holder>),
}

impl Lock {
    pub(crate) fn new(space: Space, name: &str) -> Lock {
        let name = name.to_owned();
        let metadata = BTreeMap::new();
        let what = What::Exclusive;
        let (ttl, grace) = (DEFAULT_TTL, Duration::ZERO);
        Lock { space, name, ttl, owner: None, metadata, renewed_by_caller: false, grace, what }
    }

    /// For how long nobody is granted the name after this grant, unless it is given back in order ([`End::Released`],
    /// [`End::Stopped`], [`End::HandedOver`]): time for what a holder that failed has left running to come to an end. 0 s
    /// unless said, 24 h at most, in whole seconds. After it, how the grant ended is not told to the next holder.
    ///
    /// [`End::Released`]: crate::End::Released
    /// [`End::Stopped`]: crate::End::Stopped
    /// [`End::HandedOver`]: crate::End::HandedOver
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Lock {
        self.grace = grace;
        self
    }

    pub(crate) fn of(self, what: What) -> Lock {
        Lock { what, ..self }
    }

    pub(crate) fn named(self, name: &str) -> Lock {
        Lock { name: name.to_owned(), ..self }
    }

    /// What several locks share that are granted together.
    pub(crate) fn times_and_owner(&self) -> Result<(Times, String), Error> {
        self.wanted(None).map(|wanted| (wanted.times, wanted.owner))
    }

    pub(crate) fn metadata_for_all(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    pub(crate) fn space(&self) -> &Space {
        &self.space
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it is, in the words of [`KINDS`](crate::KINDS): `lock`, `shared`, `semaphore` or `election`.
    pub fn kind(&self) -> &'static str {
        match self.what {
            What::Exclusive => "lock",
            What::Shared => "shared",
            What::Permit { .. } => "semaphore",
            What::Office => "election",
        }
    }

    /// Shares it with others who do the same, up to 500 of them; whoever wants it for itself waits until they are gone,
    /// and those who come later wait behind.
    ///
    /// A shared grant's token is its own, higher than that of every exclusive grant before and lower than that of every
    /// one after it.
    #[must_use]
    pub fn shared(self) -> Lock {
        self.of(What::Shared)
    }

    /// How long the lease outlives its holder's last sign of life: 2 s to 24 h, by default 20 s.
    ///
    /// Below about 10 s a failover of a NATS leader (4 to 9 s without writes) can cost the lease.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Lock {
        self.ttl = ttl;
        self
    }

    /// Who the holder says it is, for people; by default the space's owner, which is `user@host`. At most
    /// [`MAX_OWNER`] characters.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Lock {
        self.owner = Some(owner.into());
        self
    }

    /// What others can see about the holder: at most 32 entries and 4 KiB.
    #[must_use]
    pub fn metadata(mut self, metadata: BTreeMap<String, String>) -> Lock {
        self.metadata = metadata;
        self
    }

    /// Leaves renewing to the caller, by [`Lease::renew`]: for a holder whose own liveness is what should keep it.
    #[must_use]
    pub fn renewed_by_caller(mut self) -> Lock {
        self.renewed_by_caller = true;
        self
    }

    /// Checks the name and the settings, without any IO.
    ///
    /// # Errors
    /// [`Error::InvalidName`] or [`Error::InvalidSetting`], with the offending value and what is allowed.
    pub fn check(&self) -> Result<(), Error> {
        self.wanted(None).map(|_| ())
    }

    /// Waits for its turn, and holds.
    ///
    /// Cancel-safe: dropping the future leaves the line, and gives back what may have been granted meanwhile.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the store does not answer to begin with (for 12 s, longer than a failover takes);
    /// once in line it is waited for. Invalid settings, refusals of the store, and [`Error::Closing`].
    pub async fn acquire(&self) -> Result<Lease, Error> {
        match self.wait(None)?.granted().await? {
            Attempt::Granted(lease) => Ok(lease),
            // Without a limit the wait ends with a grant or an error.
            Attempt::Held(_) => Err(Error::Unknown("the wait ended without a grant")),
        }
    }

    /// Waits for its turn for at most `limit`.
    ///
    /// Cancel-safe, as [`Lock::acquire`].
    ///
    /// # Errors
    /// As [`Lock::acquire`]; and [`Error::Unknown`] if a granting write is without an answer some seconds after the
    /// limit.
    pub async fn acquire_within(&self, limit: Duration) -> Result<Attempt, Error> {
        self.wait(Some(limit))?.granted().await
    }

    /// Holds if nobody else does; does not wait, except for the store.
    ///
    /// Cancel-safe, as [`Lock::acquire`].
    ///
    /// # Errors
    /// As [`Lock::acquire_within`]. [`Error::Unreachable`] comes after about 3 s.
    pub async fn try_acquire(&self) -> Result<Attempt, Error> {
        self.wait(Some(Duration::ZERO))?.granted().await
    }

    /// What the acquires are made of: a wait that also shows the place in line. `None` waits without limit, zero does
    /// not wait.
    ///
    /// # Errors
    /// Invalid settings; nothing was sent.
    pub fn wait(&self, limit: Option<Duration>) -> Result<Waiting, Error> {
        self.wait_as(limit, Candidacy::default())
    }

    pub(crate) fn wait_as(&self, limit: Option<Duration>, candidacy: Candidacy) -> Result<Waiting, Error> {
        let wanted = Wanted { candidacy, ..self.wanted(limit)? };
        let (answer, ahead) = waiter::start(self.space.core(), wanted);
        Ok(Waiting { answer, ahead: Some(ahead) })
    }

    /// Runs `work` while holding the lock, and stops it (drops its future at its next await) if the lease is lost.
    ///
    /// Work that was done under the lease is done, also if the store does not answer its release then: the lock is free once
    /// the record has expired.
    ///
    /// Cancel-safe: dropping it stops the work and gives the lock back.
    ///
    /// # Errors
    /// As [`Lock::acquire`], and [`Error::Lost`] if the lease was lost before the work was done.
    pub async fn with<T, F, W>(&self, work: F) -> Result<T, Error>
    where
        F: FnOnce(std::sync::Arc<Lease>) -> W,
        W: Future<Output = T>,
    {
        let lease = std::sync::Arc::new(self.acquire().await?);
        let done = tokio::select! {
            biased;
            loss = lease.lost() => return Err(Error::Lost(loss)),
            done = work(std::sync::Arc::clone(&lease)) => done,
        };
        // The work may have kept a clone; then its last drop gives the lock back.
        if let Some(lease) = std::sync::Arc::into_inner(lease)
            // Unknown is what became of the lock, not of the work: whoever is told so may do it again.
            && let Err(lost @ Error::Lost(_)) = lease.release().await
        {
            return Err(lost);
        }
        Ok(done)
    }

    /// Breaks the grant with this token, whoever holds it.
    ///
    /// Marks the record, so that its holder stops and gives it back; if the holder does not, it expires. With `now`
    /// the record is removed at once, and **the promise of early notice is void**: the holder learns of it up to T/5
    /// later, and another may hold by then. The token still fences.
    ///
    /// # Errors
    /// [`Error::TokenMismatch`] if the current grant is another or there is none, [`Error::Unknown`] if the outcome
    /// could not be learned within some seconds.
    pub async fn break_by_force(&self, token: Token, reason: &str, now: bool) -> Result<(), Error> {
        let name = Name::new(self.name.clone())?;
        let key = match self.what {
            What::Office => key::elect(name.as_str()),
            What::Exclusive => key::lock(name.as_str()),
            // One of several: the token says which.
            What::Shared => self.record_of(token, &key::reader(name.as_str(), "*")).await?,
            What::Permit { .. } => {
                self.record_of(token, &format!("{}.*", key::permits(name.as_str()))).await?
            }
        };
        crate::breaking::break_grant(self.space.core(), &key, token, reason, now).await
    }

    /// The key of the record that has this token.
    async fn record_of(&self, token: Token, filter: &str) -> Result<String, Error> {
        let mut entries = std::pin::pin!(self.space.scan(filter.to_owned()));
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            if let Slot::Taken { revision, record, .. } = Slot::of(Some(&entry))
                && record.token_at(revision) == token
            {
                return Ok(entry.key);
            }
        }
        Err(Error::TokenMismatch { given: token, current: None })
    }

    /// Takes what another lease of the same lock gives up for it, if nobody had it in between.
    pub(crate) async fn kept_from(&self, other: Lease) -> Result<Lease, Error> {
        let wanted = self.wanted(Some(Duration::ZERO))?;
        let core = self.space.core();
        if other.record_key() != wanted.target.scope() {
            return Err(Error::InvalidSetting {
                setting: "lease",
                value: format!("of {}", other.record_key()),
                allowed: format!("allowed is one of {}, held for writing", wanted.target.scope()),
            });
        }
        let (attempt, given_up) = (fresh_id(core.ambient.as_ref()), other.token());
        // Also if the caller gives this up: then what is kept free is declined where it is announced.
        let expecting = core.post.expect(&attempt);
        let waiter = core.waiter(String::new(), attempt.clone(), wanted.owner.clone());
        let given = other.give_to(waiter).await;
        let taken = match given {
            Ok(()) => waiter::start_as(core, wanted, attempt.clone()).0.await.unwrap_or(Err(Error::Closing)),
            Err(error) => Err(error),
        };
        drop(expecting);
        match taken? {
            // What was kept free may have expired before it was taken, after a late answer or while this process stood still.
            Attempt::Granted(lease) if lease.fence() == Some(given_up) => Ok(lease),
            Attempt::Granted(_) | Attempt::Held(_) => Err(Error::Lost(Loss::Taken)),
        }
    }

    fn wanted(&self, limit: Option<Duration>) -> Result<Wanted, Error> {
        let name = Name::new(self.name.clone())?;
        let core = self.space.core();
        let times = Times::new(self.ttl, core.slack)?.with_grace(self.grace)?;
        let owner = self.owner.clone().unwrap_or_else(|| core.identity.owner.clone());
        bounded("owner", owner.chars().count(), MAX_OWNER, "characters")?;
        bounded("metadata", self.metadata.len(), MOST_METADATA, "entries")?;
        let bytes = self.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        bounded("metadata", bytes, METADATA_BYTES, "bytes")?;
        Ok(Wanted {
            target: self.what.target(name.as_str().to_owned())?,
            owner,
            metadata: self.metadata.clone(),
            times,
            renewed_by_caller: self.renewed_by_caller,
            limit,
            candidacy: Candidacy::default(),
        })
    }
}

impl What {
    fn target(self, name: String) -> Result<Target, Error> {
        match self {
            What::Exclusive => Ok(Target::Lock { name }),
            What::Shared => Ok(Target::Reader { name }),
            What::Office => Ok(Target::Election { name }),
            What::Permit { limit } if (1..=MOST_PERMITS).contains(&limit) => {
                Ok(Target::Permit { name, limit })
            }
            What::Permit { limit } => Err(Error::InvalidSetting {
                setting: "limit",
                value: limit.to_string(),
                allowed: format!("allowed are 1 to {MOST_PERMITS} permits"),
            }),
        }
    }
}

/// What a watch of the locks that match `filter` looks at.
pub(crate) fn watched(filter: &Filter) -> Watched {
    Watched {
        filter: key::lock(filter.as_str()),
        name: key::name_of_lock,
        most: 100_000,
        what: "held locks in one watch; narrow the filter",
    }
}

fn bounded(setting: &'static str, value: usize, limit: usize, unit: &str) -> Result<(), Error> {
    if value <= limit {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        setting,
        value: format!("of {value} {unit}"),
        allowed: format!("allowed are {limit} {unit}"),
    })
}

/// A wait for a lock, under way. Dropping it leaves the line.
#[derive(Debug)]
pub struct Waiting {
    answer: oneshot::Receiver<Result<Attempt, Error>>,
    /// Taken away once nobody can ask for it any more: showing the place costs the line some reading.
    ahead: Option<watch::Receiver<Option<usize>>>,
}

impl Waiting {
    /// How many are ahead in line; `None` while that is not known (yet). It may lag by some seconds.
    pub fn ahead(&self) -> watch::Receiver<Option<usize>> {
        match &self.ahead {
            Some(ahead) => ahead.clone(),
            None => watch::Sender::new(None).subscribe(),
        }
    }

    /// Waits for the outcome. Cancel-safe: may be called again after having been dropped.
    ///
    /// # Errors
    /// As [`Lock::acquire_within`].
    pub async fn granted(&mut self) -> Result<Attempt, Error> {
        self.ahead = None;
        // The task answers before it ends, unless the runtime is being shut down.
        (&mut self.answer).await.unwrap_or(Err(Error::Closing))
    }
}
