//! Events and notes: fast when they come, and nothing rests on them.
//!
//! Every event may be lost, so each case first waits until its followers hear anything at all ([`Fixture::prime`]).

use bytes::Bytes;
use lease::store::{Body, EVENT_BUFFER, Write};

use crate::ids::assert_repeat;
use crate::kit::{Fixture, conflict, delete, next, put, settle, until};

pub async fn literal_follow_sees_puts_and_deletes(f: Fixture) {
    let key = f.key("a/b=c-d_e.k");
    let mut events = f.b.follow(&key).await.expect("followed");
    let first = f.prime(&mut events, &key, 0).await;
    let value: Bytes = (0..=255).collect();
    let write = Write { body: Body::Put(value.clone()), ttl_secs: 60, ..put(&key, first, "") };
    let second = settle(&f.a, &write).await.expect("written").revision;
    f.put(&f.key("a/b=c-d_e.k.below"), 0, "another key", 0).await;
    f.put(&f.key("a/b=c-d_e"), 0, "another key", 0).await;
    let third = f.delete(&key, second, "a note", 0).await;

    let event = next(&mut events).await;
    assert_eq!((event.key.as_str(), event.revision, event.ttl_secs), (key.as_str(), second, 60));
    assert_eq!(event.body, Body::Put(value));
    let event = next(&mut events).await;
    assert_eq!((event.key.as_str(), event.revision, event.ttl_secs), (key.as_str(), third, 0));
    assert_eq!(event.body, Body::Delete(Bytes::from_static(b"a note")));
}

pub async fn wildcard_follow_sees_what_matches(f: Fixture) {
    let mut one = f.b.follow(&f.key("line.a.*")).await.expect("followed");
    let mut all = f.b.follow(&f.key("line.>")).await.expect("followed");
    let first = f.prime(&mut one, &f.key("line.a.1"), 0).await;
    let first = f.prime(&mut all, &f.key("line.a.1"), first).await;
    f.put(&f.key("else.a.1"), 0, "", 0).await;
    f.put(&f.key("line.a.b.2"), 0, "", 0).await;
    f.put(&f.key("line.ab.3"), 0, "", 0).await;
    f.delete(&f.key("line.a.1"), first, "", 0).await;
    let last = f.put(&f.key("line.a.4"), 0, "", 0).await;

    until("the narrow one has all", async || (next(&mut one).await.revision == last).then_some(())).await;
    for expected in ["line.a.b.2", "line.ab.3", "line.a.1", "line.a.4"] {
        assert_eq!(next_fresh(&mut all, first).await.key, f.key(expected));
    }
}

/// The next event of a write after `revision`.
async fn next_fresh(
    events: &mut lease::store::Events<lease::store::Entry>,
    revision: u64,
) -> lease::store::Entry {
    until("a newer event comes", async || {
        let event = next(events).await;
        (event.revision > revision).then_some(event)
    })
    .await
}

pub async fn followers_do_not_disturb_each_other(f: Fixture) {
    let key = f.key("k");
    let mut first = f.a.follow(&key).await.expect("followed");
    let mut second = f.a.follow(&key).await.expect("followed");
    let mut third = f.b.follow(&key).await.expect("followed");
    let mut revision = 0;
    for events in [&mut first, &mut second, &mut third] {
        revision = f.prime(events, &key, revision).await;
    }
    let next = f.put(&key, revision, "to all", 0).await;
    for events in [&mut first, &mut second, &mut third] {
        assert_eq!(next_fresh(events, revision).await.revision, next);
    }
    drop(first);
    let last = f.put(&key, next, "to the rest", 0).await;
    for events in [&mut second, &mut third] {
        assert_eq!(next_fresh(events, next).await.revision, last);
    }
}

pub async fn only_applied_writes_make_events(f: Fixture) {
    let key = f.key("k");
    let mut events = f.b.follow(&key).await.expect("followed");
    let first = f.prime(&mut events, &key, 0).await;
    let write = put(&key, first, "once");
    let second = settle(&f.a, &write).await.expect("written").revision;
    assert_repeat(&settle(&f.a, &write).await, second, second);
    assert_eq!(settle(&f.a, &delete(&key, first, "late")).await, conflict(second));
    let third = f.put(&key, second, "after", 0).await;
    assert_eq!(next(&mut events).await.revision, second);
    assert_eq!(next(&mut events).await.revision, third, "neither the repeat nor the refusal was announced");
}

pub async fn events_come_in_order(f: Fixture) {
    let mut events = f.b.follow(&f.key("*")).await.expect("followed");
    f.prime(&mut events, &f.key("prime"), 0).await;
    let mut made = Vec::new();
    for n in 0..100 {
        made.push(f.put(&f.key(&format!("k{n}")), 0, "", 0).await);
    }
    for revision in made {
        assert_eq!(next(&mut events).await.revision, revision);
    }
}

pub async fn a_full_buffer_drops_the_newest_and_goes_on(f: Fixture) {
    let key = f.key("k");
    let mut idle = f.b.follow(&key).await.expect("followed");
    let mut busy = f.b.follow(&key).await.expect("followed");
    let mut revision = f.prime(&mut idle, &key, 0).await;
    revision = f.prime(&mut busy, &key, revision).await;
    while idle.try_recv().is_ok() {}
    let (start, mut made) = (revision, Vec::new());
    for _ in 0..EVENT_BUFFER + 100 {
        let written = f.put(&key, revision, "", 0).await;
        assert_eq!(next(&mut busy).await.revision, written, "one idle follower does not slow another");
        made.push(written);
        revision = written;
    }
    // A few more than fit may come: what was under way finds room as soon as the first are taken.
    let mut kept = Vec::new();
    while let Ok(event) = idle.try_recv() {
        kept.push(event.revision);
    }
    kept.retain(|revision| *revision > start);
    assert!((EVENT_BUFFER - 20..made.len()).contains(&kept.len()), "kept {}", kept.len());
    let oldest = EVENT_BUFFER - 20;
    assert_eq!(kept[..oldest], made[..oldest], "the newest are dropped, not the oldest");
    assert!(kept.is_sorted());
    f.prime(&mut idle, &key, revision).await;
}

pub async fn notes_reach_their_process_only(f: Fixture) {
    let (mine, yours) = (f.key("p1").replace('.', "-"), f.key("p2").replace('.', "-"));
    let mut inbox = f.a.inbox(&mine).await.expect("an inbox");
    let mut other = f.b.inbox(&yours).await.expect("an inbox");
    f.prime_inbox(&mut inbox, &mine).await;
    f.prime_inbox(&mut other, &yours).await;
    f.b.tell("nobody-there", Bytes::from_static(b"lost")).await;
    let notes: [Bytes; 3] = [(0..=255).collect(), Bytes::new(), Bytes::from_static(b"last")];
    for note in &notes {
        f.b.tell(&mine, note.clone()).await;
    }
    f.a.tell(&yours, Bytes::from_static(b"yours")).await;
    for note in notes {
        assert_eq!(next(&mut inbox).await, note);
    }
    assert_eq!(next(&mut other).await, Bytes::from_static(b"yours"));
}
