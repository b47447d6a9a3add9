//! Watching: every transition of the records that match a filter, as it happens.
//!
//! The store tells of writes, at most once each, and of expiry not at all. So a watch hears, and then asks what was
//! written since it last asked; it also asks every two seconds, and looks at each record when its time is up. What was
//! heard is told together with what asking shows, in the order of their revisions: so whoever goes on from the highest
//! revision that it was told is not told it again, and has not missed a lower one. All of that may be old, and none of
//! it decides who holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use crate::ambient::sleep_until;
use crate::core::Core;
use crate::error::Error;
use crate::expiries::Expiries;
use crate::observe::Observation;
use crate::protocol::{Known, Slot, Transition};
use crate::store::{Entry, Events, Revision, Unreadable};

/// How often a watch asks for what it may have missed.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// The store removes an expired entry up to 0.33 s late.
const AFTER_EXPIRY: Duration = Duration::from_millis(400);
/// An absence is looked at twice: one read may be answered by a server that was left behind.
const LOOK_AGAIN: Duration = Duration::from_millis(700);
/// What was heard, and asking did not show: a server that was left behind answers, or it has gone meanwhile.
const ASK_AGAIN: Duration = Duration::from_millis(50);
const ASK_AT_MOST: u32 = 20;
/// How much of what was heard waits for that. Of what comes beyond it, asking shows the newest of each record.
const MOST_HEARD: usize = 4096;
/// How many transitions wait for a slow reader. Beyond that the watch waits, too; what happens meanwhile to one lock
/// then comes as one transition to what is true in the end.
const BUFFER: usize = 256;

/// Every key of the bucket.
const EVERYTHING: &str = ">";

/// How a watch begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchFrom {
    /// With one [`Transition::Granted`] for each lock that is held now.
    #[default]
    Present,
    /// With what happens from now on.
    Now,
    /// With what is newer than this revision, the highest that an earlier watch has told. The store keeps the newest of
    /// each lock, nothing of what has expired, and for ten minutes how the last grant ended. So the first that is told is
    /// [`WatchEvent::Gap`], but for a watch of one name whose newest entry shows that nothing is missing.
    After(Revision),
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// Something happened.
    Happened(Happened),
    /// For some time it could not be heard or asked what happens: the connection was another one since, or the store did
    /// not answer. What the store still had of that time has been told just before; several transitions of one lock may
    /// have become one.
    Resync,
    /// Of the time between these two revisions, transitions may be missing that the store has no trace of. Told once, at
    /// the beginning of a watch that goes on, unless it is certain that none is.
    Gap {
        /// After this one.
        after: Revision,
        /// Up to here.
        to: Revision,
    },
}

/// Something that happened to a lock, or to another record that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// The lock; of other kinds, what of the record's key is told as its name.
    pub name: String,
    /// The revision of the write that shows it; for an expiry, of the last one before. To go on from here later, take the
    /// highest that was told: [`WatchFrom::After`].
    pub revision: Revision,
    /// What.
    pub what: Transition,
}

/// What a watch looks at: records of one kind, each with a holder.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    /// Over keys.
    pub filter: String,
    /// What of a key is told as its name; `None` for a key that matches and is no record of this kind.
    pub name: fn(&str) -> Option<&str>,
    /// How many that are held one watch may follow, ...
    pub most: usize,
    /// ... and what there are too many of, beyond that.
    pub what: &'static str,
}

struct Watch {
    core: Arc<Core>,
    watched: Watched,
    from: WatchFrom,
    /// What is known of each record, by its key.
    records: BTreeMap<String, Known>,
    /// When to look whether a record, by its key, has expired.
    expiries: Expiries,
    /// Those that were not to be seen once.
    doubted: BTreeSet<String>,
    /// Everything up to here was asked for. What was heard says nothing about what was missed before it, so only what an
    /// ask has shown counts.
    asked: Revision,
    /// What was heard, and not told yet.
    heard: BTreeMap<Revision, Entry>,
    /// How often it was asked for that in vain.
    vain: u32,
    /// What was there when the watch began is known.
    begun: bool,
    /// Something may have been missed.
    unsure: bool,
    reader: mpsc::Sender<Result<WatchEvent, Error>>,
}

/// Starts a watch, which lasts until the stream is dropped.
pub(crate) fn watch(
    core: &Arc<Core>,
    watched: Watched,
    from: WatchFrom,
) -> impl Stream<Item = Result<WatchEvent, Error>> + Send + Unpin + use<> {
    let (reader, stream) = mpsc::channel(BUFFER);
    let watch = Watch {
        core: Arc::clone(core),
        watched,
        from,
        records: BTreeMap::new(),
        expiries: Expiries::default(),
        doubted: BTreeSet::new(),
        asked: 0,
        heard: BTreeMap::new(),
        vain: 0,
        begun: false,
        unsure: false,
        reader,
    };
    core.ambient.spawn(Box::pin(async move {
        let reader = watch.reader.clone();
        if let Err(Some(error)) = watch.run().await {
            // Whoever dropped the stream does not want to know.
            let _ = reader.send(Err(error)).await;
        }
    }));
    ReceiverStream::new(stream)
}

