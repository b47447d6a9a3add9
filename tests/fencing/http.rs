//! `lease-daemon/examples/fenced_http.rs`: a service that refuses old tokens, over real HTTP.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use support::{Folder, Launch, Process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(30);

struct Service {
    process: Process,
    address: String,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// The status of a refusal, which must be a problem document.
    fn problem(&self) -> (u16, Value) {
        assert!(self.head.contains("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).expect("JSON");
        assert_eq!(problem["status"], self.status, "{self:?}");
        (self.status, problem)
    }
}

impl Service {
    async fn start(folder: &Path) -> Service {
        let program = support::programs::example("fenced_http");
        let process = Launch::program(program).arg("127.0.0.1:0").arg(folder).start();
        let line = process.line("listening on ", LIMIT).await;
        let address = line.split_whitespace().last().expect("an address").to_owned();
        Service { process, address }
    }

    /// One request with these header lines, byte for byte.
    async fn send(&self, method: &str, document: &str, headers: &str, body: &str) -> Answer {
        let exchange = async {
            let mut stream = TcpStream::connect(&self.address).await.expect("connected");
            let length = body.len();
            let request = format!(
                "{method} /documents/{document} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
                 Content-Length: {length}\r\n{headers}\r\n{body}"
            );
            stream.write_all(request.as_bytes()).await.expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("answered");
            answer
        };
        let answer = tokio::time::timeout(LIMIT, exchange).await.expect("answered in time");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    async fn put(&self, document: &str, token: u64, value: &str) -> Answer {
        self.send("PUT", document, &format!("Fencing-Token: {token}\r\n"), value).await
    }

    async fn get(&self, document: &str) -> Answer {
        self.send("GET", document, "", "").await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_token_is_refused() {
    let folder = Folder::new("documents");
    let service = Service::start(folder.path()).await;
    assert_eq!(service.get("a").await.problem().0, 404);
    assert_eq!(service.put("a", 33, "first").await.status, 204);
    assert_eq!(service.put("a", 34, "second").await.status, 204);
    let (status, problem) = service.put("a", 33, "too late").await.problem();
    assert_eq!((status, &problem["token"], &problem["highest"]), (409, &33.into(), &34.into()));
    assert_eq!(service.send("DELETE", "a", "Fencing-Token: 33\r\n", "").await.problem().0, 409);
    assert_eq!(service.get("a").await.body, "second");
    assert_eq!(service.put("a", 34, "third").await.status, 204, "the same holder, again");
    let read = service.get("a").await;
    assert_eq!((read.status, read.body.as_str()), (200, "third"));
    assert!(read.head.contains("fencing-token: 34"), "{read:?}");

    assert_eq!(service.put("b", 1, "of another lock").await.status, 204, "each document has its own");
    assert_eq!(service.put("a", 1, "too late").await.problem().0, 409);

    // What was deleted still knows.
    assert_eq!(service.send("DELETE", "a", "Fencing-Token: 35\r\n", "").await.status, 204);
    assert_eq!(service.put("a", 34, "too late").await.problem().0, 409);

    // A read with a token takes over.
    assert_eq!(service.send("GET", "b", "Fencing-Token: 2\r\n", "").await.body, "of another lock");
    assert_eq!(service.put("b", 1, "too late").await.problem().0, 409);
    assert_eq!(service.get("b").await.body, "of another lock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_token_is_refused() {
    let folder = Folder::new("documents");
    let service = Service::start(folder.path()).await;
    assert_eq!(service.put("a", 34, "first").await.status, 204);
    assert_eq!(service.send("PUT", "a", "", "x").await.problem().0, 428);
    assert_eq!(service.send("DELETE", "a", "", "").await.problem().0, 428);
    for garbage in [
        "",
        "x",
        "-1",
        "+35",
        "0",
        "3 5",
        "0x23",
        "35.0",
        "1e9",
        "35,36",
        "9007199254740992",
        "18446744073709551617",
        "３５",
    ] {
        let header = format!("Fencing-Token: {garbage}\r\n");
        assert_eq!(service.send("PUT", "a", &header, "x").await.problem().0, 400, "{garbage:?}");
        assert_eq!(service.send("GET", "a", &header, "").await.problem().0, 400, "{garbage:?}");
    }
    let twice = "Fencing-Token: 35\r\nfencing-token: 36\r\n";
    assert_eq!(service.send("PUT", "a", twice, "x").await.problem().0, 400);
    assert_eq!(service.put("..%2Fa", 35, "x").await.problem().0, 400);
    assert_eq!(service.put("a", 35, &"x".repeat(64 * 1024 + 1)).await.problem().0, 413);
    assert_eq!(service.put("a", 34, "second").await.status, 204, "none of them raised it");
    assert_eq!(service.put("a", 9_007_199_254_740_991, "last").await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_forgets_nothing() {
    let folder = Folder::new("documents");
    let mut service = Service::start(folder.path()).await;
    assert_eq!(service.put("written", 34, "it").await.status, 204);
    assert_eq!(service.send("GET", "only-read", "Fencing-Token: 34\r\n", "").await.status, 200);
    service.process.kill9();
    let service = Service::start(folder.path()).await;
    for document in ["written", "only-read"] {
        assert_eq!(service.put(document, 33, "too late").await.problem().0, 409, "{document}");
    }
    assert_eq!(service.get("written").await.body, "it");
}

/// A hundred at once, of many holders: whatever the order, the newest has the last word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_the_newest_stands() {
    let folder = Folder::new("documents");
    let service = Service::start(folder.path()).await;
    for round in 0..10 {
        let document = format!("d{round}");
        // Neither rising nor falling.
        let tokens = (0..100_u64).map(|n| n * 37 % 100 + 1);
        let puts =
            tokens.map(async |token| (token, service.put(&document, token, &token.to_string()).await.status));
        let answers = futures_util::future::join_all(puts).await;
        for (token, status) in &answers {
            assert!([204, 409].contains(status), "{token}: {status}");
        }
        assert!(answers.contains(&(100, 204)), "the newest is never refused");
        assert_eq!(service.get(&document).await.body, "100", "round {round}");
    }
}
