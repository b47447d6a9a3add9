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

/// Finds the store to be another between its answer and the look at that.
#[derive(Debug, Default)]
struct Upset(Mutex<Option<Arc<Core>>>);

impl Observer for Upset {
    fn observe(&self, observation: &Observation) {
        if let Observation::Asked { op: "write" | "write-all", .. } = observation
            && let Some(core) = locked(&self.0).take()
        {
            core.guard.upset();
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

/// What the guard refuses may have been applied: unknown is not no.
#[tokio::test]
async fn a_guarded_write_that_the_guard_refuses_is_not_told_to_be_refused() {
    let (store, upset) = (MemoryStore::new(Arc::new(System)), Arc::new(Upset::default()));
    let options = SpaceOptions { observer: upset.clone(), ..SpaceOptions::default() };
    let space = Space::on(store, options).await.expect("a space");
    let lease = space.lock("a").acquire().await.expect("granted");
    *locked(&upset.0) = Some(Arc::clone(space.core()));
    let put = lease.put("position", "7").await;
    assert!(matches!(put, Err(crate::Error::Unknown(_))), "{put:?}");
    let there = lease.get("position").await.expect("read").expect("it was written");
    assert_eq!(&there.value[..], b"7");
}

/// The same of a grant that is broken by force: the next look tells.
#[tokio::test]
async fn a_grant_is_broken_though_the_guard_refuses_the_answer() {
    let (store, upset) = (MemoryStore::new(Arc::new(System)), Arc::new(Upset::default()));
    let options = SpaceOptions { observer: upset.clone(), ..SpaceOptions::default() };
    let space = Space::on(store.clone(), options).await.expect("a space");
    let lease = space.lock("a").acquire().await.expect("granted");
    *locked(&upset.0) = Some(Arc::clone(space.core()));
    let broken = crate::breaking::break_grant(space.core(), "lock.a", lease.token(), "by hand", true).await;
    assert!(broken.is_ok(), "{broken:?}");
    assert!(locked(&upset.0).is_none(), "the store was found to be another");
}
