//! Early notice: a loss is told by the holder's own clock at its own deadline, without the network.

use std::time::Duration;

/// What is wrong with a notice that came this long after the deadline, by the holder's own clock.
///
/// Timers run by true time in here, and a process with a fast clock naps for up to a second of it: 1 % of that, and a
/// timer's resolution. (On a real machine timers are as fast as the clock.)
pub fn late(by: Duration, paused_or_stopped: bool) -> Option<String> {
    (by > Duration::from_millis(13) && !paused_or_stopped)
        .then(|| format!("the loss was told {by:?} after the deadline"))
}
