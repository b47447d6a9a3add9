//! Bodies that are not what was announced.

use crate::case::Then::{Closed, Open};
use crate::case::{Case, acquire, acquire_with, case};

/// Too short, too long, badly cut.
pub fn cases() -> Vec<Case> {
    let mut cases = chunks();
    cases.extend(lengths());
    cases
}

fn chunks() -> Vec<Case> {
    let with = |name, body: &[u8], answers: &[(u16, &'static str)], then| {
        case(name, acquire_with("Transfer-Encoding: chunked\r\n", body), answers, then)
    };
    let bad = |name, body: &[u8]| with(name, body, &[(400, "invalid-body")], Closed);
    let extended = [b"1;".to_vec(), vec![b'x'; 20_000], b"\r\n{\r\n".to_vec()].concat();
    let trailers = [b"0\r\n".to_vec(), b"X: y\r\n".repeat(20_000), b"\r\n".to_vec()].concat();
    vec![
        with("good chunks", b"5\r\n{\"ttl\r\n7\r\n\":\"1s\"}\r\n0\r\n\r\n", &[(400, "invalid-ttl")], Open),
        with("a chunk's extension", b"c;a=b\r\n{\"ttl\":\"1s\"}\r\n0\r\n\r\n", &[(400, "invalid-ttl")], Open),
        with("a trailer", b"c\r\n{\"ttl\":\"1s\"}\r\n0\r\nX: y\r\n\r\n", &[(400, "invalid-ttl")], Open),
        bad("a size that is a word", b"zz\r\n{}\r\n0\r\n\r\n"),
        bad("a size that is negative", b"-1\r\n{}\r\n0\r\n\r\n"),
        bad("a size beyond 64 bits", b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        bad("an empty size", b"\r\n{}\r\n0\r\n\r\n"),
        bad("a chunk longer than its size", b"1\r\n{}\r\n0\r\n\r\n"),
        bad("an extension of 20,000", &extended),
        bad("20,000 trailers", &trailers),
        with("chunks without an end", b"2\r\n{}\r\n", &[(408, "request-timeout")], Closed),
        with("the end of the last chunk missing", b"2\r\n{}\r\n0\r\n", &[(408, "request-timeout")], Closed),
        with("a chunk of 4 GiB announced", b"ffffffff\r\n{}", &[(408, "request-timeout")], Closed),
    ]
}

fn lengths() -> Vec<Case> {
    let announced = |length: u64, body: &str| acquire_with(&format!("Content-Length: {length}\r\n"), body);
    vec![
        case(
            "a body shorter than announced",
            announced(100, r#"{"ttl":"5s"}"#),
            [(408, "request-timeout")],
            Closed,
        ),
        case("no body where one is announced", announced(2, ""), [(408, "request-timeout")], Closed),
        case(
            "a body longer than announced",
            announced(1, r#"{"ttl":"5s"}"#),
            [(400, "invalid-body"), (400, "-")],
            Closed,
        ),
        case("64 KiB and a byte", acquire(vec![b' '; 64 * 1024 + 1]), [(413, "body-too-large")], Open),
        case("3 MiB", acquire(vec![b' '; 3 << 20]), [(413, "body-too-large")], Open),
        case("20 MiB", acquire(vec![b' '; 20 << 20]), [(413, "body-too-large")], Closed),
        case("10 GB announced", announced(10_000_000_000, "{}"), [(413, "body-too-large")], Closed),
        case("all there is announced", announced(u64::MAX - 2, "{}"), [(413, "body-too-large")], Closed),
        case(
            "a body where none has a meaning",
            b"GET /healthz HTTP/1.1\r\nHost: l\r\nContent-Length: 5\r\n\r\nhello",
            [(200, "")],
            Open,
        ),
        case(
            "a long body where none has a meaning",
            [
                b"GET /healthz HTTP/1.1\r\nHost: l\r\nContent-Length: 1000000\r\n\r\n".to_vec(),
                vec![b'x'; 1_000_000],
            ]
            .concat(),
            [(200, "")],
            Closed,
        ),
        case("byte by byte, too slow", acquire(vec![b' '; 300]), [(408, "request-timeout")], Closed)
            .slowly(40),
    ]
}
