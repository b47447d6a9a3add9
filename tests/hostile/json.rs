//! Bodies that arrive, and are not what they should be.

use crate::case::Then::Open;
use crate::case::{Case, acquire, case};

/// No JSON, or JSON of a kind that nobody expects.
pub fn cases() -> Vec<Case> {
    let invalid = |name, body: &[u8]| case(name, acquire(body), [(400, "invalid-body")], Open);
    let as_code = |name, body: &str, code| case(name, acquire(body), [(400, code)], Open);
    let long_key = format!(r#"{{"{}":1}}"#, "k".repeat(60_000));
    let many_keys: Vec<String> = (0..6_000).map(|n| format!(r#""k{n}":1"#)).collect();
    vec![
        invalid(
            "2,000 lists in each other",
            &[b"{\"ttl\":".to_vec(), b"[".repeat(2_000), b"]".repeat(2_000), b"}".to_vec()].concat(),
        ),
        invalid("60,000 lists in each other", &b"[".repeat(60_000)),
        invalid("10,000 objects in each other", &br#"{"a":"#.repeat(10_000)),
        invalid("a long key", long_key.as_bytes()),
        invalid("6,000 keys", format!("{{{}}}", many_keys.join(",")).as_bytes()),
        invalid("the same key twice", br#"{"ttl":"5s","ttl":"6s"}"#),
        invalid("no UTF-8", b"{\"owner\":\"\xff\xfe\"}"),
        invalid("half a surrogate pair", br#"{"owner":"\ud800"}"#),
        invalid("a control character in a string", b"{\"owner\":\"a\x01b\"}"),
        invalid("a byte order mark", b"\xef\xbb\xbf{}"),
        invalid("UTF-16", b"\xff\xfe{\0}\0"),
        invalid("NULs", &[0; 100]),
        invalid("a comment", b"{} // please"),
        invalid("a comma too many", br#"{"ttl":"5s",}"#),
        invalid("NaN", br#"{"shared":NaN}"#),
        invalid("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0\x43\xbf\xa6\xa3\x02\0\0\0"),
        invalid("XML", b"<ttl>5s</ttl>"),
        invalid("a form", b"ttl=5s&wait=0s"),
        as_code("a number without end", &format!(r#"{{"ttl":{}}}"#, "9".repeat(5_000)), "invalid-body"),
        as_code("a number beyond all", r#"{"ttl":1e999}"#, "invalid-body"),
        as_code("a long duration", &format!(r#"{{"ttl":"{}s"}}"#, "9".repeat(5_000)), "invalid-ttl"),
        as_code(
            "10,000 parts of a duration",
            &format!(r#"{{"ttl":"{}"}}"#, "1s ".repeat(10_000)),
            "invalid-ttl",
        ),
        as_code("a wait beyond all", r#"{"wait":"18446744073709551615y"}"#, "invalid-wait"),
        as_code("an owner of 50,000", &format!(r#"{{"owner":"{}"}}"#, "o".repeat(50_000)), "invalid-owner"),
        // Whoever shows it must take care; `lease` does.
        case(
            "an owner with line breaks and NULs",
            named(r#"{"owner":"a\nERROR\u0000\u001b[2J"}"#),
            [(200, "")],
            Open,
        ),
    ]
}

/// A request that is granted.
fn named(body: &str) -> String {
    format!(
        "POST /v1/locks/owned/acquire HTTP/1.1\r\nHost: l\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
