//! Single entries, and what the store says of itself.

use bytes::Bytes;
use lease::store::{Body, Write};
use lease::{Ambient, System};

use crate::kit::{Fixture, patiently, put, scan_all, settle, write};

pub async fn absent_is_none(f: Fixture) {
    let key = f.key("k");
    assert_eq!(f.read(&key).await, None);
    assert_eq!(f.last("k").await, None);
    assert_eq!(f.last(">").await, None);
    assert_eq!(scan_all(&f.a, &f.key(">")).await, []);
    assert_eq!(f.at(1).await, None, "before the first");
    assert_eq!(f.at(1 << 53).await, None, "after the last");
}

pub async fn entry_tells_what_was_written(f: Fixture) {
    let write = Write { ttl_secs: 77, ..put(&f.key("k"), 0, "one") };
    let before = System.wall_micros();
    let revision = settle(&f.a, &write).await.expect("created").revision;
    let after = System.wall_micros();
    let entry = f.read(&write.key).await.expect("an entry");
    assert_eq!((&entry.key, &entry.body, entry.revision), (&write.key, &write.body, revision));
    assert_eq!(entry.ttl_secs, 77);
    assert!((before..=after).contains(&entry.written_micros), "{entry:?} in {before}..{after}");
    assert_eq!(f.at(revision).await, Some(entry.clone()), "every way of reading says the same");
    assert_eq!(f.last("*").await, Some(entry.clone()));
    assert_eq!(scan_all(&f.b, &f.key(">")).await, [entry]);
}

pub async fn marker_gives_its_note_back(f: Fixture) {
    let key = f.key("k");
    let revision = f.put(&key, 0, "one", 0).await;
    let marker = f.delete(&key, revision, "{\"why\":\"released\"}", 60).await;
    let entry = f.read(&key).await.expect("a marker");
    assert_eq!((entry.revision, entry.ttl_secs, entry.value()), (marker, 60, None));
    assert_eq!(entry.body, Body::Delete(Bytes::from_static(b"{\"why\":\"released\"}")));
    let bare = f.delete(&key, marker, "", 0).await;
    let entry = f.at(bare).await.expect("a marker");
    assert_eq!(entry.body, Body::Delete(Bytes::new()), "a note may be empty");
}

pub async fn empty_value_is_no_marker(f: Fixture) {
    let key = f.key("k");
    f.put(&key, 0, "", 0).await;
    assert_eq!(f.read(&key).await.map(|e| e.body), Some(Body::Put(Bytes::new())));
}

pub async fn revision_is_read_until_overwritten(f: Fixture) {
    let key = f.key("k");
    let first = f.put(&key, 0, "one", 0).await;
    let entry = f.at(first).await.expect("an entry");
    assert_eq!((entry.key.as_str(), entry.revision), (key.as_str(), first));
    let second = f.put(&key, first, "two", 0).await;
    assert_eq!(f.at(first).await, None);
    let marker = f.delete(&key, second, "", 0).await;
    assert_eq!(f.at(second).await, None);
    assert!(f.at(marker).await.is_some());
}

pub async fn values_up_to_8_kib_of_any_bytes(f: Fixture) {
    for size in [1, 255, 256, 4096, 8192] {
        let value: Bytes = (0..size).map(|n: u32| (n * 7 + n / 256) as u8).collect();
        for (kind, body) in [("put", Body::Put(value.clone())), ("delete", Body::Delete(value.clone()))] {
            let key = f.key(&format!("{kind}.{size}"));
            settle(&f.a, &write(&key, 0, body.clone())).await.expect("created");
            assert!(f.read(&key).await.is_some_and(|e| e.body == body), "{key}");
            assert!(f.last(&format!("{kind}.{size}")).await.is_some_and(|e| e.body == body), "{key}");
            assert!(scan_all(&f.b, &key).await.iter().all(|e| e.body == body), "{key}");
        }
    }
}

pub async fn keys_of_every_allowed_character(f: Fixture) {
    let long = ["n".repeat(200), "i".repeat(22)].join(".");
    let odd = ["a-b", "a_b", "a=b", "a/b", "/", "=", "-", "_", "A.z.0", "a/b=c-d_e.F/G", long.as_str()];
    for rest in odd {
        let key = f.key(rest);
        let revision = f.put(&key, 0, rest, 0).await;
        assert_eq!(f.read(&key).await.map(|e| (e.key, e.revision)), Some((key.clone(), revision)));
        assert_eq!(scan_all(&f.b, &key).await.len(), 1, "{key}");
    }
    let keys: Vec<String> = scan_all(&f.b, &f.key(">")).await.into_iter().map(|e| e.key).collect();
    assert_eq!(keys, odd.map(|rest| f.key(rest)));
}

pub async fn life_is_stable_and_covers_ttls(f: Fixture) {
    let life = patiently(async || f.a.life().await).await;
    assert!(!life.id.is_empty());
    assert_eq!(life.quiet_secs, None, "a first life has nothing to wait for");
    patiently(async || f.a.cover_ttl(86_402).await).await;
    patiently(async || f.b.cover_ttl(22).await).await;
    for store in [&f.a, &f.b] {
        let again = patiently(async || store.life().await).await;
        assert_eq!((again.id, again.quiet_secs), (life.id.clone(), None));
        assert!(again.longest_ttl_secs >= 86_402, "a shorter one does not take it back");
    }
}

pub async fn the_store_answers(f: Fixture) {
    for store in [&f.a, &f.b] {
        assert!(store.connected());
        patiently(async || store.probe().await).await;
    }
}

/// What it says lies between two writes that were made before and after, by the clock that entries go by. Three servers'
/// clocks are one here.
pub async fn the_time_is_that_of_its_entries(f: Fixture) {
    let key = f.key("time");
    let before = f.put(&key, 0, "before", 60).await;
    let written = patiently(async || f.a.read_revision(before).await).await.expect("there").written_micros;
    let time = patiently(async || f.b.time().await).await;
    let after = f.put(&key, before, "after", 60).await;
    let later = patiently(async || f.a.read_revision(after).await).await.expect("there").written_micros;
    assert!(written <= time && time <= later, "{written} {time} {later}");
}
