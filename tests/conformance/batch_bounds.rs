//! How much a batch may be, and what is refused before anything is sent.

use bytes::Bytes;
use lease::store::{BatchWrite, Body, MAX_BATCH};
use tokio::task::JoinSet;

use crate::batch_kit::{batch, guarded, own, settle_all};
use crate::kit::Fixture;

/// What a NATS server takes as one message unless told otherwise.
const MAX_PAYLOAD: usize = 1 << 20;

/// The longest that a kind needs: a record, a limit and 500 readers.
pub async fn long_ones_are_applied(f: Fixture) {
    for length in [502, MAX_BATCH] {
        let key = |n: usize| f.key(&format!("{length}.{n}"));
        let first = f.put_all((0..length).map(|n| own(&key(n), 0, &n.to_string())).collect()).await;
        let all: Vec<_> = f
            .all()
            .await
            .into_iter()
            .filter(|entry| entry.revision >= first)
            .map(|e| (e.key, e.revision))
            .collect();
        assert_eq!(all, (0..length).map(|n| (key(n), first + n as u64)).collect::<Vec<_>>());
    }
}

pub async fn too_long_and_empty_are_refused(f: Fixture) {
    let why = f.refused((0..=MAX_BATCH).map(|n| own(&f.key(&n.to_string()), 0, "")).collect()).await;
    assert!(why.contains("1001") && why.contains("1000"), "{why}");
    let why = f.refused(vec![]).await;
    assert!(why.contains("1 to 1000"), "{why}");
    assert_eq!(f.all().await, []);
}

pub async fn bad_keys_and_impossible_conditions_are_refused(f: Fixture) {
    let (good, other) = (f.key("good"), f.key("other"));
    for bad in [f.key("a..b"), f.key("*"), f.key(">"), f.key("a b"), String::new()] {
        f.refused(vec![own(&good, 0, ""), own(&bad, 0, "")]).await;
        f.refused(vec![own(&good, 0, ""), guarded(&other, &bad, 0, "")]).await;
        f.refused(vec![own(&good, 0, ""), guarded(&bad, &other, 0, "")]).await;
    }
    f.refused(vec![own(&good, 0, ""), own(&good, 0, "")]).await;
    f.refused(vec![own(&good, 0, ""), guarded(&other, &good, 0, "")]).await;
    assert_eq!(f.all().await, []);
}

/// At any place: what came before it is not applied either.
pub async fn a_body_that_is_too_large_is_refused_by_number(f: Fixture) {
    for place in 0..3 {
        let key = |n: usize| f.key(&format!("{place}.{n}"));
        let mut writes: Vec<BatchWrite> = (0..3).map(|n| own(&key(n), 0, "")).collect();
        writes[place].body = Body::Put(vec![0; MAX_PAYLOAD + 1].into());
        let why = f.refused(writes).await;
        assert!(why.contains(&MAX_PAYLOAD.to_string()), "{why}");
    }
    assert_eq!(f.all().await, []);
}

/// Above 64 KiB a write is answered by itself, as it may be more than a stream takes.
pub async fn large_bodies_are_applied(f: Fixture) {
    let large: Bytes = vec![7; 300 << 10].into();
    let write =
        |n: usize| BatchWrite { body: Body::Put(large.clone()), ..own(&f.key(&n.to_string()), 0, "") };
    f.put_all((0..3).map(write).collect()).await;
    assert!(f.all().await.iter().all(|entry| entry.body == Body::Put(large.clone())));
}

/// More than the 50 that a NATS server keeps open: some are not taken at first, and all get through.
pub async fn many_at_once_get_through(f: Fixture) {
    let mut tasks = JoinSet::new();
    for n in 0..80 {
        let store = if n % 2 == 0 { f.a.clone() } else { f.b.clone() };
        let batch = batch((0..5).map(|part| own(&f.key(&format!("{n}.{part}")), 0, "")).collect());
        tasks.spawn_local(async move { settle_all(&store, &batch).await });
    }
    for outcome in tasks.join_all().await {
        outcome.expect("applied");
    }
    let entries = f.all().await;
    assert_eq!(entries.len(), 400);
    for five in entries.chunks(5) {
        let stem = five[0].key.strip_suffix(".0").expect("the first of five");
        for (part, entry) in five.iter().enumerate() {
            let expected = (format!("{stem}.{part}"), five[0].revision + part as u64);
            assert_eq!((entry.key.clone(), entry.revision), expected, "nobody else's in between");
        }
    }
}
