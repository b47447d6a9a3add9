//! Answers of a server: as it writes them, with fields that newer releases add, damaged, and anything at all.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::judge::{answers, to_base64};
use super::*;

fn with(mut value: Value, field: String) -> Vec<u8> {
    value[field] = json!({ "new": [1, "x"] });
    value.to_string().into_bytes()
}

/// A field that a newer server might add.
fn added() -> impl Strategy<Value = String> {
    "x_[a-z]{0,6}"
}

/// The answer to a read.
fn message(key: &str, seq: u64, headers: &str, data: &[u8], filled: bool) -> Value {
    let encoded = |bytes: &[u8]| {
        let text = to_base64(bytes);
        let fill = if filled { (4 - text.len() % 4) % 4 } else { 0 };
        text + &"=".repeat(fill)
    };
    json!({ "type": "io.nats.jetstream.api.v1.stream_msg_get_response", "message": {
        "subject": format!("$KV.b.{key}"), "seq": seq, "hdrs": encoded(headers.as_bytes()),
        "data": encoded(data), "time": "2026-11-23T06:26:49.429655862Z",
    }})
}

fn refused(code: u16, err_code: u16, description: &str) -> Value {
    let error = json!({ "code": code, "err_code": err_code, "description": description });
    json!({ "error": error, "stream": "KV_b", "seq": 0 })
}

