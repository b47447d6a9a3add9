//! Batches while leaders change and servers die: each is there as a whole, or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lease::store::{Batch, BatchAck, Entry, NatsStore, Store, WriteError};
use support::{Cluster, Options, Proxy, Publish, Release, binary, eventually};
use tokio::time::sleep;

use crate::{LIMIT, create, open, under};

/// How many writes each of the batches has.
const PARTS: usize = 20;

/// Between two tries of a batch.
const PAUSE: Duration = Duration::from_millis(5);

/// What a writer was told of its batches.
#[derive(Default)]
struct Told {
    acks: BTreeMap<String, BatchAck>,
    duplicates: usize,
    unknown: usize,
    not_taken: usize,
}

/// Writes batches under `{name}.…`, each until a definite answer, until told to stop.
async fn work(store: Arc<NatsStore>, name: String, stop: Arc<AtomicBool>, done: Arc<AtomicUsize>) -> Told {
    let mut told = Told::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let stem = format!("{name}.{n}");
        let batch = create((0..PARTS).map(|part| format!("{stem}.{part}")));
        let ack = definite(&store, &batch, &mut told).await;
        told.acks.insert(stem, ack);
        done.fetch_add(1, Ordering::Relaxed);
    }
    told
}

/// A plain loop: an async closure cannot promise to be `Send`.
async fn definite(store: &NatsStore, batch: &Batch, told: &mut Told) -> BatchAck {
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        match store.write_all(batch).await {
            Ok(ack) => return ack,
            Err(WriteError::Unknown(_)) => told.unknown += 1,
            Err(WriteError::NotTaken | WriteError::InFlight) => told.not_taken += 1,
            Err(no) => panic!("{no:?}"),
        }
        sleep(PAUSE).await;
    }
    panic!("no definite answer within {LIMIT:?}")
}

/// All parts, consecutive, in order, and as acknowledged.
fn whole(entries: &[Entry], told: &mut Told) {
    let mut batches: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let (stem, _) = entry.key.rsplit_once('.').expect("a part");
        batches.entry(stem).or_default().push(entry);
    }
    assert_eq!(batches.keys().collect::<Vec<_>>(), told.acks.keys().collect::<Vec<_>>());
    for (stem, parts) in batches {
        assert_eq!(parts.len(), PARTS, "{stem}: a part of a batch");
        let first = parts[0].revision;
        for (index, part) in parts.iter().enumerate() {
            assert_eq!(
                (part.revision, part.key.as_str()),
                (first + index as u64, &*format!("{stem}.{index}"))
            );
        }
        match told.acks[stem] {
            BatchAck::Duplicate => told.duplicates += 1,
            ack => assert_eq!(ack, BatchAck::Applied { first, last: first + PARTS as u64 - 1 }, "{stem}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_stay_whole_while_leaders_change_and_die() {
    for release in [binary::OLDEST, binary::PINNED] {
        let options = Options { release: Release::Exactly(release), ..Options::default() };
        let cluster = Cluster::start(3, options).await;
        drop(open(&cluster.url()).await);
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut workers = Vec::new();
        for n in 0..3 {
            let store = Arc::new(open(&cluster.urls()).await);
            workers.push(tokio::spawn(work(store, format!("w{n}"), stop.clone(), done.clone())));
        }
        for round in 0..6 {
            let before = done.load(Ordering::Relaxed);
            let going = async || (done.load(Ordering::Relaxed) > before + 20).then_some(());
            eventually("batches go on", LIMIT, going).await;
            if round % 3 == 2 {
                let leader = cluster.stream_leader("KV_leases").await;
                cluster.kill9(leader);
                cluster.stream_leader("KV_leases").await;
                cluster.launch(leader);
                cluster.ready().await;
            } else {
                cluster.step_down("KV_leases").await;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let reader = open(&cluster.urls()).await;
        for (n, worker) in workers.into_iter().enumerate() {
            let mut told = worker.await.expect("no panic");
            whole(&under(&reader, &format!("w{n}.>")).await, &mut told);
            let Told { acks, duplicates, unknown, not_taken } = told;
            eprintln!(
                "{release}: {} batches whole; {unknown} unknown (of which {duplicates} batches had been applied), \
                 {not_taken} not taken",
                acks.len()
            );
        }
    }
}

/// A single server is killed while it applies long batches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_single_server_has_a_batch_whole_or_not_at_all() {
    for release in [binary::OLDEST, binary::PINNED] {
        let options = Options { release: Release::Exactly(release), ..Options::default() };
        let cluster = Cluster::start(1, options).await;
        let store = Arc::new(open(&cluster.url()).await);
        let mut applied = 0;
        for round in 0..12 {
            let batch = create((0..500).map(|n| format!("r{round}.{n}")));
            let sent = {
                let (store, batch) = (store.clone(), batch.clone());
                tokio::spawn(async move { store.write_all(&batch).await })
            };
            sleep(Duration::from_millis(round * 3)).await;
            cluster.kill9(0);
            let answer = sent.await.expect("no panic");
            cluster.restart(0).await;
            let standing = under(&store, &format!("r{round}.*")).await.len();
            assert!(standing == 0 || standing == 500, "{release}: {standing} of 500 after {answer:?}");
            assert!(answer.is_err() || standing == 500, "{release}: {answer:?}");
            applied += standing / 500;
        }
        eprintln!("{release}: {applied} of 12 applied");
    }
}

/// The leader steps down when it has the batch, but for the commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_began_with_another_leader_is_not_taken() {
    for release in [binary::OLDEST, binary::PINNED] {
        let options = Options { release: Release::Exactly(release), ..Options::default() };
        let cluster = Cluster::start(3, options).await;
        let proxy = Proxy::start(&cluster.url()).await;
        let store = Arc::new(open(&proxy.url()).await);
        let commits = |publish: &Publish| publish.header("Nats-Batch-Commit").is_some();
        let held = proxy.on(commits).hold_request();
        let batch = create(["a", "b", "c"]);
        let sent = {
            let (store, batch) = (store.clone(), batch.clone());
            tokio::spawn(async move { store.write_all(&batch).await })
        };
        held.fired_once(LIMIT).await;
        cluster.step_down("KV_leases").await;
        // Until its own server knows where the new leader is, nobody would answer the commit.
        let beside = open(&cluster.url()).await;
        definite(&beside, &create(["beside.a", "beside.b"]), &mut Told::default()).await;
        held.release();
        let answer = sent.await.expect("no panic");
        assert!(matches!(answer, Err(WriteError::NotTaken | WriteError::Unknown(_))), "{answer:?}");
        let refusal =
            proxy.saw(LIMIT, |publish| commits(publish) && publish.answer.is_some()).await.answer_json();
        assert_eq!(refusal["error"]["err_code"], 10176, "{release}: {refusal}");
        assert_eq!(under(&store, "*").await, []);
        held.remove(&proxy);
        let ack = definite(&store, &batch, &mut Told::default()).await;
        assert!(matches!(ack, BatchAck::Applied { .. }), "{ack:?}");
    }
}
