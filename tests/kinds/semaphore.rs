//! Semaphores: never more permits than the limit, which is agreed on and can be changed.

use std::time::{Duration, Instant};

use lease::{Error, Space};
use support::eventually;

use crate::{LIMIT, everywhere, granted, held};

mod permits {
    use super::*;
    everywhere!(super::up_to_the_limit);
}

async fn up_to_the_limit(one: Space, two: Space) {
    let (a, b) = (one.semaphore("gpu", 2).owner("a"), two.semaphore("gpu", 2).owner("b"));
    let first = granted(a.try_acquire().await);
    let second = granted(b.try_acquire().await);
    assert!(first.token() < second.token());
    let by = held(b.try_acquire().await).expect("a holder is named");
    assert!([first.token(), second.token()].contains(&by.token), "{by:?}");
    let seen = a.look().await.expect("readable");
    assert_eq!(seen.limit, Some(2));
    assert_eq!(seen.holders.iter().map(|h| h.owner.as_str()).collect::<Vec<_>>(), ["a", "b"]);

    // First come, first served, and a try does not step in.
    let waiting = {
        let (one, two) = (a.clone(), b.clone());
        let third = tokio::spawn(async move { one.owner("third").acquire().await });
        eventually("the third waits", LIMIT, async || {
            (a.look().await.ok()?.waiters.len() == 1).then_some(())
        })
        .await;
        let fourth = tokio::spawn(async move { two.owner("fourth").acquire().await });
        (third, fourth)
    };
    eventually("the fourth waits", LIMIT, async || (a.look().await.ok()?.waiters.len() == 2).then_some(()))
        .await;
    second.release().await.expect("released");
    let third =
        tokio::time::timeout(LIMIT, waiting.0).await.expect("soon").expect("no panic").expect("granted");
    assert!(!waiting.1.is_finished(), "the third came first");
    assert!(third.previous().is_some_and(|previous| previous.holder == "b"), "{:?}", third.previous());
    first.release().await.expect("released");
    let fourth =
        tokio::time::timeout(LIMIT, waiting.1).await.expect("soon").expect("no panic").expect("granted");
    held(a.try_acquire().await);

    // Another limit is refused by name, and changes nothing.
    let refused = two.semaphore("gpu", 3).try_acquire().await.expect_err("another limit");
    assert_eq!(refused, Error::LimitMismatch { name: "gpu".into(), given: 3, agreed: 2 });
    for limit in [0, 501] {
        let refused = one.semaphore("gpu", limit).try_acquire().await.expect_err("out of range");
        assert!(refused.to_string().contains(&limit.to_string()), "{refused}");
        a.set_limit(limit).await.expect_err("out of range");
    }
    drop((third, fourth));
}

mod freed {
    use super::*;
    everywhere!(super::together_serve_as_many_who_wait);
}

/// Each of two processes that give back keeps its permit free for the first in line, who needs one of them.
async fn together_serve_as_many_who_wait(one: Space, two: Space) {
    let (a, b) = (one.semaphore("gpu", 2), two.semaphore("gpu", 2));
    for round in 0..8 {
        let held = (granted(a.try_acquire().await), granted(b.try_acquire().await));
        let mut waiting = Vec::new();
        for waiter in [&a, &b] {
            let waiter = waiter.clone();
            waiting.push(tokio::spawn(async move { waiter.acquire().await }));
            let wanted = waiting.len();
            eventually("another one waits", LIMIT, async || {
                (b.look().await.ok()?.waiters.len() == wanted).then_some(())
            })
            .await;
        }
        let (first, second) = tokio::join!(held.0.release(), held.1.release());
        first.and(second).expect("released");
        let freed = Instant::now();
        let both = futures_util::future::join_all(waiting);
        let both = tokio::time::timeout(LIMIT, both).await.expect("in time");
        // What is kept free for somebody who does not take it is free again after 3 s.
        assert!(freed.elapsed() < Duration::from_millis(2_500), "round {round}: {:?}", freed.elapsed());
        for permit in both {
            permit.expect("no panic").expect("granted").release().await.expect("released");
        }
    }
}

mod limits {
    use super::*;
    everywhere!(super::are_raised_and_lowered_in_use);
}

async fn are_raised_and_lowered_in_use(one: Space, two: Space) {
    let two_of = one.semaphore("pool", 2);
    let zero = granted(two_of.try_acquire().await);
    let first = granted(two_of.try_acquire().await);
    let four_of = two.semaphore("pool", 2).set_limit(4).await.expect("raised");
    assert!(matches!(two_of.try_acquire().await, Err(Error::LimitMismatch { agreed: 4, .. })));
    let second = granted(four_of.try_acquire().await);
    let third = granted(four_of.try_acquire().await);
    held(four_of.try_acquire().await);

    // Lowered to two while four are held: two must go before anybody is granted anything.
    let lowered = one.semaphore("pool", 4).set_limit(2).await.expect("lowered");
    zero.release().await.expect("released");
    first.release().await.expect("released");
    held(lowered.try_acquire().await);
    second.release().await.expect("released");
    third.release().await.expect("released");
    let zero = granted(lowered.acquire_within(LIMIT).await);
    let first = granted(lowered.acquire_within(LIMIT).await);
    held(lowered.try_acquire().await);
    assert_eq!(lowered.look().await.expect("readable").limit, Some(2));
    drop((zero, first));
}

mod expiry {
    use super::*;
    everywhere!(super::frees_a_permit);
}

async fn frees_a_permit(one: Space, two: Space) {
    let ttl = Duration::from_secs(2);
    let kept = granted(one.semaphore("s", 2).try_acquire().await);
    let mute = granted(one.semaphore("s", 2).ttl(ttl).renewed_by_caller().try_acquire().await);
    let begun = std::time::Instant::now();
    let next = granted(two.semaphore("s", 2).acquire_within(LIMIT).await);
    // Its TTL, the slack of 2 s, and half a second.
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert!(matches!(mute.status(), lease::Status::Lost(_)), "lost before anybody else was granted it");
    assert!(next.token() > mute.token());
    drop((kept, next));
}
