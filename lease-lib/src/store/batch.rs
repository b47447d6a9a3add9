//! Several writes as one: all of them are applied, or none is.

use std::collections::BTreeSet;

use super::{Body, Revision, WriteError};
use crate::name::unfit;

/// How many writes a [`Batch`] has at most: what a NATS server takes unless it is told otherwise.
pub const MAX_BATCH: usize = 1_000;

/// Writes that are applied together or not at all, in this order and with nobody else's in between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    /// As [`Write::id`](super::Write::id), for the whole: the same for every repeat of one logical batch, and shared
    /// with no other write. The store applies an id once within 60 s, and looks at it before any condition.
    pub id: String,
    /// 1 to [`MAX_BATCH`] writes. Put first what may stand alone: see [`Store::write_all`](super::Store::write_all).
    pub writes: Vec<BatchWrite>,
}

/// One write of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BatchWrite {
    /// The key, without any prefix of the store's own.
    pub key: String,
    /// What must be so for the batch to apply.
    pub only_if: Condition,
    /// What to write.
    pub body: Body,
    /// As [`Write::ttl_secs`](super::Write::ttl_secs).
    pub ttl_secs: u64,
}

/// What must be so for a [`Batch`] to apply: the revision of one key before the batch. 0 is "nothing is stored", and a
/// deletion's marker counts with its own revision.
///
/// A write has one condition only, and none may be about a key that an earlier write of the batch writes. To write a
/// key that is both compared itself and guarded by another, write it twice: under [`Own`](Condition::Own), then again
/// under [`Other`](Condition::Other). The second makes the revision that stays.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The key itself has this revision.
    Own(Revision),
    /// Another key has this revision: a guard. The key that is written is **not** compared, so whatever is there is
    /// overwritten.
    ///
    /// Sound as long as whoever writes the guard's key compares its revision: a write that does not (which this seam
    /// has not) passes by guards that are being agreed on.
    Other {
        /// The guard: one key, no filter.
        key: String,
        /// The revision it must have.
        revision: Revision,
    },
}

impl BatchWrite {
    /// The key that is compared, and the revision it must have.
    pub fn compared(&self) -> (&str, Revision) {
        match &self.only_if {
            Condition::Own(revision) => (&self.key, *revision),
            Condition::Other { key, revision } => (key, *revision),
        }
    }
}

/// The store's yes to a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchAck {
    /// It was applied now. The writes made consecutive revisions, in their order.
    Applied {
        /// What the first write made.
        first: Revision,
        /// What the last write made.
        last: Revision,
    },
    /// An earlier try with this id had been applied. The store does not tell as which revisions, and none of them need
    /// stand any more: [`Batch::applied_as`] learns them from an entry that does.
    Duplicate,
}

impl BatchAck {
    /// The revision that a write of the batch made, if the store told.
    pub fn revision(&self, index: usize) -> Option<Revision> {
        match self {
            BatchAck::Applied { first, last } => {
                let made = first.checked_add(u64::try_from(index).ok()?)?;
                (made <= *last).then_some(made)
            }
            BatchAck::Duplicate => None,
        }
    }
}

impl Batch {
    /// What the batch was applied as, if `entry` was made by its write at `index`: how a lost answer or a
    /// [`BatchAck::Duplicate`] is resolved. `None` says only that this entry was not.
    ///
    /// It compares key and body, so the body must hold something that no other write ever wrote there. The **last**
    /// write of the batch proves the most: whatever cut the batch short, all before it were applied.
    pub fn applied_as(&self, index: usize, entry: &super::Entry) -> Option<BatchAck> {
        let (write, later) = self.writes.get(index..)?.split_first()?;
        let overwritten = later.iter().any(|later| later.key == write.key);
        if overwritten || (&write.key, &write.body) != (&entry.key, &entry.body) {
            return None;
        }
        let first = entry.revision.checked_sub(u64::try_from(index).ok()?)?;
        Some(BatchAck::Applied { first, last: last(first, self.writes.len())? })
    }

