//! No resurrection: who may write over which record. Read from the store alone.

use lease::protocol::{End, Record, Slot};
use lease::store::Entry;

use super::Wrote;

/// How something is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Alone,
    Shared,
    Slot,
}

/// One thing that a grant holds.
#[derive(Clone, Debug)]
pub struct Holding {
    pub name: String,
    /// Its record.
    pub key: String,
    pub token: u64,
    pub share: Share,
}

impl Holding {
    pub fn new(name: String, key: String, token: u64) -> Holding {
        let share = match key.split('.').next() {
            Some("read" | "group") => Share::Shared,
            Some("sem") => Share::Slot,
            _ => Share::Alone,
        };
        Holding { name, key, token, share }
    }

    /// What its tokens are in order of: the name, and for a semaphore the slot.
    pub fn of(&self) -> String {
        if self.share == Share::Slot { self.key.clone() } else { self.name.clone() }
    }
}

/// The name that a record's key is for.
pub fn name(key: &str) -> Option<&str> {
    match key.split_once('.')? {
        ("lock" | "elect", name) => Some(name),
        ("read" | "sem" | "group", rest) => rest.rsplit_once('.').map(|(name, _)| name),
        _ => None,
    }
}

/// Whether this key is a record's.
pub fn is_record(key: &str) -> bool {
    name(key).is_some() && !key.ends_with(".limit")
}

/// The slack that is in use in all runs, in seconds.
const SLACK_SECS: u64 = 2;

/// The attempt that holds according to this record.
pub fn owner(entry: &Entry) -> Option<String> {
    grant(entry).map(|(owner, _)| owner)
}

/// The attempt that holds according to this record, and the token of its grant.
pub fn grant(entry: &Entry) -> Option<(String, u64)> {
    match Slot::of(Some(entry)) {
        Slot::Taken { record, revision, .. } if !record.reserved => {
            let token = record.token_at(revision).get();
            Some((record.owner, token))
        }
        _ => None,
    }
}

/// The token of the grant that this write breaks by force, and whether it removes it at once.
pub fn broken(wrote: &Wrote<'_>) -> Option<(u64, bool)> {
    wrote.entry.key.strip_prefix("lock.")?;
    match (Slot::of(wrote.before), Slot::of(Some(wrote.entry))) {
        (Slot::Taken { record: was, revision, .. }, Slot::Taken { record, .. }) => {
            let marks = record.broken.is_some() && was.broken.is_none();
            marks.then(|| (was.token_at(revision).get(), false))
        }
        (Slot::Taken { record: was, revision, .. }, Slot::Free { previous: Some(previous), by, .. }) => {
            let removes = previous.why == End::Broken && by.is_some_and(|by| by.is_empty());
            removes.then(|| (was.token_at(revision).get(), true))
        }
        _ => None,
    }
}

/// What is wrong with this write to a record, if anything.
pub fn transition(wrote: &Wrote<'_>) -> Option<String> {
    let name = Some(wrote.entry.key.as_str()).filter(|key| is_record(key))?;
    let is_reader = name.starts_with("read.");
    let (old, new) = (Slot::of(wrote.before), Slot::of(Some(wrote.entry)));
    let by = wrote.by.to_string();
    let mine = |record: &Record| record.owner.starts_with(&format!("{by}/"));
    if let Slot::Taken { record, ttl_secs, .. } = &new
        && !record.reserved
    {
        let ttl = record.ttl_ms.div_ceil(1_000) + SLACK_SECS;
        if *ttl_secs != ttl {
            return Some(format!(
                "{}'s record of {name} has a TTL of {ttl_secs} s instead of {ttl} s",
                record.owner
            ));
        }
        if !mine(record) && record.broken.is_none() {
            return Some(format!("{by} wrote a record for {}", record.owner));
        }
    }
    let (was, old_token) = match &old {
        Slot::Free { .. } => (None, None),
        Slot::Taken { record, revision, .. } => (Some(record), Some(record.token_at(*revision))),
        // Who may follow readers is for another check.
        Slot::Shared { .. } => (None, None),
        Slot::Foreign { .. } => {
            return Some(format!("{by} wrote over an unreadable record of {name}"));
        }
    };
    match (was, &new) {
        (Some(was), Slot::Taken { record, .. })
            if was.broken.is_some() && record.broken.is_none() && !record.reserved =>
        {
            Some(format!("{by} wrote over the mark on {}'s broken grant of {name}", was.owner))
        }
        (Some(was), Slot::Free { .. }) if broken(wrote).is_some() => {
            was.reserved.then(|| format!("{by} broke the reservation of {name} for {}", was.owner))
        }
        (None, Slot::Taken { record, .. }) if record.reserved => {
            Some(format!("{by} reserved {name}, which was free, for {}", record.owner))
        }
        (None, Slot::Taken { record, .. }) => {
            record.token.map(|_| format!("{} renewed a record of {name} that was gone", record.owner))
        }
        // The proof that a reader has gone.
        (None, Slot::Free { .. }) if is_reader => None,
        (Some(was), Slot::Shared { .. }) if !was.reserved => {
            Some(format!("{by} let readers in beside {} to {name}", was.owner))
        }
        (_, Slot::Shared { .. }) => None,
        (None, Slot::Free { .. }) => Some(format!("{by} deleted the record of {name}, which was free")),
        // Kept free for a waiter that was granted it meanwhile and is giving it back: it may hand this on as well.
        (Some(was), Slot::Taken { record, .. }) if was.reserved && record.reserved => {
            (!mine(was)).then(|| format!("{by} handed on {name}, which was reserved for {}", was.owner))
        }
        (Some(was), Slot::Taken { record, .. }) if was.reserved => (record.attempt != was.attempt)
            .then(|| format!("{} took {name}, which was reserved for {}", record.owner, was.owner)),
        (Some(was), Slot::Free { .. }) => {
            (!mine(was)).then(|| format!("{by} deleted {}'s record of {name}", was.owner))
        }
        (Some(was), Slot::Taken { record, .. }) if record.reserved => {
            let named = record.previous.as_ref().map(|previous| previous.token);
            (!mine(was) || named != old_token)
                .then(|| format!("{by} handed over {}'s record of {name}", was.owner))
        }
        // A grant whose answer came too late is claimed again by the same attempt: nobody believed in it.
        (Some(was), Slot::Taken { record, .. })
            if record.attempt == was.attempt && record.token.is_none() =>
        {
            None
        }
        // A grant of several, written over a lock that its attempt took on the way.
        (Some(was), Slot::Taken { record, .. })
            if !record.with.is_empty() && record.owner == was.owner && record.token.is_none() =>
        {
            None
        }
        (Some(was), Slot::Taken { record, .. }) => (record.attempt != was.attempt
            || record.token != old_token)
            .then(|| format!("{} wrote over {}'s record of {name}", record.owner, was.owner)),
        (_, Slot::Foreign { .. }) => Some(format!("{by} wrote an unreadable record of {name}")),
    }
}
