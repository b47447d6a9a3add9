//! The table of the leases that the daemon holds, and for a minute of those that it lost.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lease::{End, Loss, Moment, fresh_id};
use tokio_util::task::TaskTracker;

use crate::app::{self, CLOCK};
use crate::config::limits::Limits;
use crate::grip::Grip;
use crate::held::{Fate, Held, RenewedBy, unknown_lease};
use crate::keeper::is_kept;
use crate::limits;
use crate::metrics::Metrics;
use crate::seats::{Seat, Seats};
use crate::wire::{Grant, Problem};

/// How long an ended lease is remembered.
const REMEMBER: Duration = Duration::from_secs(60);
/// A lease that the daemon renews is late when less of it than a quarter is left, and less than this: a renewal is due with
/// four fifths left, and an outage that costs nobody a lease must not look like a fault.
const LATE: Duration = Duration::from_secs(15);
/// The most ended leases that are remembered; older ones are forgotten early.
const MAX_REMEMBERED: usize = 10_000;

/// The leases of this daemon.
#[derive(Debug)]
pub struct Holders {
    table: Mutex<Table>,
    leases: Arc<Seats>,
    waiters: Arc<Seats>,
    metrics: Arc<Metrics>,
    keepers: TaskTracker,
    /// How many leases have run out that the daemon was to renew.
    expired: AtomicU64,
}

/// How the renewals of this daemon go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewals {
    /// So many leases are about to run out.
    pub late: usize,
    /// So many are not.
    pub on_time: usize,
    /// So many have run out since the daemon started.
    pub expired: u64,
}

#[derive(Debug, Default)]
struct Table {
    held: BTreeMap<String, Arc<Held>>,
    ended: BTreeMap<String, Ended>,
    /// The keys of `ended`, oldest first.
    order: VecDeque<(Moment, String)>,
}

#[derive(Clone, Debug)]
struct Ended {
    uid: u32,
    what: Grant,
    fate: Fate,
}

impl Table {
    /// Forgets what ended too long ago.
    fn purge(&mut self, now: Moment) {
        while let Some((at, _)) = self.order.front() {
            if now.since(*at) < REMEMBER && self.order.len() <= MAX_REMEMBERED {
                break;
            }
            if let Some((_, id)) = self.order.pop_front() {
                self.ended.remove(&id);
            }
        }
    }
}

impl Holders {
    /// An empty table.
    pub fn new(limits: &Limits, metrics: Arc<Metrics>) -> Holders {
        Holders {
            table: Mutex::default(),
            leases: limits::leases(limits),
            waiters: limits::waiters(limits),
            metrics,
            keepers: TaskTracker::new(),
            expired: AtomicU64::default(),
        }
    }

    /// A seat for one request of the user `uid` that waits for these names; given back when dropped.
    ///
    /// # Errors
    /// `too-many-waiters…`, or `too-many-leases…` if a grant could not be taken.
    pub fn seat(&self, uid: u32, names: Vec<String>) -> Result<Seat, Problem> {
        self.leases.has_room(uid)?;
        self.waiters.take(uid, names)
    }

    /// Takes a granted lease for the user `uid`.
    ///
    /// # Errors
    /// `too-many-leases…`; the lease is given back then.
    pub fn add(self: &Arc<Self>, uid: u32, renewed_by: RenewedBy, grip: Grip) -> Result<Arc<Held>, Problem> {
        let seat = match self.leases.take(uid, Vec::new()) {
            Ok(seat) => seat,
            Err(full) => {
                grip.abandon(End::Released);
                return Err(full);
            }
        };
        let id = fresh_id(&CLOCK);
        let (held, keeper) = Held::new(id.clone(), uid, renewed_by, grip);
        let held = Arc::new(held);
        self.table().held.insert(id.clone(), Arc::clone(&held));
        tracing::debug!(name = %held.what, token = held.what.token(), uid, "granted");
        let holders = Arc::clone(self);
        self.keepers.spawn(async move {
            keeper.run().await;
            holders.ended(&id);
            drop(seat);
        });
        Ok(held)
    }

