//! A bad network: packets that are lost, late, or have to queue.

use std::net::Ipv4Addr;

use super::partition::servers;
use super::{Begun, Struck, Undo, World};
use crate::cluster::late::{Late, Lateness};
use crate::cluster::network::{Rule, inside};
use crate::shell::run;
use support::chance::Chance;

/// A share of the packets from each server is lost, wherever they go.
pub(super) async fn loss(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    let permille = 20 + chance.below(280) as u32;
    let mut rules = Vec::new();
    for server in &world.cluster.servers {
        let from = server.address;
        rules.extend(to_all_others(world, from, Rule::Lossy { from, permille }));
    }
    world.cluster.network.begin(fault, rules).await?;
    let target = format!("n0,n1,n2 {permille} of 1000");
    Ok(Some(Begun { target, undo: Undo::Rules(fault) }))
}

/// What all servers send is late, or what one of them sends: by 10 to 200 ms and half as much more or less, and a few
/// packets are lost. Half of a second for a question and its answer is what a bad link over a continent has.
pub(super) async fn delay(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    let millis = 10 + chance.below(190);
    let by = Lateness { millis, jitter: millis / 2, permille: chance.below(20) };
    let mut hosts = servers(world);
    if chance.odds(500) {
        hosts = vec![hosts.swap_remove(chance.below(hosts.len() as u64) as usize)];
    }
    let names: Vec<&str> = hosts.iter().map(|(name, _)| name.as_str()).collect();
    let target = format!("{} {millis} ms", names.join(","));
    late(world, fault, chance, (&hosts, by), target).await
}

/// How late packets are in a slow network, in milliseconds.
const SLOW_MS: u64 = 60;

/// What all servers send is late, each packet by as much.
pub(super) async fn slow(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    let by = Lateness { millis: SLOW_MS, jitter: 0, permille: 0 };
    let hosts = servers(world);
    late(world, fault, chance, (&hosts, by), format!("n0,n1,n2 {SLOW_MS} ms")).await
}

/// What one worker sends is as late, where there are namespaces.
pub(super) async fn slow_worker(world: &World, fault: u64, member: usize) -> Result<Vec<Late>, String> {
    if world.cluster.network.is_by_links() {
        return Ok(Vec::new());
    }
    let member = &world.crew[member];
    let by = Lateness { millis: SLOW_MS, jitter: 0, permille: 0 };
    Ok(vec![Late::begin((&member.host, member.address), &[], fault, fault, by).await?])
}

async fn late(
    world: &mut World,
    fault: u64,
    chance: &mut Chance,
    (hosts, by): (&[(String, Ipv4Addr)], Lateness),
    target: String,
) -> Struck {
    if world.cluster.network.is_by_links() {
        let rules =
            hosts.iter().flat_map(|(_, from)| to_all_others(world, *from, Rule::Late { from: *from, by }));
        let rules = rules.collect();
        world.cluster.network.begin(fault, rules).await?;
        return Ok(Some(Begun { target, undo: Undo::Rules(fault) }));
    }
    let mut late = Vec::new();
    for (host, address) in hosts {
        late.push(Late::begin((host, *address), &[], fault, chance.bits(), by).await?);
    }
    Ok(Some(Begun { target, undo: Undo::Late(late) }))
}

/// Nothing is late any more.
pub(super) async fn on_time(late: Vec<Late>) {
    for late in late {
        late.end().await;
    }
}

/// What one server sends goes through a link with little room, and queues there for up to two seconds.
pub(super) async fn narrow(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    let Some(server) = chance.choose(&world.cluster.servers) else { return Ok(None) };
    let kbit = 150 + chance.below(450);
    let hosts = [server.name.clone()];
    let target = format!("{} {kbit} kbit/s", server.name);
    if world.cluster.network.is_by_links() {
        let from = server.address;
        let rules = to_all_others(world, from, Rule::Narrow { from, kbit });
        world.cluster.network.begin(fault, rules).await?;
        return Ok(Some(Begun { target, undo: Undo::Rules(fault) }));
    }
    queued(&hosts, &format!("tbf rate {kbit}kbit burst 3000 latency 2s"), target).await
}

/// A rule at every other host.
fn to_all_others(world: &World, from: Ipv4Addr, rule: Rule) -> Vec<(String, Rule)> {
    let servers = world.cluster.servers.iter().map(|server| (&server.name, server.address));
    let workers = world.crew.iter().map(|member| (&member.host, member.address));
    let others = servers.chain(workers).filter(|(_, address)| *address != from);
    others.map(|(name, _)| (name.clone(), rule.clone())).collect()
}

async fn queued(hosts: &[String], queue: &str, target: String) -> Struck {
    for host in hosts {
        // `replace`: where two such faults meet, the later one is in force.
        run(&inside(host, &format!("tc qdisc replace dev eth0 root {queue}"))).await?;
    }
    Ok(Some(Begun { target, undo: Undo::Queues(hosts.to_vec()) }))
}

/// Links are wide again.
pub(super) async fn unqueue(hosts: &[String]) -> Result<(), String> {
    for host in hosts {
        // Another such fault may have ended it already.
        let _ = run(&inside(host, "tc qdisc del dev eth0 root")).await;
    }
    Ok(())
}
