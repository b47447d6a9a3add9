//! What a real server answers to batches it will not take, and what is made of that.

use bytes::Bytes;
use lease::store::{Batch, BatchAck, BatchWrite, Body, NatsOptions, NatsStore, Store, WriteError};
use serde_json::json;
use support::{Cluster, Options, Release, binary, eventually};

use crate::{LIMIT, create, delete, info, open, put, settle, try_open, under};

async fn refused(store: &NatsStore, batch: &Batch, says: &str) {
    // A permission's refusal may come after the commit's own, which only says that something is missing.
    let answer = eventually("a refusal", LIMIT, async || match store.write_all(batch).await {
        Err(WriteError::NotTaken) => None,
        answer => Some(answer),
    });
    match answer.await {
        Err(WriteError::Refused(why)) => assert!(why.contains(says), "{why:?} should say {says:?}"),
        other => panic!("{says}: {other:?}"),
    }
}

/// Three writes, of which the second has a value of this size.
fn sized(key: &str, size: usize) -> Batch {
    let mut batch = create((0..3).map(|n| format!("{key}.{n}")));
    let second = BatchWrite { body: Body::Put(vec![b'x'; size].into()), ..batch.writes[1].clone() };
    batch.writes[1] = second;
    batch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_repeating_will_not_change_is_refused_with_the_servers_words() {
    for release in [binary::OLDEST, binary::PINNED] {
        let options = Options {
            release: Release::Exactly(release),
            jetstream: "limits { batch { max_msgs: 5 } }".into(),
            extra: "max_payload: 200000".into(),
            ..Options::default()
        };
        let cluster = Cluster::start(1, options).await;
        let store = open(&cluster.url()).await;
        refused(&store, &sized("payload", 200_000), "200000 (max_payload)").await;
        refused(&store, &create((0..6).map(|n| format!("six.{n}"))), "batch is too large: 5").await;
        store.write_all(&create((0..5).map(|n| format!("five.{n}")))).await.expect("as many as allowed");

        let mut config = info(&cluster, "KV_leases").await["config"].clone();
        for (setting, value, batch, says) in [
            ("max_msg_size", json!(100_000), sized("message", 100_000), "10054"),
            ("allow_atomic", json!(false), sized("atomic", 1), "10174"),
            ("sealed", json!(true), sized("sealed", 1), "10109"),
        ] {
            config[setting] = value;
            let answer = cluster.request(0, "$JS.API.STREAM.UPDATE.KV_leases", &config.to_string()).await;
            assert!(answer["error"].is_null(), "{answer}");
            refused(&store, &batch, says).await;
        }
        assert_eq!(under(&store, ">").await.len(), 5, "only what was allowed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_user_may_not_write_is_named() {
    let extra = "authorization { users: [ { user: u, password: p, permissions: {\
                 publish: { deny: \"$KV.leases.secret.1\" } } } ] }";
    let cluster = Cluster::start(1, Options { extra: extra.into(), ..Options::default() }).await;
    let options =
        NatsOptions { user: Some("u".into()), password: Some("p".into()), ..NatsOptions::default() };
    let store = try_open(&cluster.url(), options).await.expect("let in");
    for _ in 0..5 {
        refused(&store, &create((0..3).map(|n| format!("secret.{n}"))), "$KV.leases.secret.1").await;
    }
    assert_eq!(under(&store, ">").await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_gone_takes_no_batch() {
    let cluster = Cluster::single().await;
    let store = open(&cluster.url()).await;
    delete(&cluster, "KV_leases").await;
    assert_eq!(store.write_all(&create(["a", "b"])).await, Err(WriteError::NotTaken));
}

/// 50 batches that do not go on fill the stream's list for 10 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_open_batches_pass() {
    for release in [binary::OLDEST, binary::PINNED] {
        let options = Options { release: Release::Exactly(release), ..Options::default() };
        let cluster = Cluster::start(1, options).await;
        let store = open(&cluster.url()).await;
        let client = async_nats::connect(cluster.url()).await.expect("connected");
        for n in 0..50 {
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Batch-Id", format!("open {n}"));
            headers.insert("Nats-Batch-Sequence", "1");
            let subject = format!("$KV.leases.open.{n}");
            let answer =
                client.request_with_headers(subject, headers, Bytes::new()).await.expect("an answer");
            assert!(answer.payload.is_empty(), "{answer:?}");
        }
        let (one, three) = (create(["one"]), create(["a", "b", "c"]));
        for batch in [&one, &three] {
            assert_eq!(store.write_all(batch).await, Err(WriteError::NotTaken), "{release}");
        }
        settle(&store, &put("single", 0, "", 0)).await.expect("single writes are not concerned");
        for batch in [&one, &three] {
            let ack = eventually("room for a batch", LIMIT, async || store.write_all(batch).await.ok()).await;
            assert!(matches!(ack, BatchAck::Applied { .. }), "{release}");
        }
        assert_eq!(under(&store, "open.*").await, []);
    }
}

/// The one thing that cuts a batch short: a single server without room. Several replicas apply it whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_may_cut_a_batch_short_and_then_says_nothing_definite() {
    for release in [binary::OLDEST, binary::PINNED] {
        for size in [1, 3] {
            let options = Options {
                release: Release::Exactly(release),
                jetstream: "max_file_store: 4MB".into(),
                ..Options::default()
            };
            let cluster = Cluster::start(size, options).await;
            let store = open(&cluster.url()).await;
            for n in 0..70 {
                settle(&store, &put(&format!("fill.{n}"), 0, &"x".repeat(50_000), 0)).await.expect("room");
            }
            let mut batch = create((0..30).map(|n| format!("k.{n}")));
            for write in &mut batch.writes {
                write.body = Body::Put(vec![b'y'; 50_000].into());
            }
            let answer = store.write_all(&batch).await;
            let standing = under(&store, "k.*").await;
            eprintln!("{release}, {size}: {} of 30 stand, the answer was {answer:?}", standing.len());
            for (entry, write) in standing.iter().zip(&batch.writes) {
                assert_eq!(entry.key, write.key, "what stands is a first part");
            }
            match answer {
                Ok(_) => assert_eq!(standing.len(), 30),
                Err(WriteError::Unknown(_)) => {}
                other => panic!("{release}, {size}: {} stand after {other:?}", standing.len()),
            }
        }
    }
}
