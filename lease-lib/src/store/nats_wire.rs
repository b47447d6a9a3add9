//! What goes over the wire, and what comes back: subjects, answers, headers, times. Pure; no connection in here.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use serde::Deserialize;

use super::{Ack, Body, Entry, Revision, WriteError};

/// Headers of a message, by name.
pub(super) trait Headers {
    /// The *last* value of a header: the server appends its own after those that a writer chose, so a writer cannot
    /// pass off its own `Nats-Sequence` as the server's.
    fn last_value(&self, name: &str) -> Option<&str>;
}

/// The subjects and stream of one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    bucket: String,
    /// `$JS.API`, or `$JS.<domain>.API`.
    api: String,
    /// With a domain, writes go through the API's prefix as well: leaf nodes keep `$KV.>` to themselves.
    put: String,
}

impl Names {
    pub(super) fn new(bucket: &str, domain: Option<&str>) -> Names {
        let api = domain.map_or_else(|| "$JS.API".into(), |domain| format!("$JS.{domain}.API"));
        let put = match domain {
            None => format!("$KV.{bucket}."),
            Some(_) => format!("{api}.$KV.{bucket}."),
        };
        Names { bucket: bucket.into(), api, put }
    }

    /// The bucket beside this one that outlives it.
    pub(super) fn history(&self) -> Names {
        let bucket = format!("{}_history", self.bucket);
        let put = self.put.replace(&format!("$KV.{}.", self.bucket), &format!("$KV.{bucket}."));
        Names { bucket, api: self.api.clone(), put }
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn stream(&self) -> String {
        format!("KV_{}", self.bucket)
    }

    /// The subject that a key (or filter) is stored under.
    pub(super) fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.bucket)
    }

    /// The key stored under a subject, if it is one of this bucket.
    pub(super) fn key<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix("$KV.")?.strip_prefix(self.bucket.as_str())?.strip_prefix('.')
    }

    /// The subject to publish a key's write to.
    pub(super) fn publish(&self, key: &str) -> String {
        format!("{}{key}", self.put)
    }

    /// An API call about this bucket's stream.
    pub(super) fn api(&self, call: &str) -> String {
        format!("{}.{call}.{}", self.api, self.stream())
    }

    /// The API call about what the account uses and may use.
    pub(super) fn account(&self) -> String {
        format!("{}.INFO", self.api)
    }

    /// Where the stream announces each write to a key (or filter).
    pub(super) fn event(&self, key: &str) -> String {
        format!("_lease.{}.ev.{key}", self.bucket)
    }

    /// The key that an announcement is about.
    pub(super) fn event_key<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix("_lease.")?.strip_prefix(self.bucket.as_str())?.strip_prefix(".ev.")
    }

    /// Where notes to a process go.
    pub(super) fn note(&self, process: &str) -> String {
        format!("_lease.{}.to.{process}", self.bucket)
    }
}

/// How JetStream says no.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub code: u16,
    #[serde(default)]
    pub err_code: u16,
    #[serde(default)]
    pub description: String,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (JetStream error {})", self.description, self.err_code)
    }
}

/// Reads a JSON object. serde would also take a list of the fields' values for one, which no server sends.
fn object<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, String> {
    match payload.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(payload).map_err(|error| error.to_string()),
        _ => Err("not a JSON object".into()),
    }
}

#[derive(Deserialize)]
struct WriteAnswer {
    error: Option<ApiError>,
    stream: Option<String>,
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
}

/// What the answer to a write says.
pub(super) fn write_answer(payload: &[u8], stream: &str) -> Result<Ack, WriteError> {
    let Ok(answer) = object::<WriteAnswer>(payload) else {
        return Err(WriteError::Unknown("something else than the stream answered"));
    };
    // First the error: a refusal carries a `seq` as well, of 0.
    if let Some(error) = answer.error {
        return Err(refusal(&error));
    }
    match (answer.stream, answer.seq) {
        (Some(from), Some(revision)) if from == stream && revision > 0 => {
            Ok(Ack { revision, duplicate: answer.duplicate })
        }
        (Some(from), _) if from != stream => Err(WriteError::Refused(format!(
            "the stream {from} took a write that was meant for {stream}: make {stream} the only one with its subjects"
        ))),
        _ => Err(WriteError::Unknown("something else than the stream answered")),
    }
}

/// What is told where the server knows the id, and has not decided yet.
pub(super) const UNDER_WAY: &str = "an earlier try is still being processed";

/// What a refusal of a write means.
///
/// In a cluster the leader decides before it proposes a write, so a refusal says that nothing was proposed. The
/// exceptions come from *applying* what had been agreed on; other replicas may have stored it.
pub(super) fn refusal(error: &ApiError) -> WriteError {
    match (error.err_code, error.code) {
        // "wrong last sequence: 17"
        (10071, _) => {
            let current = error.description.rsplit(' ').next().and_then(|last| last.parse().ok());
            WriteError::Conflict { current }
        }
        // The same without a number, and its older form: another write to the subject is still being agreed on.
        (10164 | 10163, _) => WriteError::InFlight,
        (10158, _) => WriteError::Unknown(UNDER_WAY),
        (10063, _) => WriteError::Unknown("the leader lost count while it applied the write"),
        // "maximum messages exceeded", "message to large" and their like come before anything is agreed on.
        (10077, _) if ["maximum", "large"].iter().any(|limit| error.description.contains(limit)) => {
            WriteError::Refused(error.to_string())
        }
        (10077, _) => WriteError::Unknown("the leader could not store the write"),
        // No room (account, server, disk, memory): nothing was stored, and room may come.
        (10002 | 10023 | 10028 | 10047, _) => WriteError::NotTaken,
        // No leader, no quorum for the API, too many requests.
        (_, 429 | 503) => WriteError::NotTaken,
        (_, 400..=499) => WriteError::Refused(error.to_string()),
        _ => WriteError::Unknown("the server failed while it processed the write"),
    }
}

