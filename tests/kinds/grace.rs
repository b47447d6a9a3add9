//! Grace: after a grant that was not given back in order, nobody is granted the name for a while.

use std::time::{Duration, Instant};

use lease::{End, Error, Space};

use crate::{LIMIT, everywhere, granted, held};

mod delays {
    use super::*;
    everywhere!(super::the_next_grant_unless_it_was_given_back);
}

async fn the_next_grant_unless_it_was_given_back(one: Space, two: Space) {
    let grace = Duration::from_secs(3);
    let lock = one.lock("g").grace(grace);
    granted(lock.try_acquire().await).release().await.expect("released");
    granted(two.lock("g").try_acquire().await).release().await.expect("released");

    let failed = granted(lock.try_acquire().await);
    failed.release_as(End::ClientGone).await.expect("given back");
    let ended = Instant::now();
    held(two.lock("g").try_acquire().await);
    let next = granted(two.lock("g").acquire_within(LIMIT).await);
    assert!(ended.elapsed() >= Duration::from_millis(2_900), "{:?}", ended.elapsed());
    assert!(ended.elapsed() < Duration::from_secs(6), "{:?}", ended.elapsed());
    next.release().await.expect("released");

    // It died: T, the slack, and the grace.
    let mute = granted(lock.clone().ttl(Duration::from_secs(2)).renewed_by_caller().try_acquire().await);
    let granted_at = Instant::now();
    let next = granted(two.lock("g").acquire_within(LIMIT).await);
    let waited = granted_at.elapsed();
    assert!(waited >= Duration::from_millis(6_500) && waited < Duration::from_secs(9), "{waited:?}");
    drop((mute, next));

    let long = Duration::from_secs(24 * 3600 + 1);
    let refused = one.lock("g").grace(long).check().expect_err("too long");
    assert!(matches!(&refused, Error::InvalidSetting { setting: "grace", .. }), "{refused}");
}
