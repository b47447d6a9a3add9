//! The policy is read again at SIGHUP: what that changes at once, and what it leaves alone.

use std::fs;
use std::path::PathBuf;

use support::{Daemon, Folder};

use crate::SOON;
use crate::problem::expect;
use crate::turns::together;

/// A file with one rule for whoever runs this test.
struct Rules {
    path: PathBuf,
    _folder: Folder,
}

impl Rules {
    fn new() -> Rules {
        let folder = Folder::new("rules");
        Rules { path: folder.join("lease.toml"), _folder: folder }
    }

    fn allow(&self, names: &str) {
        let uid = rustix::process::getuid();
        let text = format!("[[policy]]\nusers = [{uid}]\nnames = [{names}]\nallow = [\"hold\"]\n");
        fs::write(&self.path, text).unwrap();
    }
}

#[tokio::test]
async fn a_new_policy_counts_for_requests_and_waiters_and_takes_nothing_from_holders() {
    let _cores = together().await;
    let rules = Rules::new();
    rules.allow(r#""a.*", "b.*""#);
    let mut daemon = Daemon::start(["--config".as_ref(), rules.path.as_os_str()]).await;
    let api = daemon.api();
    let mut holder = api.open("POST", "/v1/locks/b.1/hold", r#"{"ttl":"2s"}"#).await;
    let held = holder.event("held", SOON).await;
    let leased = api.post("/v1/locks/b.2/acquire", r#"{"ttl":"60s"}"#).await.json();
    let mut waiter = api.open("POST", "/v1/locks/b.1/hold", "").await;
    waiter.event("waiting", SOON).await;
    let mut quiet = {
        let api = api.clone();
        tokio::spawn(async move { api.post("/v1/locks/b.1/acquire", "").await })
    };
    let mut one = api.open("GET", "/v1/locks/b.1/watch", "").await;
    one.event("granted", SOON).await;
    let mut many = api.open("GET", "/v1/watch", "").await;
    for _ in 0..2 {
        many.event("granted", SOON).await;
    }
    while api.get("/v1/locks/b.1").await.json()["waiters"].as_array().unwrap().len() < 2 {}

    rules.allow(r#""a.*""#);
    daemon.process().sighup();
    daemon.process().line("the policy was read again", SOON).await;
    // Whoever waits is told; nobody is left in line.
    assert_eq!(waiter.event("lost", SOON).await["reason"], "denied");
    assert!(waiter.next(SOON).await.is_none(), "that was the last line");
    expect(&(&mut quiet).await.unwrap(), 403, "denied");
    expect(&api.post("/v1/locks/b.1/acquire", r#"{"wait":"0s"}"#).await, 403, "denied");
    expect(&api.get("/v1/locks/b.1").await, 403, "denied");
    one.rest(SOON).await;
    // Who holds goes on.
    let renewed = api.post(&format!("/v1/leases/{}/renew", leased["lease"].as_str().unwrap()), "").await;
    assert_eq!(renewed.expect(200).json()["token"], leased["token"]);
    holder.event("alive", SOON).await;
    holder.event("alive", SOON).await;
    // What is shown of many is what may still be seen.
    let mine = api.post("/v1/locks/a.1/acquire", "").await.json();
    drop(holder);
    let shown = many.event("granted", SOON).await;
    assert_eq!((&shown["name"], &shown["token"]), (&"a.1".into(), &mine["token"]));
    assert_eq!(api.get("/v1/locks").await.json()["locks"].as_array().unwrap().len(), 1);

    // A file that is broken, or has no rules any more, changes nothing.
    for (text, said) in [
        ("[[policy]]\nusers = [\"no-such-user\"]\nnames = [\"b.*\"]\nallow = [\"hold\"]\n", "no such user"),
        ("[[policy", "lease.toml:1: "),
        ("log = \"info\"\n", "has no [[policy]] any more"),
    ] {
        fs::write(&rules.path, text).unwrap();
        daemon.process().sighup();
        let line = daemon.process().line(said, SOON).await;
        assert!(line.contains("the policy stays as it was"), "{line}");
        expect(&api.get("/v1/locks/b.1").await, 403, "denied");
        api.get("/v1/locks/a.1").await.expect(200);
    }
    rules.allow(r#""b.*""#);
    daemon.process().sighup();
    daemon.process().line("policy", SOON).await;
    let again = support::eventually("leave to take it", SOON, async || {
        let answer = api.post("/v1/locks/b.1/acquire", "").await;
        (answer.status == 200).then(|| answer.json())
    });
    assert!(again.await["token"].as_u64() > held["token"].as_u64());
}

#[tokio::test]
async fn without_a_file_sighup_ends_nothing() {
    let _cores = together().await;
    let mut daemon = Daemon::start([""; 0]).await;
    daemon.process().sighup();
    daemon.process().line("there is no --config", SOON).await;
    daemon.api().get("/readyz").await.expect(200);
}
