//! `[metrics]`: where metrics are served, and whose names they may tell.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::Wrong;
use crate::failure::Failure;
use crate::metrics::Named;

/// Why there is a bound.
const TOO_MANY: &str = "allowed are 100: each is a series on every daemon that lists it";

/// Metrics over TCP, since over the socket they are always there; and what has series of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metrics {
    /// The address, if any.
    #[serde(deserialize_with = "read", skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// The elections that have a series each, `lease_leader`: at most 100.
    pub elections: Vec<String>,
    /// The locks that have a series each, `lease_lock_held_seconds`: at most 100.
    pub locks: Vec<String>,
}

/// The flags.
#[derive(Clone, Debug, Default, Args)]
pub struct MetricsArgs {
    /// Serve /metrics, and nothing else, at this TCP address; a port alone means 127.0.0.1
    #[arg(long = "metrics", env = "LEASE_METRICS", value_name = "ADDR", value_parser = address)]
    pub address: Option<SocketAddr>,

    /// Tell in lease_leader whether this election is led from here; can be given again, for up to 100 of them
    #[arg(long = "metrics-election", value_name = "NAME")]
    pub elections: Vec<String>,

    /// Tell in lease_lock_held_seconds for how long this lock has been held from here; can be given again, for up to 100
    #[arg(long = "metrics-lock", value_name = "NAME")]
    pub locks: Vec<String>,
}

impl Metrics {
    /// Whose names may be labels.
    ///
    /// # Errors
    /// If there are too many, which a check tells earlier.
    pub fn named(&self) -> Result<Named, Failure> {
        Named::new(self.elections.clone(), self.locks.clone()).map_err(Failure::usage)
    }

    pub(super) fn override_with(&mut self, args: &MetricsArgs) {
        self.address = args.address.or(self.address);
        for (own, said) in [(&mut self.elections, &args.elections), (&mut self.locks, &args.locks)] {
            if !said.is_empty() {
                own.clone_from(said);
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), Wrong> {
        for (key, names) in [("metrics.elections", &self.elections), ("metrics.locks", &self.locks)] {
            for name in names {
                lease::Name::new(name).map_err(|error| Wrong::new(key, name, error.to_string()))?;
            }
            let none: [&str; 0] = [];
            Named::new(names, none)
                .map_err(|_| Wrong::new(key, format!("{} names", names.len()), TOO_MANY))?;
        }
        Ok(())
    }
}

/// Reads an address with its port, or a port of this host.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    // Not "+80", which a number may look like too.
    if port.starts_with(|c: char| c.is_ascii_digit())
        && let Ok(port) = port.parse::<u16>()
    {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| "write a port, or an address with its port, such as 127.0.0.1:9187".to_owned())
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    address(&text).map(Some).map_err(|why| {
        let shown: String = text.chars().take(60).collect();
        de::Error::custom(format!("{shown:?}: {why}"))
    })
}
