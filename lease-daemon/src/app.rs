//! What every request shares.

use std::sync::{Arc, OnceLock};

use lease::{Ambient, Space, System};
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::attempts::Attempts;
use crate::bound::Bound;
use crate::candidates::Candidates;
use crate::config::limits::Limits;
use crate::holders::Holders;
use crate::limits;
use crate::metrics::Metrics;
use crate::seats::Seats;
use crate::wire::{Code, Problem, Retry};

/// The one clock of the daemon.
pub const CLOCK: System = System;

/// The daemon, as its handlers see it.
#[derive(Debug)]
pub struct App {
    /// Empty until the store has been reached for the first time.
    space: OnceLock<Space>,
    /// `nats` or `embedded`.
    pub store: &'static str,
    /// The leases that are held here.
    pub holders: Arc<Holders>,
    /// The attempts whose repeats must get the same lease.
    pub attempts: Arc<Attempts>,
    /// The candidates that stand for office here.
    pub candidates: Arc<Candidates>,
    /// The processes that leases are bound to.
    pub bound: Bound,
    /// The watches that are open here.
    pub watches: Arc<Seats>,
    /// How much of everything there can be.
    pub limits: Limits,
    /// Who may do what.
    pub access: Arc<Access>,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// Whoever examines the store: one at a time, since that asks every server.
    pub examining: tokio::sync::Mutex<()>,
    /// Cancelled when the daemon begins to stop: nothing is granted from then on.
    pub draining: CancellationToken,
}

impl App {
    /// A daemon that has not reached its store yet.
    pub fn new(store: &'static str, access: Access, limits: Limits, metrics: Arc<Metrics>) -> App {
        App {
            space: OnceLock::new(),
            store,
            holders: Arc::new(Holders::new(&limits, Arc::clone(&metrics))),
            attempts: Arc::default(),
            candidates: Arc::default(),
            bound: Bound::default(),
            watches: limits::watches(&limits),
            limits,
            access: Arc::new(access),
            metrics,
            examining: tokio::sync::Mutex::default(),
            draining: CancellationToken::new(),
        }
    }

    /// Begins to serve from `space`. A second call changes nothing.
    pub fn open(&self, space: Space) {
        // The error gives the second space back, which nobody asked for.
        let _ = self.space.set(space);
    }

    /// The space, if the store has been reached.
    ///
    /// # Errors
    /// The problem to answer with, if it has not.
    pub fn space(&self) -> Result<&Space, Problem> {
        self.space.get().ok_or_else(|| {
            let detail = "the daemon has not reached its store since it started; it goes on trying";
            Problem::new(Code::StoreUnreachable, detail).retry(Retry::After(1000))
        })
    }

    /// The space, if locks may be granted from it.
    ///
    /// # Errors
    /// The problem to answer with, if the daemon is stopping or has not reached its store.
    pub fn granting(&self) -> Result<&Space, Problem> {
        if self.draining.is_cancelled() { Err(draining()) } else { self.space() }
    }
}

/// What is said to whoever asks for a lock while the daemon stops.
pub fn draining() -> Problem {
    let detail = "the daemon is stopping and grants nothing any more; try again once it is back";
    Problem::new(Code::Draining, detail).retry(Retry::After(1000))
}

/// The present moment.
pub fn now() -> lease::Moment {
    CLOCK.now()
}
