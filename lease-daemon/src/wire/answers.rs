//! Answers: leases as their holders see them, and names as everybody does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Span;
use super::shapes::{Limit, Name, Revision, Time, Token, Tokens};

/// A lease as its holder sees it: the answer of `acquire`, of `renew`, and of `GET` and `DELETE /v1/leases/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// Its id in this daemon, unguessable.
    pub lease: String,
    /// What is held.
    #[serde(flatten)]
    pub what: Grant,
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

/// What is held, with the tokens that fence it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Grant {
    /// One name.
    One {
        /// The name.
        #[schema(value_type = Name)]
        name: String,
        /// The fencing token.
        #[schema(value_type = Token)]
        token: u64,
        /// Of a shared grant: the token of the last exclusive one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Token>)]
        fence: Option<u64>,
        /// Of a membership: which member of the group this is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<String>,
    },
    /// Several names together.
    All {
        /// The fencing token of each name.
        #[schema(value_type = Tokens)]
        tokens: BTreeMap<String, u64>,
    },
}

impl Grant {
    /// The one token, if there is one for all.
    pub fn token(&self) -> Option<u64> {
        match self {
            Grant::One { token, .. } => Some(*token),
            Grant::All { .. } => None,
        }
    }
}

impl std::fmt::Display for Grant {
    /// The names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Grant::One { name, .. } => f.write_str(name),
            Grant::All { tokens } => f.write_str(&tokens.keys().cloned().collect::<Vec<_>>().join(", ")),
        }
    }
}

/// How the grant before this one ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Previous {
    /// Its token.
    #[schema(value_type = Token)]
    pub token: u64,
    /// Its owner.
    pub holder: String,
    /// When it ended, RFC 3339.
    #[schema(value_type = Time)]
    pub ended: String,
    /// Why: `released`, `stopped`, `client-gone`, `expired`, `broken` or `handed-over`.
    pub why: String,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holder {
    /// Who it says it is.
    pub owner: String,
    /// Its host.
    pub host: String,
    /// The process id, on that host, of whoever renews: for holders behind a sidecar, the sidecar's.
    pub pid: u32,
    /// Its fencing token.
    #[schema(value_type = Token)]
    pub token: u64,
    /// Since when, RFC 3339, by its wall clock.
    #[schema(value_type = Time)]
    pub since: String,
    /// How long its lease lasts without a renewal.
    pub ttl: Span,
    /// What it wants others to see.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// What it has to say, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    pub value: Option<Value>,
}

/// Who waits for a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiter {
    /// Who it says it is.
    pub owner: String,
    /// Its host.
    pub host: String,
    /// The process id of its place in line: for waiters behind a sidecar, the sidecar's.
    pub pid: u32,
    /// Since when, RFC 3339.
    #[schema(value_type = Time)]
    pub since: String,
    /// Of a candidate: who is preferred, higher first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// Of a candidate: `false` if it would not take office now; absent if it would.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub ready: bool,
    /// Of a candidate: what it has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    pub value: Option<Value>,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

fn yes() -> bool {
    true
}

/// One lock as everybody sees it: the answer of `GET /v1/locks/{name}`, also for a name that nobody holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lock {
    /// Its name.
    #[schema(value_type = Name)]
    pub name: String,
    /// Whether anybody holds it.
    pub held: bool,
    /// The holder's fencing token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Token>)]
    pub token: Option<u64>,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// Whether readers share it, or were the last to hold it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// Who reads, by token. Absent in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<Holder>,
    /// When it would expire without another renewal: an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Span>,
    /// The revision of its record; 0 if the store has none.
    #[schema(value_type = Revision)]
    pub revision: u64,
    /// Who waits, in order. Absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiters: Option<Vec<Waiter>>,
    /// How the grant before the present one (or the last one) ended, where the store still knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// The answer of `GET /v1/locks`: those held now. With `Accept: application/x-ndjson`, one [`Lock`] a line instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Locks {
    /// The locks.
    pub locks: Vec<Lock>,
}

/// The answer of `/healthz` and `/readyz`, if all is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// `nats` or `embedded`.
    pub store: String,
    /// The daemon's version.
    pub version: String,
}

/// The answer of `GET /v1/semaphores/{name}`, also for a name that nobody ever asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Semaphore {
    /// Its name.
    #[schema(value_type = Name)]
    pub name: String,
    /// How many may hold one at a time; absent if nobody ever asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Limit>)]
    pub limit: Option<u32>,
    /// Who holds one, by token.
    pub holders: Vec<Holder>,
    /// Who waits, in order.
    pub waiters: Vec<Waiter>,
}

/// The answer of `GET /v1/elections/{name}`, also for a name that nobody ever stood for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Election {
    /// Its name.
    #[schema(value_type = Name)]
    pub name: String,
    /// Who leads, as far as one look can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<Leader>,
    /// Who stands, the next first; those who are not ready come last.
    pub candidates: Vec<Waiter>,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Leader {
    /// Who it says it is.
    pub owner: String,
    /// Its host.
    pub host: String,
    /// The process id, on that host, of whoever renews.
    pub pid: u32,
    /// Its term's token.
    #[schema(value_type = Token)]
    pub token: u64,
    /// Since when, RFC 3339, by its wall clock.
    #[schema(value_type = Time)]
    pub since: String,
    /// For how long this is known to be so; `0s` if it may not be so any more.
    pub valid_for: Span,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    pub value: Option<Value>,
}

/// The answer of `GET /v1/groups/{name}`, and of `GET /v1/groups/{name}/barrier`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its name.
    #[schema(value_type = Name)]
    pub name: String,
    /// Who is there, in the order in which they joined.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Which one: new with each joining.
    pub member: String,
    /// Who it says it is.
    pub owner: String,
    /// Its host.
    pub host: String,
    /// The process id, on that host, of whoever renews.
    pub pid: u32,
    /// Its token.
    #[schema(value_type = Token)]
    pub token: u64,
    /// Since when, RFC 3339, by its wall clock.
    #[schema(value_type = Time)]
    pub since: String,
    /// What it has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    pub value: Option<Value>,
}

/// The answer of `GET …/history`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// The name.
    #[schema(value_type = Name)]
    pub name: String,
    /// The last holds that have ended, at most 64, the latest grant last.
    pub holds: Vec<Past>,
}

/// A hold that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Past {
    /// Its fencing token.
    #[schema(value_type = Token)]
    pub token: u64,
    /// Who held it.
    pub owner: String,
    /// On which host.
    pub host: String,
    /// The process id there of whoever renewed it.
    pub pid: u32,
    /// Since when, RFC 3339, by the holder's wall clock.
    #[schema(value_type = Time)]
    pub since: String,
    /// How long it had been waited for.
    pub waited: Span,
    /// How long it was held.
    pub held: Span,
    /// When it ended, RFC 3339.
    #[schema(value_type = Time)]
    pub ended: String,
    /// How: `released`, `stopped`, `client-gone`, `handed-over`, or the reason of a loss.
    pub why: String,
    /// More about that, such as the reason that was given for breaking it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer of a `DELETE` that breaks a grant by force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Broken {
    /// The name.
    #[schema(value_type = Name)]
    pub name: String,
    /// The token of the grant.
    #[schema(value_type = Token)]
    pub token: u64,
    /// Whether it was freed at once, without waiting for its holder to stop.
    pub now: bool,
}
