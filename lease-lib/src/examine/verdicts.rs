//! What facts mean. Pure.

mod bucket;
mod servers;
mod time;

use std::time::Duration;

use super::probe::Probed;
use super::{Finding, Severity};
use crate::guard::Note;
use crate::store::Facts;

/// Everything that was looked at.
pub(super) struct Seen {
    pub facts: Facts,
    /// `None`: there is no bucket to write to.
    pub probed: Option<Probed>,
    /// What the bucket's note says of revisions that went backwards.
    pub regression: Option<Note>,
    pub slack: Duration,
    pub ttl: Duration,
}

fn ok(code: &'static str, found: impl Into<String>) -> Finding {
    Finding { severity: Severity::Ok, code, found: found.into(), advice: None }
}

fn finding(
    severity: Severity,
    code: &'static str,
    found: impl Into<String>,
    advice: impl Into<String>,
) -> Finding {
    Finding { severity, code, found: found.into(), advice: Some(advice.into()) }
}

/// The findings, topic by topic.
pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let Some(nats) = &seen.facts.nats else {
        let advice = "connect to NATS (--nats) for locks that hold beyond this process";
        let mut findings = vec![finding(
            Severity::Warning,
            "embedded",
            "locks are kept in this process: they hold among its clients only, and end with it",
            advice,
        )];
        findings.extend(seen.regression.as_ref().map(regression));
        return findings;
    };
    let mut findings = vec![servers::release(nats)];
    findings.extend(bucket::findings(nats));
    if let Some(probed) = &seen.probed {
        findings.extend(time::latency(probed, seen.ttl));
        findings.push(time::ttl(seen.ttl));
        findings.push(time::clock(probed));
        findings.push(regression_or_none(seen.regression.as_ref()));
    }
    findings.push(time::server_clocks(&nats.servers, nats.unasked.as_deref(), seen.slack));
    findings.push(bucket::storage(nats));
    findings
}

fn regression_or_none(note: Option<&Note>) -> Finding {
    note.map_or_else(|| ok("regression", "no loss of acknowledged writes is on record"), regression)
}

fn regression(note: &Note) -> Finding {
    match &note.what.accepted_by {
        Some(by) => finding(
            Severity::Note,
            "regression",
            format!("revisions went backwards (noticed {}); accepted by {by}", note.what.at),
            "tokens may have been given twice across that moment: let what they protect decide",
        ),
        None => regressed(&format!(
            "revisions went backwards ({} after {}, noticed {}): the store lost acknowledged writes",
            note.what.saw, note.what.had, note.what.at
        )),
    }
}

/// What is said while nothing is granted because of it.
pub(super) fn regressed(found: &str) -> Finding {
    finding(
        Severity::Critical,
        "regression",
        found,
        "nothing is granted until an operator accepts that tokens may come twice: find out what was lost and why, then \
         lease doctor --accept-regression --by NAME",
    )
}

/// The only server within reach is too old to be asked more.
pub(super) fn too_old(version: &str) -> Finding {
    finding(
        Severity::Critical,
        "release",
        format!("nats-server {version}"),
        "2.12 or newer is needed, for per-message TTL and atomic batches: upgrade",
    )
}

#[cfg(test)]
#[path = "verdicts_tests.rs"]
mod tests;
