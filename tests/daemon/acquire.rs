//! `acquire` and `/v1/leases`: a lease that its client renews.

use std::time::Duration;

use serde_json::{Value, json};
use support::{Api, Daemon, eventually};
use tokio::io::AsyncWriteExt;

use crate::problem::expect;
use crate::turns::together;
use crate::{SOON, client};

const EMBEDDED: [&str; 0] = [];

async fn acquire(api: &Api, body: &str) -> Value {
    let answer = api.post("/v1/locks/a/acquire", body).await;
    answer.expect(200);
    let lease = answer.json();
    assert_eq!(answer.header("fencing-token"), Some(lease["token"].to_string().as_str()));
    lease
}

fn path(lease: &Value) -> String {
    format!("/v1/leases/{}", lease["lease"].as_str().unwrap())
}

#[tokio::test]
async fn a_lease_is_renewed_looked_at_and_given_back() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let lease = acquire(&api, r#"{"ttl":"5s","owner":"me","metadata":{"job":"7"}}"#).await;
    assert_eq!((&lease["name"], &lease["ttl"]), (&json!("a"), &json!("5s")));
    let seen = api.get("/v1/locks/a").await.json();
    assert_eq!((&seen["holder"]["owner"], &seen["holder"]["metadata"]["job"]), (&json!("me"), &json!("7")));

    tokio::time::sleep(Duration::from_millis(50)).await;
    let renewed = api.post(&format!("{}/renew", path(&lease)), "").await;
    let (before, after) =
        (&lease["deadline_boottime_ns"], &renewed.expect(200).json()["deadline_boottime_ns"]);
    assert!(after.as_u64() > before.as_u64(), "{before} {after}");
    assert_eq!(renewed.header("fencing-token"), Some(lease["token"].to_string().as_str()));
    let looked = api.get(&path(&lease)).await;
    assert_eq!(looked.expect(200).json()["token"], lease["token"]);
    assert_eq!(looked.header("fencing-token"), Some(lease["token"].to_string().as_str()));

    api.delete(&path(&lease)).await.expect(200);
    expect(&api.delete(&path(&lease)).await, 404, "unknown-lease");
    expect(&api.get(&path(&lease)).await, 404, "unknown-lease");
    expect(&api.post(&format!("{}/renew", path(&lease)), "").await, 404, "unknown-lease");
    let free = api.get("/v1/locks/a").await;
    assert_eq!(free.expect(200).json()["held"], false);
    assert_eq!(free.header("fencing-token"), None);
    let next = acquire(&api, "{}").await;
    assert!(next["token"].as_u64() > lease["token"].as_u64());
    assert_eq!(next["previous"]["why"], "released");
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_ends_and_is_told_lost_for_a_while() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let lease = acquire(&api, r#"{"ttl":"2s"}"#).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    api.post(&format!("{}/renew", path(&lease)), "").await.expect(200);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    api.get(&path(&lease)).await.expect(200);
    tokio::time::sleep(Duration::from_millis(600)).await;
    for answer in [
        api.get(&path(&lease)).await,
        api.post(&format!("{}/renew", path(&lease)), "").await,
        api.delete(&path(&lease)).await,
    ] {
        expect(&answer, 409, "lost");
        assert_eq!(answer.json()["reason"], "expired");
    }
    // Lost is told at once; for others it is free when the store says so.
    let next = acquire(&api, r#"{"wait":"10s"}"#).await;
    assert!(next["token"].as_u64() > lease["token"].as_u64());
    expect(&api.get(&path(&lease)).await, 409, "lost");
}

#[tokio::test]
async fn waits_end_as_asked() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let lease = acquire(&api, r#"{"owner":"one"}"#).await;
    let held = api.post("/v1/locks/a/acquire", r#"{"wait":"0s"}"#).await;
    expect(&held, 409, "held");
    let elapsed = api.post("/v1/locks/a/acquire", r#"{"wait":"300ms"}"#).await;
    expect(&elapsed, 409, "wait-elapsed");
    for answer in [held, elapsed] {
        assert_eq!(answer.json()["holder"]["owner"], "one");
        assert_eq!(answer.json()["holder"]["token"], lease["token"]);
    }
    // Whoever hangs up while waiting leaves the line.
    let mut waiter = api.connect().await.unwrap();
    waiter
        .write_all(b"POST /v1/locks/a/acquire HTTP/1.1\r\nHost: l\r\nContent-Length: 2\r\n\r\n{}")
        .await
        .unwrap();
    let line = async |length: usize| {
        eventually(format!("{length} in line"), SOON, async || {
            let lock = api.get("/v1/locks/a").await.json();
            (lock["waiters"].as_array().unwrap().len() == length).then_some(())
        })
        .await;
    };
    line(1).await;
    drop(waiter);
    line(0).await;
    let waiting = tokio::spawn({
        let api = api.clone();
        async move { acquire(&api, "{}").await }
    });
    line(1).await;
    api.delete(&path(&lease)).await.expect(200);
    assert!(waiting.await.unwrap()["token"].as_u64() > lease["token"].as_u64());
}

/// The answer of a grant that nobody read gives the lock back; one that was read does not.
#[tokio::test]
async fn a_grant_that_nobody_read_is_given_back() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let request = b"POST /v1/locks/a/acquire HTTP/1.1\r\nHost: l\r\nContent-Length: 2\r\n\r\n{}";
    let mut unread = api.connect().await.unwrap();
    unread.write_all(request).await.unwrap();
    let held = async |held: bool| {
        eventually(format!("held: {held}"), SOON, async || {
            (api.get("/v1/locks/a").await.json()["held"] == held).then_some(())
        })
        .await;
    };
    held(true).await;
    drop(unread);
    held(false).await;
    let lease = acquire(&api, "{}").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    api.get(&path(&lease)).await.expect(200);
    api.delete(&path(&lease)).await.expect(200);
    // With an attempt it is kept: a repeat gets it.
    let request =
        b"POST /v1/locks/a/acquire HTTP/1.1\r\nHost: l\r\nContent-Length: 15\r\n\r\n{\"attempt\":\"x\"}";
    let mut unread = api.connect().await.unwrap();
    unread.write_all(request).await.unwrap();
    held(true).await;
    drop(unread);
    tokio::time::sleep(Duration::from_millis(300)).await;
    held(true).await;
    acquire(&api, r#"{"attempt":"x","wait":"0s"}"#).await;
}

#[tokio::test]
async fn a_lease_is_its_users_own() {
    let _cores = together().await;
    if !is_root() {
        eprintln!("skipped: only root can be two users");
        return;
    }
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let lease = acquire(&api, r#"{"attempt":"x"}"#).await;
    // The socket is the owner's and the group's; here everybody's, up to the folder of the test.
    for path in daemon.socket().ancestors().take(3) {
        let mode = if path == daemon.socket() { 0o666 } else { 0o755 };
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    for (method, path) in
        [("GET", path(&lease)), ("DELETE", path(&lease)), ("POST", format!("{}/renew", path(&lease)))]
    {
        let stranger = client::request(daemon.socket(), "65534", method, &path, "");
        stranger.line("unknown-lease", SOON).await;
    }
    let stranger = client::request(
        daemon.socket(),
        "65534",
        "POST",
        "/v1/locks/a/acquire",
        r#"{"attempt":"x","wait":"0s"}"#,
    );
    stranger.line(r#""code":"held""#, SOON).await;
    let stranger = client::request(daemon.socket(), "65534", "POST", "/v1/locks/b/hold", "{}");
    stranger.line(r#""event":"held""#, SOON).await;
    let owner = api.get("/v1/locks/b").await.json()["holder"]["owner"].clone();
    assert_eq!(owner, format!("uid65534[{}]", stranger.pid()));
    api.get(&path(&lease)).await.expect(200);
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[tokio::test]
async fn the_list_shows_what_is_held() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    assert_eq!(api.get("/v1/locks").await.expect(200).json(), json!({"locks": []}));
    for name in ["payments.eu", "payments.us", "orders.1", "orders%2F2"] {
        api.post(&format!("/v1/locks/{name}/acquire"), "").await.expect(200);
    }
    let names = async |target: &str| -> Vec<String> {
        let list = api.get(target).await.expect(200).json();
        let locks = list["locks"].as_array().unwrap();
        let mut names: Vec<_> = locks.iter().map(|lock| lock["name"].as_str().unwrap().to_owned()).collect();
        assert!(locks.iter().all(|lock| lock["held"] == true && lock["token"].is_u64()), "{list}");
        names.sort();
        names
    };
    assert_eq!(names("/v1/locks").await, ["orders.1", "orders/2", "payments.eu", "payments.us"]);
    assert_eq!(names("/v1/locks?filter=payments.*").await, ["payments.eu", "payments.us"]);
    assert_eq!(names("/v1/locks?filter=orders%2F2").await, ["orders/2"]);
    assert_eq!(names("/v1/locks?filter=nix.%3E").await, [""; 0]);
    let request =
        b"GET /v1/locks HTTP/1.1\r\nHost: l\r\nAccept: application/x-ndjson\r\nConnection: close\r\n\r\n";
    let lines = api.raw_response(request).await.unwrap();
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(lines.text().lines().count(), 4, "{}", lines.text());
}
