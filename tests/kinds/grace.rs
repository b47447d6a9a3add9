//! Grace: after a grant that was not given back in order, nobody is granted the name for a while.

use std::time::{Duration, Instant};

use lease::{End, Error, Loss, Space, Transition, WatchEvent, WatchFrom};
use tokio_stream::StreamExt;

use crate::{LIMIT, everywhere, granted, held};

mod delays {
    use super::*;
    everywhere!(super::the_next_grant_unless_it_was_given_back);
}

mod remains {
    use super::*;
    everywhere!(super::for_what_is_given_back_after_it_ran_out);
}

mod outlasts {
    use super::*;
    everywhere!(super::a_mark_upon_the_grant_of_one_who_died);
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

/// Whoever drops what it had lost has not given it back in order: it may have been in the middle of something.
async fn for_what_is_given_back_after_it_ran_out(one: Space, two: Space) {
    let (brief, grace) = (Duration::from_secs(2), Duration::from_secs(3));
    let lock = one.lock("g").ttl(brief).grace(grace).renewed_by_caller();
    let lease = granted(lock.try_acquire().await);
    let mut seen = two.watch("g", WatchFrom::Present).expect("a filter");
    let (token, lost) = (lease.token(), lease.lost().await);
    assert_eq!(lost, Loss::Expired);
    drop(lease);
    let dropped = Instant::now();
    let next = granted(two.lock("g").acquire_within(LIMIT).await);
    assert!(dropped.elapsed() >= Duration::from_millis(2_900), "{:?}", dropped.elapsed());
    assert!(dropped.elapsed() < Duration::from_secs(6), "{:?}", dropped.elapsed());
    let mut ended = async || loop {
        let WatchEvent::Happened(told) = seen.next().await.expect("goes on").expect("heard") else {
            continue;
        };
        match told.what {
            Transition::Ended(previous) if previous.token == token => return "ended",
            Transition::Expired(holder) if holder.token == token => return "expired",
            _ => {}
        }
    };
    assert_eq!(tokio::time::timeout(LIMIT, ended()).await, Ok("expired"));
    next.release().await.expect("released");

    let lease = granted(one.lock("h").ttl(brief).renewed_by_caller().try_acquire().await);
    let token = lease.token();
    lease.lost().await;
    drop(lease);
    let next = granted(two.lock("h").acquire_within(LIMIT).await);
    let told = next.previous().map(|previous| (previous.token, previous.why));
    assert_eq!(told, Some((token, End::Expired)));
    next.release().await.expect("released");
}

/// The mark lasts as long as the record would have.
async fn a_mark_upon_the_grant_of_one_who_died(one: Space, two: Space) {
    let (brief, grace) = (Duration::from_secs(2), Duration::from_secs(3));
    let mute = granted(one.lock("g").ttl(brief).grace(grace).renewed_by_caller().try_acquire().await);
    two.lock("g").break_by_force(mute.token(), "it does not answer", false).await.expect("marked");
    let marked = Instant::now();
    let next = granted(two.lock("g").acquire_within(LIMIT).await);
    // T, the slack, and the grace.
    assert!(marked.elapsed() >= Duration::from_millis(6_500), "{:?}", marked.elapsed());
    assert!(marked.elapsed() < Duration::from_secs(10), "{:?}", marked.elapsed());
    drop((mute, next));
}
