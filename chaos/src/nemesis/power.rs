//! Power that fails: a server ends in the middle of what it does, and what it had written and not synced is gone.

use super::{Begun, Struck, Undo, World};
use support::chance::Chance;

pub(super) async fn fail(world: &mut World, chance: &mut Chance, is_for_all: bool) -> Struck {
    let all: Vec<usize> = (0..world.busy.len()).collect();
    let victims = match is_for_all {
        true if world.busy.contains(&true) => return Ok(None),
        true => all,
        false => world.server(chance, false).await.into_iter().collect(),
    };
    if victims.iter().any(|victim| world.cluster.servers[*victim].disk.is_none()) {
        return Err(super::disk::NO_DISKS.into());
    }
    // First none of them can do anything any more, then the disks go: so no server acknowledges on another's dead disk.
    for victim in &victims {
        world.busy[*victim] = true;
        world.cluster.servers[*victim].freeze().await;
    }
    for victim in &victims {
        if let Some(disk) = &world.cluster.servers[*victim].disk {
            disk.power_off().await?;
        }
        world.cluster.servers[*victim].kill().await;
    }
    let names: Vec<String> = victims.iter().map(|victim| world.name(*victim)).collect();
    if names.is_empty() {
        return Ok(None);
    }
    Ok(Some(Begun { target: names.join(","), undo: Undo::PowerOn(victims) }))
}

pub(super) async fn on(world: &mut World, servers: &[usize]) -> Result<(), String> {
    for server in servers {
        if let Some(disk) = &world.cluster.servers[*server].disk {
            disk.power_on().await?;
        }
        world.busy[*server] = false;
        world.cluster.servers[*server].launch()?;
    }
    Ok(())
}
