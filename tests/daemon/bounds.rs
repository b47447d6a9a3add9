//! Each bound is met by a code of its own, and what is given back can be taken again.

use std::fs;
use std::path::Path;

use support::{Api, Daemon, Folder, Launch, Lines, Process, Response, User, eventually};
use tokio::io::AsyncWriteExt;

use crate::SOON;
use crate::problem::expect;
use crate::turns::together;

const LIMITS: &str = r#"
[socket]
mode = "0666"

[limits]
connections = 64
connections-per-user = 40
waiters = 8
waiters-per-user = 6
waiters-per-name = 4
watches = 5
watches-per-user = 3
leases = 6
leases-per-user = 4
"#;

async fn daemon(limits: &str) -> (Daemon, Folder) {
    let folder = Folder::new("limits");
    let config = folder.join("lease.toml");
    fs::write(&config, limits).unwrap();
    (Daemon::start(["--config".as_ref(), config.as_os_str()]).await, folder)
}

/// A request of another user, that may go on.
fn other(socket: &Path, method: &str, path: &str) -> Process {
    let url = format!("http://lease{path}");
    let curl = Launch::program("curl").args(["-sSN", "-X", method, &url, "--unix-socket"]).arg(socket);
    curl.as_user(&User::new(61001)).start()
}

