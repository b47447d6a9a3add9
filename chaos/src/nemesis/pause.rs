//! SIGSTOP: a process hangs, its connections stay, and its clocks go on. What it believed before, it believes after.

use rustix::process::Signal;

use super::{Begun, Struck, Undo, World};
use support::chance::Chance;

pub(super) async fn server(world: &mut World, chance: &mut Chance, is_leader: bool) -> Struck {
    let Some(victim) = world.server(chance, is_leader).await else { return Ok(None) };
    world.busy[victim] = true;
    world.cluster.servers[victim].freeze().await;
    Ok(Some(Begun { target: world.name(victim), undo: Undo::Resume(victim) }))
}

/// The same, where all others run: two that stand still would keep all from what is to be seen.
pub(super) async fn server_for_long(world: &mut World, chance: &mut Chance) -> Struck {
    if world.busy.contains(&true) { Ok(None) } else { server(world, chance, false).await }
}

pub(super) fn resume(world: &mut World, server: usize) -> Result<(), String> {
    world.busy[server] = false;
    world.cluster.servers[server].signal(Signal::CONT);
    Ok(())
}

pub(super) async fn worker(world: &mut World, chance: &mut Chance) -> Struck {
    let Some(victim) = world.member(chance) else { return Ok(None) };
    let member = &mut world.crew[victim];
    if !member.pause(true).await {
        return Ok(None);
    }
    member.is_busy = true;
    Ok(Some(Begun { target: member.name.clone(), undo: Undo::ResumeWorker(victim) }))
}

pub(super) async fn resume_worker(world: &mut World, member: usize) -> Result<(), String> {
    world.crew[member].is_busy = false;
    world.crew[member].pause(false).await;
    Ok(())
}

pub(super) async fn daemon(world: &mut World, chance: &mut Chance) -> Struck {
    let Some(victim) = world.member_with_daemon(chance) else { return Ok(None) };
    let member = &mut world.crew[victim];
    if !member.pause_daemon(true).await {
        return Ok(None);
    }
    member.is_daemon_busy = true;
    Ok(Some(Begun { target: member.daemon_name.clone(), undo: Undo::ResumeDaemon(victim) }))
}

pub(super) async fn resume_daemon(world: &mut World, member: usize) -> Result<(), String> {
    world.crew[member].is_daemon_busy = false;
    world.crew[member].pause_daemon(false).await;
    Ok(())
}
