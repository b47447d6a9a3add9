//! What travels over the socket: read back as written, and with what newer releases add.

use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use std::collections::BTreeMap;

use super::*;

fn span() -> impl Strategy<Value = Span> {
    (0..3_000_000_000_u64).prop_map(|millis| Span(std::time::Duration::from_millis(millis)))
}

fn text() -> impl Strategy<Value = String> {
    any::<String>()
}

fn metadata() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..4)
}

fn previous() -> impl Strategy<Value = Previous> {
    (any::<u64>(), text(), text(), text()).prop_map(|(token, holder, ended, why)| Previous {
        token,
        holder,
        ended,
        why,
    })
}

fn grant() -> impl Strategy<Value = Grant> {
    let one = (text(), any::<u64>(), option::of(any::<u64>()), option::of(text()));
    prop_oneof![
        one.prop_map(|(name, token, fence, member)| Grant::One { name, token, fence, member }),
        btree_map(text(), any::<u64>(), 1..4).prop_map(|tokens| Grant::All { tokens }),
    ]
}

fn lease() -> impl Strategy<Value = Lease> {
    (text(), grant(), span(), span(), any::<u64>(), option::of(previous())).prop_map(
        |(lease, what, ttl, expires_in, deadline_boottime_ns, previous)| Lease {
            lease,
            what,
            ttl,
            expires_in,
            deadline_boottime_ns,
            previous,
        },
    )
}

fn holder() -> impl Strategy<Value = Holder> {
    (text(), text(), any::<u32>(), any::<u64>(), text(), span(), metadata()).prop_map(
        |(owner, host, pid, token, since, ttl, metadata)| Holder {
            owner,
            host,
            pid,
            token,
            since,
            ttl,
            metadata,
            value: Some(json!({ "addr": [1, null] })),
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<usize>().prop_map(|ahead| Event::Waiting { ahead }),
        lease().prop_map(Event::Held),
        lease().prop_map(Event::Elected),
        lease().prop_map(Event::Joined),
        (any::<usize>(), text()).prop_map(|(ahead, candidate)| Event::Candidate { ahead, candidate }),
        (span(), any::<u64>())
            .prop_map(|(expires_in, deadline_boottime_ns)| Event::Alive { expires_in, deadline_boottime_ns }),
        (text(), option::of(text())).prop_map(|(reason, detail)| Event::Lost { reason, detail }),
        option::of(holder()).prop_map(|holder| Event::Timeout { holder }),
    ]
}

fn lock() -> impl Strategy<Value = Lock> {
    (text(), option::of(holder()), option::of(span()), any::<u64>(), option::of(previous()), any::<bool>())
        .prop_map(|(name, holder, expires_in, revision, previous, lined)| Lock {
            name: name.clone(),
            held: holder.is_some(),
            token: holder.as_ref().map(|holder| holder.token),
            waiters: lined.then(|| vec![waiter(name)]),
            shared: lined,
            readers: holder.iter().cloned().collect(),
            holder,
            expires_in,
            revision,
            previous,
        })
}

fn waiter(owner: String) -> Waiter {
    let (host, since) = (String::new(), String::new());
    Waiter { owner, host, pid: 1, since, priority: -3, ready: false, value: Some(json!("x")) }
}

fn problem() -> impl Strategy<Value = Problem> {
    let retry = prop_oneof![Just(Retry::Never), Just(Retry::Now), any::<u64>().prop_map(Retry::After)];
    let code = prop::sample::select(Code::ALL.to_vec());
    (code, text(), retry, option::of(holder()), option::of(text())).prop_map(
        |(code, detail, retry, holder, reason)| {
            let problem = Problem::new(code, detail).retry(retry).held_by(holder);
            match reason {
                Some(reason) => problem.because(reason),
                None => problem,
            }
        },
    )
}

/// The same, and what a newer release adds changes nothing.
fn read_back<T>(value: &T, field: &str) -> Result<(), TestCaseError>
where
    T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let mut written = json!(value);
    prop_assert_eq!(&serde_json::from_str::<T>(&written.to_string()).unwrap(), value);
    written[field] = json!({ "new": [1, null] });
    prop_assert_eq!(&serde_json::from_str::<T>(&written.to_string()).unwrap(), value);
    Ok(())
}

/// A field that no release knows yet.
fn added() -> impl Strategy<Value = String> {
    "x_[a-z]{0,8}"
}

proptest! {
    #[test]
    fn answers_are_read_back(event in event(), lock in lock(), problem in problem(), field in added()) {
        read_back(&event, &field)?;
        read_back(&lock, &field)?;
        read_back(&problem, &field)?;
    }

    #[test]
    fn an_event_is_one_line(event in event()) {
        prop_assert!(!serde_json::to_vec(&event).unwrap().contains(&b'\n'));
    }

    #[test]
    fn an_event_of_a_newer_daemon_is_ignored(event in event(), kind in "[a-z-]{1,12}") {
        let known = ["waiting", "held", "candidate", "elected", "joined", "alive", "lost", "timeout"];
        prop_assume!(!known.contains(&kind.as_str()));
        let mut written = json!(event);
        written["event"] = kind.into();
        prop_assert_eq!(serde_json::from_value::<Event>(written).unwrap(), Event::Unknown);
    }

    #[test]
    fn a_code_of_a_newer_daemon_leaves_the_problem_readable(problem in problem(), code in "[a-z-]{1,20}") {
        let mut written = json!(problem);
        written["code"] = json!(code);
        let read: Problem = serde_json::from_value(written).unwrap();
        prop_assert!(read.code.as_str() == code || read.code == Code::Internal);
        prop_assert_eq!((read.status, read.detail), (problem.status, problem.detail));
    }

    /// Requests are the other way round: a field that is not known is refused by its name.
    #[test]
    fn a_request_is_read_back_but_not_with_a_field_that_is_not_known(
        ttl in option::of(span()),
        wait in option::of(span()),
        owner in option::of(text()),
        metadata in option::of(metadata()),
        attempt in option::of(text()),
        field in added(),
    ) {
        let hold = HoldRequest { ttl, wait, owner: owner.clone(), metadata: metadata.clone(), ..Default::default() };
        let acquire = AcquireRequest { ttl, wait, owner, metadata, attempt, ..Default::default() };
        prop_assert_eq!(&serde_json::from_value::<HoldRequest>(json!(hold)).unwrap(), &hold);
        prop_assert_eq!(&serde_json::from_value::<AcquireRequest>(json!(acquire)).unwrap(), &acquire);
        let with = |mut value: Value| {
            value[&field] = json!(1);
            value
        };
        let named = format!("unknown field `{field}`");
        let refusals = [
            serde_json::from_value::<HoldRequest>(with(json!(hold))).unwrap_err(),
            serde_json::from_value::<AcquireRequest>(with(json!(acquire))).unwrap_err(),
            serde_json::from_value::<Nothing>(with(json!({}))).unwrap_err(),
        ];
        for refusal in refusals {
            prop_assert!(refusal.to_string().starts_with(&named), "{}", refusal);
        }
    }
}
