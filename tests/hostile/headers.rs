//! What is between the first line and the body.

use crate::case::Then::{Closed, Open};
use crate::case::{Case, acquire_with, case, healthz};

/// Headers that are none, too many or too long, or lie about what follows.
pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        broken().into_iter().map(|(name, line)| case(name, healthz(line), [(400, "-")], Closed)).collect();
    cases.extend(odd());
    cases.extend(lengths());
    cases.extend(codings());
    cases
}

fn broken() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("a header without a colon", b"hello\r\n"),
        ("a header without a name", b": value\r\n"),
        ("a space in a header's name", b"X y: z\r\n"),
        ("a space before the colon", b"X : y\r\n"),
        ("NUL in a header's name", b"X\0y: z\r\n"),
        ("NUL in a header's value", b"X: a\0b\r\n"),
        ("a carriage return in a value", b"X: a\rb\r\n"),
        ("a folded header", b"X: a\r\n b\r\n"),
        ("a line that begins with a space", b" X: a\r\n"),
        ("bytes beyond ASCII in a header's name", b"X\xc3\xbc: a\r\n"),
    ]
}

fn odd() -> Vec<Case> {
    let many = |count: usize| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    let long = |length: usize| format!("X: {}\r\n", "v".repeat(length));
    vec![
        case("no Host", b"GET /healthz HTTP/1.1\r\n\r\n", [(200, "")], Open),
        case("two Hosts", healthz("Host: m\r\n"), [(200, "")], Open),
        case("bytes beyond ASCII in a value", healthz(b"X: \xff\xfe\r\n"), [(200, "")], Open),
        case("90 headers", healthz(many(90)), [(200, "")], Open),
        case("101 headers", healthz(many(101)), [(431, "-")], Closed),
        case("3,000 headers", healthz(many(3_000)), [(431, "-")], Closed),
        case("a header of 60,000", healthz(long(60_000)), [(200, "")], Open),
        case("a header of 140,000", healthz(long(140_000)), [(431, "-")], Closed),
        case("a megabyte of header", healthz(long(1 << 20)), [(431, "-")], Closed),
        case("Connection: close", healthz("Connection: close\r\n"), [(200, "")], Closed),
        case("Connection: what nobody knows", healthz("Connection: teapot\r\n"), [(200, "")], Open),
        case(
            "an upgrade to WebSocket",
            healthz("Connection: upgrade\r\nUpgrade: websocket\r\n"),
            [(200, "")],
            Open,
        ),
        case(
            "an upgrade to HTTP/2",
            healthz("Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
            [(200, "")],
            Open,
        ),
        case("an expectation that nobody knows", healthz("Expect: tea\r\n"), [(200, "")], Open),
        case("Accept of something else", healthz("Accept: image/png\r\n"), [(200, "")], Open),
        case(
            "a body that waits to be asked for",
            acquire_with("Expect: 100-continue\r\nContent-Length: 12\r\n", r#"{"ttl":"1s"}"#),
            [(100, ""), (400, "invalid-ttl")],
            Open,
        ),
    ]
}

fn lengths() -> Vec<Case> {
    let with = |name, length: &str| {
        let head = format!("Content-Length: {length}\r\n");
        case(name, acquire_with(&head, r#"{"ttl":"1s"}"#), [(400, "-")], Closed)
    };
    vec![
        with("a negative length", "-1"),
        with("a length with a plus", "+12"),
        with("a length in hex", "0xc"),
        with("a length with a fraction", "12.0"),
        with("a length that is empty", ""),
        with("a length that is a word", "twelve"),
        with("two lengths in one", "12, 13"),
        with("a length beyond 64 bits", "99999999999999999999999"),
        with("two lengths that differ", "12\r\nContent-Length: 13"),
        case(
            "the same length twice",
            acquire_with("Content-Length: 12\r\nContent-Length: 12\r\n", r#"{"ttl":"1s"}"#),
            [(400, "invalid-ttl")],
            Open,
        ),
    ]
}

/// A request with both a length and chunks is read by its chunks, and is the last of its connection: nothing that it may
/// smuggle is taken for a request.
fn codings() -> Vec<Case> {
    let chunked = "c\r\n{\"ttl\":\"1s\"}\r\n0\r\n\r\n";
    let with = |name, headers: &str, answer, then| {
        case(name, acquire_with(headers, [chunked, "GET /healthz HTTP/1.1\r\n"].concat()), [answer], then)
    };
    let [no_http, no_body, read] = [(400, "-"), (400, "invalid-body"), (400, "invalid-ttl")];
    vec![
        with("a coding that nobody knows", "Transfer-Encoding: gzip\r\n", no_http, Closed),
        with("chunks, and then something else", "Transfer-Encoding: chunked, identity\r\n", no_http, Closed),
        with("almost chunked", "Transfer-Encoding: xchunked\r\n", no_http, Closed),
        with("a length, and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", read, Closed),
        with("chunks, and a length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", read, Closed),
        case(
            "gzip in chunks",
            acquire_with("Transfer-Encoding: gzip, chunked\r\n", chunked),
            [no_body],
            Open,
        ),
        case(
            "chunks in chunks",
            acquire_with("Transfer-Encoding: chunked, chunked\r\n", chunked),
            [no_body],
            Open,
        ),
        case(
            "a gzipped body",
            acquire_with("Content-Encoding: gzip\r\nContent-Length: 12\r\n", r#"{"ttl":"1s"}"#),
            [no_body],
            Open,
        ),
        case(
            "chunks in HTTP/1.0",
            format!("POST /v1/locks/hostile/acquire HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
            [no_http],
            Closed,
        ),
    ]
}
