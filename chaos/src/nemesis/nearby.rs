//! A leader that was cut off, and is the nearest to whoever asks: what is read comes from it, as it was, and what is written is
//! decided by the one that was elected in its place. So whoever believes what is read is refused, again and again.
//!
//! ```text
//!   clients ◄──► n3, no replica ── questions ────────────► n0, cut off: answers first
//!                  │   └────────── writes ───── late ────► n0
//!                  ├────────────── questions ── late ────► n1, n2
//!                  └────────────── writes ───────────────► n1, n2: answer first
//! ```
//!
//! A server that hears of nobody who leads JetStream as a whole answers nothing but that. So that one is n3, which it hears.

use futures_util::future::join_all;

use super::{Begun, Struck, Undo, World, partition, step_down};
use crate::cluster::late::{Late, Lateness};
use crate::cluster::routes::{self, Freight};
use crate::worker::BUCKET;
use support::chance::Chance;

/// Longer than whoever is asked in time needs for an answer, and shorter than what the servers take for silence.
const LATE: Lateness = Lateness { millis: 400, jitter: 0, permille: 0 };

/// The leader is cut off from the other servers that have replicas.
pub(super) async fn leader(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    if world.cluster.network.is_by_links() {
        return Err("without namespaces a link does not know which connection is for questions".into());
    }
    // One at a time, or nobody could be elected.
    if world.busy.contains(&true) {
        return Ok(None);
    }
    let Some(door) = &world.cluster.newcomer else { return Ok(None) };
    if !step_down::meta_for(world, door).await {
        return Ok(None);
    }
    let Some(leader) = world.cluster.stream_leader(&format!("KV_{BUCKET}")).await else { return Ok(None) };
    let mut connections = Vec::new();
    for (index, server) in world.cluster.servers.iter().enumerate() {
        let freight = if index == leader { Freight::Clients } else { Freight::System };
        connections.extend(routes::between(door, server, freight).await);
    }
    if connections.is_empty() {
        return Ok(None);
    }
    let host = (door.name.as_str(), door.address);
    let late = Late::begin(host, &connections, fault, chance.bits(), LATE).await?;
    match partition::cut_off(world, fault, leader).await {
        Ok(Some(Begun { target, .. })) => {
            world.busy[leader] = true;
            Ok(Some(Begun { target, undo: Undo::Nearby(fault, leader, vec![late]) }))
        }
        not => {
            late.end().await;
            not
        }
    }
}

/// The servers hear each other again, and what is on its way arrives.
pub(super) async fn end(world: &mut World, fault: u64, leader: usize, late: Vec<Late>) -> Result<(), String> {
    let healed = world.cluster.network.end(fault).await;
    world.busy[leader] = false;
    join_all(late.into_iter().map(Late::drain)).await;
    healed
}
