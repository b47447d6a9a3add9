//! Who leads, for those who do not.
//!
//! What is read or heard of a record may be old. A leader's belief ends T − margin after the send of its last renewal,
//! and the store says when, by its own clock, it took that. So the observer asks the store what time it is, and goes on
//! from there by its own clock, which may run up to 1 % fast or slow; its wall clock does not matter. A leader is shown as
//! leading until then and no longer, less the slack by which the servers' clocks may differ. After that, without news of
//! a newer renewal, nobody knows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};

use crate::ambient::{Moment, sleep_until};
use crate::core::Core;
use crate::error::Error;
use crate::protocol::{Holder, Payload, Slot, Times, key};
use crate::store::{Entry, Events, Revision, Unreadable};
use crate::token::Token;

/// How often it is looked, whatever is heard.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often the store is asked for its time.
const CLOCK_EVERY: Duration = Duration::from_secs(10);
/// How many changes wait for a slow reader. Beyond that, what happens meanwhile comes as one change in the end.
const BUFFER: usize = 16;

/// A leader, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leader {
    /// Who it says it is.
    pub owner: String,
    /// The host it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Its term's token.
    pub token: Token,
    /// Since when, RFC 3339, by its wall clock.
    pub since: String,
    /// What it says.
    pub value: Option<Payload>,
    /// For how long this is known to be so, from when this was taken from the stream, if the leader neither resigns nor is broken by force
    /// and the clocks' assumptions hold; zero if it is not known to be so any more.
    pub valid_for: Duration,
    /// The revision that was looked at.
    pub revision: Revision,
}

impl Leader {
    fn of(holder: Holder, valid_for: Duration, revision: Revision) -> Leader {
        let Holder { owner, host, pid, token, since, value, .. } = holder;
        Leader { owner, host, pid, token, since, value, valid_for, revision }
    }
}

/// What is known about who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leadership {
    /// It leads.
    Leader(Leader),
    /// It led when it was last heard of; its time may be up. Terms of a TTL not much above the slack (2 s) are never known
    /// better than this.
    Unconfirmed(Leader),
    /// Nobody leads.
    Vacant,
}

/// The store's clock, as it was known at some moment.
#[derive(Clone, Copy, Debug)]
struct StoreClock {
    /// Before it was asked.
    at: Moment,
    micros: u64,
}

impl StoreClock {
    async fn ask(core: &Core) -> Result<StoreClock, Unreadable> {
        let at = core.now();
        let micros = core.asked("time", core.store.time()).await?;
        Ok(StoreClock { at, micros })
    }

    /// What it shows now, at most.
    fn shows(&self, now: Moment) -> u64 {
        let since = now.since(self.at);
        let most = since + since / 50;
        self.micros.saturating_add(u64::try_from(most.as_micros()).unwrap_or(u64::MAX))
    }
}

/// Looks once.
pub(super) async fn look(core: &Core, name: &str) -> Result<Option<Leader>, Error> {
    let unreachable = |Unreadable(why)| Error::Unreachable(why);
    let clock = StoreClock::ask(core).await.map_err(unreachable)?;
    let entry = core.asked("read", core.store.read(&key::elect(name))).await.map_err(unreachable)?;
    Ok(leader(core, Some(clock), entry.as_ref()))
}

pub(super) fn observe(core: &Arc<Core>, name: &str) -> impl Stream<Item = Leadership> + Send + Unpin + use<> {
    let (reader, stream) = mpsc::channel(BUFFER);
    let (core, key) = (Arc::clone(core), key::elect(name));
    let shared = Arc::clone(&core);
    let watch = Watch { core, key, reader, known: None, newest: 0, clock: None };
    shared.ambient.spawn(Box::pin(async move {
        // It ends when the reader has gone, or the space closes.
        let _ = watch.run().await;
    }));
    // What lay in the channel has grown old: for how long it is true is counted when it is taken.
    let ambient = Arc::clone(&shared.ambient);
    ReceiverStream::new(stream).map(move |(known, until): (Leadership, Moment)| match known {
        Leadership::Leader(leader) => {
            let leader = Leader { valid_for: ambient.now().until(until), ..leader };
            match leader.valid_for.is_zero() {
                true => Leadership::Unconfirmed(leader),
                false => Leadership::Leader(leader),
            }
        }
        known => known,
    })
}

struct Gone;

struct Watch {
    core: Arc<Core>,
    key: String,
    reader: mpsc::Sender<(Leadership, Moment)>,
    /// What was told last, and until when that is known.
    known: Option<(Leadership, Moment)>,
    newest: Revision,
    /// The store's clock.
    clock: Option<StoreClock>,
}

