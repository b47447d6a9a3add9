//! What is wanted: of which kind, under which names, on which terms.

use std::collections::BTreeMap;
use std::time::Duration;

use lease::Name;
use serde::Serialize;
use serde_json::Value;

use super::exit::Exit;
use super::server::Server;
use super::source::{Refusal, encode, who};
use crate::wire::{CampaignRequest, HoldRequest, Holder, MultiRequest, PermitRequest, Span};

/// What is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Of which kind.
    pub what: What,
    /// How long it outlives a holder that vanished.
    pub ttl: Duration,
    /// How long to wait: zero not at all, `None` without limit.
    pub wait: Option<Duration>,
    /// What others may see of the holder.
    pub metadata: BTreeMap<String, String>,
}

/// The kinds that a command can be run under.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A lock, alone or beside others.
    Lock {
        /// Its name.
        name: Name,
        /// Beside others.
        shared: bool,
    },
    /// One of so many permits.
    Permit {
        /// The semaphore.
        name: Name,
        /// How many there are.
        limit: u32,
    },
    /// Several locks.
    All(Vec<Name>),
    /// An office.
    Office {
        /// The election.
        name: Name,
        /// What the leader has to say.
        value: Option<Value>,
        /// Who is preferred.
        priority: i32,
    },
}

impl What {
    /// The names, for people and for the command's environment.
    pub(super) fn names(&self) -> String {
        match self {
            What::Lock { name, .. } | What::Permit { name, .. } | What::Office { name, .. } => {
                name.to_string()
            }
            What::All(names) => names.iter().map(Name::as_str).collect::<Vec<_>>().join(" "),
        }
    }

    /// Where to look who holds it; of several locks there is no one place.
    pub(super) fn path(&self) -> Option<String> {
        let (kind, name) = match self {
            What::Lock { name, .. } => ("locks", name),
            What::Permit { name, .. } => ("semaphores", name),
            What::Office { name, .. } => ("elections", name),
            What::All(_) => return None,
        };
        Some(format!("/v1/{kind}/{}", encode(name.as_str())))
    }
}

impl Wanted {
    /// The path and the body of the request that asks for it.
    pub(super) fn request(&self, server: &Server) -> (String, String) {
        let ttl = Some(Span(self.ttl));
        let wait = self.wait.map(Span);
        let metadata = Some(self.metadata.clone()).filter(|metadata| !metadata.is_empty());
        // To a daemon the kernel tells who we are; within this process that is nobody else.
        let owner = server.socket().is_none().then(user);
        let at = |end: &str| self.what.path().unwrap_or_default() + end;
        match self.what.clone() {
            What::Lock { shared, .. } => {
                let shared = shared.then_some(true);
                (at("/hold"), text(&HoldRequest { ttl, wait, owner, metadata, shared, ..Default::default() }))
            }
            What::Permit { limit, .. } => (
                at("/hold"),
                text(&PermitRequest { ttl, wait, owner, metadata, limit: Some(limit), heartbeat: None }),
            ),
            What::All(names) => {
                let names = Some(names.iter().map(Name::to_string).collect());
                (
                    "/v1/multi/hold".to_owned(),
                    text(&MultiRequest { ttl, wait, owner, metadata, names, heartbeat: None }),
                )
            }
            What::Office { value, priority, .. } => {
                let priority = Some(priority);
                let request = CampaignRequest {
                    ttl,
                    wait,
                    owner,
                    metadata,
                    value,
                    priority,
                    ready: None,
                    heartbeat: None,
                };
                (at("/campaign"), text(&request))
            }
        }
    }

    /// Somebody else has it, and it was not waited for any longer.
    pub(super) fn busy(&self, holder: Option<&Holder>) -> Refusal {
        let names = self.what.names();
        let by = holder
            .map_or_else(|| "held by somebody else".to_owned(), |holder| format!("held by {}", who(holder)));
        Refusal::new(
            Exit::BUSY,
            match self.wait {
                None | Some(Duration::ZERO) => format!("{names} is {by}"),
                Some(limit) => {
                    format!("waited {} for {names} in vain: it is {by}", humantime::format_duration(limit))
                }
            },
        )
    }
}

fn text(request: &impl Serialize) -> String {
    // Strings and numbers always encode.
    serde_json::to_string(request).unwrap_or_default()
}

/// Who runs this, for people.
pub(super) fn user() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user.unwrap_or_else(|_| format!("uid{}", rustix::process::getuid().as_raw()));
    format!("{user}@{host}")
}
