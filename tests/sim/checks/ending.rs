//! After the last fault: everybody is served, and then nothing is left.

use std::time::Duration;

use lease::protocol::{Slot, line};
use lease::store::{Body, Entry};

use crate::sim::{Pid, State};

/// What everybody who still waits was not served within.
pub fn unserved(state: &State, within: Duration) -> Vec<String> {
    let waits = |(attempt, waiting): (&String, &super::Waiting)| {
        format!(
            "{attempt} has been waiting for {} since {:.3} s and was not served within {within:?}",
            waiting.name,
            waiting.since.as_secs_f64()
        )
    };
    state.checks.waiting.iter().map(waits).collect()
}

/// What is left in the store that nobody needs any more. The places of the dead stay until somebody comes who stands
/// behind them.
pub fn left_behind(state: &State) -> Vec<String> {
    let all = state.history.all();
    let left = all.filter(|entry| match entry.key.split('.').next() {
        // The marker of one who left goes by itself, later where a write of its place may still have arrived.
        Some("line") if !matches!(entry.body, Body::Put(_)) => entry.ttl_secs == 0,
        Some("line") => !is_of_the_dead(state, entry) && !state.checks.line.is_ghost(entry),
        // A list of readers has no TTL; nobody is on it any more, or a reader's key is left behind.
        Some("lock") if matches!(Slot::of(Some(entry)), Slot::Shared { .. }) => false,
        Some("sem") if entry.key.ends_with(".limit") => false,
        Some("lock" | "elect" | "read" | "sem" | "group" | "here") => matches!(entry.body, Body::Put(_)),
        _ => false,
    });
    left.map(|entry| format!("{} is left behind in the store", entry.key)).collect()
}

/// How many places there are whose waiters died: each may be taken for alive until a look, and some have the lock
/// kept free for them in vain.
pub fn places_of_the_dead(state: &State) -> u32 {
    state.history.all().filter(|entry| is_of_the_dead(state, entry)).count() as u32
}

fn is_of_the_dead(state: &State, entry: &Entry) -> bool {
    let Some(place) = line::place(entry) else { return false };
    let lives = |seat: &Option<(Pid, _)>| {
        seat.as_ref().is_some_and(|(pid, _)| place.waiter.owner.starts_with(&format!("{pid}/")))
    };
    !state.seats.iter().any(lives)
}

/// What a space still remembers of waiters and holders, told from what it shows of itself when debugged.
pub fn registers(shown: &str) -> Vec<String> {
    ["waiting: {}", "holding: {}", "waits: 0"]
        .into_iter()
        .filter(|empty| !shown.contains(empty))
        .map(|empty| format!("a space that is not used any more does not show `{empty}`: {shown}"))
        .collect()
}
