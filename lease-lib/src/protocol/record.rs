//! The record of ownership, as it is stored: JSON that `nats kv get` shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::payload::Payload;
use crate::store::{Body, Entry, Revision};
use crate::token::Token;

/// The version this code writes. A record of a higher one counts as held and is never overwritten.
pub(super) const VERSION: u32 = 1;

/// What is stored under a lock's key while somebody holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// The version of this layout: 1.
    pub v: u32,
    /// The holding process: a random id, new each time it starts.
    pub holder: String,
    /// Who the holder says it is, for people.
    pub owner: String,
    /// The host the holder runs on.
    pub host: String,
    /// The holder's process id on that host.
    pub pid: u32,
    /// The nonce of the attempt that was granted: tells whose write this is when an answer was lost.
    pub attempt: String,
    /// The fencing token. Absent in the granting write itself, whose own revision is the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// For shared grants, the token of the last exclusive one. Absent in exclusive grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<Token>,
    /// The logical TTL in milliseconds.
    pub ttl_ms: u64,
    /// For how many seconds the name stays free after this grant, if it is not given back in order: for whoever breaks it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub grace_secs: u64,
    /// When the lease was granted, RFC 3339, by the holder's wall clock: for people.
    pub since: String,
    /// What the holder wants others to see.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// How the grant before this one ended, where the store still knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// The record is only kept free for `attempt`, which nobody believes to be a holder until its own write says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reserved: bool,
    /// Somebody broke the grant by force, for this reason: the holder must stop and release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// Who reads, as ids of keys of their own: then the record is shared, has no TTL, and stands for those readers whose
    /// keys exist. Empty in exclusive grants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<String>,
    /// The names that were granted together, this one among them. Empty for a lock alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// What the holder has to say; it may change while the grant lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Payload>,
    /// How many guarded writes and looks this grant has made: tells whether one was applied when its answer was lost.
    #[serde(default, skip_serializing_if = "is_none")]
    pub guarded: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// How a grant ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Previous {
    /// Its token.
    pub token: Token,
    /// Its holder's owner.
    pub holder: String,
    /// When it ended, RFC 3339, by the wall clock of whoever ended it.
    pub ended: String,
    /// Why.
    pub why: End,
}

/// Why a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum End {
    /// Its holder released it.
    Released,
    /// Its holder released it after the whole process group that worked under it was seen gone.
    Stopped,
    /// The client it was held for closed its connection or died.
    ClientGone,
    /// Its holder could not renew it in time.
    Expired,
    /// It was broken by force.
    Broken,
    /// Its holder handed it to somebody by name.
    HandedOver,
    /// A reason that a newer release gives.
    #[serde(other)]
    Other,
}

/// A deletion's note: kept by the store for [`MARKER_SECS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    pub attempt: String,
    pub previous: Previous,
}

/// How long the store keeps a release's marker, and with it how the last grant ended.
pub const MARKER_SECS: u64 = 600;

/// Who holds a name, for people and for errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who the holder says it is.
    pub owner: String,
    /// The host it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Its fencing token.
    pub token: Token,
    /// Since when, RFC 3339, by its wall clock.
    pub since: String,
    /// The logical TTL in milliseconds.
    pub ttl_ms: u64,
    /// What it wants others to see.
    pub metadata: BTreeMap<String, String>,
    /// What it has to say, if anything.
    pub value: Option<Payload>,
}

/// What was found under a lock's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Nobody's: absent (revision 0), or a release's marker.
    Free {
        /// What a claim must expect.
        revision: Revision,
        /// How the last grant ended, if the marker still tells.
        previous: Option<Previous>,
        /// The attempt that released, if the marker still tells.
        by: Option<String>,
    },
    /// Somebody's, or kept free for somebody.
    Taken {
        /// The record's revision.
        revision: Revision,
        /// The record.
        record: Record,
        /// The TTL the store was given, in seconds.
        ttl_secs: u64,
        /// When the store took it, unix microseconds by the store's clock: an estimate.
        written_micros: u64,
    },
    /// Readers', as many of them as have keys still.
    Shared {
        /// The record's revision.
        revision: Revision,
        /// The record.
        record: Record,
    },
    /// Something this release cannot read (a newer version, or written by hand): held, and never overwritten.
    Foreign {
        /// Its revision.
        revision: Revision,
    },
}

