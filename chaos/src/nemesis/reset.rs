//! TCP connections that are reset: both ends learn of it, at once, in the middle of whatever they were at.

use super::{Begun, Struck, Undo, World};
use crate::cluster::network::Rule;
use support::chance::Chance;

/// Whatever passes between a server and the workers (or, half of the time, the other servers too) is answered with a
/// reset to its sender.
pub(super) async fn reset(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    let Some(server) = chance.choose(&world.cluster.servers) else { return Ok(None) };
    let with_servers = chance.odds(500);
    let workers = world.crew.iter().map(|member| (member.host.clone(), member.address));
    let servers = world.cluster.servers.iter().map(|other| (other.name.clone(), other.address));
    let others = workers.chain(servers.filter(|(name, _)| with_servers && *name != server.name));
    let (name, address) = (server.name.clone(), server.address);
    let rules = others.flat_map(|(other, from)| {
        [(name.clone(), Rule::Reset { from }), (other, Rule::Reset { from: address })]
    });
    let rules = rules.collect();
    let target = if with_servers { format!("{name}|*") } else { format!("{name}|workers") };
    world.cluster.network.begin(fault, rules).await?;
    Ok(Some(Begun { target, undo: Undo::Rules(fault) }))
}
