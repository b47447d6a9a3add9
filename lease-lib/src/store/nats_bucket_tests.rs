//! One row for each way in which a bucket can be unfit.

use super::*;

const FIRST: u64 = 1_790_000_000_000_000;

fn names() -> Names {
    Names::new("b", None)
}

/// What a server of release 2.12.8 says of a bucket that was made as wanted.
fn fit() -> Value {
    json!({
        "name": "KV_b", "subjects": ["$KV.b.>"], "retention": "limits", "max_consumers": -1, "max_msgs": -1,
        "max_bytes": -1, "max_age": 0, "max_msgs_per_subject": 1, "max_msg_size": -1, "discard": "new",
        "storage": "file", "num_replicas": 1, "duplicate_window": 60_000_000_000_u64, "compression": "none",
        "first_seq": FIRST, "republish": {"src": "$KV.b.>", "dest": "_lease.b.ev.>"}, "allow_direct": true,
        "mirror_direct": false, "sealed": false, "deny_delete": true, "deny_purge": true,
        "allow_rollup_hdrs": false, "consumer_limits": {}, "allow_msg_ttl": true, "allow_atomic": true,
        "metadata": {"_nats.level": "3", "_nats.req.level": "2", "_nats.ver": "2.12.8"},
    })
}

fn with(setting: &str, value: Value) -> Value {
    let mut config = fit();
    config[setting] = value;
    config
}

#[test]
fn what_is_made_is_fit() {
    assert_eq!(check(&names(), &fit(), Some(1)), Ok(()));
    assert_eq!(check(&names(), &wanted(&names(), 3, FIRST), Some(3)), Ok(()));
    let history = names().history();
    assert_eq!(check_history(&history, &wanted_history(&history, 3)), Ok(()));
}

#[test]
fn harmless_differences_are_accepted() {
    for (setting, value) in [
        ("max_msg_size", json!(65_536)),
        ("max_msgs", json!(0)),
        ("duplicate_window", json!(120_000_000_000_u64)),
        ("num_replicas", json!(5)),
        ("placement", json!({"tags": ["ssd"]})),
        ("compression", json!("s2")),
        ("mirror", Value::Null),
        ("persist_mode", json!("default")),
        ("sources", Value::Null),
        ("description", json!("ours")),
    ] {
        assert_eq!(check(&names(), &with(setting, value), None), Ok(()), "{setting}");
    }
}

#[test]
fn each_unsafe_setting_is_named() {
    let table = [
        ("mirror", json!({"name": "KV_a"})),
        ("sources", json!([{"name": "KV_a"}])),
        ("subject_transform", json!({"src": ">", "dest": "x.>"})),
        ("subjects", json!(["$KV.b.>", "orders.>"])),
        ("subjects", json!(["$KV.>"])),
        ("storage", json!("memory")),
        ("persist_mode", json!("async")),
        ("no_ack", json!(true)),
        ("sealed", json!(true)),
        ("max_msgs_per_subject", json!(5)),
        ("max_msgs_per_subject", json!(-1)),
        ("allow_msg_ttl", json!(false)),
        ("allow_msg_ttl", Value::Null),
        ("subject_delete_marker_ttl", json!(1_000_000_000)),
        ("allow_atomic", json!(false)),
        ("allow_msg_counter", json!(true)),
        ("retention", json!("workqueue")),
        ("retention", json!("interest")),
        ("max_age", json!(3_600_000_000_000_u64)),
        ("max_msgs", json!(1_000)),
        ("max_bytes", json!(1_048_576)),
        ("deny_delete", json!(false)),
        ("deny_purge", json!(false)),
        ("allow_rollup_hdrs", json!(true)),
        ("discard", json!("old")),
        ("discard_new_per_subject", json!(true)),
        ("max_msg_size", json!(1_024)),
        ("duplicate_window", json!(2_000_000_000)),
        ("duplicate_window", json!(0)),
        ("first_seq", json!(1)),
        ("first_seq", Value::Null),
        ("first_seq", json!(1_u64 << 53)),
        ("allow_direct", json!(false)),
        ("republish", Value::Null),
        ("republish", json!({"src": "$KV.b.>", "dest": "elsewhere.>"})),
        ("republish", json!({"src": "$KV.b.>", "dest": "_lease.b.ev.>", "headers_only": true})),
    ];
    for (wrong, value) in table {
        match check(&names(), &with(wrong, value.clone()), Some(1)) {
            Err(Error::UnsafeBucket { bucket, setting, found, needed, mend }) => {
                assert_eq!((bucket.as_str(), setting), ("b", wrong), "{value}");
                let shown = if value.is_null() { "unset".into() } else { value.to_string() };
                assert_eq!(found, shown);
                assert!(!needed.is_empty() && mend.contains("delete the bucket while nothing holds a lease"));
            }
            other => panic!("{wrong} {value}: {other:?}"),
        }
    }
}

#[test]
fn fewer_replicas_than_asked_for_are_refused() {
    for (found, asked, fits) in [(1, None, true), (3, Some(3), true), (5, Some(3), true), (1, Some(3), false)]
    {
        let checked = check(&names(), &with("num_replicas", json!(found)), asked);
        assert_eq!(checked.is_ok(), fits, "{found} {asked:?}: {checked:?}");
    }
}

#[test]
fn a_history_that_would_forget_is_refused() {
    let history = names().history();
    for (wrong, value) in [
        ("max_age", json!(7_776_000_000_000_000_u64)),
        ("storage", json!("memory")),
        ("allow_msg_ttl", json!(false)),
    ] {
        let mut config = wanted_history(&history, 1);
        config[wrong] = value;
        let refused = check_history(&history, &config);
        assert!(
            matches!(&refused, Err(Error::UnsafeBucket { setting, bucket, .. })
            if *setting == wrong && bucket == "b_history"),
            "{wrong}: {refused:?}"
        );
    }
}

#[test]
fn revisions_rise_over_lives() {
    assert_eq!(next_first_seq(500, 0), 500);
    assert_eq!(next_first_seq(50_000_000, 500), 50_000_000);
    assert_eq!(next_first_seq(500, 50_000_000), 60_000_000, "the clock went back");
    assert_eq!(check_rise(&names(), 60_000_000, 50_000_000), Ok(()));
    for first in [1, 50_000_000, 59_999_999] {
        assert!(matches!(
            check_rise(&names(), first, 50_000_000),
            Err(Error::UnsafeBucket { setting: "first_seq", .. })
        ));
    }
}

#[test]
fn an_edited_first_seq_is_seen_through() {
    assert_eq!(check_begun(&names(), FIRST, FIRST - 1), Ok(()), "empty");
    assert_eq!(check_begun(&names(), FIRST, FIRST + 7), Ok(()));
    assert!(matches!(
        check_begun(&names(), FIRST, 12),
        Err(Error::UnsafeBucket { setting: "first_seq", .. })
    ));
}

#[test]
fn clocks_may_differ_by_ten_seconds() {
    let clock = |sent, server, got| check_clocks(&names(), sent, server, got);
    assert_eq!(clock(100_000_000, 100_000_001, 100_000_002), Ok(()));
    assert_eq!(clock(100_000_000, 90_000_000, 100_500_000), Ok(()));
    assert_eq!(clock(100_000_000, 110_500_000, 100_500_000), Ok(()));
    for (sent, server, side) in [(100_000_000, 89_999_999, "ahead"), (100_000_000, 111_000_000, "behind")] {
        let Err(Error::UnsafeBucket { setting: "clock", found, .. }) = clock(sent, server, sent + 500_000)
        else {
            panic!("{side}");
        };
        assert!(found.contains(side), "{found}");
    }
}
