//! Groups: who is there, in order; who comes and goes, also unheard; and waiting for enough of them.

use std::time::Duration;

use lease::{Barrier, End, Error, Loss, Member, MemberEvent, Membership, Space, Status};
use support::{Cluster, Proxy, eventually};
use tokio_stream::{Stream, StreamExt};

use crate::{LIMIT, everywhere};

async fn next(events: &mut (impl Stream<Item = Result<MemberEvent, Error>> + Unpin)) -> MemberEvent {
    let event = tokio::time::timeout(LIMIT, events.next()).await.expect("told in time");
    event.expect("the stream goes on").expect("no error")
}

async fn joined(events: &mut (impl Stream<Item = Result<MemberEvent, Error>> + Unpin)) -> Member {
    match next(events).await {
        MemberEvent::Joined(member) => member,
        other => panic!("not joined: {other:?}"),
    }
}

pub(crate) fn value(member: &Member) -> String {
    member.value.as_ref().expect("a value").read().expect("a text")
}

fn values(members: &[Member]) -> Vec<String> {
    members.iter().map(value).collect()
}

mod members {
    use super::*;
    everywhere!(super::are_listed_in_the_order_of_their_joining);
}

async fn are_listed_in_the_order_of_their_joining(one: Space, two: Space) {
    let (group, other) = (one.group("w.a").owner("ann"), two.group("w.a").owner("bob"));
    assert_eq!(two.group("w.a").members().await, Ok(Vec::new()));
    let a = group.clone().ttl(Duration::from_secs(2)).join("1").await.expect("joined");
    let b = other.join("2").await.expect("joined");
    let c = group.join("3").await.expect("joined");
    // Not of this group, though its name begins with this one's, or is its beginning.
    let apart = (one.group("w.a.b").join("x").await, one.group("w").join("y").await);

    let listed = other.members().await.expect("readable");
    assert_eq!(values(&listed), ["1", "2", "3"]);
    assert_eq!(listed.iter().map(|member| member.owner.as_str()).collect::<Vec<_>>(), ["ann", "bob", "ann"]);
    let tokens = [a.token(), b.token(), c.token()];
    assert_eq!(listed.iter().map(|member| member.token).collect::<Vec<_>>(), tokens);
    let ids = [a.id(), b.id(), c.id()];
    assert_eq!(listed.iter().map(|member| member.id.as_str()).collect::<Vec<_>>(), ids);
    assert!(listed.iter().all(|member| member.pid == std::process::id() && !member.host.is_empty()));

    // A renewal writes the first one's key anew, and changes neither its token nor its place.
    let mut renewals = a.lease().renewals();
    tokio::time::timeout(LIMIT, renewals.changed()).await.expect("renewed").expect("kept");
    assert_eq!(other.members().await.expect("readable"), listed);
    assert_eq!((a.status(), a.group()), (Status::Held, "w.a"));

    let over = b.cancellation();
    b.leave().await.expect("left");
    assert!(over.is_cancelled());
    assert_eq!(values(&group.members().await.expect("readable")), ["1", "3"]);

    // Dropped, not left: in the background.
    drop(c);
    let only = async || (values(&group.members().await.ok()?) == ["1"]).then_some(());
    eventually("the dropped one is gone", LIMIT, only).await;
    drop((a, apart));
}

mod events {
    use super::*;
    everywhere!(super::tell_who_comes_and_goes);
}

async fn tell_who_comes_and_goes(one: Space, two: Space) {
    let group = one.group("g");
    let first = group.join("first").await.expect("joined");
    let mut events = two.group("g").watch().expect("a name");
    let seen = joined(&mut events).await;
    assert_eq!((value(&seen), seen.token), ("first".to_owned(), first.token()), "who is there already");

    let second = group.join("second").await.expect("joined");
    assert_eq!(joined(&mut events).await.token, second.token());
    let token = second.token();
    let begun = std::time::Instant::now();
    second.leave().await.expect("left");
    let MemberEvent::Left { id, previous } = next(&mut events).await else { panic!("not left") };
    assert!(begun.elapsed() < Duration::from_secs(1), "at once: {:?}", begun.elapsed());
    assert_eq!((id.is_empty(), previous.token, previous.why), (false, token, End::Released));

    // Nobody renews it any more, as if its process had died: it expires, which makes no event.
    let mute = group.clone().ttl(Duration::from_secs(2)).renewed_by_caller();
    let mute = mute.join("mute").await.expect("joined");
    assert_eq!(joined(&mut events).await.token, mute.token());
    let MemberEvent::Expired(gone) = next(&mut events).await else { panic!("not expired") };
    assert_eq!((gone.token, value(&gone).as_str(), gone.id.as_str()), (mute.token(), "mute", mute.id()));
    assert_eq!(mute.status(), Status::Lost(Loss::Expired), "told before others see it");
    assert_eq!(mute.lost().await, Loss::Expired);
    assert_eq!(values(&group.members().await.expect("readable")), ["first"]);
    drop(first);
}

