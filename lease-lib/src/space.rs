//! A space: one bucket, and this process's part in it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ambient::{SharedAmbient, System, sleep_until};
use crate::chronicler::Chronicler;
use crate::core::{Core, Identity};
use crate::election::Election;
use crate::error::Error;
use crate::ghosts::Ghosts;
use crate::group::Group;
use crate::guard::Guard;
use crate::history::Held;
use crate::lock::Lock;
use crate::multi::LockAll;
use crate::name::{Filter, Name};
use crate::observe::{Observer, Unobserved};
use crate::post::Post;
use crate::presence::Presence;
use crate::protocol::line::{self, Note};
use crate::protocol::{Holder, Loss, Previous, Slot, key};
use crate::rwlock::RwLock;
use crate::semaphore::Semaphore;
use crate::store::{Events, Life, MemoryStore, NatsOptions, NatsStore, Store, Unreadable};
use crate::watch::{WatchEvent, WatchFrom};

/// Settings of a [`Space`].
#[derive(Clone, Debug)]
pub struct SpaceOptions {
    /// How to reach NATS, and which bucket.
    pub nats: NatsOptions,
    /// How far the servers' wall clocks may be apart or step without a lease ending early; by default 2 s.
    pub slack: Duration,
    /// Who holders say they are, for people; by default `user@host`.
    pub owner: Option<String>,
    /// Hears of everything worth a metric.
    pub observer: Arc<dyn Observer>,
    /// Where time and chance come from.
    pub ambient: SharedAmbient,
}

impl Default for SpaceOptions {
    fn default() -> Self {
        SpaceOptions {
            nats: NatsOptions::default(),
            slack: Duration::from_secs(2),
            owner: None,
            observer: Arc::new(Unobserved),
            ambient: Arc::new(System),
        }
    }
}

/// A bucket of locks, and this process's part in it. Cheap to clone; all clones share one connection.
#[derive(Clone, Debug)]
pub struct Space {
    core: Arc<Core>,
}

/// A lock as it was seen: a look may be some seconds old, and decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Who holds it.
    pub holder: Option<Holder>,
    /// How long until it is free if its holder died now: an estimate by two wall clocks.
    pub expires_in: Option<Duration>,
    /// Whether it was last held by readers, some of whom may be gone: who is there, `readers` says.
    pub is_shared: bool,
    /// Who reads, if it is shared, in the order of their tokens. A list leaves it empty.
    pub readers: Vec<Holder>,
    /// The revision that was looked at; 0 if there is none.
    pub revision: u64,
    /// Who waits, in order. A list leaves it empty.
    pub waiters: Vec<line::Waiter>,
    /// How the last grant ended, where the store still knows and nobody holds it since.
    pub previous: Option<Previous>,
}

impl Space {
    /// Connects to NATS (one URL, or several with commas between) and opens the bucket, creating it if there is none.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Denied`], [`Error::ServerTooOld`], or [`Error::UnsafeBucket`] with the setting
    /// to mend.
    pub async fn connect(url: &str, options: SpaceOptions) -> Result<Space, Error> {
        let nats = NatsOptions { slack: options.slack, ..options.nats.clone() };
        let store = NatsStore::open(url, nats, Arc::clone(&options.ambient)).await?;
        Space::on(Arc::new(store), options).await
    }