impl Slot {
    /// Reads what the store says of a lock's key.
    pub fn of(entry: Option<&Entry>) -> Slot {
        let Some(entry) = entry else {
            return Slot::Free { revision: 0, previous: None, by: None };
        };
        let revision = entry.revision;
        match &entry.body {
            Body::Delete(note) => {
                let marker = serde_json::from_slice::<Marker>(note).ok();
                let (by, previous) = marker.map(|m| (m.attempt, m.previous)).unzip();
                Slot::Free { revision, previous, by }
            }
            Body::Put(value) => match serde_json::from_slice::<Record>(value) {
                Ok(record) if record.v <= VERSION && !record.readers.is_empty() => {
                    Slot::Shared { revision, record }
                }
                Ok(record) if record.v <= VERSION => Slot::Taken {
                    revision,
                    record,
                    ttl_secs: entry.ttl_secs,
                    written_micros: entry.written_micros,
                },
                _ => Slot::Foreign { revision },
            },
        }
    }

    /// The revision that was looked at.
    pub fn revision(&self) -> Revision {
        match self {
            Slot::Free { revision, .. }
            | Slot::Taken { revision, .. }
            | Slot::Shared { revision, .. }
            | Slot::Foreign { revision } => *revision,
        }
    }

    /// How the grant before ended, if that is told.
    pub fn previous(&self) -> Option<&Previous> {
        match self {
            Slot::Free { previous, .. } => previous.as_ref(),
            Slot::Taken { record, .. } | Slot::Shared { record, .. } => record.previous.as_ref(),
            Slot::Foreign { .. } => None,
        }
    }

    /// The attempt whose record this is.
    pub fn attempt(&self) -> Option<&str> {
        match self {
            Slot::Taken { record, .. } => Some(&record.attempt),
            _ => None,
        }
    }
}

impl Record {
    /// A record that no process holds: a list of readers.
    pub fn nobodys(since: String) -> Record {
        Record {
            v: VERSION,
            holder: String::new(),
            owner: String::new(),
            host: String::new(),
            pid: 0,
            attempt: String::new(),
            token: None,
            fence: None,
            ttl_ms: 0,
            grace_secs: 0,
            since,
            metadata: BTreeMap::new(),
            previous: None,
            reserved: false,
            broken: None,
            readers: Vec::new(),
            with: Vec::new(),
            value: None,
            guarded: 0,
        }
    }

    /// The grant's token: the record's or, before the first renewal, the revision of the granting write.
    pub fn token_at(&self, revision: Revision) -> Token {
        self.token.unwrap_or(Token::new(revision))
    }

    /// The record as it is stored.
    pub fn encode(&self) -> bytes::Bytes {
        // A struct of strings and numbers always encodes.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Who holds it.
    pub fn holder_at(&self, revision: Revision) -> Holder {
        Holder {
            owner: self.owner.clone(),
            host: self.host.clone(),
            pid: self.pid,
            token: self.token_at(revision),
            since: self.since.clone(),
            ttl_ms: self.ttl_ms,
            metadata: self.metadata.clone(),
            value: self.value.clone(),
        }
    }
}

impl Holder {
    /// Who holds a record that this release cannot read.
    pub(crate) fn unreadable(revision: Revision) -> Holder {
        Holder {
            owner: "(a record that this release cannot read)".into(),
            host: String::new(),
            pid: 0,
            token: Token::new(revision),
            since: String::new(),
            ttl_ms: 0,
            metadata: BTreeMap::new(),
            value: None,
        }
    }
}
