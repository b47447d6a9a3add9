//! The example clients of `lease-daemon/clients`: each passes the same list, as a black box.
//!
//! Each brings a small program `NAME TTL WAIT [again]` that works under the lock until it reads a line. It says
//! `held TOKEN` when it begins to work and `stopped` when its work was stopped; then `lost` and why. It exits with 0 once it
//! has let go, 64 if refused, 75 if it was not granted in time, 79 after a loss, unless it is to take the lock `again`.

mod everyday;
mod kit;
mod losses;
mod shell;

use std::time::Duration;

/// Longer than anything here takes, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(30);
