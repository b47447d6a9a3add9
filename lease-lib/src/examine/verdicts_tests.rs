use super::*;
use crate::store::{AccountFacts, NatsFacts, Offset, ReplicaFacts, ServerFacts, StreamFacts};

fn server(number: u64, version: &str) -> ServerFacts {
    let clock = Some(Offset { ahead_micros: 500, within_micros: 200 });
    ServerFacts {
        name: format!("n{number}"),
        version: version.into(),
        host: Some(format!("10.0.0.{number}")),
        clock,
    }
}

fn replica(number: u64) -> ReplicaFacts {
    ReplicaFacts { server: format!("n{number}"), is_current: true, is_offline: false, lag: 0 }
}

/// A deployment without a fault.
fn good() -> NatsFacts {
    let stream =
        StreamFacts { replicas: (0..3).map(replica).collect(), is_led: true, ..StreamFacts::default() };
    NatsFacts {
        bucket: "leases".into(),
        history: Some(stream.clone()),
        stream: Some(stream),
        servers: (0..3).map(|number| server(number, "2.15.1")).collect(),
        unasked: None,
        account: Ok(AccountFacts { storage: 10, max_storage: Some(100) }),
        quiet_secs: None,
    }
}

fn seen(nats: NatsFacts) -> Seen {
    let took = [3, 4, 9].map(Duration::from_millis).to_vec();
    let clock = Some(Offset { ahead_micros: -900, within_micros: 1_500 });
    Seen {
        facts: Facts { nats: Some(nats) },
        probed: Some(Probed { took, failed: Vec::new(), clock }),
        regression: None,
        slack: Duration::from_secs(2),
        ttl: Duration::from_secs(20),
    }
}

/// The findings that are more than ok, but for the one about fsync, which always is.
fn remarkable(seen: &Seen) -> Vec<(Severity, &'static str)> {
    let all = findings(seen);
    assert!(all.iter().any(|finding| finding.code == "fsync") || seen.probed.is_none(), "{all:?}");
    let more = all.iter().filter(|finding| finding.severity > Severity::Ok && finding.code != "fsync");
    assert!(
        all.iter().all(|finding| (finding.severity > Severity::Ok) == finding.advice.is_some()),
        "{all:?}"
    );
    more.map(|finding| (finding.severity, finding.code)).collect()
}

fn with(change: impl FnOnce(&mut NatsFacts)) -> Vec<(Severity, &'static str)> {
    let mut nats = good();
    change(&mut nats);
    remarkable(&seen(nats))
}

fn stream(nats: &mut NatsFacts) -> &mut StreamFacts {
    nats.stream.as_mut().unwrap()
}

#[test]
fn nothing_is_said_of_what_is_good() {
    assert_eq!(with(|_| ()), []);
    let codes: Vec<_> = findings(&seen(good())).iter().map(|finding| finding.code).collect();
    assert_eq!(
        codes,
        [
            "release",
            "bucket",
            "replicas",
            "placement",
            "fsync",
            "settings",
            "history",
            "quiet",
            "latency",
            "ttl",
            "clock",
            "regression",
            "server-clocks",
            "storage"
        ]
    );
}

#[test]
fn releases() {
    use Severity::{Critical, Note};
    assert_eq!(with(|nats| nats.servers[1].version = "2.11.9".into()), [(Critical, "release")]);
    assert_eq!(with(|nats| nats.servers[1].version = "2.14.6".into()), [(Note, "release")]);
    assert_eq!(
        with(|nats| nats.servers.iter_mut().for_each(|server| server.version = "2.12.8".into())),
        [(Note, "release")]
    );
    assert_eq!(
        with(|nats| drop(nats.servers.pop())),
        [(Note, "release"), (Note, "placement")],
        "the third replica is nowhere to be seen"
    );
}

#[test]
fn replicas_and_where_they_are() {
    use Severity::{Critical, Note, Warning};
    assert_eq!(with(|nats| stream(nats).is_led = false), [(Critical, "replicas")]);
    assert_eq!(with(|nats| stream(nats).replicas[2].is_offline = true), [(Warning, "replicas")]);
    assert_eq!(with(|nats| stream(nats).replicas[2].is_current = false), [(Warning, "replicas")]);
    assert_eq!(with(|nats| stream(nats).replicas.truncate(1)), [(Warning, "replicas")]);
    assert_eq!(with(|nats| stream(nats).replicas.truncate(2)), [(Note, "replicas")]);
    assert_eq!(with(|nats| nats.servers[2].host = Some("10.0.0.0".into())), [(Warning, "placement")]);
    assert_eq!(with(|nats| nats.servers[2].host = None), [(Note, "placement")]);
}

