//! What the conformance suite cannot see: virtual time, bounds, and the hooks for simulation.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::ambient::Ambient;
use crate::store::EVENT_BUFFER;

#[derive(Debug, Default)]
struct Clock(AtomicU64);

impl Clock {
    fn advance(&self, millis: u64) {
        self.0.fetch_add(millis * 1_000_000, Ordering::Relaxed);
    }
}

impl Ambient for Clock {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.0.load(Ordering::Relaxed))
    }
    fn wall_micros(&self) -> u64 {
        1_790_000_000_000_000 + self.0.load(Ordering::Relaxed) / 1_000
    }
    fn random(&self) -> u128 {
        panic!("the store draws no random numbers")
    }
}

fn fixture() -> (Arc<MemoryStore>, Arc<Clock>) {
    let clock = Arc::new(Clock::default());
    (MemoryStore::new(clock.clone()), clock)
}

fn put(key: &str, expect: Revision, ttl_secs: u64, id: &str) -> Write {
    Write { key: key.into(), expect, body: Body::Put(Bytes::from_static(b"v")), ttl_secs, id: id.into() }
}

fn conflict(current: Revision) -> Result<Ack, WriteError> {
    Err(WriteError::Conflict { current: Some(current) })
}

#[tokio::test]
async fn first_revision_is_the_wall_clock() {
    let (store, _) = fixture();
    let ack = store.write(&put("a", 0, 0, "1")).await;
    assert_eq!(ack, Ok(Ack { revision: 1_790_000_000_000_000, duplicate: false }));
}

#[tokio::test]
async fn an_id_is_forgotten_after_its_window_and_not_before() {
    let (store, clock) = fixture();
    let first = store.write(&put("a", 0, 0, "1")).await.expect("first");
    clock.advance(59_999);
    assert_eq!(store.write(&put("a", 0, 0, "1")).await, Ok(Ack { duplicate: true, ..first }));
    clock.advance(1);
    assert_eq!(store.write(&put("a", 0, 0, "1")).await, conflict(first.revision));
}

#[tokio::test]
async fn an_entry_ends_exactly_with_its_ttl() {
    let (store, clock) = fixture();
    let first = store.write(&put("a", 0, 2, "1")).await.expect("first");
    clock.advance(1_999);
    assert!(store.read("a").await.expect("read").is_some());
    assert_eq!(store.write(&put("a", 0, 2, "2")).await, conflict(first.revision));
    clock.advance(1);
    assert_eq!(store.read("a").await, Ok(None));
    assert_eq!(store.read_revision(first.revision).await, Ok(None));
    assert!(store.write(&put("a", 0, 0, "3")).await.is_ok());
}

#[tokio::test]
async fn nothing_grows_with_time() {
    let (store, clock) = fixture();
    for n in 0..20_000_u64 {
        clock.advance(100);
        let key = format!("k.{n}");
        store.write(&put(&key, 0, 5, &key)).await.expect("written");
        drop(store.follow(&key).await.expect("followed"));
        drop(store.inbox(&key).await.expect("inbox"));
    }
    let bucket = store.bucket.lock().expect("lock");
    assert!(bucket.shelf.rows().into_iter().all(|rows| rows <= 51), "{:?}", bucket.shelf.rows());
    assert!(bucket.ids.len() <= 601, "{}", bucket.ids.len());
    assert!(bucket.followers.len() <= 65 && bucket.inboxes.len() <= 65);
}

#[tokio::test]
async fn a_full_follower_misses_the_newest_and_goes_on() {
    let (store, _) = fixture();
    let mut events = store.follow("a").await.expect("followed");
    let mut made = Vec::new();
    for n in 0..EVENT_BUFFER + 9 {
        let expect = made.last().copied().unwrap_or(0);
        made.push(store.write(&put("a", expect, 0, &n.to_string())).await.expect("written").revision);
    }
    for revision in &made[..EVENT_BUFFER] {
        assert_eq!(events.recv().await.expect("event").revision, *revision);
    }
    assert!(events.try_recv().is_err());
    let next = store.write(&put("a", made[made.len() - 1], 0, "next")).await.expect("written").revision;
    assert_eq!(events.recv().await.expect("event").revision, next);
}

