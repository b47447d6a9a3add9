//! What begins a request.

use crate::case::Then::{Closed, Open};
use crate::case::{Case, case, get};

/// Not HTTP, or not in this version, or not in this way; and paths and methods of every kind.
pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = not_http()
        .into_iter()
        .map(|(name, line)| case(name, [line, b"\r\nHost: l\r\n\r\n"].concat(), [(400, "-")], Closed))
        .collect();
    cases.extend(paths());
    cases.extend(methods());
    cases
}

fn not_http() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("a word", b"hello"),
        ("no version (HTTP/0.9)", b"GET /healthz"),
        ("no path", b"GET HTTP/1.1"),
        ("HTTP/0.9", b"GET /healthz HTTP/0.9"),
        ("HTTP/2.0", b"GET /healthz HTTP/2.0"),
        ("HTTP/9.9", b"GET /healthz HTTP/9.9"),
        ("HTTP/1.10", b"GET /healthz HTTP/1.10"),
        ("a version in small letters", b"GET /healthz http/1.1"),
        ("a fourth word", b"GET /healthz HTTP/1.1 please"),
        ("a space in front", b" GET /healthz HTTP/1.1"),
        ("a tab between", b"GET\t/healthz HTTP/1.1"),
        ("two spaces", b"GET  /healthz HTTP/1.1"),
        ("NUL in the method", b"G\0T /healthz HTTP/1.1"),
        ("NUL in the path", b"GET /health\0z HTTP/1.1"),
        ("a control character in the path", b"GET /health\x07z HTTP/1.1"),
        ("DEL in the path", b"GET /health\x7fz HTTP/1.1"),
        ("a separator in the method", b"G(T /healthz HTTP/1.1"),
        ("bytes beyond ASCII in the method", b"G\xc3\x84T /healthz HTTP/1.1"),
        ("a carriage return alone", b"GET /healthz HTTP/1.1\rX: y"),
        ("a carriage return in the path", b"GET /heal\rthz HTTP/1.1"),
    ]
}

fn paths() -> Vec<Case> {
    let long = |length: usize| get(format!("/v1/locks/{}", "n".repeat(length)));
    vec![
        case("NULs", [0; 64], [(400, "-")], Closed),
        case("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [(400, "-")], Closed),
        case("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [], Closed),
        case("line feeds alone", b"GET /healthz HTTP/1.1\nHost: l\n\n", [(200, "")], Open),
        case(
            "empty lines before",
            b"\r\n\r\n\r\nGET /healthz HTTP/1.1\r\nHost: l\r\n\r\n",
            [(200, "")],
            Open,
        ),
        case("HTTP/1.0", b"GET /healthz HTTP/1.0\r\n\r\n", [(200, "")], Closed),
        case("an absolute URI", get("http://elsewhere/healthz"), [(200, "")], Open),
        case("an absolute URI of another scheme", get("ftp://elsewhere/healthz"), [(200, "")], Open),
        case("a fragment", get("/healthz#top"), [(200, "")], Open),
        case("a path without a slash", get("healthz"), [(404, "not-found")], Open),
        case("dots", get("/v1/locks/../../etc/passwd"), [(404, "not-found")], Open),
        case("two slashes", get("//healthz"), [(404, "not-found")], Open),
        case("a backslash", get("/v1\\locks"), [(404, "not-found")], Open),
        case("percent and no hex", get("/v1/locks/%zz"), [(400, "invalid-name")], Open),
        case("percent at the end", get("/v1/locks/a%"), [(400, "invalid-name")], Open),
        case("half a percent encoding", get("/v1/locks/a%2"), [(400, "invalid-name")], Open),
        case("encoded twice", get("/v1/locks/a%252F"), [(400, "invalid-name")], Open),
        case("an encoded NUL", get("/v1/locks/a%00b"), [(400, "invalid-name")], Open),
        case("an overlong encoding", get("/v1/locks/%C0%AF"), [(400, "invalid-name")], Open),
        case("no UTF-8", get("/v1/locks/%F0%28%8C%28"), [(400, "invalid-name")], Open),
        case("bytes as they are", get(b"/v1/locks/\xff\xfe\x80"), [(400, "-")], Closed),
        case("letters beyond ASCII as they are", get("/v1/locks/über"), [(400, "invalid-name")], Open),
        case("a name of 201", long(201), [(400, "invalid-name")], Open),
        case("a name of 60,000", long(60_000), [(400, "invalid-name")], Open),
        case("a path of 70,000", long(70_000), [(414, "-")], Closed),
        case(
            "a path without an end",
            [b"GET /".to_vec(), vec![b'a'; 1 << 20]].concat(),
            [(431, "-")],
            Closed,
        ),
        case(
            "a query of 60,000",
            get(format!("/v1/locks/a?{}", "q".repeat(60_000))),
            [(400, "invalid-query")],
            Open,
        ),
        case("a path of 30,000 parts", get("/a".repeat(30_000)), [(404, "not-found")], Open),
    ]
}

fn methods() -> Vec<Case> {
    let request = |line: &str| format!("{line} HTTP/1.1\r\nHost: l\r\n\r\n");
    vec![
        case("small letters", request("get /healthz"), [(405, "method-not-allowed")], Open),
        case("TRACE", request("TRACE /healthz"), [(405, "method-not-allowed")], Open),
        case("CONNECT to a host", request("CONNECT lease:80"), [(404, "not-found")], Closed),
        case("CONNECT to a path", request("CONNECT /healthz"), [(405, "method-not-allowed")], Open),
        case("OPTIONS of everything", request("OPTIONS *"), [(404, "not-found")], Open),
        case(
            "a long method",
            request(&format!("{} /healthz", "M".repeat(1000))),
            [(405, "method-not-allowed")],
            Open,
        ),
    ]
}
