//! Groups when answers are lost, callers go, and members are changed by others.

use std::time::Duration;

use lease::{Error, MAX_PAYLOAD, MemberEvent, Space, Status};
use support::{Cluster, Proxy, Publish, eventually};
use tokio_stream::StreamExt;

use crate::group::value;
use crate::{LIMIT, everywhere};

struct Stage {
    _cluster: Cluster,
    proxy: Proxy,
    /// Behind the proxy.
    far: Space,
    /// Directly at the server.
    near: Space,
}

async fn stage() -> Stage {
    let cluster = Cluster::single().await;
    let proxy = Proxy::start(&cluster.url()).await;
    let near = crate::space(&cluster.url()).await;
    let far = crate::space(&proxy.url()).await;
    Stage { _cluster: cluster, proxy, far, near }
}

fn record(publish: &Publish) -> bool {
    publish.subject.starts_with("$KV.leases.group.g.")
}

async fn count(space: &Space) -> usize {
    space.group("g").members().await.expect("readable").len()
}

async fn empty(space: &Space) {
    let none = async || space.group("g").members().await.ok()?.is_empty().then_some(());
    eventually("nobody is left behind", LIMIT, none).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_makes_one_member_and_not_two() {
    let Stage { proxy, far, near, _cluster } = stage().await;
    for times in [1, 2] {
        let lost = proxy.on(record).times(times).lose_answer();
        let member = far.group("g").join("v").await.expect("resolved");
        assert_eq!(lost.fired(), times);
        let listed = near.group("g").members().await.expect("readable");
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!((listed[0].token, listed[0].id.as_str()), (member.token(), member.id()));
        member.leave().await.expect("left");
        assert_eq!(count(&near).await, 0);
        proxy.clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_at_all_is_unknown_and_leaves_nobody_behind() {
    let Stage { proxy, far, near, _cluster } = stage().await;
    let lost = proxy.on(record).always().lose_answer();
    let group = far.group("g").ttl(Duration::from_secs(2));
    let joined = tokio::time::timeout(LIMIT, group.join("v")).await.expect("told in time");
    assert!(matches!(joined, Err(Error::Unknown(_))), "{joined:?}");
    assert!(lost.fired() > 0);
    empty(&near).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_never_arrives_is_sent_again() {
    let Stage { proxy, far, near, _cluster } = stage().await;
    let lost = proxy.on(record).lose_request();
    let member = far.group("g").join("v").await.expect("joined");
    assert_eq!((lost.fired(), count(&near).await), (1, 1));
    assert_eq!(member.status(), Status::Held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_leaves_nobody_behind() {
    let Stage { proxy, far, near, _cluster } = stage().await;
    // Gone while the answer is on its way: the store has taken it, and it is given back.
    let held = proxy.on(record).hold_answer();
    let group = far.group("g");
    let joining = tokio::spawn(async move { group.join("v").await });
    held.fired_once(LIMIT).await;
    let taken = async || (near.group("g").members().await.ok()?.len() == 1).then_some(());
    eventually("the store has taken it", LIMIT, taken).await;
    joining.abort();
    assert!(joining.await.is_err_and(|error| error.is_cancelled()));
    held.release();
    // Much sooner than its TTL of 20 s.
    let begun = std::time::Instant::now();
    empty(&near).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_space_that_closes_loses_its_members_and_takes_no_more() {
    let (one, two) = (Space::embedded(), Space::embedded());
    for space in [&one, &two] {
        let member = space.group("g").join("v").await.expect("joined");
        let over = member.cancellation();
        space.close(Duration::from_millis(50)).await;
        assert_eq!(member.lost().await, lease::Loss::Draining);
        assert!(over.is_cancelled());
        let refused = space.group("g").join("v").await;
        assert!(matches!(refused, Err(Error::Closing)), "{refused:?}");
        assert_eq!(space.group("g").barrier(2).wait().await, Err(Error::Closing));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_granted_to_a_space_that_closes_is_given_back() {
    let Stage { proxy, far, near, _cluster } = stage().await;
    let held = proxy.on(record).hold_answer();
    let group = far.group("g");
    let joining = tokio::spawn(async move { group.join("v").await });
    held.fired_once(LIMIT).await;
    far.close(Duration::ZERO).await;
    held.release();
    let joined = tokio::time::timeout(LIMIT, joining).await.expect("told").expect("no panic");
    assert!(matches!(joined, Err(Error::Closing)), "{joined:?}");
    let begun = std::time::Instant::now();
    empty(&near).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

mod values {
    use super::*;
    everywhere!(super::of_the_greatest_length_are_kept);
}

/// Of many bytes together; and of what takes the most bytes when it is written.
async fn of_the_greatest_length_are_kept(one: Space, two: Space) {
    let group = one.group("g");
    let escaped = "\u{1}".repeat((MAX_PAYLOAD - 2) / 6);
    let first = group.join(&escaped).await.expect("joined");
    let long = "v".repeat(MAX_PAYLOAD - 2);
    let joining = (0..40).map(|_| group.join(&long));
    let members = futures_util::future::try_join_all(joining).await.expect("all joined");
    let listed = two.group("g").members().await.expect("readable");
    assert_eq!(listed.len(), 41);
    assert!(listed[0].token == first.token() && value(&listed[0]) == escaped);
    assert!(listed[1..].iter().all(|member| value(member) == long));
    let all = two.group("g").barrier(41).wait_within(LIMIT).await.expect("readable");
    assert_eq!(all.map(|all| all.len()), Some(41));
    drop(members);
}

mod another_value {
    use super::*;
    everywhere!(super::is_told_and_does_not_end_the_member);
}

async fn is_told_and_does_not_end_the_member(one: Space, two: Space) {
    let member = one.group("g").join("one").await.expect("joined");
    let mut events = two.group("g").watch().expect("a name");
    let mut told = async || tokio::time::timeout(LIMIT, events.next()).await.expect("told").expect("goes on");
    let Ok(MemberEvent::Joined(seen)) = told().await else { panic!("not joined") };
    assert_eq!(value(&seen), "one");
    member.set_value("two").await.expect("set");
    let Ok(MemberEvent::Changed(seen)) = told().await else { panic!("not changed") };
    assert_eq!((value(&seen).as_str(), seen.token, seen.id.as_str()), ("two", member.token(), member.id()));
    let listed = two.group("g").members().await.expect("readable");
    assert_eq!(listed.iter().map(value).collect::<Vec<_>>(), ["two"]);
    let refused = member.set_value(&"v".repeat(MAX_PAYLOAD)).await.expect_err("too long").to_string();
    assert!(refused.contains("value") && refused.contains("32770"), "{refused}");
    assert_eq!(member.status(), Status::Held);
}
