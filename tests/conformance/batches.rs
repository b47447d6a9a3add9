//! Batches: all or nothing, in their order, and each write by its own condition.

use lease::store::{BatchAck, BatchWrite, Body};

use crate::batch_kit::{assert_repeat, batch, conflict, gone, guarded, own, settle_all};
use crate::kit::Fixture;

pub async fn all_are_applied_in_their_order(f: Fixture) {
    let old = f.put(&f.key("b"), 0, "old", 0).await;
    let first = f
        .put_all(vec![
            own(&f.key("c"), 0, "one"),
            gone(&f.key("b"), old, "two"),
            BatchWrite { ttl_secs: 77, ..own(&f.key("a"), 0, "three") },
        ])
        .await;
    assert!(first > old);
    let entries = f.all().await;
    let seen: Vec<_> =
        entries.iter().map(|e| (e.key.clone(), e.revision, e.body.clone(), e.ttl_secs)).collect();
    assert_eq!(
        seen,
        [
            (f.key("c"), first, Body::Put("one".into()), 0),
            (f.key("b"), first + 1, Body::Delete("two".into()), 0),
            (f.key("a"), first + 2, Body::Put("three".into()), 77),
        ]
    );
    for entry in entries {
        assert_eq!(f.read(&entry.key).await, Some(entry.clone()), "every way of reading says the same");
        assert_eq!(f.at(entry.revision).await, Some(entry));
    }
    assert_eq!(f.at(old).await, None, "overwritten");
}

pub async fn a_batch_of_one_is_a_batch(f: Fixture) {
    let one = batch(vec![own(&f.key("k"), 0, "one")]);
    let Ok(BatchAck::Applied { first, last }) = settle_all(&f.a, &one).await else { panic!("not applied") };
    assert_eq!((first, f.read(&f.key("k")).await.map(|e| e.revision)), (last, Some(last)));
    assert_repeat(&f.b, &one).await;
}

/// At the first, a middle and the last place, and whether the key is absent, older or newer than expected.
pub async fn one_failing_condition_voids_all(f: Fixture) {
    let there = f.put(&f.key("there"), 0, "old", 0).await;
    for place in [0, 2, 4] {
        for (name, expect, current) in [
            ("there", 0, there),
            ("there", there - 1, there),
            ("there", there + 1, there),
            ("absent", there, 0),
        ] {
            let mut writes: Vec<_> = (0..5).map(|n| own(&f.key(&format!("new.{n}")), 0, "new")).collect();
            writes[place] = own(&f.key(name), expect, "new");
            assert_eq!(settle_all(&f.a, &batch(writes)).await, conflict(current), "{name} at {place}");
            let revisions: Vec<_> = f.all().await.iter().map(|entry| entry.revision).collect();
            assert_eq!(revisions, [there], "{name} at {place}: nothing was applied");
        }
    }
}

pub async fn a_failed_batch_does_not_use_its_id_up(f: Fixture) {
    let there = f.put(&f.key("there"), 0, "old", 0).await;
    let mut batch = batch(vec![own(&f.key("new"), 0, "new"), own(&f.key("there"), 0, "new")]);
    assert_eq!(settle_all(&f.a, &batch).await, conflict(there));
    batch.writes[1] = own(&f.key("there"), there, "new");
    let ack = settle_all(&f.b, &batch).await.expect("the id is still good");
    assert_eq!(f.read(&f.key("there")).await.map(|e| e.revision), ack.revision(1));
    assert_repeat(&f.a, &batch).await;
}

pub async fn the_first_condition_that_fails_is_told(f: Fixture) {
    let (a, b) = (f.put(&f.key("a"), 0, "", 0).await, f.put(&f.key("b"), 0, "", 0).await);
    let (ka, kb) = (f.key("a"), f.key("b"));
    assert_eq!(settle_all(&f.a, &batch(vec![own(&ka, 0, ""), own(&kb, 0, "")])).await, conflict(a));
    assert_eq!(settle_all(&f.a, &batch(vec![own(&kb, 0, ""), own(&ka, 0, "")])).await, conflict(b));
    assert_eq!(settle_all(&f.a, &batch(vec![own(&ka, a, ""), own(&kb, a, "")])).await, conflict(b));
    let (guard, new) = (guarded(&f.key("g"), &kb, a, ""), own(&f.key("new"), a, ""));
    assert_eq!(settle_all(&f.a, &batch(vec![guard.clone(), new.clone()])).await, conflict(b));
    assert_eq!(settle_all(&f.a, &batch(vec![new, guard])).await, conflict(0));
}

/// "Create" means where nothing is; a deletion's marker is something.
pub async fn a_marker_is_not_nothing(f: Fixture) {
    let (key, absent) = (f.key("deleted"), f.key("absent"));
    let put = f.put(&key, 0, "", 0).await;
    let marker = f.delete(&key, put, "", 0).await;
    let with = |expect| batch(vec![own(&absent, 0, "new"), own(&key, expect, "new")]);
    assert_eq!(settle_all(&f.a, &with(0)).await, conflict(marker));
    assert_eq!(settle_all(&f.a, &with(put)).await, conflict(marker));
    assert_eq!(f.read(&absent).await, None);
    let ack = settle_all(&f.a, &with(marker)).await.expect("applied");
    assert_eq!(f.read(&key).await.map(|e| e.revision), ack.revision(1));
    let on_absent = batch(vec![own(&f.key("other"), marker, "new")]);
    assert_eq!(settle_all(&f.a, &on_absent).await, conflict(0));
}

/// A grant that has expired renews nothing, and takes along what rests on it.
pub async fn what_has_expired_is_void(f: Fixture) {
    let (record, value, stays) = (f.key("record"), f.key("value"), f.key("stays"));
    let first = f
        .put_all(vec![BatchWrite { ttl_secs: 1, ..own(&record, 0, "grant") }, own(&stays, 0, "no ttl")])
        .await;
    let renewal = |expect| {
        vec![BatchWrite { ttl_secs: 60, ..own(&record, expect, "renewal") }, own(&value, 0, "guarded")]
    };
    f.gone(&record).await;
    assert_eq!(settle_all(&f.b, &batch(renewal(first))).await, conflict(0));
    assert_eq!(f.read(&value).await, None, "the write that rests on it");
    assert_eq!(f.read(&stays).await.map(|e| e.revision), Some(first + 1), "the TTL is one write's own");
    let second = f.put_all(renewal(0)).await;
    assert_eq!(f.read(&record).await.map(|e| (e.revision, e.ttl_secs)), Some((second, 60)));
}

pub async fn revisions_rise_across_batches_and_writes(f: Fixture) {
    let mut highest = 0;
    for n in 0..20_u64 {
        let key = |part| f.key(&format!("{}.{part}", 99 - n));
        let first = f.put_all((0..=n % 4).map(|part| own(&key(part), 0, "")).collect()).await;
        assert!(first > highest, "{first} after {highest}");
        let single = f.put(&key(9), 0, "", 0).await;
        assert!(single > first + n % 4, "{single} after a batch from {first}");
        highest = single;
    }
    let revisions: Vec<_> = f.all().await.iter().map(|entry| entry.revision).collect();
    assert!(revisions.is_sorted() && revisions.len() == 70, "{revisions:?}");
}
