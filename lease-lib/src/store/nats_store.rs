//! The store on NATS: a JetStream KV bucket behind the seam.

use std::fmt;

use bytes::Bytes;
use tokio::sync::watch;

use super::facts::Facts;
use super::nats_link::{Link, Reach};
use super::nats_open::Bucket;
use super::nats_options::NatsOptions;
use super::nats_wire::carried_entry;
use super::{
    Ack, Batch, BatchAck, Entry, Events, Life, Page, Reply, Revision, Store, Unreadable, Write, WriteError,
};
use crate::ambient::SharedAmbient;
use crate::error::Error;
use crate::name::unfit;
use crate::protocol::{DEFAULT_TTL, Times};

/// A store on NATS. Dropping it closes the connection.
pub struct NatsStore {
    bucket: Bucket,
}

impl NatsStore {
    /// Connects to one of the servers (URLs separated by commas), opens the bucket and checks it; makes it where there
    /// is none.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] before anything is sent; [`Error::Denied`], [`Error::ServerTooOld`] and
    /// [`Error::UnsafeBucket`] at once; [`Error::Unreachable`] within 5 s if no server answers, and within 15 s if one
    /// does but JetStream does not.
    pub async fn open(urls: &str, options: NatsOptions, ambient: SharedAmbient) -> Result<NatsStore, Error> {
        let fresh = options.fresh;
        let store = NatsStore::reach(urls, &options, ambient).await?;
        store.bucket.open(fresh).await?;
        Ok(store)
    }

    /// Connects, and leaves the bucket as it is, or is not: for looking at it.
    ///
    /// # Errors
    /// As for [`NatsStore::open`].
    pub(crate) async fn reach(
        urls: &str,
        options: &NatsOptions,
        ambient: SharedAmbient,
    ) -> Result<NatsStore, Error> {
        let (names, times) = (options.names()?, Times::new(DEFAULT_TTL, options.slack)?);
        let slack_secs = times.store_secs().saturating_sub(DEFAULT_TTL.as_secs());
        // What an operator sees in the server's list of connections.
        let name = format!("lease {} pid {}", options.bucket, std::process::id());
        let link = Link::start(Reach::new(urls, options, name, ambient.clone())?).await?;
        let bucket = Bucket::new(link, names, ambient, options.replicas, slack_secs, times.store_secs());
        Ok(NatsStore { bucket })
    }
}

impl fmt::Debug for NatsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsStore")
            .field("bucket", &self.bucket.names.bucket())
            .field("server", &self.bucket.link.standing().ok().map(|session| session.server.clone()))
            .finish()
    }
}

fn unreadable(error: Error) -> Unreadable {
    Unreadable(error.to_string())
}

impl Store for NatsStore {
    fn write<'a>(&'a self, write: &'a Write) -> Reply<'a, Result<Ack, WriteError>> {
        Box::pin(self.bucket.link.write(&self.bucket.names, write))
    }

    fn write_all<'a>(&'a self, batch: &'a Batch) -> Reply<'a, Result<BatchAck, WriteError>> {
        Box::pin(self.bucket.link.write_all(&self.bucket.names, batch))
    }

    fn read<'a>(&'a self, key: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>> {
        Box::pin(self.bucket.link.read(&self.bucket.names, key))
    }

    fn read_revision(&self, revision: Revision) -> Reply<'_, Result<Option<Entry>, Unreadable>> {
        Box::pin(self.bucket.link.read_revision(&self.bucket.names, revision))
    }

    fn last<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>> {
        Box::pin(self.bucket.link.last(&self.bucket.names, filter))
    }

    fn first<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>> {
        Box::pin(self.bucket.link.first(&self.bucket.names, filter))
    }

    fn scan<'a>(&'a self, filter: &'a str, from: Revision) -> Reply<'a, Result<Page, Unreadable>> {
        Box::pin(self.bucket.link.scan(&self.bucket.names, filter, from))
    }

    /// The stream's leader announces each write once, after its commit, on a subject of its own.
    ///
    /// Lost: by being offline, slow, or a server between here and the leader. Old: no, but late.
    fn follow<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Events<Entry>, Unreadable>> {
        let (link, names) = (&self.bucket.link, &self.bucket.names);
        Box::pin(async move {
            if let Some(why) = unfit(filter, true) {
                return Err(Unreadable(format!("invalid key {filter:?}: {why}")));
            }
            let of = names.clone();
            let events = link.follow(names.event(filter), move |answer| {
                carried_entry(of.event_key(answer.subject())?, answer, answer.payload())
            });
            let events = events.await?;
            // An answer of the leader's shows that the subscription has reached it: both took the same way there.
            // Without one, the follower starts a little later; every event may be lost.
            let _ = link.last(names, filter).await;
            Ok(events)
        })
    }

    fn tell<'a>(&'a self, process: &'a str, note: Bytes) -> Reply<'a, ()> {
        Box::pin(async move {
            // Who a note is for stands in records, which anybody may have written.
            if unfit(process, false).is_none() {
                let sent = self.bucket.link.publish(&self.bucket.names.note(process), note).await;
                sent.unwrap_or_else(|failure| tracing::debug!(process, %failure, "a note was not sent"));
            }
        })
    }

    fn inbox<'a>(&'a self, process: &'a str) -> Reply<'a, Result<Events<Bytes>, Unreadable>> {
        Box::pin(async move {
            if let Some(why) = unfit(process, false) {
                return Err(Unreadable(format!("invalid process {process:?}: {why}")));
            }
            let subject = self.bucket.names.note(process);
            Ok(self.bucket.link.follow(subject, |answer| Some(answer.payload())).await?)
        })
    }

    fn chronicle<'a>(&'a self, key: &'a str, line: Bytes) -> Reply<'a, Result<(), WriteError>> {
        Box::pin(self.bucket.link.chronicle(&self.bucket.history, key, line))
    }

    fn chronicle_of<'a>(&'a self, key: &'a str) -> Reply<'a, Result<Vec<(Revision, Bytes)>, Unreadable>> {
        Box::pin(self.bucket.link.chronicle_of(&self.bucket.history, key))
    }

    fn life(&self) -> Reply<'_, Result<Life, Unreadable>> {
        Box::pin(async move { self.bucket.life().await.map_err(unreadable) })
    }

    fn time(&self) -> Reply<'_, Result<u64, Unreadable>> {
        Box::pin(async move { self.bucket.time().await.map_err(unreadable) })
    }

    fn cover_ttl(&self, ttl_secs: u64) -> Reply<'_, Result<(), Unreadable>> {
        Box::pin(async move { self.bucket.cover_ttl(ttl_secs).await.map_err(unreadable) })
    }

    fn connections(&self) -> watch::Receiver<u64> {
        self.bucket.link.connections()
    }

    fn replicas(&self) -> u64 {
        self.bucket.replicas_seen()
    }

    fn connected(&self) -> bool {
        self.bucket.link.standing().is_ok()
    }

    fn probe(&self) -> Reply<'_, Result<(), Error>> {
        Box::pin(self.bucket.probe())
    }

    fn examine(&self) -> Reply<'_, Result<Facts, Error>> {
        Box::pin(async move { Ok(Facts { nats: Some(self.bucket.examine().await?) }) })
    }
}
