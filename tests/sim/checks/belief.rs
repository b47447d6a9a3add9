//! At most as many believe as may, at any moment, each by its own clock; and nobody believes what the store does not say.
//!
//! A paused process cannot act on its belief, but what counts is what it would be told if it asked at this moment:
//! its clock runs on, so its belief must end in time as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lease::store::Entry;

use super::records::{self, Holding, Share};
use crate::grant::Grant;
use crate::profile::permits;

struct Believer {
    attempt: String,
    grant: Weak<Grant>,
    holding: Holding,
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
    /// A grant reached its user.
    pub fn told(&mut self, attempt: &str, grant: &Arc<Grant>, holdings: &[Holding]) {
        for holding in holdings {
            let name = self.names.entry(holding.name.clone()).or_default();
            name.retain(|believer| believer.grant.strong_count() > 0);
            let (attempt, grant) = (attempt.to_owned(), Arc::downgrade(grant));
            name.push(Believer { attempt, grant, holding: holding.clone() });
        }
        self.count();
    }

    /// A user gave its grant back, or dropped it after a loss.
    pub fn over(&mut self, attempt: &str) {
        for believers in self.names.values_mut() {
            believers.retain(|believer| believer.attempt != attempt && believer.grant.strong_count() > 0);
        }
        self.count();
    }

    fn count(&mut self) {
        self.crowded = self.names.values().filter(|believers| believers.len() > 1).count();
    }

    /// More than may believe in the same at this moment; each crowd once. A grant that was removed by force, at once, is
    /// void.
    pub fn overlap(&mut self, voided: &BTreeMap<u64, Duration>) -> Option<String> {
        if self.crowded == 0 {
            return None;
        }
        for (name, believers) in &self.names {
            let now: Vec<&Believer> = believers
                .iter()
                .filter(|it| !voided.contains_key(&it.holding.token))
                .filter(|it| it.grant.upgrade().is_some_and(|grant| grant.believes()))
                .collect();
            let alone = now.iter().any(|it| it.holding.share == Share::Alone);
            let slots = now.iter().any(|it| it.holding.share == Share::Slot);
            let most = if slots { permits(name) as usize } else { usize::MAX };
            if (alone && now.len() > 1) || now.len() > most {
                let who: Vec<String> =
                    now.iter().map(|it| format!("{} ({:?})", it.attempt, it.holding.share)).collect();
                let what = format!("{name} is held by {}", who.join(" and by "));
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
        let name = records::name(key)?;
        let owner = record.and_then(records::owner);
        for it in self.names.get(name)?.iter().filter(|it| {
            it.holding.key == key && it.holding.token >= first && !voided.contains_key(&it.holding.token)
        }) {
            let believes = it.grant.upgrade().is_some_and(|grant| grant.believes());
            if believes && owner.as_deref() != Some(&it.attempt) {
                let now = owner.as_deref().unwrap_or("nobody");
                return Some(format!("{} believes in {key}, which is {now}'s now", it.attempt));
            }
        }
        None
    }
}
