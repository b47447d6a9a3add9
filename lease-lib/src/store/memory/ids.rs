//! Which writes were applied lately.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::ambient::Moment;
use crate::store::Revision;

/// How long an applied write's id is remembered: the duplicate window of the bucket on NATS.
const WINDOW: Duration = Duration::from_secs(60);

/// Ids of applied writes within the window. A repeat does not lengthen an id's stay.
#[derive(Default)]
pub(super) struct Ids {
    applied: BTreeMap<String, Revision>,
    /// In the order in which they are to be forgotten, which is that of their writes.
    by_age: VecDeque<(Moment, String)>,
}

impl Ids {
    /// The revision that the id's first write made.
    pub(super) fn applied(&self, id: &str) -> Option<Revision> {
        self.applied.get(id).copied()
    }

    pub(super) fn remember(&mut self, id: &str, revision: Revision, now: Moment) {
        self.applied.insert(id.to_owned(), revision);
        self.by_age.push_back((now + WINDOW, id.to_owned()));
    }

    pub(super) fn purge(&mut self, now: Moment) {
        while self.by_age.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, id)) = self.by_age.pop_front() {
                self.applied.remove(&id);
            }
        }
    }

    /// Forgets writes from `revision` on, so that an id is in both tables or in neither.
    pub(super) fn forget_from(&mut self, revision: Revision) {
        self.applied.retain(|_, made| *made < revision);
        self.by_age.retain(|(_, id)| self.applied.contains_key(id));
    }

    pub(super) fn len(&self) -> usize {
        self.applied.len()
    }
}
