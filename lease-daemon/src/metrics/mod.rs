//! What is measured, in the names of the contract.
//!
//! ```text
//!   the library ── observations ──► Metrics ─┬─ counters and histograms   counted as they happen
//!                                            ├─ standing   who holds and waits now: oldest, nearest to its end, named
//!   the space ──── vitals ───────────────────┼─ store      how the store stands
//!   /proc ───────────────────────────────────┴─ process    what this process uses
//! ```
//!
//! Labels come from closed lists. A lock's or election's name is one only if [`Named`] lists it. So what a scrape costs
//! does not grow with the number of names: a test below tries it with 100,000.
//!
//! **For users of the library alone**, [`Metrics`] is the adapter: give it to the space as its
//! [`Observer`], and serve what [`Metrics::render`] says.
//!
//! ```
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use lease::{Space, SpaceOptions, store::MemoryStore};
//! use lease_daemon::metrics::{Metrics, Named};
//!
//! let metrics = Arc::new(Metrics::new(Named::new(["scheduler"], ["nightly"])?)?);
//! let options = SpaceOptions { observer: metrics.clone(), ..SpaceOptions::default() };
//! // Or Space::connect("nats://…", options)
//! let space = Space::on(MemoryStore::new(options.ambient.clone()), options).await?;
//! let lease = space.lock("nightly").acquire().await?;
//! # tokio::task::yield_now().await;
//! let text = metrics.render(Some(&space.vitals()))?; // in the text format of Prometheus
//! assert!(text.contains(r#"lease_held{kind="lock"} 1"#));
//! # drop(lease);
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run()).unwrap();
//! ```

mod make;
mod named;
mod process;
mod standing;
mod store;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use lease::{KINDS, Loss, Observation, Observer, Vitals};
use prometheus::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Registry, TextEncoder,
};

use self::make::{HOLDS, LATENCY, Make};
use self::process::Process;
use self::standing::{Gauges, Standing};
use self::store::Store;

pub use self::named::{MAX_NAMED, Named, TooManyNamed};

/// The daemon's metrics. Also the library's [`Observer`].
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    acquire: HistogramVec,
    hold: HistogramVec,
    renew: HistogramVec,
    handover: Histogram,
    store_request: HistogramVec,
    held: IntGaugeVec,
    waiters: IntGaugeVec,
    lost: IntCounterVec,
    broken: IntCounter,
    unknown_outcomes: IntCounterVec,
    watch_resyncs: IntCounter,
    client_gone: IntCounter,
    store_regressions: IntCounter,
    standing: Arc<Mutex<Standing>>,
    store: Store,
    /// One at a time is told what has changed since somebody looked last.
    looking: Mutex<()>,
}

impl Metrics {
    /// Every metric at zero, and gauges for what `named` lists.
    ///
    /// # Errors
    /// If two metrics clash, which would be a mistake in here.
    pub fn new(named: Named) -> Result<Metrics, Error> {
        let make = Make::default();
        let standing = Arc::new(Mutex::new(Standing::new(named)));
        make.add(Gauges::new(Arc::clone(&standing))?)?;
        make.add(Process::new()?)?;
        make.build_info()?;
        let metrics = Metrics {
            acquire: make.histograms(
                "lease_acquire_seconds",
                "How long acquiring took, by how it ended.",
                &["kind", "outcome"],
                &LATENCY,
            )?,
            hold: make.histograms("lease_hold_seconds", "How long leases were held.", &["kind"], &HOLDS)?,
            renew: make.histograms(
                "lease_renew_seconds",
                "How long the store took to answer a renewal or release.",
                &["outcome"],
                &LATENCY,
            )?,
            handover: make.histogram(
                "lease_handover_seconds",
                "From the news that the lock was free to holding it, for those who waited.",
                &LATENCY,
            )?,
            store_request: make.histograms(
                "lease_store_request_seconds",
                "How long the store took to answer.",
                &["op", "outcome"],
                &LATENCY,
            )?,
            held: make.gauges("lease_held", "Leases held now.", &["kind"])?,
            waiters: make.gauges("lease_waiters", "Requests that wait in line now.", &["kind"])?,
            lost: make.counters("lease_lost_total", "Leases lost, by reason.", &["reason"])?,
            broken: make.counter("lease_broken_total", "Leases broken by force by this process.")?,
            unknown_outcomes: make.counters(
                "lease_unknown_outcomes_total",
                "Grants whose answer was lost, by how that was resolved.",
                &["resolved"],
            )?,
            watch_resyncs: make.counter("lease_watch_resyncs_total", "Times events may have been missed.")?,
            client_gone: make.counter(
                "lease_client_gone_total",
                "Leases released because the client's connection closed.",
            )?,
            store_regressions: make.counter(
                "lease_store_regressions_total",
                "Times the store was seen to lose acknowledged writes.",
            )?,
            store: Store::new(&make)?,
            standing,
            looking: Mutex::default(),
            registry: make.registry,
        };
        metrics.begin();
        Ok(metrics)
    }

