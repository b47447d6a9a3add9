//! Which buckets are made, which are accepted, and which are refused with the setting named.

use std::time::{Duration, Instant};

use lease::Error;
use lease::store::{NatsOptions, Store};
use serde_json::{Value, json};
use support::{Cluster, Options, Release};
use tokio::task::JoinSet;

use crate::{exists, fit, info, make, named, open, put, settle, try_open};

const FIRST: u64 = 1_790_000_000_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_is_as_the_contract_says() {
    let cluster = Cluster::single().await;
    let before = micros();
    let store = open(&cluster.url()).await;
    let config = info(&cluster, "KV_leases").await["config"].clone();
    for (setting, value) in fit("leases", 0).as_object().expect("an object") {
        if setting != "first_seq" {
            assert_eq!(&config[setting], value, "{setting}");
        }
    }
    for unwanted in ["subject_delete_marker_ttl", "mirror", "sources", "subject_transform", "persist_mode"] {
        assert!(config.get(unwanted).is_none(), "{unwanted}");
    }
    assert_eq!(config["allow_rollup_hdrs"], false);
    let first = config["first_seq"].as_u64().expect("a number");
    assert!((before..=micros()).contains(&first), "{first} is not the time");
    assert_eq!(settle(&store, &put("lock.a", 0, "x", 22)).await.map(|ack| ack.revision), Ok(first));
    let history = info(&cluster, "KV_leases_history").await["config"].clone();
    assert_eq!((&history["max_msgs_per_subject"], &history["storage"]), (&json!(64), &json!("file")));
    assert_eq!(history["max_age"], 0, "the record of the bucket's life must not age");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_gets_three_replicas() {
    let cluster = Cluster::three().await;
    open(&cluster.urls()).await;
    for stream in ["KV_leases", "KV_leases_history"] {
        assert_eq!(info(&cluster, stream).await["config"]["num_replicas"], 3, "{stream}");
    }
    let single = NatsOptions { replicas: Some(1), ..named("one") };
    try_open(&cluster.urls(), single).await.expect("one replica, if asked for");
    let three = NatsOptions { replicas: Some(3), ..named("one") };
    let refused = try_open(&cluster.urls(), three).await.expect_err("refused");
    assert!(matches!(&refused, Error::UnsafeBucket { setting: "num_replicas", .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_a_server_cannot_have_are_refused_at_once() {
    let cluster = Cluster::single().await;
    let begun = Instant::now();
    let three = NatsOptions { replicas: Some(3), ..NatsOptions::default() };
    let refused = try_open(&cluster.url(), three).await.expect_err("refused");
    assert!(matches!(refused, Error::InvalidSetting { setting: "replicas", .. }), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

/// Each row is a way in which somebody's bucket differs. The last are those that other tools make by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsafe_buckets_are_refused_by_setting() {
    let cluster = Cluster::single().await;
    let kv = |extra: Value| {
        let mut config = json!({"max_msgs_per_subject": 1, "allow_rollup_hdrs": true, "deny_delete": true,
            "allow_direct": true, "discard": "new", "storage": "file", "num_replicas": 1});
        merge(&mut config, &extra);
        config
    };
    let but = |setting: &str, value: Value| {
        let mut config = fit("x", FIRST);
        config[setting] = value;
        config
    };
    let mut slack = but("persist_mode", json!("async"));
    slack["allow_atomic"] = json!(false);
    let table = [
        ("max_msgs_per_subject", "5", but("max_msgs_per_subject", json!(5))),
        ("max_msgs_per_subject", "-1", but("max_msgs_per_subject", json!(-1))),
        ("allow_msg_ttl", "false", but("allow_msg_ttl", json!(false))),
        ("storage", "\"memory\"", but("storage", json!("memory"))),
        ("deny_purge", "false", but("deny_purge", json!(false))),
        ("deny_delete", "false", but("deny_delete", json!(false))),
        (
            "subject_delete_marker_ttl",
            "5000000000",
            but("subject_delete_marker_ttl", json!(5_000_000_000_u64)),
        ),
        ("allow_atomic", "unset", but("allow_atomic", json!(false))),
        ("max_age", "3600000000000", but("max_age", json!(3_600_000_000_000_u64))),
        ("max_msgs", "1000", but("max_msgs", json!(1000))),
        ("max_bytes", "1048576", but("max_bytes", json!(1_048_576))),
        ("max_msg_size", "1024", but("max_msg_size", json!(1024))),
        ("discard", "\"old\"", but("discard", json!("old"))),
        ("duplicate_window", "5000000000", but("duplicate_window", json!(5_000_000_000_u64))),
        ("first_seq", "unset", but("first_seq", json!(0))),
        ("first_seq", "1000", but("first_seq", json!(1000))),
        ("republish", "unset", but("republish", Value::Null)),
        ("persist_mode", "\"async\"", slack),
        ("subjects", "[\"$KV.x.>\",\"more.x\"]", but("subjects", json!(["$KV.x.>", "more.x"]))),
        ("retention", "\"interest\"", but("retention", json!("interest"))),
        ("allow_msg_ttl", "false", kv(json!({}))),
        ("max_msgs_per_subject", "10", kv(json!({"max_msgs_per_subject": 10, "allow_msg_ttl": true}))),
        ("allow_atomic", "unset", kv(json!({"allow_msg_ttl": true}))),
    ];
    for (row, (setting, found, config)) in table.into_iter().enumerate() {
        let bucket = format!("b{row}");
        let config: Value =
            serde_json::from_str(&config.to_string().replace("$KV.x.", &format!("$KV.{bucket}.")))
                .expect("JSON");
        let mut config = config;
        config["name"] = json!(format!("KV_{bucket}"));
        if config["subjects"].is_null() {
            config["subjects"] = json!([format!("$KV.{bucket}.>")]);
        }
        if !config["republish"].is_null() {
            config["republish"]["dest"] = json!(format!("_lease.{bucket}.ev.>"));
        }
        let made = make(&cluster, &config).await;
        assert!(made["error"].is_null(), "{setting}: the server does not even make it: {made}");
        let begun = Instant::now();
        let refused = try_open(&cluster.url(), named(&bucket)).await.expect_err(setting);
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{setting}: refused only after {:?}",
            begun.elapsed()
        );
        let Error::UnsafeBucket { setting: said, found: shown, .. } = &refused else {
            panic!("{setting}: {refused}")
        };
        assert_eq!((*said, shown.replace(&bucket, "x").as_str()), (setting, found), "{refused}");
        let text = refused.to_string();
        assert!(text.contains(&bucket) && text.contains(setting) && text.contains("nats "), "{text}");
        assert!(!exists(&cluster, &format!("KV_{bucket}_history")).await, "{setting}: something was made");
        assert_eq!(
            info(&cluster, &format!("KV_{bucket}")).await["state"]["messages"],
            0,
            "{setting}: written to"
        );
    }
}

fn merge(config: &mut Value, extra: &Value) {
    for (setting, value) in extra.as_object().expect("an object") {
        config[setting] = value.clone();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_made_by_hand_in_the_right_way_is_accepted() {
    let cluster = Cluster::single().await;
    make(&cluster, &fit("ours", FIRST)).await;
    let store = try_open(&cluster.url(), named("ours")).await.expect("accepted");
    assert_eq!(store.life().await.expect("a life").quiet_secs, None);
    assert_eq!(store.probe().await, Ok(()));
}

/// An edit changes what a stream says of its beginning, and not where it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_first_seq_is_seen_through() {
    let cluster = Cluster::single().await;
    let mut config = fit("late", 0);
    make(&cluster, &config).await;
    config["first_seq"] = json!(FIRST);
    let edited = cluster.request(0, "$JS.API.STREAM.UPDATE.KV_late", &config.to_string()).await;
    if edited["config"]["first_seq"] == FIRST {
        let refused = try_open(&cluster.url(), named("late")).await.expect_err("refused");
        assert!(matches!(refused, Error::UnsafeBucket { setting: "first_seq", .. }), "{refused}");
    }
}

/// Settings that change under a running process are noticed when it asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_spoilt_later_is_noticed() {
    let cluster = Cluster::single().await;
    let store = open(&cluster.url()).await;
    let mut config = info(&cluster, "KV_leases").await["config"].clone();
    config["max_age"] = json!(3_600_000_000_000_u64);
    let edited = cluster.request(0, "$JS.API.STREAM.UPDATE.KV_leases", &config.to_string()).await;
    assert!(edited["error"].is_null(), "{edited}");
    assert!(matches!(store.probe().await, Err(Error::UnsafeBucket { setting: "max_age", .. })));
    assert!(store.life().await.is_err_and(|why| why.0.contains("max_age")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_server_is_refused_by_name() {
    let old = Options { release: Release::Exactly(support::binary::TOO_OLD), ..Options::default() };
    let cluster = Cluster::start(1, old).await;
    let begun = Instant::now();
    let refused = try_open(&cluster.url(), NatsOptions::default()).await.expect_err("refused");
    assert_eq!(refused, Error::ServerTooOld { version: support::binary::TOO_OLD.into() });
    assert!(refused.to_string().contains(support::binary::TOO_OLD) && refused.to_string().contains("2.12"));
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(!exists(&cluster, "KV_leases").await && !exists(&cluster, "KV_leases_history").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_open_an_empty_server_at_once() {
    twenty_at_once(&Cluster::single().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_open_an_empty_cluster_at_once() {
    twenty_at_once(&Cluster::three().await).await;
}

async fn twenty_at_once(cluster: &Cluster) {
    let mut openers = JoinSet::new();
    for n in 0..20 {
        let url = cluster.url_of(n % cluster.size());
        openers.spawn(async move {
            let store = open(&url).await;
            let life = store.life().await.expect("a life");
            (store, life)
        });
    }
    let opened = openers.join_all().await;
    let (_, first) = &opened[0];
    for (store, life) in &opened {
        assert_eq!(life, first, "everybody is in the same bucket");
        assert_eq!(life.quiet_secs, None, "which nobody takes for one made anew");
        settle(store, &put(&format!("lock.{}", uuid::Uuid::new_v4()), 0, "x", 22)).await.expect("written");
    }
    assert_eq!(info(cluster, "KV_leases").await["state"]["messages"], 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_options_are_refused_before_anything_is_sent() {
    let nowhere = "nats://127.0.0.1:9";
    for bad in ["", "a.b", "a b", "*", ">", "ü", &"n".repeat(101)] {
        let refused = try_open(nowhere, named(bad)).await.expect_err(bad);
        assert!(matches!(refused, Error::InvalidSetting { setting: "bucket", .. }), "{bad}: {refused}");
    }
    let domain = NatsOptions { domain: Some("a.b".into()), ..NatsOptions::default() };
    assert!(matches!(try_open(nowhere, domain).await, Err(Error::InvalidSetting { setting: "domain", .. })));
    let replicas = NatsOptions { replicas: Some(0), ..NatsOptions::default() };
    assert!(matches!(
        try_open(nowhere, replicas).await,
        Err(Error::InvalidSetting { setting: "replicas", .. })
    ));
    for url in ["", "http://127.0.0.1", "nats://alice:s3cret@"] {
        let refused = try_open(url, NatsOptions::default()).await.expect_err(url);
        assert!(matches!(&refused, Error::InvalidSetting { setting: "NATS URL", .. }), "{url}: {refused}");
        assert!(!refused.to_string().contains("s3cret"), "{refused}");
    }
}

fn micros() -> u64 {
    lease::Ambient::wall_micros(&lease::System)
}
