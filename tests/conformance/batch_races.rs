//! Batches against batches, single writes and guards, all at once.

use lease::store::{BatchAck, Revision, WriteError};
use tokio::join;

use crate::batch_kit::{Outcome, batch, guarded, own, resolved, settle_all};
use crate::kit::{Fixture, put, settle};

const ROUNDS: usize = 200;

/// Two batches over keys of which one is in both, at different places.
pub async fn of_two_that_overlap_one_wins(f: Fixture) {
    for round in 0..ROUNDS {
        let key = |name: &str| f.key(&format!("{round}.{name}"));
        let mine = |who: &str| vec![own(&key(&format!("{who}1")), 0, who), own(&key("both"), 0, who)];
        let (one, mut two) = (batch(mine("one")), mine("two"));
        two.rotate_left(round % 2);
        two.push(own(&key("two3"), 0, "two"));
        let two = batch(two);
        let (first, second) = join!(settle_all(&f.a, &one), settle_all(&f.b, &two));
        let (won, lost) = match (&first, &second) {
            (Ok(_), Err(_)) => ("one", &second),
            (Err(_), Ok(_)) => ("two", &first),
            other => panic!("round {round}: {other:?}"),
        };
        let winner = if won == "one" { &one } else { &two };
        let ack = resolved(&f.a, winner).await;
        assert!([&first, &second].contains(&&Ok(ack)), "round {round}: {ack:?}");
        let there = f.read(&key("both")).await.expect("written");
        assert_eq!(there.value().map(AsRef::as_ref), Some(won.as_bytes()));
        assert_eq!(*lost, Err(WriteError::Conflict { current: Some(there.revision) }), "round {round}");
    }
    // Nothing is left of the losers, and the winners are whole: 2 entries of the one, 3 of the other.
    let entries = f.all().await;
    let of = |who: &str| {
        entries.iter().filter(|e| e.value().is_some_and(|v| v.as_ref() == who.as_bytes())).count()
    };
    let both = entries.iter().filter(|entry| entry.key.ends_with(".both")).count();
    assert_eq!((both, of("one") % 2, of("two") % 3), (ROUNDS, 0, 0));
    assert_eq!(of("one") / 2 + of("two") / 3, ROUNDS);
}

pub async fn a_single_write_comes_before_or_after(f: Fixture) {
    for round in 0..ROUNDS {
        let key = |name: &str| f.key(&format!("{round}.{name}"));
        let whole =
            batch(vec![own(&key("a"), 0, "whole"), own(&key("b"), 0, "whole"), own(&key("c"), 0, "whole")]);
        let single = put(&key(["a", "b", "c"][round % 3]), 0, "single");
        // An embedded store answers at once, so whoever asks first comes first.
        let (all, one) = if round % 2 == 0 {
            join!(settle_all(&f.a, &whole), settle(&f.b, &single))
        } else {
            let (one, all) = join!(settle(&f.b, &single), settle_all(&f.a, &whole));
            (all, one)
        };
        let count = f.under(&format!("{round}.*")).await.len();
        match (&all, &one) {
            (Ok(_), Err(WriteError::Conflict { .. })) => assert_eq!(count, 3, "round {round}"),
            (Err(WriteError::Conflict { .. }), Ok(_)) => assert_eq!(count, 1, "round {round}"),
            other => panic!("round {round}: {other:?}"),
        }
    }
}

/// The limit changes while slots are taken under the old one: whatever was taken under it came before.
pub async fn a_guard_and_its_change_exclude_each_other(f: Fixture) {
    let guard = f.key("limit");
    let mut limit = f.put(&guard, 0, "limit", 0).await;
    for round in 0..ROUNDS {
        let slot = |n: usize| f.key(&format!("slot.{round}.{n}"));
        let take = |n: usize| batch(vec![own(&slot(n), 0, "mine"), guarded(&slot(n), &guard, limit, "mine")]);
        let change = put(&guard, limit, "new limit");
        let (one, two, changed) = (take(1), take(2), settle(&f.b, &change));
        let (one, two, changed) = join!(settle_all(&f.a, &one), settle_all(&f.b, &two), changed);
        let changed = changed.expect("nobody else changes it").revision;
        for taken in [one, two] {
            before(&taken, changed);
        }
        limit = changed;
    }
}

fn before(taken: &Outcome, changed: Revision) {
    match taken {
        Ok(BatchAck::Applied { last, .. }) => {
            assert!(*last < changed, "{last} under a limit changed as {changed}")
        }
        Err(WriteError::Conflict { current: Some(current) }) => assert_eq!(*current, changed),
        other => panic!("{other:?}"),
    }
}
