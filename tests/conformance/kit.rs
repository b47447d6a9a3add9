//! What the cases share: two views of a bucket, writes that are certain, and waits that end.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use lease::store::{Ack, Body, Entry, Events, Revision, Store, Write, WriteError};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

/// How long a condition may take to come true; far above what any store needs, so that only never is a failure.
const LIMIT: Duration = Duration::from_secs(20);

/// How long a whole case may take.
const CASE_LIMIT: Duration = Duration::from_secs(90);

/// Between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// A case. Its future stays on one thread, since async closures cannot promise more; the stores' tasks need not.
pub type Case = fn(Fixture) -> Pin<Box<dyn Future<Output = ()>>>;

/// Names cases by their paths.
macro_rules! cases {
    ($($module:ident::$case:ident),* $(,)?) => {
        vec![$((concat!(stringify!($module), "::", stringify!($case)), |f| Box::pin($module::$case(f)))),*]
    };
}
pub(crate) use cases;

/// Runs all cases at once; says at the end which failed.
pub async fn run(suite: Vec<(&'static str, Case)>, a: Arc<dyn Store>, b: Arc<dyn Store>) {
    LocalSet::new().run_until(run_here(suite, a, b)).await;
}

async fn run_here(suite: Vec<(&'static str, Case)>, a: Arc<dyn Store>, b: Arc<dyn Store>) {
    let started: Vec<_> = suite
        .into_iter()
        .map(|(name, case)| {
            let fixture = Fixture { a: a.clone(), b: b.clone(), prefix: name.replace("::", ".") };
            (name, spawn_local(timeout(CASE_LIMIT, case(fixture))))
        })
        .collect();
    let mut failed = Vec::new();
    for (name, task) in started {
        match task.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => failed.push(format!("{name}: not done after {CASE_LIMIT:?}")),
            Err(panic) => failed.push(format!("{name}: {panic}")),
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

/// A case's world: two views of one bucket, and a prefix that no other case uses.
#[derive(Clone)]
pub struct Fixture {
    pub a: Arc<dyn Store>,
    pub b: Arc<dyn Store>,
    prefix: String,
}

impl Fixture {
    /// A key (or filter) of this case's own.
    pub fn key(&self, rest: &str) -> String {
        format!("{}.{rest}", self.prefix)
    }

    /// Writes a value for certain; gives its revision.
    pub async fn put(&self, key: &str, expect: Revision, value: &str, ttl_secs: u64) -> Revision {
        let put = Write { ttl_secs, ..put(key, expect, value) };
        settle(&self.a, &put).await.unwrap_or_else(|no| panic!("put {key} at {expect}: {no:?}")).revision
    }

    /// Writes a marker for certain; gives its revision.
    pub async fn delete(&self, key: &str, expect: Revision, note: &str, ttl_secs: u64) -> Revision {
        let delete = Write { ttl_secs, ..delete(key, expect, note) };
        settle(&self.a, &delete)
            .await
            .unwrap_or_else(|no| panic!("delete {key} at {expect}: {no:?}"))
            .revision
    }

    /// Reads through both views, which agree as long as nobody writes.
    pub async fn read(&self, key: &str) -> Option<Entry> {
        self.agreed(key, async |store| store.read(key).await).await
    }

    /// What a revision made, through both views.
    pub async fn at(&self, revision: Revision) -> Option<Entry> {
        self.agreed(&revision.to_string(), async |store| store.read_revision(revision).await).await
    }

    /// The last entry under a filter of this case's own, through both views.
    pub async fn last(&self, filter: &str) -> Option<Entry> {
        let filter = self.key(filter);
        self.agreed(&filter, async |store| store.last(&filter).await).await
    }

    /// The first entry under a filter of this case's own, through both views.
    pub async fn first(&self, filter: &str) -> Option<Entry> {
        let filter = self.key(filter);
        self.agreed(&filter, async |store| store.first(&filter).await).await
    }

    async fn agreed<T: PartialEq + Debug, E: Debug>(
        &self,
        what: &str,
        ask: impl AsyncFn(&dyn Store) -> Result<T, E>,
    ) -> T {
        let found = patiently(async || ask(self.a.as_ref()).await).await;
        assert_eq!(patiently(async || ask(self.b.as_ref()).await).await, found, "the views differ on {what}");
        found
    }

    /// Waits until nothing is left of `key`.
    pub async fn gone(&self, key: &str) {
        until("the entry has expired", async || self.a.read(key).await.ok()?.is_none().then_some(())).await;
    }

    /// Writes to `key` until `events` hears of it. A new subscription may take a moment to be known in the whole
    /// cluster, and events may be lost; afterwards both is over. Gives the key's revision.
    pub async fn prime(&self, events: &mut Events<Entry>, key: &str, mut revision: Revision) -> Revision {
        until("a follower hears of a write", async || {
            revision = self.put(key, revision, "prime", 0).await;
            wait_for(events, |event| event.revision == revision).await.then_some(revision)
        })
        .await
    }

    /// Tells `process` notes until its inbox gets one.
    pub async fn prime_inbox(&self, inbox: &mut Events<Bytes>, process: &str) {
        let mut count = 0;
        until("an inbox gets a note", async || {
            count += 1;
            let note = Bytes::from(format!("prime {count}"));
            self.b.tell(process, note.clone()).await;
            wait_for(inbox, |got| *got == note).await.then_some(())
        })
        .await
    }
}

/// A write of a value without TTL, with an id of its own.
pub fn put(key: &str, expect: Revision, value: &str) -> Write {
    write(key, expect, Body::Put(Bytes::copy_from_slice(value.as_bytes())))
}

/// A write of a marker without TTL, with an id of its own.
pub fn delete(key: &str, expect: Revision, note: &str) -> Write {
    write(key, expect, Body::Delete(Bytes::copy_from_slice(note.as_bytes())))
}

/// A write without TTL, with an id of its own.
pub fn write(key: &str, expect: Revision, body: Body) -> Write {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = format!("{key} {}", COUNT.fetch_add(1, Ordering::Relaxed));
    Write { key: key.into(), expect, body, ttl_secs: 0, id }
}

/// Repeats a write until its answer is a definite one: that is how the protocol uses the seam.
pub async fn settle(store: &Arc<dyn Store>, write: &Write) -> Result<Ack, WriteError> {
    let mut open = false;
    until("a write is answered", async || match store.write(write).await {
        Err(WriteError::InFlight | WriteError::NotTaken) => None,
        Err(WriteError::Unknown(_)) => {
            open = true;
            None
        }
        // What is in the way may be what an earlier try of this very write left behind.
        Err(WriteError::Conflict { current: Some(revision) }) if open => {
            let there = store.read_revision(revision).await.ok()?;
            let own = there.is_some_and(|there| there.key == write.key && there.body == write.body);
            Some(if own { Ok(Ack { revision, duplicate: true }) } else { conflict(revision) })
        }
        answer => Some(answer),
    })
    .await
}

/// The definite no that names `current`.
pub fn conflict(current: Revision) -> Result<Ack, WriteError> {
    Err(WriteError::Conflict { current: Some(current) })
}

/// Waits for a condition instead of for a time.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(POLL).await;
        }
    };
    timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("waited {LIMIT:?} in vain until {what}"))
}

