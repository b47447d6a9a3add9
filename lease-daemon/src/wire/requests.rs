//! The bodies of requests. Whatever is left out has a default; a field that is not known is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::shapes::{
    Attempt, CandidateId, Grace, Heartbeat, Limit, Metadata, Name, Owner, Pid, Priority, Ttl, Wait, Why,
};
use super::{Span, whole};

/// What everybody may say who wants to hold something.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// How long the lease lasts without a renewal.
    pub ttl: Option<Span>,
    /// How long to wait in line.
    pub wait: Option<Span>,
    /// Who the holder is, for people.
    pub owner: Option<String>,
    /// What others may see of the holder.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Declares a body with the fields of [`Wishes`] and some of its own; serde cannot refuse unknown fields of a struct that is
/// put together from others.
macro_rules! wishes {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// How long the lease lasts without a renewal: 2 s to 24 h, 20 s if omitted.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<Ttl>)]
            pub ttl: Option<Span>,
            /// How long to wait in line: `0s` not at all, at most 30 days, as long as the connection stays if omitted.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<Wait>)]
            pub wait: Option<Span>,
            /// Who the holder is, for people. If omitted, the client's user and process id.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<Owner>)]
            pub owner: Option<String>,
            /// What others may see of the holder.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<Metadata>)]
            pub metadata: Option<BTreeMap<String, String>>,
            $($(#[$field_doc])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $field: Option<$type>,)*
        }

        impl $name {
            /// What it has in common with the others.
            pub fn wishes(&self) -> Wishes {
                let $name { ttl, wait, owner, metadata, .. } = self.clone();
                Wishes { ttl, wait, owner, metadata }
            }
        }
    };
}

wishes! {
    /// The body of `POST /v1/locks/{name}/hold`. An empty body is the same as `{}`.
    HoldRequest {
        /// Beside others who share it, instead of alone.
        shared: bool,
        /// For how long nobody is granted the name after this grant, unless it is given back in order: 0 s if omitted.
        #[schema(value_type = Option<Grace>)]
        grace: Span,
        /// The client promises to write something, anything, on the connection at least as often: 1 s to the ttl. One that
        /// does not counts as dead, and what it holds is given back.
        #[schema(value_type = Option<Heartbeat>)]
        heartbeat: Span,
    }
}

wishes! {
    /// The body of `POST /v1/locks/{name}/acquire`. An empty body is the same as `{}`.
    AcquireRequest {
        /// Beside others who share it, instead of alone.
        shared: bool,
        /// For how long nobody is granted the name after this grant, unless it is given back in order: 0 s if omitted.
        #[schema(value_type = Option<Grace>)]
        grace: Span,
        /// An id of the caller's making (1 to 64 of `A-Z a-z 0-9 - _ . :`): a repeat under the same name and id, by the
        /// same user, returns the same lease.
        #[schema(value_type = Option<Attempt>)]
        attempt: String,
        /// A process of the client's user. The daemon renews the lease for as long as this process lives, and gives it back
        /// when it has ended: what a shell script takes for its `$$` ends with the script. Nobody tells the process of a
        /// loss; whoever must hear of one holds.
        #[schema(value_type = Option<Pid>)]
        #[serde(deserialize_with = "whole::whole")]
        bind_pid: u32,
    }
}

wishes! {
    /// The body of `POST /v1/semaphores/{name}/hold`.
    PermitRequest {
        /// How many may hold one at a time: 1 to 500. All who ask must say the same.
        #[schema(required = true, value_type = Limit)]
        #[serde(deserialize_with = "whole::whole")]
        limit: u32,
        /// As in [`HoldRequest`].
        #[schema(value_type = Option<Heartbeat>)]
        heartbeat: Span,
    }
}