#[test]
fn the_bucket_and_the_one_beside_it() {
    use Severity::{Critical, Note, Warning};
    let fault = |setting| crate::Error::UnsafeBucket {
        bucket: "leases".into(),
        setting,
        found: "1".into(),
        needed: "2".into(),
        mend: "mend".into(),
    };
    assert_eq!(
        with(|nats| stream(nats).unfit = vec![fault("a"), fault("b")]),
        [(Critical, "settings"), (Critical, "settings")]
    );
    assert_eq!(with(|nats| nats.history = None), [(Warning, "history")]);
    assert_eq!(with(|nats| nats.quiet_secs = Some(9)), [(Warning, "quiet")]);
    let full = |storage| {
        move |nats: &mut NatsFacts| nats.account = Ok(AccountFacts { storage, max_storage: Some(100) })
    };
    assert_eq!((with(full(79)), with(full(80))), (vec![], vec![(Warning, "storage")]));
    assert_eq!(with(full(95)), [(Critical, "storage")]);
    assert_eq!(with(|nats| nats.account = Err("no".into())), [(Note, "storage")]);
    let mut none = seen(NatsFacts { stream: None, ..good() });
    none.probed = None;
    assert_eq!(remarkable(&none), [(Warning, "bucket")]);
}

#[test]
fn clocks() {
    use Severity::{Critical, Note, Warning};
    let apart = |micros| {
        move |nats: &mut NatsFacts| {
            nats.servers[1].clock = Some(Offset { ahead_micros: micros, within_micros: 200 });
        }
    };
    // Each reading is uncertain by 200 µs, and the others are 500 µs ahead.
    assert_eq!(with(apart(1_000_900)), []);
    assert_eq!(with(apart(1_001_000)), [(Warning, "server-clocks")]);
    assert_eq!(with(apart(2_000_900)), [(Warning, "server-clocks")]);
    assert_eq!(with(apart(-2_000_500)), [(Critical, "server-clocks")]);
    assert_eq!(
        with(|nats| nats.servers.iter_mut().for_each(|server| server.clock = None)),
        [(Note, "server-clocks")]
    );
    for (micros, expected) in
        [(1_001_499, vec![]), (-1_001_500, vec![(Note, "clock")]), (10_001_500, vec![(Warning, "clock")])]
    {
        let mut off = seen(good());
        off.probed.as_mut().unwrap().clock = Some(Offset { ahead_micros: micros, within_micros: 1_500 });
        assert_eq!(remarkable(&off), expected, "{micros}");
    }
}

#[test]
fn latency_and_ttl() {
    use Severity::{Critical, Note, Warning};
    let probed = |took: &[u64], failed: usize, ttl: u64| {
        let mut seen = seen(good());
        seen.ttl = Duration::from_secs(ttl);
        let probed = seen.probed.as_mut().unwrap();
        probed.took = took.iter().copied().map(Duration::from_millis).collect();
        probed.failed = vec!["no answer in time".into(); failed];
        remarkable(&seen)
    };
    assert_eq!(probed(&[1, 1_000], 0, 20), []);
    assert_eq!(probed(&[1, 1_001], 0, 20), [(Warning, "latency")]);
    assert_eq!(probed(&[1], 1, 20), [(Warning, "latency")]);
    assert_eq!(probed(&[], 7, 20), [(Critical, "latency")]);
    assert_eq!(probed(&[1], 0, 13), [(Note, "ttl")]);
    assert_eq!(probed(&[1], 0, 14), []);
}

#[test]
fn a_store_in_the_process_and_lost_writes() {
    let mut embedded = seen(good());
    embedded.facts.nats = None;
    let codes: Vec<_> = findings(&embedded).iter().map(|finding| (finding.severity, finding.code)).collect();
    assert_eq!(codes, [(Severity::Warning, "embedded")]);
    assert_eq!(regressed("x").severity, Severity::Critical);
    assert_eq!(too_old("2.11.9").severity, Severity::Critical);
}
