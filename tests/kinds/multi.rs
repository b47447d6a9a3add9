//! Several locks at once: all or none.

use std::time::Duration;

use lease::{Error, MultiAttempt, MultiLease, Space, Status};
use support::eventually;

use crate::{LIMIT, everywhere, granted, held};

fn all(attempt: Result<MultiAttempt, Error>) -> MultiLease {
    match attempt {
        Ok(MultiAttempt::Granted(lease)) => lease,
        other => panic!("not granted: {other:?}"),
    }
}

fn none(attempt: Result<MultiAttempt, Error>) -> String {
    match attempt {
        Ok(MultiAttempt::Held(name, _)) => name,
        other => panic!("not held by others: {other:?}"),
    }
}

mod together {
    use super::*;
    everywhere!(super::all_or_none);
}

async fn all_or_none(one: Space, two: Space) {
    let both = all(one.lock_all(["m.b", "m.a", "m.a"]).try_acquire().await);
    assert_eq!(both.names().collect::<Vec<_>>(), ["m.a", "m.b"]);
    assert!(both.token("m.a") < both.token("m.b") && both.token("m.c").is_none(), "{:?}", both.tokens());
    held(two.lock("m.a").try_acquire().await);
    held(two.lock("m.b").try_acquire().await);
    // One of three is taken: nothing of the other two is.
    assert_eq!(none(two.lock_all(["m.b", "m.c", "m.d"]).try_acquire().await), "m.b");
    granted(one.lock("m.c").try_acquire().await).release().await.expect("released");
    let last = both.token("m.b").expect("a token");
    both.release().await.expect("released");
    let three = all(two.lock_all(["m.b", "m.c", "m.d"]).try_acquire().await);
    assert!(three.token("m.b").expect("a token") > last);
    // Readers are in the way like anybody.
    let reader = granted(one.rw_lock("m.a").try_read().await);
    assert_eq!(none(two.lock_all(["m.a", "m.z"]).try_acquire().await), "m.a");
    reader.release().await.expect("released");
    let with_traces_of_a_reader = all(two.lock_all(["m.a", "m.z"]).acquire_within(LIMIT).await);
    drop((three, with_traces_of_a_reader));

    for names in [vec![], (0..65).map(|n| format!("n{n}")).collect::<Vec<_>>()] {
        let wrong = one.lock_all(names.clone()).try_acquire().await.expect_err("refused");
        assert!(wrong.to_string().contains(&format!("of {} different", names.len())), "{wrong}");
    }
    assert!(matches!(one.lock_all(["a", "b b"]).check(), Err(Error::InvalidName { .. })));
}

mod waiting {
    use super::*;
    everywhere!(super::waits_holding_nothing_and_is_not_passed_for_ever);
}

async fn waits_holding_nothing_and_is_not_passed_for_ever(one: Space, two: Space) {
    let taken = granted(one.lock("w.y").try_acquire().await);
    let waiting = {
        let (space, limit) = (two.clone(), LIMIT);
        tokio::spawn(async move { space.lock_all(["w.x", "w.y"]).acquire_within(limit).await })
    };
    eventually("it waits for the one that is taken", LIMIT, async || {
        (one.look("w.y").await.ok()?.waiters.len() == 1).then_some(())
    })
    .await;
    granted(one.lock("w.x").try_acquire().await).release().await.expect("released");
    taken.release().await.expect("released");
    let both = all(waiting.await.expect("no panic"));
    held(one.lock("w.x").try_acquire().await);
    both.release().await.expect("released");

    // Two that never let the set be free at one moment: it gets its turn all the same.
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let turns = [(); 2].map(|()| std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let busy: Vec<_> = ["w.x", "w.y"]
        .into_iter()
        .zip(turns.clone())
        .map(|(name, turns)| {
            let (lock, stop) = (one.lock(name), stop.clone());
            tokio::spawn(async move {
                let mut lease = lock.acquire().await.expect("granted");
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    let next = lock.clone();
                    let next = tokio::spawn(async move { next.acquire().await });
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    lease.release().await.expect("released");
                    lease = next.await.expect("no panic").expect("granted");
                    turns.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..3 {
        let both = all(two.lock_all(["w.x", "w.y"]).acquire_within(LIMIT).await);
        both.release().await.expect("released");
    }
    let before = turns.clone().map(|turns| turns.load(std::sync::atomic::Ordering::SeqCst));
    for (turns, before) in turns.iter().zip(before) {
        eventually("the others go on", LIMIT, async || {
            (turns.load(std::sync::atomic::Ordering::SeqCst) > before).then_some(())
        })
        .await;
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    for one in busy {
        one.await.expect("no panic");
    }
}

mod losing {
    use super::*;
    everywhere!(super::the_loss_of_one_is_the_loss_of_all);
}

async fn the_loss_of_one_is_the_loss_of_all(one: Space, two: Space) {
    let both = all(one.lock_all(["l.a", "l.b"]).try_acquire().await);
    let token = both.token("l.b").expect("a token");
    assert_eq!(both.status(), Status::Held);
    two.lock("l.b").break_by_force(token, "stuck", false).await.expect("broken");
    let (name, loss) = tokio::time::timeout(LIMIT, both.lost()).await.expect("told");
    assert_eq!((name.as_str(), loss), ("l.b", lease::Loss::Broken("stuck".into())));
    assert!(both.cancellation().is_cancelled() && matches!(both.status(), Status::Lost(_)));
    assert!(both.expires_in().is_zero());
    drop(both);
    // Given back at once, the other too.
    let after = all(two.lock_all(["l.a", "l.b"]).acquire_within(Duration::from_secs(5)).await);
    after.release().await.expect("released");
}
