//! What the auditor read: every revision, and where some may be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included};

use serde_json::Value;

use super::operation::Mark;

/// A revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// When it was read.
    pub at: Mark,
    /// Its number.
    pub revision: u64,
    /// Its key.
    pub key: String,
    /// Microseconds of the server's wall clock.
    pub written_us: u64,
    /// Whether it is a deletion.
    pub is_deletion: bool,
    /// Its TTL; 0 for none.
    pub ttl_secs: u64,
    /// Its value, if it is JSON.
    pub value: Option<Value>,
}

impl Revision {
    /// When the store removes it by itself, in microseconds of its wall clock; never, without a TTL.
    pub fn expires_us(&self) -> Option<u64> {
        (self.ttl_secs > 0).then(|| self.written_us.saturating_add(self.ttl_secs.saturating_mul(1_000_000)))
    }

    /// When the store wrote it, on `CLOCK_BOOTTIME`, which its wall clock was so far ahead of.
    pub fn written_ns(&self, ahead_ns: u64) -> u64 {
        self.written_us.saturating_mul(1_000).saturating_sub(ahead_ns)
    }

    /// When it ends unless it is written again, counted from when it was read; never, without a TTL.
    pub fn ends_ns(&self) -> u64 {
        let lives_ns = self.ttl_secs.saturating_mul(1_000_000_000);
        if lives_ns == 0 { u64::MAX } else { self.at.at_ns.saturating_add(lives_ns) }
    }

    /// Whose attempt it is of, also where that gave it back.
    pub fn attempt(&self) -> Option<&str> {
        self.text("attempt")
    }

    /// What is waited for in the line that its key is a place in, if it is one.
    pub fn line(&self) -> Option<&str> {
        Some(self.key.strip_prefix("line.")?.rsplit_once('.')?.0)
    }

    /// A field of its value that is a text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.value.as_ref()?.get(field)?.as_str()
    }

    /// Whether it bears the mark of somebody who breaks it by force.
    pub fn is_marked(&self) -> bool {
        self.value.as_ref().and_then(|value| value.get("broken")).is_some_and(|mark| !mark.is_null())
    }

    /// The token of the grant that went before it on its key, if it names one.
    pub fn previous_token(&self) -> Option<u64> {
        self.value.as_ref()?.get("previous")?.get("token")?.as_u64()
    }

    /// The record, if it is one that an attempt holds or that is kept free for one.
    pub fn record(&self) -> Option<Record<'_>> {
        let is_record =
            ["lock.", "elect.", "sem.", "read.", "group."].iter().any(|it| self.key.starts_with(it));
        let value = self.value.as_ref().filter(|_| is_record && !self.is_deletion)?;
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
        let list = |field: &str| -> Vec<&str> {
            let items = value.get(field).and_then(Value::as_array);
            items.into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let record = Record {
            attempt: text("attempt"),
            holder: text("holder"),
            owner: text("owner"),
            token: value.get("token").and_then(Value::as_u64),
            previous_token: self.previous_token(),
            is_reserved: value.get("reserved").and_then(Value::as_bool).unwrap_or(false),
            readers: list("readers"),
            is_set: !list("with").is_empty(),
        };
        (!record.attempt.is_empty() || !record.readers.is_empty()).then_some(record)
    }
}

/// What matters of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The attempt's nonce.
    pub attempt: &'a str,
    /// The holding process.
    pub holder: &'a str,
    /// Who the holder says it is.
    pub owner: &'a str,
    /// The token; absent in the granting write.
    pub token: Option<u64>,
    /// The token of the grant that went before it on this key, if it names one.
    pub previous_token: Option<u64>,
    /// Kept free for the attempt, which does not hold.
    pub is_reserved: bool,
    /// The readers of a shared lock.
    pub readers: Vec<&'a str>,
    /// Granted together with others.
    pub is_set: bool,
}

/// Everything the auditor read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audit {
    /// In the order in which it was read.
    pub revisions: Vec<Revision>,
    /// The index in `revisions` of each number; the last, if there are several.
    pub by_number: BTreeMap<u64, usize>,
    /// The indices of revisions whose number was there before, with the index of that.
    pub twice: Vec<(usize, usize)>,
    /// From a number that may be missing to the first that was read again.
    pub gaps: Vec<(u64, u64)>,
    /// What remained at the end, and when that was read.
    pub remains: Option<(Mark, BTreeMap<String, u64>)>,
    /// All numbers in order.
    numbers: Vec<u64>,
    /// Those that were given twice.
    given_twice: BTreeSet<u64>,
}

