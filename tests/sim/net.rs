//! A process's way to the store: the embedded store behind everything a network can do to a request.
//!
//! Each request travels as a task of the world, not of the process: it arrives whatever has become of its sender, and
//! an answer may lie waiting for a process that is paused.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use lease::store::{
    Ack, Batch, BatchAck, Entry, Events, Life, Page, Reply, Revision, Store, Unreadable, Write, WriteError,
};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::exec::WORLD;
use crate::fate::{LIMIT, Trip, WriteFate};
use crate::hasty;
use crate::sim::{Pid, Sim};
use crate::weather::Reach;

/// The store, as one process reaches it.
pub struct FaultyStore {
    pub sim: Arc<Sim>,
    pub pid: Pid,
    /// Tells what carries events that the connection has gone.
    pub open: watch::Sender<()>,
}

impl FaultyStore {
    pub fn new(sim: &Arc<Sim>, pid: Pid) -> Arc<FaultyStore> {
        Arc::new(FaultyStore { sim: Arc::clone(sim), pid, open: watch::Sender::new(()) })
    }

    fn reach(&self) -> Option<Reach> {
        self.sim.lock().weather.reach(self.pid.index, self.sim.at())
    }

    /// Sends a request and waits for its answer, until the limit. The request does not depend on being waited for.
    async fn travel<T: Send + 'static>(
        &self,
        trip: Trip,
        serve: impl FnOnce(&Sim) -> T + Send + 'static,
    ) -> Option<T> {
        let give_up = Instant::now() + trip.limit;
        let (answer, answered) = oneshot::channel();
        if let Some(out) = trip.out {
            let (sim, index) = (Arc::clone(&self.sim), self.pid.index);
            self.sim.exec.spawn(WORLD, async move {
                sleep(out).await;
                let reach = |sim: &Sim| sim.lock().weather.reach(index, sim.at());
                if matches!(reach(&sim), Some(Reach::Silent | Reach::Refusing)) {
                    return;
                }
                let served = serve(&sim);
                let Some(back) = trip.back else { return };
                sleep(back).await;
                if matches!(reach(&sim), Some(Reach::Silent | Reach::Deaf)) {
                    return;
                }
                // Whoever asked may have given up.
                let _ = answer.send(served);
            });
        }
        match timeout_at(give_up, answered).await {
            Ok(Ok(served)) => Some(served),
            Ok(Err(_)) => {
                sleep_until(give_up).await;
                None
            }
            Err(_) => None,
        }
    }

    /// Sends a request whose answer comes later than another one, which counts.
    fn unheard<T: Send + 'static>(&self, trip: Trip, serve: impl FnOnce(&Sim) -> T + Send + 'static) {
        let Some(out) = trip.out else { return };
        let (sim, index) = (Arc::clone(&self.sim), self.pid.index);
        self.sim.exec.spawn(WORLD, async move {
            sleep(out).await;
            let reach = sim.lock().weather.reach(index, sim.at());
            if !matches!(reach, Some(Reach::Silent | Reach::Refusing)) {
                serve(&sim);
            }
        });
    }

    pub async fn ask<T: Send + 'static>(
        &self,
        serve: impl FnOnce(&Sim, Option<Duration>) -> T + Send + 'static,
    ) -> Result<T, Unreadable> {
        if self.reach() == Some(Reach::Refusing) {
            sleep(Duration::from_millis(2)).await;
            return Err(Unreadable("no leader".into()));
        }
        let fate = self.sim.lock().read_fate(self.pid, self.sim.at());
        match fate {
            Ok(trip) => {
                let as_of = trip.as_of;
                let served = self.travel(trip, move |sim| serve(sim, as_of)).await;
                served.ok_or_else(|| Unreadable("no answer".into()))
            }
            Err(after) => {
                sleep(after).await;
                Err(Unreadable("refused".into()))
            }
        }
    }
}

