//! Places in line and notes between processes: as they are written, as a newer release might, and as anything at all.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::line::{Left, Note, Place, Waiter, granted, place, places};
use super::record::{End, Previous};
use crate::fuzzing;
use crate::store::{Body, Entry};
use crate::token::Token;

fn waiter() -> impl Strategy<Value = Waiter> {
    let text = any::<String>;
    (text(), text(), text(), text(), text(), any::<u32>(), text()).prop_map(
        |(place, attempt, process, owner, host, pid, since)| Waiter {
            place,
            attempt,
            process,
            owner,
            host,
            pid,
            since,
            priority: 0,
            is_ready: true,
            value: None,
        },
    )
}

fn note() -> impl Strategy<Value = Note> {
    let text = any::<String>;
    prop_oneof![
        (text(), text(), text(), any::<u64>(), waiter())
            .prop_map(|(line, of, after, order, waiter)| Note::Behind { line, of, after, order, waiter }),
        (text(), any::<u64>(), waiter()).prop_map(|(line, order, waiter)| Note::First {
            line,
            order,
            waiter
        }),
        (text(), text()).prop_map(|(line, place)| Note::Gone { line, place }),
        (text(), text(), text(), any::<u64>(), any::<bool>()).prop_map(
            |(line, key, attempt, revision, told)| {
                let previous = told.then(|| Previous {
                    token: Token::new(revision),
                    holder: attempt.clone(),
                    ended: String::new(),
                    why: End::Released,
                });
                Note::Handed { line, key, attempt, revision, previous }
            }
        ),
        (text(), text(), text()).prop_map(|(line, place, attempt)| Note::NotHere { line, place, attempt }),
        text().prop_map(|key| Note::Broken { key }),
    ]
}

fn entry(key: &str, revision: u64, body: Body) -> Entry {
    Entry { key: key.into(), revision, body, ttl_secs: 0, written_micros: 0 }
}

proptest! {
    #[test]
    fn notes_are_read_back_with_whatever_a_newer_release_adds(note in note(), field in "x_[a-z]{0,8}") {
        let mut written = json!(note);
        prop_assert_eq!(serde_json::from_slice::<Note>(written.to_string().as_bytes()).unwrap(), note.clone());
        written[field] = json!({ "new": [1, null] });
        prop_assert_eq!(serde_json::from_value::<Note>(written).unwrap(), note);
    }

    #[test]
    fn a_note_of_a_kind_that_is_not_known_is_none(note in note(), kind in "[a-z-]{1,12}") {
        let mut written = json!(note);
        let known = ["behind", "first", "gone", "handed", "not-here", "broken"];
        prop_assume!(!known.contains(&kind.as_str()));
        written["note"] = kind.into();
        prop_assert!(serde_json::from_value::<Note>(written).is_err());
    }

    #[test]
    fn places_are_read_back(waiter in waiter(), order in any::<u64>(), field in "x_[a-z]{0,8}") {
        let mut value = json!(waiter);
        value[field] = json!("new");
        let found = place(&entry("line.lock.a.p", order, Body::Put(value.to_string().into())));
        prop_assert_eq!(found, Some(Place { key: "line.lock.a.p".into(), order, waiter }));
    }

    /// Of each key the newest entry counts, in whatever order and however often they come.
    #[test]
    fn the_line_is_what_was_written_last(
        waiter in waiter(),
        history in vec((0..4_usize, any::<bool>()), 0..12)
            .prop_flat_map(|history| Just((1..).zip(history).collect::<Vec<_>>()).prop_shuffle()),
    ) {
        let value = json!(waiter).to_string();
        let entries = history.iter().map(|(revision, (key, there))| {
            let body = value.clone().into();
            entry(&key.to_string(), *revision, if *there { Body::Put(body) } else { Body::Delete(body) })
        });
        let found: Vec<_> = places(entries.collect()).into_iter().map(|place| (place.order, place.key)).collect();
        let last = |key: usize| history.iter().filter(|(_, (of, _))| *of == key).max_by_key(|(revision, _)| *revision);
        let mut expected: Vec<_> = (0..4)
            .filter_map(|key| last(key).filter(|(_, (_, there))| *there))
            .map(|(revision, (key, _))| (*revision, key.to_string()))
            .collect();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn only_a_departure_that_says_so_is_a_grant(granted_ in any::<bool>(), field in "x_[a-z]{0,8}") {
        let mut note = json!(Left { granted: granted_ });
        note[field] = json!(true);
        let bytes = || note.to_string().into();
        prop_assert_eq!(granted(&entry("k", 1, Body::Delete(bytes()))), granted_);
        prop_assert!(!granted(&entry("k", 1, Body::Put(bytes()))));
    }

    #[test]
    fn anything_at_all_is_no_more_than_it_says(
        bytes in vec(any::<u8>(), 0..64),
        waiters in vec(waiter(), 0..6),
        note in note(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        fuzzing::line(&bytes);
        let mut text = waiters.iter().map(|waiter| json!(waiter).to_string()).collect::<Vec<_>>().join("\n");
        text += &json!(note).to_string();
        let mut bytes = text.into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fuzzing::line(&bytes);
    }
}
