//! Connections that end, half or wholly, or do not go on.

use crate::case::Then::Closed;
use crate::case::{Case, acquire, case, get, healthz};

/// A half-close counts as closing: whatever was asked for is dropped.
pub fn cases() -> Vec<Case> {
    let nothing: [(u16, &str); 0] = [];
    let cut = [(400, "invalid-body")];
    let head = b"POST /v1/locks/hostile/acquire HTTP/1.1\r\nHost: l\r\nContent-Length: 2\r\n";
    let body = [head.as_slice(), b"\r\n{"].concat();
    vec![
        case("hung up at once", "", nothing, Closed).hung_up(),
        case("hung up within the head", head, nothing, Closed).hung_up(),
        case("hung up within the body", &body, nothing, Closed).hung_up(),
        case("hung up before the answer", acquire("{}"), nothing, Closed).hung_up(),
        case("half-closed at once", "", nothing, Closed).half_closed(),
        case("half-closed within the first line", "GET /hea", nothing, Closed).half_closed(),
        case("half-closed within the head", head, nothing, Closed).half_closed(),
        case("half-closed before the body", [head.as_slice(), b"\r\n"].concat(), cut, Closed)
            .half_closed()
            .perhaps(),
        case("half-closed within the body", &body, cut, Closed).half_closed().perhaps(),
        case("silent from the beginning", "", nothing, Closed),
        case("silent within the first line", "GET /hea", nothing, Closed),
        case("silent within the head", head, nothing, Closed),
        case("silent after an answer", get("/healthz"), [(200, "")], Closed),
        case(
            "a head byte by byte, too slow",
            healthz(format!("X: {}\r\n", "y".repeat(200))),
            nothing,
            Closed,
        )
        .slowly(100),
    ]
}
