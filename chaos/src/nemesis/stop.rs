//! SIGTERM: a server that is stopped in order, a daemon that drains.

use std::time::Duration;

use rustix::process::Signal;

use super::{Begun, Struck, Undo, World};
use support::chance::Chance;

/// A server that has not ended by then is killed.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn server(world: &mut World, chance: &mut Chance) -> Struck {
    let Some(victim) = world.server(chance, false).await else { return Ok(None) };
    world.busy[victim] = true;
    halt(world, victim).await;
    Ok(Some(Begun { target: world.name(victim), undo: Undo::Launch(vec![victim]) }))
}

/// Stops a server and waits for its end.
pub(super) async fn halt(world: &mut World, server: usize) {
    let server = &mut world.cluster.servers[server];
    server.signal(Signal::TERM);
    server.wait_end(LIMIT).await;
}

pub(super) async fn daemon(world: &mut World, chance: &mut Chance) -> Struck {
    let Some(victim) = world.member_with_daemon(chance) else { return Ok(None) };
    let member = &mut world.crew[victim];
    member.is_daemon_busy = true;
    member.stop_daemon(LIMIT).await;
    Ok(Some(Begun { target: member.daemon_name.clone(), undo: Undo::LaunchDaemon(victim) }))
}