/// Asks until it is granted: what was given back may take a moment.
async fn again(api: &Api, method: &str, path: &str) -> Response {
    eventually("there is room again", SOON, async || {
        let answer = api.send(method, path, "").await;
        (answer.status == 200).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn leases_are_bounded_in_all_and_of_one_user() {
    let _cores = together().await;
    let (daemon, _folder) = daemon(LIMITS).await;
    let api = daemon.api();
    let mut ids = Vec::new();
    for n in 0..4 {
        let lease = api.post(&format!("/v1/locks/mine.{n}/acquire"), r#"{"ttl":"60s"}"#).await;
        ids.push(lease.expect(200).json()["lease"].as_str().unwrap().to_owned());
    }
    for (method, path) in [("acquire", "locks/a"), ("hold", "locks/a"), ("campaign", "elections/a")] {
        expect(&api.post(&format!("/v1/{path}/{method}"), "").await, 429, "too-many-leases-of-user");
    }
    let held = [
        other(daemon.socket(), "POST", "/v1/locks/b/hold"),
        other(daemon.socket(), "POST", "/v1/locks/c/hold"),
    ];
    for held in &held {
        held.line("\"held\"", SOON).await;
    }
    let full = other(daemon.socket(), "POST", "/v1/locks/d/hold");
    full.line("\"too-many-leases\"", SOON).await;
    drop(held);
    // What the other gave back is not for this user, what it gives back itself is.
    expect(&api.post("/v1/locks/a/acquire", "").await, 429, "too-many-leases-of-user");
    api.delete(&format!("/v1/leases/{}", ids[0])).await.expect(200);
    again(&api, "POST", "/v1/locks/a/acquire").await;
    expect(&api.post("/v1/locks/e/acquire", "").await, 429, "too-many-leases-of-user");
    api.post(&format!("/v1/leases/{}/renew", ids[1]), "").await.expect(200);
}

#[tokio::test]
async fn waiters_are_bounded_in_all_and_of_one_user_and_for_one_name() {
    let _cores = together().await;
    let (daemon, _folder) = daemon(LIMITS).await;
    let api = daemon.api();
    for name in ["a", "b", "c"] {
        api.post(&format!("/v1/locks/{name}/acquire"), r#"{"ttl":"60s"}"#).await.expect(200);
    }
    let wait = async |name: &str| -> Lines {
        let mut waiting = api.open("POST", &format!("/v1/locks/{name}/hold"), "").await;
        waiting.event("waiting", SOON).await;
        waiting
    };
    let mut waiting = vec![wait("a").await, wait("a").await, wait("a").await, wait("a").await];
    expect(&api.post("/v1/locks/a/hold", "").await, 429, "too-many-waiters-of-name");
    let together = r#"{"names":["a","z"],"wait":"1s"}"#;
    expect(&api.post("/v1/multi/acquire", together).await, 429, "too-many-waiters-of-name");
    waiting.extend([wait("b").await, wait("b").await]);
    expect(&api.post("/v1/locks/c/acquire", "").await, 429, "too-many-waiters-of-user");
    let others = [
        other(daemon.socket(), "POST", "/v1/locks/b/hold"),
        other(daemon.socket(), "POST", "/v1/locks/b/hold"),
    ];
    for waiting in &others {
        waiting.line("\"waiting\"", SOON).await;
    }
    other(daemon.socket(), "POST", "/v1/locks/c/hold").line("\"too-many-waiters\"", SOON).await;
    // Whoever leaves makes room for the others.
    drop(waiting.pop());
    eventually("room for one that waits", SOON, async || {
        let mut line = api.open("POST", "/v1/locks/c/hold", "").await;
        if line.status() != 200 {
            return None;
        }
        line.event("waiting", SOON).await;
        Some(())
    })
    .await;
}

#[tokio::test]
async fn watches_and_connections_are_bounded_in_all_and_of_one_user() {
    let _cores = together().await;
    let (daemon, _folder) = daemon(LIMITS).await;
    let api = daemon.api();
    let mut watches = Vec::new();
    for path in ["/v1/watch", "/v1/locks/a/watch", "/v1/elections/a/watch"] {
        watches.push(api.open("GET", path, "").await);
    }
    expect(&api.get("/v1/groups/a/watch").await, 429, "too-many-watches-of-user");
    // A watch begins with what is held: that shows that it has its seat.
    api.post("/v1/locks/seen/acquire", r#"{"ttl":"60s"}"#).await.expect(200);
    let others = [other(daemon.socket(), "GET", "/v1/watch"), other(daemon.socket(), "GET", "/v1/watch")];
    for watch in &others {
        watch.line("\"granted\"", SOON).await;
    }
    other(daemon.socket(), "GET", "/v1/watch").line("\"too-many-watches\"", SOON).await;
    drop((watches, others));
    eventually("room for a watch", SOON, async || {
        (api.open("GET", "/v1/watch", "").await.status() == 200).then_some(())
    })
    .await;

    let mut idle = Vec::new();
    let refused = eventually("a refusal", SOON, async || {
        idle.push(api.connect().await.unwrap());
        let answer = api.try_send("GET", "/healthz", "").await.ok()?;
        (answer.status == 429).then_some(answer)
    })
    .await;
    expect(&refused, 429, "too-many-connections-of-user");
    // Another user is served meanwhile.
    other(daemon.socket(), "GET", "/healthz").line("\"ok\"", SOON).await;
    idle.clear();
    again(&api, "GET", "/healthz").await;
}

#[tokio::test]
async fn sizes_and_times_of_requests_are_bounded() {
    let _cores = together().await;
    let limits =
        "[limits]\nhead-bytes = 8192\nbody-bytes = 1024\nhead-within = \"300ms\"\nbody-within = \"300ms\"\n";
    let (daemon, _folder) = daemon(limits).await;
    let api = daemon.api();
    let body = format!(r#"{{"owner":"{}"}}"#, "x".repeat(1024));
    expect(&api.post("/v1/locks/a/acquire", &body).await, 413, "body-too-large");
    let slow = b"POST /v1/locks/a/acquire HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{";
    expect(&api.raw_response(slow).await.unwrap(), 408, "request-timeout");
    let long = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(9000));
    assert_eq!(api.raw_response(long.as_bytes()).await.unwrap().status, 431);
    // A head that does not arrive: closed.
    assert_eq!(api.raw(b"GET /heal", SOON).await.unwrap(), b"");
    api.get("/readyz").await.expect(200);
}

#[tokio::test]
async fn who_does_not_read_a_watch_is_cut_off_and_the_daemon_stays_small() {
    let _cores = together().await;
    let (mut daemon, _folder) = daemon("[limits]\nunread-within = \"500ms\"\n").await;
    let api = daemon.api();
    let mut deaf = api.connect().await.unwrap();
    deaf.write_all(b"GET /v1/watch HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut reader = api.open("GET", "/v1/watch", "").await;
    let metadata = format!(r#"{{"ttl":"60s","metadata":{{"a":"{}"}}}}"#, "x".repeat(3000));
    let before = resident(daemon.process().pid());
    let mut granted = 0;
    let cut = eventually("the end of the one who does not read", SOON * 6, async || {
        let lease = api.post("/v1/locks/a/acquire", &metadata).await;
        let id = lease.expect(200).json()["lease"].as_str().unwrap().to_owned();
        api.delete(&format!("/v1/leases/{id}")).await.expect(200);
        reader.event("released", SOON).await;
        granted += 1;
        let said = daemon.process().stderr();
        said.lines().find(|line| line.contains("was cut off")).map(str::to_owned)
    })
    .await;
    assert!(cut.contains("does not read") && cut.contains("uid="), "{cut}");
    assert!(granted > 20, "cut off after {granted} events: too early");
    let grown = resident(daemon.process().pid()).saturating_sub(before);
    assert!(grown < 32 << 20, "grew by {grown} bytes for one who does not read");
    // Whoever reads is told on.
    api.post("/v1/locks/b/acquire", "").await.expect(200);
    assert_eq!(reader.event("granted", SOON).await["name"], "b");
}

/// The memory of a process, in bytes.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
