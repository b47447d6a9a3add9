//! At most one believes, at any moment, each by its own clock; and nobody believes what the store does not say.
//!
//! A paused process cannot act on its belief, but what counts is what it would be told if it asked at this moment:
//! its clock runs on, so its belief must end in time as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lease::store::Entry;
use lease::{Lease, Status};

use super::records;

struct Believer {
    attempt: String,
    lease: Weak<Lease>,
    token: u64,
}

/// Who has a lease in hand.
#[derive(Default)]
pub struct Belief {
    names: BTreeMap<String, Vec<Believer>>,
    /// How many names are in more than one hand.
    crowded: usize,
    /// What [`Belief::overlap`] has found so far.
    found: BTreeSet<String>,
}

impl Belief {
    /// A lease reached its user. Whether it is believed in.
    pub fn told(&mut self, attempt: &str, lease: &Arc<Lease>) -> bool {
        let name = self.names.entry(lease.name().to_owned()).or_default();
        name.retain(|believer| believer.lease.strong_count() > 0);
        let token = lease.token().get();
        name.push(Believer { attempt: attempt.to_owned(), lease: Arc::downgrade(lease), token });
        self.count();
        believed(lease)
    }

    /// A user gave its lease back, or dropped it after a loss.
    pub fn over(&mut self, name: &str, attempt: &str) {
        if let Some(believers) = self.names.get_mut(name) {
            believers.retain(|believer| believer.attempt != attempt && believer.lease.strong_count() > 0);
        }
        self.count();
    }

    fn count(&mut self) {
        self.crowded = self.names.values().filter(|believers| believers.len() > 1).count();
    }

    /// Two who believe in the same at this moment; each pair once. A grant that was removed by force, at once, is void.
    pub fn overlap(&mut self, voided: &BTreeMap<u64, Duration>) -> Option<String> {
        if self.crowded == 0 {
            return None;
        }
        for (name, believers) in &self.names {
            let now: Vec<&str> = believers
                .iter()
                .filter(|it| !voided.contains_key(&it.token))
                .filter(|it| it.lease.upgrade().is_some_and(|lease| believed(&lease)))
                .map(|it| it.attempt.as_str())
                .collect();
            if now.len() > 1 {
                let what = format!("{name} is held by {}", now.join(" and by "));
                if self.found.insert(what.clone()) {
                    return Some(what);
                }
            }
        }
        None
    }

    /// A record has changed, or gone: whoever believes must be the one it names. Who was granted by an
    /// earlier bucket than the one whose first revision is given is excused: deleting a bucket is a deliberate exception.
    pub fn unbacked(
        &self,
        key: &str,
        record: Option<&Entry>,
        first: u64,
        voided: &BTreeMap<u64, Duration>,
    ) -> Option<String> {
        let name = key.strip_prefix("lock.")?;
        let owner = record.and_then(records::owner);
        for it in
            self.names.get(name)?.iter().filter(|it| it.token >= first && !voided.contains_key(&it.token))
        {
            let believes = it.lease.upgrade().is_some_and(|lease| believed(&lease));
            if believes && owner.as_deref() != Some(&it.attempt) {
                let now = owner.as_deref().unwrap_or("nobody");
                return Some(format!("{} believes in {name}, which is {now}'s now", it.attempt));
            }
        }
        None
    }
}

fn believed(lease: &Lease) -> bool {
    matches!(lease.status(), Status::Held | Status::Jeopardy)
}