#[derive(Deserialize)]
struct GetAnswer {
    error: Option<ApiError>,
    message: Option<StoredMessage>,
}

#[derive(Deserialize)]
struct StoredMessage {
    subject: String,
    seq: u64,
    hdrs: Option<String>,
    data: Option<String>,
    time: String,
}

/// What the answer to `STREAM.MSG.GET` says: an entry, that there is none, or why neither.
pub(super) fn get_answer(payload: &[u8], names: &Names) -> Result<Option<Entry>, String> {
    let answer: GetAnswer = object(payload).map_err(|why| format!("unreadable answer: {why}"))?;
    if let Some(error) = answer.error {
        return if error.err_code == 10037 { Ok(None) } else { Err(error.to_string()) };
    }
    // Revision 0 would mean that nothing is stored.
    let message = answer.message.filter(|message| message.seq > 0).ok_or("an answer without a message")?;
    let Some(key) = names.key(&message.subject) else {
        return Err(format!("revision {} is of {:?}, not of this bucket", message.seq, message.subject));
    };
    let decoded = |text: Option<String>| base64(text.as_deref().unwrap_or_default()).ok_or("broken base64");
    let headers = HeaderBlock(String::from_utf8_lossy(&decoded(message.hdrs)?).into_owned());
    let written = micros(&message.time).ok_or("an answer without a time")?;
    Ok(Some(entry(key, message.seq, &headers, decoded(message.data)?.into(), written)))
}

/// The entry that a message of the stream is.
pub(super) fn entry(
    key: &str,
    revision: Revision,
    headers: &impl Headers,
    payload: Bytes,
    written_micros: u64,
) -> Entry {
    // Delete markers that the server makes by itself (which a checked bucket has switched off) carry a reason.
    let deleted = matches!(headers.last_value("KV-Operation"), Some("DEL" | "PURGE"))
        || headers.last_value("Nats-Marker-Reason").is_some();
    Entry {
        key: key.into(),
        revision,
        body: if deleted { Body::Delete(payload) } else { Body::Put(payload) },
        ttl_secs: headers.last_value("Nats-TTL").map_or(0, ttl_secs),
        written_micros,
    }
}

/// The entry that a direct answer or an announcement carries: where it is from stands in headers.
pub(super) fn carried_entry(key: &str, headers: &impl Headers, payload: Bytes) -> Option<Entry> {
    let revision = headers.last_value("Nats-Sequence")?.parse().ok().filter(|revision| *revision > 0)?;
    let written = micros(headers.last_value("Nats-Time-Stamp")?)?;
    Some(entry(key, revision, headers, payload, written))
}

/// A block of headers as it is stored: `NATS/1.0`, then one `Name: value` a line.
struct HeaderBlock(String);

impl Headers for HeaderBlock {
    fn last_value(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(':'));
        lines.rfind(|(key, _)| *key == name).map(|(_, value)| value.trim())
    }
}

/// The seconds of a `Nats-TTL`: a number of them, or a duration as Go writes it (`1h2m3s`). 0 is none, "never", or
/// what nobody can read.
fn ttl_secs(text: &str) -> u64 {
    if let Ok(seconds) = text.parse() {
        return seconds;
    }
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let Some((number, tail)) = rest.split_at_checked(digits) else { return 0 };
        let unit = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let Some((unit, tail)) = tail.split_at_checked(unit) else { return 0 };
        let scale = match unit {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            _ => return 0,
        };
        let Ok(number) = number.parse::<u64>() else { return 0 };
        total = total.saturating_add(number.saturating_mul(scale));
        rest = tail;
    }
    total
}

/// Microseconds of unix time of an RFC 3339 time in UTC, as Go writes it (up to nine digits of fraction).
pub(super) fn micros(time: &str) -> Option<u64> {
    let since = humantime::parse_rfc3339(time).ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_micros()).ok()
}

/// Standard base64. Small enough not to need a crate for this one answer.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// Whether a server of this version knows all that is needed. Pre-releases (`2.12.0-RC.3`, `2.15.0-dev`) count as
/// what they precede; what cannot be read counts as too old.
pub(super) fn new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split(['.', '-', '+']).map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (2, 12))
}

#[cfg(any(test, fuzzing))]
#[path = "nats_wire_judge.rs"]
pub(super) mod judge;
#[cfg(test)]
#[path = "nats_wire_props.rs"]
mod props;
#[cfg(test)]
#[path = "nats_wire_tests.rs"]
mod tests;
