//! `hold`: a lock that lives and dies with its connection.

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Daemon, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::problem::expect;
use crate::turns::{alone, together};
use crate::{SOON, client};

const EMBEDDED: [&str; 0] = [];

#[tokio::test]
async fn a_hold_tells_what_the_contract_says() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let mut hold = daemon.api().open("POST", "/v1/locks/a%2Fb.c/hold", r#"{"ttl":"2s"}"#).await;
    assert_eq!((hold.status(), hold.header("content-type")), (200, Some("application/x-ndjson")));
    let held = hold.event("held", SOON).await;
    assert_eq!((&held["name"], &held["ttl"]), (&json!("a/b.c"), &json!("2s")));
    assert!(held["token"].as_u64().is_some_and(|token| token > 0 && token < 1 << 53), "{held}");
    assert!(held["lease"].as_str().is_some_and(|id| id.len() == 22), "{held}");
    assert!(held["expires_in"].as_str().is_some_and(|left| left.starts_with("1.9")), "{held}");
    let first = held["deadline_boottime_ns"].as_u64().unwrap();
    let alive = hold.event("alive", SOON).await;
    assert!(alive["deadline_boottime_ns"].as_u64().unwrap() > first, "{alive}");
    assert!(alive["expires_in"].is_string(), "{alive}");
    // It is renewed for longer than its TTL.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let seen = daemon.api().get("/v1/locks/a%2Fb.c").await;
    assert_eq!(seen.json()["token"], held["token"]);
    assert_eq!(seen.header("fencing-token"), Some(held["token"].to_string().as_str()));
    assert!(
        seen.json()["holder"]["owner"]
            .as_str()
            .is_some_and(|owner| owner.contains(&std::process::id().to_string()))
    );
}

#[tokio::test]
async fn an_empty_body_is_a_request_and_says_the_defaults() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let held = daemon.api().open("POST", "/v1/locks/a/hold", "").await.event("held", SOON).await;
    assert_eq!(held["ttl"], "20s");
}

