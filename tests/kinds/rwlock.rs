//! Read-write locks: many readers or one writer, in the order in which they came.

use std::time::Duration;

use lease::{Seen, Space, Token};
use support::eventually;
use tokio_stream::StreamExt;

use crate::{LIMIT, everywhere, granted, held};

mod sharing {
    use super::*;
    everywhere!(super::many_read_or_one_writes);
}

/// The first and the last reader of each lock that is listed.
async fn listed(space: &Space) -> Vec<(Token, Token)> {
    let listed: Vec<_> = space.list(">").expect("a filter").collect().await;
    let ends = |seen: Seen| Some((seen.readers.first()?.token, seen.readers.last()?.token));
    listed.into_iter().map(|seen| ends(seen.expect("readable")).expect("it is shared")).collect()
}

async fn many_read_or_one_writes(one: Space, two: Space) {
    let (a, b) = (one.rw_lock("catalog"), two.rw_lock("catalog"));
    let writer = granted(a.try_write().await);
    held(b.try_read().await);
    let wrote = writer.token();
    writer.release().await.expect("released");
    let first = granted(a.try_read().await);
    let second = granted(b.try_read().await);
    assert!(wrote < first.token() && first.token() < second.token());
    let by = held(b.try_write().await).expect("a reader is named");
    assert!([first.token(), second.token()].contains(&by.token), "{by:?}");
    // The exclusive lock of that name is the same lock.
    held(one.lock("catalog").try_acquire().await);
    let seen = one.look("catalog").await.expect("readable");
    assert_eq!(
        seen.readers.iter().map(|reader| reader.token).collect::<Vec<_>>(),
        [first.token(), second.token()]
    );
    assert_eq!(listed(&one).await, [(first.token(), second.token())]);

    first.release().await.expect("released");
    held(b.try_write().await);
    second.release().await.expect("released");
    assert_eq!(listed(&one).await, [], "nobody reads any more");
    let writer = granted(b.try_write().await);
    assert!(writer.token() > by.token);
    held(a.try_read().await);
    writer.release().await.expect("released");
}

mod order {
    use super::*;
    everywhere!(super::a_writer_does_not_starve);
}

async fn a_writer_does_not_starve(one: Space, two: Space) {
    let reader = granted(one.rw_lock("c").try_read().await);
    let writer = {
        let lock = two.rw_lock("c");
        tokio::spawn(async move { lock.write().await })
    };
    eventually("the writer waits", LIMIT, async || {
        (one.look("c").await.ok()?.waiters.len() == 1).then_some(())
    })
    .await;
    // There would be room beside the reader, but not before the writer.
    held(one.rw_lock("c").try_read().await);
    let late = {
        let lock = one.rw_lock("c");
        tokio::spawn(async move { lock.read().await })
    };
    eventually("the late reader waits behind it", LIMIT, async || {
        (one.look("c").await.ok()?.waiters.len() == 2).then_some(())
    })
    .await;
    assert!(!late.is_finished() && !writer.is_finished());
    reader.release().await.expect("released");
    let writer =
        tokio::time::timeout(LIMIT, writer).await.expect("soon").expect("no panic").expect("granted");
    assert!(!late.is_finished(), "not beside the writer");
    writer.release().await.expect("released");
    let late = tokio::time::timeout(LIMIT, late).await.expect("soon").expect("no panic").expect("granted");
    // Readers in a row are let in one by one, without waiting for each other.
    let more: Vec<_> = (0..10)
        .map(|_| {
            let lock = two.rw_lock("c");
            tokio::spawn(async move { lock.read().await })
        })
        .collect();
    let mut readers = Vec::new();
    for reader in more {
        let reader = tokio::time::timeout(LIMIT, reader).await.expect("soon").expect("no panic");
        readers.push(reader.expect("granted"));
    }
    assert_eq!(one.look("c").await.expect("readable").readers.len(), 11);
    drop((late, readers));
    granted(two.lock("c").acquire_within(LIMIT).await);
}

mod expiry {
    use super::*;
    everywhere!(super::a_reader_that_died_makes_room);
}

async fn a_reader_that_died_makes_room(one: Space, two: Space) {
    let ttl = Duration::from_secs(2);
    let mute = granted(one.rw_lock("d").ttl(ttl).reader().renewed_by_caller().try_acquire().await);
    let begun = std::time::Instant::now();
    let writer = granted(two.rw_lock("d").writer().acquire_within(LIMIT).await);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert!(matches!(mute.status(), lease::Status::Lost(_)), "lost before anybody else was granted it");
    writer.release().await.expect("released");
}

mod downgrade {
    use super::*;
    everywhere!(super::a_writer_becomes_a_reader_with_nobody_in_between);
}

async fn a_writer_becomes_a_reader_with_nobody_in_between(one: Space, two: Space) {
    let (lock, other) = (one.rw_lock("g"), two.rw_lock("g"));
    for round in 0..5 {
        let writer = granted(lock.writer().acquire_within(LIMIT).await);
        let token = writer.token();
        let next = {
            let other = other.clone();
            tokio::spawn(async move { other.write().await })
        };
        eventually("another writer waits", LIMIT, async || {
            (one.look("g").await.ok()?.waiters.len() == 1).then_some(())
        })
        .await;
        let reader = lock.downgrade(writer).await.expect("downgraded");
        assert!(reader.token() > token, "{round}");
        assert!(!next.is_finished(), "{round}: the writer waits on");
        assert_eq!(one.look("g").await.expect("readable").readers.len(), 1);
        reader.release().await.expect("released");
        let next =
            tokio::time::timeout(LIMIT, next).await.expect("soon").expect("no panic").expect("granted");
        assert!(next.token() > token);
        next.release().await.expect("released");
    }
    let elsewhere = granted(one.lock("h").try_acquire().await);
    let refused = lock.downgrade(elsewhere).await.expect_err("another lock").to_string();
    assert!(refused.contains("lock.h") && refused.contains("lock.g"), "{refused}");
    // Not a try: the place in line of the last writer may still be seen, and a try does not pass whoever waits.
    let reader = granted(lock.reader().acquire_within(LIMIT).await);
    lock.downgrade(reader).await.expect_err("a reader is no writer");
}

mod breaking {
    use super::*;
    everywhere!(super::one_reader_is_broken_by_its_token);
}

async fn one_reader_is_broken_by_its_token(one: Space, two: Space) {
    let (a, b) = (granted(one.rw_lock("b").try_read().await), granted(two.rw_lock("b").try_read().await));
    two.rw_lock("b").reader().break_by_force(a.token(), "stuck", false).await.expect("broken");
    let loss = tokio::time::timeout(LIMIT, a.lost()).await.expect("told");
    assert_eq!(loss, lease::Loss::Broken("stuck".into()));
    assert_eq!(b.status(), lease::Status::Held);
    drop(a);
    b.release().await.expect("released");
    drop(granted(two.rw_lock("b").writer().acquire_within(LIMIT).await));
}
