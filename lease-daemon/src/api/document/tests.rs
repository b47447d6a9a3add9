//! The document is complete, sound, and the one that is committed.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{document, text};
use crate::fuzzing::ask;

/// Writes the document anew: `WRITE_OPENAPI=1 cargo test -p lease-daemon --lib document`.
const WRITE: &str = "WRITE_OPENAPI";

fn value() -> Value {
    serde_json::to_value(document()).unwrap()
}

#[test]
fn the_committed_document_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = text(&document());
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(made.lines()).position(|(a, b)| a != b);
    assert!(
        committed == made,
        "lease-daemon/openapi.json is out of date, from line {} on. If the change is meant, write it anew with\n    \
         {WRITE}=1 cargo test -p lease-daemon --lib document\nand look at the difference",
        differs.unwrap_or_default() + 1,
    );
}

#[test]
fn the_document_is_served() {
    let answer = ask("GET", "/v1/openapi.json", b"").unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.headers.get("content-type").unwrap()),
        (200, &"application/json".parse().unwrap())
    );
    assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap(), value());
}

/// Whatever the router serves: axum shows its paths only to people who debug.
fn served() -> BTreeSet<String> {
    let shown = format!("{:?}", super::super::everything());
    let quoted = shown.split('"').filter(|text| text.starts_with('/') && *text != "/" && !text.contains('*'));
    quoted.map(str::to_owned).collect()
}

#[test]
fn every_route_and_every_method_is_documented() {
    let document = value();
    let documented = document["paths"].as_object().unwrap();
    let served = served();
    assert!(served.len() > 30, "the routes are not seen any more: {served:?}");
    assert_eq!(served, documented.keys().cloned().collect(), "served, and documented");
    for (path, item) in documented {
        let target = path.replace("{name}", "a").replace("{id}", "b").replace("{key}", "c");
        let refused = ask("BREW", &target, b"").unwrap();
        assert_eq!(refused.status, 405, "{path}");
        let allowed = refused.headers.get("allow").unwrap().to_str().unwrap().to_owned();
        let methods = item.as_object().unwrap().keys().map(|method| method.to_uppercase());
        let mut methods: BTreeSet<String> = methods.collect();
        if methods.contains("GET") {
            methods.insert("HEAD".into());
        }
        let allowed: BTreeSet<String> = allowed.split(',').map(str::to_owned).collect();
        assert_eq!(allowed, methods, "allowed at {path}, and documented");
    }
}

#[test]
fn every_operation_says_what_it_does_and_has_an_id_of_its_own() {
    let document = value();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{method} {path}: {id} is there twice");
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 10), "{method} {path}");
            assert!(operation["responses"]["200"].is_object(), "{method} {path}");
            assert!(operation["responses"]["503"].is_object(), "{method} {path}");
        }
    }
}

fn each(value: &Value, seen: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            seen(key, value);
            each(value, seen);
        }),
        Value::Array(items) => items.iter().for_each(|item| each(item, seen)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = value();
    let mut count = 0;
    each(&document, &mut |key, value| {
        if let ("$ref", Some(target)) = (key, value.as_str()) {
            count += 1;
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
    });
    assert!(count > 100, "{count}");
    let ids: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].clone().to_string())
        .collect();
    each(&document, &mut |key, value| {
        if key == "links" {
            for link in value.as_object().unwrap().values() {
                assert!(ids.contains(&link["operationId"].to_string()), "{link}");
            }
        }
    });
}
