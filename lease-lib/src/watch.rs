//! Watching: every transition of the records that match a filter, as it happens.
//!
//! The store tells of writes, at most once each, and of expiry not at all. So a watch hears (fast), asks every two
//! seconds for whatever was written since it last asked (nothing stays missed for longer, also between two events that
//! were heard), and looks at each record when its time is up. All of that may be old, and none of it decides who holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use crate::ambient::{Moment, sleep_until};
use crate::core::Core;
use crate::error::Error;
use crate::protocol::{Known, Slot, Transition};
use crate::store::{Entry, Events, Revision, Unreadable};

/// How often a watch asks for what it may have missed.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// The store removes an expired entry up to 0.33 s late.
const AFTER_EXPIRY: Duration = Duration::from_millis(400);
/// An absence is looked at twice: one read may be answered by a server that was left behind.
const LOOK_AGAIN: Duration = Duration::from_millis(700);
/// How many transitions wait for a slow reader. Beyond that the watch waits, too; what happens meanwhile to one lock
/// then comes as one transition to what is true in the end.
const BUFFER: usize = 256;

/// How a watch begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchFrom {
    /// With one [`Transition::Granted`] for each lock that is held now.
    #[default]
    Present,
    /// With what happens from now on.
    Now,
    /// With what is newer than this revision, the last that an earlier watch has told: of each lock the newest only,
    /// and nothing of what has expired, or ended more than ten minutes ago, meanwhile.
    After(Revision),
}

/// Something that happened to a lock, or to another record that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// The lock; of other kinds, what of the record's key is told as its name.
    pub name: String,
    /// The revision of the write that shows it; for an expiry, of the last one before. To go on from here later:
    /// [`WatchFrom::After`].
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
    expiries: BTreeSet<(Moment, String, Revision)>,
    /// Those that were not to be seen once.
    doubted: BTreeSet<String>,
    /// Everything up to here was asked for. What was heard says nothing about what was missed before it, so only what an
    /// ask has shown counts.
    asked: Revision,
    /// What was there when the watch began is known.
    begun: bool,
    reader: mpsc::Sender<Result<Happened, Error>>,
}

/// Starts a watch, which lasts until the stream is dropped.
pub(crate) fn watch(
    core: &Arc<Core>,
    watched: Watched,
    from: WatchFrom,
) -> impl Stream<Item = Result<Happened, Error>> + Send + Unpin + use<> {
    let (reader, stream) = mpsc::channel(BUFFER);
    let watch = Watch {
        core: Arc::clone(core),
        watched,
        from,
        records: BTreeMap::new(),
        expiries: BTreeSet::new(),
        doubted: BTreeSet::new(),
        asked: if let WatchFrom::After(revision) = from { revision } else { 0 },
        begun: false,
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
        let mut events: Option<Events<Entry>> = None;
        let mut ask_at = core.now();
        loop {
            if events.is_none() {
                // Followed first, asked then: what happens in between is heard of or found. Unanswered: asked again soon.
                events = core.asked("follow", core.store.follow(&self.watched.filter)).await.ok();
            }
            let wake = self.expiries.first().map_or(ask_at, |(at, ..)| (*at).min(ask_at));
            tokio::select! {
                biased;
                () = reader.closed() => return Err(None),
                () = core.closing.cancelled() => return Err(Some(Error::Closing)),
                // Another bucket numbers anew. What is gone with the old one shows as expired.
                Ok(()) = calamity.changed() => {
                    self.asked = 0;
                    ask_at = core.now();
                }
                // Before what is heard, so that a store in which much happens does not keep it from asking.
                () = sleep_until(core.ambient.as_ref(), wake) => {
                    if core.now() >= ask_at {
                        self.ask().await?;
                        ask_at = core.now() + ASK_EVERY;
                    }
                    self.look_at_expired().await?;
                }
                entry = next(events.as_mut()) => match entry {
                    Some(entry) => self.see(&entry, true).await?,
                    None => events = None,
                },
            }
        }
    }

    /// Everything that is newer than what was asked for before, also what was heard since.
    async fn ask(&mut self) -> Result<(), Over> {
        let mut from = self.asked + 1;
        loop {
            match self.core.asked("scan", self.core.store.scan(&self.watched.filter, from)).await {
                Ok(page) => {
                    for entry in &page.entries {
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
                    return Ok(());
                }
            }
        }
        self.begun = true;
        Ok(())
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
        if entry.revision <= known.revision {
            return Ok(());
        }
        let mut transitions = known.follow(&slot);
        let is_held = known.is_held();
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
            self.expiries.insert((at, key.clone(), entry.revision));
        }
        self.tell(key, entry.revision, transitions).await
    }

    /// Looks at those whose time is up.
    async fn look_at_expired(&mut self) -> Result<(), Over> {
        while self.expiries.first().is_some_and(|(at, ..)| *at <= self.core.now()) {
            let Some((_, key, revision)) = self.expiries.pop_first() else { break };
            // Seen again since.
            if self.records.get(&key).is_none_or(|known| known.revision != revision) {
                continue;
            }
            match self.core.asked("read", self.core.store.read(&key)).await {
                Ok(Some(entry)) if entry.revision != revision => self.see(&entry, true).await?,
                Ok(None) if !self.doubted.insert(key.clone()) => {
                    self.doubted.remove(&key);
                    if let Some(known) = self.records.get_mut(&key) {
                        let absent = known.follow(&Slot::of(None));
                        self.tell(&key, revision, absent).await?;
                    }
                }
                // There still, or not seen for the first time, or unreadable.
                _ => {
                    self.expiries.insert((self.core.now() + LOOK_AGAIN, key, revision));
                }
            }
        }
        Ok(())
    }

    async fn tell(&self, key: &str, revision: Revision, transitions: Vec<Transition>) -> Result<(), Over> {
        let name = (self.watched.name)(key).unwrap_or(key);
        for what in transitions {
            let happened = Happened { name: name.to_owned(), revision, what };
            self.reader.send(Ok(happened)).await.map_err(|_| None)?;
        }
        Ok(())
    }
}

async fn next(events: Option<&mut Events<Entry>>) -> Option<Entry> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}
