//! `lease ping`: whether the daemon can be used, for probes and scripts: an image without a shell has nothing else to ask with.

use std::path::PathBuf;

use clap::Args;
use hyper::Method;

use super::exit::Exit;
use super::server::Server;
use super::source::Source;
use crate::socket_path::default_socket;

/// `lease ping`.
#[derive(Clone, Debug, Args)]
pub(super) struct Ping {
    /// Whether the daemon lives, whatever its store does
    #[arg(long)]
    pub live: bool,
    /// The daemon's socket [default: $LEASE_SOCKET, else $XDG_RUNTIME_DIR/lease.sock, else /run/lease/lease.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// Asks once. Says nothing if all is well.
pub(super) async fn ping(args: Ping) -> Exit {
    let source = Source { server: Server::at(&args.socket.unwrap_or_else(default_socket)) };
    let target = if args.live { "/healthz" } else { "/readyz" };
    match source.ask(Method::GET, target, None).await {
        Ok(_) => Exit::OK,
        Err(refusal) => refusal.told(),
    }
}