    /// Gives back the lease `id`, and waits until the store has taken that.
    ///
    /// # Errors
    /// As [`Holders::find`]; and if the store did not answer, which leaves the rest to the lease's TTL.
    pub async fn release(&self, id: &str, uid: u32, why: End) -> Result<Arc<Held>, Problem> {
        let mine = self.table().held.get(id).filter(|held| held.uid == uid).cloned();
        // A lease that is kept for a client at work is there to be given back.
        let held = match mine {
            Some(held) if matches!(held.fate(), Some(Fate::Lost(loss)) if is_kept(&loss)) => held,
            _ => self.find(id, uid)?,
        };
        let outcome = held.end(why).ok_or_else(unknown_lease)?;
        match outcome.await {
            Ok(Ok(()) | Err(lease::Error::Lost(Loss::Draining))) => Ok(held),
            Ok(Err(lease::Error::Lost(loss))) => Err(Fate::Lost(loss).problem(&held.what)),
            Ok(Err(error)) => Err(Problem::from(error)),
            // The keeper is dropped with the daemon only.
            Err(_) => Err(app::draining()),
        }
    }

    /// The lease `id`, as far as the user `uid` may know of it.
    ///
    /// # Errors
    /// `lost` for a minute after a loss, else `unknown-lease`.
    pub fn find(&self, id: &str, uid: u32) -> Result<Arc<Held>, Problem> {
        let mut table = self.table();
        table.purge(app::now());
        let held = table.held.get(id).filter(|held| held.uid == uid).cloned();
        let ended = table.ended.get(id).filter(|ended| ended.uid == uid).cloned();
        drop(table);
        match (held, ended) {
            (Some(held), _) => match held.fate() {
                None => Ok(held),
                Some(fate) => Err(fate.problem(&held.what)),
            },
            (None, Some(ended)) => Err(ended.fate.problem(&ended.what)),
            (None, None) => Err(unknown_lease()),
        }
    }

    /// Whether `id` is held, or ended less than a minute ago.
    pub fn remembers(&self, id: &str) -> bool {
        let mut table = self.table();
        table.purge(app::now());
        table.held.contains_key(id) || table.ended.contains_key(id)
    }

    /// Gives back the lease of a client that is gone.
    pub fn client_gone(&self, held: &Held) {
        let ours = match held.fate() {
            None => true,
            Some(Fate::Lost(loss)) => is_kept(&loss),
            Some(_) => false,
        };
        if ours && held.end(End::ClientGone).is_some() {
            tracing::debug!(name = %held.what, token = held.what.token(), "the client is gone: released");
            self.metrics.client_gone();
        }
    }

    /// Gives back the lease `id`, whose holder never read that it has it.
    pub fn undelivered(&self, id: &str) {
        let held = self.table().held.get(id).cloned();
        if let Some(held) = held {
            self.client_gone(&held);
        }
    }

    /// The leases that are renewed by `renewer`.
    pub fn all(&self, renewer: RenewedBy) -> Vec<Arc<Held>> {
        self.table().held.values().filter(|held| held.renewed_by == renewer).cloned().collect()
    }

    /// How the renewals go that are the daemon's to do. A lease whose client is asked to stop needs none.
    pub fn renewals(&self) -> Renewals {
        let now = app::now();
        let table = self.table();
        let mut seen = Renewals { late: 0, on_time: 0, expired: self.expired.load(Ordering::Acquire) };
        for held in table.held.values().filter(|held| held.renewed_by == RenewedBy::Daemon) {
            match held.told() {
                None if now.until(held.deadline()) < LATE.min(held.ttl / 4) => seen.late += 1,
                None => seen.on_time += 1,
                // Given back yet, as far as the store takes that.
                Some(Fate::Lost(Loss::Expired)) => seen.expired += 1,
                Some(_) => {}
            }
        }
        seen
    }

    /// Waits until no lease that the daemon renews is left.
    pub async fn let_go(&self) {
        loop {
            let left = self.all(RenewedBy::Daemon);
            if left.is_empty() {
                return;
            }
            for held in left {
                held.gone().await;
            }
            // Their keepers take them off the table next.
            tokio::task::yield_now().await;
        }
    }

    fn ended(&self, id: &str) {
        let now = app::now();
        let mut table = self.table();
        if let Some(held) = table.held.remove(id) {
            let fate = held.fate().unwrap_or(Fate::Released);
            if held.renewed_by == RenewedBy::Daemon && fate == Fate::Lost(Loss::Expired) {
                self.expired.fetch_add(1, Ordering::AcqRel);
            }
            let ended = Ended { uid: held.uid, what: held.what.clone(), fate };
            table.ended.insert(id.to_owned(), ended);
            table.order.push_back((now, id.to_owned()));
        }
        table.purge(now);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
