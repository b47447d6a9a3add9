//! What becomes of a note that arrives while its waiter hangs up, and of the number of a waiter that left.

use std::task::Poll;

use super::*;
use crate::ambient::{Ambient, System};
use crate::protocol::End;
use crate::space::{Space, SpaceOptions};
use crate::store::{Body, MemoryStore, Write};
use crate::token::Token;

/// Another thread was admitted to the channel before it was closed, and puts its note there afterwards.
#[tokio::test]
async fn what_is_said_while_a_waiter_hangs_up_is_declined() {
    let store = MemoryStore::new(Arc::new(System));
    let space = Space::on(store, SpaceOptions::default()).await.expect("a space");
    let core = space.core();
    let waiter = core.waiter("p-0".into(), "attempt".into(), "owner".into());
    let (key, body) = ("lock.a".to_owned(), Body::Put(waiter.reservation().encode()));
    let write = Write { key: key.clone(), expect: 0, body, ttl_secs: 3_600, id: "kept free".into() };
    let revision = core.store.write(&write).await.expect("taken").revision;
    let (sender, told) = mpsc::channel(8);
    let admitted = sender.reserve().await.expect("open");
    let mut hanging_up = Box::pin(hang_up(core, "attempt", told, BTreeMap::new(), Some("lock.b")));
    assert_eq!(futures_util::poll!(&mut hanging_up), Poll::Pending);
    admitted.send(Told::Handed { key: key.clone(), revision, previous: None });
    hanging_up.await;
    core.tasks.close();
    core.tasks.wait().await;
    let left = core.store.read(&key).await.expect("readable");
    assert!(matches!(Slot::of(left.as_ref()), Slot::Free { revision: 1.., .. }), "{left:?}");
}

#[test]
fn the_number_of_a_place_that_may_yet_be_taken_rests() {
    let post = Post::default();
    let now = System.now();
    let later = now + Duration::from_secs(600);
    let taken = |attempt: &str, now| post.take_place("a", "p", attempt, now).0;
    assert_eq!((taken("1", now), taken("2", now)), ("p-0".into(), "p-1".into()));
    post.unwait("a", "p-0", Some(7), Some(later));
    post.unwait("a", "p-1", Some(8), None);
    assert_eq!(taken("3", now), "p-1");
    assert_eq!(taken("4", later), "p-0", "it rests no longer than it was told");
    post.unwait("a", "p-0", Some(9), None);
    assert_eq!(taken("5", now), "p-0", "only what it was left with last counts");
}

#[test]
fn a_note_reaches_the_place_where_its_attempt_still_listens() {
    let (post, now) = (Post::default(), System.now());
    let (_, left) = post.take_place("a", "p", "1", now);
    let (_, mut stands) = post.take_place("a", "p", "1", now);
    drop(left);
    assert!(post.pass_on("a", "1", Told::Empty("q-0".into())));
    assert!(matches!(stands.try_recv(), Ok(Told::Empty(place)) if place == "q-0"));
    assert!(!post.pass_on("a", "2", Told::Empty("q-0".into())), "nobody");
}

#[test]
fn no_marker_outlasts_what_befalls_the_store() {
    let (post, now) = (Post::default(), System.now());
    let previous =
        Previous { token: Token::new(5), holder: "me".into(), ended: String::new(), why: End::Released };
    let marker = || Marker { revision: 7, previous: previous.clone() };
    post.freed("a", marker());
    assert_eq!(post.take_freed("a", now).map(|marker| marker.revision), Some(7));
    post.freed("a", marker());
    post.distrust_markers();
    assert!(post.take_freed("a", now).is_none());
}

#[test]
fn who_gives_up_what_is_to_be_kept_free_expects_nothing_more() {
    let post = Post::default();
    let expecting = post.expect("1");
    assert!(locked(&post.state).expecting.contains("1"));
    drop(expecting);
    assert!(locked(&post.state).expecting.is_empty());
}
