//! What a real server answers to writes it will not take, and what is made of that.

use std::time::{Duration, Instant};

use lease::Error;
use lease::store::{NatsStore, Store, WriteError};
use serde_json::{Value, json};
use support::{Cluster, eventually};

use crate::{LIMIT, delete, info, make, open, put, settle};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_repeating_will_not_change_is_refused_with_the_servers_words() {
    let cluster = Cluster::single().await;
    let store = open(&cluster.url()).await;
    refused(&store, "lock.large", &"x".repeat(2 << 20), "size").await;

    let config = info(&cluster, "KV_leases").await["config"].clone();
    let table = [
        ("max_msg_size", json!(100), "10054"),
        ("max_msgs", json!(1), "maximum messages exceeded"),
        ("max_bytes", json!(1), "maximum bytes exceeded"),
    ];
    settle(&store, &put("lock.a", 0, "x", 60)).await.expect("written");
    for (setting, value, says) in table {
        let mut spoilt = config.clone();
        spoilt[setting] = value;
        update(&cluster, &spoilt).await;
        refused(&store, "lock.b", &"x".repeat(200), says).await;
    }
    let mut sealed = config.clone();
    sealed["sealed"] = json!(true);
    update(&cluster, &sealed).await;
    refused(&store, "lock.b", "x", "sealed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_gone_takes_nothing() {
    let cluster = Cluster::single().await;
    let store = open(&cluster.url()).await;
    delete(&cluster, "KV_leases").await;
    assert_eq!(store.write(&put("lock.a", 0, "x", 60)).await, Err(WriteError::NotTaken));
    assert!(store.read("lock.a").await.is_err());
    assert!(store.scan("lock.*", 0).await.is_err());
    let other = json!({"name": "OTHER", "subjects": ["$KV.leases.>"], "storage": "file"});
    make(&cluster, &other).await;
    refused(&store, "lock.a", "x", "10060").await;
    assert_eq!(info(&cluster, "OTHER").await["state"]["messages"], 0, "nor does another stream");
}

/// The other two of three servers are gone: nothing can be agreed on, and nobody says that it was. The leader that is
/// left goes on believing in itself for a while; the probe does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_acknowledged() {
    let cluster = Cluster::three().await;
    drop(open(&cluster.url()).await);
    let leader = cluster.stream_leader("KV_leases").await;
    let store = open(&cluster.url_of(leader)).await;
    assert_eq!(store.probe().await, Ok(()));
    let begun = Instant::now();
    (0..3).filter(|n| *n != leader).for_each(|n| cluster.kill9(n));
    let why = eventually("the probe notices", LIMIT, async || store.probe().await.err()).await;
    assert!(matches!(why, Error::Unreachable(_)), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(6), "only after {:?}", begun.elapsed());
    for n in 0..3 {
        let answer = store.write(&put(&format!("lock.{n}"), 0, "x", 60)).await;
        assert!(matches!(answer, Err(WriteError::Unknown(_) | WriteError::NotTaken)), "{answer:?}");
    }
    cluster.start_all().await;
    settle(&store, &put("lock.after", 0, "x", 60)).await.expect("written");
    eventually("the probe is content", LIMIT, async || store.probe().await.ok()).await;
}

async fn refused(store: &NatsStore, key: &str, value: &str, says: &str) {
    match settle(store, &put(key, 0, value, 60)).await {
        Err(WriteError::Refused(why)) => assert!(why.contains(says), "{why:?} should say {says:?}"),
        other => panic!("{says}: {other:?}"),
    }
}

async fn update(cluster: &Cluster, config: &Value) {
    let answer = cluster.request(0, "$JS.API.STREAM.UPDATE.KV_leases", &config.to_string()).await;
    assert!(answer["error"].is_null(), "{answer}");
}
