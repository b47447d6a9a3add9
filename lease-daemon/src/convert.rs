//! From the library's words to those of the wire.

use std::time::Duration;

use lease::{
    Candidate, End, Error, Finding, Held, Holder, Leader, Member, Name, Payload, Previous, Seen, Severity,
    Waiter,
};

use crate::app;
use crate::wire::{self, Code, Problem, Retry};

/// How soon it makes sense to ask again a store that did not answer.
const SOON: Retry = Retry::After(1000);

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let detail = error.to_string();
        let (code, retry) = match &error {
            Error::InvalidName { .. } => (Code::InvalidName, Retry::Never),
            Error::InvalidSetting { setting, .. } => (invalid(setting), Retry::Never),
            Error::Unreachable(_) => (Code::StoreUnreachable, SOON),
            Error::Denied(_) => (Code::StoreDenied, Retry::Never),
            Error::UnsafeBucket { .. } | Error::ServerTooOld { .. } => (Code::StoreUnsafe, Retry::Never),
            Error::Unknown(_) => (Code::OutcomeUnknown, SOON),
            Error::Lost(loss) => return Problem::new(Code::Lost, detail).because(loss.code()),
            Error::LimitMismatch { .. } => (Code::LimitMismatch, Retry::Never),
            Error::NobodyWaits { .. } => (Code::NobodyWaits, SOON),
            Error::TokenMismatch { .. } => (Code::TokenMismatch, Retry::Never),
            Error::TooMany { .. } => (Code::TooMany, SOON),
            Error::Regressed { .. } => (Code::StoreRegressed, Retry::Never),
            Error::Quiet(left) => (Code::BucketQuiet, Retry::from(*left)),
            Error::Closing => return app::draining(),
            // A newer library's error without a code of its own.
            _ => (Code::Internal, Retry::Never),
        };
        Problem::new(code, detail).retry(retry)
    }
}

fn invalid(setting: &str) -> Code {
    match setting {
        "ttl" => Code::InvalidTtl,
        "wait" => Code::InvalidWait,
        "owner" => Code::InvalidOwner,
        "metadata" => Code::InvalidMetadata,
        "grace" => Code::InvalidGrace,
        "limit" => Code::InvalidLimit,
        "names" => Code::InvalidNames,
        "value" => Code::InvalidValue,
        // The only one that is part of a query.
        "barrier" => Code::InvalidQuery,
        _ => Code::InvalidBody,
    }
}

impl From<Holder> for wire::Holder {
    fn from(holder: Holder) -> wire::Holder {
        wire::Holder {
            owner: holder.owner,
            host: holder.host,
            pid: holder.pid,
            token: holder.token.get(),
            since: holder.since,
            ttl: Duration::from_millis(holder.ttl_ms).into(),
            metadata: holder.metadata,
            value: holder.value.as_ref().and_then(value),
        }
    }
}

impl From<Waiter> for wire::Waiter {
    fn from(waiter: Waiter) -> wire::Waiter {
        wire::Waiter::from(Candidate::from(waiter))
    }
}

impl From<Candidate> for wire::Waiter {
    fn from(candidate: Candidate) -> wire::Waiter {
        wire::Waiter {
            owner: candidate.owner,
            host: candidate.host,
            pid: candidate.pid,
            since: candidate.since,
            priority: candidate.priority,
            ready: candidate.is_ready,
            value: candidate.value.as_ref().and_then(value),
        }
    }
}

impl From<Leader> for wire::Leader {
    fn from(leader: Leader) -> wire::Leader {
        wire::Leader {
            owner: leader.owner,
            host: leader.host,
            pid: leader.pid,
            token: leader.token.get(),
            since: leader.since,
            valid_for: leader.valid_for.into(),
            value: leader.value.as_ref().and_then(value),
        }
    }
}

impl From<Member> for wire::Member {
    fn from(member: Member) -> wire::Member {
        wire::Member {
            member: member.id,
            owner: member.owner,
            host: member.host,
            pid: member.pid,
            token: member.token.get(),
            since: member.since,
            value: member.value.as_ref().and_then(value),
        }
    }
}

impl From<Held> for wire::Past {
    fn from(held: Held) -> wire::Past {
        wire::Past {
            token: held.token.get(),
            owner: held.owner,
            host: held.host,
            pid: held.pid,
            since: held.since,
            waited: held.waited.into(),
            held: held.held.into(),
            ended: held.ended,
            why: held.why,
            reason: held.reason,
        }
    }
}

impl wire::History {
    /// What has been held under a name.
    pub fn of(name: &Name, holds: Vec<Held>) -> wire::History {
        wire::History { name: name.to_string(), holds: holds.into_iter().map(wire::Past::from).collect() }
    }
}

/// What somebody says, as the JSON that it is.
fn value(payload: &Payload) -> Option<serde_json::Value> {
    // It was checked when it was made.
    payload.read().ok()
}

impl From<&Previous> for wire::Previous {
    fn from(previous: &Previous) -> wire::Previous {
        wire::Previous {
            token: previous.token.get(),
            holder: previous.holder.clone(),
            ended: previous.ended.clone(),
            why: why(previous.why).to_owned(),
        }
    }
}

fn why(end: End) -> &'static str {
    match end {
        End::Released => "released",
        End::Stopped => "stopped",
        End::ClientGone => "client-gone",
        End::Expired => "expired",
        End::Broken => "broken",
        End::HandedOver => "handed-over",
        _ => "other",
    }
}

impl wire::Lock {
    /// A lock as it was seen, with its line if that was looked at.
    pub fn seen(seen: Seen, with_line: bool) -> wire::Lock {
        let waiters = with_line.then(|| seen.waiters.into_iter().map(wire::Waiter::from).collect());
        wire::Lock {
            name: seen.name,
            held: seen.holder.is_some() || seen.is_shared,
            token: seen.holder.as_ref().map(|holder| holder.token.get()),
            holder: seen.holder.map(wire::Holder::from),
            shared: seen.is_shared,
            readers: seen.readers.into_iter().map(wire::Holder::from).collect(),
            expires_in: seen.expires_in.map(wire::Span),
            revision: seen.revision,
            waiters,
            previous: seen.previous.as_ref().map(wire::Previous::from),
        }
    }
}

impl wire::Examination {
    /// What an examination found.
    pub fn of(findings: Vec<Finding>) -> wire::Examination {
        let findings: Vec<_> = findings.into_iter().map(wire::Finding::from).collect();
        let severity = findings.iter().map(|finding| finding.severity).max();
        wire::Examination { severity: severity.unwrap_or(wire::Severity::Ok), findings }
    }
}

impl From<Finding> for wire::Finding {
    fn from(finding: Finding) -> wire::Finding {
        let severity = match finding.severity {
            Severity::Ok => wire::Severity::Ok,
            Severity::Note => wire::Severity::Note,
            Severity::Warning => wire::Severity::Warning,
            // A newer library's may only be graver.
            _ => wire::Severity::Critical,
        };
        wire::Finding {
            severity,
            code: finding.code.to_owned(),
            found: finding.found,
            advice: finding.advice,
        }
    }
}
