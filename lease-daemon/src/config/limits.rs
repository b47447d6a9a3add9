//! `[limits]`: what can be used up, and by how much.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Wrong;
use crate::wire::Span;

/// The bounds. What is left out is computed from the others by `settle`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Connections at a time; each costs two open files.
    pub connections: u32,
    /// Connections of one user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_user: Option<u32>,
    /// Requests that wait for a grant. Each has a connection of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiters: Option<u32>,
    /// Waiting requests of one user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiters_per_user: Option<u32>,
    /// Requests that wait for one name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiters_per_name: Option<u32>,
    /// Open watches. Each has a connection of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watches: Option<u32>,
    /// Open watches of one user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watches_per_user: Option<u32>,
    /// Leases that are held.
    pub leases: u32,
    /// Leases that are held by one user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leases_per_user: Option<u32>,
    /// The longest head of a request, with its path and headers, in bytes.
    pub head_bytes: u32,
    /// The longest body of a request, in bytes.
    pub body_bytes: u32,
    /// How long a request's head may take to arrive, and a connection may be idle between two requests.
    pub head_within: Span,
    /// How long a request's body may take to arrive.
    pub body_within: Span,
    /// How long a client may leave unread what it asked for, but for the news of what it holds.
    pub unread_within: Span,
}

const KIB: u32 = 1024;
const MAX_CONNECTIONS: u32 = 16_384;
const MAX_LEASES: u32 = 100_000;
const MAX_WATCHES: u32 = 4096;
const MAX_BYTES: u32 = 1024 * KIB;
/// Less is not enough for the HTTP library's own buffer.
const MIN_HEAD: u32 = 8 * KIB;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1024,
            connections_per_user: None,
            waiters: None,
            waiters_per_user: None,
            waiters_per_name: None,
            watches: None,
            watches_per_user: None,
            leases: 10_000,
            leases_per_user: None,
            head_bytes: 64 * KIB,
            body_bytes: 64 * KIB,
            head_within: Duration::from_secs(10).into(),
            body_within: Duration::from_secs(10).into(),
            unread_within: Duration::from_secs(30).into(),
        }
    }
}

/// A share of something, at least one.
fn eighths(share: u32, of: u32) -> u32 {
    (of / 8 * share).max(1)
}

impl Limits {
    /// The default, settled.
    pub fn usual() -> Limits {
        let mut limits = Limits::default();
        limits.settle();
        limits
    }

    /// Fills in what was left out: waiters and watches leave an eighth of the connections to others, so that a renewal gets
    /// through; a user leaves an eighth to other users, and a name more of the waiters to other names.
    pub(super) fn settle(&mut self) {
        self.connections_per_user.get_or_insert(eighths(7, self.connections));
        let waiters = *self.waiters.get_or_insert(eighths(5, self.connections));
        self.waiters_per_user.get_or_insert(eighths(7, waiters));
        self.waiters_per_name.get_or_insert(eighths(6, waiters));
        let watches = *self.watches.get_or_insert(eighths(2, self.connections).min(MAX_WATCHES));
        self.watches_per_user.get_or_insert(eighths(7, watches));
        self.leases_per_user.get_or_insert(eighths(7, self.leases));
    }

    /// Serves no more connections than these; of what each needs one for, there is no more than such a number leaves room for.
    pub fn shrink_to(&mut self, connections: u32) {
        let mut most = Limits { connections, ..Limits::default() };
        most.settle();
        let less = |bound: &mut Option<u32>, most: Option<u32>| *bound = (*bound).min(most).or(most);
        self.connections = connections;
        less(&mut self.connections_per_user, most.connections_per_user);
        less(&mut self.waiters, most.waiters);
        less(&mut self.waiters_per_user, most.waiters_per_user);
        less(&mut self.waiters_per_name, most.waiters_per_name);
        less(&mut self.watches, most.watches);
        less(&mut self.watches_per_user, most.watches_per_user);
    }

    pub(super) fn check(&self) -> Result<(), Wrong> {
        Wrong::unless_within("limits.connections", &self.connections, &16, &MAX_CONNECTIONS)?;
        Wrong::unless_within("limits.leases", &self.leases, &1, &MAX_LEASES)?;
        for (key, part, whole_key, whole) in [
            ("limits.connections-per-user", self.connections_per_user, "connections", self.connections),
            ("limits.waiters", self.waiters, "connections", self.connections - 1),
            ("limits.waiters-per-user", self.waiters_per_user, "waiters", or_whole(self.waiters)),
            ("limits.waiters-per-name", self.waiters_per_name, "waiters", or_whole(self.waiters)),
            ("limits.watches", self.watches, "connections", (self.connections - 1).min(MAX_WATCHES)),
            ("limits.watches-per-user", self.watches_per_user, "watches", or_whole(self.watches)),
            ("limits.leases-per-user", self.leases_per_user, "leases", self.leases),
        ] {
            let Some(part) = part else { continue };
            if !(1..=whole).contains(&part) {
                let why = format!("allowed is 1 to {whole}, because of limits.{whole_key}");
                return Err(Wrong::new(key, part, why));
            }
        }
        let (waiters, watches) = (or_whole(self.waiters), or_whole(self.watches));
        if waiters.saturating_add(watches) >= self.connections {
            let why = format!(
                "with limits.watches = {watches} they could take all {} connections (limits.connections), and no renewal \
                 would get through",
                self.connections
            );
            return Err(Wrong::new("limits.waiters", waiters, why));
        }
        Wrong::unless_within("limits.head-bytes", &self.head_bytes, &MIN_HEAD, &MAX_BYTES)?;
        Wrong::unless_within("limits.body-bytes", &self.body_bytes, &KIB, &MAX_BYTES)?;
        let (least, most) = (Duration::from_millis(100).into(), Duration::from_secs(3600).into());
        Wrong::unless_within("limits.head-within", &self.head_within, &least, &most)?;
        Wrong::unless_within("limits.body-within", &self.body_within, &least, &most)?;
        Wrong::unless_within("limits.unread-within", &self.unread_within, &least, &most)
    }
}

/// Everything is settled when it is checked.
fn or_whole(bound: Option<u32>) -> u32 {
    bound.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_connections_leave_room_for_those_that_neither_wait_nor_watch() {
        let mut limits = Limits { waiters: Some(20), ..Limits::default() };
        limits.settle();
        limits.shrink_to(480);
        assert_eq!(limits.check(), Ok(()));
        let seen = (limits.connections, limits.connections_per_user, limits.waiters, limits.watches);
        assert_eq!(seen, (480, Some(420), Some(20), Some(120)));
        let mut usual = Limits::usual();
        usual.shrink_to(480);
        assert_eq!((usual.check(), usual.waiters, usual.waiters_per_name), (Ok(()), Some(300), Some(222)));
    }
}
