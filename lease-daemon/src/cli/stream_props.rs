//! What a daemon, or whoever passes for one, may send.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::fuzzing::stream;

/// Lines that a daemon sends, and lines like them.
fn line() -> impl Strategy<Value = String> {
    let deadline = prop_oneof![0..9_u64, any::<u64>()];
    prop_oneof![
        (0..9_usize).prop_map(|ahead| json!({ "event": "waiting", "ahead": ahead }).to_string()),
        (any::<u64>(), deadline, "[0-9]{1,4}(s|ms|y)").prop_map(|(token, deadline, left)| {
            json!({ "event": "held", "lease": "l", "name": "a", "token": token, "ttl": "5s", "expires_in": left,
                    "deadline_boottime_ns": deadline, "x_new": {} })
            .to_string()
        }),
        (any::<u64>(), "[0-9]{1,3}s").prop_map(|(deadline, left)| {
            json!({ "event": "alive", "expires_in": left, "deadline_boottime_ns": deadline }).to_string()
        }),
        "[a-z-]{1,9}".prop_map(|reason| json!({ "event": "lost", "reason": reason }).to_string()),
        Just(json!({ "event": "timeout" }).to_string()),
        "[a-z]{1,5}".prop_map(|event| json!({ "event": event, "x": 1 }).to_string()),
        Just(String::new()),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nobody_believes_more_than_was_said(lines in vec(line(), 0..7), whole in any::<bool>()) {
        stream((lines.join("\n") + if whole { "\n" } else { "" }).as_bytes());
    }

    #[test]
    fn half_a_stream_is_no_more_than_its_whole_lines(lines in vec(line(), 1..4), cut in any::<prop::sample::Index>()) {
        let text = lines.join("\n") + "\n";
        stream(&text.as_bytes()[..cut.index(text.len())]);
    }

    #[test]
    fn anything_at_all_ends_the_wait(bytes in vec(any::<u8>(), 0..64)) {
        stream(&bytes);
    }
}
