//! What must hold of any bytes that come in: called by property tests, and by the fuzz targets in `tests/fuzz`. No
//! build that anybody uses contains this.

#![allow(clippy::panic, reason = "this is a test")]

use bytes::Bytes;
use serde_json::Value;

use crate::error::Error;
use crate::name::{Filter, MAX_NAME, Name, matches};
use crate::protocol::line::{self, Note};
use crate::protocol::{Record, Slot};
use crate::store::{Body, Entry};

const REVISION: u64 = 1_790_000_000_000_007;

fn entry(body: Body) -> Entry {
    Entry { key: "lock.a".into(), revision: REVISION, body, ttl_secs: 22, written_micros: 9 }
}

/// The text by another reading. Lossy, since a field that nobody reads may hold what is no text; and `null` if such a
/// field holds a number that is too large for any type.
fn read(text: &[u8]) -> Value {
    serde_json::from_str(&String::from_utf8_lossy(text)).unwrap_or_default()
}

/// A value under a lock's key is somebody's, or foreign; never free, and never more than it says.
pub fn record(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    match Slot::of(Some(&entry(Body::Put(bytes.clone())))) {
        Slot::Shared { revision, .. } | Slot::Foreign { revision } => assert_eq!(revision, REVISION),
        Slot::Free { .. } => panic!("a value counts as nobody's"),
        Slot::Taken { revision, record, ttl_secs, written_micros } => {
            assert_eq!((revision, ttl_secs, written_micros), (REVISION, 22, 9));
            as_told(&record, &bytes);
            let again = serde_json::from_slice::<Record>(&record.encode());
            assert_eq!(again.ok(), Some(record), "not as it was written");
        }
    }
    marker(&bytes);
}

/// A record says no more than its text.
fn as_told(record: &Record, text: &[u8]) {
    let told = read(text);
    // A list of the fields' values is taken for a record too; it says the same by place instead of by name.
    if told.is_array() || told.is_null() {
        return;
    }
    let of = |field: &str| told.get(field).filter(|value| !value.is_null());
    let number = |field: &str| of(field).and_then(Value::as_u64);
    let text = |field: &str| of(field).and_then(Value::as_str);
    assert!(
        number("v").is_some_and(|v| v <= 1),
        "a version that this release does not know was read: {told}"
    );
    assert_eq!(text("holder"), Some(record.holder.as_str()));
    assert_eq!(text("attempt"), Some(record.attempt.as_str()));
    assert_eq!(text("owner"), Some(record.owner.as_str()));
    assert_eq!(number("ttl_ms"), Some(record.ttl_ms));
    assert_eq!(number("fence"), record.fence.map(crate::Token::get));
    assert_eq!(record.token_at(REVISION).get(), number("token").unwrap_or(REVISION));
    assert_eq!(record.reserved, of("reserved").and_then(Value::as_bool).unwrap_or_default());
    assert_eq!(record.broken.as_deref(), text("broken"));
    assert_eq!(record.previous.is_some(), of("previous").is_some());
    let holder = record.holder_at(REVISION);
    assert_eq!((holder.token, holder.ttl_ms), (record.token_at(REVISION), record.ttl_ms));
}

/// A deletion frees, whatever its note says; the note only tells how the last grant ended.
fn marker(note: &Bytes) {
    let Slot::Free { revision, previous, by } = Slot::of(Some(&entry(Body::Delete(note.clone())))) else {
        panic!("a deletion counts as somebody's");
    };
    assert_eq!((revision, previous.is_some()), (REVISION, by.is_some()));
    let told = read(note);
    let before = told.get("previous").filter(|previous| previous.is_object());
    if let (Some(previous), Some(before)) = (previous, before) {
        assert_eq!(before.get("token").and_then(Value::as_u64), Some(previous.token.get()));
        assert_eq!(before.get("holder").and_then(Value::as_str), Some(previous.holder.as_str()));
    }
}

/// What a server answers.
pub fn answer(bytes: &[u8]) {
    crate::store::judge_answers(bytes);
}

