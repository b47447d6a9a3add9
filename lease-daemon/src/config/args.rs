//! The daemon's command line. The flags of one subject are in that subject's file.

use std::path::PathBuf;

use clap::Parser;

use super::life::DrainArgs;
use super::metrics::MetricsArgs;
use super::nats::NatsArgs;
use super::socket::SocketArgs;

/// Distributed locks for any language, over a Unix socket.
///
/// Settings come from a file, from the environment and from the command line; the later wins.
#[derive(Clone, Debug, Parser)]
#[command(name = "lease-daemon", version, after_help = AFTER_HELP)]
pub struct Args {
    /// Read settings from this TOML file: everything that can be set, the flags below included. See the commented
    /// example lease-daemon/etc/lease.toml in the repository
    #[arg(long, env = "LEASE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Check the settings, print those that would be in effect as TOML, with secrets masked, and exit
    #[arg(long)]
    pub check: bool,

    /// What to log to stderr: error, warn, info, debug, trace, or a filter such as info,lease=debug (the NATS client's own
    /// messages are off by default: the store logs connects and disconnects itself) [default: info,async_nats=off]
    #[arg(long, env = "LEASE_LOG", value_name = "FILTER")]
    pub log: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs, reason = "it would be shown as the help's text")]
    pub nats: NatsArgs,

    #[command(flatten)]
    #[allow(missing_docs, reason = "as above")]
    pub socket: SocketArgs,

    #[command(flatten)]
    #[allow(missing_docs, reason = "as above")]
    pub metrics: MetricsArgs,

    #[command(flatten)]
    #[allow(missing_docs, reason = "as above")]
    pub drain: DrainArgs,
}

const AFTER_HELP: &str = "\
An empty variable counts as unset.

Exit codes: 0 stopped by a signal, 64 usage, 70 internal, 73 the socket or the metrics port
cannot be made, 77 NATS denies access, 78 the configuration file, the bucket or the server is
not fit. While NATS is out of reach the daemon goes on trying.";
