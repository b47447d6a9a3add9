//! A batch whose answer was lost, and its repeat.
//!
//! With a batch the id always comes first, with one replica as with several; but no answer tells what an applied batch
//! was applied as, so reading does.

use std::time::Duration;

use lease::store::{BatchAck, BatchWrite, Revision, WriteError};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::batch_kit::{assert_repeat, batch, conflict, own, repeated, resolved, settle_all};
use crate::kit::{Fixture, patiently, until};

pub async fn a_repeat_is_a_duplicate_whatever_became_of_it(f: Fixture) {
    let ttl = |write| BatchWrite { ttl_secs: 2, ..write };
    let batch =
        batch(vec![ttl(own(&f.key("a"), 0, "one")), own(&f.key("b"), 0, "two"), own(&f.key("c"), 0, "x")]);
    let applied = settle_all(&f.a, &batch).await.expect("applied");
    let repeat = async || {
        for store in [&f.a, &f.b, &f.a] {
            assert_repeat(store, &batch).await;
        }
    };
    repeat().await;
    assert_eq!(resolved(&f.b, &batch).await, applied);
    let over = f.put(&f.key("c"), applied.revision(2).expect("told"), "over", 0).await;
    repeat().await;
    assert_eq!(resolved(&f.b, &batch).await, applied, "by what still stands of it");
    f.gone(&f.key("a")).await;
    repeat().await;
    let standing = [applied.revision(1).expect("told"), over];
    let all = async || f.all().await.iter().map(|entry| entry.revision).collect::<Vec<_>>();
    until("every replica has expired it", async || (all().await == standing).then_some(())).await;
}

/// As the protocol meets it: the process stopped waiting, so nobody heard.
pub async fn given_up_and_repeated_it_is_applied_once(f: Fixture) {
    for round in 0..20_u64 {
        let key = |part: usize| f.key(&format!("{round}.{part}"));
        let batch = batch((0..3).map(|part| own(&key(part), 0, "mine")).collect());
        // From "not sent" to "answered": whatever comes of it, the rest must be true.
        let heard = timeout(Duration::from_micros(round * 150), f.a.write_all(&batch)).await;
        let (outcome, _) = repeated(&f.b, &batch).await;
        let ack = resolved(&f.a, &batch).await;
        let first = ack.revision(0).expect("read");
        match (heard, outcome) {
            (Ok(Ok(first)), Ok(second)) => assert_eq!((first, second), (ack, BatchAck::Duplicate)),
            (_, Ok(second)) => assert!([ack, BatchAck::Duplicate].contains(&second), "{second:?} of {ack:?}"),
            other => panic!("{other:?}"),
        }
        let there = patiently(async || f.b.scan(&f.key(&format!("{round}.*")), 0).await).await.entries;
        let revisions: Vec<Revision> = there.iter().map(|entry| entry.revision).collect();
        assert_eq!(revisions, [first, first + 1, first + 2], "all, once");
    }
}

pub async fn another_batch_is_no_repeat(f: Fixture) {
    let one = batch(vec![own(&f.key("a"), 0, "one"), own(&f.key("b"), 0, "one")]);
    let first = settle_all(&f.a, &one).await.expect("applied").revision(0).expect("told");
    let same = batch(one.writes.clone());
    assert_ne!(one.id, same.id);
    assert_eq!(settle_all(&f.a, &same).await, conflict(first));
}

pub async fn sent_many_times_at_once_a_batch_is_applied_once(f: Fixture) {
    let batch = batch(vec![own(&f.key("a"), 0, "one"), own(&f.key("b"), 0, "two")]);
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let (store, batch) = (if sender % 2 == 0 { f.a.clone() } else { f.b.clone() }, batch.clone());
        senders.spawn(async move { store.write_all(&batch).await });
    }
    let answers = senders.join_all().await;
    let (late, _) = repeated(&f.a, &batch).await;
    let ack = resolved(&f.a, &batch).await;
    let mut applied = 0;
    for answer in answers.iter().chain([&late]) {
        match answer {
            Ok(BatchAck::Applied { .. }) if *answer == Ok(ack) => applied += 1,
            Ok(BatchAck::Duplicate) => {}
            Err(WriteError::InFlight | WriteError::NotTaken | WriteError::Unknown(_)) => {}
            other => panic!("{other:?} of {ack:?}"),
        }
    }
    assert!(applied <= 1, "{answers:?}");
}
