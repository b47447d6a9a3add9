//! Wall clocks that jump, of workers and their daemons, by `libfaketime`.
//!
//! Not of servers: a Go program asks the kernel past the C library, and a time namespace does not change the wall
//! clock. That servers' clocks agree within the slack is what the library asks for; beyond that nothing is tried.

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

pub(super) fn right(world: &mut World, member: usize) -> Result<(), String> {
    world.crew[member].set_clock(0)
}
