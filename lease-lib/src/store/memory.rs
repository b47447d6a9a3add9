//! The embedded store: one process, the semantics of the NATS one, and hooks for a simulation.
//!
//! It exists for trying things out without a server and for running the whole library under virtual time. So it
//! repeats what the protocol must cope with (history of one, deduplication before comparison, expiry without an
//! event), and leaves out what a wrapper adds better: delays, lost answers, lost events.
//!
//! Nothing in here reads a clock or draws a number but through [`Ambient`](crate::ambient::Ambient), and nothing
//! depends on the order of a hash table: the same calls at the same moments give the same answers.

mod annals;
mod batch;
#[cfg(test)]
mod batch_tests;
mod hub;
mod ids;
mod shelf;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::{
    Ack, Batch, BatchAck, Body, Entry, Events, Life, Page, Reply, Revision, Store, Unreadable, Write,
    WriteError,
};
use crate::ambient::{Moment, SharedAmbient};
use crate::error::Error;
use crate::name::unfit;
use annals::Annals;
use hub::Hub;
use ids::Ids;
use shelf::Shelf;

/// What a NATS server takes at most by default; a store that took more would hide a bug until production.
const MAX_BODY: usize = 1 << 20;

/// Tokens stay below 2^53, with as much room again to count up: unix microseconds get here in the year 2112.
const MAX_FIRST_REVISION: Revision = 1 << 52;

/// The embedded store. Everything is gone with the process, and it excludes nobody outside of it.
pub struct MemoryStore {
    ambient: SharedAmbient,
    /// Held for the length of one operation and never across an await.
    bucket: Mutex<Bucket>,
}

/// The bucket and who listens to it. Followers outlive the bucket, as subscriptions do on NATS.
struct Bucket {
    /// How often the bucket was made; tells one life from the next.
    generation: u64,
    first: Revision,
    shelf: Shelf,
    ids: Ids,
    revisions_first: bool,
    longest_ttl_secs: u64,
    quiet_until: Option<Moment>,
    /// Outlives the bucket.
    annals: Annals,
    followers: Hub<Entry>,
    inboxes: Hub<Bytes>,
}

impl MemoryStore {
    /// An empty store, whose first revision is the wall clock in microseconds, as with a new bucket on NATS.
    pub fn new(ambient: SharedAmbient) -> Arc<MemoryStore> {
        let bucket = Bucket::new(ambient.wall_micros());
        Arc::new(MemoryStore { ambient, bucket: Mutex::new(bucket) })
    }

    /// For simulation: the bucket is deleted and made again, with `first_revision` for its first write.
    ///
    /// Entries and message ids are gone without an event, [`Life::id`] is another, and the new bucket is quiet for
    /// the longest TTL that [`Store::cover_ttl`] was told. Followers and inboxes stay subscribed.
    pub fn recreate(&self, first_revision: u64) {
        let (mut bucket, now) = self.open();
        bucket.recreate(first_revision, now);
    }

    /// For simulation: the store comes back without its last `by` revisions, and will give them out again.
    ///
    /// Entries and message ids of the lost writes are gone; what those writes had overwritten does not come back.
    pub fn regress(&self, by: u64) {
        let (mut bucket, _) = self.open();
        bucket.shelf.regress(by);
        let next = bucket.shelf.next_revision();
        bucket.ids.forget_from(next);
    }

    /// For simulation: whether a write's revision is compared before its id is looked up. Then the repeat of an
    /// applied write is a conflict, unless its expectation holds again. A stream with one replica does so, a
    /// replicated one (and this store, unless told) does not; the protocol must live with both. Of a batch the id is
    /// looked at first in either case.
    pub fn revisions_first(&self, yes: bool) {
        self.open().0.revisions_first = yes;
    }

    /// For simulation: removes the key's entry now, as a server whose clock is ahead does. Whether there was one.
    pub fn expire_early(&self, key: &str) -> bool {
        let (mut bucket, _) = self.open();
        bucket.shelf.remove(key)
    }

