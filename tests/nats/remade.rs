//! A bucket that was deleted and made again: noticed, quiet for as long as somebody may believe, tokens rising.

use std::time::{Duration, Instant};

use lease::Error;
use lease::store::{Life, NatsOptions, NatsStore, Store};
use serde_json::{Value, json};
use support::{Cluster, eventually};

use crate::{LIMIT, delete, exists, fit, info, make, named, open, put, settle, try_open};

/// The longest TTL on record from the start (the default one and the slack), and the slack again.
const QUIET: u64 = 24;

async fn life(store: &NatsStore) -> Life {
    store.life().await.expect("a life")
}

async fn revision(store: &NatsStore) -> u64 {
    settle(store, &put("lock.a", 0, "x", 60)).await.expect("written").revision
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remade_bucket_is_quiet_and_its_revisions_rise() {
    let cluster = Cluster::single().await;
    let old = open(&cluster.url()).await;
    let (before, last) = (life(&old).await, revision(&old).await);
    assert_eq!((before.quiet_secs, before.longest_ttl_secs), (None, 22));
    let events = old.follow("lock.a").await.expect("followed");
    delete(&cluster, "KV_leases").await;

    for _ in 0..3 {
        let gone = old.life().await.expect_err("no bucket, no life");
        assert!(gone.0.contains("leases is gone"), "{gone}");
        assert!(matches!(old.probe().await, Err(Error::Unreachable(why)) if why.contains("leases is gone")));
    }
    assert!(!exists(&cluster, "KV_leases").await, "who has seen the bucket does not make it again");

    let new = open(&cluster.url()).await;
    for store in [&new, &old] {
        let now = life(store).await;
        assert_ne!(now.id, before.id);
        assert!(now.quiet_secs.is_some_and(|secs| (QUIET - 1..=QUIET).contains(&secs)), "{now:?}");
        assert_eq!(now.longest_ttl_secs, 22);
    }
    let entry = new.read("space.quiet").await.expect("readable").expect("there");
    assert_eq!(entry.ttl_secs, QUIET);
    assert!(revision(&new).await >= last + 10_000_000, "a clock that went back by seconds does no harm");
    drop(events);
    let third = open(&cluster.url()).await;
    assert_eq!(life(&third).await.id, life(&new).await.id);
    assert!(life(&third).await.quiet_secs.is_some(), "also for who comes later");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_lasts_for_the_longest_ttl_in_use_and_then_ends() {
    let cluster = Cluster::single().await;
    let (old, other) = (open(&cluster.url()).await, open(&cluster.url()).await);
    old.cover_ttl(3_602).await.expect("covered");
    other.cover_ttl(40).await.expect("covered, by one who does not know of the longer one");
    old.cover_ttl(30).await.expect("covered");
    assert_eq!(life(&old).await.longest_ttl_secs, 3_602);
    delete(&cluster, "KV_leases").await;
    let new = open(&cluster.url()).await;
    assert!(life(&new).await.quiet_secs.is_some_and(|secs| (3_600..=3_604).contains(&secs)));

    // The same with a TTL that a test can wait for.
    let record = read_record(&cluster).await;
    write_record(&cluster, &json!({"longest_ttl_secs": 1, "later": "kept"}), &record).await;
    delete(&cluster, "KV_leases").await;
    let begun = Instant::now();
    let third = open(&cluster.url()).await;
    assert_eq!(life(&third).await.quiet_secs, Some(3), "one second and the slack");
    eventually("quiet ends", LIMIT, async || life(&third).await.quiet_secs.is_none().then_some(())).await;
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(life(&old).await, life(&third).await);
    assert_eq!(read_record(&cluster).await["later"], "kept", "what a newer release has to say survives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_may_say_that_nobody_believes() {
    let cluster = Cluster::single().await;
    let old = open(&cluster.url()).await;
    let last = revision(&old).await;
    delete(&cluster, "KV_leases").await;
    let fresh = NatsOptions { fresh: true, ..NatsOptions::default() };
    let new = try_open(&cluster.url(), fresh).await.expect("opened");
    for store in [&new, &old, &open(&cluster.url()).await] {
        assert_eq!(life(store).await.quiet_secs, None);
    }
    assert!(revision(&new).await > last, "tokens rise all the same");
    // It was said of that life only.
    delete(&cluster, "KV_leases").await;
    let third = open(&cluster.url()).await;
    assert!(life(&third).await.quiet_secs.is_some());
    assert_eq!(life(&new).await, life(&third).await);
    // And it may be said when the bucket keeps quiet already.
    let fresh = NatsOptions { fresh: true, ..NatsOptions::default() };
    let fourth = try_open(&cluster.url(), fresh).await.expect("opened");
    for store in [&fourth, &third] {
        assert_eq!(life(store).await.quiet_secs, None);
    }
}

/// The history is gone too, and the bucket was made by another tool: only a process that ran all the time knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_process_remembers_what_the_history_lost() {
    let cluster = Cluster::single().await;
    let old = open(&cluster.url()).await;
    old.cover_ttl(100).await.expect("covered");
    let before = life(&old).await;
    let first = info(&cluster, "KV_leases").await["config"]["first_seq"].as_u64().expect("a number");
    delete(&cluster, "KV_leases").await;
    delete(&cluster, "KV_leases_history").await;
    make(&cluster, &fit("leases", first + 20_000_000)).await;
    let now = life(&old).await;
    assert_ne!(now.id, before.id);
    assert!(now.quiet_secs.is_some_and(|secs| (100..=102).contains(&secs)), "{now:?}");
    assert_eq!(life(&open(&cluster.url()).await).await.id, now.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_history_is_made_again() {
    let cluster = Cluster::single().await;
    let old = open(&cluster.url()).await;
    old.cover_ttl(100).await.expect("covered");
    let before = life(&old).await;
    delete(&cluster, "KV_leases_history").await;
    assert_eq!(life(&old).await, before);
    assert_eq!(life(&open(&cluster.url()).await).await, before, "and knows the longest TTL again");
}

/// By hand, with a first revision below what the earlier life may have used: tokens would come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_would_repeat_tokens_is_refused() {
    let cluster = Cluster::single().await;
    let old = open(&cluster.url()).await;
    let first = info(&cluster, "KV_leases").await["config"]["first_seq"].as_u64().expect("a number");
    delete(&cluster, "KV_leases").await;
    make(&cluster, &fit("leases", first)).await;
    let refused = try_open(&cluster.url(), NatsOptions::default()).await.expect_err("refused");
    assert!(matches!(refused, Error::UnsafeBucket { setting: "first_seq", .. }), "{refused}");
    assert!(old.life().await.is_err_and(|why| why.0.contains("first_seq")));
}

/// Twenty find a bucket made anew at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_settles_on_the_same_quiet() {
    let cluster = Cluster::three().await;
    let old = open(&cluster.urls()).await;
    delete(&cluster, "KV_leases").await;
    let mut openers = tokio::task::JoinSet::new();
    for n in 0..20 {
        let url = cluster.url_of(n % 3);
        openers.spawn(async move { life(&open(&url).await).await });
    }
    let lives = openers.join_all().await;
    for now in &lives {
        assert_eq!(now.id, lives[0].id);
        assert!(now.quiet_secs.is_some(), "{now:?}");
    }
    assert!(life(&old).await.quiet_secs.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_would_forget_is_refused() {
    let cluster = Cluster::single().await;
    let aging = json!({"name": "KV_old_history", "subjects": ["$KV.old_history.>"], "storage": "file",
        "max_msgs_per_subject": 64, "allow_msg_ttl": true, "max_age": 7_776_000_000_000_000_u64});
    make(&cluster, &aging).await;
    let refused = try_open(&cluster.url(), named("old")).await.expect_err("refused");
    assert!(
        matches!(&refused, Error::UnsafeBucket { setting: "max_age", bucket, .. } if bucket == "old_history")
    );
}

/// The stream's identity is the same before and after the server was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_no_new_life() {
    for size in [1, 3] {
        let cluster = Cluster::start(size, support::Options::default()).await;
        let store = open(&cluster.urls()).await;
        let before = life(&store).await;
        cluster.kill9_all();
        cluster.start_all().await;
        let after = eventually("a life", LIMIT, async || store.life().await.ok()).await;
        assert_eq!(after, before, "{size} servers");
        assert_eq!(life(&open(&cluster.urls()).await).await, before, "{size} servers");
    }
}

async fn read_record(cluster: &Cluster) -> Value {
    let client = async_nats::connect(cluster.url()).await.expect("connected");
    let request = json!({"last_by_subj": "$KV.leases_history.life"}).to_string();
    let answer =
        client.request("$JS.API.DIRECT.GET.KV_leases_history", request.into()).await.expect("an answer");
    serde_json::from_slice(&answer.payload).expect("JSON")
}

async fn write_record(cluster: &Cluster, change: &Value, record: &Value) {
    let mut record = record.clone();
    for (key, value) in change.as_object().expect("an object") {
        record[key] = value.clone();
    }
    let client = async_nats::connect(cluster.url()).await.expect("connected");
    let answer =
        client.request("$KV.leases_history.life", record.to_string().into()).await.expect("an answer");
    assert!(!String::from_utf8_lossy(&answer.payload).contains("error"));
}