/// Why a watch ends: the reader has gone (`None`), or with an error.
type Over = Option<Error>;

impl Watch {
    async fn run(mut self) -> Result<(), Over> {
        let core = Arc::clone(&self.core);
        let (reader, mut calamity) = (self.reader.clone(), core.calamity.subscribe());
        let mut connections = core.store.connections();
        let mut events: Option<Events<Entry>> = None;
        let mut ask_at = core.now();
        loop {
            if events.is_none() {
                // Followed first, asked then: what happens in between is heard of or found. Unanswered: asked again soon.
                events = core.asked("follow", core.store.follow(&self.watched.filter)).await.ok();
            }
            let wake = self.expiries.next().map_or(ask_at, |at| at.min(ask_at));
            tokio::select! {
                biased;
                () = reader.closed() => return Err(None),
                () = core.closing.cancelled() => return Err(Some(Error::Closing)),
                // Another bucket numbers anew, and so does a store that lost writes. What is gone with the old one shows as
                // expired.
                Ok(()) = calamity.changed() => {
                    self.asked = 0;
                    self.heard.clear();
                    self.records.values_mut().for_each(Known::renumber);
                    if let WatchFrom::After(_) = self.from {
                        self.from = WatchFrom::After(0);
                    }
                    self.unsure = true;
                    ask_at = core.now();
                }
                // Between two connections nothing was heard.
                Ok(()) = connections.changed() => {
                    self.unsure = true;
                    ask_at = core.now();
                }
                // Before what is heard, so that a store in which much happens does not keep it from asking.
                () = sleep_until(core.ambient.as_ref(), wake) => {
                    if core.now() >= ask_at {
                        self.listen(events.as_mut());
                        ask_at = core.now() + self.ask().await?;
                    }
                    if self.look_at_expired().await? {
                        ask_at = core.now();
                    }
                }
                entry = next(events.as_mut()) => match entry {
                    Some(entry) => {
                        self.hear(entry);
                        ask_at = core.now();
                    }
                    None => {
                        events = None;
                        self.unsure = self.begun;
                    }
                },
            }
        }
    }

    /// Takes what was heard meanwhile.
    fn listen(&mut self, events: Option<&mut Events<Entry>>) {
        if let Some(events) = events {
            while let Ok(entry) = events.try_recv() {
                self.hear(entry);
            }
        }
    }

    fn hear(&mut self, entry: Entry) {
        if self.heard.len() < MOST_HEARD {
            self.heard.insert(entry.revision, entry);
        }
    }

    /// Everything that is newer than what was asked for before, together with what was heard. Says when to ask again.
    async fn ask(&mut self) -> Result<Duration, Over> {
        let began_after = self.asked;
        let mut from = self.asked + 1;
        loop {
            match self.core.asked("scan", self.core.store.scan(&self.watched.filter, from)).await {
                Ok(page) => {
                    if let WatchFrom::After(revision) = self.from
                        && from == 1
                        && !self.begun
                    {
                        self.look_for_gap(revision).await?;
                    }
                    for entry in &page.entries {
                        // Whoever answers has everything that came before what it shows.
                        self.tell_heard(entry.revision).await?;
                        self.see(entry, false).await?;
                        self.asked = self.asked.max(entry.revision);
                    }
                    match page.next.filter(|next| *next > from) {
                        Some(next) => from = next,
                        None => break,
                    }
                }
                Err(Unreadable(why)) => {
                    tracing::debug!(why, "a watch cannot ask what it missed; it asks again");
                    self.unsure = self.begun;
                    return Ok(ASK_EVERY);
                }
            }
        }
        self.begun = true;
        self.vain = if self.asked > began_after || self.heard.is_empty() { 0 } else { self.vain + 1 };
        if self.vain > ASK_AT_MOST {
            // It was there, and has gone since.
            self.tell_heard(Revision::MAX).await?;
        }
        if std::mem::take(&mut self.unsure) {
            self.core.observe(Observation::Resynced);
            self.reader.send(Ok(WatchEvent::Resync)).await.map_err(|_| None)?;
        }
        Ok(if self.heard.is_empty() { ASK_EVERY } else { ASK_AGAIN })
    }

    /// Tells what was heard up to this revision.
    async fn tell_heard(&mut self, up_to: Revision) -> Result<(), Over> {
        while self.heard.first_key_value().is_some_and(|(revision, _)| *revision <= up_to) {
            if let Some((_, entry)) = self.heard.pop_first() {
                self.see(&entry, true).await?;
            }
        }
        Ok(())
    }

