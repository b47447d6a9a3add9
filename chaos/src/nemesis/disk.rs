//! Disks that are full, and disks that stall.

use std::time::Duration;

use super::{Begun, Struck, Undo, World};
use crate::shell::run;
use support::chance::Chance;

pub(super) const NO_DISKS: &str = "servers have no disks of their own: loop devices take root";

pub(super) async fn full(world: &mut World, chance: &mut Chance) -> Struck {
    let Some(victim) = world.server(chance, false).await else { return Ok(None) };
    let Some(disk) = &world.cluster.servers[victim].disk else { return Err(NO_DISKS.into()) };
    disk.fill().await?;
    world.busy[victim] = true;
    Ok(Some(Begun { target: world.name(victim), undo: Undo::Empty(victim) }))
}

/// Room is made, and the server started anew: one whose disk was full does not take up JetStream again by itself.
pub(super) async fn empty(world: &mut World, server: usize) -> Result<(), String> {
    if let Some(disk) = &world.cluster.servers[server].disk {
        disk.empty();
    }
    super::stop::halt(world, server).await;
    world.busy[server] = false;
    world.cluster.servers[server].launch()
}

/// Writes wait for a tenth of a second to two seconds, again and again, as on a disk that somebody else keeps busy.
pub(super) fn stall(world: &mut World, chance: &mut Chance) -> Struck {
    let free: Vec<usize> = (0..world.busy.len()).filter(|index| !world.busy[*index]).collect();
    let Some(victim) = chance.choose(&free).copied() else { return Ok(None) };
    if world.cluster.servers[victim].disk.is_none() {
        return Err(NO_DISKS.into());
    }
    world.busy[victim] = true;
    let mount = world.cluster.servers[victim].store().display().to_string();
    let mut chance = chance.fork();
    let task = tokio::spawn(async move {
        loop {
            // One of the two fails only if the disk has gone meanwhile.
            let _ = run(&format!("fsfreeze --freeze {mount}")).await;
            tokio::time::sleep(chance.millis(100, 2_000)).await;
            let _ = run(&format!("fsfreeze --unfreeze {mount}")).await;
            tokio::time::sleep(chance.millis(10, 200)).await;
        }
    });
    Ok(Some(Begun { target: world.name(victim), undo: Undo::Unstall(victim, task) }))
}

pub(super) async fn unstall(
    world: &mut World,
    server: usize,
    task: tokio::task::JoinHandle<()>,
) -> Result<(), String> {
    task.abort();
    // Whatever it was at, is over now.
    let _ = tokio::time::timeout(Duration::from_secs(5), task).await;
    if let Some(disk) = &world.cluster.servers[server].disk {
        // The command that it was in the middle of may come after ours.
        for _ in 0..3 {
            disk.resume().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    world.busy[server] = false;
    Ok(())
}
