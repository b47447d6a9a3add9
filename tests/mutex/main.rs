//! The mutex of the library on real servers: what the promise says, tried where it could break.

mod failover;
mod line;
mod lost_answers;
mod outage;
mod paused;
mod reading;
mod replaced;

use std::time::Duration;

use lease::{Attempt, Lease, Space, SpaceOptions};

/// A space on a real server.
async fn space(url: &str) -> Space {
    Space::connect(url, SpaceOptions::default()).await.expect("the bucket opens")
}

/// Asserts that the lock is held, and says by which token.
async fn held(space: &Space, name: &str) -> u64 {
    match space.lock(name).try_acquire().await.expect("the store answers") {
        Attempt::Held(Some(by)) => by.token.get(),
        other => panic!("{name} should be held by somebody else: {other:?}"),
    }
}

/// Waits for the lock; fails if that takes longer than `limit`.
async fn acquire(space: &Space, name: &str, ttl: Duration, limit: Duration) -> Lease {
    let lock = space.lock(name).ttl(ttl);
    let waited = tokio::time::timeout(limit, lock.acquire()).await;
    waited.unwrap_or_else(|_| panic!("{name} was not granted within {limit:?}")).expect("granted")
}

/// Waits until this many stand in line.
async fn in_line(space: &Space, name: &str, count: usize) {
    support::eventually(format!("{count} in line for {name}"), Duration::from_secs(10), || async {
        (space.look(name).await.ok()?.waiters.len() == count).then_some(())
    })
    .await;
}
