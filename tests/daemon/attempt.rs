//! Attempts: a repeated `acquire` gets the same lease.

use serde_json::Value;
use support::{Api, Daemon, eventually};
use tokio::io::AsyncWriteExt;

use crate::SOON;
use crate::problem::expect;
use crate::turns::together;

const EMBEDDED: [&str; 0] = [];

async fn acquire(api: &Api, body: &str) -> Value {
    api.post("/v1/locks/a/acquire", body).await.expect(200).json()
}

#[tokio::test]
async fn a_repeat_returns_the_same_lease() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let first = acquire(&api, r#"{"attempt":"x-1"}"#).await;
    for _ in 0..3 {
        let again = acquire(&api, r#"{"attempt":"x-1","wait":"0s"}"#).await;
        assert_eq!((&again["lease"], &again["token"]), (&first["lease"], &first["token"]));
    }
    // Another attempt is another's; the same one at another name is a new one.
    expect(&api.post("/v1/locks/a/acquire", r#"{"attempt":"x-2","wait":"0s"}"#).await, 409, "held");
    let other = api.post("/v1/locks/b/acquire", r#"{"attempt":"x-1","wait":"0s"}"#).await.expect(200).json();
    assert_ne!(other["lease"], first["lease"]);
    // A repeat that comes after the release must not take the lock again.
    api.delete(&format!("/v1/leases/{}", first["lease"].as_str().unwrap())).await.expect(200);
    expect(&api.post("/v1/locks/a/acquire", r#"{"attempt":"x-1"}"#).await, 409, "attempt-ended");
    assert_eq!(api.get("/v1/locks/a").await.json()["held"], false);
}

#[tokio::test]
async fn a_repeat_after_a_loss_is_told_so() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    acquire(&api, r#"{"attempt":"x","ttl":"2s"}"#).await;
    tokio::time::sleep(std::time::Duration::from_millis(2200)).await;
    expect(&api.post("/v1/locks/a/acquire", r#"{"attempt":"x"}"#).await, 409, "lost");
}

#[tokio::test]
async fn repeats_at_the_same_time_get_one_lease() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let blocker = acquire(&api, "{}").await;
    let repeats: Vec<_> = (0..8)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move { acquire(&api, r#"{"attempt":"x"}"#).await })
        })
        .collect();
    in_line(&api, 1).await;
    // A repeat has its own patience.
    expect(&api.post("/v1/locks/a/acquire", r#"{"attempt":"x","wait":"200ms"}"#).await, 409, "wait-elapsed");
    expect(&api.post("/v1/locks/a/acquire", r#"{"attempt":"x","wait":"0s"}"#).await, 409, "held");
    api.delete(&format!("/v1/leases/{}", blocker["lease"].as_str().unwrap())).await.expect(200);
    let mut leases = Vec::new();
    for repeat in repeats {
        leases.push(repeat.await.unwrap()["lease"].clone());
    }
    leases.dedup();
    assert_eq!(leases.len(), 1, "{leases:?}");
}

#[tokio::test]
async fn a_repeat_takes_the_turn_of_one_that_hung_up() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let blocker = acquire(&api, "{}").await;
    let request =
        b"POST /v1/locks/a/acquire HTTP/1.1\r\nHost: l\r\nContent-Length: 15\r\n\r\n{\"attempt\":\"x\"}";
    let mut first = api.connect().await.unwrap();
    first.write_all(request).await.unwrap();
    in_line(&api, 1).await;
    let repeat = tokio::spawn({
        let api = api.clone();
        async move { acquire(&api, r#"{"attempt":"x"}"#).await }
    });
    drop(first);
    api.delete(&format!("/v1/leases/{}", blocker["lease"].as_str().unwrap())).await.expect(200);
    let lease = tokio::time::timeout(SOON, repeat).await.expect("in time").unwrap();
    assert_eq!(acquire(&api, r#"{"attempt":"x"}"#).await["lease"], lease["lease"]);
}

async fn in_line(api: &Api, length: usize) {
    eventually(format!("{length} in line"), SOON, async || {
        let lock = api.get("/v1/locks/a").await.json();
        (lock["waiters"].as_array().unwrap().len() == length).then_some(())
    })
    .await;
}