    /// The bucket as of now: what has expired is gone. A panic elsewhere leaves it whole, since every change is
    /// made by code that does not panic, so poison is no reason to fail.
    fn open(&self) -> (MutexGuard<'_, Bucket>, Moment) {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.ambient.now();
        bucket.shelf.expire(now);
        bucket.ids.purge(now);
        (bucket, now)
    }

    fn write_now(&self, write: &Write) -> Result<Ack, WriteError> {
        check(write)?;
        let (mut bucket, now) = self.open();
        bucket.write(write, now, self.ambient.wall_micros())
    }
}

impl Bucket {
    fn new(first: Revision) -> Bucket {
        let first = first.clamp(1, MAX_FIRST_REVISION);
        Bucket {
            generation: 1,
            first,
            shelf: Shelf::new(first),
            ids: Ids::default(),
            revisions_first: false,
            longest_ttl_secs: 0,
            quiet_until: None,
            annals: Annals::default(),
            followers: Hub::default(),
            inboxes: Hub::default(),
        }
    }

    fn recreate(&mut self, first: Revision, now: Moment) {
        self.generation += 1;
        self.first = first.clamp(1, MAX_FIRST_REVISION);
        self.shelf = Shelf::new(self.first);
        self.ids = Ids::default();
        self.quiet_until = Some(now + Duration::from_secs(self.longest_ttl_secs));
    }

    /// By default the id is looked at before the revision, as a replicated stream does. Only an applied write uses
    /// its id up.
    fn write(&mut self, write: &Write, now: Moment, wall: u64) -> Result<Ack, WriteError> {
        let duplicate = self.ids.applied(&write.id).map(|revision| Ack { revision, duplicate: true });
        let current = self.shelf.revision(&write.key);
        match duplicate {
            Some(ack) if !self.revisions_first => return Ok(ack),
            _ if current != write.expect => return Err(WriteError::Conflict { current: Some(current) }),
            Some(ack) => return Ok(ack),
            None => {}
        }
        let entry = self.shelf.put(&write.key, &write.body, write.ttl_secs, now, wall);
        self.ids.remember(&write.id, entry.revision, now);
        self.followers.publish(&entry.key, &entry);
        Ok(Ack { revision: entry.revision, duplicate: false })
    }

    fn life(&self, now: Moment) -> Life {
        let quiet = self.quiet_until.map(|until| now.until(until)).filter(|left| !left.is_zero());
        Life {
            id: format!("{}-{}", self.first, self.generation),
            quiet_secs: quiet.map(|left| left.as_secs() + u64::from(left.subsec_nanos() > 0)),
            longest_ttl_secs: self.longest_ttl_secs,
        }
    }
}

impl MemoryStore {
    /// As [`Store::life`]: this store need not be waited for.
    pub(crate) fn life_now(&self) -> Life {
        let (bucket, now) = self.open();
        bucket.life(now)
    }

    /// As [`Store::inbox`], for a process id of this crate's own making.
    pub(crate) fn inbox_now(&self, process: &str) -> Events<Bytes> {
        self.open().0.inboxes.subscribe(process)
    }
}

impl Store for MemoryStore {
    fn write<'a>(&'a self, write: &'a Write) -> Reply<'a, Result<Ack, WriteError>> {
        Box::pin(async move { self.write_now(write) })
    }

    fn write_all<'a>(&'a self, batch: &'a Batch) -> Reply<'a, Result<BatchAck, WriteError>> {
        Box::pin(async move { self.write_all_now(batch) })
    }

    fn read<'a>(&'a self, key: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>> {
        Box::pin(async move {
            readable(key, false)?;
            Ok(self.open().0.shelf.read(key))
        })
    }

