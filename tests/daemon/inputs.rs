//! Bad input of every kind gets the documented problem, and does not reach the store.

use serde_json::Value;
use support::{Api, Cluster, Daemon};

use crate::openapi::may_be_refused;
use crate::problem::expect;
use crate::turns::together;

/// Method, path, body, and the refusal.
type Case = (&'static str, &'static str, &'static str, u16, &'static str);

const TABLE: &[Case] = &[
    // Names.
    ("POST", "/v1/locks/%20/hold", "{}", 400, "invalid-name"),
    ("POST", "/v1/locks/a%20b/hold", "{}", 400, "invalid-name"),
    ("POST", "/v1/locks/.a/hold", "{}", 400, "invalid-name"),
    ("POST", "/v1/locks/a./acquire", "{}", 400, "invalid-name"),
    ("POST", "/v1/locks/a..b/acquire", "{}", 400, "invalid-name"),
    ("POST", "/v1/locks/a*/acquire", "{}", 400, "invalid-name"),
    ("POST", "/v1/locks/%3E/acquire", "{}", 400, "invalid-name"),
    ("POST", "/v1/locks/%C3%BC/acquire", "{}", 400, "invalid-name"),
    ("POST", "/v1/locks/%FF/acquire", "{}", 400, "invalid-name"),
    ("POST", "/v1/locks/a%00/acquire", "{}", 400, "invalid-name"),
    ("POST", "/v1/locks//acquire", "{}", 400, "invalid-name"),
    ("POST", "/v1/locks/%2E%2E/acquire", "{}", 400, "invalid-name"),
    ("GET", "/v1/locks/a%0Ab", "", 400, "invalid-name"),
    ("GET", "/v1/locks/a$b", "", 400, "invalid-name"),
    // TTLs.
    ("POST", "/v1/locks/a/hold", r#"{"ttl":"0s"}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/hold", r#"{"ttl":"1s"}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/hold", r#"{"ttl":"500ms"}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/hold", r#"{"ttl":"-1"}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/hold", r#"{"ttl":"1y"}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/hold", r#"{"ttl":"abc"}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/acquire", r#"{"ttl":"1999ms"}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/acquire", r#"{"ttl":"24h 1s"}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/acquire", r#"{"ttl":20}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/acquire", r#"{"ttl":-1}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/acquire", r#"{"ttl":""}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/acquire", r#"{"ttl":"20"}"#, 400, "invalid-ttl"),
    ("POST", "/v1/locks/a/acquire", r#"{"ttl":"18446744073709551615s 1000ms"}"#, 400, "invalid-ttl"),
    // Heartbeats, and processes to be bound to.
    ("POST", "/v1/locks/a/hold", r#"{"heartbeat":"999ms"}"#, 400, "invalid-heartbeat"),
    ("POST", "/v1/locks/a/hold", r#"{"heartbeat":"20001ms"}"#, 400, "invalid-heartbeat"),
    ("POST", "/v1/locks/a/hold", r#"{"heartbeat":"5s","ttl":"4s"}"#, 400, "invalid-heartbeat"),
    ("POST", "/v1/semaphores/a/hold", r#"{"limit":1,"heartbeat":5}"#, 400, "invalid-heartbeat"),
    ("POST", "/v1/multi/hold", r#"{"names":["a"],"heartbeat":"soon"}"#, 400, "invalid-heartbeat"),
    ("POST", "/v1/elections/a/campaign", r#"{"heartbeat":"0s"}"#, 400, "invalid-heartbeat"),
    ("POST", "/v1/groups/a/join", r#"{"heartbeat":"1h"}"#, 400, "invalid-heartbeat"),
    ("POST", "/v1/locks/a/acquire", r#"{"heartbeat":"5s"}"#, 400, "invalid-body"),
    ("POST", "/v1/locks/a/acquire", r#"{"bind_pid":0}"#, 400, "invalid-pid"),
    ("POST", "/v1/locks/a/acquire", r#"{"bind_pid":-1}"#, 400, "invalid-pid"),
    ("POST", "/v1/locks/a/acquire", r#"{"bind_pid":4294967295}"#, 400, "invalid-pid"),
    ("POST", "/v1/locks/a/acquire", r#"{"bind_pid":4294967296}"#, 400, "invalid-pid"),
    ("POST", "/v1/semaphores/a/acquire", r#"{"limit":1,"bind_pid":"$$"}"#, 400, "invalid-pid"),
    ("POST", "/v1/multi/acquire", r#"{"names":["a"],"bind_pid":1.5}"#, 400, "invalid-pid"),
    ("POST", "/v1/multi/acquire", r#"{"names":["a"],"bind_pid":2147483647}"#, 409, "process-gone"),
    ("POST", "/v1/locks/a/hold", r#"{"bind_pid":1}"#, 400, "invalid-body"),
    // Waits.
    ("POST", "/v1/locks/a/hold", r#"{"wait":"abc"}"#, 400, "invalid-wait"),
    ("POST", "/v1/locks/a/hold", r#"{"wait":"-1s"}"#, 400, "invalid-wait"),
    ("POST", "/v1/locks/a/acquire", r#"{"wait":5}"#, 400, "invalid-wait"),
    ("POST", "/v1/locks/a/acquire", r#"{"wait":"1y"}"#, 400, "invalid-wait"),
    ("POST", "/v1/locks/a/acquire", r#"{"wait":[]}"#, 400, "invalid-wait"),
    // Bodies.
    ("POST", "/v1/locks/a/hold", "ttl=5s", 400, "invalid-body"),
    ("POST", "/v1/locks/a/hold", "{", 400, "invalid-body"),
    ("POST", "/v1/locks/a/hold", "[]", 400, "invalid-body"),
    ("POST", "/v1/locks/a/hold", "null", 400, "invalid-body"),
    ("POST", "/v1/locks/a/hold", r#""15s""#, 400, "invalid-body"),
    ("POST", "/v1/locks/a/hold", r#"{} {}"#, 400, "invalid-body"),
    ("POST", "/v1/locks/a/hold", r#"{"tll":"5s"}"#, 400, "invalid-body"),
    ("POST", "/v1/locks/a/hold", r#"{"ttl":"5s","ttl":"6s"}"#, 400, "invalid-body"),
    ("POST", "/v1/locks/a/hold", r#"{"attempt":"x"}"#, 400, "invalid-body"),
    ("POST", "/v1/locks/a/hold", r#"{"shard":true}"#, 400, "invalid-body"),
    ("POST", "/v1/locks/a/acquire", r#"{"graze":"5s"}"#, 400, "invalid-body"),
    ("POST", "/v1/locks/a/acquire", r#"{"owner":1}"#, 400, "invalid-owner"),
    ("POST", "/v1/locks/a/acquire", r#"{"owner":""}"#, 400, "invalid-owner"),
    ("POST", "/v1/locks/a/acquire", r#"{"metadata":{"a":1}}"#, 400, "invalid-metadata"),
    ("POST", "/v1/locks/a/acquire", r#"{"metadata":"a"}"#, 400, "invalid-metadata"),
    ("POST", "/v1/locks/a/acquire", r#"{"attempt":""}"#, 400, "invalid-attempt"),
    ("POST", "/v1/locks/a/acquire", r#"{"attempt":"a b"}"#, 400, "invalid-attempt"),
    ("POST", "/v1/locks/a/acquire", r#"{"attempt":7}"#, 400, "invalid-attempt"),
    // Queries.
    ("POST", "/v1/locks/a/acquire?ttl=5s", "{}", 400, "invalid-query"),
    ("GET", "/v1/locks/a?verbose=1", "", 400, "invalid-query"),
    ("GET", "/v1/locks?fliter=a", "", 400, "invalid-query"),
    ("GET", "/v1/locks?filter=a&filter=b", "", 400, "invalid-query"),
    ("GET", "/v1/locks?filter=a*", "", 400, "invalid-filter"),
    ("GET", "/v1/locks?filter=", "", 400, "invalid-filter"),
    ("GET", "/v1/locks?filter=%3E.a", "", 400, "invalid-filter"),
    // Leases.
    ("GET", "/v1/leases/nix", "", 404, "unknown-lease"),
    ("DELETE", "/v1/leases/nix", "", 404, "unknown-lease"),
    ("POST", "/v1/leases/nix/renew", "", 404, "unknown-lease"),
    ("POST", "/v1/leases/%FF/renew", "", 404, "unknown-lease"),
    ("POST", "/v1/leases/nix/renew", r#"{"ttl":"5s"}"#, 400, "invalid-body"),
    ("POST", "/v1/leases/nix/renew?ttl=5s", "", 400, "invalid-query"),
    // Methods and paths.
    ("PUT", "/v1/locks/a", "{}", 405, "method-not-allowed"),
    ("POST", "/v1/locks/a/hold", r#"{"shared":1}"#, 400, "invalid-body"),
    ("POST", "/v1/locks/a/hold", r#"{"grace":"1x"}"#, 400, "invalid-grace"),
    ("POST", "/v1/locks/a/hold", r#"{"grace":"25h"}"#, 400, "invalid-grace"),
    ("POST", "/v1/semaphores/a/hold", "", 400, "invalid-limit"),
    ("POST", "/v1/semaphores/a/hold", r#"{"limit":0}"#, 400, "invalid-limit"),
    ("POST", "/v1/semaphores/a/acquire", r#"{"limit":501}"#, 400, "invalid-limit"),
    ("POST", "/v1/semaphores/a/acquire", r#"{"limit":"4"}"#, 400, "invalid-limit"),
    ("PUT", "/v1/semaphores/a/limit", "", 400, "invalid-limit"),
    ("POST", "/v1/semaphores//hold", "", 400, "invalid-name"),
    ("POST", "/v1/multi/hold", "", 400, "invalid-names"),
    ("POST", "/v1/multi/hold", r#"{"names":[]}"#, 400, "invalid-names"),
    ("POST", "/v1/multi/acquire", r#"{"names":"a"}"#, 400, "invalid-names"),
    ("POST", "/v1/multi/acquire", r#"{"names":["a..b"]}"#, 400, "invalid-name"),
    ("POST", "/v1/elections/a/campaign", r#"{"priority":"high"}"#, 400, "invalid-body"),
    ("PUT", "/v1/elections/a/value", r#"{"value":1}"#, 400, "invalid-body"),
    ("PUT", "/v1/elections/a/value", r#"{"lease":"nix","value":1}"#, 404, "unknown-lease"),
    ("PUT", "/v1/elections/a/ready", r#"{"candidate":"nix","ready":true}"#, 404, "unknown-candidate"),
    ("POST", "/v1/elections/a/hand-over", r#"{"lease":"nix","to":"b"}"#, 404, "unknown-lease"),
    ("GET", "/v1/groups/a/barrier", "", 400, "invalid-query"),
    ("GET", "/v1/groups/a/barrier?members=0", "", 400, "invalid-query"),
    ("PUT", "/v1/leases/nix/data/k", "v", 404, "unknown-lease"),
    ("PUT", "/v1/leases/nix/data/k..l", "v", 400, "invalid-name"),
    ("GET", "/v1/watch?filter=a..b", "", 400, "invalid-filter"),
    ("GET", "/v1/watch?from=yesterday", "", 400, "invalid-query"),
    ("GET", "/v1/locks/a/watch?filter=b", "", 400, "invalid-query"),
    ("GET", "/v1/locks/a/watch?from=18446744073709551615", "", 400, "invalid-query"),
    ("DELETE", "/v1/locks/a", "", 400, "invalid-query"),
    ("DELETE", "/v1/locks/a?token=x", "", 400, "invalid-query"),
    ("DELETE", "/v1/locks/a?token=7", "", 409, "token-mismatch"),
    ("DELETE", "/v1/elections/a?token=7", "", 409, "token-mismatch"),
    ("DELETE", "/v1/semaphores/a?token=7&reason=stuck&now=true", "", 409, "token-mismatch"),
    ("DELETE", "/v1/leases/nix", r#"{"why":"bored"}"#, 400, "invalid-body"),
    ("GET", "/v1/locks/a/hold", "", 405, "method-not-allowed"),
    ("DELETE", "/v1/locks/a/acquire", "", 405, "method-not-allowed"),
    ("POST", "/v1/locks", "{}", 405, "method-not-allowed"),
    ("POST", "/healthz", "", 405, "method-not-allowed"),
    ("BREW", "/v1/locks/a", "", 405, "method-not-allowed"),
    ("GET", "/", "", 404, "not-found"),
    ("GET", "/v1", "", 404, "not-found"),
    ("GET", "/v2/locks", "", 404, "not-found"),
    ("POST", "/v1/locks/a/b/hold", "{}", 404, "not-found"),
    ("POST", "/v1/locks/a/steal", "{}", 404, "not-found"),
    ("GET", "/v1/locks/a/", "", 404, "not-found"),
    ("GET", "/v1/leases", "", 404, "not-found"),
];

#[tokio::test]
async fn bad_input_gets_its_problem_and_leaves_the_store_untouched() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let daemon = Daemon::start(["--nats", &cluster.url()]).await;
    let api = daemon.api();
    let before = stream(&cluster).await;
    for (method, path, body, status, code) in TABLE {
        let answer = api.send(method, path, body).await;
        eprintln!("{method} {path} {body}: {} {}", answer.status, answer.text());
        expect(&answer, *status, code);
        may_be_refused(method, path, *status, code);
    }
    for (name, path, body, status, code) in long_ones() {
        let answer = api.send("POST", &path, &body).await;
        eprintln!("{name}: {} {}", answer.status, answer.text());
        expect(&answer, status, code);
        may_be_refused("POST", &path, status, code);
    }
    not_http(&api).await;
    assert_eq!(stream(&cluster).await, before, "something was written");
    api.post("/v1/locks/a/acquire", "").await.expect(200);
    assert_ne!(stream(&cluster).await, before, "and the check would notice");
}

/// Inputs whose length is what is wrong with them.
fn long_ones() -> Vec<(&'static str, String, String, u16, &'static str)> {
    let hold = "/v1/locks/a/hold".to_owned();
    let many: Vec<String> = (0..33).map(|n| format!(r#""k{n}":"v""#)).collect();
    vec![
        ("name", format!("/v1/locks/{}/hold", "n".repeat(201)), "{}".into(), 400, "invalid-name"),
        ("body", hold.clone(), format!(r#"{{"owner":"{}"}}"#, "o".repeat(64 * 1024)), 413, "body-too-large"),
        ("1 MiB", hold.clone(), " ".repeat(1024 * 1024), 413, "body-too-large"),
        ("owner", hold.clone(), format!(r#"{{"owner":"{}"}}"#, "o".repeat(257)), 400, "invalid-owner"),
        (
            "metadata",
            hold.clone(),
            format!(r#"{{"metadata":{{"k":"{}"}}}}"#, "v".repeat(4096)),
            400,
            "invalid-metadata",
        ),
        ("entries", hold, format!(r#"{{"metadata":{{{}}}}}"#, many.join(",")), 400, "invalid-metadata"),
        (
            "attempt",
            "/v1/locks/a/acquire".into(),
            format!(r#"{{"attempt":"{}"}}"#, "a".repeat(65)),
            400,
            "invalid-attempt",
        ),
    ]
}

/// What is not even HTTP ends with the connection, and a plain 400 where a line can be made out.
async fn not_http(api: &Api) {
    let limit = std::time::Duration::from_secs(2);
    for bytes in
        [&b"hello\r\n\r\n"[..], b"\0\0\0\0", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/locks/a/hold HTTP/1.1\r\n"]
    {
        let answer = api.raw(bytes, limit).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    // Half a body and then nothing: the request is never complete.
    let half = b"POST /v1/locks/a/hold HTTP/1.1\r\nHost: l\r\nContent-Length: 10\r\n\r\n{}";
    assert!(api.raw(half, std::time::Duration::from_millis(300)).await.unwrap().is_empty());
}

/// A head has ten seconds to arrive, and a body has ten more.
#[tokio::test]
async fn requests_that_do_not_arrive_are_not_waited_for() {
    let _cores = together().await;
    let daemon = Daemon::start([""; 0]).await;
    let api = daemon.api();
    let limit = std::time::Duration::from_secs(15);
    let half_a_body = b"POST /v1/locks/a/hold HTTP/1.1\r\nHost: l\r\nContent-Length: 10\r\n\r\n{}";
    let half_a_head = b"POST /v1/locks/a/hold HTTP/1.1\r\nHost:";
    let began = std::time::Instant::now();
    let (body, head, nothing) =
        tokio::join!(api.raw(half_a_body, limit), api.raw(half_a_head, limit), api.raw(b"", limit));
    let took = began.elapsed();
    let body = String::from_utf8(body.unwrap()).unwrap();
    assert!(body.starts_with("HTTP/1.1 408") && body.contains(r#""code":"request-timeout""#), "{body}");
    assert!(nothing.unwrap().is_empty());
    let head = String::from_utf8(head.unwrap()).unwrap();
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 408"), "{head}");
    assert!(
        took > std::time::Duration::from_secs(9) && took < std::time::Duration::from_secs(13),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_refusal_names_the_value_and_what_is_allowed() {
    let _cores = together().await;
    let daemon = Daemon::start([""; 0]).await;
    let api = daemon.api();
    for (body, code, words) in [
        (r#"{"ttl":"1s"}"#, "invalid-ttl", &["1s", "2s", "1day"][..]),
        (r#"{"ttl":"abc"}"#, "invalid-ttl", &["\"abc\"", "2s to 24h", "\"15s\""]),
        (r#"{"ttl":-1}"#, "invalid-ttl", &["-1", "2s to 24h", "\"15s\""]),
        (r#"{"wait":"1y"}"#, "invalid-wait", &["8766h", "30 days"]),
        (r#"{"wait":"soon"}"#, "invalid-wait", &["\"soon\"", "30 days"]),
        (r#"{"shard":true}"#, "invalid-body", &["`shard`", "`ttl`", "`shared`"]),
    ] {
        let detail = expect(&api.post("/v1/locks/a/hold", body).await, 400, code);
        for word in words {
            assert!(detail.contains(word), "{word} is not in: {detail}");
        }
    }
    let allow = api.send("PUT", "/v1/leases/x", "").await;
    assert_eq!(allow.header("allow"), Some("GET,HEAD,DELETE"));
}

/// How often, and with what, the bucket was written.
async fn stream(cluster: &Cluster) -> Value {
    let info = cluster.request(0, "$JS.API.STREAM.INFO.KV_leases", "").await;
    serde_json::json!([info["state"]["last_seq"], info["state"]["messages"]])
}
