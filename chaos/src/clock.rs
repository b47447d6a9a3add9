//! The one clock of a run, `CLOCK_BOOTTIME`, which all processes of the machine share and nothing steps; and the wall clock.

use lease::{Ambient as _, System};

/// Nanoseconds of `CLOCK_BOOTTIME`.
pub fn now_ns() -> u64 {
    System.now().as_nanos()
}

/// Nanoseconds of the wall clock since 1970: what the servers of this machine stamp their messages with.
pub fn wall_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
