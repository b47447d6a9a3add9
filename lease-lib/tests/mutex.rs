//! The mutex on the embedded store: what a newcomer would try first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lease::{Ambient, Attempt, Error, Loss, Moment, Space, Status, System};

#[tokio::test]
async fn one_holds_and_the_next_waits_its_turn() {
    let space = Space::embedded();
    let first = space.lock("orders.42").acquire().await.unwrap();
    assert_eq!(first.status(), Status::Held);
    let Attempt::Held(Some(by)) = space.lock("orders.42").try_acquire().await.unwrap() else {
        panic!("held by two");
    };
    assert_eq!(by.token, first.token());
    let waiting = tokio::spawn({
        let lock = space.lock("orders.42");
        async move { lock.acquire().await }
    });
    while space.look("orders.42").await.unwrap().waiters.is_empty() {
        tokio::task::yield_now().await;
    }
    let token = first.token();
    first.release().await.unwrap();
    let second = waiting.await.unwrap().unwrap();
    assert!(second.token() > token);
    assert_eq!(second.previous().unwrap().token, token);
    second.release().await.unwrap();
    assert_eq!(space.look("orders.42").await.unwrap().holder, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_take_turns_and_tokens_rise() {
    let space = Space::embedded();
    let inside = Arc::new(AtomicU64::new(0));
    let last = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let (lock, inside, last) = (space.lock("counter"), Arc::clone(&inside), Arc::clone(&last));
            tokio::spawn(async move {
                for _ in 0..50 {
                    let lease = lock.acquire().await.unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two inside");
                    assert!(last.swap(lease.token().get(), Ordering::SeqCst) < lease.token().get());
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    lease.release().await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_wait_leaves_the_line_and_a_dropped_lease_frees_the_name() {
    let space = Space::embedded();
    let lease = space.lock("a").acquire().await.unwrap();
    let lock = space.lock("a");
    let gave_up = tokio::time::timeout(Duration::from_millis(100), lock.acquire()).await;
    assert!(gave_up.is_err());
    while !space.look("a").await.unwrap().waiters.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(lease);
    let again = tokio::time::timeout(Duration::from_secs(1), lock.acquire()).await;
    again.expect("freed at once").unwrap();
}

#[tokio::test]
async fn breaking_is_fenced_and_the_holder_hears_of_it() {
    let space = Space::embedded();
    let lease = space.lock("a").acquire().await.unwrap();
    let wrong = lease::Token::new(lease.token().get() + 1);
    let refused = space.lock("a").break_by_force(wrong, "no", false).await;
    assert!(
        matches!(refused, Err(Error::TokenMismatch { current: Some(token), .. }) if token == lease.token())
    );
    space.lock("a").break_by_force(lease.token(), "stuck", false).await.unwrap();
    assert_eq!(lease.lost().await, Loss::Broken("stuck".into()));
    assert!(lease.cancellation().is_cancelled());
    drop(lease);
    let next = space.lock("a").acquire().await.unwrap();
    assert_eq!(next.previous().unwrap().why, lease::End::Broken);
}

#[tokio::test]
async fn waiting_within_a_limit_tells_who_holds() {
    let space = Space::embedded();
    let lease = space.lock("a").owner("first").acquire().await.unwrap();
    let Attempt::Held(Some(by)) = space.lock("a").acquire_within(Duration::from_millis(50)).await.unwrap()
    else {
        panic!("held by two");
    };
    assert_eq!((by.owner.as_str(), by.token), ("first", lease.token()));
}

#[tokio::test]
async fn with_runs_the_work_and_gives_back() {
    let space = Space::embedded();
    let token = space.lock("a").with(|lease| async move { lease.token() }).await.unwrap();
    assert!(token.get() > 0 && token.get() < 1 << 53);
    assert_eq!(space.look("a").await.unwrap().holder, None);
}

#[tokio::test]
async fn a_store_whose_revisions_go_backwards_is_noticed_and_nothing_is_granted_until_it_is_accepted() {
    let options = lease::SpaceOptions::default();
    let store = lease::store::MemoryStore::new(Arc::clone(&options.ambient));
    let space = Space::on(store.clone(), options.clone()).await.unwrap();
    let kept = space.lock("kept").ttl(Duration::from_secs(2)).acquire().await.unwrap();
    for _ in 0..20 {
        space.lock("busy").acquire().await.unwrap().release().await.unwrap();
    }
    store.regress(30);
    // The next renewal gets a revision below one that was acknowledged.
    let told = tokio::time::timeout(Duration::from_secs(2), kept.lost()).await.expect("told");
    assert!(matches!(told, Loss::StoreRegressed | Loss::Taken), "{told:?}");
    let refused = space.lock("other").try_acquire().await.expect_err("nothing is granted");
    assert!(matches!(refused, Error::Regressed { had, saw } if saw <= had), "{refused:?}");
    // Who opens the space later refuses as well: the note is in the bucket.
    let later = Space::on(store.clone(), options).await.unwrap();
    assert!(matches!(later.lock("other").try_acquire().await, Err(Error::Regressed { .. })));
    space.accept_regression("an operator").await.unwrap();
    assert!(matches!(space.lock("other").try_acquire().await, Ok(Attempt::Granted(_))));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(matches!(later.lock("third").try_acquire().await, Ok(Attempt::Granted(_))), "accepted for all");
}

/// The key of the note of a regression.
const NOTE: &str = "space.regression";

/// A space on a store that lost 20 writes that the space was told of, which it has noticed.
async fn regressed() -> (Arc<lease::store::MemoryStore>, lease::SpaceOptions, Space) {
    let options = lease::SpaceOptions::default();
    let store = lease::store::MemoryStore::new(Arc::clone(&options.ambient));
    let space = Space::on(store.clone(), options.clone()).await.unwrap();
    regress(&store, &space).await;
    (store, options, space)
}

/// Loses 20 writes; the next one of the space shows it.
async fn regress(store: &Arc<lease::store::MemoryStore>, space: &Space) {
    for _ in 0..20 {
        space.lock("busy").acquire().await.unwrap().release().await.unwrap();
    }
    store.regress(20);
    let refused = space.lock("other").try_acquire().await;
    assert!(!matches!(refused, Ok(Attempt::Granted(_))), "{refused:?}");
    assert!(matches!(space.probe().await, Err(Error::Regressed { .. })));
}

async fn grants_again(space: &Space) {
    let again = async {
        while space.probe().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), again).await.expect("accepted, and it goes on refusing");
}

#[tokio::test]
async fn a_regression_can_be_accepted_by_a_process_that_knows_of_none() {
    use lease::store::{Body, Store, Write};
    let (store, options, space) = regressed().await;
    // The note is lost too.
    let note = store.read(NOTE).await.unwrap().expect("a note");
    let body = Body::Delete("".into());
    let id = "lost".to_owned();
    store.write(&Write { key: note.key, expect: note.revision, body, ttl_secs: 0, id }).await.unwrap();
    let later = Space::on(store.clone(), options).await.unwrap();
    later.probe().await.expect("it knows of nothing");
    assert!(matches!(space.probe().await, Err(Error::Regressed { .. })));
    later.accept_regression("an operator").await.unwrap();
    grants_again(&space).await;
}

#[tokio::test]
async fn who_notices_a_regression_only_after_it_was_accepted_goes_on() {
    let options = lease::SpaceOptions::default();
    let store = lease::store::MemoryStore::new(Arc::clone(&options.ambient));
    let (early, late) = (
        Space::on(store.clone(), options.clone()).await.unwrap(),
        Space::on(store.clone(), options).await.unwrap(),
    );
    late.lock("late").acquire().await.unwrap().release().await.unwrap();
    regress(&store, &early).await;
    for _ in 0..20 {
        late.lock("late").acquire().await.unwrap().release().await.unwrap();
    }
    store.regress(60);
    early.accept_regression("an operator").await.unwrap();
    // It notices now, by its own highest revision; but that was accepted.
    let noticed = late.lock("late").try_acquire().await;
    assert!(!matches!(noticed, Ok(Attempt::Granted(_))), "{noticed:?}");
    grants_again(&late).await;
    grants_again(&early).await;
}

/// The store's clock, which runs so many microseconds behind.
#[derive(Debug, Default)]
struct Back(AtomicU64);

impl Ambient for Back {
    fn now(&self) -> Moment {
        System.now()
    }

    fn wall_micros(&self) -> u64 {
        System.wall_micros() - self.0.load(Ordering::Relaxed)
    }

    fn random(&self) -> u128 {
        System.random()
    }
}

#[tokio::test]
async fn what_was_accepted_for_an_earlier_regression_does_not_accept_a_later_one() {
    use lease::store::{Store, Write};
    let options = lease::SpaceOptions::default();
    let clock = Arc::new(Back::default());
    let store = lease::store::MemoryStore::new(clock.clone());
    let space = Space::on(store.clone(), options).await.unwrap();
    regress(&store, &space).await;
    space.accept_regression("an operator").await.unwrap();
    grants_again(&space).await;
    let accepted = store.read(NOTE).await.unwrap().expect("an acceptance");
    regress(&store, &space).await;
    // Its note is lost as well, and what stood there before is back: the acceptance of the first.
    let note = store.read(NOTE).await.unwrap().expect("a note");
    let newest = store.last(">").await.unwrap().expect("an entry").revision;
    store.regress(newest - note.revision + 5);
    let (body, id) = (accepted.body, "back".to_owned());
    clock.0.store(60_000_000, Ordering::Relaxed);
    store.write(&Write { key: NOTE.into(), expect: 0, body, ttl_secs: 0, id }).await.unwrap();
    clock.0.store(0, Ordering::Relaxed);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        assert!(matches!(space.probe().await, Err(Error::Regressed { .. })), "nobody accepted this one");
    }
    space.accept_regression("an operator").await.unwrap();
    grants_again(&space).await;
}
