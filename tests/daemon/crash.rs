//! Clients and daemons that die, on a real server.

use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Cluster, Daemon};

use crate::turns::{alone, together};
use crate::{SOON, client};

/// Kill -9 of the holding client: the next waiter, on another daemon, holds within 100 ms, 20 of 20.
#[tokio::test]
async fn the_death_of_a_client_hands_over_within_100_ms() {
    let _cores = alone().await;
    let cluster = Cluster::single().await;
    let daemons =
        [Daemon::start(["--nats", &cluster.url()]).await, Daemon::start(["--nats", &cluster.url()]).await];
    let mut times = Vec::new();
    for round in 0..20 {
        let (holding, waiting) = (&daemons[round % 2], &daemons[1 - round % 2]);
        let mut holder = client::holder(holding.socket(), "a", "{}").await;
        let mut waiter = waiting.api().open("POST", "/v1/locks/a/hold", "{}").await;
        waiter.event("waiting", SOON).await;
        // The place in line needs a moment to be known to the holder; a waiter is not always that new.
        tokio::time::sleep(Duration::from_millis(if round < 10 { 0 } else { 300 })).await;
        let began = Instant::now();
        holder.kill9();
        let held = waiter.event("held", Duration::from_secs(60)).await;
        times.push(began.elapsed());
        assert_eq!(held["previous"]["why"], "client-gone", "{held}");
    }
    eprintln!("handed over after {times:?}");
    assert!(times.iter().all(|took| *took <= Duration::from_millis(100)), "{times:?}");
}

/// Kill -9 of the holding daemon: the next waiter holds within the TTL rounded up and 3 s, and not before the TTL.
#[tokio::test]
async fn the_death_of_a_daemon_frees_its_locks_by_ttl() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let mut dying = Daemon::start(["--nats", &cluster.url()]).await;
    let other = Daemon::start(["--nats", &cluster.url()]).await;
    let mut tokens = 0;
    for (name, ttl, rounded) in [("a", "2s", 2), ("b", "3500ms", 4)] {
        let mut holder = dying
            .api()
            .open("POST", &format!("/v1/locks/{name}/hold"), &format!(r#"{{"ttl":"{ttl}"}}"#))
            .await;
        holder.event("held", SOON).await;
        let renewed = holder.event("alive", SOON).await;
        assert!(renewed["deadline_boottime_ns"].is_u64());
        let mut waiter = other.api().open("POST", &format!("/v1/locks/{name}/hold"), "{}").await;
        waiter.event("waiting", SOON).await;
        let began = Instant::now();
        dying.kill9();
        let held = waiter.event("held", Duration::from_secs(30)).await;
        let took = began.elapsed();
        eprintln!("ttl {ttl}: held again after {took:?}");
        assert!(took <= Duration::from_secs(rounded + 3), "{took:?}");
        assert!(took >= Duration::from_secs(rounded - 1), "granted early: {took:?}");
        tokens = held["token"].as_u64().unwrap();
        dying.restart().await;
    }
    assert!(tokens > 0);
}

/// Acquire, release, acquire again, kill -9 the daemon: the second hold must have a TTL too.
#[tokio::test]
async fn the_second_hold_of_a_name_expires_as_well() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let mut dying = Daemon::start(["--nats", &cluster.url()]).await;
    let other = Daemon::start(["--nats", &cluster.url()]).await;
    let api = dying.api();
    let acquire = async || -> Value {
        api.post("/v1/locks/a/acquire", r#"{"ttl":"2s","wait":"0s"}"#).await.expect(200).json()
    };
    let first = acquire().await;
    api.delete(&format!("/v1/leases/{}", first["lease"].as_str().unwrap())).await.expect(200);
    let second = acquire().await;
    let began = Instant::now();
    dying.kill9();
    let next = other.api().post("/v1/locks/a/acquire", r#"{"wait":"20s"}"#).await.expect(200).json();
    assert!(began.elapsed() <= Duration::from_secs(5), "{:?}", began.elapsed());
    let tokens = [&first, &second, &next].map(|lease| lease["token"].as_u64().unwrap());
    assert!(tokens.is_sorted() && tokens[0] < tokens[1] && tokens[1] < tokens[2], "{tokens:?}");
    // And the restarted daemon knows nothing of the old lease.
    dying.restart().await;
    let old = dying.api().get(&format!("/v1/leases/{}", second["lease"].as_str().unwrap())).await;
    crate::problem::expect(&old, 404, "unknown-lease");
}
