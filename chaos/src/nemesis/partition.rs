//! Who does not hear whom. Packets are dropped where they arrive, so no connection is told: it just goes silent.

use std::net::Ipv4Addr;

use super::{Begun, Struck, Undo, World};
use crate::cluster::network::Rule;
use support::chance::Chance;

/// A host, with its address.
type Host = (String, Ipv4Addr);

/// One server is cut off from the other servers. Clients reach all of them, and a leader that was cut off goes on
/// answering for some seconds.
pub(super) async fn cut_off(world: &mut World, fault: u64, alone: usize) -> Struck {
    let (one, others) = sides(world, alone);
    between(world, fault, &[one], &others).await
}

/// Any one is.
pub(super) async fn cut_off_any(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    let alone = chance.below(world.cluster.servers.len() as u64) as usize;
    cut_off(world, fault, alone).await
}

/// The stream's leader is.
pub(super) async fn cut_off_leader(world: &mut World, fault: u64) -> Struck {
    match world.cluster.stream_leader(&format!("KV_{}", crate::worker::BUCKET)).await {
        Some(leader) => cut_off(world, fault, leader).await,
        None => Ok(None),
    }
}

/// The same, with half of the workers on the side of the one.
pub(super) async fn split(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    let alone = chance.below(world.cluster.servers.len() as u64) as usize;
    let (one, mut others) = sides(world, alone);
    let mut with_it = vec![one];
    for member in &world.crew {
        let host = (member.host.clone(), member.address);
        if chance.odds(500) { with_it.push(host) } else { others.push(host) }
    }
    between(world, fault, &with_it, &others).await
}

/// What one server sends does not reach another one, or both others.
pub(super) async fn one_way(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    let from = chance.below(world.cluster.servers.len() as u64) as usize;
    let (from, mut others) = sides(world, from);
    if chance.odds(500) {
        others.truncate(1);
    }
    let target = format!("{}>{}", from.0, names(&others));
    let rules = others.iter().map(|to| drop(&from, to)).collect();
    begin(world, fault, rules, target).await
}

/// Two servers do not hear each other, and the third hears both.
pub(super) async fn bridge(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    let (any, wants_leader) = (chance.below(world.cluster.servers.len() as u64) as usize, chance.odds(500));
    // Whoever is at one end and leads is followed by no more than one.
    let leader = world.cluster.stream_leader(&format!("KV_{}", crate::worker::BUCKET)).await;
    let middle = leader.filter(|_| wants_leader).unwrap_or(any);
    let (_, ends) = sides(world, middle);
    between(world, fault, &ends[..1], &ends[1..]).await
}

/// A worker hears no server; unless it is only deaf, no server hears it either.
pub(super) async fn worker(world: &mut World, fault: u64, chance: &mut Chance, is_deaf: bool) -> Struck {
    let hosts: Vec<Host> = world.crew.iter().map(|member| (member.host.clone(), member.address)).collect();
    let Some(worker) = chance.choose(&hosts).cloned() else { return Ok(None) };
    let servers = servers(world);
    if !is_deaf {
        return between(world, fault, &[worker], &servers).await;
    }
    let (rules, target) = deafness(&servers, &worker);
    begin(world, fault, rules, target).await
}

/// This member hears no server.
pub(super) async fn deafen(world: &mut World, fault: u64, member: usize) -> Struck {
    let worker = (world.crew[member].host.clone(), world.crew[member].address);
    let (rules, target) = deafness(&servers(world), &worker);
    begin(world, fault, rules, target).await
}

fn deafness(servers: &[Host], worker: &Host) -> (Vec<(String, Rule)>, String) {
    let rules = servers.iter().map(|server| drop(server, worker)).collect();
    (rules, format!("{}>{}", names(servers), worker.0))
}

pub(super) fn servers(world: &World) -> Vec<Host> {
    world.cluster.servers.iter().map(|server| (server.name.clone(), server.address)).collect()
}

/// One server, and the others.
fn sides(world: &World, one: usize) -> (Host, Vec<Host>) {
    let mut all = servers(world);
    let one = all.remove(one);
    (one, all)
}

fn drop(from: &Host, to: &Host) -> (String, Rule) {
    (to.0.clone(), Rule::Drop { from: from.1 })
}

async fn between(world: &mut World, fault: u64, left: &[Host], right: &[Host]) -> Struck {
    let pairs = left.iter().flat_map(|one| right.iter().map(move |other| (one, other)));
    let rules = pairs.flat_map(|(one, other)| [drop(one, other), drop(other, one)]).collect();
    let target = format!("{}|{}", names(left), names(right));
    begin(world, fault, rules, target).await
}

async fn begin(world: &mut World, fault: u64, rules: Vec<(String, Rule)>, target: String) -> Struck {
    world.cluster.network.begin(fault, rules).await?;
    Ok(Some(Begun { target, undo: Undo::Rules(fault) }))
}

fn names(hosts: &[Host]) -> String {
    hosts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",")
}
