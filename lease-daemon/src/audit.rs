//! The record of refusals: one line each, and few enough that nobody can fill a disk with them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lease::Moment;

use crate::app;
use crate::peer::Peer;
use crate::policy::Operation;

/// The most lines a user gets in each [`WINDOW`], so that one that is noisy does not hide another.
const MOST_LINES: u32 = 10;
/// How long a count lasts.
const WINDOW: Duration = Duration::from_secs(1);
/// The most users that are counted at a time; refusals of more get no line until a window is over.
const MOST_USERS: usize = 1024;

/// Who was refused how often lately.
#[derive(Debug, Default)]
pub struct Audit {
    users: Mutex<BTreeMap<u32, Count>>,
}

#[derive(Debug)]
struct Count {
    since: Moment,
    lines: u32,
    /// Refusals that got no line since the last that did.
    unlogged: u64,
}

impl Audit {
    /// Puts a refusal on record.
    pub fn denied(&self, peer: &Peer, operation: Operation, name: &str, why: &str) {
        let Some(unlogged) = self.line(peer.uid, app::now()) else { return };
        let (uid, gid, pid, operation) = (peer.uid, peer.gid, peer.pid, operation.as_str());
        tracing::warn!(target: "audit", uid, gid, pid, operation, name, why, unlogged, "denied");
    }

    /// Whether a line may be written about the user `uid`; if so, how many were not written before it.
    fn line(&self, uid: u32, now: Moment) -> Option<u64> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= MOST_USERS && !users.contains_key(&uid) {
            users.retain(|_, count| now.since(count.since) < WINDOW);
            if users.len() >= MOST_USERS {
                return None;
            }
        }
        let count = users.entry(uid).or_insert(Count { since: now, lines: 0, unlogged: 0 });
        if now.since(count.since) >= WINDOW {
            (count.since, count.lines) = (now, 0);
        }
        if count.lines >= MOST_LINES {
            count.unlogged = count.unlogged.saturating_add(1);
            return None;
        }
        count.lines += 1;
        Some(std::mem::take(&mut count.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noisy_user_gets_few_lines_and_takes_none_from_others() {
        let audit = Audit::default();
        let now = app::now();
        let lines = (0..1000).filter(|_| audit.line(1, now).is_some()).count();
        assert_eq!(lines, 10);
        assert_eq!(audit.line(2, now), Some(0));
        let later = now + WINDOW;
        assert_eq!((audit.line(1, later), audit.line(1, later)), (Some(990), Some(0)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let audit = Audit::default();
        let now = app::now();
        let lines = (0..5000).filter(|uid| audit.line(*uid, now).is_some()).count();
        assert_eq!((lines, audit.users.lock().unwrap().len()), (MOST_USERS, MOST_USERS));
        assert_eq!(audit.line(4999, now + WINDOW), Some(0));
    }
}
