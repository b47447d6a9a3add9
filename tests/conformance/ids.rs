//! Message ids: how a write whose answer was lost is resolved.
//!
//! What a repeat of an applied write is told depends on which the store looks at first. A replicated stream looks at
//! the id and answers "duplicate"; a stream with one replica compares the revision first and answers "conflict", and
//! may name the very revision that the first send made (seen on 2.12.8, 2.14.6 and 2.15.1). Both are of the seam: in
//! either case nothing is applied twice, and a repeat whose expectation holds again is a duplicate.

use lease::store::{Ack, Revision, Write, WriteError};
use tokio::task::JoinSet;

use crate::kit::{Fixture, conflict, put, settle};

/// How many send the same write at once.
const SENDERS: usize = 8;

/// Checks what a repeat of a write was told that had been applied as `first`, while the key is at `current`.
pub fn assert_repeat(answer: &Result<Ack, WriteError>, first: Revision, current: Revision) {
    let duplicate = Ok(Ack { revision: first, duplicate: true });
    assert!(*answer == duplicate || *answer == conflict(current), "{answer:?} for {first}, now at {current}");
}

pub async fn repeat_changes_nothing(f: Fixture) {
    let write = put(&f.key("k"), 0, "one");
    let first = settle(&f.a, &write).await.expect("created").revision;
    for store in [&f.a, &f.b, &f.a] {
        assert_repeat(&settle(store, &write).await, first, first);
    }
    assert_eq!(f.read(&write.key).await.map(|e| e.revision), Some(first), "applied once");
}

pub async fn repeat_after_an_overwrite_changes_nothing(f: Fixture) {
    let write = put(&f.key("k"), 0, "one");
    let first = settle(&f.a, &write).await.expect("created").revision;
    let second = f.put(&write.key, first, "two", 0).await;
    assert_repeat(&settle(&f.b, &write).await, first, second);
    let marker = f.delete(&write.key, second, "", 0).await;
    assert_repeat(&settle(&f.b, &write).await, first, marker);
    assert_eq!(f.read(&write.key).await.map(|e| e.revision), Some(marker), "nothing is written again");
}

/// The one repeat that would be applied if ids were not kept: its expectation holds again.
pub async fn repeat_after_expiry_is_a_duplicate(f: Fixture) {
    let write = Write { ttl_secs: 1, ..put(&f.key("k"), 0, "one") };
    let first = settle(&f.a, &write).await.expect("created").revision;
    f.gone(&write.key).await;
    for store in [&f.b, &f.a] {
        assert_eq!(settle(store, &write).await, Ok(Ack { revision: first, duplicate: true }));
    }
    assert_eq!(f.read(&write.key).await, None, "nothing is written again");
}

pub async fn failed_cas_does_not_use_the_id_up(f: Fixture) {
    let key = f.key("k");
    let revision = f.put(&key, 0, "one", 0).await;
    let early = put(&key, 0, "two");
    assert_eq!(settle(&f.a, &early).await, conflict(revision));
    let right = Write { expect: revision, ..early };
    let ack = settle(&f.a, &right).await.expect("the id is still good");
    assert!(!ack.duplicate && ack.revision > revision, "{ack:?}");
    assert_repeat(&settle(&f.a, &right).await, ack.revision, ack.revision);
}

pub async fn sent_many_times_at_once_it_is_applied_once(f: Fixture) {
    let mut senders = JoinSet::new();
    let write = put(&f.key("k"), 0, "one");
    for sender in 0..SENDERS {
        let (store, write) = (if sender % 2 == 0 { f.a.clone() } else { f.b.clone() }, write.clone());
        senders.spawn(async move { store.write(&write).await });
    }
    let answers = senders.join_all().await;
    let late = settle(&f.a, &write).await;
    let revision = f.read(&write.key).await.expect("an entry").revision;
    let mut applied = 0;
    for answer in answers.iter().chain([&late]) {
        match answer {
            Ok(Ack { duplicate: false, revision: made }) if *made == revision => applied += 1,
            Err(WriteError::InFlight | WriteError::NotTaken | WriteError::Unknown(_)) => {}
            other => assert_repeat(other, revision, revision),
        }
    }
    assert!(applied <= 1, "{answers:?}");
}
