//! `[metrics]`: where metrics are served.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::Wrong;

/// Metrics over TCP; over the socket they are always there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metrics {
    /// The address, if any.
    #[serde(deserialize_with = "read", skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
}

/// The flags.
#[derive(Clone, Debug, Default, Args)]
pub struct MetricsArgs {
    /// Serve /metrics, and nothing else, at this TCP address; a port alone means 127.0.0.1
    #[arg(long = "metrics", env = "LEASE_METRICS", value_name = "ADDR", value_parser = address)]
    pub address: Option<SocketAddr>,
}

impl Metrics {
    pub(super) fn override_with(&mut self, args: &MetricsArgs) {
        self.address = args.address.or(self.address);
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "every subject has one")]
    pub(super) fn check(&self) -> Result<(), Wrong> {
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
