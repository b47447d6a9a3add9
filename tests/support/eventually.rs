//! Waiting for a condition instead of for a time.

use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

/// Pause between two looks: short against everything that tests measure, long enough to leave the cores alone.
const PAUSE: Duration = Duration::from_millis(5);

/// Calls `probe` until it gives a value, at most for `limit`.
///
/// # Panics
/// When `limit` has passed, naming `what` was awaited and where. A probe that itself hangs is cut off as well.
#[track_caller]
pub fn eventually<T, P>(what: impl Into<String>, limit: Duration, mut probe: P) -> impl Future<Output = T>
where
    P: AsyncFnMut() -> Option<T>,
{
    let (caller, what) = (Location::caller(), what.into());
    async move {
        let begun = Instant::now();
        let mut looks = 0_u32;
        let found = tokio::time::timeout(limit, async {
            loop {
                looks += 1;
                if let Some(value) = probe().await {
                    return value;
                }
                tokio::time::sleep(PAUSE).await;
            }
        })
        .await;
        found.unwrap_or_else(|_| {
            panic!("{caller}: waited {:.1?} ({looks} looks) in vain for: {what}", begun.elapsed())
        })
    }
}
