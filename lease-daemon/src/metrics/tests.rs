//! What observations become.

use std::sync::Arc;
use std::time::Duration;

use lease::{Ambient as _, Observation, Observer as _, Token};

use super::{MAX_NAMED, Metrics, Named};
use crate::app::CLOCK;

fn plain() -> Metrics {
    Metrics::new(Named::default()).unwrap()
}

fn lasts(token: u64, kind: &'static str, name: &str, ttl: u64, left: u64, is_kept: bool) -> Observation {
    let (now, secs) = (CLOCK.now(), Duration::from_secs);
    Observation::Lasts {
        token: Token::new(token),
        kind,
        name: Arc::from(name),
        since: now - secs(100),
        ttl: secs(ttl),
        until: now + secs(left),
        is_kept,
    }
}

fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

#[test]
fn observations_become_series() {
    let metrics = plain();
    metrics.observe(&Observation::Held { kind: "lock", change: 1 });
    metrics.observe(&Observation::Lost { reason: "expired" });
    let took = Duration::from_millis(2);
    metrics.observe(&Observation::Acquired { kind: "shared", outcome: "granted", took });
    let text = metrics.render(None).unwrap();
    for line in [
        r#"lease_held{kind="lock"} 1"#,
        r#"lease_lost_total{reason="expired"} 1"#,
        r#"lease_lost_total{reason="taken"} 0"#,
        r#"lease_held{kind="election"} 0"#,
        r#"lease_unknown_outcomes_total{resolved="applied"} 0"#,
        r#"lease_acquire_seconds_bucket{kind="shared",outcome="granted",le="0.0025"} 1"#,
        "lease_store_connected 0",
        "lease_store_replicas 0",
        r#"lease_oldest_wait_seconds{kind="lock"} 0"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("margin"), "{text}");
}

#[test]
fn the_margin_is_that_of_the_smallest_share_among_what_is_kept_and_stands() {
    let metrics = plain();
    metrics.observe(&lasts(1, "lock", "a", 20, 10, true));
    metrics.observe(&lasts(2, "lock", "b", 100, 30, true));
    metrics.observe(&lasts(3, "lock", "its user renews it", 100, 1, false));
    metrics.observe(&lasts(4, "lock", "past its deadline", 100, 0, true));
    let text = metrics.render(None).unwrap();
    let (share, seconds) = (
        value(&text, "lease_expiry_margin_ratio").unwrap(),
        value(&text, "lease_expiry_margin_seconds").unwrap(),
    );
    assert!((0.25..0.3).contains(&share) && (25.0..30.0).contains(&seconds), "{share} {seconds}");
    // Renewed, and then over.
    metrics.observe(&lasts(2, "lock", "b", 100, 99, true));
    let share = value(&metrics.render(None).unwrap(), "lease_expiry_margin_ratio").unwrap();
    assert!((0.45..0.5).contains(&share), "{share}");
    for token in [1, 2].map(Token::new) {
        metrics.observe(&Observation::Over { token });
    }
    assert!(!metrics.render(None).unwrap().contains("margin"));
}

#[test]
fn the_oldest_hold_and_wait_are_told_by_kind() {
    let metrics = plain();
    metrics.observe(&lasts(1, "lock", "a", 20, 10, true));
    let (now, kind) = (CLOCK.now(), "election");
    for (ago, change) in [(50, 1), (70, 1), (70, 1), (70, -1), (90, 1), (90, -1)] {
        let since = now - Duration::from_secs(ago);
        metrics.observe(&Observation::Waiters { kind, change, since });
    }
    let text = metrics.render(None).unwrap();
    let is = |series: &str, least: f64| {
        let value = value(&text, series).unwrap();
        assert!((least..least + 5.0).contains(&value), "{series} {value}");
    };
    is(r#"lease_oldest_hold_seconds{kind="lock"}"#, 100.0);
    is(r#"lease_oldest_hold_seconds{kind="election"}"#, 0.0);
    is(r#"lease_oldest_wait_seconds{kind="election"}"#, 70.0);
    is(r#"lease_oldest_wait_seconds{kind="lock"}"#, 0.0);
    is(r#"lease_waiters{kind="election"}"#, 2.0);
}

#[test]
fn only_listed_names_are_labels() {
    let metrics = Metrics::new(Named::new(["scheduler", "idle"], ["nightly", "free"]).unwrap()).unwrap();
    metrics.observe(&lasts(1, "election", "scheduler", 20, 10, true));
    metrics.observe(&lasts(2, "shared", "nightly", 20, 10, true));
    metrics.observe(&lasts(3, "election", "nightly", 20, 10, true));
    metrics.observe(&lasts(4, "lock", "idle", 20, 10, true));
    let text = metrics.render(None).unwrap();
    let is = |series: &str| value(&text, series);
    assert_eq!(is(r#"lease_leader{election="scheduler"}"#), Some(1.0));
    assert_eq!(is(r#"lease_leader{election="idle"}"#), Some(0.0), "that is a lock");
    assert!(is(r#"lease_lock_held_seconds{lock="nightly"}"#).unwrap() >= 100.0);
    assert_eq!(is(r#"lease_lock_held_seconds{lock="free"}"#), Some(0.0));
    assert_eq!(text.matches("nightly").count(), 1, "the election of that name is not listed");
    metrics.observe(&lasts(1, "election", "scheduler", 20, 0, true));
    let text = metrics.render(None).unwrap();
    assert_eq!(value(&text, r#"lease_leader{election="scheduler"}"#), Some(0.0), "past its deadline");
}

#[test]
fn a_hundred_names_can_be_listed() {
    let names = |count: usize| (0..count).map(|it| format!("name-{it}"));
    assert!(Named::new(names(MAX_NAMED), names(MAX_NAMED)).is_ok());
    assert!(Named::new(names(MAX_NAMED).chain(names(MAX_NAMED)), names(0)).is_ok(), "twice the same");
    let error = Named::new(names(0), names(MAX_NAMED + 1)).unwrap_err().to_string();
    assert!(error.starts_with("101 locks"), "{error}");
}

#[test]
fn the_process_is_told_of() {
    let text = plain().render(None).unwrap();
    let is = |series: &str| value(&text, series).unwrap();
    assert!(is("process_resident_memory_bytes") > 1e6);
    assert!(is("process_virtual_memory_bytes") >= is("process_resident_memory_bytes"));
    assert!(is("process_open_fds") >= 3.0 && is("process_open_fds") <= is("process_max_fds"));
    assert!(is("process_threads") >= 1.0 && is("process_cpu_seconds_total") >= 0.0);
    assert!(is("process_start_time_seconds") > 1.7e9);
}

#[test]
fn a_scrape_has_a_bound_whatever_there_is() {
    let metrics = plain();
    for token in 1..=100_000 {
        metrics.observe(&lasts(token, "lock", &format!("orders.{token}"), 20, 15, true));
    }
    let took = Duration::from_millis(2);
    for kind in lease::KINDS {
        for outcome in ["granted", "held", "timeout", "cancelled", "unknown", "unreachable", "refused"] {
            metrics.observe(&Observation::Acquired { kind, outcome, took });
        }
    }
    let reads = ["read", "read-revision", "last", "first", "scan", "follow", "life", "time", "chronicle-of"];
    let writes = ["write", "write-all", "chronicle"];
    for (ops, outcomes) in [
        (&reads[..], &["ok", "unreadable"][..]),
        (&writes[..], &["ok", "conflict", "in-flight", "not-taken", "unknown", "refused"][..]),
    ] {
        for (op, outcome) in ops.iter().flat_map(|op| outcomes.iter().map(move |outcome| (op, outcome))) {
            metrics.observe(&Observation::Asked { op, outcome, took });
        }
    }
    let text = metrics.render(None).unwrap();
    assert!(text.len() < 200_000, "{} bytes", text.len());
    assert!(!text.contains("orders"));
}
