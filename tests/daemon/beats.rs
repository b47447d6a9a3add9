//! `heartbeat`: a client that hangs without dying counts as dead.

use std::time::{Duration, Instant};

use support::{Api, Daemon, Launch, eventually, python};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::SOON;
use crate::turns::{alone, together};

const EMBEDDED: [&str; 0] = [];

/// A client with its bytes in its own hands.
struct Client {
    stream: UnixStream,
    seen: String,
}

impl Client {
    async fn new(api: &Api, target: &str, body: &str) -> Client {
        let mut stream = api.connect().await.unwrap();
        let head = format!("POST {target} HTTP/1.1\r\nHost: l\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        Client { stream, seen: String::new() }
    }

    async fn beat(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads until `text` has come; `None` at the end.
    async fn until(&mut self, text: &str) -> Option<()> {
        while !self.seen.contains(text) {
            let mut part = [0; 4096];
            let length =
                tokio::time::timeout(SOON, self.stream.read(&mut part)).await.expect("in time").ok()?;
            if length == 0 {
                return None;
            }
            self.seen.push_str(&String::from_utf8_lossy(&part[..length]));
        }
        Some(())
    }
}

/// Path, body without the heartbeat, the grant's event, who sees that it is free.
const KINDS: [(&str, &str, &str); 5] = [
    ("/v1/locks/a/hold", r#"{"ttl":"20s""#, "held"),
    ("/v1/semaphores/b/hold", r#"{"limit":1,"ttl":"20s""#, "held"),
    ("/v1/multi/hold", r#"{"names":["c","d"],"ttl":"20s""#, "held"),
    ("/v1/elections/e/campaign", r#"{"value":1,"ttl":"20s""#, "elected"),
    ("/v1/groups/f/join", r#"{"ttl":"20s""#, "joined"),
];

/// What takes milliseconds is measured with nothing beside it: `tests/run` runs these by themselves.
mod measured {
    use super::*;

    #[tokio::test]
    async fn a_client_that_falls_silent_is_told_and_loses_what_it_holds() {
        let _cores = alone().await;
        let daemon = Daemon::start(EMBEDDED).await;
        let api = daemon.api();
        let all = KINDS.map(|(target, body, granted)| {
            let api = api.clone();
            tokio::spawn(async move {
                let mut client = Client::new(&api, target, &format!(r#"{body},"heartbeat":"1s"}}"#)).await;
                client.until(granted).await.unwrap_or_else(|| panic!("{target}: {}", client.seen));
                // Anything at all, and much of it: none is answered, not even what looks like a request.
                let beats: [&[u8]; 6] = [
                    b".",
                    b"\r\n\r\n",
                    b"GET /healthz HTTP/1.1\r\nHost: l\r\n\r\n",
                    b"\0\xff",
                    &[b'x'; 300_000],
                    b"1",
                ];
                for beat in beats {
                    client.beat(beat).await;
                    tokio::time::sleep(Duration::from_millis(400)).await;
                }
                assert!(!client.seen.contains("lost"), "{target}: {}", client.seen);
                let silent = Instant::now();
                client
                    .until(r#""reason":"heartbeat""#)
                    .await
                    .unwrap_or_else(|| panic!("{target}: {}", client.seen));
                let after = silent.elapsed();
                assert!(after < Duration::from_millis(900), "{target}: {after:?}");
                assert!(after > Duration::from_millis(300), "{target}: {after:?}");
                // That was the last line, and the connection is closed.
                assert!(client.until("never").await.is_none());
                assert_eq!(client.seen.matches("HTTP/1.1 ").count(), 1, "{}", client.seen);
            })
        });
        for one in all {
            one.await.unwrap();
        }
        eventually("all is free", SOON, async || {
            let locks = api.get("/v1/locks").await.json()["locks"].as_array()?.len();
            let permits = api.get("/v1/semaphores/b").await.json()["holders"].as_array()?.len();
            let members = api.get("/v1/groups/f").await.json()["members"].as_array()?.len();
            let leads = api.get("/v1/elections/e").await.json()["leader"].is_object();
            ((locks, permits, members, leads) == (0, 0, 0, false)).then_some(())
        })
        .await;
        let next = api.open("POST", "/v1/locks/a/hold", "").await.event("held", SOON).await;
        assert_eq!(next["previous"]["why"], "client-gone");
    }

    /// A hand on the clock for both: a daemon that was stopped looks at what came meanwhile before it judges.
    #[tokio::test]
    async fn a_pause_of_the_daemon_is_not_the_clients_fault_and_one_of_the_client_is() {
        let _cores = alone().await;
        let mut daemon = Daemon::start(EMBEDDED).await;
        let api = daemon.api();
        let mut client = Client::new(&api, "/v1/locks/a/hold", r#"{"heartbeat":"1s"}"#).await;
        client.until("held").await.unwrap();
        daemon.process().pause();
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(400)).await;
            client.beat(b"\n").await;
        }
        daemon.process().resume();
        for _ in 0..4 {
            client.beat(b"\n").await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        assert_eq!(api.get("/v1/locks/a").await.json()["held"], true);
        drop(client);
        let mut python = Launch::program(python::python().unwrap())
            .args(["-c", PYTHON, daemon.socket().to_str().unwrap()])
            .start();
        python.line("\"held\"", SOON).await;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let mut waiter = api.open("POST", "/v1/locks/a/hold", "").await;
        waiter.event("waiting", SOON).await;
        python.pause();
        let paused = Instant::now();
        waiter.event("held", SOON).await;
        assert!(paused.elapsed() < Duration::from_millis(1_500), "{:?}", paused.elapsed());
        python.resume();
        python.line("\"heartbeat\"", SOON).await;
        assert_eq!(python.exit(SOON).await.code, Some(0), "{}", python.stderr());
    }
}

#[tokio::test]
async fn a_silent_waiter_leaves_the_line_and_a_living_one_stays() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let mut holder = api.open("POST", "/v1/locks/a/hold", "").await;
    holder.event("held", SOON).await;
    let mut silent = Client::new(&api, "/v1/locks/a/hold", r#"{"heartbeat":"1s"}"#).await;
    silent.until("waiting").await.unwrap();
    let mut living = Client::new(&api, "/v1/locks/a/hold", r#"{"heartbeat":"1s"}"#).await;
    for _ in 0..5 {
        living.beat(b"\n").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    silent.until(r#""reason":"heartbeat""#).await.unwrap();
    assert!(silent.until("never").await.is_none());
    holder.close();
    living.until("held").await.unwrap();
    // A refusal ends the connection as well: what comes next may be a heartbeat.
    let mut refused = Client::new(&api, "/v1/locks/a/hold", r#"{"heartbeat":"1s","wait":"0s"}"#).await;
    refused.beat(b"..").await;
    assert!(refused.until("never").await.is_none());
    assert_eq!(refused.seen.matches("HTTP/1.1 ").count(), 1, "{}", refused.seen);
    assert!(refused.seen.contains(r#""code":"held""#), "{}", refused.seen);
}

/// With the standard library's HTTP client: single bytes after the request.
const PYTHON: &str = r#"
import http.client, socket, sys, threading, time
connection = http.client.HTTPConnection("lease")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(sys.argv[1])
connection.request("POST", "/v1/locks/a/hold", '{"heartbeat":"1s"}')
wire = connection.sock
def beat():
    try:
        while True:
            wire.send(b"\n")
            time.sleep(0.3)
    except OSError:
        pass  # Hung up: the last line says why.
threading.Thread(target=beat, daemon=True).start()
for line in connection.getresponse():
    print(line.decode().strip(), flush=True)
"#;

/// With curl: the rest of a chunked body that stays open.
#[tokio::test]
async fn curl_beats_with_a_body_that_stays_open() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let script = r#"
        { printf '{"heartbeat":"1s"}\n'; for i in 1 2 3 4 5 6; do sleep 0.4; echo; done; sleep 60; } |
            curl -sN -T . -X POST --unix-socket "$S" http://lease/v1/locks/a/hold
    "#;
    let curl = Launch::program("sh").args(["-c", script]).env("S", daemon.socket()).start();
    curl.line("\"held\"", SOON).await;
    tokio::time::sleep(Duration::from_millis(1_800)).await;
    assert_eq!(api.get("/v1/locks/a").await.json()["held"], true, "{}", curl.stdout());
    let lost = curl.line("\"lost\"", SOON).await;
    assert!(lost.contains("heartbeat"), "{lost}");
    assert_eq!(
        api.open("POST", "/v1/locks/a/hold", "").await.event("held", SOON).await["previous"]["why"],
        "client-gone"
    );
}
