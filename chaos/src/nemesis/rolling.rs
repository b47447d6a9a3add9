//! What an operator does on a quiet afternoon: restarts all servers in turn, or retires one in lame duck mode.

use std::time::Duration;

use rustix::process::Signal;

use super::{Begun, Struck, Undo, World, stop};
use support::chance::Chance;

/// How long an operator waits for the cluster to be current again before going on regardless.
const PATIENCE: Duration = Duration::from_secs(8);

/// A restart in turn, under way. The first server is stopped when it begins, the others when it ends: so the schedule
/// can go on meanwhile.
#[derive(Debug)]
pub struct Rolling {
    down: usize,
    rest: Vec<usize>,
}

pub(super) async fn begin(world: &mut World) -> Struck {
    if world.busy.iter().any(|busy| *busy) {
        return Ok(None);
    }
    world.busy.fill(true);
    stop::halt(world, 0).await;
    let rest = (1..world.busy.len()).collect();
    Ok(Some(Begun { target: "n0,n1,n2".into(), undo: Undo::Rolling(Rolling { down: 0, rest }) }))
}

impl Rolling {
    /// Starts the one that is down, then restarts the others, each once all are current again or patience is over.
    pub(super) async fn finish(self, world: &mut World) -> Result<(), String> {
        world.cluster.servers[self.down].launch()?;
        for server in self.rest {
            // Other faults may keep them from it.
            let _ = world.cluster.ready(PATIENCE).await;
            stop::halt(world, server).await;
            world.cluster.servers[server].launch()?;
        }
        world.busy.fill(false);
        Ok(())
    }
}

/// SIGUSR2: the server hands its leaderships on and sends its clients away, one by one.
pub(super) fn lame_duck(world: &mut World, chance: &mut Chance) -> Struck {
    let free: Vec<usize> = (0..world.busy.len()).filter(|index| !world.busy[*index]).collect();
    let Some(victim) = chance.choose(&free).copied() else { return Ok(None) };
    if !world.cluster.servers[victim].signal(Signal::USR2) {
        return Ok(None);
    }
    world.busy[victim] = true;
    Ok(Some(Begun { target: world.name(victim), undo: Undo::LameDuck(victim) }))
}

/// Does not wait until it has gone by itself, which takes half a minute.
pub(super) async fn after_lame_duck(world: &mut World, server: usize) -> Result<(), String> {
    stop::halt(world, server).await;
    world.busy[server] = false;
    world.cluster.servers[server].launch()
}
