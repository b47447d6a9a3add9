//! The servers: which release they are.

use std::collections::BTreeSet;

use super::{Finding, Severity, finding, ok, too_old};
use crate::store::NatsFacts;

/// Major and minor number; what cannot be read counts as the oldest.
fn minor(version: &str) -> (u32, u32) {
    let mut numbers =
        version.trim_start_matches('v').split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The release of each server that is known, and whose is not.
pub(super) fn release(nats: &NatsFacts) -> Finding {
    let known: Vec<_> = nats.servers.iter().filter(|server| !server.version.is_empty()).collect();
    let list: Vec<String> =
        known.iter().map(|server| format!("{} {}", server.name, server.version)).collect();
    let list = list.join(", ");
    if let Some(old) = known.iter().find(|server| minor(&server.version) < (2, 12)) {
        return Finding { found: list, ..too_old(&old.version) };
    }
    let names: BTreeSet<&str> = known.iter().map(|server| server.name.as_str()).collect();
    let replicas = nats.stream.iter().flat_map(|stream| &stream.replicas);
    let unknown: Vec<&str> =
        replicas.map(|replica| replica.server.as_str()).filter(|name| !names.contains(name)).collect();
    if !unknown.is_empty() {
        let why = nats.unasked.as_deref().unwrap_or("no answer from there");
        let found = format!("{list}; of {} it is not known ({why})", unknown.join(", "));
        let advice = "allow this user to publish to $SYS.REQ.ACCOUNT.PING.CONNZ, or look on those servers; 2.12 or \
                      newer is needed";
        return finding(Severity::Note, "release", found, advice);
    }
    let releases: BTreeSet<(u32, u32)> = known.iter().map(|server| minor(&server.version)).collect();
    if releases.len() > 1 {
        let advice = "finish the upgrade: a cluster of several releases is good for the time of one";
        return finding(Severity::Note, "release", list, advice);
    }
    if releases.contains(&(2, 12)) {
        let advice = "where full disks and failing power matter, prefer a newer release: 2.12.8 was seen to lose \
                      acknowledged writes there even with `sync_interval: always`, and 2.15.1 was not";
        return finding(Severity::Note, "release", list, advice);
    }
    ok("release", list)
}
