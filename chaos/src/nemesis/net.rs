//! A bad network: packets that are lost, late, or have to queue.

use super::{Begun, Struck, Undo, World};
use crate::cluster::late::{Late, Lateness};
use crate::cluster::network::{Rule, inside};
use crate::shell::run;
use support::chance::Chance;

/// A share of the packets from each server is lost, wherever they go.
pub(super) async fn loss(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    let permille = 20 + chance.below(280) as u32;
    let mut rules = Vec::new();
    for from in &world.cluster.servers {
        let servers = world.cluster.servers.iter().map(|server| &server.name);
        let to = servers.chain(world.crew.iter().map(|member| &member.host)).filter(|to| **to != from.name);
        rules.extend(to.map(|to| (to.clone(), Rule::Lossy { from: from.address, permille })));
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
    let mut hosts: Vec<_> = world.cluster.servers.iter().map(|it| (it.name.clone(), it.address)).collect();
    if chance.odds(500) {
        hosts = vec![hosts.swap_remove(chance.below(hosts.len() as u64) as usize)];
    }
    let mut late = Vec::new();
    for (host, address) in &hosts {
        late.push(Late::begin((host, *address), fault, chance.bits(), by).await?);
    }
    let names: Vec<&str> = hosts.iter().map(|(name, _)| name.as_str()).collect();
    let target = format!("{} {millis} ms", names.join(","));
    Ok(Some(Begun { target, undo: Undo::Late(late) }))
}

/// Nothing is late any more.
pub(super) async fn on_time(late: Vec<Late>) {
    for late in late {
        late.end().await;
    }
}

/// What one server sends goes through a link with little room, and queues there for up to two seconds.
pub(super) async fn narrow(world: &mut World, chance: &mut Chance) -> Struck {
    let Some(server) = chance.choose(&world.cluster.servers) else { return Ok(None) };
    let kbit = 150 + chance.below(450);
    let hosts = [server.name.clone()];
    let queue = format!("tbf rate {kbit}kbit burst 3000 latency 2s");
    queued(&hosts, &queue, format!("{} {kbit} kbit/s", server.name)).await
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
