//! Making, checking and recognising a bucket.
//!
//! Beside the bucket lives its history, which outlives it. A record in there says which life of the bucket is on
//! record, and the longest TTL in use. Whoever finds a bucket that is not the recorded one knows that it was made anew,
//! and that holders in its earlier life may still believe in their leases: it first puts a key into the new bucket
//! that keeps everybody quiet until it expires, then records the new life. Every step can be repeated, by anybody, in
//! any interleaving.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::{sleep, timeout};

use super::nats_bucket::{
    check, check_begun, check_clocks, check_history, check_rise, next_first_seq, wanted, wanted_history,
};
use super::nats_call::{Fault, Info};
use super::nats_link::Link;
use super::nats_wire::Names;
use super::{Body, Entry, Life, Revision, Unreadable, Write, WriteError};
use crate::ambient::{SharedAmbient, fresh_id};
use crate::error::Error;
use crate::protocol::MARKER_SECS;

/// How long opening may take, so that it outlasts an election.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// The pause before opening is tried again.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a record that others write too is tried.
const TRIES: usize = 20;
/// How many replicas a bucket gets if nobody says and the cluster has them.
const REPLICAS: usize = 3;

/// In the history bucket: which life is on record.
const LIFE: &str = "life";
/// In the bucket: while it exists, nothing may be granted.
const QUIET: &str = "space.quiet";
/// What a person reads who finds it.
const QUIET_TEXT: &str = "This bucket was made anew. Holders in its earlier life may still believe in their leases, \
    so nothing is granted until this entry has expired.";

/// Which life of the bucket is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// When the server made the bucket's stream, in the server's words.
    created: String,
    /// Its first revision.
    first_seq: u64,
    /// The longest TTL of any entry that anybody may have used in this life or the one before.
    longest_ttl_secs: u64,
    /// What a newer release has to say.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Record {
    fn is_of(&self, info: &Info) -> bool {
        self.created == info.created && self.first_seq == info.first_seq
    }
}

/// A bucket and its history, on a connection.
pub(super) struct Bucket {
    pub link: Link,
    pub names: Names,
    pub history: Names,
    ambient: SharedAmbient,
    pub replicas: Option<usize>,
    slack_secs: u64,
    default_ttl_secs: u64,
    /// The bucket's, when it was last looked at.
    replicas_seen: AtomicU64,
    /// What was last on record, in case the history is deleted as well.
    known: Mutex<Option<Record>>,
}

impl Bucket {
    /// A bucket that has not been opened. `default_ttl_secs` is the TTL of entries of whoever names none.
    pub(super) fn new(
        link: Link,
        names: Names,
        ambient: SharedAmbient,
        replicas: Option<usize>,
        slack_secs: u64,
        default_ttl_secs: u64,
    ) -> Bucket {
        let (history, replicas_seen, known) = (names.history(), AtomicU64::default(), Mutex::default());
        Bucket { link, names, history, ambient, replicas, slack_secs, default_ttl_secs, replicas_seen, known }
    }

    /// Makes the bucket where there is none, checks it, and settles which life it is in. `fresh` is an operator's word
    /// that nobody believes in a lease of an earlier life.
    ///
    /// # Errors
    /// What is wrong, at once where time will not mend it, else after [`OPEN_LIMIT`].
    pub(super) async fn open(&self, fresh: bool) -> Result<(), Error> {
        let mut last = Error::Unreachable("no answer".into());
        let patiently = async {
            loop {
                match self.open_once(fresh).await {
                    Err(error @ Error::Unreachable(_)) => last = error,
                    outcome => return outcome,
                }
                sleep(PAUSE).await;
            }
        };
        let outcome = timeout(OPEN_LIMIT, patiently).await;
        outcome.unwrap_or(Err(last))
    }

    async fn open_once(&self, fresh: bool) -> Result<(), Error> {
        let info = match self.link.info(&self.names).await? {
            Some(info) => info,
            None => {
                self.make().await?;
                let made = self.link.info(&self.names).await?;
                made.ok_or_else(|| Error::Unreachable("the bucket is being made".into()))?
            }
        };
        self.check(&info)?;
        self.settle(&info, fresh).await?;
        if fresh {
            self.end_quiet().await?;
        }
        tracing::info!(bucket = self.names.bucket(), created = info.created, "bucket opened");
        Ok(())
    }