impl Audit {
    /// Takes a revision.
    pub(super) fn read(&mut self, revision: Revision) {
        if let Some(gap) = self.gaps.last_mut().filter(|gap| gap.1 == u64::MAX) {
            gap.1 = revision.revision;
        }
        let index = self.revisions.len();
        if let Some(before) = self.by_number.insert(revision.revision, index) {
            // A consumer that was made anew may read again what had been read.
            let same = self.revisions.get(before).is_some_and(|it| {
                (&it.key, it.written_us, &it.value) == (&revision.key, revision.written_us, &revision.value)
            });
            if same {
                self.by_number.insert(revision.revision, before);
                return;
            }
            self.twice.push((index, before));
        }
        self.revisions.push(revision);
    }

    /// All has been read.
    pub(super) fn finish(&mut self) {
        self.numbers = self.by_number.keys().copied().collect();
        let given_twice = self.twice.iter().filter_map(|(again, _)| self.revisions.get(*again));
        self.given_twice = given_twice.map(|write| write.revision).collect();
    }

    /// What was written under a number before it was given again.
    pub fn earlier(&self, number: u64) -> Vec<&Revision> {
        let before = self.twice.iter().filter_map(|(_, before)| self.revisions.get(*before));
        before.filter(|it| it.revision == number).collect()
    }

    /// The revision of this number.
    pub fn get(&self, number: u64) -> Option<&Revision> {
        self.by_number.get(&number).and_then(|index| self.revisions.get(*index))
    }

    /// In the order of their numbers.
    pub fn in_order(&self) -> impl Iterator<Item = &Revision> {
        self.by_number.values().filter_map(|index| self.revisions.get(*index))
    }

    /// Of each key, in the order of their numbers.
    pub fn by_key(&self) -> BTreeMap<&str, Vec<&Revision>> {
        let mut keys: BTreeMap<&str, Vec<&Revision>> = BTreeMap::new();
        for write in self.in_order() {
            keys.entry(&write.key).or_default().push(write);
        }
        keys
    }

    /// The number that was read first after this moment, or the highest there can be.
    pub fn first_read_after(&self, at_ns: u64) -> u64 {
        let after = self.revisions.partition_point(|it| it.at.at_ns <= at_ns);
        self.revisions.get(after).map_or(u64::MAX, |it| it.revision)
    }

    /// For how long at most, from `from` to `to`, nothing was read: the store took no write.
    pub fn longest_silence(&self, from: u64, to: u64) -> u64 {
        let begin = self.revisions.partition_point(|it| it.at.at_ns < from);
        let read = self.revisions.iter().skip(begin).map(|it| it.at.at_ns).take_while(|at| *at < to);
        let (mut last, mut longest) = (from, 0);
        for at in read.chain([to]) {
            longest = longest.max(at.saturating_sub(last));
            last = at;
        }
        longest
    }

    /// Those between these two numbers, in their order.
    pub fn between(&self, low: u64, high: u64) -> impl Iterator<Item = &Revision> {
        let range = (low < high).then(|| self.by_number.range((Excluded(low), Excluded(high))));
        range.into_iter().flatten().filter_map(|(_, index)| self.revisions.get(*index))
    }

    /// In the order of their numbers, each with whether something may have been missed directly before it.
    pub fn walk(&self) -> impl Iterator<Item = (bool, &Revision)> {
        let mut number = 0;
        self.in_order().map(move |write| {
            let before = std::mem::replace(&mut number, write.revision);
            (self.may_miss_between(before, write.revision), write)
        })
    }

    /// Whether this number may be missing without fault: the auditor said so, or had not come so far, or began later.
    pub fn may_miss(&self, number: u64) -> bool {
        let outside = self.numbers.first().is_none_or(|first| number < *first)
            || self.numbers.last().is_none_or(|last| number > *last);
        outside || self.gaps.iter().any(|(from, to)| (*from..*to).contains(&number))
    }

    /// Whether what was written from the one number to the other is not known for sure: the auditor said that it may have
    /// missed some, or the store gave one twice, and who goes by numbers sees only the later write.
    pub fn may_miss_between(&self, low: u64, high: u64) -> bool {
        let given_twice =
            low < high && self.given_twice.range((Excluded(low), Included(high))).next().is_some();
        given_twice || self.gaps.iter().any(|(from, to)| *from < high && low < *to)
    }

    /// Whether every number between these two was read.
    pub fn saw_all_between(&self, low: u64, high: u64) -> bool {
        let position = |number| self.numbers.partition_point(|it| *it < number);
        let seen = position(high).saturating_sub(position(low.saturating_add(1)));
        seen as u64 == high.saturating_sub(low).saturating_sub(1)
    }
}
