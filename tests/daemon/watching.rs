//! Watching through the socket: across a restart of the daemon nothing is repeated, and a gap is said.

use serde_json::{Value, json};
use support::{Cluster, Daemon, Folder};

use crate::SOON;
use crate::problem::expect;
use crate::turns::together;

fn brief(event: &Value) -> (String, String, u64) {
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    (text("event"), text("name"), event["token"].as_u64().unwrap_or_default())
}

#[tokio::test]
async fn a_watch_goes_on_after_a_restart_where_it_was() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let mut daemon = Daemon::start(["--nats", &cluster.url()]).await;
    let api = daemon.api();
    let mut watch = api.open("GET", "/v1/watch?filter=w.%3E", "").await;
    let mut hold = api.open("POST", "/v1/locks/w.a/hold", r#"{"owner":"me"}"#).await;
    let held = hold.event("held", SOON).await;
    let token = held["token"].as_u64().unwrap();
    let granted = watch.next(SOON).await.unwrap();
    assert_eq!(brief(&granted), ("granted".into(), "w.a".into(), token));
    assert_eq!((&granted["holder"]["owner"], &granted["revision"]), (&json!("me"), &json!(token)));
    hold.close();
    let released = watch.next(SOON).await.unwrap();
    assert_eq!(
        (brief(&released), &released["why"]),
        (("released".into(), "w.a".into(), token), &json!("client-gone"))
    );
    let from = released["revision"].as_u64().unwrap();

    let lease = api.post("/v1/locks/w.b/acquire", r#"{"ttl":"60s"}"#).await.json();
    assert_eq!(brief(&watch.next(SOON).await.unwrap()).1, "w.b");
    daemon.restart().await;
    assert!(watch.next(SOON).await.is_none(), "the stream ends with the daemon");
    let api = daemon.api();
    let mut watch = api.open("GET", &format!("/v1/watch?filter=w.%3E&from={from}&renewals=true"), "").await;
    // What may have expired meanwhile has left no trace.
    let gap = watch.next(SOON).await.unwrap();
    assert_eq!((&gap["event"], &gap["after"]), (&json!("gap"), &json!(from)));
    let told = watch.next(SOON).await.unwrap();
    assert_eq!(brief(&told), ("granted".into(), "w.b".into(), lease["token"].as_u64().unwrap()));
    let mut hold = api.open("POST", "/v1/locks/w.c/hold", "").await;
    let held = hold.event("held", SOON).await;
    assert_eq!(
        brief(&watch.next(SOON).await.unwrap()),
        ("granted".into(), "w.c".into(), held["token"].as_u64().unwrap())
    );

    assert_eq!(api.open("GET", "/v1/locks/w.c/watch?from=now", "").await.status(), 200);
    let mut one = api.open("GET", "/v1/locks/w.c/watch", "").await;
    // What it follows is in place once this is told; before that, several changes may come as one.
    assert_eq!(one.event("granted", SOON).await["token"], held["token"]);
    api.delete(&format!("/v1/locks/w.c?token={}&reason=stuck", held["token"])).await;
    let broken = one.event("broken", SOON).await;
    assert_eq!((&broken["reason"], &broken["name"]), (&json!("stuck"), &json!("w.c")));
    assert_eq!(hold.event("lost", SOON).await["reason"], "broken");
    hold.close();
    let released = one.event("released", SOON).await;
    assert_eq!(released["why"], "broken", "{released}");

    // Two grants more, of which the store has the second only.
    for _ in 0..2 {
        let mut hold = api.open("POST", "/v1/locks/w.c/hold", "").await;
        hold.event("held", SOON).await;
        hold.close();
        one.event("released", SOON).await;
    }
    let from = released["revision"].as_u64().unwrap();
    let mut watch = api.open("GET", &format!("/v1/watch?filter=w.%3E&from={from}"), "").await;
    let gap = watch.next(SOON).await.unwrap();
    assert_eq!((&gap["event"], &gap["after"]), (&json!("gap"), &json!(from)));
    assert_eq!(brief(&watch.next(SOON).await.unwrap()).0, "released");
}

#[tokio::test]
async fn watches_are_bounded_and_one_that_ends_makes_room() {
    let _cores = together().await;
    let folder = Folder::new("watches");
    let config = folder.join("lease.toml");
    std::fs::write(&config, "[limits]\nwatches = 256\nwatches-per-user = 256\n").unwrap();
    let daemon = Daemon::start(["--config".as_ref(), config.as_os_str()]).await;
    let api = daemon.api();
    let mut watches = Vec::new();
    for _ in 0..256 {
        watches.push(api.open("GET", "/v1/watch", "").await);
    }
    expect(&api.get("/v1/elections/a/watch").await, 429, "too-many-watches");
    drop(watches.pop());
    support::eventually("there is room again", SOON, async || {
        let again = api.open("GET", "/v1/locks/a/watch", "").await;
        (again.status() == 200).then_some(())
    })
    .await;
}