    /// A space inside this process: for trying things out and for tests. Its locks hold among its clones only.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn embedded() -> Space {
        let options = SpaceOptions::default();
        let store = MemoryStore::new(Arc::clone(&options.ambient));
        let identity = Identity::new(&options.ambient, None);
        let (life, inbox) = (store.life_now(), store.inbox_now(&identity.process));
        Space::assemble(store, options, identity, &life, inbox)
    }

    /// A space on any store behind the seam.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the store does not answer.
    pub async fn on(store: Arc<dyn Store>, options: SpaceOptions) -> Result<Space, Error> {
        let identity = Identity::new(&options.ambient, options.owner.clone());
        let life = store.life().await.map_err(unreachable)?;
        let inbox = store.inbox(&identity.process).await.map_err(unreachable)?;
        let space = Space::assemble(store, options, identity, &life, inbox);
        space.core.guard.recall(&space.core).await.map_err(unreachable)?;
        Ok(space)
    }

    fn assemble(
        store: Arc<dyn Store>,
        options: SpaceOptions,
        identity: Identity,
        life: &Life,
        inbox: Events<Bytes>,
    ) -> Space {
        let SpaceOptions { slack, observer, ambient, .. } = options;
        let core = Arc::new(Core {
            guard: Guard::new(life, ambient.now()),
            store,
            ambient,
            observer,
            identity,
            slack,
            post: Post::default(),
            presence: Presence::default(),
            ghosts: Ghosts::default(),
            chronicler: Chronicler::default(),
            calamity: watch::Sender::new(None),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        core.ambient.spawn(Box::pin(sort_post(Arc::downgrade(&core), inbox)));
        Space { core }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The lock of this name. Nothing is sent before it is used.
    pub fn lock(&self, name: &str) -> Lock {
        Lock::new(self.clone(), name)
    }

    /// The election of this name. Nothing is sent before it is used.
    pub fn election(&self, name: &str) -> Election {
        Election::new(self.clone(), name)
    }

    /// The semaphore of this name, of which `limit` (1 to 500) may be held at once. Nothing is sent before it is used; then
    /// a limit that differs from what is agreed on is refused.
    pub fn semaphore(&self, name: &str, limit: u32) -> Semaphore {
        Semaphore::new(self.clone(), name, limit)
    }

    /// The locks of these names, to be acquired together: all or none. Nothing is sent before they are used.
    pub fn lock_all<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> LockAll {
        LockAll::new(self.clone(), names)
    }

    /// The lock of this name, for readers and writers. Nothing is sent before it is used.
    pub fn rw_lock(&self, name: &str) -> RwLock {
        RwLock::new(self.clone(), name)
    }

    /// The group of this name. Nothing is sent before it is used.
    pub fn group(&self, name: &str) -> Group {
        Group::new(self.clone(), name)
    }

    /// Looks at one lock and its line.
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::Unreachable`].
    pub async fn look(&self, name: &str) -> Result<Seen, Error> {
        let name = Name::new(name)?;
        let record = key::lock(name.as_str());
        let entry = self.core.asked("read", self.core.store.read(&record)).await.map_err(unreachable)?;
        let slot = Slot::of(entry.as_ref());
        let mut seen = self.seen(name.as_str(), slot);
        if seen.is_shared {
            seen = self.with_readers(seen).await?;
        }
        let filter = key::line(&record);
        let entries = self.scan(filter).collect::<Result<Vec<_>, _>>().await?;
        let places = line::places(entries);
        seen.waiters = places.into_iter().map(|place| place.waiter).collect();
        Ok(seen)
    }

    /// Lists the locks that are held, page by page: it needs little memory however many there are. A lock that is
    /// renewed meanwhile may come twice. One that readers held last costs a question more, for those who are left.
    ///
    /// # Errors
    /// [`Error::InvalidName`]; the stream ends with [`Error::Unreachable`] if the store stops answering.
    pub fn list(
        &self,
        filter: &str,
    ) -> Result<impl Stream<Item = Result<Seen, Error>> + Send + use<>, Error> {
        let filter = Filter::new(filter)?;
        let space = self.clone();
        let found = self.scan(key::lock(filter.as_str())).filter_map({
            let space = space.clone();
            move |entry| match entry {
                Ok(entry) => Some(Ok(space.seen(key::name_of_lock(&entry.key)?, Slot::of(Some(&entry))))),
                Err(error) => Some(Err(error)),
            }
        });
        let found = found.then(move |seen| {
            let space = space.clone();
            async move {
                match seen {
                    Ok(seen) if seen.is_shared => space.with_readers(seen).await,
                    seen => seen,
                }
            }
        });
        let is_held = |seen: &Result<Seen, Error>| {
            seen.as_ref().map_or(true, |seen| seen.holder.is_some() || seen.is_shared)
        };
        Ok(Box::pin(found.filter(is_held)))
    }

    /// Of a lock that readers held last: those who do.
    async fn with_readers(&self, seen: Seen) -> Result<Seen, Error> {
        let readers = self.scan(key::reader(&seen.name, "*")).collect::<Result<Vec<_>, _>>().await?;
        let readers = holders(readers);
        Ok(Seen { is_shared: !readers.is_empty(), readers, ..seen })
    }

    /// Watches the locks that match a filter (`payments.>`, `*`, a name): every grant, renewal, break, end and expiry, until
    /// the stream is dropped.
    ///
    /// A transition may come late, and several of one lock as one if its reader is slow or events were lost; the last is
    /// always told, within seconds. An expiry is noticed about a second after it. After an outage, or a change of the
    /// connection, [`WatchEvent::Resync`] says so. Of a shared lock nothing is told but how the last grant before ended.
    /// Nothing that is told here decides who holds: that only a lease knows of itself.
    ///
    /// ```
    /// # async fn run() -> Result<(), lease::Error> {
    /// let space = lease::Space::embedded();
    /// use tokio_stream::StreamExt;
    ///
    /// let mut seen = space.watch("payments.>", lease::WatchFrom::Present)?;
    /// let lease = space.lock("payments.42").acquire().await?;
    /// let granted = seen.next().await.expect("goes on")?;
    /// let lease::WatchEvent::Happened(granted) = granted else { panic!("{granted:?}") };
    /// assert!(matches!(granted.what, lease::Transition::Granted(by) if by.token == lease.token()));
    /// lease.release().await?;
    /// let ended = seen.next().await.expect("goes on")?;
    /// let lease::WatchEvent::Happened(ended) = ended else { panic!("{ended:?}") };
    /// assert!(matches!(ended.what, lease::Transition::Ended(how) if how.why == lease::End::Released));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidName`]. The stream ends with [`Error::TooMany`] above 100,000 held locks, or [`Error::Closing`]; it
    /// outlives an unreachable store.
    pub fn watch(
        &self,
        filter: &str,
        from: WatchFrom,
    ) -> Result<impl Stream<Item = Result<WatchEvent, Error>> + Send + Unpin + use<>, Error> {
        Ok(crate::watch::watch(&self.core, crate::lock::watched(&Filter::new(filter)?), from))
    }

    /// The last holds of a lock that have ended, up to 64 of the last 90 days, the latest grant last: who had it, how long
    /// it was waited for and held, and how it ended.
    ///
    /// Written by the holders themselves, in the background once a hold has ended, and may be some seconds old. What is
    /// missing: a hold whose process died (its end nobody saw; whoever comes next finds the lock free), or whose
    /// end fell into an outage of the store that lasted half a minute longer, or that ended with more than 1,024 others
    /// while the store was slow; and on the embedded store those of all but the last 1,024 names. Lines that cannot be
    /// read are left out.
    ///
    /// Cancel-safe: it only reads.
    ///
    /// ```
    /// # async fn run() -> Result<(), lease::Error> {
    /// let space = lease::Space::embedded();
    /// let lease = space.lock("orders.42").owner("me").acquire().await?;
    /// let token = lease.token();
    /// lease.release().await?;
    /// // Written after the fact, so it may take a moment to be there.
    /// let past = loop {
    ///     let past = space.history("orders.42").await?;
    ///     if !past.is_empty() {
    ///         break past;
    ///     }
    ///     tokio::task::yield_now().await;
    /// };
    /// assert_eq!((past[0].token, past[0].owner.as_str(), past[0].why.as_str()), (token, "me", "released"));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::Unreachable`].
    pub async fn history(&self, name: &str) -> Result<Vec<Held>, Error> {
        let name = Name::new(name)?;
        crate::history::of(&self.core, &key::lock(name.as_str())).await
    }

    /// Whether the store can be reached, as far as is known without asking.
    pub fn connected(&self) -> bool {
        self.core.store.connected()
    }

    /// Asks the store, and whether anything may be granted at present.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Regressed`], [`Error::Quiet`], [`Error::Closing`].
    pub async fn probe(&self) -> Result<(), Error> {
        self.core.store.probe().await?;
        self.core.may_grant().await
    }

    /// Accepts, in the name of an operator, that the store lost acknowledged writes and tokens may have been given
    /// twice. It is recorded in the bucket; all processes grant again, also those that notice only later that what they
    /// were told of before is lost. It does not count for what is lost after it.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if it could not be recorded.
    pub async fn accept_regression(&self, by: &str) -> Result<(), Error> {
        self.core.guard.accept(&self.core, by).await
    }

    /// Stops granting, tells every holder `lost: draining`, leaves every line, and waits until leases that are given
    /// back have been, and what is known of ended holds is written down, for at most `within`. What its user has not dropped by then ends by its TTL: it is never
    /// released under somebody who still works.
    pub async fn close(&self, within: Duration) {
        self.core.closing.cancel();
        self.core.befall(Loss::Draining);
        self.core.tasks.close();
        // On a timeout the rest ends by TTL.
        let _ = tokio::time::timeout(within, self.core.tasks.wait()).await;
    }

    fn seen(&self, name: &str, slot: Slot) -> Seen {
        let mut seen = Seen {
            name: name.to_owned(),
            holder: None,
            expires_in: None,
            is_shared: false,
            readers: Vec::new(),
            revision: slot.revision(),
            waiters: Vec::new(),
            previous: None,
        };
        match slot {
            Slot::Free { previous, .. } => seen.previous = previous,
            Slot::Taken { record, .. } if record.reserved => seen.previous = record.previous,
            Slot::Taken { revision, record, ttl_secs, written_micros } => {
                let lived = self.core.ambient.wall_micros().saturating_sub(written_micros);
                let left = Duration::from_secs(ttl_secs).saturating_sub(Duration::from_micros(lived));
                seen.expires_in = Some(left);
                seen.holder = Some(record.holder_at(revision));
            }
            Slot::Shared { record, .. } => {
                seen.is_shared = true;
                seen.previous = record.previous;
            }
            Slot::Foreign { revision } => seen.holder = Some(Holder::unreadable(revision)),
        }
        seen
    }

    /// Everything that matches, page by page.
    pub(crate) fn scan(
        &self,
        filter: String,
    ) -> impl Stream<Item = Result<crate::store::Entry, Error>> + Send + use<> {
        let core = Arc::clone(&self.core);
        let pages = futures_util::stream::unfold(Some(1), move |from| {
            let (core, filter) = (Arc::clone(&core), filter.clone());
            async move {
                let from = from?;
                match core.asked("scan", core.store.scan(&filter, from)).await {
                    Ok(page) => {
                        let next = page.next.filter(|next| *next > from);
                        Some((page.entries.into_iter().map(Ok).collect(), next))
                    }
                    Err(why) => Some((vec![Err(unreachable(why))], None)),
                }
            }
        });
        futures_util::StreamExt::flat_map(pages, |page: Vec<_>| tokio_stream::iter(page))
    }
}

/// The holders among entries of records, by their tokens.
pub(crate) fn holders(entries: Vec<crate::store::Entry>) -> Vec<Holder> {
    let newest: std::collections::BTreeMap<_, _> =
        entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
    let held = |entry| match Slot::of(Some(&entry)) {
        Slot::Taken { revision, record, .. } if !record.reserved => Some(record.holder_at(revision)),
        _ => None,
    };
    let mut holders: Vec<Holder> = newest.into_values().filter_map(held).collect();
    holders.sort_by_key(|holder| holder.token);
    holders
}

fn unreachable(Unreadable(why): Unreadable) -> Error {
    Error::Unreachable(why)
}

/// Takes notes from the inbox until the space is gone.
async fn sort_post(core: std::sync::Weak<Core>, mut inbox: Events<Bytes>) {
    loop {
        let text = inbox.recv().await;
        let Some(core) = core.upgrade() else { return };
        match text.map(|text| serde_json::from_slice::<Note>(&text)) {
            Some(Ok(note)) => core.post.deliver(&core, note),
            // A newer release may say what this one does not understand: notes only make things fast.
            Some(Err(error)) => tracing::debug!(%error, "a note that cannot be read"),
            None => {
                sleep_until(core.ambient.as_ref(), core.now() + Duration::from_secs(1)).await;
                if let Ok(again) = core.store.inbox(&core.identity.process).await {
                    inbox = again;
                }
            }
        }
    }
}
