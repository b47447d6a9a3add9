//! Nothing is leaked: when all have stopped, the store holds no record, place or presence whose time has passed by more
//! than the slack, and none without a TTL that should have one. Lists of readers, limits and values have none.

use super::audit::Revision;
use super::{Finding, Run, length};

/// See the file's head.
pub fn check(run: &Run) -> Finding {
    let mut finding = Finding::new(
        "nothing is leaked",
        "lease-lib/src/docs/kinds.md; NATS: an update without TTL never expires",
    );
    let slack = run.slack_ns();
    // Every write, not only those that stand at the end: whoever died then would have left it for ever.
    for write in run.audit.in_order().filter(|it| !it.is_deletion && owes_a_ttl(it)) {
        finding.examine();
        if write.ttl_secs == 0 {
            finding
                .violate([write.at.line], format!("{} was written without a TTL: it never goes.", write.key));
        }
    }
    let Some((at, keys)) = &run.audit.remains else {
        finding.why =
            Some("nobody looked what the store holds at the end; only the TTLs were examined".to_owned());
        return finding.done("the auditor read nothing");
    };
    for (key, revision) in keys {
        finding.examine();
        let Some(write) = run.audit.get(*revision).filter(|it| it.key == *key) else { continue };
        // The auditor reads after the server wrote, so this is late rather than early.
        let ttl = write.ttl_secs.saturating_mul(1_000_000_000);
        let goes = write.at.at_ns.saturating_add(ttl).saturating_add(slack);
        if owes_a_ttl(write) && ttl > 0 && goes < at.at_ns {
            finding.violate(
                [write.at.line, at.line],
                format!("{key} is still there, {} after its time and the slack.", length(at.at_ns - goes)),
            );
        }
    }
    finding.done("the auditor read nothing")
}

fn owes_a_ttl(write: &Revision) -> bool {
    let key = write.key.as_str();
    if key.starts_with("lock.") {
        return write.record().is_none_or(|record| record.readers.is_empty());
    }
    let kinds = ["elect.", "sem.", "read.", "group.", "line.", "here."];
    kinds.iter().any(|it| key.starts_with(it)) && !(key.starts_with("sem.") && key.ends_with(".limit"))
}
