//! Stopping: nothing is granted any more, every client is told, what they let go of is released or handed over, and what
//! they do not let go of in time is left to its TTL.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::App;
use crate::held::RenewedBy;
use crate::wire::Span;

/// How long leaving the lines may take. With that and [`crate::serve::GOODBYE`] on top of the usual limit the daemon has
/// ended within ten seconds.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// The signals that stop the daemon.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen for them.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one, and returns its number.
    pub async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}

/// Tells every client that the daemon stops, and gives back what they let go of, for at most `within`.
///
/// Whoever closes the connection makes way at once: for the next candidate, the next in line. A client that goes on is not
/// interrupted: its lease is not renewed any more, and is nobody's before it has run out. Leases of `acquire` are not
/// waited for: their clients cannot be told before they ask.
pub async fn drain(app: &App, within: Duration) {
    app.draining.cancel();
    let Ok(space) = app.space() else { return };
    // Tells the library to grant nothing and every lease that it is lost; waits for nothing yet.
    space.close(Duration::ZERO).await;
    let holds = app.holders.all(RenewedBy::Daemon).len();
    tracing::info!(holds, "stopping: clients are told, locks are released as they let go");
    if tokio::time::timeout(within, app.holders.let_go()).await.is_err() {
        let left = app.holders.all(RenewedBy::Daemon).len();
        tracing::warn!(left, "not given back in {}; what is left ends by its TTL", Span(within));
    }
    let acquired = app.holders.all(RenewedBy::Client).len();
    if acquired > 0 {
        tracing::info!(acquired, "leases that their clients renew are left to their TTL");
    }
    // The library waits for every lease. If some are left, what it needs for the lines is much less.
    let empty = acquired == 0 && app.holders.all(RenewedBy::Daemon).is_empty();
    space.close(if empty { LEAVE_WITHIN } else { LEAVE_WITHIN / 4 }).await;
}