impl Store for FaultyStore {
    fn write<'a>(&'a self, write: &'a Write) -> Reply<'a, Result<Ack, WriteError>> {
        Box::pin(async move {
            if self.reach() == Some(Reach::Refusing) {
                sleep(Duration::from_millis(2)).await;
                return Err(WriteError::NotTaken);
            }
            let fate = self.sim.lock().write_fate(self.pid, write, self.sim.at());
            match fate {
                WriteFate::Refused(after, error) => {
                    sleep(after).await;
                    Err(error)
                }
                WriteFate::Both(after, error, trip) => {
                    let (by, write) = (self.pid, write.clone());
                    self.unheard(trip, move |sim| sim.apply(by, &write));
                    sleep(after).await;
                    Err(error)
                }
                WriteFate::Trip(trip) => {
                    if trip.out.is_some() && trip.back.is_none() {
                        hasty::perhaps(&self.sim, self.pid, write);
                    }
                    let (by, write) = (self.pid, write.clone());
                    let answer = self.travel(trip, move |sim| sim.apply(by, &write)).await;
                    answer.unwrap_or(Err(WriteError::Unknown("no answer in time")))
                }
            }
        })
    }

    /// A batch meets the network as its first write would.
    fn write_all<'a>(&'a self, batch: &'a Batch) -> Reply<'a, Result<BatchAck, WriteError>> {
        Box::pin(async move {
            let by = self.pid;
            let Some(first) = batch.writes.first() else { return self.sim.apply_all(by, batch) };
            if self.reach() == Some(Reach::Refusing) {
                sleep(Duration::from_millis(2)).await;
                return Err(WriteError::NotTaken);
            }
            let (compared, expect) = first.compared();
            let (key, id) = (compared.to_owned(), batch.id.clone());
            let write = Write { key, expect, body: first.body.clone(), ttl_secs: first.ttl_secs, id };
            let fate = self.sim.lock().write_fate(self.pid, &write, self.sim.at());
            match fate {
                WriteFate::Refused(after, error) => {
                    sleep(after).await;
                    Err(error)
                }
                WriteFate::Both(after, error, trip) => {
                    let batch = batch.clone();
                    self.unheard(trip, move |sim| sim.apply_all(by, &batch));
                    sleep(after).await;
                    Err(error)
                }
                WriteFate::Trip(trip) => {
                    let batch = batch.clone();
                    let answer = self.travel(trip, move |sim| sim.apply_all(by, &batch)).await;
                    if matches!(answer, Some(Ok(BatchAck::Duplicate))) {
                        self.sim.lock().unseen(by.index, self.sim.at());
                    }
                    answer.unwrap_or(Err(WriteError::Unknown("no answer in time")))
                }
            }
        })
    }

    fn read<'a>(&'a self, key: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>> {
        let key = key.to_owned();
        Box::pin(async move {
            let read = move |sim: &Sim, as_of| match as_of {
                Some(then) => Ok(sim.lock().history.at(&key, then).cloned()),
                None => now(sim.store.read(&key)),
            };
            self.ask(read).await?
        })
    }

