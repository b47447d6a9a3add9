//! The bucket: whether it is there, how it is set, where it is kept, and what room it has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Finding, Severity, finding, ok};
use crate::store::{NatsFacts, StreamFacts};

const FSYNC: &str = "nats-server tells no client how often it syncs to disk; unless it is told otherwise, every two \
                     minutes, and a machine that loses power loses what it had acknowledged";

/// What there is to say of it.
pub(super) fn findings(nats: &NatsFacts) -> Vec<Finding> {
    let name = &nats.bucket;
    let Some(stream) = &nats.stream else {
        let advice =
            "the first process that connects makes it; or the URL, the account or the domain is wrong";
        return vec![finding(Severity::Warning, "bucket", format!("there is no bucket {name} yet"), advice)];
    };
    let mut findings = vec![ok("bucket", format!("{name}, {} in it", bytes(stream.bytes)))];
    findings.push(replicas(stream));
    findings.extend(placement(nats, stream));
    findings.push(finding(
        Severity::Note,
        "fsync",
        FSYNC,
        "look into each server's configuration: jetstream { sync_interval: always } where a lock guards money",
    ));
    findings.extend(settings("settings", "all as they must be", stream));
    match &nats.history {
        Some(history) => {
            findings.extend(settings("history", &format!("{name}_history is there and fit"), history));
        }
        None => findings.push(finding(
            Severity::Warning,
            "history",
            format!("{name}_history is not there: a bucket that is made anew would not know that it has to keep quiet"),
            "the next process that opens the bucket makes it again; do not delete the two together",
        )),
    }
    findings.push(match nats.quiet_secs {
        None => ok("quiet", "nothing keeps the bucket from granting"),
        Some(secs) => finding(
            Severity::Warning,
            "quiet",
            format!(
                "the bucket was made anew and grants nothing for another {}",
                humantime::format_duration(Duration::from_secs(secs))
            ),
            "wait; or start one process with `fresh` (`lease-daemon --fresh`) if nobody believes in a lease of its earlier life",
        ),
    });
    findings
}

fn settings(code: &'static str, good: &str, stream: &StreamFacts) -> Vec<Finding> {
    if stream.unfit.is_empty() {
        return vec![ok(code, good)];
    }
    let fault = |error: &crate::Error| match error {
        crate::Error::UnsafeBucket { bucket, setting, found, needed, mend } => finding(
            Severity::Critical,
            code,
            format!("{bucket}: {setting} is {found}, needed is {needed}"),
            mend,
        ),
        other => finding(Severity::Critical, code, other.to_string(), "mend it"),
    };
    stream.unfit.iter().map(fault).collect()
}

fn replicas(stream: &StreamFacts) -> Finding {
    let count = stream.replicas.len();
    let names: Vec<&str> = stream.replicas.iter().map(|replica| replica.server.as_str()).collect();
    let on = format!("{count} on {}", names.join(", "));
    if !stream.is_led {
        let advice =
            "nothing can be written: bring the servers back that hold it (nats server report jetstream)";
        return finding(Severity::Critical, "replicas", format!("{on}: no leader with a majority"), advice);
    }
    let behind = stream.replicas.iter().find(|replica| replica.is_offline || !replica.is_current);
    if let Some(replica) = behind {
        let how = if replica.is_offline { "is offline".into() } else { format!("is {} behind", replica.lag) };
        let found = format!("{on}: {} {how}", replica.server);
        return finding(Severity::Warning, "replicas", found, "bring it back before another one goes");
    }
    match count {
        0 | 1 => finding(
            Severity::Warning,
            "replicas",
            format!("{on}: locks stop with that server, and are lost with its disk"),
            "keep three, on separate machines: nats stream edit --replicas 3, in a cluster of three or more",
        ),
        2 | 4 => finding(
            Severity::Note,
            "replicas",
            format!("{on}: an even number stands no more failures than one less"),
            "keep three or five",
        ),
        _ => ok("replicas", on),
    }
}

/// Whether replicas share a host, by the addresses that the servers were reached at.
fn placement(nats: &NatsFacts, stream: &StreamFacts) -> Option<Finding> {
    if stream.replicas.len() < 2 {
        return None;
    }
    let hosts: BTreeMap<&str, &str> = nats
        .servers
        .iter()
        .filter_map(|server| Some((server.name.as_str(), server.host.as_deref()?)))
        .collect();
    let mut at: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for replica in &stream.replicas {
        match hosts.get(replica.server.as_str()) {
            Some(host) => at.entry(host).or_default().push(&replica.server),
            None => drop(unknown.insert(replica.server.as_str())),
        }
    }
    if let Some((host, names)) = at.iter().find(|(_, names)| names.len() > 1) {
        return Some(finding(
            Severity::Warning,
            "placement",
            format!("{} are reached at the same address, {host}", names.join(" and ")),
            "one machine that fails takes them all: spread the servers, unless a proxy only makes it look so",
        ));
    }
    if !unknown.is_empty() {
        let unknown: Vec<&str> = unknown.into_iter().collect();
        return Some(finding(
            Severity::Note,
            "placement",
            format!("where {} is cannot be known: it was not reached", unknown.join(", ")),
            "make sure that each replica is on a machine, a disk and a power supply of its own",
        ));
    }
    Some(ok("placement", format!("{} replicas at {} addresses", stream.replicas.len(), at.len())))
}

/// What the account may store. What the disks hold, no client is told.
pub(super) fn storage(nats: &NatsFacts) -> Finding {
    match &nats.account {
        Err(why) => finding(
            Severity::Note,
            "storage",
            format!("what the account may store cannot be known ({why})"),
            "allow this user to publish to $JS.API.INFO",
        ),
        Ok(account) => match account.max_storage {
            None => {
                ok("storage", format!("{} used by the account, which has no limit", bytes(account.storage)))
            }
            Some(max) => {
                let used = account.storage.saturating_mul(100) / max.max(1);
                let found =
                    format!("{} of the account's {} used ({used} %)", bytes(account.storage), bytes(max));
                let advice = "raise the account's limit, or find what fills it (nats stream report)";
                match used {
                    0..80 => ok("storage", found),
                    80..95 => finding(Severity::Warning, "storage", found, advice),
                    _ => finding(Severity::Critical, "storage", found, advice),
                }
            }
        },
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..10_000_000 => format!("{} KB", count / 1_000),
        _ => format!("{} MB", count / 1_000_000),
    }
}