    /// A series that appears with its first event hides that event from `increase()`.
    fn begin(&self) {
        for kind in KINDS {
            self.held.with_label_values(&[kind]).set(0);
            self.waiters.with_label_values(&[kind]).set(0);
            self.hold.with_label_values(&[kind]);
            self.acquire.with_label_values(&[kind, "granted"]);
        }
        for loss in [
            Loss::Expired,
            Loss::Taken,
            Loss::Broken(String::new()),
            Loss::BucketReplaced,
            Loss::StoreRegressed,
            Loss::Draining,
            Loss::Together(String::new()),
        ] {
            self.lost.with_label_values(&[loss.code()]).reset();
        }
        for how in ["applied", "not-applied", "given-up"] {
            self.unknown_outcomes.with_label_values(&[how]).reset();
        }
        for outcome in ["ok", "unknown", "conflict", "refused"] {
            self.renew.with_label_values(&[outcome]);
        }
        for outcome in ["ok", "unknown", "not-taken"] {
            self.store_request.with_label_values(&["write", outcome]);
        }
    }

    /// Counts a lease that was released because its client's connection closed.
    pub fn client_gone(&self) {
        self.client_gone.inc();
    }

    /// All of them as text. `vitals` is what is known of the store; none before it was reached for the first time.
    ///
    /// # Errors
    /// If the text cannot be made.
    pub fn render(&self, vitals: Option<&Vitals>) -> Result<String, Error> {
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        self.store.show(vitals);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    fn standing(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.standing.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Observer for Metrics {
    fn observe(&self, observation: &Observation) {
        match observation {
            Observation::Waiters { kind, change, since } => {
                self.waiters.with_label_values(&[*kind]).add(*change);
                self.standing(|it| it.waits(kind, *since, *change > 0));
            }
            Observation::Held { kind, change } => self.held.with_label_values(&[*kind]).add(*change),
            Observation::Lasts { .. } | Observation::Over { .. } => self.standing(|it| it.take(observation)),
            Observation::Acquired { kind, outcome, took } => {
                self.acquire.with_label_values(&[*kind, *outcome]).observe(took.as_secs_f64());
            }
            Observation::Ended { kind, held } => {
                self.hold.with_label_values(&[*kind]).observe(held.as_secs_f64());
            }
            Observation::Lost { reason } => self.lost.with_label_values(&[*reason]).inc(),
            Observation::Renewed { outcome, took } => {
                self.renew.with_label_values(&[*outcome]).observe(took.as_secs_f64());
            }
            Observation::HandedOver { took } => self.handover.observe(took.as_secs_f64()),
            Observation::Asked { op, outcome, took } => {
                self.store_request.with_label_values(&[*op, *outcome]).observe(took.as_secs_f64());
            }
            Observation::UnknownResolved { how } => self.unknown_outcomes.with_label_values(&[*how]).inc(),
            Observation::Resynced => self.watch_resyncs.inc(),
            Observation::Broken => self.broken.inc(),
            Observation::Regressed => self.store_regressions.inc(),
            // What a newer library observes has no metric yet.
            _ => {}
        }
    }
}
