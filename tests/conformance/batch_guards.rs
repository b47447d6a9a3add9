//! Guards: a write under another key's revision.

use crate::batch_kit::{batch, conflict, gone, guarded, own, settle_all};
use crate::kit::Fixture;

pub async fn a_guard_lets_pass_what_it_should(f: Fixture) {
    let (guard, absent) = (f.key("guard"), f.key("absent"));
    let first = f.put(&guard, 0, "limit", 0).await;
    let slot = |n: usize| f.key(&format!("slot.{n}"));
    f.put_all(vec![guarded(&slot(0), &guard, first, "")]).await;
    f.put_all(vec![guarded(&slot(1), &absent, 0, ""), own(&slot(2), 0, "")]).await;
    f.put_all(vec![guarded(&slot(3), &guard, first, ""), guarded(&slot(4), &guard, first, "")]).await;
    f.put_all(vec![guarded(&slot(5), &guard, first, ""), own(&guard, first, "read, then written")]).await;
    assert_eq!(f.all().await.len(), 7);
    assert_eq!(f.read(&absent).await, None, "a guard is not written");
}

pub async fn a_guard_keeps_out_what_it_should(f: Fixture) {
    let (guard, slot, other) = (f.key("guard"), f.key("slot"), f.key("other"));
    let first = f.put(&guard, 0, "limit", 0).await;
    let refused = async |writes, current| {
        assert_eq!(settle_all(&f.b, &batch(writes)).await, conflict(current));
        assert_eq!((f.read(&slot).await, f.read(&other).await), (None, None));
    };
    refused(vec![guarded(&slot, &guard, first - 1, ""), own(&other, 0, "")], first).await;
    refused(vec![own(&other, 0, ""), guarded(&slot, &guard, 0, "")], first).await;
    refused(vec![guarded(&slot, &guard, first, ""), guarded(&other, &guard, first + 1, "")], first).await;
    refused(vec![guarded(&slot, &f.key("absent"), first, "")], 0).await;
    let second = f.put(&guard, first, "limit", 0).await;
    refused(vec![guarded(&slot, &guard, first, "")], second).await;
    let marker = f.delete(&guard, second, "", 0).await;
    refused(vec![guarded(&slot, &guard, 0, "")], marker).await;
    refused(vec![guarded(&slot, &guard, second, "")], marker).await;
    let third = f.put(&guard, marker, "", 1).await;
    f.gone(&guard).await;
    refused(vec![guarded(&slot, &guard, third, "")], 0).await;
    f.put_all(vec![guarded(&slot, &guard, 0, "")]).await;
}

/// What a guard does not do: compare the key that is written.
pub async fn a_guarded_write_overwrites_whatever_is_there(f: Fixture) {
    let (guard, slot) = (f.key("guard"), f.key("slot"));
    let limit = f.put(&guard, 0, "limit", 0).await;
    f.put(&slot, 0, "somebody's", 0).await;
    let over = f.put_all(vec![guarded(&slot, &guard, limit, "over")]).await;
    assert_eq!(f.read(&slot).await.map(|e| e.revision), Some(over));
}

/// How a slot is both compared itself and guarded by the limit: written twice, of which the second stands.
pub async fn a_key_written_twice_is_compared_and_guarded(f: Fixture) {
    let (guard, slot) = (f.key("guard"), f.key("slot"));
    let limit = f.put(&guard, 0, "limit", 0).await;
    let twice =
        |expect, limit| vec![own(&slot, expect, "compared"), guarded(&slot, &guard, limit, "guarded")];
    let mut events = f.b.follow(&slot).await.expect("followed");
    let primed = f.prime(&mut events, &slot, 0).await;

    assert_eq!(settle_all(&f.a, &batch(twice(0, limit))).await, conflict(primed));
    assert_eq!(settle_all(&f.a, &batch(twice(primed, limit - 1))).await, conflict(limit));
    let first = f.put_all(twice(primed, limit)).await;
    let entry = f.read(&slot).await.expect("taken");
    assert_eq!((entry.revision, entry.value().map(AsRef::as_ref)), (first + 1, Some(&b"guarded"[..])));
    assert_eq!(f.at(first).await, None, "history is one deep");
    for expected in [first, first + 1] {
        assert_eq!(crate::kit::next(&mut events).await.revision, expected, "both are told");
    }
    let freed = f.put_all(vec![gone(&slot, first + 1, "released")]).await;
    f.put_all(twice(freed, limit)).await;
}
