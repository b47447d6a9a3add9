//! SIGTERM: nothing new is granted, clients are told, what they let go of is released, and the daemon exits.

use std::time::{Duration, Instant};

use support::{Cluster, Daemon, Exit};

use crate::SOON;
use crate::problem::expect;
use crate::turns::{alone, together};

#[tokio::test]
async fn a_client_that_lets_go_makes_way_at_once() {
    let _cores = alone().await;
    let cluster = Cluster::single().await;
    let mut stopping = Daemon::start(["--nats", &cluster.url()]).await;
    let other = Daemon::start(["--nats", &cluster.url()]).await;
    let mut holder = stopping.api().open("POST", "/v1/locks/a/hold", "{}").await;
    let token = holder.event("held", SOON).await["token"].as_u64().unwrap();
    let mut waiter = stopping.api().open("POST", "/v1/locks/a/hold", "{}").await;
    waiter.event("waiting", SOON).await;
    let acquire = stopping.api();
    let acquiring = tokio::spawn(async move { acquire.post("/v1/locks/a/acquire", "{}").await });
    let mut next = other.api().open("POST", "/v1/locks/a/hold", "{}").await;
    next.event("waiting", SOON).await;
    tokio::time::sleep(Duration::from_millis(100)).await;

    let began = Instant::now();
    stopping.process().sigterm();
    assert_eq!(holder.event("lost", SOON).await["reason"], "draining");
    assert_eq!(waiter.event("lost", SOON).await["reason"], "draining");
    assert_eq!(waiter.next(SOON).await, None);
    expect(&acquiring.await.unwrap(), 503, "draining");
    // While a client is still at work, the lock stays its own, and the daemon says what it is doing.
    expect(&stopping.api().get("/readyz").await, 503, "draining");
    expect(&stopping.api().post("/v1/locks/b/hold", "{}").await, 503, "draining");
    stopping.api().get("/healthz").await.expect(200);
    assert_eq!(other.api().get("/v1/locks/a").await.json()["token"], token);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());

    let let_go = Instant::now();
    holder.close();
    let held = next.event("held", SOON).await;
    assert!(let_go.elapsed() < Duration::from_secs(1), "{:?}", let_go.elapsed());
    assert!(held["token"].as_u64().unwrap() > token);
    assert_eq!(held["previous"]["why"], "client-gone");
    let exit = stopping.process().exit(SOON).await;
    assert_eq!(exit, Exit { code: Some(0), signal: None }, "{}", stopping.process().stderr());
    assert!(let_go.elapsed() < Duration::from_secs(2), "{:?}", let_go.elapsed());
    assert!(!stopping.socket().exists());
}

#[tokio::test]
async fn clients_that_do_not_let_go_are_waited_for_a_few_seconds() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let mut stopping = Daemon::start(["--nats", &cluster.url()]).await;
    let other = Daemon::start(["--nats", &cluster.url()]).await;
    let mut holder = stopping.api().open("POST", "/v1/locks/a/hold", "{}").await;
    holder.event("held", SOON).await;
    let kept = stopping.api().post("/v1/locks/b/acquire", r#"{"ttl":"20s"}"#).await.expect(200).json();
    let mut next = other.api().open("POST", "/v1/locks/a/hold", "{}").await;
    next.event("waiting", SOON).await;
    let began = Instant::now();
    stopping.process().sigint();
    holder.event("lost", SOON).await;
    next.event("held", SOON).await;
    assert!(
        began.elapsed() > Duration::from_secs(4),
        "released under its client after {:?}",
        began.elapsed()
    );
    let exit = stopping.process().exit(SOON).await;
    assert_eq!(exit.code, Some(0), "{}", stopping.process().stderr());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // The caller of acquire could not be told, so its lease was not released under it.
    assert_eq!(other.api().get("/v1/locks/b").await.json()["token"], kept["token"]);
}

#[tokio::test]
async fn it_exits_in_time_without_its_store_and_at_once_if_told_twice() {
    let _cores = together().await;
    for twice in [false, true] {
        let cluster = Cluster::single().await;
        let mut daemon = Daemon::start(["--nats", &cluster.url()]).await;
        let mut holder = daemon.api().open("POST", "/v1/locks/a/hold", r#"{"ttl":"60s"}"#).await;
        holder.event("held", SOON).await;
        cluster.pause(0);
        let began = Instant::now();
        daemon.process().sigterm();
        holder.event("lost", SOON).await;
        if twice {
            daemon.process().sigterm();
        } else {
            holder.close();
        }
        let exit = daemon.process().exit(Duration::from_secs(11)).await;
        let took = began.elapsed();
        cluster.resume(0);
        assert!(took < Duration::from_secs(if twice { 1 } else { 10 }), "{took:?}");
        assert_eq!(exit.code, Some(if twice { 143 } else { 0 }), "{}", daemon.process().stderr());
    }
}