    fn read_revision(&self, revision: Revision) -> Reply<'_, Result<Option<Entry>, Unreadable>> {
        Box::pin(async move {
            let read = move |sim: &Sim, as_of| match as_of {
                Some(then) => Ok(sim.lock().history.revision(revision, then).cloned()),
                None => now(sim.store.read_revision(revision)),
            };
            self.ask(read).await?
        })
    }

    fn last<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>> {
        let (filter, index) = (filter.to_owned(), self.pid.index);
        Box::pin(async move {
            let read = move |sim: &Sim, as_of| match as_of {
                Some(then) => Ok(sim.lock().history.matching(&filter, then).pop()),
                None => {
                    let ghost = sim.lock().ghosts(index, &filter).pop();
                    let last = now(sim.store.last(&filter))?;
                    Ok(last.into_iter().chain(ghost).max_by_key(|entry| entry.revision))
                }
            };
            self.ask(read).await?
        })
    }

    fn first<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>> {
        let (filter, index) = (filter.to_owned(), self.pid.index);
        Box::pin(async move {
            let read = move |sim: &Sim, as_of| match as_of {
                Some(then) => Ok(sim.lock().history.matching(&filter, then).into_iter().next()),
                None => {
                    let ghost = sim.lock().ghosts(index, &filter).into_iter().next();
                    let first = now(sim.store.first(&filter))?;
                    Ok(first.into_iter().chain(ghost).min_by_key(|entry| entry.revision))
                }
            };
            self.ask(read).await?
        })
    }

    fn scan<'a>(&'a self, filter: &'a str, from: Revision) -> Reply<'a, Result<Page, Unreadable>> {
        let (filter, index) = (filter.to_owned(), self.pid.index);
        Box::pin(async move {
            let read = move |sim: &Sim, as_of| match as_of {
                Some(then) => {
                    let mut entries = sim.lock().history.matching(&filter, then);
                    entries.retain(|entry| entry.revision >= from);
                    Ok(Page { entries, next: None })
                }
                None => {
                    let mut page = now(sim.store.scan(&filter, from))?;
                    let ghosts = sim.lock().ghosts(index, &filter);
                    let end = page.next.unwrap_or(Revision::MAX);
                    page.entries.extend(ghosts.into_iter().filter(|it| (from..end).contains(&it.revision)));
                    page.entries.sort_by_key(|entry| entry.revision);
                    Ok(page)
                }
            };
            self.ask(read).await?
        })
    }

    fn follow<'a>(&'a self, key: &'a str) -> Reply<'a, Result<Events<Entry>, Unreadable>> {
        let key = key.to_owned();
        Box::pin(async move {
            let follow = move |sim: &Sim, _| now(sim.store.follow(&key));
            Ok(self.carry(self.ask(follow).await??))
        })
    }

    fn tell<'a>(&'a self, process: &'a str, note: Bytes) -> Reply<'a, ()> {
        Box::pin(async move {
            let (sim, index, process) = (Arc::clone(&self.sim), self.pid.index, process.to_owned());
            self.sim.exec.spawn(WORLD, async move {
                sleep(Duration::from_millis(1)).await;
                if !sim.lock().weather.hushed(index, sim.at()) {
                    let _ = sim.store.tell(&process, note).now_or_never();
                }
            });
        })
    }

    fn inbox<'a>(&'a self, process: &'a str) -> Reply<'a, Result<Events<Bytes>, Unreadable>> {
        let process = process.to_owned();
        Box::pin(async move {
            let open = move |sim: &Sim, _| now(sim.store.inbox(&process));
            Ok(self.carry(self.ask(open).await??))
        })
    }

    /// Passed through while the store can be reached. Nothing rests on it and no check looks at it, so it meets no fault of
    /// its own: that would excuse the sender from what it has nothing to do with.
    fn chronicle<'a>(&'a self, key: &'a str, line: Bytes) -> Reply<'a, Result<(), WriteError>> {
        Box::pin(async move {
            match self.reach() {
                None => self.sim.store.chronicle(key, line).await,
                Some(Reach::Refusing) => Err(WriteError::NotTaken),
                Some(Reach::Silent | Reach::Deaf) => {
                    sleep(LIMIT).await;
                    Err(WriteError::Unknown("no answer in time"))
                }
            }
        })
    }

    fn chronicle_of<'a>(&'a self, key: &'a str) -> Reply<'a, Result<Vec<(Revision, Bytes)>, Unreadable>> {
        let key = key.to_owned();
        Box::pin(async move { self.ask(move |sim, _| now(sim.store.chronicle_of(&key))).await? })
    }

    fn time(&self) -> Reply<'_, Result<u64, Unreadable>> {
        Box::pin(async move { self.ask(|sim, _| now(sim.store.time())).await? })
    }

    fn life(&self) -> Reply<'_, Result<Life, Unreadable>> {
        Box::pin(async move { self.ask(|sim, _| now(sim.store.life())).await? })
    }

    fn cover_ttl(&self, ttl_secs: u64) -> Reply<'_, Result<(), Unreadable>> {
        Box::pin(async move { self.ask(move |sim, _| now(sim.store.cover_ttl(ttl_secs))).await? })
    }

    fn connected(&self) -> bool {
        self.reach().is_none()
    }

    fn probe(&self) -> Reply<'_, Result<(), lease::Error>> {
        Box::pin(async move {
            let answer = self.ask(|_, _| ()).await;
            answer.map_err(|Unreadable(why)| lease::Error::Unreachable(why))
        })
    }
}

/// The embedded store answers at once.
fn now<T>(reply: Reply<'_, Result<T, Unreadable>>) -> Result<T, Unreadable> {
    reply.now_or_never().unwrap_or_else(|| Err(Unreadable("slow".into())))
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({}, {LIMIT:?})", self.pid)
    }
}
