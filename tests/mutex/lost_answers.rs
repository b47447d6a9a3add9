//! A proxy between library and server swallows the answers of chosen writes.
//!
//! Whatever is lost, and however often: the outcome is resolved, nothing is held twice, nothing stays stuck for longer
//! than a TTL.

use std::time::Duration;

use lease::{Attempt, Error, Loss, Space, Status};
use support::{Cluster, Proxy, Publish, eventually};

const TTL: Duration = Duration::from_secs(2);
/// TTL, slack, the store's own lateness, and some for a busy machine.
const FREE_BY: Duration = Duration::from_secs(7);

struct Stage {
    cluster: Cluster,
    proxy: Proxy,
    /// Behind the proxy.
    far: Space,
    /// Directly at the server.
    near: Space,
}

async fn stage() -> Stage {
    let cluster = Cluster::single().await;
    let proxy = Proxy::start(&cluster.url()).await;
    let near = super::space(&cluster.url()).await;
    let far = super::space(&proxy.url()).await;
    Stage { cluster, proxy, far, near }
}

fn record(publish: &Publish) -> bool {
    publish.subject == "$KV.leases.lock.a"
}

fn reservation(publish: &Publish) -> bool {
    record(publish) && publish.header("KV-Operation").is_none() && publish.json()["reserved"] == true
}

fn release(publish: &Publish) -> bool {
    record(publish) && publish.header("KV-Operation") == Some("DEL")
}

