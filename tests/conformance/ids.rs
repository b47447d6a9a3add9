//! Message ids: how a write whose answer was lost is resolved.

use lease::store::{Ack, Write};
use tokio::task::JoinSet;

use crate::kit::{Fixture, conflict, put, settle};

/// How many send the same write at once.
const SENDERS: usize = 8;

pub async fn repeat_is_told_so(f: Fixture) {
    let write = put(&f.key("k"), 0, "one");
    let first = settle(&f.a, &write).await.expect("created");
    for store in [&f.a, &f.b, &f.a] {
        assert_eq!(settle(store, &write).await, Ok(Ack { revision: first.revision, duplicate: true }));
    }
    assert_eq!(f.read(&write.key).await.map(|e| e.revision), Some(first.revision), "applied once");
}

pub async fn repeat_is_told_so_after_an_overwrite(f: Fixture) {
    let write = put(&f.key("k"), 0, "one");
    let first = settle(&f.a, &write).await.expect("created");
    let second = f.put(&write.key, first.revision, "two", 0).await;
    let repeat = settle(&f.b, &write).await;
    assert_eq!(
        repeat,
        Ok(Ack { revision: first.revision, duplicate: true }),
        "the id comes before the revision"
    );
    f.delete(&write.key, second, "", 0).await;
    assert_eq!(settle(&f.b, &write).await, repeat);
    assert_eq!(
        f.read(&write.key).await.and_then(|e| e.value().cloned()),
        None,
        "and nothing is written again"
    );
}

pub async fn repeat_is_told_so_after_the_entry_has_expired(f: Fixture) {
    let write = Write { ttl_secs: 1, ..put(&f.key("k"), 0, "one") };
    let first = settle(&f.a, &write).await.expect("created");
    f.gone(&write.key).await;
    assert_eq!(settle(&f.b, &write).await, Ok(Ack { revision: first.revision, duplicate: true }));
    assert_eq!(f.read(&write.key).await, None, "and nothing is written again");
}

pub async fn failed_cas_does_not_use_the_id_up(f: Fixture) {
    let key = f.key("k");
    let revision = f.put(&key, 0, "one", 0).await;
    let early = put(&key, 0, "two");
    assert_eq!(settle(&f.a, &early).await, conflict(revision));
    let right = Write { expect: revision, ..early };
    let ack = settle(&f.a, &right).await.expect("the id is still good");
    assert!(!ack.duplicate && ack.revision > revision, "{ack:?}");
    assert_eq!(settle(&f.a, &right).await, Ok(Ack { duplicate: true, ..ack }), "now it is used up");
}

pub async fn sent_many_times_at_once_it_is_applied_once(f: Fixture) {
    let mut senders = JoinSet::new();
    let write = put(&f.key("k"), 0, "one");
    for sender in 0..SENDERS {
        let (store, write) = (if sender % 2 == 0 { f.a.clone() } else { f.b.clone() }, write.clone());
        senders.spawn(async move { store.write(&write).await });
    }
    let mut acks = Vec::new();
    for answer in senders.join_all().await {
        acks.push(match answer {
            Ok(ack) => ack,
            Err(_) => settle(&f.b, &write).await.expect("applied, by whichever send"),
        });
    }
    let revision = f.read(&write.key).await.expect("an entry").revision;
    assert!(acks.iter().all(|ack| ack.revision == revision), "{revision}: {acks:?}");
    assert!(acks.iter().filter(|ack| !ack.duplicate).count() <= 1, "{acks:?}");
}
