//! What must be so between several records: nobody beside a writer, sets all at once, slots within the limit.

use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use lease::protocol::Slot;
use lease::store::{Body, Entry, Revision};

use super::Wrote;
use super::records;
use crate::profile::permits;

/// Which records there are.
#[derive(Default)]
pub struct Together {
    /// Readers' and slots' keys that are held, by name, with their revisions.
    there: BTreeMap<String, BTreeMap<String, Revision>>,
    /// The token of whoever holds alone, by the record's key, with the record's revision.
    alone: BTreeMap<String, (u64, Revision)>,
    /// When each token's record was written last, and its TTL.
    renewed: BTreeMap<u64, (Duration, Duration)>,
}

impl Together {
    /// `batch` has the keys of the batch that the write belongs to.
    pub fn wrote(&mut self, wrote: &Wrote<'_>, batch: &BTreeSet<String>) -> Option<String> {
        let key = wrote.entry.key.as_str();
        if key.starts_with("data.") {
            // What a guarded value says of its writer.
            let said: serde_json::Value = serde_json::from_slice(wrote.entry.value()?).ok()?;
            let (token, under) = (said["token"].as_u64(), said["under"].as_str().unwrap_or_default());
            let alone = self.alone.get(under).map(|(token, _)| *token);
            return (alone.is_none() || alone != token)
                .then(|| format!("{} wrote {key} under {token:?}, and {under} is {alone:?}'s", wrote.by));
        }
        let name = records::name(key).filter(|_| records::is_record(key))?;
        let slot = Slot::of(Some(wrote.entry));
        self.alone.remove(key);
        if let Slot::Taken { record, revision, .. } = &slot
            && !record.reserved
        {
            let token = record.token_at(*revision).get();
            self.alone.insert(key.to_owned(), (token, *revision));
            self.renewed.insert(token, (wrote.at, Duration::from_millis(record.ttl_ms)));
        }
        if key.starts_with("elect.") {
            return None;
        }
        if !key.starts_with("lock.") {
            let there = self.there.entry(name.to_owned()).or_default();
            match (&wrote.entry.body, &slot) {
                (Body::Put(_), Slot::Taken { record, .. }) if !record.reserved => {
                    there.insert(key.to_owned(), wrote.entry.revision);
                }
                _ => {
                    there.remove(key);
                }
            }
            let most = if key.starts_with("sem.") { permits(name) as usize } else { usize::MAX };
            return (there.len() > most).then(|| format!("{} permits of {name} are held", there.len()));
        }
        match slot {
            Slot::Taken { record, .. } if !record.reserved => {
                let readers = self.there.get(name).filter(|there| !there.is_empty());
                if let Some(readers) = readers {
                    let readers: Vec<&str> = readers.keys().map(String::as_str).collect();
                    return Some(format!("{} holds {name} beside {}", record.owner, readers.join(" ")));
                }
                let missing = record
                    .with
                    .iter()
                    .find(|other| record.token.is_none() && !batch.contains(&format!("lock.{other}")));
                missing.map(|other| format!("{} was granted {name} without {other}", record.owner))
            }
            // Whoever reads is listed.
            Slot::Shared { record, .. } => {
                let listed =
                    |key: &&String| !record.readers.iter().any(|id| **key == format!("read.{name}.{id}"));
                let unlisted = self.there.get(name).and_then(|there| there.keys().find(listed));
                unlisted.map(|key| format!("{key} reads and was taken off the list"))
            }
            _ => None,
        }
    }

    /// An observer is shown this token's holder as leading, for so long.
    pub fn shown(&self, at: Duration, token: u64, valid_for: Duration) -> Option<String> {
        let Some((renewed, ttl)) = self.renewed.get(&token) else {
            return Some("nobody has that token".into());
        };
        (at + valid_for > *renewed + *ttl).then(|| {
            format!("for {valid_for:?}, though it renewed last {:?} ago, for {ttl:?}", at - *renewed)
        })
    }

    pub fn expired(&mut self, entry: &Entry) {
        if self.alone.get(&entry.key).is_some_and(|(_, revision)| *revision == entry.revision) {
            self.alone.remove(&entry.key);
        }
        if let Some(there) = records::name(&entry.key).and_then(|name| self.there.get_mut(name)) {
            there.retain(|key, revision| *key != entry.key || *revision != entry.revision);
        }
    }

    /// Everything from this revision on is gone.
    pub fn emptied(&mut self, from: Revision) {
        for there in self.there.values_mut() {
            there.retain(|_, revision| *revision < from);
        }
        self.alone.retain(|_, (_, revision)| *revision < from);
    }
}
