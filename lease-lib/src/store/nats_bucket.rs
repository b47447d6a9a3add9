//! What a bucket must look like, and what is said of one that does not. Pure: configurations in, verdicts out.

use serde_json::{Value, json};

use super::nats_wire::Names;
use crate::error::Error;

/// A write's id is remembered this long; every id costs the server memory meanwhile.
const DUPLICATE_WINDOW_NANOS: u64 = 60_000_000_000;

/// Records with their metadata fit into this.
pub(super) const LEAST_MESSAGE: usize = 64 * 1024;

/// The least first revision that can be microseconds of unix time (the year 2001), and the first that leaves no room
/// to count up below 2^53.
const FIRST_SEQS: std::ops::Range<u64> = 1_000_000_000_000_000..1 << 52;

/// How many of a key's values the history bucket keeps.
const HISTORY: u64 = 64;

/// The configuration of a bucket for leases. `nats kv` reads it as one of its own.
pub(super) fn wanted(names: &Names, replicas: usize, first_seq: u64) -> Value {
    json!({
        "name": names.stream(),
        "description": "leases; see `lease doctor` before changing anything",
        "subjects": [names.subject(">")],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "num_replicas": replicas,
        "max_msgs_per_subject": 1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_msg_size": -1,
        "duplicate_window": DUPLICATE_WINDOW_NANOS,
        "first_seq": first_seq,
        "allow_msg_ttl": true,
        "allow_atomic": true,
        "allow_direct": true,
        "allow_rollup_hdrs": false,
        "deny_delete": true,
        "deny_purge": true,
        "republish": republish(names),
    })
}

/// The configuration of the bucket beside it, which outlives it.
///
/// No `max_age`, although its entries have one: they carry a TTL each. The record of the bucket's life must not age,
/// and a TTL of `never`, which overrides `max_age` while the server runs, does not survive the server's restart
/// (seen on 2.12.8 and 2.15.1).
pub(super) fn wanted_history(names: &Names, replicas: usize) -> Value {
    json!({
        "name": names.stream(),
        "description": "what leases leave behind; outlives their bucket",
        "subjects": [names.subject(">")],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "num_replicas": replicas,
        "max_msgs_per_subject": HISTORY,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "duplicate_window": DUPLICATE_WINDOW_NANOS,
        "allow_msg_ttl": true,
        "allow_direct": true,
        "allow_rollup_hdrs": true,
        "deny_delete": true,
    })
}

fn republish(names: &Names) -> Value {
    json!({ "src": names.subject(">"), "dest": names.event(">") })
}

/// How a wrong setting is mended.
#[derive(Clone, Copy)]
enum Mend {
    /// The server changes it on a live stream.
    Edit,
    /// The server never changes it.
    Anew,
}

/// One thing that must be so.
struct Rule {
    setting: &'static str,
    fits: bool,
    needed: String,
    mend: Mend,
}

/// A rule about a setting that has one right value; a server leaves out what is false, zero or empty.
fn exactly(config: &Value, setting: &'static str, needed: &Value, mend: Mend) -> Rule {
    let absent = [json!(false), json!(0), json!([])].contains(needed);
    let fits = config.get(setting).map_or(absent, |found| found == needed || (absent && found.is_null()));
    Rule { setting, fits, needed: needed.to_string(), mend }
}

/// A rule about a setting with a range.
fn within<T>(
    config: &Value,
    setting: &'static str,
    read: fn(&Value) -> Option<T>,
    fits: impl Fn(T) -> bool,
    needed: &str,
    mend: Mend,
) -> Rule {
    let fits = config.get(setting).and_then(read).is_some_and(fits);
    Rule { setting, fits, needed: needed.into(), mend }
}

/// Whether a bucket with this configuration is safe for leases, and has as many replicas as asked for.
///
/// # Errors
/// [`Error::UnsafeBucket`] for the first setting that is not, with the way to mend it.
pub(super) fn check(names: &Names, config: &Value, replicas: Option<usize>) -> Result<(), Error> {
    faults(names, config, replicas).into_iter().next().map_or(Ok(()), Err)
}