impl Watch {
    async fn run(mut self) -> Result<(), Gone> {
        let core = Arc::clone(&self.core);
        let (reader, mut calamity) = (self.reader.clone(), core.calamity.subscribe());
        let mut events: Option<Events<Entry>> = None;
        let mut look_at = core.now();
        // An absence that is newer than what was seen cannot be told from an old read: it takes two of them. And as long as a
        // leader is known to lead, its record is there, or a marker: who sees neither was cut off before.
        let mut absences = 0;
        loop {
            // Asked again now and then, since two clocks drift apart. Unanswered: nobody is known to lead for long.
            if self.clock.is_none_or(|clock| core.now().since(clock.at) > CLOCK_EVERY)
                && let Ok(clock) = StoreClock::ask(&core).await
            {
                self.clock = Some(clock);
            }
            if events.is_none() {
                events = core.asked("follow", core.store.follow(&self.key)).await.ok();
            }
            let known = self.known.as_ref().filter(|(known, _)| matches!(known, Leadership::Leader(_)));
            let until = known.map(|(_, until)| *until);
            let wake = until.map_or(look_at, |until| until.min(look_at));
            tokio::select! {
                biased;
                () = reader.closed() => return Err(Gone),
                () = core.closing.cancelled() => return Err(Gone),
                // Another bucket numbers anew.
                Ok(()) = calamity.changed() => {
                    self.newest = 0;
                    look_at = core.now();
                }
                entry = next(events.as_mut()) => match entry {
                    Some(entry) => {
                        absences = 0;
                        self.see(Some(&entry)).await?;
                    }
                    None => events = None,
                },
                () = sleep_until(core.ambient.as_ref(), wake) => {
                    self.doubt().await?;
                    if core.now() < look_at {
                        continue;
                    }
                    look_at = core.now() + LOOK_EVERY;
                    match core.asked("read", core.store.read(&self.key)).await {
                        Ok(None) if until.is_some_and(|until| core.now() < until) => {}
                        Ok(None) => {
                            absences += 1;
                            if absences > 1 || self.known.is_none() {
                                self.see(None).await?;
                            }
                        }
                        Ok(entry) => {
                            absences = 0;
                            self.see(entry.as_ref()).await?;
                        }
                        Err(_) => {}
                    }
                }
            }
        }
    }

    /// What was told may not be known any more.
    async fn doubt(&mut self) -> Result<(), Gone> {
        match self.known.take() {
            Some((Leadership::Leader(leader), until)) if until <= self.core.now() => {
                let leader = Leader { valid_for: Duration::ZERO, ..leader };
                self.tell(Leadership::Unconfirmed(leader), until).await
            }
            known => {
                self.known = known;
                Ok(())
            }
        }
    }

    async fn see(&mut self, entry: Option<&Entry>) -> Result<(), Gone> {
        if let Some(entry) = entry {
            if entry.revision < self.newest {
                return Ok(());
            }
            self.newest = entry.revision;
        }
        let now = self.core.now();
        match leader(&self.core, self.clock, entry) {
            Some(leader) => {
                let until = now + leader.valid_for;
                let known = match leader.valid_for.is_zero() {
                    true => Leadership::Unconfirmed(leader),
                    false => Leadership::Leader(leader),
                };
                self.tell(known, until).await
            }
            None => self.tell(Leadership::Vacant, now).await,
        }
    }

    async fn tell(&mut self, known: Leadership, until: Moment) -> Result<(), Gone> {
        let same = self.known.as_ref().is_some_and(|(before, _)| alike(before, &known));
        self.known = Some((known.clone(), until));
        if same {
            return Ok(());
        }
        self.reader.send((known, until)).await.map_err(|_| Gone)
    }
}

/// Whether there is nothing new to tell: a renewal that says the same is none.
fn alike(before: &Leadership, now: &Leadership) -> bool {
    match (before, now) {
        (Leadership::Vacant, Leadership::Vacant) => true,
        (Leadership::Leader(a), Leadership::Leader(b))
        | (Leadership::Unconfirmed(a), Leadership::Unconfirmed(b)) => {
            (a.token, &a.value) == (b.token, &b.value)
        }
        _ => false,
    }
}

fn leader(core: &Core, clock: Option<StoreClock>, entry: Option<&Entry>) -> Option<Leader> {
    let (revision, record, written_micros) = match Slot::of(entry) {
        Slot::Taken { record, .. } if record.reserved => return None,
        Slot::Taken { revision, record, written_micros, .. } => (revision, record, written_micros),
        // Of a newer release: somebody leads, and for how long it says only to those who can read it.
        Slot::Foreign { revision, .. } => {
            return Some(Leader::of(Holder::unreadable(revision), Duration::ZERO, revision));
        }
        Slot::Free { .. } | Slot::Shared { .. } => return None,
    };
    let ttl = Duration::from_millis(record.ttl_ms);
    let believed = Times::new(ttl, core.slack).map_or(Duration::ZERO, |times| times.ttl() - times.margin());
    let valid_for = match (record.broken.is_none(), clock) {
        (true, Some(clock)) => {
            let lived = Duration::from_micros(clock.shows(core.now()).saturating_sub(written_micros));
            believed.saturating_sub(lived).saturating_sub(core.slack)
        }
        _ => Duration::ZERO,
    };
    Some(Leader::of(record.holder_at(revision), valid_for, revision))
}

async fn next(events: Option<&mut Events<Entry>>) -> Option<Entry> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::System;
    use crate::space::{Space, SpaceOptions};
    use crate::store::{Body, MemoryStore};

    /// It counts as held, so it is not told as vacant.
    #[tokio::test]
    async fn whoever_leads_by_a_newer_release_is_shown_and_not_confirmed() {
        let space =
            Space::on(MemoryStore::new(Arc::new(System)), SpaceOptions::default()).await.expect("a space");
        let body = Body::Put(serde_json::json!({ "v": 2, "leader": "somebody" }).to_string().into());
        let entry = Entry { key: "elect.a".into(), revision: 7, body, ttl_secs: 22, written_micros: 0 };
        let leader = leader(space.core(), None, Some(&entry)).expect("somebody leads");
        assert_eq!((leader.token, leader.valid_for), (Token::new(7), Duration::ZERO));
    }
}
