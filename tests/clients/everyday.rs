//! What happens every day: taking, giving back, waiting, giving up, being refused, dying.

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Daemon, eventually};

use crate::SOON;
use crate::kit::{Client, each, finish, token};

#[tokio::test]
async fn a_lock_is_taken_and_given_back_and_the_next_token_is_higher() {
    let daemon = Daemon::start([""; 0]).await;
    each(async |client| {
        let path = format!("/v1/locks/{}%2Fpart", client.lock());
        let name = format!("{}/part", client.lock());
        let (first, lower) = client.working(&daemon, &[&name, "50", "-"]).await;
        let seen = daemon.api().get(&path).await.expect(200).json();
        assert_eq!((&seen["token"], &seen["holder"]["ttl"]), (&json!(lower), &json!("50s")), "{client:?}");
        assert_eq!(finish(first).await, Some(0), "{client:?}");
        // The end of its connection gives it back, which the daemon may see a moment after the client's own end.
        eventually(format!("{client:?} has given it back"), SOON, async || {
            (daemon.api().get(&path).await.json()["held"] == false).then_some(())
        })
        .await;
        let (second, higher) = client.working(&daemon, &[&name, "5", "10"]).await;
        assert!(higher > lower, "{client:?}: {higher} after {lower}");
        assert_eq!(finish(second).await, Some(0), "{client:?}");
    })
    .await;
}

#[tokio::test]
async fn a_client_waits_its_turn() {
    let daemon = Daemon::start([""; 0]).await;
    each(async |client| {
        let (name, api) = (client.lock(), daemon.api());
        let mut holder = api.open("POST", &format!("/v1/locks/{name}/hold"), "{}").await;
        let before = holder.event("held", SOON).await["token"].as_u64();
        let waiting = client.start(&daemon, &[&name, "5", "60"]);
        in_line(&daemon, &name).await;
        assert_eq!(waiting.stdout(), "", "{client:?} works without the lock");
        holder.close();
        assert!(Some(token(&waiting, 0).await) > before, "{client:?}");
        assert_eq!(finish(waiting).await, Some(0), "{client:?}");
    })
    .await;
}

#[tokio::test]
async fn a_client_gives_up_when_it_has_waited_long_enough() {
    let daemon = Daemon::start([""; 0]).await;
    each(async |client| {
        let (name, api) = (client.lock(), daemon.api());
        let mut holder = api.open("POST", &format!("/v1/locks/{name}/hold"), r#"{"owner":"rival"}"#).await;
        holder.event("held", SOON).await;
        for wait in ["1.5", "0"] {
            let began = Instant::now();
            let mut waiting = client.start(&daemon, &[&name, "5", wait]);
            let exit = waiting.exit(SOON).await;
            let said = waiting.stdout() + &waiting.stderr();
            assert_eq!(exit.code, Some(75), "{client:?}: {said}");
            assert!(said.contains("rival"), "{client:?} does not tell who has it: {said}");
            let took = began.elapsed();
            assert!(wait == "0" || took > Duration::from_millis(1500), "{client:?}: {took:?}");
        }
        // Nobody stays behind in the line.
        assert_eq!(api.get(&format!("/v1/locks/{name}")).await.json()["waiters"], json!([]), "{client:?}");
    })
    .await;
}

#[tokio::test]
async fn a_client_without_a_daemon_gives_up_too() {
    let mut daemon = Daemon::start([""; 0]).await;
    daemon.kill9();
    each(async |client| {
        let mut alone = client.start(&daemon, &[&client.lock(), "5", "1"]);
        assert_eq!(alone.exit(SOON).await.code, Some(75), "{client:?}: {}", alone.stderr());
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason() {
    let daemon = Daemon::start([""; 0]).await;
    each(async |client| {
        let mut refused = client.start(&daemon, &["a..b", "5", "-"]);
        let exit = refused.exit(SOON).await;
        let said = refused.stdout() + &refused.stderr();
        assert_eq!(exit.code, Some(64), "{client:?}: {said}");
        assert!(said.contains("invalid-name") && said.contains("two dots"), "{client:?}: {said}");
    })
    .await;
}

#[tokio::test]
async fn the_lock_of_a_client_that_dies_is_free_at_once() {
    let daemon = Daemon::start([""; 0]).await;
    each(async |client| {
        let name = client.lock();
        let (mut dying, before) = client.working(&daemon, &[&name, "30", "-"]).await;
        let mut next = daemon.api().open("POST", &format!("/v1/locks/{name}/hold"), "{}").await;
        next.event("waiting", SOON).await;
        let began = Instant::now();
        dying.kill9();
        let held = next.event("held", SOON).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{client:?}: only after {took:?}");
        assert_eq!(held["previous"]["why"], "client-gone", "{client:?}");
        assert!(held["token"].as_u64() > Some(before), "{client:?}");
    })
    .await;
}

/// Waits until one client is in line for `name`.
pub async fn in_line(daemon: &Daemon, name: &str) {
    eventually(format!("somebody in line for {name}"), SOON, async || {
        let lock = daemon.api().get(&format!("/v1/locks/{name}")).await.json();
        (lock["waiters"].as_array().is_some_and(|line| line.len() == 1)).then_some(())
    })
    .await;
}

impl Client {
    /// Waits until it has said that its work was stopped and its lock lost, for a reason with one of these words.
    pub async fn lost(self, process: &support::Process, words: &[&str]) {
        process.line("stopped", SOON).await;
        let said = process.line("lost", SOON).await;
        assert!(words.iter().any(|word| said.contains(word)), "{self:?}: {said}, not {words:?}");
    }
}
