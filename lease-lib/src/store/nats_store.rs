//! The store on NATS: a JetStream KV bucket behind the seam.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::nats_link::{Link, Reach, Secrets};
use super::nats_open::Bucket;
use super::nats_wire::{Names, carried_entry};
use super::{
    Ack, Batch, BatchAck, Entry, Events, Life, Page, Reply, Revision, Store, Unreadable, Write, WriteError,
};
use crate::ambient::SharedAmbient;
use crate::error::Error;
use crate::name::unfit;
use crate::protocol::{DEFAULT_TTL, Times};

/// The longest name of a bucket.
const MAX_BUCKET: usize = 100;

/// How to connect, as whom, and which bucket to open.
///
/// Credentials may also stand in a URL. They are not shown by `Debug`, nor in any log or error.
#[derive(Clone)]
pub struct NatsOptions {
    /// The bucket: 1 to 100 of `A-Z a-z 0-9 - _`. Default `leases`.
    pub bucket: String,
    /// Replicas of a bucket that has to be made; one with fewer is refused. Default: 3 in a cluster, 1 on a single
    /// server, and no demand on a bucket that exists.
    pub replicas: Option<usize>,
    /// An operator's word that nobody believes in a lease any more that was granted in an earlier life of the bucket,
    /// so that one made anew need not stay quiet. Default `false`.
    pub fresh: bool,
    /// The JetStream domain, if it is not that of the servers connected to.
    pub domain: Option<String>,
    /// A user's name.
    pub user: Option<String>,
    /// That user's password.
    pub password: Option<String>,
    /// A token.
    pub token: Option<String>,
    /// A file with a JWT and its seed (`.creds`), read anew for each connection.
    pub credentials_file: Option<PathBuf>,
    /// The seed of an NKey (`SU...`).
    pub nkey_seed: Option<String>,
    /// How far the servers' wall clocks may be apart or step. Default 2 s.
    pub slack: Duration,
}

impl Default for NatsOptions {
    fn default() -> NatsOptions {
        NatsOptions {
            bucket: "leases".into(),
            replicas: None,
            fresh: false,
            domain: None,
            user: None,
            password: None,
            token: None,
            credentials_file: None,
            nkey_seed: None,
            slack: Duration::from_secs(2),
        }
    }
}

impl NatsOptions {
    fn secrets(&self) -> Secrets {
        Secrets {
            user: self.user.clone(),
            password: self.password.clone(),
            token: self.token.clone(),
            credentials_file: self.credentials_file.clone(),
            nkey_seed: self.nkey_seed.clone(),
        }
    }

    /// One token of a subject, which also makes a good file name.
    fn checked(setting: &'static str, value: &str) -> Result<(), Error> {
        let good = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if (1..=MAX_BUCKET).contains(&value.len()) && value.bytes().all(good) {
            return Ok(());
        }
        let value = format!("{:?}", value.chars().take(MAX_BUCKET).collect::<String>());
        Err(Error::InvalidSetting {
            setting,
            value,
            allowed: "allowed are 1 to 100 of A-Z a-z 0-9 - _".into(),
        })
    }

    fn names(&self) -> Result<Names, Error> {
        NatsOptions::checked("bucket", &self.bucket)?;
        if let Some(domain) = &self.domain {
            NatsOptions::checked("domain", domain)?;
        }
        if self.replicas.is_some_and(|replicas| !(1..=5).contains(&replicas)) {
            return Err(Error::InvalidSetting {
                setting: "replicas",
                value: self.replicas.unwrap_or_default().to_string(),
                allowed: "allowed is 1 to 5".into(),
            });
        }
        Ok(Names::new(&self.bucket, self.domain.as_deref()))
    }
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions")
            .field("bucket", &self.bucket)
            .field("replicas", &self.replicas)
            .field("fresh", &self.fresh)
            .field("domain", &self.domain)
            .field("credentials", &self.secrets())
            .field("slack", &self.slack)
            .finish()
    }
}

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
        let (names, times) = (options.names()?, Times::new(DEFAULT_TTL, options.slack)?);
        let slack_secs = times.store_secs().saturating_sub(DEFAULT_TTL.as_secs());
        // What an operator sees in the server's list of connections.
        let name = format!("lease {} pid {}", options.bucket, std::process::id());
        let link = Link::start(Reach::new(urls, options.secrets(), name, ambient.clone())?).await?;
        let bucket = Bucket::new(link, names, ambient, options.replicas, slack_secs, times.store_secs());
        bucket.open(options.fresh).await?;
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

    fn connected(&self) -> bool {
        self.bucket.link.standing().is_ok()
    }

    fn probe(&self) -> Reply<'_, Result<(), Error>> {
        Box::pin(self.bucket.probe())
    }
}