#[tokio::test]
async fn recreated_it_is_another_life_and_quiet_for_a_while() {
    let (store, clock) = fixture();
    let mut events = store.follow("a").await.expect("followed");
    store.cover_ttl(22).await.expect("covered");
    store.cover_ttl(5).await.expect("covered");
    store.write(&put("a", 0, 0, "1")).await.expect("written");
    let before = store.life().await.expect("life");
    assert_eq!((before.quiet_secs, before.longest_ttl_secs), (None, 22));

    store.recreate(before_first() + 500);
    let after = store.life().await.expect("life");
    assert_ne!(after.id, before.id);
    assert_eq!((after.quiet_secs, after.longest_ttl_secs), (Some(22), 22));
    assert_eq!(store.read("a").await, Ok(None));
    let again = store.write(&put("a", 0, 0, "1")).await.expect("the id is forgotten");
    assert_eq!(again, Ack { revision: before_first() + 500, duplicate: false });
    assert_eq!(events.recv().await.expect("event").revision, before_first());
    assert_eq!(events.recv().await.expect("event").revision, again.revision);

    clock.advance(20_500);
    assert_eq!(store.life().await.expect("life").quiet_secs, Some(2));
    clock.advance(1_500);
    assert_eq!(store.life().await.expect("life").quiet_secs, None);

    store.recreate(before_first() + 500);
    assert_ne!(store.life().await.expect("life").id, after.id, "the same first revision is no same life");
}

fn before_first() -> Revision {
    1_790_000_000_000_000
}

#[tokio::test]
async fn regressed_it_gives_revisions_out_again() {
    let (store, _) = fixture();
    let old = store.write(&put("a", 0, 9, "1")).await.expect("written").revision;
    let lost = store.write(&put("b", 0, 9, "2")).await.expect("written").revision;
    store.regress(1);
    assert!(store.read("a").await.expect("read").is_some());
    assert_eq!(store.read("b").await, Ok(None));
    let again = store.write(&put("b", 0, 9, "2")).await.expect("the lost write's id is forgotten");
    assert_eq!(again, Ack { revision: lost, duplicate: false });
    assert!(store.write(&put("a", 0, 9, "1")).await.expect("known").duplicate);
    store.regress(u64::MAX);
    assert_eq!(store.read_revision(old).await, Ok(None));
    assert_eq!(store.write(&put("a", 0, 0, "3")).await.expect("written").revision, 1);
}

#[tokio::test]
async fn expired_early_it_is_gone_without_an_event() {
    let (store, _) = fixture();
    store.write(&put("a", 0, 9, "1")).await.expect("written");
    let mut events = store.follow("a").await.expect("followed");
    assert!(store.expire_early("a") && !store.expire_early("a"));
    assert_eq!(store.read("a").await, Ok(None));
    assert!(events.try_recv().is_err());
    assert_eq!(store.bucket.lock().expect("lock").shelf.rows(), [0, 0, 0]);
}

#[tokio::test]
async fn what_nats_would_refuse_is_refused() {
    let (store, _) = fixture();
    for bad in ["", "a..b", ".a", "a.", "a b", "a.*", ">", "\u{e4}", "a\r\nb"] {
        assert!(matches!(store.write(&put(bad, 0, 0, "1")).await, Err(WriteError::Refused(_))), "{bad:?}");
        assert!(store.read(bad).await.is_err(), "{bad:?}");
    }
    for bad in ["", "a..b", "a*", ">.a", "a b"] {
        assert!(store.last(bad).await.is_err() && store.scan(bad, 0).await.is_err(), "{bad:?}");
        assert!(store.follow(bad).await.is_err(), "{bad:?}");
    }
    let long = format!("line.lock.{}.id", "n".repeat(200));
    assert!(store.write(&put(&long, 0, 0, "1")).await.is_ok(), "a key may be longer than a name");
    let huge = Write { body: Body::Put(vec![0; (1 << 20) + 1].into()), ..put("a", 0, 0, "2") };
    assert!(matches!(store.write(&huge).await, Err(WriteError::Refused(_))));
}
