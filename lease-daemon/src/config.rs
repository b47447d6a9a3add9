//! The daemon's settings: arguments and environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Parser;

use crate::socket_path::default_socket;

/// Distributed locks for any language, over a Unix socket.
#[derive(Clone, Debug, Parser)]
#[command(name = "lease-daemon", version, after_help = AFTER_HELP)]
pub struct Config {
    /// The NATS servers, with commas between several; without it, locks are kept in this process and hold on this
    /// host only
    #[arg(long, env = "LEASE_NATS", hide_env_values = true, value_name = "URL")]
    pub nats: Option<String>,

    /// The bucket that the locks are kept in
    #[arg(long, env = "LEASE_BUCKET", value_name = "NAME", default_value = "leases")]
    pub bucket: String,

    /// Where to listen [default: $LEASE_SOCKET, else $XDG_RUNTIME_DIR/lease.sock, else /run/lease/lease.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// Serve /metrics, and nothing else, at this TCP address; a port alone means 127.0.0.1
    #[arg(long, env = "LEASE_METRICS", value_name = "ADDR", value_parser = address)]
    pub metrics: Option<SocketAddr>,

    /// What to log to stderr: error, warn, info, debug, trace, or a filter such as info,lease=debug (the NATS client's own
    /// messages are off by default: the store logs connects and disconnects itself)
    #[arg(long, env = "LEASE_LOG", value_name = "FILTER", default_value = "info,async_nats=off")]
    pub log: String,
}

const AFTER_HELP: &str = "\
Exit codes: 0 stopped by a signal, 64 usage, 70 internal, 73 the socket or the metrics port
cannot be made, 77 NATS denies access, 78 the bucket or the server is not fit for locks. While
NATS is out of reach the daemon goes on trying.";

impl Config {
    /// Where to listen.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(default_socket)
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    // Not "+80", which a number may look like too.
    if port.starts_with(|c: char| c.is_ascii_digit())
        && let Ok(port) = port.parse::<u16>()
    {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| "write a port, or an address with its port, such as 127.0.0.1:9187".to_owned())
}

#[cfg(test)]
#[path = "config_props.rs"]
mod props;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let config = Config::try_parse_from(["lease-daemon", "--metrics", "9187", "--socket", "/a"]).unwrap();
        assert_eq!(config.metrics, Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9187))));
        assert_eq!(config.socket(), PathBuf::from("/a"));
        assert_eq!(config.bucket, "leases");
        assert!(Config::try_parse_from(["lease-daemon", "--metrics", "here"]).is_err());
        assert!(Config::try_parse_from(["lease-daemon", "--natz", "x"]).is_err());
    }
}
