//! SIGKILL: for servers, workers and daemons. Their files stay, as after a crash of the process (not of the machine).

use super::{Begun, Struck, Undo, World};
use support::chance::Chance;

pub(super) async fn server(world: &mut World, chance: &mut Chance, is_leader: bool) -> Struck {
    match world.server(chance, is_leader).await {
        Some(victim) => servers(world, vec![victim]).await,
        None => Ok(None),
    }
}

/// These servers, one after the other.
pub(super) async fn servers(world: &mut World, victims: Vec<usize>) -> Struck {
    for victim in &victims {
        world.busy[*victim] = true;
        world.cluster.servers[*victim].kill().await;
    }
    let names: Vec<String> = victims.iter().map(|victim| world.name(*victim)).collect();
    Ok(Some(Begun { target: names.join(","), undo: Undo::Launch(victims) }))
}

pub(super) async fn worker(world: &mut World, chance: &mut Chance) -> Struck {
    let Some(victim) = world.member(chance) else { return Ok(None) };
    let member = &mut world.crew[victim];
    member.is_busy = true;
    member.kill().await;
    Ok(Some(Begun { target: member.name.clone(), undo: Undo::LaunchWorkers(vec![victim]) }))
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

pub(super) async fn launch_workers(world: &mut World, members: Vec<usize>) -> Result<(), String> {
    for member in members {
        world.crew[member].is_busy = false;
        world.crew[member].launch().await?;
    }
    Ok(())
}

pub(super) fn launch_daemon(world: &mut World, member: usize) -> Result<(), String> {
    world.crew[member].is_daemon_busy = false;
    world.crew[member].launch_daemon()
}
