//! What an attempt contends for, and what a look at it shows.
//!
//! The waiter knows one way to wait and one way to claim, whatever the kind of coordination; the kinds differ only in
//! what they look at and in what must be proven with the granting write ([`Gate`]). What a look shows may be old: then
//! the claim that rests on it is refused.

mod permit;
mod shared;

use std::time::Duration;

pub(crate) use permit::{MOST_PERMITS, agreed, change_limit};

use crate::core::Core;
use crate::error::Error;
use crate::protocol::{Gate, Holder, Previous, Slot, key};
use crate::store::{Entry, Revision, Unreadable};
use crate::token::Token;

/// What an attempt contends for.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A lock, for itself alone. The record may be shared at present.
    Lock { name: String },
    /// A lock, together with other readers.
    Reader { name: String },
    /// An election: one record, and a line that goes by priority.
    Election { name: String },
    /// A semaphore: one of its slots.
    Permit { name: String, limit: u32 },
}

/// What a look shows.
#[derive(Debug)]
pub(crate) enum Sight {
    /// It can be claimed.
    Open(Opening),
    /// Somebody is in the way.
    Taken(Taken),
}

/// How to claim what was seen.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    /// The record to write.
    pub key: String,
    /// The revision to expect there.
    pub expect: Revision,
    /// How the last grant ended.
    pub previous: Option<Previous>,
    /// For readers: the last exclusive grant's token.
    pub fence: Option<Token>,
    /// What else must be so.
    pub gate: Gate,
    /// The record is this attempt's already, or kept free for it.
    pub mine: bool,
    /// The record is this attempt's, and was broken by force.
    pub broken: bool,
}

/// Who is in the way, and until when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    /// Who is named to whoever asks.
    pub holder: Option<Holder>,
    /// The processes to tell who comes next.
    pub processes: Vec<String>,
    /// The process that it is kept free for.
    pub kept_for: Option<String>,
    /// The newest revision that was looked at.
    pub revision: Revision,
    /// How long until the store ends the first of them that may make room; `None` if that cannot be known.
    pub left: Option<Duration>,
    /// What else the first in line is to follow.
    pub follow_too: Option<String>,
}

/// Why nothing could be seen.
#[derive(Debug)]
pub(crate) enum Blind {
    /// The store did not answer.
    Unreadable(String),
    /// The store refused a write, or the guard its answer.
    Denied(String),
    /// What is wanted is not to be had.
    Refused(Error),
}

impl From<Unreadable> for Blind {
    fn from(Unreadable(why): Unreadable) -> Blind {
        Blind::Unreadable(why)
    }
}

impl Target {
    /// What the line is for; for a single record, its key.
    pub(crate) fn scope(&self) -> String {
        match self {
            Target::Lock { name } | Target::Reader { name } => key::lock(name),
            Target::Election { name } => key::elect(name),
            Target::Permit { name, .. } => key::permits(name),
        }
    }

    /// What the first in line follows.
    pub(crate) fn filter(&self) -> String {
        match self {
            Target::Permit { .. } => format!("{}.*", self.scope()),
            _ => self.scope(),
        }
    }