/// All that is wrong with a bucket of this configuration: [`Error::UnsafeBucket`], each with the way to mend it.
pub(super) fn faults(names: &Names, config: &Value, replicas: Option<usize>) -> Vec<Error> {
    use Mend::{Anew, Edit};
    let is = |setting, needed: Value, mend| exactly(config, setting, &needed, mend);
    // -1, or 0 where an old stream says so, is "no limit".
    let unlimited =
        |setting| within(config, setting, Value::as_i64, |found| found <= 0, "-1 (no limit)", Edit);
    let absent = |setting, mend| Rule {
        setting,
        fits: config.get(setting).is_none_or(Value::is_null),
        needed: "none".into(),
        mend,
    };
    let rules = [
        // Who writes into it, and where from.
        absent("mirror", Anew),
        is("sources", json!([]), Edit),
        absent("subject_transform", Edit),
        is("subjects", json!([names.subject(">")]), Edit),
        // What an acknowledgement is worth.
        is("storage", json!("file"), Anew),
        Rule {
            setting: "persist_mode",
            fits: config.get("persist_mode") != Some(&json!("async")),
            needed: "default".into(),
            mend: Anew,
        },
        is("no_ack", json!(false), Edit),
        Rule {
            setting: "num_replicas",
            fits: replicas.is_none_or(|replicas| {
                config.get("num_replicas").and_then(Value::as_u64) >= u64::try_from(replicas).ok()
            }),
            needed: format!("at least {}", replicas.unwrap_or(1)),
            mend: Edit,
        },
        is("sealed", json!(false), Anew),
        // What compare-and-set and expiry rest on.
        is("max_msgs_per_subject", json!(1), Edit),
        is("allow_msg_ttl", json!(true), Edit),
        // With markers, a value written just as its predecessor expires can be lost (nats-facts; measured).
        is("subject_delete_marker_ttl", json!(0), Edit),
        is("allow_atomic", json!(true), Edit),
        is("allow_msg_counter", json!(false), Anew),
        // What makes entries vanish other than by their own TTL.
        is("retention", json!("limits"), Anew),
        is("max_age", json!(0), Edit),
        unlimited("max_msgs"),
        unlimited("max_bytes"),
        is("deny_delete", json!(true), Edit),
        is("deny_purge", json!(true), Edit),
        is("allow_rollup_hdrs", json!(false), Edit),
        // What makes good writes fail.
        is("discard", json!("new"), Edit),
        is("discard_new_per_subject", json!(false), Edit),
        Rule {
            setting: "max_msg_size",
            fits: config.get("max_msg_size").and_then(Value::as_i64).is_none_or(|found| {
                found <= 0 || usize::try_from(found).is_ok_and(|found| found >= LEAST_MESSAGE)
            }),
            needed: format!("-1 (no limit) or at least {LEAST_MESSAGE}"),
            mend: Edit,
        },
        // What resolves a lost answer; tokens that rise over re-creation; news.
        within(
            config,
            "duplicate_window",
            Value::as_u64,
            |found| found >= DUPLICATE_WINDOW_NANOS,
            "at least 60000000000 (60 s)",
            Edit,
        ),
        within(
            config,
            "first_seq",
            Value::as_u64,
            |found| FIRST_SEQS.contains(&found),
            "the unix time in microseconds when the bucket was made",
            Anew,
        ),
        is("allow_direct", json!(true), Edit),
        is("republish", republish(names), Edit),
    ];
    judge(names, config, &rules)
}

/// Whether a history bucket with this configuration keeps what it must.
///
/// # Errors
/// [`Error::UnsafeBucket`] for the first setting that is wrong.
pub(super) fn check_history(names: &Names, config: &Value) -> Result<(), Error> {
    faults_of_history(names, config).into_iter().next().map_or(Ok(()), Err)
}

