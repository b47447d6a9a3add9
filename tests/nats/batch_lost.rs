//! Batches of which something is lost or late on the way, on the oldest and the newest release, alone and in a cluster.

use std::time::Duration;

use lease::store::{Batch, BatchAck, NatsStore, Store, WriteError};
use serde_json::Value;
use support::{Cluster, Options, Proxy, Publish, Release, binary, eventually};

use crate::{LIMIT, create, open, put, settle, under};

/// Longer than a server keeps a batch that does not go on (10 s).
const ABANDONED: Duration = Duration::from_millis(10_500);

/// Every kind of server that batches may meet.
async fn everywhere(case: impl AsyncFn(Cluster)) {
    for release in [binary::OLDEST, binary::PINNED] {
        for size in [1, 3] {
            eprintln!("{release}, {size}");
            let options = Options { release: Release::Exactly(release), ..Options::default() };
            case(Cluster::start(size, options).await).await;
        }
    }
}

fn commits(publish: &Publish) -> bool {
    publish.header("Nats-Batch-Commit") == Some("1")
}

fn second(publish: &Publish) -> bool {
    publish.header("Nats-Batch-Sequence") == Some("2")
}

/// Repeats a batch until its answer is a definite one.
async fn settle_all(store: &impl Store, batch: &Batch) -> Result<BatchAck, WriteError> {
    eventually("a definite answer", LIMIT, async || match store.write_all(batch).await {
        Err(WriteError::InFlight | WriteError::NotTaken | WriteError::Unknown(_)) => None,
        answer => Some(answer),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_unknown_and_the_repeat_a_duplicate() {
    everywhere(async |cluster| {
        let proxy = Proxy::start(&cluster.url()).await;
        let store = open(&proxy.url()).await;
        settle(&store, &put("warm", 0, "", 0)).await.expect("written");
        let batch = create(["a", "b", "c"]);
        let lost = proxy.on(commits).lose_answer();
        assert_eq!(store.write_all(&batch).await, Err(WriteError::Unknown("no answer in time")));
        lost.fired_once(LIMIT).await;
        assert_eq!(settle_all(&store, &batch).await, Ok(BatchAck::Duplicate));
        let entry = store.read("c").await.expect("read").expect("there");
        let ack = batch.applied_as(2, &entry).expect("it was applied");
        let told =
            proxy.saw(LIMIT, |publish| commits(publish) && publish.answer.is_some()).await.answer_json();
        assert_eq!(ack.revision(2), told["seq"].as_u64(), "what reading tells is what the answer had said");
        let revisions: Vec<_> = under(&store, "*").await.iter().skip(1).map(|entry| entry.revision).collect();
        assert_eq!(revisions.into_iter().map(Some).collect::<Vec<_>>(), [0, 1, 2].map(|n| ack.revision(n)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lost_message_keeps_all_of_it_out() {
    everywhere(async |cluster| {
        let proxy = Proxy::start(&cluster.url()).await;
        let store = open(&proxy.url()).await;
        let first = |publish: &Publish| publish.header("Nats-Batch-Sequence") == Some("1");
        for lost in [first as fn(&Publish) -> bool, second] {
            let batch = create(["a", "b", "c"]);
            let rule = proxy.on(lost).lose_request();
            assert_eq!(store.write_all(&batch).await, Err(WriteError::NotTaken));
            assert_eq!(rule.fired(), 1);
            assert_eq!(under(&store, "*").await, []);
            let Ok(BatchAck::Applied { first, .. }) = settle_all(&store, &batch).await else {
                panic!("a repeat")
            };
            for (index, entry) in under(&store, "*").await.iter().enumerate() {
                assert_eq!(entry.revision, first + index as u64);
                let delete = lease::store::Body::Delete("".into());
                let delete = lease::store::Write {
                    body: delete,
                    ttl_secs: 1,
                    ..put(&entry.key, entry.revision, "", 1)
                };
                settle(&store, &delete).await.expect("deleted");
            }
            eventually("all are gone", LIMIT, async || under(&store, "*").await.is_empty().then_some(()))
                .await;
        }
    })
    .await;
}

/// The commit lies in some buffer. Meanwhile the same batch is repeated over another way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_commit_changes_nothing_after_its_repeat() {
    everywhere(async |cluster| {
        let proxy = Proxy::start(&cluster.url()).await;
        let (late, direct) = (open(&proxy.url()).await, open(&cluster.url()).await);
        let batch = create(["a", "b"]);
        let held = proxy.on(commits).hold_request();
        assert_eq!(late.write_all(&batch).await, Err(WriteError::Unknown("no answer in time")));
        assert_eq!(under(&direct, "*").await, [], "nothing stands before the commit");
        let ack = settle_all(&direct, &batch).await;
        assert!(matches!(ack, Ok(BatchAck::Applied { .. })), "{ack:?}");
        held.release();
        let answer =
            proxy.saw(LIMIT, |publish| commits(publish) && publish.answer.is_some()).await.answer_json();
        assert_eq!(answer["error"]["err_code"], 10201, "{answer}");
        let revisions: Vec<_> = under(&direct, "*").await.iter().map(|entry| Some(entry.revision)).collect();
        assert_eq!(revisions, [0, 1].map(|n| ack.clone().expect("applied").revision(n)));
    })
    .await;
}

/// The commit comes after all, alone, soon or too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_commit_applies_all_of_it_or_nothing() {
    everywhere(async |cluster| {
        let proxy = Proxy::start(&cluster.url()).await;
        let (late, direct) = (open(&proxy.url()).await, open(&cluster.url()).await);
        // For some milliseconds after a stream's creation, a server that does not lead it may not know where its
        // messages go, and drops one that asks for no answer: the first of the batch (seen in 1 of 48 new clusters).
        // Then its commit must be refused, with nothing there, and another batch is tried.
        let soon = 'applied: {
            for attempt in 0..5 {
                let soon = create([format!("soon.{attempt}.a"), format!("soon.{attempt}.b")]);
                let answer = commit_late(&proxy, &late, &soon, Duration::ZERO).await;
                let there = under(&direct, &format!("soon.{attempt}.*")).await.len();
                match answer["error"]["err_code"].as_u64() {
                    None => assert_eq!(there, 2, "{answer}"),
                    Some(code) => assert_eq!((there, code), (0, 10176), "{answer}"),
                }
                if there == 2 {
                    break 'applied soon;
                }
                eprintln!("attempt {attempt}: {answer}");
            }
            panic!("a batch whose commit was late by no more than its answer's limit was refused five times");
        };
        let never = create(["never.a", "never.b"]);
        let answer = commit_late(&proxy, &late, &never, ABANDONED).await;
        assert_eq!(answer["error"]["err_code"], 10176, "{answer}");
        assert_eq!(under(&direct, "never.*").await, []);
        assert_eq!(settle_all(&direct, &soon).await, Ok(BatchAck::Duplicate));
        assert!(matches!(settle_all(&direct, &never).await, Ok(BatchAck::Applied { .. })));
    })
    .await;
}

/// Writes a batch whose commit reaches the server only `after` it was given up: what the server says to that.
async fn commit_late(proxy: &Proxy, store: &NatsStore, batch: &Batch, after: Duration) -> Value {
    let before = proxy.seen().len();
    let held = proxy.on(commits).hold_request();
    let answer = store.write_all(batch).await;
    assert!(matches!(answer, Err(WriteError::Unknown(_))), "{answer:?}");
    tokio::time::sleep(after).await;
    held.release();
    held.remove(proxy);
    eventually("the commit's answer", LIMIT, async || {
        let seen = proxy.seen();
        seen.iter().skip(before).find(|one| commits(one) && one.answer.is_some()).map(Publish::answer_json)
    })
    .await
}

/// Given up before its last message went out: the server has it open for 10 s, and nobody else notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_in_the_middle_leaves_nothing() {
    everywhere(async |cluster| {
        let proxy = Proxy::start(&cluster.url()).await;
        let (cut, direct) = (open(&proxy.url()).await, open(&cluster.url()).await);
        let batch = create((0..200).map(|n| format!("k.{n}")));
        let rule = proxy.on(|publish| publish.header("Nats-Batch-Sequence") == Some("100")).cut_before();
        let answer = cut.write_all(&batch).await;
        assert!(matches!(answer, Err(WriteError::Unknown(_) | WriteError::NotTaken)), "{answer:?}");
        assert_eq!(rule.fired(), 1);
        assert_eq!(under(&direct, "k.*").await, []);
        assert!(matches!(settle_all(&cut, &batch).await, Ok(BatchAck::Applied { .. })));
        assert_eq!(under(&direct, "k.*").await.len(), 200);
    })
    .await;
}
