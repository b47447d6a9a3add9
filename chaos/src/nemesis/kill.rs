//! SIGKILL: for servers, workers and daemons. Their files stay, as after a crash of the process (not of the machine).

use super::{Begun, Struck, Undo, World};
use crate::scenario::DOOR;
use support::chance::Chance;

pub(super) async fn server(world: &mut World, chance: &mut Chance, is_leader: bool) -> Struck {
    match world.server(chance, is_leader).await {
        Some(victim) => this(world, victim).await,
        None => Ok(None),
    }
}

/// The server that clients come to, where that is one.
pub(super) async fn door(world: &mut World) -> Struck {
    if world.busy[DOOR] { Ok(None) } else { this(world, DOOR).await }
}

async fn this(world: &mut World, victim: usize) -> Struck {
    world.busy[victim] = true;
    world.cluster.servers[victim].kill().await;
    Ok(Some(Begun { target: world.name(victim), undo: Undo::Launch(vec![victim]) }))
}

pub(super) async fn all_servers(world: &mut World) {
    for server in 0..world.busy.len() {
        world.busy[server] = true;
        world.cluster.servers[server].kill().await;
    }
}

pub(super) async fn worker(world: &mut World, chance: &mut Chance) -> Struck {
    let Some(victim) = world.member(chance) else { return Ok(None) };
    let member = &mut world.crew[victim];
    member.is_busy = true;
    member.kill().await;
    Ok(Some(Begun { target: member.name.clone(), undo: Undo::LaunchWorker(victim) }))
}

pub(super) async fn daemon(world: &mut World, chance: &mut Chance) -> Struck {
    let Some(victim) = world.member_with_daemon(chance) else { return Ok(None) };
    let member = &mut world.crew[victim];
    member.is_daemon_busy = true;
    member.kill_daemon().await;
    Ok(Some(Begun { target: member.daemon_name.clone(), undo: Undo::LaunchDaemon(victim) }))
}

pub(super) fn launch(world: &mut World, servers: &[usize]) -> Result<(), String> {
    for server in servers {
        world.busy[*server] = false;
        world.cluster.servers[*server].launch()?;
    }
    Ok(())
}

pub(super) async fn launch_worker(world: &mut World, member: usize) -> Result<(), String> {
    world.crew[member].is_busy = false;
    world.crew[member].launch().await
}

pub(super) fn launch_daemon(world: &mut World, member: usize) -> Result<(), String> {
    world.crew[member].is_daemon_busy = false;
    world.crew[member].launch_daemon()
}