/// All that is wrong with a history bucket of this configuration.
pub(super) fn faults_of_history(names: &Names, config: &Value) -> Vec<Error> {
    let rules = [
        exactly(config, "storage", &json!("file"), Mend::Anew),
        exactly(config, "subjects", &json!([names.subject(">")]), Mend::Edit),
        exactly(config, "max_age", &json!(0), Mend::Edit),
        exactly(config, "allow_msg_ttl", &json!(true), Mend::Edit),
    ];
    judge(names, config, &rules)
}

fn judge(names: &Names, config: &Value, rules: &[Rule]) -> Vec<Error> {
    let wrong = rules.iter().filter(|rule| !rule.fits);
    wrong
        .map(|rule| Error::UnsafeBucket {
            bucket: names.bucket().into(),
            setting: rule.setting,
            found: config
                .get(rule.setting)
                .filter(|found| !found.is_null())
                .map_or("unset".into(), Value::to_string),
            needed: rule.needed.clone(),
            mend: mend(names, rule.mend),
        })
        .collect()
}

fn mend(names: &Names, how: Mend) -> String {
    let (stream, bucket) = (names.stream(), names.bucket());
    let anew = format!(
        "delete the bucket while nothing holds a lease (nats kv del {bucket}) and let lease make it, or use another"
    );
    match how {
        Mend::Edit => format!("change it (nats stream edit {stream}), or {anew}"),
        Mend::Anew => anew,
    }
}

/// Whether the stream's revisions really began at its `first_seq`: an edit changes what it says, not where it is.
///
/// # Errors
/// [`Error::UnsafeBucket`] if they are below.
pub(super) fn check_begun(names: &Names, first_seq: u64, last_seq: u64) -> Result<(), Error> {
    if last_seq.saturating_add(1) >= first_seq {
        return Ok(());
    }
    Err(Error::UnsafeBucket {
        bucket: names.bucket().into(),
        setting: "first_seq",
        found: format!("{first_seq}, but the last revision is {last_seq}"),
        needed: "what the bucket was made with".into(),
        mend: mend(names, Mend::Anew),
    })
}

/// Whether a bucket that was made anew goes on where the one before may have ended.
///
/// # Errors
/// [`Error::UnsafeBucket`] if its revisions, and with them tokens, could come again.
pub(super) fn check_rise(names: &Names, first_seq: u64, before: u64) -> Result<(), Error> {
    let needed = next_first_seq(0, before);
    if first_seq >= needed {
        return Ok(());
    }
    Err(Error::UnsafeBucket {
        bucket: names.bucket().into(),
        setting: "first_seq",
        found: first_seq.to_string(),
        needed: format!("at least {needed}, since an earlier life of the bucket began at {before}"),
        mend: mend(names, Mend::Anew),
    })
}

/// The first revision of a bucket made now: the unix time in microseconds, or ten seconds above the one before,
/// whichever is higher. Revisions rise by fewer than a million a second, so time outruns them.
pub(super) fn next_first_seq(wall_micros: u64, before: u64) -> u64 {
    wall_micros.max(if before == 0 { 0 } else { before.saturating_add(10_000_000) })
}

/// Whether this host's clock is close enough to the server's to number a new bucket by it. The server's time was read
/// somewhere between `sent` and `got` of the own clock.
///
/// # Errors
/// [`Error::UnsafeBucket`], naming the difference.
pub(super) fn check_clocks(names: &Names, sent: u64, server: u64, got: u64) -> Result<(), Error> {
    let (ahead, behind) = (sent.saturating_sub(server), server.saturating_sub(got));
    let apart = ahead.max(behind);
    if apart <= 10_000_000 {
        return Ok(());
    }
    Err(Error::UnsafeBucket {
        bucket: names.bucket().into(),
        setting: "clock",
        found: format!(
            "this host's clock is {} s {} of the server's",
            apart / 1_000_000,
            if ahead > 0 { "ahead" } else { "behind" }
        ),
        needed: "at most 10 s apart when the bucket is made, since its revisions begin at the time".into(),
        mend: "set the clocks right (NTP) and try again".into(),
    })
}

#[cfg(test)]
#[path = "nats_bucket_tests.rs"]
mod tests;
