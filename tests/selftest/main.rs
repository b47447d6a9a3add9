//! Tests of the test support itself: a test bench that lies makes every other test worthless.

mod cluster;
mod http;
mod lifetime;
mod processes;
mod proxy;

/// Whether a process with this id is there and is not a zombie.
fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
    })
}
