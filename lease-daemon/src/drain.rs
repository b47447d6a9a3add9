//! Stopping: nothing is granted any more, every client is told, what they let go of is released, and the daemon exits
//! within ten seconds.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::App;
use crate::held::RenewedBy;

/// How long clients and the store may take. A client has [`crate::keeper::GRACE`] of it.
const RELEASE_WITHIN: Duration = Duration::from_secs(8);
/// How long leaving the lines may take.
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

/// Tells every client that the daemon stops, and releases what they let go of.
///
/// Leases of `acquire` are left to their TTL: their clients cannot be told before they ask, and a lease is never
/// released under somebody who may still be at work.
pub async fn drain(app: &App) {
    app.draining.cancel();
    let Ok(space) = app.space() else { return };
    // Tells the library to grant nothing and every lease that it is lost; waits for nothing yet.
    space.close(Duration::ZERO).await;
    let holds = app.holders.all(RenewedBy::Daemon).len();
    tracing::info!(holds, "stopping: clients are told, locks are released as they let go");
    if tokio::time::timeout(RELEASE_WITHIN, app.holders.let_go()).await.is_err() {
        tracing::warn!("the store did not take every release in time; the rest ends by its TTL");
    }
    let left = app.holders.all(RenewedBy::Client).len();
    if left == 0 {
        space.close(LEAVE_WITHIN).await;
    } else {
        // The library waits for every lease, these too; what it needs for the lines is much less.
        space.close(LEAVE_WITHIN / 4).await;
        tracing::info!(left, "leases that their clients renew are left to their TTL");
    }
}
