//! What the store held when: for reads that are answered by a server that was left behind, and for the checks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lease::store::{Entry, Revision};

/// How old a read may be: the longest that a cut-off leader goes on believing in itself.
pub const OLDEST: Duration = Duration::from_secs(16);

/// Of what is kept in the bucket, only places in line last that long and have a marker that goes before they would.
const PLACE_SECS: u64 = 24 * 3_600;

struct Kept {
    entry: Entry,
    from: Duration,
    until: Option<Duration>,
}

/// Every state of every key, by real time.
#[derive(Default)]
pub struct History {
    keys: BTreeMap<String, Vec<Kept>>,
    /// By the store's own clock, as the store does it: it expires only what it is asked after.
    expiry: BTreeSet<(Duration, String, Revision)>,
    /// The newest revision that the bucket has given out, and how many there were.
    newest: Revision,
    given: u64,
}

impl History {
    /// Removes what the store's clock says has expired, and returns it.
    pub fn expire(&mut self, store_now: Duration, now: Duration) -> Vec<Entry> {
        let mut gone = Vec::new();
        while self.expiry.first().is_some_and(|(at, ..)| *at <= store_now) {
            if let Some((_, key, revision)) = self.expiry.pop_first()
                && let Some(entry) = self.current(&key).filter(|entry| entry.revision == revision).cloned()
            {
                self.remove(&key, now);
                gone.push(entry);
            }
        }
        gone
    }

    /// Takes note of a write.
    pub fn wrote(&mut self, entry: &Entry, store_now: Duration, now: Duration) {
        self.remove(&entry.key, now);
        self.newest = entry.revision;
        self.given += 1;
        if entry.ttl_secs > 0 {
            let at = store_now + Duration::from_secs(entry.ttl_secs);
            self.expiry.insert((at, entry.key.clone(), entry.revision));
        }
        let kept = self.keys.entry(entry.key.clone()).or_default();
        kept.push(Kept { entry: entry.clone(), from: now, until: None });
        if kept.len() > 64 {
            kept.retain(|kept| kept.until.is_none_or(|until| until + OLDEST >= now));
        }
    }

    /// Takes note of a key's removal without a write.
    pub fn remove(&mut self, key: &str, now: Duration) {
        if let Some(last) = self.keys.get_mut(key).and_then(|kept| kept.last_mut())
            && last.until.is_none()
        {
            last.until = Some(now);
        }
    }

    /// The newest revision that the bucket has given out, and how many there were.
    pub fn newest(&self) -> (Revision, u64) {
        (self.newest, self.given)
    }

    /// Everything is gone, or everything from a revision on.
    pub fn forget_from(&mut self, revision: Revision, now: Duration) {
        self.given = if revision == 0 {
            0
        } else {
            self.given.saturating_sub((self.newest + 1).saturating_sub(revision))
        };
        self.newest = revision.saturating_sub(1);
        for kept in self.keys.values_mut().filter_map(|kept| kept.last_mut()) {
            if kept.entry.revision >= revision && kept.until.is_none() {
                kept.until = Some(now);
            }
        }
    }

    /// What is there now.
    pub fn current(&self, key: &str) -> Option<&Entry> {
        self.keys.get(key)?.last().filter(|kept| kept.until.is_none()).map(|kept| &kept.entry)
    }

    /// What was there then.
    pub fn at(&self, key: &str, then: Duration) -> Option<&Entry> {
        Self::then(self.keys.get(key)?, then)
    }

    /// What was there then under this revision.
    pub fn revision(&self, revision: Revision, then: Duration) -> Option<&Entry> {
        self.keys.values().filter_map(|kept| Self::then(kept, then)).find(|entry| entry.revision == revision)
    }

    /// What was there then and matches, by revision.
    pub fn matching(&self, filter: &str, then: Duration) -> Vec<Entry> {
        let mut found: Vec<Entry> = self
            .keys
            .iter()
            .filter(|(key, _)| matches(filter, key))
            .filter_map(|(_, kept)| Self::then(kept, then).cloned())
            .collect();
        found.sort_by_key(|entry| entry.revision);
        found
    }

    /// Places that were given up, whose markers have expired: what a server that came back from a crash shows as if it
    /// were there, for as long as such an entry lasts (measured on 2.12.8). By revision.
    pub fn ghosts(&self, filter: &str) -> Vec<Entry> {
        let gone = |kept: &&Vec<Kept>| kept.last().is_some_and(|kept| kept.until.is_some());
        let place = |kept: &Vec<Kept>| {
            kept.iter().rev().map(|kept| &kept.entry).find(|entry| entry.ttl_secs >= PLACE_SECS).cloned()
        };
        let lines = self.keys.iter().filter(|(key, _)| matches(filter, key)).map(|(_, kept)| kept);
        let mut ghosts: Vec<Entry> = lines.filter(gone).filter_map(place).collect();
        ghosts.sort_by_key(|entry| entry.revision);
        ghosts
    }

    /// Everything that is there now.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.keys
            .values()
            .filter_map(|kept| kept.last())
            .filter(|kept| kept.until.is_none())
            .map(|kept| &kept.entry)
    }

    fn then(kept: &[Kept], then: Duration) -> Option<&Entry> {
        let kept = kept.iter().rev().find(|kept| kept.from <= then)?;
        kept.until.is_none_or(|until| then < until).then_some(&kept.entry)
    }
}

/// Subjects of NATS, as far as the library uses them: a literal, or one with `*` for whole tokens.
fn matches(filter: &str, key: &str) -> bool {
    let (mut wanted, mut given) = (filter.split('.'), key.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}