/// Places and notes: what is read is what was said; a line has each key once, in order. The entries of a line are the
/// lines of the text.
pub fn line(bytes: &[u8]) {
    let mut entries = Vec::new();
    for (number, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        // Three keys, each several times; one text in four as a deletion's note.
        let value = Bytes::copy_from_slice(text);
        let body = if number % 4 == 0 { Body::Delete(value) } else { Body::Put(value) };
        let key = format!("line.lock.a.{}", number % 3);
        let entry = Entry { key, revision: number, ..entry(body) };
        let place = line::place(&entry);
        assert!(place.is_none() || entry.value().is_some(), "a place that was left");
        assert!(!line::granted(&entry) || entry.value().is_none(), "granted without having left");
        if let Some(place) = place {
            assert_eq!((&place.key, place.order), (&entry.key, entry.revision));
            let told = read(text);
            let id = told.get("place").and_then(Value::as_str);
            assert!(told.is_array() || told.is_null() || id == Some(place.waiter.place.as_str()));
        }
        entries.push(entry);
    }
    let newest = |key: &str| entries.iter().rfind(|entry| entry.key == key);
    let places = line::places(entries.iter().rev().cloned().collect());
    assert!(places.is_sorted_by_key(|place| place.order));
    for place in &places {
        assert_eq!(
            newest(&place.key).map(|entry| entry.revision),
            Some(place.order),
            "an older state counts"
        );
    }
    note(bytes);
}

/// A note between processes is read as it was written.
fn note(bytes: &[u8]) {
    let Ok(note) = serde_json::from_slice::<Note>(bytes) else { return };
    let written = serde_json::to_vec(&note).unwrap_or_default();
    assert_eq!(serde_json::from_slice::<Note>(&written).ok(), Some(note));
}

/// Names and filters, against the contract's sentence: 1 to 200 of `A-Z a-z 0-9 - _ = / .`, no empty token between
/// dots. The text's first line is the filter that the names of the others are held against.
pub fn name(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut texts = text.split('\n');
    let filter = texts.next().unwrap_or_default();
    let wild = Filter::new(filter);
    assert_eq!(wild.is_ok(), is_filter(filter), "the filter {filter:?}");
    for text in texts.chain([filter, &text]) {
        match Name::new(text) {
            Ok(name) => {
                assert!(is_name(text), "{text:?} is no name");
                assert_eq!(name.as_str(), text);
                let selected = matches(filter, text);
                assert!(wild.is_err() || selected == selects(filter, text), "{filter:?} over {text:?}");
            }
            Err(Error::InvalidName { name, why }) => {
                assert!(!is_name(text), "{text:?} is a name");
                let shown = name.strip_suffix("...").unwrap_or(&name);
                assert!(name.chars().count() <= 64 && text.starts_with(shown) && !why.is_empty(), "{name:?}");
            }
            Err(other) => panic!("{other}"),
        }
    }
}

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=/.";

fn is_name(text: &str) -> bool {
    let dots = text.starts_with('.') || text.ends_with('.') || text.contains("..");
    (1..=MAX_NAME).contains(&text.chars().count()) && text.chars().all(|c| ALPHABET.contains(c)) && !dots
}

/// A name in which whole tokens are `*`, and the last may be `>`.
fn is_filter(text: &str) -> bool {
    let tail = text.strip_suffix('>').filter(|head| head.is_empty() || head.ends_with('.'));
    let named = tail.map_or_else(|| text.to_owned(), |head| format!("{head}x"));
    let named: Vec<&str> = named.split('.').map(|token| if token == "*" { "x" } else { token }).collect();
    is_name(&named.join("."))
}

fn selects(filter: &str, name: &str) -> bool {
    let (first, others) = filter.split_once('.').map_or((filter, None), |(a, b)| (a, Some(b)));
    let (token, rest) = name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
    match (others, rest) {
        (None, _) if first == ">" => true,
        (None, None) => first == "*" || first == token,
        (Some(others), Some(rest)) => (first == "*" || first == token) && selects(others, rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    /// Runs a target over its seeds in `tests/fuzz`.
    fn replay(target: &str, judge: fn(&[u8])) {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus");
        let seeds: Vec<_> = std::fs::read_dir(format!("{seeds}/{target}")).unwrap().collect();
        assert!(!seeds.is_empty(), "{target}");
        for seed in seeds {
            let seed = seed.unwrap().path();
            eprintln!("{}", seed.display());
            judge(&std::fs::read(seed).unwrap());
        }
    }

    #[test]
    fn seeds() {
        replay("record", super::record);
        replay("line", super::line);
        replay("answer", super::answer);
        replay("name", super::name);
    }
}
