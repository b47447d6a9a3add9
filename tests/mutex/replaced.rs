//! A bucket that is deleted under a running holder and made again.

use std::time::{Duration, Instant};

use lease::{Error, Loss};
use support::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_holder_is_told_and_nobody_is_granted_early() {
    let cluster = Cluster::single().await;
    let holder = super::space(&cluster.url()).await;
    let waiter = super::space(&cluster.url()).await;
    let idle = super::space(&cluster.url()).await;
    let lease = holder.lock("a").ttl(Duration::from_secs(10)).acquire().await.expect("granted");
    let lock = waiter.lock("a");
    let waiting = tokio::spawn(async move { lock.acquire().await });
    super::in_line(&holder, "a", 1).await;

    let deleted = cluster.request(0, "$JS.API.STREAM.DELETE.KV_leases", "").await;
    assert_eq!(deleted["success"], true, "{deleted}");
    let remade = Instant::now();
    // A process that has not seen the bucket makes it again; those that have never do.
    let fresh = super::space(&cluster.url()).await;

    let loss = tokio::time::timeout(Duration::from_secs(10), lease.lost()).await.expect("told in time");
    assert!(matches!(loss, Loss::Taken | Loss::BucketReplaced), "{loss:?}");
    for space in [&fresh, &idle, &holder] {
        match space.lock("b").try_acquire().await {
            Err(Error::Quiet(_) | Error::Unreachable(_)) => {}
            other => panic!("granted early, or refused for another reason: {other:?}"),
        }
    }
    let granted = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    let granted = granted.expect("granted in the end").expect("no panic").expect("granted");
    // The longest TTL on record is the default one, 20 s, and the slack.
    assert!(remade.elapsed() >= Duration::from_secs(21), "granted early: after {:?}", remade.elapsed());
    assert!(granted.token() > lease.token(), "tokens go on rising");
    // Each process counts in whole seconds for how long it keeps quiet, from when it asked: they do not end together.
    let other = fresh.lock("b").acquire().await.expect("granted: b is free");
    assert!(other.token() > lease.token());
}