    /// Refuses what no store could ever apply, before anything is sent.
    pub(super) fn check(&self) -> Result<(), WriteError> {
        let refused = |why: String| Err(WriteError::Refused(why));
        if !(1..=MAX_BATCH).contains(&self.writes.len()) {
            return refused(format!("a batch of {} writes: it has 1 to {MAX_BATCH}", self.writes.len()));
        }
        let mut written = BTreeSet::new();
        for write in &self.writes {
            let (compared, _) = write.compared();
            for key in [write.key.as_str(), compared] {
                if let Some(why) = unfit(key, false) {
                    return refused(format!("invalid key {key:?}: {why}"));
                }
            }
            // NATS would answer "in flight" (10164), for ever.
            if written.contains(compared) {
                return refused(format!(
                    "a condition on {compared:?}, which an earlier write of the batch writes"
                ));
            }
            written.insert(write.key.as_str());
        }
        Ok(())
    }
}

/// The last of `count` consecutive revisions.
pub(super) fn last(first: Revision, count: usize) -> Option<Revision> {
    first.checked_add(u64::try_from(count.checked_sub(1)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Entry;

    fn write(key: &str, only_if: Condition) -> BatchWrite {
        BatchWrite { key: key.into(), only_if, body: Body::Put(key.to_owned().into()), ttl_secs: 0 }
    }

    fn guard(key: &str) -> Condition {
        Condition::Other { key: key.into(), revision: 7 }
    }

    fn batch(writes: Vec<BatchWrite>) -> Batch {
        Batch { id: "id".into(), writes }
    }

    #[test]
    fn what_no_store_could_apply_is_refused() {
        let own = || Condition::Own(0);
        let many = |count: usize| (0..count).map(|n| write(&format!("k{n}"), own())).collect::<Vec<_>>();
        let bad = [
            (vec![], "0 writes"),
            (many(MAX_BATCH + 1), "1001 writes"),
            (vec![write("a", own()), write("b.*", own())], "b.*"),
            (vec![write("a", guard(">"))], ">"),
            (vec![write("a", own()), write("a", own())], "earlier write"),
            (vec![write("a", guard("g")), write("a", own())], "earlier write"),
            (vec![write("a", own()), write("b", guard("a"))], "earlier write"),
            (vec![write("a", own()), write("b", own()), write("a", own())], "earlier write"),
        ];
        for (writes, why) in bad {
            let refused = batch(writes).check();
            assert!(
                matches!(&refused, Err(WriteError::Refused(text)) if text.contains(why)),
                "{why}: {refused:?}"
            );
        }
        let good = [
            many(1),
            many(MAX_BATCH),
            vec![write("a", guard("b")), write("b", own())],
            vec![write("a", own()), write("a", guard("g"))],
            vec![write("a", guard("g")), write("b", guard("g"))],
            vec![write("a", guard("a"))],
        ];
        for writes in good {
            assert_eq!(batch(writes.clone()).check(), Ok(()), "{writes:?}");
        }
    }

    #[test]
    fn revisions_are_consecutive() {
        let ack = BatchAck::Applied { first: 10, last: 12 };
        assert_eq!([0, 1, 2, 3].map(|index| ack.revision(index)), [Some(10), Some(11), Some(12), None]);
        assert_eq!(BatchAck::Duplicate.revision(0), None);
        assert_eq!((last(10, 3), last(u64::MAX, 2), last(1, 0)), (Some(12), None, None));
    }

    #[test]
    fn an_entry_tells_what_the_batch_was_applied_as() {
        let batch = batch(vec![write("a", Condition::Own(0)), write("b", Condition::Own(0))]);
        let entry = |key: &str, body: &str| Entry {
            key: key.into(),
            revision: 8,
            body: Body::Put(body.to_owned().into()),
            ttl_secs: 0,
            written_micros: 0,
        };
        assert_eq!(batch.applied_as(0, &entry("a", "a")), Some(BatchAck::Applied { first: 8, last: 9 }));
        assert_eq!(batch.applied_as(1, &entry("b", "b")), Some(BatchAck::Applied { first: 7, last: 8 }));
        assert_eq!(batch.applied_as(0, &entry("b", "b")), None, "another write's");
        assert_eq!(batch.applied_as(1, &entry("b", "x")), None, "somebody else's");
        assert_eq!(batch.applied_as(2, &entry("b", "b")), None, "no such write");

        let twice = Batch { writes: [0, 0, 1].map(|n| batch.writes[n].clone()).to_vec(), ..batch };
        assert_eq!(twice.applied_as(0, &entry("a", "a")), None, "the second write of the key stands");
        assert_eq!(twice.applied_as(1, &entry("a", "a")), Some(BatchAck::Applied { first: 7, last: 9 }));
    }
}
