//! What must hold of any bytes that a server, or whoever passes for one, answers.

use serde_json::Value;

use super::*;

/// The bytes are read as the answer to a write, as that to a read, as a block of headers, and as each of the small
/// texts that such answers are made of.
pub(crate) fn answers(bytes: &[u8]) {
    // Lossy, since a field that nobody reads may hold what is no text.
    let text = String::from_utf8_lossy(bytes);
    let told: Value = serde_json::from_str(&text).unwrap_or_default();
    // The other reading refuses numbers that are too large, also where nobody reads them.
    if !told.is_null() || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_err() {
        write(bytes, &told);
        get(bytes, &told);
    }
    headers(&text);
    numbers(&text);
    encoded(&text);
}

fn error_of(told: &Value) -> Option<&Value> {
    told.get("error").filter(|error| !error.is_null())
}

/// Only an object that names the stream and a revision is a yes.
fn write(bytes: &[u8], told: &Value) {
    let number = |key: &str| error_of(told)?.get(key)?.as_u64();
    // serde takes a list of the values for the object inside.
    let listed = error_of(told).is_some_and(Value::is_array);
    match write_answer(bytes, "KV_b") {
        Ok(ack) => {
            assert!(
                ack.revision > 0 && told.is_object() && error_of(told).is_none(),
                "{told} counts as a yes"
            );
            assert_eq!(told.get("stream").and_then(Value::as_str), Some("KV_b"));
            assert_eq!(told.get("seq").and_then(Value::as_u64), Some(ack.revision));
            assert_eq!(told.get("duplicate").and_then(Value::as_bool).unwrap_or_default(), ack.duplicate);
        }
        Err(WriteError::Unknown(_)) => {}
        Err(_) if listed => {}
        // Each definite no is one that the server gave.
        Err(WriteError::Conflict { current }) => {
            assert_eq!(number("err_code"), Some(10071));
            let text =
                error_of(told).and_then(|error| error.get("description")?.as_str()).unwrap_or_default();
            let said = current.is_none_or(|current| {
                text.trim_end_matches(|c: char| c.is_ascii_digit()).len() < text.len()
                    && text.ends_with(&current.to_string())
            });
            assert!(said, "{current:?} out of {text:?}");
        }
        Err(WriteError::InFlight) => assert!(matches!(number("err_code"), Some(10163 | 10164))),
        Err(WriteError::NotTaken) => assert!(error_of(told).is_some(), "{told}"),
        Err(WriteError::Refused(why)) => {
            assert!(told.is_object() && !why.is_empty(), "{told}");
            assert!(error_of(told).is_some() || told.get("stream") != Some(&Value::from("KV_b")), "{told}");
        }
    }
}

/// An entry is of this bucket, has a revision, and carries the bytes that were sent; "there is none" was said so.
fn get(bytes: &[u8], told: &Value) {
    let names = Names::new("b", None);
    let Ok(found) = get_answer(bytes, &names) else { return };
    assert!(told.is_object(), "{told}");
    let Some(entry) = found else {
        let error = error_of(told);
        let code = error.and_then(|error| error.get("err_code")?.as_u64());
        assert!(code == Some(10037) || error.is_some_and(Value::is_array), "{told} counts as nothing there");
        return;
    };
    assert!(entry.revision > 0, "a revision that stands for nothing stored: {told}");
    let Some(message) = told.get("message").filter(|message| message.is_object()) else { return };
    assert_eq!(message.get("subject").and_then(Value::as_str), Some(names.subject(&entry.key).as_str()));
    assert_eq!(message.get("seq").and_then(Value::as_u64), Some(entry.revision));
    let data = message.get("data").and_then(Value::as_str).unwrap_or_default();
    let (Body::Put(value) | Body::Delete(value)) = &entry.body;
    assert!(value.len() == data.trim_end_matches('=').len() * 6 / 8, "{data} became {} bytes", value.len());
}

/// Where a carried entry is from is what the last header of each name says.
fn headers(text: &str) {
    let last = |name: &str| {
        let of = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim().to_owned());
        text.lines().filter_map(of).next_back()
    };
    let block = HeaderBlock(text.to_owned());
    let Some(entry) = carried_entry("k", &block, Bytes::from_static(b"x")) else { return };
    let sequence = last("Nats-Sequence").unwrap_or_default();
    assert_eq!(sequence.trim_start_matches(['+', '0']), entry.revision.to_string(), "{text:?}");
    assert!(last("Nats-Time-Stamp").is_some(), "{text:?}");
    let deleted = last("Nats-Marker-Reason").is_some()
        || last("KV-Operation").is_some_and(|operation| ["DEL", "PURGE"].contains(&operation.as_str()));
    assert_eq!(matches!(entry.body, Body::Delete(_)), deleted, "{text:?}");
    assert!(last("Nats-TTL").is_some() || entry.ttl_secs == 0, "{text:?}");
}

/// Times, TTLs and versions.
fn numbers(text: &str) {
    if let Some(micros) = micros(text) {
        let at = UNIX_EPOCH + std::time::Duration::from_micros(micros);
        let written = humantime::format_rfc3339_micros(at).to_string();
        // To the minute: a leap second is read as the one before.
        assert_eq!(written.get(..17), text.get(..17));
        assert_eq!(super::micros(&written), Some(micros));
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (1..20).contains(&text.len()) {
        assert_eq!(ttl_secs(text).to_string(), text.trim_start_matches('0').to_owned() + zero(text));
    } else if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        assert_eq!(ttl_secs(text), 0, "{text:?}");
    }
    if new_enough(text) {
        let mut parts = text.trim_start_matches('v').split(['.', '-', '+']);
        let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let above = |number: &str, least: &str| (number.len(), number) >= (least.len(), least);
        let (major, minor) = (major.trim_start_matches('0'), minor.trim_start_matches('0'));
        assert!(above(major, "3") || (major == "2" && above(minor, "12")), "{text:?}");
    }
}

/// The nought that trimming noughts takes away with the others.
fn zero(text: &str) -> &'static str {
    if text.bytes().all(|byte| byte == b'0') { "0" } else { "" }
}

/// What is decoded is, encoded again, the text it came from, but for the bits that fill no byte.
fn encoded(text: &str) {
    let Some(bytes) = base64(text) else { return };
    let text = text.trim_end_matches('=');
    assert_eq!(bytes.len(), text.len() * 6 / 8);
    let whole = bytes.len() / 3 * 4;
    assert_eq!(to_base64(&bytes).get(..whole), text.get(..whole));
}

/// Standard base64 without the filling.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let digit = |at: usize| (0..6).fold(0, |digit, offset| digit << 1 | bit(at + offset));
    let at = (0..bytes.len() * 8).step_by(6);
    at.filter_map(|at| DIGITS.get(usize::from(digit(at))).copied().map(char::from)).collect()
}
