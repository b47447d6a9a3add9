//! Who loses a lock to another hears of it before that one is granted anything: at a hand-over whose answer is late, and when
//! it is broken by force.

use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Cluster, Daemon, Lines, Proxy, Publish};

use crate::SOON;
use crate::turns::together;

async fn hold(daemon: &Daemon, owner: &str, event: &str) -> (Lines, Value) {
    let body = format!(r#"{{"owner":"{owner}"}}"#);
    let mut stream = daemon.api().open("POST", "/v1/locks/a/hold", &body).await;
    let told = stream.event(event, SOON).await;
    (stream, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_hears_of_a_hand_over_before_the_store_has_answered() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let proxy = Proxy::start(&cluster.url()).await;
    let here = Daemon::start(["--nats", &proxy.url()]).await;
    let there = Daemon::start(["--nats", &cluster.url()]).await;
    let (mut one, held) = hold(&here, "one", "held").await;
    let (mut two, _) = hold(&there, "two", "waiting").await;
    let handing = |publish: &Publish| {
        publish.subject.ends_with("lock.a")
            && String::from_utf8_lossy(&publish.payload).contains("handed-over")
    };
    // No answer until the end: what comes before it comes without.
    let unanswered = proxy.on(handing).always().hold_answer();
    let path = format!("/v1/leases/{}/hand-over", held["lease"].as_str().expect("an id"));
    let api = here.api();
    let asked = tokio::spawn(async move { api.post(&path, r#"{"to":"two"}"#).await.status });
    let lost = one.event("lost", SOON).await;
    assert_eq!(lost["reason"], "handed-over", "{lost}");
    let granted = two.event("held", SOON).await;
    assert!(granted["token"].as_u64() > held["token"].as_u64(), "{granted}");
    // The recipient may have been faster than the answer.
    unanswered.fired_once(SOON).await;
    unanswered.release();
    assert_eq!(asked.await.expect("no panic"), 200);
}

async fn break_by_force(daemon: &Daemon, held: &Value) {
    let broken = daemon.api().delete(&format!("/v1/locks/a?token={}&reason=stuck", held["token"])).await;
    assert_eq!(broken.status, 200, "{broken:?}");
}

#[tokio::test]
async fn a_lock_that_is_broken_is_free_once_its_client_lets_go() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let daemon = Daemon::start(["--nats", &cluster.url()]).await;
    let (mut one, held) = hold(&daemon, "one", "held").await;
    let (mut two, _) = hold(&daemon, "two", "waiting").await;
    break_by_force(&daemon, &held).await;
    assert_eq!(one.event("lost", SOON).await["reason"], "broken");
    // A client that has heard of it, but has not come to an end: nobody is granted the lock under it.
    let early = tokio::time::timeout(Duration::from_secs(1), two.event("held", SOON)).await;
    assert!(early.is_err(), "{early:?}");
    one.close();
    let granted = two.event("held", SOON).await;
    assert!(granted["token"].as_u64() > held["token"].as_u64(), "{granted}");
}

#[tokio::test]
async fn a_lock_that_is_broken_is_free_at_its_clients_deadline() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let daemon = Daemon::start(["--nats", &cluster.url()]).await;
    let asked = Instant::now();
    let body = r#"{"owner":"one","ttl":"3s"}"#;
    let held = daemon.api().post("/v1/locks/a/acquire", body).await.json();
    let (mut two, _) = hold(&daemon, "two", "waiting").await;
    break_by_force(&daemon, &held).await;
    // Who renews by itself hears of it when it does. Until its deadline it may work.
    two.event("held", SOON).await;
    let waited = asked.elapsed();
    assert!(waited >= Duration::from_millis(2_950), "{waited:?}");
}
