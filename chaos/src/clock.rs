//! The one clock of a run: `CLOCK_BOOTTIME`, which all processes of the machine share and nothing steps.

use lease::{Ambient as _, System};

/// Nanoseconds of `CLOCK_BOOTTIME`.
pub fn now_ns() -> u64 {
    System.now().as_nanos()
}
