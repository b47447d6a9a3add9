//! An attempt is granted once: after its worker was told of the grant, nothing grants it another. A message that was late may
//! come when all is over, and must do nothing then; the store knows it for a repeat by its id.
//!
//! Servers that were started again may have forgotten that id, with the write that bore it. What a late message does then is
//! shown: a grant in which nobody believes, and which ends by its TTL.

use std::collections::{BTreeMap, BTreeSet};

use super::audit::Revision;
use super::{Finding, Run};

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let source = "contract §1.3; nats-server: publish deduplication by Nats-Msg-Id";
    let mut finding = Finding::new("an attempt is granted once", source);
    let told: BTreeSet<u64> = run.grants().map(|held| held.token).collect();
    // By key and attempt, the grant that was told.
    let mut granted: BTreeMap<(&str, &str), &Revision> = BTreeMap::new();
    for (is_unsure, write) in run.audit.walk() {
        if is_unsure {
            granted.clear();
        }
        // Only the granting write bears no token.
        let Some(record) = write.record().filter(|it| !it.is_reserved && it.token.is_none()) else {
            continue;
        };
        if record.attempt.is_empty() {
            continue;
        }
        let of = (write.key.as_str(), record.attempt);
        if let Some(before) = granted.get(&of) {
            finding.examine();
            let (key, token) = (&write.key, before.revision);
            let sentence = format!("{key} was granted a second time to the attempt of token {token}.");
            let lines = [before.at.line, write.at.line];
            if servers_forgot(run, before.at.at_ns, write.at.at_ns) {
                finding.show(lines, format!("{sentence} Servers had been started again meanwhile."));
            } else {
                finding.violate(lines, sentence);
            }
        } else if told.contains(&write.revision) {
            finding.examine();
            granted.insert(of, write);
        }
    }
    finding.done("nothing was granted")
}

/// Whether some server was started again between the two, or lost what it had.
fn servers_forgot(run: &Run, from: u64, to: u64) -> bool {
    let restarts = [
        "kill",
        "kill-leader",
        "forgotten-release",
        "stop",
        "rolling-restart",
        "lame-duck",
        "replace-peer",
        "bucket",
    ];
    let forgets = |nemesis: &str| {
        restarts.contains(&nemesis) || nemesis.contains("power") || nemesis.contains("beyond")
    };
    run.faults.iter().any(|band| forgets(&band.nemesis) && band.touches(from, to, 0))
}
