//! A store between one process and the shared one that loses, delays and invents what a network could.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lease::store::{
    Ack, Body, Entry, Events, Life, MemoryStore, Page, Reply, Revision, Store, Unreadable, Write, WriteError,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::dice::Dice;

/// What a request may take before it is given up.
const LIMIT: Duration = Duration::from_millis(1_500);
/// How old a read may be.
const STALE: Duration = Duration::from_secs(16);

/// What all processes of a run share.
#[derive(Debug)]
pub struct Shared {
    pub store: Arc<MemoryStore>,
    pub dice: Dice,
    /// Faults in a thousand requests; 0 for a run without any.
    pub level: Mutex<u64>,
    pub outage_until: Mutex<Option<Instant>>,
    pub faults: Mutex<u64>,
    /// Every entry that was written, newest last, with the time.
    pub log: Mutex<Vec<(Instant, Entry)>>,
    recent: Mutex<BTreeMap<String, VecDeque<(Instant, Entry)>>>,
}

impl Shared {
    pub fn new(store: Arc<MemoryStore>, seed: u64, level: u64) -> Arc<Shared> {
        Arc::new(Shared {
            store,
            dice: Dice::new(seed),
            level: Mutex::new(level),
            outage_until: Mutex::default(),
            faults: Mutex::default(),
            log: Mutex::default(),
            recent: Mutex::default(),
        })
    }

    fn fault(&self, share: u64) -> bool {
        let level = *self.level.lock().unwrap();
        let hit = self.dice.per_mille(level * share / 100);
        *self.faults.lock().unwrap() += u64::from(hit);
        hit
    }

    fn out(&self) -> bool {
        self.outage_until.lock().unwrap().is_some_and(|until| until > Instant::now())
    }

    /// Applies a write to the shared store, and keeps what it wrote.
    async fn apply(&self, write: &Write) -> Result<Ack, WriteError> {
        let mut write = write.clone();
        if write.key.starts_with("lock.") && write.ttl_secs > 2 && self.fault(100) {
            // A server whose clock is ahead, by no more than the slack.
            write.ttl_secs -= self.dice.range(1, 3);
        }
        let answer = self.store.write(&write).await;
        if let Ok(Ack { revision, duplicate: false }) = answer {
            let entry = Entry {
                key: write.key.clone(),
                revision,
                body: write.body.clone(),
                ttl_secs: write.ttl_secs,
                written_micros: 0,
            };
            let now = Instant::now();
            self.log.lock().unwrap().push((now, entry.clone()));
            let mut recent = self.recent.lock().unwrap();
            let entries = recent.entry(write.key).or_default();
            entries.push_back((now, entry));
            while entries.len() > 1 && entries[1].0.elapsed() > STALE {
                entries.pop_front();
            }
        }
        answer
    }

    fn stale(&self, key: &str) -> Option<Entry> {
        let recent = self.recent.lock().unwrap();
        let entries = recent.get(key)?;
        let pick = usize::try_from(self.dice.range(0, entries.len() as u64)).unwrap();
        Some(entries[pick].1.clone())
    }
}

/// One process's way to the store.
#[derive(Debug)]
pub struct Faulty(pub Arc<Shared>);

impl Faulty {
    async fn hop(&self) {
        let late = self.0.fault(30);
        sleep(if late { self.0.dice.millis(50, 1_400) } else { self.0.dice.millis(0, 3) }).await;
    }

    async fn ask<T>(&self, answer: impl Future<Output = Result<T, Unreadable>>) -> Result<T, Unreadable> {
        if self.0.out() || self.0.fault(50) {
            sleep(LIMIT).await;
            return Err(Unreadable("lost".into()));
        }
        self.hop().await;
        let answer = answer.await;
        self.hop().await;
        answer
    }

