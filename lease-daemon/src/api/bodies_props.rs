//! Requests, through the daemon's own router.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::fuzzing::{Answer, ask, request};
use crate::wire::{Code, Event, Lease};

fn post(path: &str, body: &Value) -> Answer {
    ask("POST", path, body.to_string().as_bytes()).unwrap()
}

/// Every character but those that need no encoding, percent-encoded.
fn encoded(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A body that is in order; with or without each field, or `null` for it.
fn body() -> impl Strategy<Value = Map<String, Value>> {
    let ttl = prop_oneof!["[2-9]s", "[1-9][0-9]{3}0ms", "[1-9][0-9]m", "1?[0-9]h 5s", Just("24h".into())];
    let wait = prop_oneof!["0s", "[0-9]{1,3}ms", "[1-9]h", Just("30days".into())];
    let metadata = prop::collection::btree_map("\\PC{0,9}", "\\PC{0,9}", 0..5);
    (option::of(ttl), option::of(wait), option::of("\\PC{1,40}"), option::of(metadata), any::<u8>()).prop_map(
        |(ttl, wait, owner, metadata, nulls)| {
            let fields = [json!(ttl), json!(wait), json!(owner), json!(metadata)];
            let named = ["ttl", "wait", "owner", "metadata"].into_iter().zip(fields);
            let given = named.zip(0..).filter(|((_, value), bit)| !value.is_null() || nulls >> bit & 1 == 1);
            given.map(|((name, value), _)| (name.to_owned(), value)).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_body_in_order_is_granted(body in body(), name in "[A-Za-z0-9=/_-]{1,9}(\\.[a-z]{1,3})?") {
        let name_ = encoded(&name);
        let body = Value::from(body);
        let held = post(&format!("/v1/locks/{name_}/hold"), &body);
        let acquired = post(&format!("/v1/locks/{name_}/acquire"), &body);
        prop_assert_eq!((held.status.as_u16(), acquired.status.as_u16()), (200, 200), "{}: {:?}", body, held.body);
        let held = match serde_json::from_slice(&held.body).unwrap() {
            Event::Held(lease) => lease,
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let acquired: Lease = serde_json::from_slice(&acquired.body).unwrap();
        let wanted = body.get("ttl").and_then(Value::as_str).unwrap_or("20s");
        for lease in [held, acquired] {
            prop_assert_eq!(lease.what.to_string(), name.as_str());
            prop_assert_eq!(lease.ttl.0, humantime::parse_duration(wanted).unwrap());
        }
    }

    #[test]
    fn a_field_that_is_not_known_is_refused_by_its_name(
        body in body(),
        field in "[a-z_]{1,9}",
        verb in prop::sample::select(vec!["hold", "acquire"]),
    ) {
        prop_assume!(!["ttl", "wait", "owner", "metadata", "attempt", "shared", "grace"].contains(&field.as_str()));
        let mut body = body;
        body.insert(field.clone(), json!(1));
        let answer = post(&format!("/v1/locks/a/{verb}"), &body.into());
        let problem = answer.problem();
        prop_assert_eq!((problem.status, problem.code), (400, Code::InvalidBody));
        prop_assert!(problem.detail.contains(&format!("`{field}`")), "{}", problem);
    }

    /// What is wrong with a ttl or a wait is said with the value itself.
    #[test]
    fn a_duration_that_is_none_or_out_of_bounds_is_refused_with_its_value(
        field in prop::sample::select(vec!["ttl", "wait"]),
        text in prop_oneof!["[0-9]{1,30}(s|ms|h|y|d)?", "[1-6][0-9](d|h)", "-?(nan|inf|[0-9]e[0-9])s?", "\\PC{0,12}"],
    ) {
        let answer = post("/v1/locks/a/acquire", &json!({ field: text }));
        let read = humantime::parse_duration(&text).ok();
        let (least, most) = if field == "ttl" { (2, 86_400) } else { (0, 30 * 86_400) };
        let bounds = std::time::Duration::from_secs(least)..=std::time::Duration::from_secs(most);
        let good = read.is_some_and(|read| bounds.contains(&read));
        // What is much longer than any sensible duration is not even read.
        prop_assert!(good == answer.status.is_success() || text.len() > 15, "{}: {:?}", text, answer.body);
        if !answer.status.is_success() {
            let problem = answer.problem();
            prop_assert_eq!(problem.code.as_str(), format!("invalid-{field}"));
            let start: String = text.chars().take(40).collect();
            let named = problem.detail.contains(&format!("{start:?}")) || read.is_some();
            prop_assert!(named && problem.detail.contains("allowed is"), "{}", problem);
        }
    }

    #[test]
    fn a_field_of_another_type_is_refused_by_its_name(
        field in prop::sample::select(vec!["ttl", "wait", "owner", "metadata", "attempt"]),
        value in prop::sample::select(vec![json!(7), json!(-1.5), json!(true), json!([1]), json!({ "a": 1 }), json!(1e300)]),
    ) {
        let problem = post("/v1/locks/a/acquire", &json!({ field: value })).problem();
        prop_assert_eq!((problem.status, problem.code.to_string()), (400, format!("invalid-{field}")));
        prop_assert!(problem.detail.contains(field), "{}", problem);
    }

    #[test]
    fn a_list_of_the_values_is_no_body(body in body(), verb in prop::sample::select(vec!["hold", "acquire"])) {
        let values = ["ttl", "wait", "owner", "metadata"].map(|field| body.get(field).cloned().unwrap_or_default());
        let mut values = values.to_vec();
        values.extend((verb == "acquire").then_some(Value::Null));
        let problem = post(&format!("/v1/locks/a/{verb}"), &values.into()).problem();
        prop_assert_eq!((problem.status, problem.code), (400, Code::InvalidBody));
    }

    #[test]
    fn a_name_is_taken_if_and_only_if_it_is_one(name in prop_oneof!["[a-c.]{1,5}", "[a-z]{198,202}", any::<String>()]) {
        let path = format!("/v1/locks/{}/acquire", encoded(&name));
        let answer = ask("POST", &path, b"").unwrap();
        let good = lease::Name::new(name.as_str()).is_ok();
        prop_assert_eq!(answer.status.is_success(), good, "{:?}", name);
        if !good {
            let problem = answer.problem();
            let start: String = name.chars().take(61).collect();
            let shown = format!("{start:?}");
            prop_assert_eq!(problem.code, Code::InvalidName);
            prop_assert!(problem.detail.contains(shown.trim_end_matches('"')), "{}", problem);
        }
    }

    #[test]
    fn whatever_is_asked_the_answer_is_a_grant_or_a_problem(
        method in prop::sample::select(vec!["GET", "POST", "DELETE", "PUT", "HEAD"]),
        parts in vec("v1|locks|leases|a|hold|acquire|renew|healthz|metrics|%[0-9A-F]{2}|[a-z.%]{0,4}", 0..5),
        query in "(\\?[a-z]{0,6}=?[a-z*>%.]{0,6})?",
        body in prop_oneof![body().prop_map(|body| Value::from(body).to_string()), any::<String>(), "[\\[\\]{}\":,a-z0-9]{0,20}"],
    ) {
        request(format!("{method} /{}{query}\n{body}", parts.join("/")).as_bytes());
        request(format!("POST /v1/locks/a/acquire{query}\n{body}").as_bytes());
    }
}
