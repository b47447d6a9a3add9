//! What the guard makes of batches.

use super::*;
use crate::ambient::System;
use crate::observe::Observer;
use crate::space::{Space, SpaceOptions};
use crate::store::{BatchWrite, Body, Condition, MemoryStore};

/// Keeps what it hears of batches.
#[derive(Debug, Default)]
struct Ear(Mutex<Vec<&'static str>>);

impl Observer for Ear {
    fn observe(&self, observation: &Observation) {
        if let Observation::Asked { op: "write-all", outcome, .. } = observation {
            locked(&self.0).push(outcome);
        }
    }
}

async fn fixture() -> (Space, Arc<MemoryStore>, Arc<Ear>) {
    let (store, ear) = (MemoryStore::new(Arc::new(System)), Arc::new(Ear::default()));
    let options = SpaceOptions { observer: ear.clone(), ..SpaceOptions::default() };
    (Space::on(store.clone(), options).await.expect("a space"), store, ear)
}

/// New keys, three at a time.
fn batch(n: usize) -> Batch {
    let write = |part| BatchWrite {
        key: format!("k.{n}.{part}"),
        only_if: Condition::Own(0),
        body: Body::Put(Bytes::from_static(b"v")),
        ttl_secs: 0,
    };
    Batch { id: format!("id {n}"), writes: (0..3).map(write).collect() }
}

fn single(n: usize) -> Write {
    let key = format!("s.{n}");
    Write { key, expect: 0, body: Body::Put(Bytes::new()), ttl_secs: 0, id: format!("single {n}") }
}

#[tokio::test]
async fn a_batch_is_admitted_and_observed() {
    let (space, _, ear) = fixture().await;
    let core = space.core();
    let BatchAck::Applied { first, last } = core.write_all(&batch(1)).await.expect("applied") else {
        panic!("no repeat")
    };
    assert_eq!(last, first + 2);
    assert_eq!(core.write_all(&batch(1)).await, Ok(BatchAck::Duplicate));
    let late = Batch { id: "another".into(), ..batch(1) };
    assert_eq!(core.write_all(&late).await, Err(WriteError::Conflict { current: Some(first) }));
    assert_eq!(*locked(&ear.0), ["ok", "ok", "conflict"]);
    assert!(core.calamity.borrow().is_none());
}

/// The store lost the batch, and gives the revisions of its end to a single write.
#[tokio::test]
async fn what_a_batch_was_numbered_is_remembered_to_its_end() {
    let (space, store, _) = fixture().await;
    space.core().write_all(&batch(1)).await.expect("applied");
    store.regress(1);
    let lost = space.core().write(&single(1)).await;
    assert!(matches!(lost, Err(WriteError::Refused(_))), "{lost:?}");
    assert_eq!(*space.core().calamity.borrow(), Some(Loss::StoreRegressed));
}

/// Only the first of its revisions had been given before.
#[tokio::test]
async fn a_batch_that_begins_in_the_past_is_refused() {
    let (space, store, _) = fixture().await;
    space.core().write(&single(1)).await.expect("applied");
    store.regress(1);
    let lost = space.core().write_all(&batch(1)).await;
    assert!(matches!(lost, Err(WriteError::Refused(_))), "{lost:?}");
    assert_eq!(*space.core().calamity.borrow(), Some(Loss::StoreRegressed));
}

#[tokio::test]
async fn a_batch_into_a_bucket_made_anew_is_refused() {
    let (space, store, _) = fixture().await;
    let BatchAck::Applied { last, .. } = space.core().write_all(&batch(1)).await.expect("applied") else {
        panic!("no repeat")
    };
    store.recreate(last + 10_000_000);
    let lost = space.core().write_all(&batch(2)).await;
    assert!(matches!(lost, Err(WriteError::Refused(_))), "{lost:?}");
    assert_eq!(*space.core().calamity.borrow(), Some(Loss::BucketReplaced));
}
