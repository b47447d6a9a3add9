//! The NATS store alone, against real servers: what it makes and accepts as a bucket, how it connects, what it says
//! when it cannot. That it keeps the seam's promises is the conformance suite's business.

mod batch_failover;
mod batch_lost;
mod batch_refusals;
mod bucket;
mod clocks;
mod connection;
mod credentials;
mod examined;
mod permissions;
mod refusals;
mod relay;
mod remade;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use lease::store::{
    Ack, Batch, BatchWrite, Body, Condition, Entry, NatsOptions, NatsStore, Store, Write, WriteError,
};
use lease::{Error, System};
use serde_json::{Value, json};
use support::{Cluster, eventually};

/// For conditions that come true on any machine sooner or later.
const LIMIT: Duration = Duration::from_secs(30);

async fn try_open(url: &str, options: NatsOptions) -> Result<NatsStore, Error> {
    NatsStore::open(url, options, Arc::new(System)).await
}

async fn open(url: &str) -> NatsStore {
    try_open(url, NatsOptions::default())
        .await
        .unwrap_or_else(|error| panic!("cannot open the bucket: {error}"))
}

fn named(bucket: &str) -> NatsOptions {
    NatsOptions { bucket: bucket.into(), ..NatsOptions::default() }
}

/// A write of a value, with an id of its own.
fn put(key: &str, expect: u64, value: &str, ttl_secs: u64) -> Write {
    let id = uuid::Uuid::new_v4().to_string();
    Write { key: key.into(), expect, body: Body::Put(value.to_owned().into()), ttl_secs, id }
}

/// A batch that makes each of these keys, with an id of its own.
fn create(keys: impl IntoIterator<Item = impl Into<String>>) -> Batch {
    let id = uuid::Uuid::new_v4().to_string();
    let write = |key: String| BatchWrite {
        body: Body::Put(format!("{id} {key}").into()),
        key,
        only_if: Condition::Own(0),
        ttl_secs: 0,
    };
    Batch { writes: keys.into_iter().map(Into::into).map(write).collect(), id }
}

/// What stands under a filter, as the leader knows it.
async fn under(store: &NatsStore, filter: &str) -> Vec<Entry> {
    let (mut entries, mut from) = (Vec::new(), 0);
    loop {
        let page = eventually("a page", LIMIT, async || store.scan(filter, from).await.ok()).await;
        entries.extend(page.entries);
        match page.next {
            Some(next) => from = next,
            None => return entries,
        }
    }
}

/// Repeats a write until its answer is a definite one.
async fn settle(store: &NatsStore, write: &Write) -> Result<Ack, WriteError> {
    eventually("a definite answer", LIMIT, async || match store.write(write).await {
        Err(WriteError::InFlight | WriteError::NotTaken | WriteError::Unknown(_)) => None,
        answer => Some(answer),
    })
    .await
}

/// What the server says of a stream.
async fn info(cluster: &Cluster, stream: &str) -> Value {
    cluster.request(0, &format!("$JS.API.STREAM.INFO.{stream}"), "").await
}

async fn exists(cluster: &Cluster, stream: &str) -> bool {
    info(cluster, stream).await["error"]["err_code"] != 10059
}

/// Makes a stream by hand.
async fn make(cluster: &Cluster, config: &Value) -> Value {
    let name = config["name"].as_str().expect("a name");
    cluster.request(0, &format!("$JS.API.STREAM.CREATE.{name}"), &config.to_string()).await
}

async fn delete(cluster: &Cluster, stream: &str) {
    let answer = cluster.request(0, &format!("$JS.API.STREAM.DELETE.{stream}"), "").await;
    assert_eq!(answer["success"], true, "{answer}");
}

/// A bucket that is fit, as an operator might make it beforehand.
fn fit(bucket: &str, first_seq: u64) -> Value {
    json!({
        "name": format!("KV_{bucket}"), "subjects": [format!("$KV.{bucket}.>")], "storage": "file",
        "retention": "limits", "discard": "new", "num_replicas": 1, "max_msgs_per_subject": 1, "max_msgs": -1,
        "max_bytes": -1, "max_age": 0, "duplicate_window": 60_000_000_000_u64, "first_seq": first_seq,
        "allow_msg_ttl": true, "allow_atomic": true, "allow_direct": true, "deny_delete": true, "deny_purge": true,
        "republish": {"src": format!("$KV.{bucket}.>"), "dest": format!("_lease.{bucket}.ev.>")},
    })
}