    /// [`Store::life`](super::Store::life), for a process that has opened the bucket: it never makes it again.
    pub(super) async fn life(&self) -> Result<Life, Error> {
        let info = self.present().await?;
        self.check(&info)?;
        let record = self.settle(&info, false).await?;
        let quiet = self.link.read(&self.names, QUIET).await.map_err(|why| Error::Unreachable(why.0))?;
        Ok(Life {
            id: format!("{} {}", info.created, info.first_seq),
            quiet_secs: quiet.and_then(|entry| self.quiet_secs(&entry, &info, &record)),
            longest_ttl_secs: record.longest_ttl_secs,
        })
    }

    /// The clock of whoever leads the bucket's stream, or believes so.
    pub(super) async fn time(&self) -> Result<u64, Error> {
        Ok(self.present().await?.now)
    }

    /// How long the key that keeps everybody quiet may still be there: by the servers' clocks, which agree within the
    /// slack, and at most its whole TTL.
    fn quiet_secs(&self, entry: &Entry, info: &Info, record: &Record) -> Option<u64> {
        entry.value()?;
        let whole = if entry.ttl_secs > 0 {
            entry.ttl_secs
        } else {
            record.longest_ttl_secs.saturating_add(self.slack_secs)
        };
        let passed = info.now.saturating_sub(entry.written_micros) / 1_000_000;
        Some(whole.saturating_sub(passed).saturating_add(self.slack_secs).clamp(1, whole.max(1)))
    }

    /// [`Store::cover_ttl`](super::Store::cover_ttl).
    pub(super) async fn cover_ttl(&self, ttl_secs: u64) -> Result<(), Error> {
        for _ in 0..TRIES {
            if self.known().as_ref().is_some_and(|known| known.longest_ttl_secs >= ttl_secs) {
                return Ok(());
            }
            match self.record().await? {
                Some((_, record)) if record.longest_ttl_secs >= ttl_secs => self.learn(record),
                Some((revision, record)) => {
                    let record = Record { longest_ttl_secs: ttl_secs, ..record };
                    if self.put(&self.history, LIFE, revision, encode(&record), 0).await? {
                        self.learn(record);
                    }
                }
                None => {
                    let info = self.present().await?;
                    self.settle(&info, false).await?;
                }
            }
        }
        Err(Error::Unreachable("the record of the bucket's life keeps changing".into()))
    }

    /// [`Store::probe`](super::Store::probe).
    pub(super) async fn probe(&self) -> Result<(), Error> {
        // Without a connection, why there is none says more than that there is none.
        self.link.standing()?;
        let info = self.present().await?;
        self.check(&info)?;
        if info.led {
            Ok(())
        } else {
            Err(Error::Unreachable("the bucket has no leader with a majority at the moment".into()))
        }
    }

    /// For how long the bucket keeps quiet, as far as can be read; nothing is settled by asking.
    pub(super) async fn quiet_now(&self, info: &Info) -> Option<u64> {
        let entry = self.link.read(&self.names, QUIET).await.ok()??;
        let record = self.record().await.ok().flatten().map(|(_, record)| record);
        let unknown = || Record {
            created: info.created.clone(),
            first_seq: info.first_seq,
            longest_ttl_secs: self.default_ttl_secs,
            more: Map::new(),
        };
        self.quiet_secs(&entry, info, &record.unwrap_or_else(unknown))
    }

    pub(super) fn wall_micros(&self) -> u64 {
        self.ambient.wall_micros()
    }

    async fn present(&self) -> Result<Info, Error> {
        let gone = || {
            let bucket = self.names.bucket();
            Error::Unreachable(format!("bucket {bucket} is gone; a process that starts anew makes it again"))
        };
        self.link.info(&self.names).await?.ok_or_else(gone)
    }

    /// On how many servers the bucket was kept when it was last looked at.
    pub(super) fn replicas_seen(&self) -> u64 {
        self.replicas_seen.load(Ordering::Relaxed)
    }

