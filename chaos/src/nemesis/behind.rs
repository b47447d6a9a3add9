//! A replica that is behind: what the servers agree on reaches one of them late, and what clients write by its way does not.
//! So it shows lists of what was, a second or two ago, and whoever believes them is refused at once by the leader.
//!
//! ```text
//!   n0 ── the system account's connection: what is agreed on ── late ─► n2 ◄──► clients
//!   n0 ◄──────────── other connections: clients' messages ────────────► n2
//! ```
//!
//! Servers replicate by a connection of its own for each two of them, that of the system account (nats-server 2.12 and 2.15,
//! as `/routez` shows). Answers to calls of the JetStream API come by that one as well: reads of what the leader has.

use futures_util::future::join_all;

use super::{Begun, Struck, Undo, World};
use crate::cluster::late::{Connection, Late, Lateness};
use crate::cluster::server::ROUTES;
use crate::worker::BUCKET;
use support::chance::Chance;

/// The account by whose connections servers replicate.
const SYSTEM: &str = "SYS";

/// One that does not lead, by less than what makes it stand for election, which takes 4 s of silence. Only one at a time, as
/// two of three decide.
pub(super) async fn replica(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    if world.cluster.network.is_by_links() {
        return Err("without namespaces a link does not know which connection is for replication".into());
    }
    if world.busy.contains(&true) {
        return Ok(None);
    }
    let Some(leader) = world.cluster.stream_leader(&format!("KV_{BUCKET}")).await else { return Ok(None) };
    let others: Vec<usize> = (0..world.busy.len()).filter(|it| *it != leader).collect();
    let Some(victim) = chance.choose(&others).copied() else { return Ok(None) };
    let by = Lateness { millis: 1_000 + chance.below(1_500), jitter: 0, permille: 0 };
    let mut late = Vec::new();
    for sender in (0..world.busy.len()).filter(|it| *it != victim) {
        let Some(connection) = replication(world, sender, victim).await else { continue };
        let server = &world.cluster.servers[sender];
        let host = (server.name.as_str(), server.address);
        late.push(Late::begin(host, Some(connection), fault, chance.bits(), by).await?);
    }
    if late.is_empty() {
        return Ok(None);
    }
    world.busy[victim] = true;
    let target = format!("{} {} ms", world.name(victim), by.millis);
    Ok(Some(Begun { target, undo: Undo::Behind(victim, late) }))
}

/// It catches up.
pub(super) async fn catch_up(world: &mut World, victim: usize, late: Vec<Late>) {
    join_all(late.into_iter().map(Late::drain)).await;
    world.busy[victim] = false;
}

/// The connection by which one server tells another one what is to be written.
async fn replication(world: &World, sender: usize, receiver: usize) -> Option<Connection> {
    let (far, near) = (port(world, sender, receiver).await?, port(world, receiver, sender).await?);
    // Whoever has dialled shows a port of its own, and sees that of routes.
    (far == ROUTES || near == ROUTES).then_some(Connection {
        to: world.cluster.servers[receiver].address,
        source: near,
        destination: far,
    })
}

/// The port at the other end of it, as one server sees it.
async fn port(world: &World, at: usize, other: usize) -> Option<u16> {
    let said = world.cluster.servers[at].ask("/routez").await?;
    let title = world.cluster.servers[other].title();
    let route = said["routes"]
        .as_array()?
        .iter()
        .find(|it| it["account"] == SYSTEM && it["remote_name"] == title.as_str())?;
    u16::try_from(route["port"].as_u64()?).ok()
}
