//! The line: served in order, one woken per handover, whatever its length.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lease::Attempt;
use support::{Cluster, eventually};

/// Passes a lock along `count` waiters on as many connections. Returns the messages per handover that the servers saw.
async fn pass_along(cluster: &Cluster, name: &str, count: usize) -> f64 {
    let first = super::space(&cluster.url_of(0)).await;
    let start = first.lock(name).acquire().await.expect("granted");
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiters = Vec::new();
    for index in 0..count {
        let space = super::space(&cluster.url_of(index % 3)).await;
        let (served, lock) = (Arc::clone(&served), space.lock(name));
        waiters.push(tokio::spawn(async move {
            let lease = lock.acquire().await.expect("granted");
            served.lock().unwrap().push((index, lease.token()));
            lease.release().await.expect("released");
            space
        }));
        super::in_line(&first, name, index + 1).await;
    }
    let before = cluster.messages().await;
    start.release().await.expect("released");
    let mut spaces = Vec::new();
    for waiter in waiters {
        let limit = Duration::from_secs(60);
        spaces.push(tokio::time::timeout(limit, waiter).await.expect("served in time").expect("no panic"));
    }
    let after = cluster.messages().await;
    let served = served.lock().unwrap();
    let order: Vec<usize> = served.iter().map(|(index, _)| *index).collect();
    assert_eq!(order, (0..count).collect::<Vec<_>>(), "served in the order in which they joined");
    assert!(served.windows(2).all(|pair| pair[0].1 < pair[1].1), "tokens rise: {served:?}");
    let messages = (after.received + after.sent) - (before.received + before.sent);
    messages as f64 / count as f64
}

/// What processes say to be seen alive counts as well, and the longer a handover takes, the more of that there is.
mod measured {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_hundred_are_served_in_order_at_the_cost_of_eight() {
        let cluster = Cluster::three().await;
        let few = pass_along(&cluster, "few", 8).await;
        let many = pass_along(&cluster, "many", 200).await;
        println!("messages per handover at the servers: {few:.1} with 8 waiters, {many:.1} with 200");
        assert!(many <= 2.0 * few, "{many:.1} messages per handover with 200 waiters, {few:.1} with 8");
    }
}

/// A process joins a line and is killed while it waits, and whoever is behind it is served; with `haunted`, a server goes on
/// to show its presence.
async fn passes_over_who_died(haunted: bool) {
    let cluster = Cluster::single().await;
    let (holder, behind) = (super::space(&cluster.url()).await, super::space(&cluster.url()).await);
    let lease = holder.lock("a").acquire().await.expect("granted");
    let mut dead =
        support::Launch::lease().args(["run", "--nats", &cluster.url(), "a", "--", "true"]).start();
    super::in_line(&holder, "a", 1).await;
    let presences = r#"{"subjects_filter":"$KV.leases.here.*"}"#;
    let info = cluster.request(0, "$JS.API.STREAM.INFO.KV_leases", presences).await;
    let found: Vec<&String> = info["state"]["subjects"].as_object().expect("subjects").keys().collect();
    let [presence] = found[..] else { panic!("only one process waits: {found:?}") };
    let lock = behind.lock("a");
    let waiting = tokio::spawn(async move { lock.acquire().await });
    super::in_line(&holder, "a", 2).await;
    dead.kill9();
    if haunted {
        cluster.request(0, presence, "without a TTL").await;
    }
    lease.release().await.expect("released");
    let granted = tokio::time::timeout(Duration::from_secs(15), waiting).await;
    granted.expect("passed over within seconds").expect("no panic").expect("granted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_that_died_is_passed_over_within_seconds() {
    passes_over_who_died(false).await;
}

/// A server that rebuilt its stream after a crash may show the presence of a process for ever that died long ago.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presence_that_is_never_renewed_is_none() {
    passes_over_who_died(true).await;
}

/// A process died in line, nobody holds, and nobody waits for as long as it takes to be sure that it has gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_that_died_keeps_what_is_free_from_nobody() {
    let cluster = Cluster::single().await;
    let holder = super::space(&cluster.url()).await;
    let held = (
        holder.lock("a").acquire().await.expect("granted"),
        holder.semaphore("s", 1).acquire().await.expect("granted"),
    );
    let url = cluster.url();
    let waits = |args: &[&str]| {
        support::Launch::lease().args(["run", "--nats", &url]).args(args).args(["--", "true"]).start()
    };
    let mut dead = [waits(&["a"]), waits(&["--limit", "1", "s"])];
    super::in_line(&holder, "a", 1).await;
    eventually("somebody waits for the permit", Duration::from_secs(20), async || {
        (holder.semaphore("s", 1).look().await.ok()?.waiters.len() == 1).then_some(())
    })
    .await;
    for process in &mut dead {
        process.kill9();
    }
    held.0.release().await.expect("released");
    held.1.release().await.expect("released");
    let presences = r#"{"subjects_filter":"$KV.leases.here.*"}"#;
    eventually("both have been gone for a while", Duration::from_secs(20), async || {
        let info = cluster.request(0, "$JS.API.STREAM.INFO.KV_leases", presences).await;
        info["state"]["subjects"].as_object().is_none_or(|found| found.is_empty()).then_some(())
    })
    .await;
    let late = super::space(&cluster.url()).await;
    let lock = late.lock("a").acquire_within(Duration::from_millis(1_500)).await;
    assert!(matches!(lock, Ok(Attempt::Granted(_))), "{lock:?}");
    let permit = late.semaphore("s", 1).try_acquire().await;
    assert!(matches!(permit, Ok(Attempt::Granted(_))), "{permit:?}");
}

/// A waiter that gives up in the very moment in which the lock is handed to it: nobody waits for what was kept free for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_handed_to_one_who_gives_up_is_free_at_once() {
    let cluster = Cluster::single().await;
    let space = super::space(&cluster.url()).await;
    for round in 0..200_u64 {
        let name = format!("r{}", round % 8);
        let held = space.lock(&name).acquire().await.expect("granted");
        let lock = space.lock(&name);
        let waiting = tokio::spawn(async move { lock.acquire().await });
        super::in_line(&space, &name, 1).await;
        let release = tokio::spawn(held.release());
        // From before the hand-over is sent until after it was taken.
        tokio::time::sleep(Duration::from_micros(round * 17 % 1_500)).await;
        waiting.abort();
        release.await.expect("no panic").expect("released");
        drop(waiting.await);
        let next = space.lock(&name).acquire_within(Duration::from_secs(1)).await.expect("answered");
        let Attempt::Granted(next) = next else { panic!("round {round}: it is kept free for nobody") };
        next.release().await.expect("released");
    }
}