    fn check(&self, info: &Info) -> Result<(), Error> {
        let replicas = info.config.get("num_replicas").and_then(Value::as_u64).unwrap_or(1);
        self.replicas_seen.store(replicas, Ordering::Relaxed);
        check(&self.names, &info.config, self.replicas)?;
        check_begun(&self.names, info.first_seq, info.last_seq)
    }

    /// Makes the bucket's stream, its history first. Both may exist by now: others open it at the same time.
    async fn make(&self) -> Result<(), Error> {
        self.have_history().await?;
        let before = self.record().await?.map_or(0, |(_, record)| record.first_seq);
        let sent = self.ambient.wall_micros();
        let history = self.link.info(&self.history).await?;
        let server = history.ok_or_else(|| Error::Unreachable("the history is gone".into()))?.now;
        let got = self.ambient.wall_micros();
        check_clocks(&self.names, sent, server, got)?;
        let first_seq = next_first_seq(got, before);
        self.create(&self.names, |replicas| wanted(&self.names, replicas, first_seq)).await
    }

    async fn have_history(&self) -> Result<(), Error> {
        let mut info = self.link.info(&self.history).await?;
        if info.is_none() {
            self.create(&self.history, |replicas| wanted_history(&self.history, replicas)).await?;
            info = self.link.info(&self.history).await?;
        }
        match info {
            Some(info) => check_history(&self.history, &info.config),
            None => Err(Error::Unreachable("the history is being made".into())),
        }
    }

    /// Creates a stream. Lost answer: the next look says whether it exists. Late: another has made it meanwhile, and
    /// the server keeps that one. So "it exists" is as good as a yes; the check decides.
    async fn create(&self, names: &Names, config: impl Fn(usize) -> Value) -> Result<(), Error> {
        let mut replicas = self.replicas.unwrap_or(REPLICAS);
        loop {
            match self.link.api(names, "STREAM.CREATE", &config(replicas)).await {
                Ok(_) => {
                    tracing::info!(bucket = names.bucket(), replicas, "bucket made");
                    return Ok(());
                }
                Err(Fault::Api(error)) => match error.err_code {
                    // The name is taken, in whatever configuration.
                    10058 => return Ok(()),
                    // A server without a cluster.
                    10074 if self.replicas.is_none() && replicas > 1 => replicas = 1,
                    10074 => {
                        return Err(Error::InvalidSetting {
                            setting: "replicas",
                            value: replicas.to_string(),
                            allowed: "a server without a cluster allows 1".into(),
                        });
                    }
                    10005 => {
                        let why =
                            format!("the cluster does not offer {replicas} servers for the bucket: {error}");
                        return Err(Error::Unreachable(why));
                    }
                    10065 => {
                        return Err(Error::UnsafeBucket {
                            bucket: names.bucket().into(),
                            setting: "subjects",
                            found: format!("another stream that takes some of {}", names.subject(">")),
                            needed: "these subjects to itself".into(),
                            mend: "find it (nats stream ls --subject), or use another bucket".into(),
                        });
                    }
                    _ => return Err(self.link.error(Fault::Api(error))),
                },
                Err(fault) => return Err(self.link.error(fault)),
            }
        }
    }

