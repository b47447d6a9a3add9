//! What is measured, in the names of the contract. Labels come from closed lists; no lock's name is ever one.

use lease::{KINDS, Loss, Observation, Observer};
use prometheus::{
    Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// For what takes half a millisecond to a minute.
const LATENCY: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// For how long locks are held: 10 ms to a day.
const HOLDS: [f64; 10] = [0.01, 0.1, 1.0, 5.0, 20.0, 60.0, 300.0, 3600.0, 21_600.0, 86_400.0];

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
    store_connected: IntGauge,
    lost: IntCounterVec,
    broken: IntCounter,
    unknown_outcomes: IntCounterVec,
    watch_resyncs: IntCounter,
    client_gone: IntCounter,
    store_regressions: IntCounter,
}

impl Metrics {
    /// Every metric at zero.
    ///
    /// # Errors
    /// If two metrics clash, which would be a mistake in this file.
    pub fn new() -> Result<Metrics, Error> {
        let make = Make { registry: Registry::new() };
        let metrics = Metrics {
            acquire: make.histograms(
                "lease_acquire_seconds",
                "How long acquiring took, by how it ended.",
                &["kind", "outcome"],
                &LATENCY,
            )?,
            hold: make.histograms("lease_hold_seconds", "How long locks were held.", &["kind"], &HOLDS)?,
            renew: make.histograms(
                "lease_renew_seconds",
                "How long the store took to answer a renewal.",
                &["outcome"],
                &LATENCY,
            )?,
            handover: make.handover()?,
            store_request: make.histograms(
                "lease_store_request_seconds",
                "How long the store took to answer.",
                &["op", "outcome"],
                &LATENCY,
            )?,
            held: make.gauges("lease_held", "Locks held now.", &["kind"])?,
            waiters: make.gauges("lease_waiters", "Requests that wait in line now.", &["kind"])?,
            store_connected: make
                .gauge("lease_store_connected", "Whether the store is connected: 1 or 0.")?,
            lost: make.counters("lease_lost_total", "Leases lost, by reason.", &["reason"])?,
            broken: make.counter("lease_broken_total", "Leases broken by force by this process.")?,
            unknown_outcomes: make.counters(
                "lease_unknown_outcomes_total",
                "Writes whose answer was lost, by how that was resolved.",
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
            registry: make.build_info()?,
        };
        // A series that appears with its first event hides that event from `increase()`.
        for kind in KINDS {
            metrics.held.with_label_values(&[kind]).set(0);
            metrics.waiters.with_label_values(&[kind]).set(0);
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
            metrics.lost.with_label_values(&[loss.code()]).reset();
        }
        Ok(metrics)
    }

    /// Counts a lease that was released because its client's connection closed.
    pub fn client_gone(&self) {
        self.client_gone.inc();
    }

    /// All of them as text. `margin` is the smallest share of time left among the leases that are renewed here, and
    /// that lease's seconds; without any lease there is no such series.
    ///
    /// # Errors
    /// If the text cannot be made.
    pub fn render(&self, connected: bool, margin: Option<(f64, f64)>) -> Result<String, Error> {
        self.store_connected.set(i64::from(connected));
        let mut text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        if let Some((share, seconds)) = margin {
            let registry = Registry::new();
            for (name, help, value) in [
                (
                    "lease_expiry_margin_seconds",
                    "What is left of the lease that has the smallest share of its time left.",
                    seconds,
                ),
                ("lease_expiry_margin_ratio", "The smallest share of time left of any lease.", share),
            ] {
                let gauge = Gauge::new(name, help)?;
                gauge.set(value);
                registry.register(Box::new(gauge))?;
            }
            text.push_str(&TextEncoder::new().encode_to_string(&registry.gather())?);
        }
        Ok(text)
    }
}

impl Observer for Metrics {
    fn observe(&self, observation: &Observation) {
        match observation {
            Observation::Waiters { kind, change } => self.waiters.with_label_values(&[*kind]).add(*change),
            Observation::Held { kind, change } => self.held.with_label_values(&[*kind]).add(*change),
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

/// Makes metrics and registers them.
struct Make {
    registry: Registry,
}

impl Make {
    fn add<M: prometheus::core::Collector + Clone + 'static>(&self, metric: M) -> Result<M, Error> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, Error> {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
    }

    fn handover(&self) -> Result<Histogram, Error> {
        let help = "From the news that the lock was free to holding it, for those who waited.";
        self.add(Histogram::with_opts(
            HistogramOpts::new("lease_handover_seconds", help).buckets(LATENCY.to_vec()),
        )?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.add(IntGauge::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.add(IntCounter::new(name, help)?)
    }

    fn build_info(self) -> Result<Registry, Error> {
        let info = self.add(GaugeVec::new(
            Opts::new("lease_build_info", "The daemon's version; the value is always 1."),
            &["version"],
        )?)?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        Ok(self.registry)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn observations_become_series() {
        let metrics = Metrics::new().unwrap();
        metrics.observe(&Observation::Held { kind: "lock", change: 1 });
        metrics.observe(&Observation::Lost { reason: "expired" });
        let took = Duration::from_millis(2);
        metrics.observe(&Observation::Acquired { kind: "shared", outcome: "granted", took });
        let text = metrics.render(true, Some((0.5, 10.0))).unwrap();
        for line in [
            r#"lease_held{kind="lock"} 1"#,
            r#"lease_lost_total{reason="expired"} 1"#,
            r#"lease_lost_total{reason="taken"} 0"#,
            r#"lease_held{kind="election"} 0"#,
            r#"lease_acquire_seconds_bucket{kind="shared",outcome="granted",le="0.0025"} 1"#,
            "lease_store_connected 1",
            "lease_expiry_margin_seconds 10",
            "lease_expiry_margin_ratio 0.5",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(!metrics.render(false, None).unwrap().contains("margin"));
    }
}