    /// The word for it in [`crate::KINDS`].
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Target::Lock { .. } => "lock",
            Target::Reader { .. } => "shared",
            Target::Election { .. } => "election",
            Target::Permit { .. } => "semaphore",
        }
    }

    /// The name, for people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Target::Lock { name }
            | Target::Reader { name }
            | Target::Election { name }
            | Target::Permit { name, .. } => name,
        }
    }

    /// Whether a record that was just deleted can be claimed without a look at anything else.
    pub(crate) fn is_one_record(&self) -> bool {
        matches!(self, Target::Lock { .. } | Target::Election { .. })
    }

    /// Whether a place goes by its priority before its order.
    pub(crate) fn by_priority(&self) -> bool {
        matches!(self, Target::Election { .. })
    }

    /// Looks. `attempt` is the nonce of whoever asks.
    pub(crate) async fn look(&self, core: &Core, attempt: &str) -> Result<Sight, Blind> {
        match self {
            Target::Lock { name } => {
                let key = key::lock(name);
                let entry = core.asked("read", core.store.read(&key)).await?;
                match Slot::of(entry.as_ref()) {
                    Slot::Shared { revision, record } => {
                        Ok(shared::to_be_alone(core, name, revision, record).await?)
                    }
                    slot => Ok(sight(core, key, slot, attempt, false)),
                }
            }
            Target::Election { name } => {
                let key = key::elect(name);
                let entry = core.asked("read", core.store.read(&key)).await?;
                Ok(sight(core, key, Slot::of(entry.as_ref()), attempt, false))
            }
            Target::Reader { name } => Ok(shared::to_join(core, name, attempt).await?),
            Target::Permit { name, limit } => permit::look(core, name, *limit, attempt).await,
        }
    }

    /// What an entry shows that was just written; `None` if a look must tell.
    pub(crate) fn heard(&self, core: &Core, attempt: &str, entry: &Entry) -> Option<Sight> {
        if !self.is_one_record() || entry.key != self.scope() {
            return None;
        }
        match Slot::of(Some(entry)) {
            Slot::Shared { .. } => None,
            slot => Some(sight(core, entry.key.clone(), slot, attempt, true)),
        }
    }

    /// What was just kept free for this attempt, as it was told; `None` if a look must tell.
    pub(crate) fn kept(&self, revision: Revision, previous: Option<Previous>) -> Option<Sight> {
        self.is_one_record()
            .then(|| Sight::Open(Opening { mine: true, ..Opening::new(self.scope(), revision, previous) }))
    }
}

impl Opening {
    pub(crate) fn new(key: String, expect: Revision, previous: Option<Previous>) -> Opening {
        Opening { key, expect, previous, fence: None, gate: Gate::default(), mine: false, broken: false }
    }
}

/// What a record shows that one attempt may hold. `fresh`: it was just written.
fn sight(core: &Core, key: String, slot: Slot, attempt: &str, fresh: bool) -> Sight {
    let mine = slot.attempt() == Some(attempt);
    match slot {
        Slot::Free { revision, previous, .. } => Sight::Open(Opening::new(key, revision, previous)),
        Slot::Taken { revision, record, .. } if mine => Sight::Open(Opening {
            mine,
            broken: record.broken.is_some(),
            // A reader that finds itself granted says the same again.
            fence: record.fence,
            ..Opening::new(key, revision, record.previous)
        }),
        slot => Sight::Taken(taken(core, &slot, fresh)),
    }
}

/// Who is in the way.
fn taken(core: &Core, slot: &Slot, fresh: bool) -> Taken {
    match slot {
        Slot::Taken { revision, record, ttl_secs, written_micros } => {
            let lived = core.ambient.wall_micros().saturating_sub(*written_micros);
            let ttl = Duration::from_secs(*ttl_secs);
            // The age goes by two wall clocks and is an estimate: too early a try does no harm, and a look every two
            // seconds comes in any case.
            let left = if fresh { ttl } else { ttl.saturating_sub(Duration::from_micros(lived)) };
            Taken {
                holder: Some(record.holder_at(*revision)),
                // Kept free for nobody, there is nobody to tell.
                processes: Some(record.holder.clone())
                    .filter(|holder| !holder.is_empty())
                    .into_iter()
                    .collect(),
                kept_for: record.reserved.then(|| record.holder.clone()),
                revision: *revision,
                left: (*ttl_secs > 0).then_some(left),
                follow_too: None,
            }
        }
        // Unreadable: held by somebody who cannot be told anything.
        other => Taken { revision: other.revision(), ..Taken::default() },
    }
}

/// Everything that matches a filter, in the newest state that any page showed.
async fn all(core: &Core, filter: &str) -> Result<std::collections::BTreeMap<String, Entry>, Unreadable> {
    let mut found = std::collections::BTreeMap::new();
    let mut from: Revision = 1;
    loop {
        let page = core.asked("scan", core.store.scan(filter, from)).await?;
        for entry in page.entries {
            // In the order of revisions, except that an entry may come in an older state with a later page.
            let known = found.get(&entry.key).map_or(0, |known: &Entry| known.revision);
            if entry.revision > known {
                found.insert(entry.key.clone(), entry);
            }
        }
        match page.next {
            Some(next) if next > from => from = next,
            _ => return Ok(found),
        }
    }
}