    /// Says that something may be missing after this revision, unless it is certain that nothing is. What expired left no
    /// trace, so that can only be so for one name, whose newest entry shows that it did not.
    async fn look_for_gap(&self, after: Revision) -> Result<(), Over> {
        let filter = &self.watched.filter;
        if !filter.contains(['*', '>'])
            && let Ok(Some(entry)) = self.core.asked("read", self.core.store.read(filter)).await
            && says_it_all(&Slot::of(Some(&entry)), after)
        {
            return Ok(());
        }
        let to = self.newest().await.map_or(after, |to| to.max(after));
        self.reader.send(Ok(WatchEvent::Gap { after, to })).await.map_err(|_| None)
    }

    async fn newest(&self) -> Option<Revision> {
        let newest = self.core.asked("last", self.core.store.last(EVERYTHING)).await.ok()?;
        Some(newest.map_or(0, |entry| entry.revision))
    }

    /// An entry was seen, just written (`fresh`) or some time ago.
    async fn see(&mut self, entry: &Entry, fresh: bool) -> Result<(), Over> {
        if (self.watched.name)(&entry.key).is_none() {
            return Ok(());
        }
        let Entry { key, .. } = entry;
        let slot = Slot::of(Some(entry));
        let Watched { most, what, .. } = self.watched;
        if self.records.len() >= most && !self.records.contains_key(key) {
            self.records.retain(|_, known| known.is_held());
            if self.records.len() >= most {
                return Err(Some(Error::TooMany { what, limit: most }));
            }
        }
        self.doubted.remove(key);
        let known = self.records.entry(key.clone()).or_default();
        if !known.is_news(entry.revision) {
            return Ok(());
        }
        let first = known.revision == 0;
        let mut transitions = known.follow(&slot);
        let is_held = known.is_held();
        if let WatchFrom::After(after) = self.from {
            // What was there then has been told, and is looked at only to notice its expiry.
            if entry.revision <= after {
                transitions.clear();
            }
            // So has a grant that was renewed since.
            for what in transitions.iter_mut().filter(|_| first) {
                if let Transition::Granted(holder) = what
                    && holder.token.get() <= after
                {
                    *what = Transition::Renewed(holder.clone());
                }
            }
        }
        match self.from {
            _ if self.begun || fresh => {}
            WatchFrom::Now => transitions.clear(),
            // How an earlier grant ended is not the present.
            WatchFrom::Present => transitions.retain(|what| !matches!(what, Transition::Ended(_))),
            WatchFrom::After(_) => {}
        }
        let lived = self.core.ambient.wall_micros().saturating_sub(entry.written_micros);
        let lived = if fresh { Duration::ZERO } else { Duration::from_micros(lived) };
        if is_held && entry.ttl_secs > 0 {
            let left = Duration::from_secs(entry.ttl_secs).saturating_sub(lived);
            let at = self.core.now() + left + AFTER_EXPIRY;
            self.expiries.put(at, key.clone(), entry.revision);
        }
        self.tell(key, entry.revision, transitions).await
    }

    /// Looks at those whose time is up. `true` if one is newer than was told, which asking will show.
    async fn look_at_expired(&mut self) -> Result<bool, Over> {
        let mut newer = false;
        while let Some((key, revision)) = self.expiries.take_due(self.core.now()) {
            // Seen again since.
            if self.records.get(&key).is_none_or(|known| known.revision != revision) {
                continue;
            }
            match self.core.asked("read", self.core.store.read(&key)).await {
                Ok(Some(entry)) if entry.revision > revision => newer = true,
                Ok(None) if !self.doubted.insert(key.clone()) => {
                    self.doubted.remove(&key);
                    if let Some(known) = self.records.get_mut(&key) {
                        let absent = known.follow(&Slot::of(None));
                        self.tell(&key, revision, absent).await?;
                    }
                    continue;
                }
                // There still, or not seen for the first time, or unreadable.
                _ => {}
            }
            self.expiries.put(self.core.now() + LOOK_AGAIN, key, revision);
        }
        Ok(newer)
    }

    async fn tell(&self, key: &str, revision: Revision, transitions: Vec<Transition>) -> Result<(), Over> {
        let name = (self.watched.name)(key).unwrap_or(key);
        for what in transitions {
            let happened = WatchEvent::Happened(Happened { name: name.to_owned(), revision, what });
            self.reader.send(Ok(happened)).await.map_err(|_| None)?;
        }
        Ok(())
    }
}

/// Whether this, the newest entry of its key, shows all that has happened since that revision but renewals: it is still of
/// a grant from before, or tells how such a one has ended.
fn says_it_all(slot: &Slot, after: Revision) -> bool {
    match slot {
        Slot::Taken { revision, record, .. } => !record.reserved && record.token_at(*revision).get() <= after,
        Slot::Free { previous: Some(previous), .. } => previous.token.get() <= after,
        Slot::Free { .. } | Slot::Shared { .. } | Slot::Foreign { .. } => false,
    }
}

async fn next(events: Option<&mut Events<Entry>>) -> Option<Entry> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}
