//! A replica that is behind: what the servers agree on reaches one of them late, and what clients write by its way does not.
//! So it shows lists of what was, a second or two ago, and whoever believes them is refused at once by the leader.
//!
//! ```text
//!   n0 ── the system account's connection: what is agreed on ── late ─► n2 ◄──► clients
//!   n0 ◄──────────── other connections: clients' messages ────────────► n2
//! ```
//!
//! Answers to calls of the JetStream API are late as well: reads of what the leader has.

use futures_util::future::join_all;

use super::{Begun, Struck, Undo, World};
use crate::cluster::late::{Late, Lateness};
use crate::cluster::routes::{self, Freight};
use crate::worker::BUCKET;
use support::chance::Chance;

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
        let servers = &world.cluster.servers;
        let connections = routes::between(&servers[sender], &servers[victim], Freight::System).await;
        if !connections.is_empty() {
            let host = (servers[sender].name.as_str(), servers[sender].address);
            match Late::begin(host, &connections, fault, chance.bits(), by).await {
                Ok(one) => late.push(one),
                Err(why) => {
                    join_all(late.into_iter().map(Late::end)).await;
                    return Err(why);
                }
            }
        }
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