#[tokio::test]
async fn waiters_are_told_their_place_and_served_in_turn() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let mut first = api.open("POST", "/v1/locks/a/hold", r#"{"owner":"one"}"#).await;
    let token = first.event("held", SOON).await["token"].as_u64().unwrap();
    let mut second = api.open("POST", "/v1/locks/a/hold", r#"{"owner":"two"}"#).await;
    assert_eq!(second.next(SOON).await.unwrap()["event"], "waiting");
    let mut third = api.open("POST", "/v1/locks/a/hold", r#"{"owner":"three"}"#).await;
    let before = third.next(SOON).await.unwrap();
    assert_eq!(before["event"], "waiting");
    let lock = api.get("/v1/locks/a").await.json();
    assert_eq!((&lock["held"], &lock["holder"]["owner"]), (&json!(true), &json!("one")));
    let line: Vec<_> =
        lock["waiters"].as_array().unwrap().iter().map(|waiter| waiter["owner"].clone()).collect();
    assert_eq!(line, ["two", "three"]);
    first.close();
    let next = second.event("held", SOON).await;
    assert!(next["token"].as_u64().unwrap() > token, "{next}");
    assert_eq!(next["previous"]["why"], "client-gone");
    let after = third.event("waiting", SOON).await;
    assert!(after["ahead"].as_u64().unwrap() < before["ahead"].as_u64().unwrap(), "{before} {after}");
    second.close();
    third.event("held", SOON).await;
}

#[tokio::test]
async fn a_refusal_before_anything_is_streamed_is_plain() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let mut first = api.open("POST", "/v1/locks/a/hold", r#"{"owner":"one"}"#).await;
    let token = first.event("held", SOON).await["token"].clone();
    let refused = api.post("/v1/locks/a/hold", r#"{"wait":"0s"}"#).await;
    expect(&refused, 409, "held");
    assert_eq!(refused.json()["holder"]["owner"], "one");
    assert_eq!(refused.json()["holder"]["token"], token);
    let mut limited = api.open("POST", "/v1/locks/a/hold", r#"{"wait":"500ms"}"#).await;
    let timeout = limited.event("timeout", SOON).await;
    assert_eq!(timeout["holder"]["owner"], "one");
    assert_eq!(limited.next(SOON).await, None, "the stream ends");
    assert_eq!(api.get("/v1/locks/a").await.json()["waiters"], json!([]));
}

#[tokio::test]
async fn a_lease_given_back_by_its_id_ends_the_stream() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let mut hold = api.open("POST", "/v1/locks/a/hold", "{}").await;
    let id = hold.event("held", SOON).await["lease"].as_str().unwrap().to_owned();
    api.delete(&format!("/v1/leases/{id}")).await.expect(200);
    assert_eq!(hold.event("lost", SOON).await["reason"], "released");
    assert_eq!(hold.next(SOON).await, None);
    assert_eq!(api.get("/v1/locks/a").await.json()["held"], false);
}

#[tokio::test]
async fn two_hundred_are_served_in_the_order_in_which_they_came() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let mut holder = api.open("POST", "/v1/locks/a/hold", "{}").await;
    let mut token = holder.event("held", SOON).await["token"].as_u64().unwrap();
    let mut line = std::collections::VecDeque::new();
    for _ in 0..200 {
        let mut waiter = api.open("POST", "/v1/locks/a/hold", "{}").await;
        assert_eq!(waiter.next(SOON).await.unwrap()["event"], "waiting");
        line.push_back(waiter);
    }
    let began = Instant::now();
    while let Some(mut next) = line.pop_front() {
        holder.close();
        let held = next.event("held", SOON).await;
        assert!(held["token"].as_u64().unwrap() > token);
        token = held["token"].as_u64().unwrap();
        holder = next;
    }
    eprintln!("200 handovers in {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// What takes milliseconds is measured with nothing beside it: `tests/run` runs these by themselves.
mod measured {
    use super::*;

    /// Each way for a client to go, while it holds and while it waits, is noticed within milliseconds.
    #[tokio::test]
    async fn every_way_to_hang_up_is_noticed_at_once() {
        let _cores = alone().await;
        let daemon = Daemon::start(EMBEDDED).await;
        let api = daemon.api();
        for (way, request) in [
            ("close", "{}"),
            ("half-close", "{}"),
            // More bytes than the request has: hyper does not look at the connection while these wait.
            ("close, leaving bytes", "{}\r\n\r\n"),
            ("half-close, leaving bytes", "{}GET /healthz HTTP/1.1\r\n"),
        ] {
            let half = way.starts_with("half");
            let mut holder = raw(&daemon, request).await;
            until(&mut holder, r#""event":"held""#).await;
            let mut waiter = raw(&daemon, request).await;
            until(&mut waiter, r#""event":"waiting""#).await;
            // Both at once: neither may keep the line busy.
            let began = Instant::now();
            if half {
                waiter.shutdown().await.unwrap();
                holder.shutdown().await.unwrap();
            } else {
                drop(waiter);
                drop(holder);
            }
            eventually(format!("the lock is free after {way}"), SOON, async || {
                let lock = api.get("/v1/locks/a").await.json();
                (lock["held"] == false && lock["waiters"] == json!([])).then_some(())
            })
            .await;
            let took = began.elapsed();
            eprintln!("{way}: {took:?}");
            assert!(took < Duration::from_millis(250), "{way}: {took:?}");
        }
    }

    #[tokio::test]
    async fn a_killed_client_hands_over_at_once() {
        let _cores = alone().await;
        let daemon = Daemon::start(EMBEDDED).await;
        for round in 0..5 {
            let mut holder = client::holder(daemon.socket(), "a", "{}").await;
            let mut waiter = daemon.api().open("POST", "/v1/locks/a/hold", "{}").await;
            waiter.event("waiting", SOON).await;
            let began = Instant::now();
            holder.kill9();
            let held = waiter.event("held", SOON).await;
            let took = began.elapsed();
            assert_eq!(held["previous"]["why"], "client-gone");
            assert!(took < Duration::from_millis(250), "round {round}: {took:?}");
        }
    }
}

async fn raw(daemon: &Daemon, body: &str) -> tokio::net::UnixStream {
    let mut stream = daemon.api().connect().await.unwrap();
    let request = format!("POST /v1/locks/a/hold HTTP/1.1\r\nHost: l\r\nContent-Length: 2\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn until(stream: &mut tokio::net::UnixStream, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        let mut part = [0; 4096];
        let length = tokio::time::timeout(SOON, stream.read(&mut part)).await.expect("in time").unwrap();
        assert!(length > 0, "closed after: {seen}");
        seen.push_str(&String::from_utf8_lossy(&part[..length]));
    }
}
