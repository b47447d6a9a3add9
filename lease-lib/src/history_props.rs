//! Lines of the history as this release writes them, as a newer one might, and as anything at all.

use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn held() -> impl Strategy<Value = Held> {
    let text = || any::<String>();
    let who = (text(), text(), text(), any::<u32>());
    let times = (text(), 0..1_u64 << 53, any::<u64>(), text());
    (who, times, any::<u64>(), text(), option::of(text())).prop_map(
        |((name, owner, host, pid), (since, waited, held, ended), token, why, reason)| Held {
            name,
            token: Token::new(token),
            owner,
            host,
            pid,
            since,
            waited: Duration::from_millis(waited),
            held: Duration::from_millis(held),
            ended,
            why,
            reason,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(held in held()) {
        prop_assert_eq!(Held::decode(&held.clone().encode()), Ok(held));
    }

    #[test]
    fn a_newer_release_may_add_but_not_change(held in held(), v in 0_u32..4) {
        let mut line: Value = serde_json::from_slice(&held.clone().encode()).expect("JSON");
        line["v"] = json!(v);
        line["mood"] = json!({ "good": [1, 2] });
        let read = Held::decode(line.to_string().as_bytes());
        if v <= 1 { prop_assert_eq!(read, Ok(held)) } else { prop_assert!(read.is_err()) }
    }

    #[test]
    fn anything_is_read_or_refused(bytes in any::<Vec<u8>>(), json in "[\\[\\]{}\":,a-z0-9 ]{0,40}") {
        for text in [&bytes[..], json.as_bytes()] {
            let read = Held::decode(text);
            prop_assert!(read.is_err(), "{read:?}");
        }
    }
}

#[test]
fn a_person_can_read_it() {
    let held = Held {
        name: "orders.42".into(),
        token: Token::new(1_795_000_000_000_042),
        owner: "anna@host".into(),
        host: "host".into(),
        pid: 4711,
        since: "2026-11-23T10:00:00.000Z".into(),
        waited: Duration::from_micros(20_999),
        held: Duration::from_secs(90),
        ended: "2026-11-23T10:01:30.000Z".into(),
        why: "broken".into(),
        reason: Some("stuck".into()),
    };
    let line: Value = serde_json::from_slice(&held.encode()).expect("JSON");
    let wanted = json!({
        "v": 1, "name": "orders.42", "token": 1_795_000_000_000_042_u64, "owner": "anna@host", "host": "host",
        "pid": 4711, "since": "2026-11-23T10:00:00.000Z", "waited_ms": 20, "held_ms": 90_000,
        "ended": "2026-11-23T10:01:30.000Z", "why": "broken", "reason": "stuck",
    });
    assert_eq!(line, wanted);
}