/// The next event, which must come.
pub async fn next<T>(events: &mut Events<T>) -> T {
    timeout(LIMIT, events.recv()).await.expect("an event in time").expect("an open channel")
}

/// Whether the event comes soon; drops those before it.
async fn wait_for<T>(events: &mut Events<T>, wanted: impl Fn(&T) -> bool) -> bool {
    let waiting = async {
        while let Some(event) = events.recv().await {
            if wanted(&event) {
                return true;
            }
        }
        panic!("a follower's channel is closed");
    };
    timeout(Duration::from_millis(500), waiting).await.unwrap_or(false)
}

/// Asks until there is an answer: a cluster may elect a leader at any time.
pub async fn patiently<T, E: Debug>(mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    until("the store answers", async || ask().await.ok()).await
}

/// All entries under a filter, page by page.
pub async fn scan_all(store: &Arc<dyn Store>, filter: &str) -> Vec<Entry> {
    scan_from(store, filter, 0).await
}

/// All entries under a filter from a revision on, page by page. A key that comes twice counts where it comes last.
pub async fn scan_from(store: &Arc<dyn Store>, filter: &str, mut from: Revision) -> Vec<Entry> {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut highest = 0;
    loop {
        let page = patiently(async || store.scan(filter, from).await).await;
        for entry in page.entries {
            assert!(
                entry.revision > highest && entry.revision >= from,
                "{entry:?} after {highest}, from {from}"
            );
            highest = entry.revision;
            entries.insert(entry.key.clone(), entry);
        }
        match page.next {
            Some(next) => assert!(next > std::mem::replace(&mut from, next), "a scan must get on"),
            None => break,
        }
    }
    let mut entries: Vec<Entry> = entries.into_values().collect();
    entries.sort_by_key(|entry| entry.revision);
    entries
}

/// The last token of each entry's key: short enough to list in an assertion.
pub fn ends(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.rsplit('.').next().unwrap_or_default()).collect()
}
