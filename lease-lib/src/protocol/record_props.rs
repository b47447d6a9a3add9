//! Records as this release writes them, as a newer one might, and as anything at all.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::record::{End, Marker, Previous, Record, Slot, VERSION};
use crate::fuzzing;
use crate::store::{Body, Entry};
use crate::token::Token;

const REVISION: u64 = 1_790_000_000_000_007;

fn entry(body: Body) -> Entry {
    Entry { key: "lock.a".into(), revision: REVISION, body, ttl_secs: 22, written_micros: 9 }
}

fn put(value: &Value) -> Slot {
    Slot::of(Some(&entry(Body::Put(value.to_string().into()))))
}

/// Any text, with what JSON must escape in it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9.@-]{0,12}", any::<String>(), "[\u{0}-\u{1f}\"\\\\\u{7f}-\u{2028}]{0,6}"]
}

fn token() -> impl Strategy<Value = Token> {
    prop_oneof![1..1_u64 << 53, any::<u64>()].prop_map(Token::new)
}

fn previous() -> impl Strategy<Value = Previous> {
    use End::{Broken, ClientGone, Expired, HandedOver, Other, Released, Stopped};
    let why = prop::sample::select(vec![Released, Stopped, ClientGone, Expired, Broken, HandedOver, Other]);
    (token(), text(), text(), why).prop_map(|(token, holder, ended, why)| Previous {
        token,
        holder,
        ended,
        why,
    })
}

fn record() -> impl Strategy<Value = Record> {
    let who = (text(), text(), text(), any::<u32>(), text(), text());
    let grant =
        (option::of(token()), option::of(token()), any::<(u64, u64)>(), any::<bool>(), option::of(text()));
    (who, grant, btree_map(text(), text(), 0..4), option::of(previous())).prop_map(
        |((holder, owner, host, pid, attempt, since), grant, metadata, previous)| {
            let (token, fence, (ttl_ms, grace_secs), reserved, broken) = grant;
            let v = VERSION;
            Record {
                v,
                holder,
                owner,
                host,
                pid,
                attempt,
                token,
                fence,
                ttl_ms,
                grace_secs,
                since,
                metadata,
                previous,
                reserved,
                broken,
                readers: Vec::new(),
                with: Vec::new(),
                value: None,
                guarded: 0,
            }
        },
    )
}

/// Any JSON, not deep.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// Fields that a newer release might add: none that this one knows begins like that.
fn extra() -> impl Strategy<Value = BTreeMap<String, Value>> {
    btree_map("x_[a-z_]{0,8}", json(), 0..4)
}

fn value_with(record: &Record, extra: BTreeMap<String, Value>) -> Value {
    let mut value = json!(record);
    value.as_object_mut().unwrap().extend(extra);
    value
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(record in record()) {
        let slot = Slot::of(Some(&entry(Body::Put(record.encode()))));
        let taken = Slot::Taken { revision: REVISION, record, ttl_secs: 22, written_micros: 9 };
        prop_assert_eq!(slot, taken);
    }

    #[test]
    fn fields_of_a_newer_release_do_not_hide_the_holder(record in record(), extra in extra()) {
        let read = put(&value_with(&record, extra));
        prop_assert!(matches!(&read, Slot::Taken { record: read, .. } if *read == record), "{:?}", read);
    }

    #[test]
    fn a_newer_version_is_foreign_however_alike(
        record in record(),
        extra in extra(),
        v in prop_oneof![2..9_u64, 2..=u64::MAX],
    ) {
        let mut value = value_with(&record, extra);
        value["v"] = v.into();
        prop_assert_eq!(put(&value), Slot::Foreign { revision: REVISION });
    }

    #[test]
    fn a_record_without_what_every_record_has_is_foreign(
        record in record(),
        field in prop::sample::select(vec!["v", "holder", "owner", "host", "pid", "attempt", "ttl_ms", "since"]),
        instead in option::of(json()),
    ) {
        let mut value = json!(record);
        let was = value.as_object_mut().unwrap().remove(field).unwrap();
        if let Some(instead) = instead {
            prop_assume!(std::mem::discriminant(&instead) != std::mem::discriminant(&was));
            value[field] = instead;
        }
        prop_assert_eq!(put(&value), Slot::Foreign { revision: REVISION });
    }

    #[test]
    fn half_a_record_is_foreign(record in record(), cut in any::<prop::sample::Index>()) {
        let whole = record.encode();
        let half = whole.slice(..cut.index(whole.len()));
        prop_assert_eq!(Slot::of(Some(&entry(Body::Put(half)))), Slot::Foreign { revision: REVISION });
    }

    #[test]
    fn a_record_with_a_few_bytes_changed_claims_no_more_than_it_says(
        record in record(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = record.encode().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fuzzing::record(&bytes);
    }

    #[test]
    fn anything_at_all_claims_no_more_than_it_says(bytes in vec(any::<u8>(), 0..64), value in json()) {
        fuzzing::record(&bytes);
        fuzzing::record(value.to_string().as_bytes());
    }

    #[test]
    fn a_release_tells_how_the_grant_ended(attempt in text(), previous in previous(), extra in extra()) {
        let mut note = json!(Marker { attempt: attempt.clone(), previous: previous.clone() });
        note.as_object_mut().unwrap().extend(extra.clone());
        note["previous"].as_object_mut().unwrap().extend(extra);
        let read = Slot::of(Some(&entry(Body::Delete(note.to_string().into()))));
        let free = Slot::Free { revision: REVISION, previous: Some(previous), by: Some(attempt) };
        prop_assert_eq!(read, free);
    }

    #[test]
    fn reasons_that_are_new_are_some_reason(word in "[a-z][a-z-]{0,12}") {
        let end: End = serde_json::from_value(json!(word)).unwrap();
        prop_assert!(json!(end) == json!(word) || end == End::Other);
    }

    #[test]
    fn a_deletion_frees_whatever_its_note_says(note in vec(any::<u8>(), 0..64), value in json()) {
        for note in [Bytes::from(note), value.to_string().into()] {
            let read = Slot::of(Some(&entry(Body::Delete(note))));
            prop_assert!(matches!(read, Slot::Free { revision: REVISION, .. }), "{:?}", read);
        }
    }
}
