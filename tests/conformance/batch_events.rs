//! What followers hear of batches, one key or many at a time.

use lease::store::{Body, EVENT_BUFFER};

use crate::batch_kit::{assert_repeat, batch, conflict, gone, own, settle_all};
use crate::kit::{Fixture, next, until};

pub async fn each_write_is_told_in_order(f: Fixture) {
    let mut all = f.b.follow(&f.key("line.>")).await.expect("followed");
    let mut one = f.b.follow(&f.key("line.a.2")).await.expect("followed");
    let primed = f.prime(&mut all, &f.key("line.prime"), 0).await;
    let two = f.prime(&mut one, &f.key("line.a.2"), 0).await;
    until("the other has heard of it", async || (next(&mut all).await.revision == two).then_some(())).await;
    let mut expected = Vec::new();
    for _ in 0..20 {
        let revision =
            |key: &str| expected.iter().rfind(|(known, _)| *known == key).map_or(0, |(_, made)| *made);
        let (b, prime) = (revision("line.b"), revision("line.prime").max(primed));
        let first = f
            .put_all(vec![
                own(&f.key("line.b"), b, "one"),
                own(
                    &f.key("else"),
                    f.read(&f.key("else")).await.map_or(0, |e| e.revision),
                    "not of the line",
                ),
                gone(&f.key("line.a.2"), revision("line.a.2").max(two), "two"),
                own(&f.key("line.prime"), prime, "three"),
            ])
            .await;
        expected.extend([("line.b", first), ("line.a.2", first + 2), ("line.prime", first + 3)]);
    }
    for (key, revision) in &expected {
        let event = next(&mut all).await;
        assert_eq!((event.key, event.revision), (f.key(key), *revision));
        if *key == "line.a.2" {
            let event = next(&mut one).await;
            assert_eq!((event.revision, event.body), (*revision, Body::Delete("two".into())));
        }
    }
}

pub async fn only_applied_batches_make_events(f: Fixture) {
    let mut events = f.b.follow(&f.key("*")).await.expect("followed");
    let there = f.prime(&mut events, &f.key("there"), 0).await;
    let no = batch(vec![own(&f.key("a"), 0, ""), own(&f.key("there"), 0, "")]);
    assert_eq!(settle_all(&f.a, &no).await, conflict(there));
    let yes = batch(vec![own(&f.key("b"), 0, ""), own(&f.key("c"), 0, "")]);
    let ack = settle_all(&f.a, &yes).await.expect("applied");
    assert_repeat(&f.a, &yes).await;
    let last = f.put(&f.key("d"), 0, "", 0).await;
    for expected in [ack.revision(0), ack.revision(1), Some(last)] {
        assert_eq!(Some(next(&mut events).await.revision), expected);
    }
}

/// A filter's buffer is no larger than a key's, and a batch may be longer than either.
pub async fn a_full_buffer_of_a_filter_drops_the_newest_and_goes_on(f: Fixture) {
    let mut events = f.b.follow(&f.key("*.*")).await.expect("followed");
    let primed = f.prime(&mut events, &f.key("prime.k"), 0).await;
    while events.try_recv().is_ok() {}
    let length = EVENT_BUFFER + 246;
    let key = |n: usize| f.key(&format!("k.{n}"));
    let first = f.put_all((0..length).map(|n| own(&key(n), 0, "")).collect()).await;
    // The follower has done its work once its buffer is full, and another one of the same connection has heard what
    // came later.
    let limit = std::time::Duration::from_secs(30);
    support::eventually("a full buffer", limit, async || (events.len() >= EVENT_BUFFER - 20).then_some(()))
        .await;
    let after =
        f.prime(&mut f.b.follow(&f.key("after.*")).await.expect("followed"), &f.key("after.k"), 0).await;
    let mut kept = Vec::new();
    while let Ok(event) = events.try_recv() {
        kept.push(event.revision);
    }
    kept.retain(|revision| (first..after).contains(revision));
    assert!(kept.len() >= EVENT_BUFFER - 20 && kept.len() < length, "kept {}", kept.len());
    let oldest = EVENT_BUFFER - 20;
    assert_eq!(kept[..oldest], (first..first + oldest as u64).collect::<Vec<_>>(), "the newest are dropped");
    assert!(kept.is_sorted());
    f.prime(&mut events, &f.key("prime.k"), primed).await;
}

pub async fn filters_of_every_form_are_followed(f: Fixture) {
    let mut followers = Vec::new();
    let table: [(&str, &[usize]); 5] =
        [("*.m.1", &[0, 2]), ("g.>", &[0, 1]), ("g.*.*", &[0, 1]), ("*.*.1", &[0, 2]), ("g.m.2", &[1])];
    for (filter, _) in table {
        followers.push(f.b.follow(&f.key(filter)).await.expect("followed"));
    }
    let keys = ["g.m.1", "g.m.2", "h.m.1", "h.n.2", "else"];
    let mut revisions = [0; 5];
    for (follower, (_, hears)) in followers.iter_mut().zip(table) {
        revisions[hears[0]] = f.prime(follower, &f.key(keys[hears[0]]), revisions[hears[0]]).await;
    }
    let writes = keys.iter().zip(revisions).map(|(key, expect)| own(&f.key(key), expect, "x")).collect();
    let first = f.put_all(writes).await;
    for (follower, (filter, hears)) in followers.iter_mut().zip(table) {
        for place in hears {
            let event = until("the batch is heard of", async || {
                let event = next(follower).await;
                (event.revision >= first).then_some(event)
            });
            assert_eq!(event.await.key, f.key(keys[*place]), "{filter}");
        }
    }
    for bad in ["a..b", "a*", ">.a", "a b"] {
        assert!(f.a.follow(&f.key(bad)).await.is_err(), "{bad}");
    }
}
