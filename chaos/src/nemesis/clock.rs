//! Wall clocks that jump, of workers and their daemons, by `libfaketime`.
//!
//! Those of servers are set wrong in the program itself: see `cluster/wall_clock.rs`. That they agree within the slack
//! of 2 s is what the library asks for. So there are two: one that keeps to that, and one that goes far beyond.

use super::{Begun, Struck, Undo, World};
use support::chance::Chance;

/// Back and forth, by less than a ttl, by more, and by a day.
const JUMPS: [i64; 8] = [-86_400, -3_600, -30, -3, 3, 30, 3_600, 86_400];

pub(super) fn jump(world: &mut World, chance: &mut Chance) -> Struck {
    if !world.can_fake_clocks {
        return Err("there is no libfaketime; on Debian: apt-get install libfaketime".into());
    }
    let (Some(seconds), Some(victim)) = (chance.choose(&JUMPS).copied(), world.member(chance)) else {
        return Ok(None);
    };
    world.crew[victim].set_clock(seconds)?;
    let target = format!("{} {seconds:+} s", world.crew[victim].host);
    Ok(Some(Begun { target, undo: Undo::ClockRight(victim) }))
}

/// By how much a server's clock is wrong: with another one at most 2 s apart, whichever way it was before.
const WITHIN: [i32; 2] = [-1, 1];
/// By more than the slack, and by more than a ttl.
const BEYOND: [i32; 6] = [-60, -10, -5, 5, 10, 60];

pub(super) async fn server(world: &mut World, chance: &mut Chance, is_beyond: bool) -> Struck {
    let choices = if is_beyond { &BEYOND[..] } else { &WITHIN[..] };
    let (Some(seconds), Some(victim)) = (chance.choose(choices).copied(), world.server(chance, false).await)
    else {
        return Ok(None);
    };
    // Two that are wrong at once could be further apart than one may be from the truth.
    if !is_beyond && world.is_a_clock_wrong || !world.cluster.servers[victim].set_clock(seconds).await? {
        return Ok(None);
    }
    world.busy[victim] = true;
    world.is_a_clock_wrong = true;
    let target = format!("{} {seconds:+} s", world.name(victim));
    Ok(Some(Begun { target, undo: Undo::ServerClockRight(victim) }))
}

pub(super) async fn server_right(world: &mut World, server: usize) -> Result<(), String> {
    world.busy[server] = false;
    world.is_a_clock_wrong = false;
    // One that has ended by itself has a right clock when it is started again.
    world.cluster.servers[server].set_clock(0).await.map(drop)
}

pub(super) fn right(world: &mut World, member: usize) -> Result<(), String> {
    world.crew[member].set_clock(0)
}