proptest! {
    #[test]
    fn a_yes_is_read_back(revision in 1..=u64::MAX, duplicate in any::<bool>(), field in added()) {
        let yes = with(json!({ "stream": "KV_b", "seq": revision, "duplicate": duplicate }), field);
        prop_assert_eq!(write_answer(&yes, "KV_b"), Ok(Ack { revision, duplicate }));
    }

    #[test]
    fn a_yes_of_another_stream_or_of_no_revision_is_none(stream in "KV_[a-z_]{0,4}", seq in 0..3_u64) {
        let answer = write_answer(json!({ "stream": stream, "seq": seq }).to_string().as_bytes(), "KV_b");
        prop_assert_eq!(answer.is_ok(), stream == "KV_b" && seq > 0);
    }

    #[test]
    fn half_a_yes_is_unknown(revision in 1..=u64::MAX, cut in any::<prop::sample::Index>()) {
        let yes = json!({ "stream": "KV_b", "seq": revision }).to_string();
        let half = write_answer(&yes.as_bytes()[..cut.index(yes.len())], "KV_b");
        prop_assert!(matches!(half, Err(WriteError::Unknown(_))), "{:?}", half);
    }

    /// What nobody has thought of is not taken for a no: only client errors (4xx) are definite.
    #[test]
    fn a_refusal_is_never_a_yes_and_only_a_known_one_a_no(
        code in prop_oneof![any::<u16>(), 399..=600_u16],
        err_code in prop_oneof![any::<u16>(), 10_000..=10_200_u16],
        description in any::<String>(),
        field in added(),
    ) {
        let answer = write_answer(&with(refused(code, err_code, &description), field), "KV_b");
        let known = [10071, 10163, 10164, 10158, 10063, 10077, 10002, 10023, 10028, 10047].contains(&err_code);
        let definite = (400..500).contains(&code) || code == 503;
        prop_assert!(answer.is_err());
        prop_assert!(known || definite || matches!(answer, Err(WriteError::Unknown(_))), "{:?}", answer);
    }

    #[test]
    fn a_conflict_tells_the_number_at_its_end(current in any::<u64>(), words in "[a-z ]{0,12}") {
        let told = refused(400, 10071, &format!("{words}: {current}"));
        let answer = write_answer(told.to_string().as_bytes(), "KV_b");
        prop_assert_eq!(answer, Err(WriteError::Conflict { current: Some(current) }));
    }

    #[test]
    fn an_entry_is_read_back(
        key in "[a-z0-9.=/_-]{1,20}",
        revision in 1..=u64::MAX,
        data in vec(any::<u8>(), 0..80),
        ttl in option::of(any::<u64>()),
        operation in option::of(prop::sample::select(vec!["DEL", "PURGE", "PUT"])),
        filled in any::<bool>(),
        field in added(),
    ) {
        let mut headers = String::from("NATS/1.0\r\nX: y\r\n");
        headers += &ttl.map(|ttl| format!("Nats-TTL: {ttl}\r\n")).unwrap_or_default();
        headers += &operation.map(|operation| format!("KV-Operation: {operation}\r\n")).unwrap_or_default();
        let read = get_answer(&with(message(&key, revision, &headers, &data, filled), field), &Names::new("b", None));
        let deleted = matches!(operation, Some("DEL" | "PURGE"));
        let body = if deleted { Body::Delete(data.into()) } else { Body::Put(data.into()) };
        let written_micros = 1_795_415_209_429_655;
        let ttl_secs = ttl.unwrap_or_default();
        prop_assert_eq!(read, Ok(Some(Entry { key, revision, body, ttl_secs, written_micros })));
    }

    #[test]
    fn nothing_is_there_only_if_the_server_says_so(code in prop_oneof![Just(404), any::<u16>()], err_code in 10_030..10_040_u16) {
        let answer = refused(code, err_code, "x").to_string();
        prop_assert_eq!(get_answer(answer.as_bytes(), &Names::new("b", None)) == Ok(None), err_code == 10037);
    }

    #[test]
    fn the_servers_headers_come_last_and_count(chosen in any::<u64>(), revision in 1..=u64::MAX) {
        let block = HeaderBlock(format!(
            "NATS/1.0\r\nNats-Sequence: {chosen}\r\nNats-Sequence: {revision}\r\nNats-Time-Stamp: 2026-11-23T06:26:49Z\r\n"
        ));
        let read = carried_entry("k", &block, Bytes::new()).map(|entry| entry.revision);
        prop_assert_eq!(read, Some(revision));
    }

    #[test]
    fn ttls_as_go_writes_them(hours in 0..3_000_000_u64, minutes in 0..60_u64, seconds in 0..60_u64) {
        let total = hours * 3_600 + minutes * 60 + seconds;
        prop_assert_eq!(ttl_secs(&format!("{hours}h{minutes}m{seconds}s")), total);
        prop_assert_eq!(ttl_secs(&total.to_string()), total);
    }

    #[test]
    fn times_are_read_back(at in 0..253_402_300_799_999_999_u64) {
        let time = UNIX_EPOCH + std::time::Duration::from_micros(at);
        prop_assert_eq!(micros(&humantime::format_rfc3339_micros(time).to_string()), Some(at));
    }

    #[test]
    fn a_release_is_new_enough_from_2_12_on(major in 0..5_u32, minor in 8..16_u32, rest in "(\\.[0-9]{1,2}(-[a-zA-Z.0-9]{1,6})?)?", v in "v?") {
        let enough = major > 2 || (major == 2 && minor >= 12);
        prop_assert_eq!(new_enough(&format!("{v}{major}.{minor}{rest}")), enough);
    }

    #[test]
    fn base64_is_read_back(bytes in vec(any::<u8>(), 0..80)) {
        prop_assert_eq!(base64(&to_base64(&bytes)), Some(bytes));
    }

    #[test]
    fn a_key_is_that_of_its_own_bucket(key in "[a-z.]{1,9}", bucket in "[a-c]{1,2}", other in "[a-c]{1,2}") {
        let (own, foreign) = (Names::new(&bucket, None), Names::new(&other, None));
        let found = (own.key(&own.subject(&key)).is_some(), own.event_key(&own.event(&key)).is_some());
        prop_assert_eq!(found, (true, true));
        prop_assert_eq!(own.key(&foreign.subject(&key)).is_some(), bucket == other);
        prop_assert_eq!(own.event_key(&foreign.event(&key)).is_some(), bucket == other);
        prop_assert!(own.key(&own.history().subject(&key)).is_none());
    }

    #[test]
    fn damaged_answers_claim_no_more_than_they_say(
        revision in 0..3_u64,
        data in vec(any::<u8>(), 0..12),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let yes = json!({ "stream": "KV_b", "seq": revision });
        let listed = json!([null, "KV_b", revision, false]);
        let headers = "NATS/1.0\r\nNats-TTL: 7\r\nKV-Operation: DEL\r\n\r\n";
        for whole in [yes, listed, refused(400, 10071, "x: 17"), message("k", revision, headers, &data, true)] {
            let mut bytes = whole.to_string().into_bytes();
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            answers(&bytes);
        }
        answers(format!("Nats-Sequence: {revision}\r\nNats-Time-Stamp: 2026-11-23T06:26:49Z").as_bytes());
    }

    #[test]
    fn anything_at_all_claims_no_more_than_it_says(bytes in vec(any::<u8>(), 0..64), text in "[0-9hmsT:.Zv+-]{0,24}") {
        answers(&bytes);
        answers(text.as_bytes());
    }
}