    fn forward<T: Clone + Send + 'static>(&self, mut events: Events<T>) -> Events<T> {
        let (sender, receiver) = mpsc::channel(lease::store::EVENT_BUFFER);
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    biased;
                    () = sender.closed() => return,
                    event = events.recv() => event,
                };
                let Some(event) = event else { return };
                if shared.out() || shared.fault(60) {
                    continue;
                }
                if shared.fault(10) {
                    // The connection broke: whoever follows has to follow anew.
                    return;
                }
                if shared.fault(60) {
                    sleep(shared.dice.millis(1, 4_000)).await;
                }
                let twice = shared.fault(30);
                let _ = sender.try_send(event.clone());
                if twice {
                    let _ = sender.try_send(event);
                }
            }
        });
        receiver
    }
}

impl Store for Faulty {
    fn write<'a>(&'a self, write: &'a Write) -> Reply<'a, Result<Ack, WriteError>> {
        Box::pin(async move {
            let shared = &self.0;
            let unknown = Err(WriteError::Unknown("lost"));
            if shared.out() {
                if shared.dice.per_mille(500) {
                    return Err(WriteError::NotTaken);
                }
                sleep(LIMIT).await;
                return unknown;
            }
            if shared.fault(60) {
                return Err(WriteError::InFlight);
            }
            if shared.fault(30) {
                return Err(WriteError::NotTaken);
            }
            if shared.fault(60) {
                sleep(LIMIT).await;
                return unknown;
            }
            if shared.fault(60) {
                self.hop().await;
                let _ = shared.apply(write).await;
                sleep(LIMIT).await;
                return unknown;
            }
            if shared.fault(40) {
                // It lies in some buffer and is applied after everybody has given it up.
                let (late, write) = (Arc::clone(shared), write.clone());
                let delay = shared.dice.millis(1_000, 40_000);
                tokio::spawn(async move {
                    sleep(delay).await;
                    let _ = late.apply(&write).await;
                });
                sleep(LIMIT).await;
                return unknown;
            }
            self.hop().await;
            let answer = shared.apply(write).await;
            self.hop().await;
            answer
        })
    }

    fn read<'a>(&'a self, key: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>> {
        Box::pin(self.ask(async move {
            match self.0.fault(60).then(|| self.0.stale(key)).flatten() {
                Some(old) => Ok(Some(old)),
                None => self.0.store.read(key).await,
            }
        }))
    }

    fn read_revision(&self, revision: Revision) -> Reply<'_, Result<Option<Entry>, Unreadable>> {
        Box::pin(self.ask(self.0.store.read_revision(revision)))
    }

    fn last<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>> {
        Box::pin(self.ask(self.0.store.last(filter)))
    }

    fn scan<'a>(&'a self, filter: &'a str, from: Revision) -> Reply<'a, Result<Page, Unreadable>> {
        Box::pin(self.ask(self.0.store.scan(filter, from)))
    }

    fn follow<'a>(&'a self, key: &'a str) -> Reply<'a, Result<Events<Entry>, Unreadable>> {
        Box::pin(self.ask(async move { Ok(self.forward(self.0.store.follow(key).await?)) }))
    }

    fn tell<'a>(&'a self, process: &'a str, note: Bytes) -> Reply<'a, ()> {
        Box::pin(self.0.store.tell(process, note))
    }

    fn inbox<'a>(&'a self, process: &'a str) -> Reply<'a, Result<Events<Bytes>, Unreadable>> {
        Box::pin(async move { Ok(self.forward(self.0.store.inbox(process).await?)) })
    }

    fn life(&self) -> Reply<'_, Result<Life, Unreadable>> {
        Box::pin(self.ask(self.0.store.life()))
    }

    fn cover_ttl(&self, ttl_secs: u64) -> Reply<'_, Result<(), Unreadable>> {
        Box::pin(self.0.store.cover_ttl(ttl_secs))
    }

    fn connected(&self) -> bool {
        !self.0.out()
    }

    fn probe(&self) -> Reply<'_, Result<(), lease::Error>> {
        self.0.store.probe()
    }
}

/// The token of the grant that an entry belongs to, if it is one.
pub fn token(entry: &Entry) -> Option<u64> {
    let Body::Put(value) = &entry.body else { return None };
    let record: serde_json::Value = serde_json::from_slice(value).ok()?;
    (record["reserved"] != true).then(|| record["token"].as_u64().unwrap_or(entry.revision))
}
