//! What is asked for, and what is held, whoever gave it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{library, socket};
use crate::history::{Answer, Freed, Kind, Outcome};

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub kind: Kind,
    pub names: Vec<String>,
    pub limit: Option<u32>,
    pub ttl: Duration,
    /// Whether it is renewed; else it ends by its TTL.
    pub is_renewed: bool,
}

/// Why it was not granted.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub outcome: Outcome,
    pub detail: String,
}

impl Refusal {
    pub(super) fn new(outcome: Outcome, detail: String) -> Refusal {
        Refusal { outcome, detail }
    }
}

/// What is held.
#[derive(Debug)]
pub(super) enum Grant {
    Library(library::Granted),
    Socket(socket::Granted),
}

impl Grant {
    pub(super) fn tokens(&self) -> BTreeMap<String, u64> {
        match self {
            Grant::Library(granted) => granted.tokens(),
            Grant::Socket(granted) => granted.tokens(),
        }
    }

    pub(super) fn deadline_ns(&self) -> u64 {
        match self {
            Grant::Library(granted) => granted.deadline_ns(),
            Grant::Socket(granted) => granted.deadline_ns(),
        }
    }

    pub(super) fn is_held(&self) -> bool {
        match self {
            Grant::Library(granted) => granted.is_held(),
            Grant::Socket(granted) => granted.is_held(),
        }
    }

    pub(super) async fn lost(&self) -> String {
        match self {
            Grant::Library(granted) => granted.lost().await,
            Grant::Socket(granted) => granted.lost().await,
        }
    }

    pub(super) async fn renewed(&self, known_ns: u64) {
        match self {
            Grant::Library(granted) => granted.renewed(known_ns).await,
            Grant::Socket(granted) => granted.renewed(known_ns).await,
        }
    }

    pub(super) async fn put(&self, key: &str, value: &str) -> Answer {
        match self {
            Grant::Library(granted) => granted.put(key, value).await,
            Grant::Socket(granted) => granted.put(key, value).await,
        }
    }

    pub(super) async fn proclaim(&self, value: u64) {
        match self {
            Grant::Library(granted) => granted.proclaim(value).await,
            Grant::Socket(granted) => granted.proclaim(value).await,
        }
    }

    /// `None` if nobody says what became of it.
    pub(super) async fn release(self) -> Option<Freed> {
        match self {
            Grant::Library(granted) => Some(granted.release().await),
            Grant::Socket(granted) => granted.release().await,
        }
    }
}
