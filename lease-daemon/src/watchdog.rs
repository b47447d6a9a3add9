//! Signs of life for the supervisor's watchdog: only while renewals are on time.
//!
//! A restart costs the clients every lease that the daemon renews. So there is none for an outage that nobody loses
//! anything by, and none while leases are left that a restart would cost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::app::App;
use crate::supervisor::Supervisor;

/// Signs of life for each that is asked for.
const OFTEN: u32 = 4;
/// How long the store may take to show that it answers again.
const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// Feeds the watchdog, if there is one, until the daemon ends.
pub async fn feed(app: Arc<App>, supervisor: Arc<Supervisor>) {
    let Some(limit) = supervisor.watchdog() else { return };
    let pause = (limit / OFTEN).max(Duration::from_millis(1));
    let mut pulse = Pulse::default();
    let mut fed = true;
    loop {
        let feeds = pulse.beats(&app).await;
        if feeds {
            supervisor.alive();
        }
        match (fed, feeds) {
            (true, false) => {
                tracing::warn!(
                    ?limit,
                    "renewals are late: the supervisor's watchdog is not fed until they are on time"
                );
                supervisor.status("renewals are late");
            }
            (false, true) => {
                tracing::info!("renewals are on time again");
                supervisor.status("ready");
            }
            _ => {}
        }
        fed = feeds;
        tokio::time::sleep(pause).await;
    }
}

/// Whether the daemon does what it is for.
#[derive(Debug, Default)]
struct Pulse {
    /// How many leases had run out in the daemon's hands at the last look.
    expired: u64,
    /// Leases have run out, and since then the store has not answered.
    stalled: bool,
}

impl Pulse {
    async fn beats(&mut self, app: &App) -> bool {
        let renewals = app.holders.renewals();
        if std::mem::replace(&mut self.expired, renewals.expired) != renewals.expired {
            self.stalled = true;
        }
        if renewals.late > 0 {
            return false;
        }
        if !self.stalled || renewals.on_time > 0 {
            return true;
        }
        if let Ok(space) = app.space()
            && matches!(timeout(PROBE_WITHIN, space.probe()).await, Ok(Ok(())))
        {
            self.stalled = false;
        }
        !self.stalled
    }
}
