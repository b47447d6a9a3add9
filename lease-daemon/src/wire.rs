//! What travels over the socket, version 1: requests, answers and the events of a stream.
//!
//! Unknown fields in a request are refused, so that a misspelt `tll` is not a lock with the wrong TTL; unknown fields
//! in an answer must be ignored, so that a newer daemon may say more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::problem::{Code, Problem, Retry};
pub use crate::span::Span;

/// The header that carries the fencing token beside the body.
pub const FENCING_TOKEN: &str = "fencing-token";
/// The media type of streams: one JSON object a line.
pub const NDJSON: &str = "application/x-ndjson";
/// The media type of refusals.
pub const PROBLEM: &str = "application/problem+json";

/// The body of `POST /v1/locks/{name}/hold`. An empty body is the same as `{}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// How long the lease lasts without a renewal: 2 s to 24 h, 20 s if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
    /// How long to wait in line: `0s` not at all, at most 30 days, as long as the connection stays if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Span>,
    /// Who the holder is, for people. If omitted, the client's user and process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What others may see of the holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// The body of `POST /v1/locks/{name}/acquire`. An empty body is the same as `{}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcquireRequest {
    /// As in [`HoldRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
    /// As in [`HoldRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Span>,
    /// As in [`HoldRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// As in [`HoldRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// An id of the caller's making (1 to 64 of `A-Z a-z 0-9 - _ . :`): a repeat under the same name and id, by the
    /// same user, returns the same lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
}

/// The body of requests that have no settings: nothing, or `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A lease as its holder sees it: the answer of `acquire`, of `renew`, and of `GET` and `DELETE /v1/leases/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id in this daemon, unguessable.
    pub lease: String,
    /// The lock's name.
    pub name: String,
    /// The fencing token.
    pub token: u64,
    /// How long it lasts without a renewal.
    pub ttl: Span,
    /// How much of that is left.
    pub expires_in: Span,
    /// The moment from which on the holder must not believe, on `CLOCK_BOOTTIME` of this host.
    pub deadline_boottime_ns: u64,
    /// How the grant before this one ended, where the store still knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// How the grant before this one ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Its token.
    pub token: u64,
    /// Its owner.
    pub holder: String,
    /// When it ended, RFC 3339.
    pub ended: String,
    /// Why: `released`, `stopped`, `client-gone`, `expired`, `broken` or `handed-over`.
    pub why: String,
}

/// One line of a `hold` stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// In line, with this many ahead. On change, at most once a second.
    Waiting {
        /// How many are served before.
        ahead: usize,
    },
    /// Granted.
    Held(Lease),
    /// A renewal was confirmed.
    Alive {
        /// How much time is left.
        expires_in: Span,
        /// The new deadline.
        deadline_boottime_ns: u64,
    },
    /// Not held any more, or not to be had any more. The last line, but for a daemon that is stopping: it keeps the
    /// lock a few seconds longer for a client that is still at work, until that closes the connection.
    Lost {
        /// A short word: `expired`, `taken`, `broken`, `bucket-replaced`, `store-regressed`, `draining`, `released`
        /// (by a `DELETE` of the lease), or a problem's code while waiting.
        reason: String,
        /// The same for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The wait is over and somebody else holds it. The last line.
    Timeout {
        /// Who holds it, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holder: Option<Holder>,
    },
    /// An event of a newer daemon, to be ignored. Never sent.
    #[serde(other)]
    Unknown,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who it says it is.
    pub owner: String,
    /// Its host.
    pub host: String,
    /// The process id, on that host, of whoever renews: for holders behind a sidecar, the sidecar's.
    pub pid: u32,
    /// Its fencing token.
    pub token: u64,
    /// Since when, RFC 3339, by its wall clock.
    pub since: String,
    /// How long its lease lasts without a renewal.
    pub ttl: Span,
    /// What it wants others to see.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Who waits for a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// Who it says it is.
    pub owner: String,
    /// Its host.
    pub host: String,
    /// The process id of its place in line: for waiters behind a sidecar, the sidecar's.
    pub pid: u32,
    /// Since when, RFC 3339.
    pub since: String,
}

/// One lock as everybody sees it: the answer of `GET /v1/locks/{name}`, also for a name that nobody holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Its name.
    pub name: String,
    /// Whether anybody holds it.
    pub held: bool,
    /// The holder's fencing token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// When it would expire without another renewal: an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Span>,
    /// The revision of its record; 0 if the store has none.
    pub revision: u64,
    /// Who waits, in order. Absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiters: Option<Vec<Waiter>>,
    /// How the grant before the present one (or the last one) ended, where the store still knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// The answer of `GET /v1/locks`: those held now. With `Accept: application/x-ndjson`, one [`Lock`] a line instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locks {
    /// The locks.
    pub locks: Vec<Lock>,
}

/// The answer of `/healthz` and `/readyz`, if all is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// `nats` or `embedded`.
    pub store: String,
    /// The daemon's version.
    pub version: String,
}

#[cfg(test)]
#[path = "wire_props.rs"]
mod props;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_of_requests_are_refused_and_of_answers_ignored() {
        let error = serde_json::from_str::<HoldRequest>(r#"{"tll":"5s"}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `tll`"), "{error}");
        let event = serde_json::from_str::<Event>(r#"{"event":"waiting","ahead":2,"new":1}"#).unwrap();
        assert_eq!(event, Event::Waiting { ahead: 2 });
        assert_eq!(serde_json::from_str::<Event>(r#"{"event":"new"}"#).unwrap(), Event::Unknown);
    }

    #[test]
    fn events_have_the_names_of_the_contract() {
        let lease = Lease {
            lease: "id".into(),
            name: "a".into(),
            token: 7,
            ttl: Span::parse("20s").unwrap(),
            expires_in: Span::parse("19.8s").unwrap(),
            deadline_boottime_ns: 9,
            previous: None,
        };
        assert_eq!(
            serde_json::to_string(&Event::Held(lease)).unwrap(),
            r#"{"event":"held","lease":"id","name":"a","token":7,"ttl":"20s","expires_in":"19.8s","deadline_boottime_ns":9}"#
        );
    }
}
