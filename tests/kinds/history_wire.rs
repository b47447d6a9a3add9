//! What the history costs on the wire, and that nobody waits for it.

use std::time::{Duration, Instant};

use lease::{Error, Space};
use support::{Cluster, Proxy, Publish, eventually};

const LIMIT: Duration = Duration::from_secs(20);

fn of_history(publish: &Publish) -> bool {
    publish.subject == "$KV.leases_history.hist.lock.a"
}

fn of_release(publish: &Publish) -> bool {
    publish.subject == "$KV.leases.lock.a" && publish.header("KV-Operation") == Some("DEL")
}

async fn behind_a_proxy() -> (Cluster, Proxy, Space) {
    let cluster = Cluster::single().await;
    let proxy = Proxy::start(&cluster.url()).await;
    let space = super::space(&proxy.url()).await;
    (cluster, proxy, space)
}

/// A release is one message, with a history as without; the line is one more, after the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_sent_after_the_release_is_answered() {
    let (_cluster, proxy, space) = behind_a_proxy().await;
    let lease = space.lock("a").acquire().await.expect("granted");
    let held_back = proxy.on(of_release).always().hold_answer();
    let before = proxy.seen().len();
    let release = tokio::spawn(lease.release());
    held_back.fired_once(LIMIT).await;
    // The store has it, the holder does not know: a whole other hold comes and goes meanwhile, with its line.
    space.lock("b").acquire().await.expect("granted").release().await.expect("released");
    let b =
        |publish: &Publish| publish.subject == "$KV.leases_history.hist.lock.b" && publish.answer.is_some();
    proxy.saw(LIMIT, b).await;
    assert!(!release.is_finished() && !proxy.seen().iter().any(of_history), "the answer comes first");
    held_back.release();
    assert_eq!(release.await.expect("no panic"), Ok(()));
    let line = proxy.saw(LIMIT, |publish| of_history(publish) && publish.answer.is_some()).await;
    assert_eq!(line.header("Nats-TTL"), Some("7776000"), "90 days");
    assert_eq!(line.answer_json()["stream"], "KV_leases_history");

    held_back.remove(&proxy);
    let lease = space.lock("a").acquire().await.expect("granted");
    let again = proxy.seen().len();
    assert_eq!(lease.release().await, Ok(()));
    let sent = |from: usize| -> Vec<String> {
        let sent = proxy.seen().into_iter().skip(from).filter(|publish| publish.reply.is_some());
        sent.map(|publish| publish.subject).collect()
    };
    let needed: Vec<String> =
        sent(again).into_iter().filter(|subject| !subject.contains("_history")).collect();
    assert_eq!(needed, ["$KV.leases.lock.a"], "what a release takes");
    let lines = |from: usize| proxy.seen().into_iter().skip(from).filter(of_history).count();
    eventually("its line", LIMIT, async || (lines(again) == 1).then_some(())).await;
    assert_eq!(lines(before), 2, "one line a hold");
}

/// The history takes nothing: holds come and go, and closing waits no longer than it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_it() {
    let (cluster, proxy, space) = behind_a_proxy().await;
    let lost = proxy.on(of_history).always().lose_request();
    for _ in 0..20 {
        let lease = space.lock("a").acquire().await.expect("granted");
        assert_eq!(lease.release().await, Ok(()));
    }
    lost.fired_times(2, LIMIT).await;
    assert_eq!(space.history("a").await, Ok(Vec::new()));
    let begun = Instant::now();
    space.close(Duration::from_millis(400)).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(390), "there is something to wait for: {took:?}");
    assert!(took < Duration::from_secs(2), "closed only after {took:?}");
    assert!(matches!(space.lock("a").try_acquire().await, Err(Error::Closing)));
    assert_eq!(super::space(&cluster.url()).await.history("a").await, Ok(Vec::new()));
}

/// What has ended before a space is closed is written down when it has closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_for_it() {
    let (cluster, proxy, space) = behind_a_proxy().await;
    proxy.on(of_history).always().delay_request(Duration::from_millis(300));
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let lease = space.lock("a").acquire().await.expect("granted");
        tokens.push(lease.token());
        drop(lease);
    }
    let lost = space.lock("a").acquire().await.expect("granted");
    tokens.push(lost.token());
    let closing = tokio::spawn(async move { space.close(LIMIT).await });
    assert_eq!(lost.lost().await, lease::Loss::Draining);
    drop(lost);
    closing.await.expect("no panic");
    assert_eq!(proxy.seen().into_iter().filter(of_history).count(), tokens.len(), "one line a hold");
    let told = super::space(&cluster.url()).await.history("a").await.expect("readable");
    assert_eq!(told.iter().map(|held| held.token).collect::<Vec<_>>(), tokens);
    assert_eq!(
        told.iter().map(|held| held.why.as_str()).collect::<Vec<_>>(),
        ["released", "released", "released", "draining"]
    );
}

/// Somebody else writes there, too: what cannot be read is left out, and a line that was written twice counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_left_out() {
    let (cluster, proxy, space) = behind_a_proxy().await;
    let unanswered = proxy.on(of_history).lose_answer();
    let lease = space.lock("a").acquire().await.expect("granted");
    let token = lease.token();
    assert_eq!(lease.release().await, Ok(()));
    unanswered.fired_once(LIMIT).await;
    let lines = || proxy.seen().into_iter().filter(|publish| of_history(publish) && publish.answer.is_some());
    eventually("a second try", LIMIT, async || (lines().count() == 2).then_some(())).await;
    for line in ["", "{}", "not JSON", "{\"v\":99}"] {
        let ack = cluster.request(0, "$KV.leases_history.hist.lock.a", line).await;
        assert_eq!(ack["stream"], "KV_leases_history", "{ack}");
    }
    let told = space.history("a").await.expect("readable");
    assert_eq!(told.iter().map(|held| held.token).collect::<Vec<_>>(), [token]);
}
