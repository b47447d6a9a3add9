//! Expiry: by itself, silent, and never early.

use std::time::Duration;

use lease::{Ambient, System};

use crate::kit::{Fixture, conflict, next, put, scan_all, settle, until};

/// What two clocks of one host may differ by when they time the same second.
const CLOCKS: Duration = Duration::from_millis(50);

pub async fn value_expires(f: Fixture) {
    let key = f.key("k");
    let sent = System.now();
    let revision = f.put(&key, 0, "one", 2).await;
    assert_eq!(settle(&f.a, &put(&key, 0, "two")).await, conflict(revision), "before, it counts");
    f.gone(&key).await;
    assert!(System.now().since(sent) + CLOCKS >= Duration::from_secs(2), "never early");
    leaves_nothing(&f, &key, revision).await;
}

pub async fn marker_expires(f: Fixture) {
    let key = f.key("k");
    let first = f.put(&key, 0, "one", 0).await;
    let sent = System.now();
    let marker = f.delete(&key, first, "bye", 1).await;
    f.gone(&key).await;
    assert!(System.now().since(sent) + CLOCKS >= Duration::from_secs(1), "never early");
    leaves_nothing(&f, &key, marker).await;
}

/// Expired is as good as never written, to every way of looking and to CAS.
async fn leaves_nothing(f: &Fixture, key: &str, revision: u64) {
    assert_eq!(f.at(revision).await, None);
    assert_eq!(f.last("k").await, None);
    until("every replica has expired it", async || scan_all(&f.a, key).await.is_empty().then_some(())).await;
    assert_eq!(settle(&f.b, &put(key, revision, "late")).await, conflict(0));
    let next = f.put(key, 0, "next", 0).await;
    assert!(next > revision);
}

/// The TTL is the entry's, not the key's.
pub async fn update_without_ttl_stays(f: Fixture) {
    let (key, witness) = (f.key("k"), f.key("witness"));
    let first = f.put(&key, 0, "one", 1).await;
    let second = f.put(&key, first, "two", 0).await;
    f.put(&witness, 0, "expires after the key would have", 2).await;
    f.gone(&witness).await;
    assert_eq!(f.read(&key).await.map(|e| (e.revision, e.ttl_secs)), Some((second, 0)));
}

pub async fn update_restarts_the_ttl(f: Fixture) {
    let (key, early, late) = (f.key("k"), f.key("early"), f.key("late"));
    f.put(&early, 0, "expires before the key would", 1).await;
    let first = f.put(&key, 0, "one", 2).await;
    f.put(&late, 0, "expires after the key would have", 2).await;
    f.gone(&early).await;
    let sent = System.now();
    let second = f.put(&key, first, "two", 4).await;
    f.gone(&late).await;
    assert_eq!(f.read(&key).await.map(|e| e.revision), Some(second), "the first write's TTL is void");
    f.gone(&key).await;
    assert!(System.now().since(sent) + CLOCKS >= Duration::from_secs(4), "never early");
}

pub async fn expiry_makes_no_event(f: Fixture) {
    let (key, other) = (f.key("k"), f.key("other"));
    let mut events = f.b.follow(&f.key("*")).await.expect("followed");
    f.prime(&mut events, &other, 0).await;
    let first = f.put(&key, 0, "one", 1).await;
    assert_eq!(next(&mut events).await.revision, first);
    f.gone(&key).await;
    let second = f.put(&key, 0, "two", 0).await;
    assert_eq!(next(&mut events).await.revision, second, "nothing came in between");
}
