//! Making metrics and registering them.

use prometheus::core::Collector;
use prometheus::{
    Error, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

/// For what takes half a millisecond to a minute.
pub(super) const LATENCY: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// For how long leases are held: 10 ms to a day.
pub(super) const HOLDS: [f64; 10] = [0.01, 0.1, 1.0, 5.0, 20.0, 60.0, 300.0, 3600.0, 21_600.0, 86_400.0];

/// Makes metrics and registers them.
#[derive(Default)]
pub(super) struct Make {
    pub(super) registry: Registry,
}

impl Make {
    pub(super) fn add<M: Collector + 'static>(&self, metric: M) -> Result<(), Error> {
        self.registry.register(Box::new(metric))
    }

    fn added<M: Collector + Clone + 'static>(&self, metric: M) -> Result<M, Error> {
        self.add(metric.clone())?;
        Ok(metric)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, Error> {
        self.added(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
    }

    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, Error> {
        self.added(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        self.added(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.added(IntGauge::new(name, help)?)
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.added(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.added(IntCounter::new(name, help)?)
    }

    pub(super) fn build_info(&self) -> Result<(), Error> {
        let about = Opts::new("lease_build_info", "The daemon's version; the value is always 1.");
        let info = Gauge::with_opts(about.const_label("version", env!("CARGO_PKG_VERSION")))?;
        info.set(1.0);
        self.add(info)
    }
}
