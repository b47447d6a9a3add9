//! Compare-and-set: the only thing that decides.

use lease::store::{Ack, Revision, Write, WriteError};
use tokio::task::JoinSet;

use crate::kit::{Fixture, conflict, delete, put, settle};

/// How many write at once.
const RACERS: usize = 24;

pub async fn creates_where_nothing_is(f: Fixture) {
    let key = f.key("k");
    let ack = settle(&f.a, &put(&key, 0, "one")).await.expect("created");
    assert!(!ack.duplicate);
    let entry = f.read(&key).await.expect("an entry");
    assert_eq!((entry.revision, entry.value().map(AsRef::as_ref)), (ack.revision, Some(&b"one"[..])));
}

pub async fn conflict_names_the_current_revision(f: Fixture) {
    let (key, absent) = (f.key("k"), f.key("absent"));
    let revision = f.put(&key, 0, "one", 0).await;
    assert_eq!(settle(&f.b, &put(&key, 0, "two")).await, conflict(revision));
    assert_eq!(settle(&f.b, &put(&key, revision - 1, "two")).await, conflict(revision));
    assert_eq!(settle(&f.b, &delete(&key, revision + 1, "")).await, conflict(revision));
    assert_eq!(settle(&f.b, &put(&absent, revision, "two")).await, conflict(0));
    assert_eq!(f.read(&key).await.map(|e| e.revision), Some(revision), "a refused write changes nothing");
    assert_eq!(f.read(&absent).await, None, "a refused write changes nothing");
}

pub async fn update_moves_on_and_the_old_revision_is_void(f: Fixture) {
    let key = f.key("k");
    let first = f.put(&key, 0, "one", 0).await;
    let second = f.put(&key, first, "two", 0).await;
    assert!(second > first);
    assert_eq!(settle(&f.b, &put(&key, first, "late")).await, conflict(second));
    assert_eq!(settle(&f.b, &delete(&key, first, "late")).await, conflict(second));
    assert_eq!(f.read(&key).await.map(|e| e.revision), Some(second));
}

pub async fn marker_counts_with_its_revision(f: Fixture) {
    let key = f.key("k");
    let first = f.put(&key, 0, "one", 0).await;
    let marker = f.delete(&key, first, "bye", 0).await;
    assert!(marker > first);
    assert_eq!(settle(&f.b, &put(&key, 0, "two")).await, conflict(marker), "a marker is not nothing");
    let again = f.delete(&key, marker, "bye again", 0).await;
    let second = f.put(&key, again, "two", 0).await;
    assert_eq!(f.read(&key).await.map(|e| e.revision), Some(second));
    f.delete(&f.key("new"), 0, "a marker may come first", 0).await;
}

pub async fn one_of_a_race_wins(f: Fixture) {
    let key = f.key("k");
    let (mut expect, mut clear) = (0, 0);
    for round in 0..50 {
        let (won, lost) = race(&f, &key, expect, round).await;
        assert!(won.len() <= 1, "{} won: {won:?}; {lost:?}", won.len());
        let entry = f.read(&key).await;
        if let [(revision, write)] = won.as_slice() {
            let there = entry.as_ref().map(|entry| (entry.revision, &entry.body));
            assert_eq!(there, Some((*revision, &write.body)), "who won is in the record");
        }
        expect = entry.map_or(0, |entry| entry.revision);
        // A leader that was elected meanwhile leaves outcomes open: such a round shows no more than that.
        if lost.iter().any(|no| matches!(no, Err(WriteError::NotTaken | WriteError::Unknown(_)))) {
            continue;
        }
        assert_eq!(won.len(), 1, "{lost:?}");
        for no in lost {
            assert!(no == conflict(expect) || no == Err(WriteError::InFlight), "{no:?}");
        }
        clear += 1;
        if clear == 10 {
            return;
        }
    }
    panic!("only {clear} rounds without an election");
}

type Answer = Result<Ack, WriteError>;

/// All write at once; gives who won, and what the others were told.
async fn race(f: &Fixture, key: &str, expect: Revision, round: u32) -> (Vec<(Revision, Write)>, Vec<Answer>) {
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let store = if racer % 2 == 0 { f.a.clone() } else { f.b.clone() };
        let write = put(key, expect, &format!("{round} {racer}"));
        racers.spawn(async move { (store.write(&write).await, write) });
    }
    let (mut won, mut lost) = (Vec::new(), Vec::new());
    for (answer, write) in racers.join_all().await {
        match answer {
            Ok(Ack { revision, duplicate: false }) => won.push((revision, write)),
            other => lost.push(other),
        }
    }
    (won, lost)
}

pub async fn revisions_rise_across_keys(f: Fixture) {
    let mut highest = 0;
    for n in 0..20 {
        let write = put(&f.key(&format!("k{}", n % 7 * 100 + n)), 0, "x");
        let revision = settle(if n % 2 == 0 { &f.a } else { &f.b }, &write).await.expect("created").revision;
        assert!(revision > highest, "{revision} after {highest}");
        assert!(
            (1_000_000_000_000_000..1 << 53).contains(&revision),
            "{revision} is no microseconds of unix time"
        );
        highest = revision;
    }
}

pub async fn bad_keys_are_refused(f: Fixture) {
    for bad in ["", ".a", "a.", "a..b", "a b", "*", ">", "a.*", "a.>", "a*", "\u{e4}", "a\r\nb", "a\0"] {
        let key = if bad.is_empty() { String::new() } else { f.key(bad) };
        let answer = f.a.write(&put(&key, 0, "x")).await;
        assert!(matches!(answer, Err(WriteError::Refused(_))), "{key:?}: {answer:?}");
        assert!(f.a.read(&key).await.is_err(), "{key:?}");
    }
    assert_eq!(f.last(">").await, None, "nothing was stored");
}
