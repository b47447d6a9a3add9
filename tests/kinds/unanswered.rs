//! What is told where the store did the work and its answer did not come, or did not do it and looks as if it had.

use std::time::Duration;

use lease::{Error, Loss};
use support::{Cluster, Publish, eventually};

use crate::{LIMIT, granted, stage};

fn to(key: &'static str) -> impl Fn(&Publish) -> bool + Send + Sync + 'static {
    move |publish| publish.subject == format!("$KV.leases.{key}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_changed_once_the_store_took_a_write() {
    let cluster = Cluster::single().await;
    let (proxy, far, near) = stage(&cluster).await;
    let semaphore = far.semaphore("pool", 2);
    drop(granted(semaphore.try_acquire().await));
    let lost = proxy.on(to("sem.pool.limit")).lose_request();
    // That it says so already may be an old read's word.
    semaphore.set_limit(2).await.expect("the same again");
    assert_eq!(lost.fired(), 1);
    let taken = proxy.seen().into_iter().filter(|it| to("sem.pool.limit")(it) && it.answer.is_some()).count();
    assert_eq!(taken, 2, "agreed on, and written again");
    assert_eq!(near.semaphore("pool", 2).look().await.expect("readable").limit, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_comes_too_late_for_what_was_kept_free_is_none() {
    let cluster = Cluster::single().await;
    let (proxy, far, near) = stage(&cluster).await;
    let writer = granted(far.rw_lock("d").writer().try_acquire().await);
    let between = {
        let lock = near.rw_lock("d");
        tokio::spawn(async move { lock.write().await?.release().await })
    };
    eventually("another writer waits", LIMIT, async || {
        (near.look("d").await.ok()?.waiters.len() == 1).then_some(())
    })
    .await;
    let unheard = proxy.on(to("lock.d")).always().lose_answer();
    let lock = far.rw_lock("d");
    let downgraded = tokio::spawn(async move { lock.downgrade(writer).await });
    // What is kept free for the reader expires after 3 s, and the other one writes.
    tokio::time::timeout(LIMIT, between).await.expect("soon").expect("no panic").expect("written");
    assert!(unheard.fired() > 0 && !downgraded.is_finished());
    unheard.remove(&proxy);
    let downgraded = tokio::time::timeout(LIMIT, downgraded).await.expect("soon").expect("no panic");
    assert_eq!(downgraded.err(), Some(Error::Lost(Loss::Taken)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_done_though_nobody_answers_the_release() {
    let cluster = Cluster::single().await;
    let (proxy, far, _near) = stage(&cluster).await;
    let (proxy, ttl) = (&proxy, Duration::from_secs(2));
    let lock = far.lock("w").ttl(ttl);
    let done = lock.with(async |_lease| {
        let lost = proxy.on(to("lock.w")).always().lose_request();
        (7, lost)
    });
    let (seven, lost) = done.await.expect("done");
    assert!(seven == 7 && lost.fired() > 1, "asked again");

    let election = far.election("office").ttl(ttl);
    let mut terms = 0;
    let led = election.run(&"v", async |_term| {
        terms += 1;
        (8, proxy.on(to("elect.office")).always().lose_request())
    });
    let (eight, lost) = led.await.expect("done");
    assert!(eight == 8 && lost.fired() > 1, "asked again");
    assert_eq!(terms, 1);
}
