//! Batches and the hooks for simulation.

use std::sync::Arc;

use bytes::Bytes;

use crate::ambient::System;
use crate::store::{Batch, BatchAck, BatchWrite, Body, Condition, MemoryStore, Revision, Store, WriteError};

fn store() -> Arc<MemoryStore> {
    MemoryStore::new(Arc::new(System))
}

/// Makes keys, or writes over them where a revision is named.
fn batch(id: &str, keys: &[(&str, Revision)]) -> Batch {
    let write = |(key, expect): &(&str, Revision)| BatchWrite {
        key: (*key).into(),
        only_if: Condition::Own(*expect),
        body: Body::Put(Bytes::from_static(b"v")),
        ttl_secs: 9,
    };
    Batch { id: id.into(), writes: keys.iter().map(write).collect() }
}

async fn applied(store: &MemoryStore, batch: &Batch) -> Revision {
    match store.write_all(batch).await {
        Ok(BatchAck::Applied { first, .. }) => first,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_repeat_is_a_duplicate_whichever_comes_first() {
    for revisions_first in [false, true] {
        let store = store();
        store.revisions_first(revisions_first);
        let batch = batch("1", &[("a", 0), ("b", 0)]);
        applied(&store, &batch).await;
        assert_eq!(store.write_all(&batch).await, Ok(BatchAck::Duplicate));
    }
}

/// As on NATS, where the first message carries the id: what is left of the batch still knows it.
#[tokio::test]
async fn cut_by_a_regression_it_is_a_duplicate_of_which_the_last_write_is_no_proof() {
    let store = store();
    let cut = batch("1", &[("a", 0), ("b", 0), ("c", 0)]);
    let first = applied(&store, &cut).await;
    store.regress(1);
    assert_eq!(store.write_all(&cut).await, Ok(BatchAck::Duplicate));
    assert_eq!(store.read("c").await, Ok(None));
    store.regress(2);
    assert_eq!(applied(&store, &cut).await, first, "all of it was lost, and its id");
}

#[tokio::test]
async fn what_expired_early_voids_the_batch() {
    let store = store();
    let first = applied(&store, &batch("1", &[("record", 0)])).await;
    assert!(store.expire_early("record"));
    let renewal = batch("2", &[("record", first), ("value", 0)]);
    assert_eq!(store.write_all(&renewal).await, Err(WriteError::Conflict { current: Some(0) }));
    assert_eq!(store.read("value").await, Ok(None));
}

#[tokio::test]
async fn a_bucket_made_anew_knows_no_batch() {
    let store = store();
    let batch = batch("1", &[("a", 0), ("b", 0)]);
    let first = applied(&store, &batch).await;
    let mut events = store.follow("*").await.expect("followed");
    store.recreate(first + 1_000);
    assert_eq!(applied(&store, &batch).await, first + 1_000);
    for revision in [first + 1_000, first + 1_001] {
        assert_eq!(events.recv().await.map(|event| event.revision), Some(revision), "followers stay");
    }
}
