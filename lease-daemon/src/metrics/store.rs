//! How the store stands.

use lease::Vitals;
use prometheus::{Error, IntCounter, IntGauge};

use super::make::Make;

#[derive(Debug)]
pub(super) struct Store {
    connected: IntGauge,
    replicas: IntGauge,
    regressed: IntGauge,
    reconnects: IntCounter,
}

impl Store {
    pub(super) fn new(make: &Make) -> Result<Store, Error> {
        Ok(Store {
            connected: make.gauge("lease_store_connected", "Whether the store is connected: 1 or 0.")?,
            replicas: make.gauge(
                "lease_store_replicas",
                "On how many servers each write is kept; 0 on the embedded store, and before it was reached.",
            )?,
            regressed: make.gauge(
                "lease_store_regressed",
                "Whether the store lost acknowledged writes and nobody accepted that, so nothing is granted: 1 or 0.",
            )?,
            reconnects: make
                .counter("lease_store_reconnects_total", "Connections to the store that followed the first.")?,
        })
    }

    pub(super) fn show(&self, vitals: Option<&Vitals>) {
        self.connected.set(vitals.is_some_and(|vitals| vitals.is_connected).into());
        self.regressed.set(vitals.is_some_and(|vitals| vitals.is_regressed).into());
        let replicas = vitals.map_or(0, |vitals| vitals.replicas);
        self.replicas.set(i64::try_from(replicas).unwrap_or(i64::MAX));
        let reconnects = vitals.map_or(0, |vitals| vitals.reconnects);
        self.reconnects.inc_by(reconnects.saturating_sub(self.reconnects.get()));
    }
}
