//! When to look whether a record has expired: the next such moment of each key, in the order of their coming.

use std::collections::{BTreeMap, BTreeSet};

use crate::ambient::Moment;
use crate::store::Revision;

/// One moment for each key at most, however often its record is renewed.
#[derive(Debug, Default)]
pub(crate) struct Expiries {
    in_order: BTreeSet<(Moment, String)>,
    by_key: BTreeMap<String, (Moment, Revision)>,
}

impl Expiries {
    /// The next one's.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.in_order.first().map(|(at, _)| *at)
    }

    /// Looks at this key, which was seen with this revision, then: instead of when that was to be.
    pub(crate) fn put(&mut self, at: Moment, key: String, revision: Revision) {
        if let Some((before, _)) = self.by_key.insert(key.clone(), (at, revision)) {
            self.in_order.remove(&(before, key.clone()));
        }
        self.in_order.insert((at, key));
    }

    /// Takes the next one whose time has come.
    pub(crate) fn take_due(&mut self, now: Moment) -> Option<(String, Revision)> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.in_order.pop_first()?;
        let (_, revision) = self.by_key.remove(&key)?;
        Some((key, revision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_one_and_they_come_in_order() {
        let at = Moment::from_nanos;
        let mut expiries = Expiries::default();
        for revision in 1..1_000 {
            expiries.put(at(100 + revision), "a".into(), revision);
        }
        expiries.put(at(500), "b".into(), 7);
        assert_eq!((expiries.in_order.len(), expiries.by_key.len()), (2, 2));
        assert_eq!((expiries.next(), expiries.take_due(at(499))), (Some(at(500)), None));
        assert_eq!(expiries.take_due(at(2_000)), Some(("b".into(), 7)));
        assert_eq!(expiries.take_due(at(2_000)), Some(("a".into(), 999)));
        assert_eq!((expiries.next(), expiries.take_due(at(2_000))), (None, None));
    }
}
