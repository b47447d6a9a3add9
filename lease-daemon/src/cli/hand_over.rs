//! `lease hand-over`: gives what a command is run under to somebody who waits for it.

use hyper::Method;
use serde_json::json;

use super::args::HandOver;
use super::exit::Exit;
use super::server::Server;
use super::source::{Source, encode};
use crate::socket_path::default_socket;

/// Hands it over. From then on the command that called this has lost it.
pub(super) async fn hand_over(args: HandOver) -> Exit {
    let source = Source { server: Server::at(&args.socket.unwrap_or_else(default_socket)) };
    let target = format!("/v1/leases/{}/hand-over", encode(&args.lease));
    match source.ask(Method::POST, &target, Some(&json!({ "to": args.to }))).await {
        Ok(_) => Exit::OK,
        Err(refusal) => refusal.told(),
    }
}