mod lost_events {
    use super::*;
    everywhere!(super::are_made_up_for_when_too_many_come_at_once);
}

/// More than all buffers on the way hold, while nobody reads.
const MANY: usize = 700;

async fn are_made_up_for_when_too_many_come_at_once(one: Space, two: Space) {
    // No renewal falls into this test: one would be heard, and tell of a member as well as its joining does.
    let (group, here) = (one.group("many").ttl(Duration::from_secs(600)), two.group("many"));
    let first = group.join("first").await.expect("joined");
    let mut events = here.watch().expect("a name");
    assert_eq!(joined(&mut events).await.token, first.token());
    let joining = (0..MANY).map(async |number| group.join(&number).await);
    let members = futures_util::future::try_join_all(joining).await.expect("all joined");
    assert_eq!(here.members().await.expect("readable").len(), MANY + 1, "several pages");
    let mut missing: std::collections::BTreeSet<_> = members.iter().map(Membership::token).collect();
    while !missing.is_empty() {
        let member = joined(&mut events).await;
        assert!(missing.remove(&member.token), "told twice: {member:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_heard_is_needed() {
    let cluster = Cluster::single().await;
    let proxy = Proxy::start(&cluster.url()).await;
    let (far, near) = (crate::space(&proxy.url()).await, crate::space(&cluster.url()).await);
    let group = near.group("g");
    let mut events = far.group("g").watch().expect("a name");
    let first = group.join("first").await.expect("joined");
    assert_eq!(joined(&mut events).await.token, first.token());

    let lost = proxy.on_delivery(|event| event.subject.contains(".group.g.")).always().lose_request();
    let second = group.join("second").await.expect("joined");
    let token = second.token();
    assert_eq!(joined(&mut events).await.token, token);
    second.leave().await.expect("left");
    let left = next(&mut events).await;
    assert!(matches!(&left, MemberEvent::Left { previous, .. } if previous.token == token), "{left:?}");
    assert!(lost.fired() >= 2, "joining and leaving were not heard of: {}", lost.fired());

    // Lost between two that are heard; and no renewal comes to tell of it.
    proxy.clear();
    let rare = group.clone().ttl(Duration::from_secs(600));
    let lost = proxy.on_delivery(|event| event.subject.contains(".group.g.")).lose_request();
    let unheard = rare.join("unheard").await.expect("joined");
    let heard = rare.join("heard").await.expect("joined");
    let mut told = [value(&joined(&mut events).await), value(&joined(&mut events).await)];
    told.sort();
    assert_eq!((told, lost.fired()), (["heard".to_owned(), "unheard".to_owned()], 1));

    // A connection that is lost altogether is followed anew.
    proxy.clear();
    proxy.cut();
    let third = group.join("third").await.expect("joined");
    assert_eq!(joined(&mut events).await.token, third.token());
    drop((first, unheard, heard, third));
}

mod barrier {
    use super::*;
    everywhere!(super::opens_for_enough_and_not_for_fewer);
}

async fn opens_for_enough_and_not_for_fewer(one: Space, two: Space) {
    let group = one.group("b");
    let waiting = |barrier: Barrier| tokio::spawn(async move { barrier.wait().await });
    let opened = waiting(two.group("b").barrier(3));
    let a = group.join("a").await.expect("joined");
    let b = group.join("b").await.expect("joined");
    let short = Duration::from_millis(600);
    assert_eq!(two.group("b").barrier(3).wait_within(short).await, Ok(None), "two are not three");
    let two_of = two.group("b").barrier(2).wait_within(LIMIT).await.expect("readable").expect("two are two");
    assert_eq!(values(&two_of), ["a", "b"]);

    // Three have joined by now, but never more than two of them at the same time.
    b.leave().await.expect("left");
    let c = group.join("c").await.expect("joined");
    assert_eq!(two.group("b").barrier(3).wait_within(short).await, Ok(None), "one has left");
    assert!(!opened.is_finished());
    let d = group.join("d").await.expect("joined");
    let together = tokio::time::timeout(LIMIT, opened).await.expect("soon").expect("no panic");
    assert_eq!(values(&together.expect("open")), ["a", "c", "d"]);
    drop((a, c, d));
}

/// What was heard of last may be out of date: members that never met do not open a barrier together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaving_that_was_not_heard_of_opens_no_barrier() {
    let cluster = Cluster::single().await;
    let proxy = Proxy::start(&cluster.url()).await;
    let (far, near) = (crate::space(&proxy.url()).await, crate::space(&cluster.url()).await);
    let group = near.group("b");
    let mut only = group.join("0").await.expect("joined");
    // Only what ends a member is lost.
    let deleted = |event: &support::Publish| event.header("KV-Operation") == Some("DEL");
    let about = |event: &support::Publish| event.subject.contains(".group.b.");
    let lost = proxy.on_delivery(move |event| about(event) && deleted(event)).always().lose_request();
    let barrier = far.group("b").barrier(2);
    let opened = tokio::spawn(async move { barrier.wait().await });
    let scans = |publish: &support::Publish| {
        publish.json()["next_by_subj"].as_str().is_some_and(|filter| filter.ends_with(".group.b.*"))
    };
    proxy.saw(LIMIT, move |publish| scans(publish) && publish.answer.is_some()).await;
    // One at a time, each heard of as it comes: quicker than the watch asks what it missed.
    for turn in 1..4 {
        only.leave().await.expect("left");
        only = group.join(&turn.to_string()).await.expect("joined");
        let alone = far.group("b").barrier(1).wait_within(LIMIT).await.expect("readable");
        assert_eq!(values(&alone.expect("one")), [turn.to_string()]);
        assert!(!opened.is_finished(), "turn {turn}: there was never more than one");
    }
    assert!(lost.fired() > 0, "leaving was not heard of");
    let second = group.join("second").await.expect("joined");
    let together = tokio::time::timeout(LIMIT, opened).await.expect("soon").expect("no panic");
    assert_eq!(values(&together.expect("open")), ["3", "second"]);
    drop((only, second));
}

#[tokio::test]
async fn wrong_values_are_refused_by_name_and_value() {
    let space = Space::embedded();
    let group = space.group("g");
    for members in [0, 10_001] {
        let refused = group.barrier(members).wait().await.expect_err("out of range").to_string();
        assert!(refused.contains("barrier") && refused.contains(&format!(" {members}:")), "{refused}");
        group.barrier(members).wait_within(LIMIT).await.expect_err("out of range");
    }
    let refused = group.join(&"v".repeat(32_767)).await.expect_err("too long").to_string();
    assert!(refused.contains("value") && refused.contains("32769") && refused.contains("32768"), "{refused}");
    let refused =
        group.clone().ttl(Duration::from_secs(1)).join("").await.expect_err("too short").to_string();
    assert!(refused.contains("ttl 1s"), "{refused}");
    let refused = group.clone().owner("o".repeat(257)).join("").await.expect_err("too long").to_string();
    assert!(refused.contains("owner") && refused.contains("257"), "{refused}");
    for name in ["", "a b", "a.*", "a..b"] {
        let bad = space.group(name);
        let errors = [
            bad.check().err(),
            bad.join("").await.err(),
            bad.members().await.err(),
            bad.watch().err(),
            bad.barrier(1).wait().await.err(),
        ];
        for error in errors {
            let Some(Error::InvalidName { name: named, .. }) = error else { panic!("{name:?}: {error:?}") };
            assert_eq!(named, name);
        }
    }
    assert_eq!(group.members().await, Ok(Vec::new()), "nothing was sent");
}
