//! The entries: the newest of each key, found by key, by revision and by the moment of their expiry.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use crate::ambient::Moment;
use crate::name::matches;
use crate::store::{Body, Entry, Page, Revision};

/// How many entries a page of a scan holds at most.
const PAGE: usize = 256;

/// Entries, with history 1. The three tables always agree.
pub(super) struct Shelf {
    /// What the next write's revision will be.
    next: Revision,
    entries: BTreeMap<Revision, Kept>,
    keys: BTreeMap<String, Revision>,
    /// Entries with a TTL, the first to go first: expiry costs what has expired, not what is kept.
    expiry: BTreeSet<(Moment, Revision)>,
}

struct Kept {
    entry: Entry,
    expires: Option<Moment>,
}

impl Shelf {
    pub(super) fn new(first: Revision) -> Shelf {
        Shelf { next: first, entries: BTreeMap::new(), keys: BTreeMap::new(), expiry: BTreeSet::new() }
    }

    pub(super) fn next_revision(&self) -> Revision {
        self.next
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The key's revision, 0 if it is absent. A marker counts.
    pub(super) fn revision(&self, key: &str) -> Revision {
        self.keys.get(key).copied().unwrap_or(0)
    }

    /// Writes without asking; comparing is the caller's business.
    pub(super) fn put(&mut self, key: &str, body: &Body, ttl_secs: u64, now: Moment, wall: u64) -> Entry {
        self.remove(key);
        let revision = self.next;
        self.next += 1;
        let expires = (ttl_secs > 0).then(|| now + Duration::from_secs(ttl_secs));
        let entry =
            Entry { key: key.to_owned(), revision, body: body.clone(), ttl_secs, written_micros: wall };
        self.expiry.extend(expires.map(|at| (at, revision)));
        self.keys.insert(key.to_owned(), revision);
        self.entries.insert(revision, Kept { entry: entry.clone(), expires });
        entry
    }

    /// Removes the key's entry, if there is one.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let revision = self.revision(key);
        self.take(revision)
    }

    /// Removes what has reached the end of its TTL.
    pub(super) fn expire(&mut self, now: Moment) {
        while self.expiry.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, revision)) = self.expiry.pop_first() {
                self.take(revision);
            }
        }
    }

    /// Takes the last `by` revisions back, with the entries they made.
    pub(super) fn regress(&mut self, by: u64) {
        self.next = self.next.saturating_sub(by).max(1);
        let lost: Vec<Revision> = self.entries.range(self.next..).map(|(revision, _)| *revision).collect();
        for revision in lost {
            self.take(revision);
        }
    }

    pub(super) fn read(&self, key: &str) -> Option<Entry> {
        self.at(self.revision(key))
    }

    pub(super) fn at(&self, revision: Revision) -> Option<Entry> {
        self.entries.get(&revision).map(|kept| kept.entry.clone())
    }

    pub(super) fn last(&self, filter: &str) -> Option<Entry> {
        self.at(self.matching(filter).max()?)
    }

    pub(super) fn first(&self, filter: &str) -> Option<Entry> {
        self.at(self.matching(filter).min()?)
    }

    /// Pages are cut by revision, so a key that is rewritten between two of them is found again further on.
    pub(super) fn scan(&self, filter: &str, from: Revision) -> Page {
        let mut revisions: Vec<Revision> =
            self.matching(filter).filter(|revision| *revision >= from).collect();
        revisions.sort_unstable();
        let next = revisions.get(PAGE).copied();
        revisions.truncate(PAGE);
        Page { entries: revisions.into_iter().filter_map(|revision| self.at(revision)).collect(), next }
    }

    /// Revisions of the keys that match. Only keys that share the filter's literal beginning are looked at: a line
    /// is read by a filter of its own, and there are many lines.
    fn matching<'a>(&'a self, filter: &'a str) -> impl Iterator<Item = Revision> + 'a {
        let start = literal_beginning(filter);
        self.keys
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(start))
            .filter(move |(key, _)| matches(filter, key))
            .map(|(_, revision)| *revision)
    }

    /// The one way out of the tables.
    fn take(&mut self, revision: Revision) -> bool {
        let Some(kept) = self.entries.remove(&revision) else { return false };
        self.keys.remove(&kept.entry.key);
        if let Some(at) = kept.expires {
            self.expiry.remove(&(at, revision));
        }
        true
    }

    /// How many rows each table has, for tests of their bounds and their agreement.
    #[cfg(test)]
    pub(super) fn rows(&self) -> [usize; 3] {
        [self.entries.len(), self.keys.len(), self.expiry.len()]
    }
}

/// What every key that matches begins with. A wildcard is a token of its own, so cutting at its byte is exact.
fn literal_beginning(filter: &str) -> &str {
    filter.split(['*', '>']).next().unwrap_or_default()
}
