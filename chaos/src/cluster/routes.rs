//! The connections between servers, as both ends see them. For each two of them there are several: one for the system account,
//! by which servers replicate and answer calls of the JetStream API, and some for what clients send, by account (nats-server
//! 2.12 and 2.15, as `/routez` shows).

use super::late::Connection;
use super::server::{ROUTES, Server};

/// The system account.
const SYSTEM: &str = "SYS";

/// What goes by a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freight {
    /// What the system account sends.
    System,
    /// What clients send.
    Clients,
}

/// The connections by which one server sends such things to another one.
pub async fn between(sender: &Server, receiver: &Server, freight: Freight) -> Vec<Connection> {
    let to = receiver.address;
    let (far, near) = (ports(sender, receiver, freight).await, ports(receiver, sender, freight).await);
    // Whoever has dialled has a port of its own, and sees that of routes.
    let dialled = near.into_iter().map(|port| Connection { to, source: port, destination: ROUTES });
    let taken = far.into_iter().map(|port| Connection { to, source: ROUTES, destination: port });
    dialled.chain(taken).collect()
}

/// The ports at the other end of those that the other has dialled, as one server sees it.
async fn ports(at: &Server, other: &Server, freight: Freight) -> Vec<u16> {
    let said = at.ask("/routez").await.unwrap_or_default();
    let routes = said["routes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let title = other.title();
    let wanted = routes.iter().filter(|it| {
        it["remote_name"] == title.as_str() && (it["account"] == SYSTEM) == (freight == Freight::System)
    });
    let ports = wanted.filter_map(|it| u16::try_from(it["port"].as_u64()?).ok());
    ports.filter(|port| *port != ROUTES).collect()
}
