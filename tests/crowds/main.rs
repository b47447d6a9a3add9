//! The library with a crowd: many waiters, many changes of hands, many records; how long things take, and whether they
//! stay right. Every test prints what it measured: `cargo test -p lease-tests --test crowds -- --nocapture`.

mod election;
mod line;
mod listing;
mod witness;

use std::time::Duration;

use lease::{Ambient, Space, SpaceOptions, System};
use tokio::sync::{Mutex, MutexGuard};

/// What is measured here is measured alone.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// A space on a real server.
async fn space(url: &str) -> Space {
    Space::connect(url, SpaceOptions::default()).await.expect("the bucket opens")
}

/// Nanoseconds of the clock that all processes of the host share.
fn now() -> u64 {
    System.now().as_nanos()
}

/// Some durations, sorted, as a line to print.
struct Spread(Vec<Duration>);

impl Spread {
    fn of(mut durations: Vec<Duration>) -> Spread {
        assert!(!durations.is_empty(), "nothing was measured");
        durations.sort();
        Spread(durations)
    }

    /// What so many per cent do not exceed.
    fn percent(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent).div_ceil(100).max(1) - 1]
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (half, most, max) = (self.percent(50), self.percent(99), self.percent(100));
        write!(f, "p50 {half:.1?}, p99 {most:.1?}, max {max:.1?}, of {}", self.0.len())
    }
}
