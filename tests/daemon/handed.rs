//! A hand-over whose answer is late: the holder's client hears of it before the recipient is granted anything.

use serde_json::Value;
use support::{Cluster, Daemon, Lines, Proxy, Publish};

use crate::SOON;
use crate::turns::together;

async fn hold(daemon: &Daemon, owner: &str, event: &str) -> (Lines, Value) {
    let body = format!(r#"{{"owner":"{owner}"}}"#);
    let mut stream = daemon.api().open("POST", "/v1/locks/a/hold", &body).await;
    let told = stream.event(event, SOON).await;
    (stream, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_hears_of_a_hand_over_before_the_store_has_answered() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let proxy = Proxy::start(&cluster.url()).await;
    let here = Daemon::start(["--nats", &proxy.url()]).await;
    let there = Daemon::start(["--nats", &cluster.url()]).await;
    let (mut one, held) = hold(&here, "one", "held").await;
    let (mut two, _) = hold(&there, "two", "waiting").await;
    let handing = |publish: &Publish| {
        publish.subject.ends_with("lock.a")
            && String::from_utf8_lossy(&publish.payload).contains("handed-over")
    };
    // No answer until the end: what comes before it comes without.
    let unanswered = proxy.on(handing).always().hold_answer();
    let path = format!("/v1/leases/{}/hand-over", held["lease"].as_str().expect("an id"));
    let api = here.api();
    let asked = tokio::spawn(async move { api.post(&path, r#"{"to":"two"}"#).await.status });
    let lost = one.event("lost", SOON).await;
    assert_eq!(lost["reason"], "handed-over", "{lost}");
    let granted = two.event("held", SOON).await;
    assert!(granted["token"].as_u64() > held["token"].as_u64(), "{granted}");
    // The recipient may have been faster than the answer.
    unanswered.fired_once(SOON).await;
    unanswered.release();
    assert_eq!(asked.await.expect("no panic"), 200);
}
