//! The lines of streams.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shapes::{CandidateId, Name, Revision, Time, Token};
use super::{Holder, Leader, Lease, Member, Previous, Span};

/// One line of a stream that holds something: of `hold`, `campaign` or `join`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// In an election: standing for office, with this many ahead. On change, at most once a second.
    Candidate {
        /// How many would be elected before.
        ahead: usize,
        /// An id of this candidacy, unguessable, for `PUT /v1/elections/{name}/ready`.
        #[schema(value_type = CandidateId)]
        candidate: String,
    },
    /// In an election: leads.
    Elected(Lease),
    /// In a group: a member.
    Joined(Lease),
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
        /// A short word: `expired`, `taken`, `broken`, `bucket-replaced`, `store-regressed`, `draining`, `together` (with
        /// another of the locks that were granted together), `released` (by a `DELETE` of the lease), `handed-over`, or a
        /// problem's code while waiting; `heartbeat`: the client did not keep the promise that it gave with its heartbeat.
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

/// One line of `GET /v1/elections/{name}/watch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Leading {
    /// It leads.
    Leader(Leader),
    /// It led when it was last heard of; its time may be up.
    Unconfirmed(Leader),
    /// Nobody leads.
    Vacant,
    /// An event of a newer daemon, to be ignored. Never sent.
    #[serde(other)]
    Unknown,
}

/// One line of `GET /v1/groups/{name}/watch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Membership {
    /// A member is there: it has joined, or was there when the watch began.
    Joined(Member),
    /// A member shows another value.
    Changed(Member),
    /// A member has left by its own wish.
    Left {
        /// Which one.
        member: String,
        /// How.
        previous: Previous,
    },
    /// A member is gone without having left. As it was last seen.
    Expired(Member),
    /// The watch has failed. The last line.
    Failed {
        /// A problem's code.
        reason: String,
        /// The same for people.
        detail: String,
    },
    /// An event of a newer daemon, to be ignored. Never sent.
    #[serde(other)]
    Unknown,
}

/// One line of `GET /v1/watch` and `GET /v1/locks/{name}/watch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// Somebody holds it.
    Granted(Changed),
    /// Its holder renewed it. Only for whoever asks with `renewals=true`.
    Renewed(Changed),
    /// Its holder shows another value or other metadata.
    Changed(Changed),
    /// It was broken by force; its holder is to stop.
    Broken {
        /// What is so.
        #[serde(flatten)]
        changed: Changed,
        /// Why.
        reason: String,
    },
    /// The grant ended, and the store knows how.
    Released {
        /// The lock.
        #[schema(value_type = Name)]
        name: String,
        /// The revision of the write that shows it.
        #[schema(value_type = Revision)]
        revision: u64,
        /// The grant's token.
        #[schema(value_type = Token)]
        token: u64,
        /// Who held it.
        holder: String,
        /// When it ended, RFC 3339.
        #[schema(value_type = Time)]
        ended: String,
        /// `released`, `stopped`, `client-gone`, `expired`, `broken` or `handed-over`.
        why: String,
    },
    /// The grant is gone, and nothing says that it was given back.
    Expired(Changed),
    /// For some time it could not be heard what happens. What the store still had of it has been told just before;
    /// several changes of one lock may have become one.
    Resync,
    /// Between these revisions something may be missing that the store has no trace of. Told first, if at all.
    Gap {
        /// After this one.
        #[schema(value_type = Revision)]
        after: u64,
        /// Up to here.
        #[schema(value_type = Revision)]
        to: u64,
    },
    /// The watch has failed. The last line.
    Failed {
        /// A problem's code.
        reason: String,
        /// The same for people.
        detail: String,
    },
    /// An event of a newer daemon, to be ignored. Never sent.
    #[serde(other)]
    Unknown,
}

/// A lock and its holder, at a revision. To go on later, ask with `from=` the highest revision that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// The lock.
    #[schema(value_type = Name)]
    pub name: String,
    /// The revision of the write that shows it; for an expiry, of the last one before.
    #[schema(value_type = Revision)]
    pub revision: u64,
    /// The grant's token.
    #[schema(value_type = Token)]
    pub token: u64,
    /// Who holds it, or held it.
    pub holder: Holder,
}