    fn read_revision(&self, revision: Revision) -> Reply<'_, Result<Option<Entry>, Unreadable>> {
        Box::pin(async move { Ok(self.open().0.shelf.at(revision)) })
    }

    fn last<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>> {
        Box::pin(async move {
            readable(filter, true)?;
            Ok(self.open().0.shelf.last(filter))
        })
    }

    fn first<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>> {
        Box::pin(async move {
            readable(filter, true)?;
            Ok(self.open().0.shelf.first(filter))
        })
    }

    fn scan<'a>(&'a self, filter: &'a str, from: Revision) -> Reply<'a, Result<Page, Unreadable>> {
        Box::pin(async move {
            readable(filter, true)?;
            Ok(self.open().0.shelf.scan(filter, from))
        })
    }

    fn follow<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Events<Entry>, Unreadable>> {
        Box::pin(async move {
            readable(filter, true)?;
            Ok(self.open().0.followers.subscribe(filter))
        })
    }

    fn tell<'a>(&'a self, process: &'a str, note: Bytes) -> Reply<'a, ()> {
        Box::pin(async move { self.open().0.inboxes.publish(process, &note) })
    }

    fn inbox<'a>(&'a self, process: &'a str) -> Reply<'a, Result<Events<Bytes>, Unreadable>> {
        Box::pin(async move {
            readable(process, false)?;
            Ok(self.inbox_now(process))
        })
    }

    fn chronicle<'a>(&'a self, key: &'a str, line: Bytes) -> Reply<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if let Some(why) = unfit(key, false) {
                return Err(WriteError::Refused(format!("invalid key {key:?}: {why}")));
            }
            fits(&Body::Put(line.clone()))?;
            let (mut bucket, now) = self.open();
            bucket.annals.add(key, line, now);
            Ok(())
        })
    }

    fn chronicle_of<'a>(&'a self, key: &'a str) -> Reply<'a, Result<Vec<(Revision, Bytes)>, Unreadable>> {
        Box::pin(async move {
            readable(key, false)?;
            let (bucket, now) = self.open();
            Ok(bucket.annals.of(key, now))
        })
    }

    fn life(&self) -> Reply<'_, Result<Life, Unreadable>> {
        Box::pin(async move { Ok(self.life_now()) })
    }

    fn time(&self) -> Reply<'_, Result<u64, Unreadable>> {
        Box::pin(async move { Ok(self.ambient.wall_micros()) })
    }

    fn cover_ttl(&self, ttl_secs: u64) -> Reply<'_, Result<(), Unreadable>> {
        Box::pin(async move {
            let mut bucket = self.open().0;
            bucket.longest_ttl_secs = bucket.longest_ttl_secs.max(ttl_secs);
            Ok(())
        })
    }

    fn connected(&self) -> bool {
        true
    }

    fn probe(&self) -> Reply<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

impl fmt::Debug for MemoryStore {
    /// Says how much is kept, not what: values may be long, and metadata is the user's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("MemoryStore")
            .field("generation", &bucket.generation)
            .field("entries", &bucket.shelf.len())
            .field("ids", &bucket.ids.len())
            .field("followers", &bucket.followers.len())
            .finish_non_exhaustive()
    }
}

/// Refuses what a NATS server would refuse.
fn check(write: &Write) -> Result<(), WriteError> {
    if let Some(why) = unfit(&write.key, false) {
        return Err(WriteError::Refused(format!("invalid key {:?}: {why}", write.key)));
    }
    fits(&write.body)
}

fn fits(body: &Body) -> Result<(), WriteError> {
    let (Body::Put(bytes) | Body::Delete(bytes)) = body;
    if bytes.len() > MAX_BODY {
        return Err(WriteError::Refused(format!("{} bytes are more than {MAX_BODY}", bytes.len())));
    }
    Ok(())
}

fn readable(key: &str, wild: bool) -> Result<(), Unreadable> {
    match unfit(key, wild) {
        Some(why) => Err(Unreadable(format!("invalid key {key:?}: {why}"))),
        None => Ok(()),
    }
}