wishes! {
    /// The body of `POST /v1/semaphores/{name}/acquire`.
    AcquirePermitRequest {
        /// How many may hold one at a time: 1 to 500. All who ask must say the same.
        #[schema(required = true, value_type = Limit)]
        #[serde(deserialize_with = "whole::whole")]
        limit: u32,
        /// As in [`AcquireRequest`].
        #[schema(value_type = Option<Attempt>)]
        attempt: String,
        /// As in [`AcquireRequest`].
        #[schema(value_type = Option<Pid>)]
        #[serde(deserialize_with = "whole::whole")]
        bind_pid: u32,
    }
}

wishes! {
    /// The body of `POST /v1/multi/hold`.
    MultiRequest {
        /// The locks, all of which are wanted or none: 1 to 64.
        #[schema(required = true, value_type = Vec<Name>, min_items = 1, max_items = 64)]
        names: Vec<String>,
        /// As in [`HoldRequest`].
        #[schema(value_type = Option<Heartbeat>)]
        heartbeat: Span,
    }
}

wishes! {
    /// The body of `POST /v1/multi/acquire`.
    AcquireMultiRequest {
        /// The locks, all of which are wanted or none: 1 to 64.
        #[schema(required = true, value_type = Vec<Name>, min_items = 1, max_items = 64)]
        names: Vec<String>,
        /// As in [`AcquireRequest`].
        #[schema(value_type = Option<Attempt>)]
        attempt: String,
        /// As in [`AcquireRequest`].
        #[schema(value_type = Option<Pid>)]
        #[serde(deserialize_with = "whole::whole")]
        bind_pid: u32,
    }
}

wishes! {
    /// The body of `POST /v1/elections/{name}/campaign`. An empty body is the same as `{}`.
    CampaignRequest {
        /// What the candidate has to say, and says as the leader: anything in at most 32 KiB.
        #[schema(value_type = Value)]
        value: Value,
        /// Who is preferred at the next vacancy: higher is better, 0 if omitted.
        #[schema(value_type = Option<Priority>)]
        #[serde(deserialize_with = "whole::whole")]
        priority: i32,
        /// `false`: passed over until `PUT /v1/elections/{name}/ready` says otherwise. `true` if omitted.
        ready: bool,
        /// As in [`HoldRequest`].
        #[schema(value_type = Option<Heartbeat>)]
        heartbeat: Span,
    }
}

/// The body of `POST /v1/groups/{name}/join`. An empty body is the same as `{}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// How long the membership lasts without a renewal: 2 s to 24 h, 20 s if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Ttl>)]
    pub ttl: Option<Span>,
    /// Who the member is, for people. If omitted, the client's user and process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Owner>)]
    pub owner: Option<String>,
    /// What the member has to say: anything in at most 32 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    pub value: Option<Value>,
    /// As in [`HoldRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Heartbeat>)]
    pub heartbeat: Option<Span>,
}

/// The body of `PUT …/value`: what the holder of a lease says to others from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueRequest {
    /// The lease; in the path where that has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub lease: Option<String>,
    /// Anything in at most 32 KiB.
    #[serde(default)]
    pub value: Value,
}

/// The body of `POST …/hand-over`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOverRequest {
    /// The lease; in the path where that has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub lease: Option<String>,
    /// Who is to have it: the owner that somebody in line goes by.
    #[serde(default)]
    #[schema(required = true, value_type = Owner)]
    pub to: String,
}

/// The body of `PUT /v1/elections/{name}/ready`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadyRequest {
    /// The candidate, as its `candidate` events name it.
    #[serde(default)]
    #[schema(required = true, value_type = CandidateId)]
    pub candidate: String,
    /// Whether it would take office now; `false` if omitted.
    #[serde(default)]
    pub ready: bool,
}

/// The body of `PUT /v1/semaphores/{name}/limit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitRequest {
    /// How many may hold one at a time from now on: 1 to 500.
    #[serde(default, deserialize_with = "whole::required")]
    #[schema(required = true, value_type = Limit)]
    pub limit: u32,
}

/// The body of `DELETE /v1/leases/{id}`. An empty body is the same as `{}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// `released`, or `stopped` by whoever has seen that nothing works under it any more; `released` if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Why>)]
    pub why: Option<String>,
}

/// The body of requests that have no settings: nothing, or `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}