    /// Settles which life the bucket is in; gives the record that says so.
    async fn settle(&self, info: &Info, fresh: bool) -> Result<Record, Error> {
        self.have_history().await?;
        for _ in 0..TRIES {
            let (revision, found) = self.record().await?.unzip();
            if let Some(record) = found.clone().filter(|record| record.is_of(info)) {
                self.learn(record.clone());
                return Ok(record);
            }
            let before = found.or_else(|| self.known().clone());
            let longest_ttl_secs =
                before.as_ref().map_or(self.default_ttl_secs, |before| before.longest_ttl_secs);
            if let Some(before) = before.as_ref().filter(|before| !before.is_of(info)) {
                check_rise(&self.names, info.first_seq, before.first_seq)?;
                tracing::warn!(bucket = self.names.bucket(), fresh, "the bucket was made anew");
                // Before the new life is on record, so that nobody who finds it there finds no quiet.
                if !fresh {
                    let secs = longest_ttl_secs.saturating_add(self.slack_secs);
                    let there = self.put(&self.names, QUIET, 0, QUIET_TEXT.into(), secs).await?;
                    if !there && self.link.read(&self.names, QUIET).await.is_ok_and(|found| found.is_none()) {
                        continue;
                    }
                }
            }
            let record = Record {
                created: info.created.clone(),
                first_seq: info.first_seq,
                longest_ttl_secs,
                more: before.map(|before| before.more).unwrap_or_default(),
            };
            if self.put(&self.history, LIFE, revision.unwrap_or(0), encode(&record), 0).await? {
                self.learn(record.clone());
                return Ok(record);
            }
        }
        Err(Error::Unreachable("the record of the bucket's life keeps changing".into()))
    }

    /// Takes away what keeps everybody quiet, if it is there: another process may have made the bucket anew before the operator
    /// said that it need not wait.
    async fn end_quiet(&self) -> Result<(), Error> {
        for _ in 0..TRIES {
            let read = self.link.read(&self.names, QUIET).await.map_err(|why| Error::Unreachable(why.0))?;
            let Some(entry) = read.filter(|entry| entry.value().is_some()) else { return Ok(()) };
            let gone = Body::Delete(Bytes::from_static(b"{}"));
            if self.write(&self.names, QUIET, entry.revision, gone, MARKER_SECS).await? {
                tracing::warn!(
                    bucket = self.names.bucket(),
                    "an operator says that nobody believes any more: no quiet"
                );
                return Ok(());
            }
        }
        Err(Error::Unreachable("what keeps the bucket quiet keeps changing".into()))
    }

    /// One CAS write of this file's own. `false`: somebody else wrote, or may be writing; look again.
    ///
    /// Lost or late answer: an error, and whoever tries again finds what was written, if it was.
    async fn put(
        &self,
        names: &Names,
        key: &str,
        expect: Revision,
        value: String,
        ttl_secs: u64,
    ) -> Result<bool, Error> {
        self.write(names, key, expect, Body::Put(value.into()), ttl_secs).await
    }

    async fn write(
        &self,
        names: &Names,
        key: &str,
        expect: Revision,
        body: Body,
        ttl_secs: u64,
    ) -> Result<bool, Error> {
        let id = fresh_id(&*self.ambient);
        let write = Write { key: key.into(), expect, body, ttl_secs, id };
        match self.link.write(names, &write).await {
            Ok(_) => Ok(true),
            Err(WriteError::Conflict { .. }) => Ok(false),
            Err(WriteError::InFlight) => {
                sleep(PAUSE / 10).await;
                Ok(false)
            }
            Err(WriteError::NotTaken) => Err(Error::Unreachable(format!("{key} was not taken"))),
            Err(WriteError::Unknown(why)) => Err(Error::Unreachable(format!("{key}: {why}"))),
            Err(WriteError::Refused(why)) => Err(Error::Denied(why)),
        }
    }

    /// The record of the bucket's life. An old answer shows an earlier record, which a CAS write then finds out.
    async fn record(&self) -> Result<Option<(Revision, Record)>, Error> {
        let read = self.link.read(&self.history, LIFE).await;
        let entry = read.map_err(|Unreadable(why)| Error::Unreachable(why))?;
        let record = |entry: Entry| Some((entry.revision, serde_json::from_slice(entry.value()?).ok()?));
        match entry {
            None => Ok(None),
            Some(entry) => record(entry).map(Some).ok_or_else(|| Error::UnsafeBucket {
                bucket: self.history.bucket().into(),
                setting: "the key life",
                found: "nothing that can be read".into(),
                needed: "the record that lease wrote".into(),
                mend: "restore it from its earlier values (nats kv history), or delete that bucket".into(),
            }),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Record>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, record: Record) {
        *self.known() = Some(record);
    }
}

fn encode(record: &Record) -> String {
    // A struct of strings and numbers always encodes.
    serde_json::to_string(record).unwrap_or_default()
}