/// What was lost on its way arrives after all; gives the store's answer.
async fn arrives(cluster: &Cluster, late: Publish) -> serde_json::Value {
    let mut headers = async_nats::HeaderMap::new();
    for name in ["Nats-Expected-Stream", "Nats-Expected-Last-Subject-Sequence", "Nats-Msg-Id", "Nats-TTL"] {
        headers.insert(name, late.header(name).expect("every write has it"));
    }
    let client = async_nats::connect(cluster.url()).await.expect("connected");
    let answer = client.request_with_headers(late.subject, headers, late.payload).await.expect("answered");
    serde_json::from_slice(&answer.payload).expect("json")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_grant() {
    let Stage { cluster: _cluster, proxy, far, near } = stage().await;
    for times in [1, 2] {
        let lost = proxy.on(record).times(times).lose_answer();
        let lease = super::acquire(&far, "a", Duration::from_secs(20), Duration::from_secs(10)).await;
        assert_eq!(lost.fired(), times);
        assert_eq!(super::held(&near, "a").await, lease.token().get(), "the record shows the holder's token");
        lease.release().await.expect("released");
        proxy.clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_grant_until_another_holds() {
    let Stage { cluster: _cluster, proxy, far, near } = stage().await;
    let lost = proxy.on(record).always().lose_answer();
    let lock = far.lock("a").ttl(TTL);
    let granted = tokio::spawn(async move { lock.acquire().await });
    lost.fired_once(Duration::from_secs(5)).await;
    let second = super::acquire(&near, "a", Duration::from_secs(20), FREE_BY + TTL).await;
    proxy.clear();
    assert!(!granted.is_finished(), "nobody holds a grant whose answer never came");
    assert_eq!(second.status(), Status::Held);
    let token = second.token();
    second.release().await.expect("released");
    let first =
        tokio::time::timeout(FREE_BY, granted).await.expect("its turn").expect("no panic").expect("granted");
    assert!(first.token() > token);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_try() {
    let Stage { cluster: _cluster, proxy, far, near } = stage().await;
    let _rule = proxy.on(record).always().lose_answer();
    let tried = far.lock("a").ttl(TTL).try_acquire().await;
    assert!(matches!(tried, Err(Error::Unknown(_))), "{tried:?}");
    super::acquire(&near, "a", TTL, FREE_BY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_renewal() {
    let Stage { cluster: _cluster, proxy, far, near } = stage().await;
    for times in [1, 2] {
        let lease = super::acquire(&far, "a", Duration::from_secs(10), FREE_BY).await;
        let mut renewals = lease.renewals();
        let lost = proxy.on(record).times(times).lose_answer();
        lost.fired_times(times, Duration::from_secs(10)).await;
        let renewed = tokio::time::timeout(Duration::from_secs(6), renewals.changed()).await;
        renewed.expect("resolved").expect("kept");
        assert_eq!(lease.status(), Status::Held);
        assert_eq!(super::held(&near, "a").await, lease.token().get());
        lease.release().await.expect("released");
        proxy.clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_renewals_until_another_holds() {
    let Stage { cluster: _cluster, proxy, far, near } = stage().await;
    let first = super::acquire(&far, "a", TTL, FREE_BY).await;
    let lost = proxy.on(record).always().lose_answer();
    lost.fired_once(Duration::from_secs(5)).await;
    let told = tokio::time::timeout(TTL, first.lost()).await.expect("told in time");
    assert_eq!(told, Loss::Expired);
    let second = super::acquire(&near, "a", Duration::from_secs(20), FREE_BY).await;
    assert!(second.token() > first.token());
    proxy.clear();
    let seen = near.look("a").await.expect("read");
    assert!(matches!(first.renew().await, Err(Error::Lost(Loss::Expired))));
    assert!(matches!(first.release().await, Err(Error::Lost(Loss::Expired))));
    assert_eq!(
        near.look("a").await.expect("read").revision,
        seen.revision,
        "the second's record is untouched"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_release() {
    let Stage { cluster: _cluster, proxy, far, near } = stage().await;
    for times in [1, 2] {
        let lease = super::acquire(&far, "a", Duration::from_secs(20), FREE_BY).await;
        let lost = proxy.on(release).times(times).lose_answer();
        lease.release().await.expect("resolved: it was released");
        assert_eq!(lost.fired(), times);
        super::acquire(&near, "a", TTL, Duration::from_secs(1)).await.release().await.expect("released");
        proxy.clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_release_until_another_holds() {
    let Stage { cluster: _cluster, proxy, far, near } = stage().await;
    let first = super::acquire(&far, "a", TTL, FREE_BY).await;
    let _rule = proxy.on(release).always().lose_answer();
    let releasing = tokio::spawn(first.release());
    let second = super::acquire(&near, "a", Duration::from_secs(20), FREE_BY).await;
    let outcome = tokio::time::timeout(FREE_BY, releasing).await.expect("ends").expect("no panic");
    assert!(matches!(outcome, Ok(()) | Err(Error::Unknown(_))), "{outcome:?}");
    assert_eq!(second.status(), Status::Held);
    assert_eq!(super::held(&near, "a").await, second.token().get());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_handover() {
    let Stage { cluster, proxy, far, near } = stage().await;
    let third = super::space(&cluster.url()).await;
    for times in [1, 2, usize::MAX] {
        let first = super::acquire(&far, "a", Duration::from_secs(20), FREE_BY).await;
        let token = first.token();
        let lost = match times {
            usize::MAX => proxy.on(reservation).always().lose_answer(),
            times => proxy.on(reservation).times(times).lose_answer(),
        };
        // The holder has to know who comes next, or there is nothing to hand over to. Not any note says so (that its last successor
        // is gone may come late), and what has arrived may not have been looked at yet: by the time it comes again, it has.
        let note = proxy.on_delivery(|note| note.json()["note"] == "first");
        let heard = note.always().delay_request(Duration::ZERO);
        let lock = near.lock("a");
        let waiting = tokio::spawn(async move { lock.acquire().await });
        super::in_line(&third, "a", 1).await;
        heard.fired_times(2, FREE_BY).await;
        let releasing = tokio::spawn(first.release());
        let second = tokio::time::timeout(Duration::from_secs(5), waiting).await;
        let second = second.expect("handed over").expect("no panic").expect("granted");
        assert!(lost.fired() > 0, "it was handed over, not deleted");
        assert!(second.token() > token);
        match (times, releasing.await.expect("no panic")) {
            (_, Ok(())) => {}
            // Every answer was lost, to the last repeat: nobody can know, and nothing else is said.
            (usize::MAX, Err(Error::Unknown(_))) => {}
            (_, other) => panic!("{other:?}"),
        }
        assert_eq!(super::held(&third, "a").await, second.token().get());
        proxy.clear();
        second.release().await.expect("released");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_handover_to_one_who_cannot_take_it() {
    let Stage { cluster, proxy, far, near } = stage().await;
    let third = super::space(&cluster.url()).await;
    let first = super::acquire(&near, "a", Duration::from_secs(20), FREE_BY).await;
    let lock = far.lock("a").ttl(TTL);
    let stuck = tokio::spawn(async move { lock.acquire().await });
    super::in_line(&third, "a", 1).await;
    let lock = third.lock("a");
    let waiting = tokio::spawn(async move { lock.acquire().await });
    super::in_line(&near, "a", 2).await;
    proxy.block(support::Way::Both);
    let (token, _) = (first.token(), first.release().await.expect("released"));
    // Its reservation ends after 3 s, its presence after 5 s, and it is looked for every 2 s, twice.
    let second = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    let second = second.expect("not stuck").expect("no panic").expect("granted");
    assert!(second.token() > token && !stuck.is_finished());
    proxy.unblock();
    assert_eq!(second.status(), Status::Held);
    second.release().await.expect("released");
    tokio::time::timeout(Duration::from_secs(30), stuck)
        .await
        .expect("its turn")
        .expect("no panic")
        .expect("granted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_grant_after_a_handover() {
    let Stage { cluster: _cluster, proxy, far, near } = stage().await;
    for times in [1, 2] {
        let first = super::acquire(&near, "a", Duration::from_secs(20), FREE_BY).await;
        let lock = far.lock("a");
        let waiting = tokio::spawn(async move { lock.acquire().await });
        super::in_line(&near, "a", 1).await;
        let lost = proxy.on(record).times(times).lose_answer();
        first.release().await.expect("released");
        let second = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        let second = second.expect("resolved").expect("no panic").expect("granted");
        assert_eq!(lost.fired(), times);
        assert_eq!(super::held(&near, "a").await, second.token().get());
        second.release().await.expect("released");
        proxy.clear();
    }
}

/// What was sent and not answered may arrive when its waiter has long gone, and then it must find that somebody left: nobody would ever
/// remove the place that it makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_place_in_line_that_arrives_after_its_waiter_left() {
    let Stage { cluster, proxy, far, near } = stage().await;
    let held = super::acquire(&near, "a", Duration::from_secs(60), Duration::from_secs(5)).await;
    let place = |publish: &Publish| publish.subject.starts_with("$KV.leases.line.lock.a.");
    let joins = move |publish: &Publish| place(publish) && publish.header("KV-Operation").is_none();
    let leaves = move |publish: &Publish| place(publish) && publish.header("KV-Operation") == Some("DEL");
    let lost = proxy.on(joins).always().lose_request();
    let attempt = far.lock("a").acquire_within(Duration::from_secs(2)).await;
    assert!(lost.fired() > 0 && !matches!(attempt, Ok(Attempt::Granted(_))), "{attempt:?}");
    let seen = async |which: &dyn Fn(&Publish) -> bool| proxy.seen().into_iter().find(which);
    eventually("it has left", FREE_BY, async || seen(&leaves).await?.answer).await;
    // The next one to wait does not use that place's number, whose marker it would replace.
    lost.remove(&proxy);
    let next = far.lock("a").acquire_within(Duration::from_secs(1)).await;
    assert!(matches!(next, Ok(Attempt::Held(_))), "{next:?}");
    // Longer than the marker lasts of one whose place was surely taken.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let late = seen(&joins).await.expect("it was sent");
    let answer = arrives(&cluster, late).await;
    assert_eq!(answer["error"]["err_code"], 10071, "{answer}");
    assert_eq!(near.look("a").await.expect("readable").waiters.len(), 0);
    held.release().await.expect("released");
}

/// A claim that was given up without an answer is made again under its own id, so that it does nothing when it arrives in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_claim_that_arrives_after_another_one_was_granted_and_ended() {
    let Stage { cluster, proxy, far, near } = stage().await;
    let lost = proxy.on(record).always().lose_request();
    let waiting = tokio::spawn({
        let lock = far.lock("a").ttl(TTL).renewed_by_caller();
        async move { lock.acquire().await }
    });
    let claims = || proxy.seen().into_iter().filter(record).collect::<Vec<_>>();
    eventually("it is claimed, and again", FREE_BY, async || (claims().len() >= 2).then_some(())).await;
    let late = claims().remove(0);
    // Its deadline is past: what is sent from now on is another claim.
    let since = late.json()["since"].clone();
    eventually("it is given up", FREE_BY, async || (claims().last()?.json()["since"] != since).then_some(()))
        .await;
    lost.remove(&proxy);
    let lease = waiting.await.expect("no panic").expect("granted");
    let granted = claims().into_iter().rfind(|claim| claim.answer.is_some()).expect("answered");
    assert_ne!(granted.json()["since"], since);
    lease.lost().await;
    // It is not given back in time, so nothing is left of it: what expects that nothing is there would be taken.
    std::mem::forget(lease);
    eventually("it has expired", FREE_BY, async || near.look("a").await.ok()?.holder.is_none().then_some(()))
        .await;
    let answer = arrives(&cluster, late).await;
    assert_eq!(answer["duplicate"], true, "{answer}");
    assert_eq!(near.look("a").await.expect("readable").holder, None);
}
