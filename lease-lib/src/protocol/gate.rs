//! What else must be so for a claim to be granted, proven in the same batch.

use super::key;
use crate::store::{Batch, BatchWrite, Body, Condition, Revision, Write};

/// How long a proof that a reader has gone stays where the reader's key was.
const PROOF_SECS: u64 = 2;

/// What goes with a granting write, all or nothing. Empty for an exclusive record, whose own revision says it all.
///
/// A batch that is cut short (a single server whose disk fills up) has had every condition looked at before the first
/// of its writes is applied. So what stands of it was rightly granted, and what is missing of it is missed safely: the
/// granting write comes last of what depends on each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Gate {
    /// Written before the granting write.
    before: Vec<BatchWrite>,
    /// Keys that must have these revisions when the granting write is applied.
    guards: Vec<(String, Revision)>,
}

/// What is sent for a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// One compare-and-set write.
    One(Write),
    /// Several, together or not at all.
    Batch {
        /// All of them.
        batch: Batch,
        /// Which of them makes the record's last revision.
        own: usize,
    },
}

impl Request {
    /// The record's key.
    pub fn key(&self) -> &str {
        match self {
            Request::One(write) => &write.key,
            Request::Batch { batch, own } => batch.writes.get(*own).map_or("", |write| &write.key),
        }
    }
}

impl Gate {
    /// A reader is gone: its key has this revision, that of a marker, or 0. The proof is a write that fails if not.
    pub fn reader_gone(&mut self, name: &str, id: &str, revision: Revision) {
        self.before.push(BatchWrite {
            key: key::reader(name, id),
            only_if: Condition::Own(revision),
            body: Body::Delete(bytes::Bytes::from_static(b"{}")),
            ttl_secs: PROOF_SECS,
        });
    }

    /// The record of a shared lock, over its revision `expect`.
    pub fn shared(&mut self, key: String, expect: Revision, record: bytes::Bytes) {
        let only_if = Condition::Own(expect);
        self.before.push(BatchWrite { key, only_if, body: Body::Put(record), ttl_secs: 0 });
    }

    /// Written before the granting write, under a condition of its own.
    pub fn with(&mut self, write: BatchWrite) {
        self.before.push(write);
    }

    /// A key is as it was seen.
    pub fn unchanged(&mut self, key: String, revision: Revision) {
        self.guards.push((key, revision));
    }

    /// What is written before the granting write.
    pub fn before(&self) -> &[BatchWrite] {
        &self.before
    }

    /// Whether nothing else is asked.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.guards.is_empty()
    }

    /// The request that makes `write` under this gate.
    ///
    /// A write of a batch has one condition. So the granting write is made under its own, and once more for each guard.
    pub fn request(&self, write: &Write) -> Request {
        if self.is_empty() {
            return Request::One(write.clone());
        }
        let under = |only_if| BatchWrite {
            key: write.key.clone(),
            only_if,
            body: write.body.clone(),
            ttl_secs: write.ttl_secs,
        };
        let mut writes = self.before.clone();
        writes.push(under(Condition::Own(write.expect)));
        let guard = |(key, revision): &(String, Revision)| {
            under(Condition::Other { key: key.clone(), revision: *revision })
        };
        writes.extend(self.guards.iter().map(guard));
        let own = writes.len() - 1;
        Request::Batch { batch: Batch { id: write.id.clone(), writes }, own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write() -> Write {
        Write { key: "sem.a.0".into(), expect: 7, body: Body::Put("x".into()), ttl_secs: 22, id: "id".into() }
    }

    #[test]
    fn without_a_gate_it_is_one_write() {
        assert_eq!(Gate::default().request(&write()), Request::One(write()));
    }

    #[test]
    fn the_record_is_compared_itself_and_under_each_guard_and_comes_last() {
        let mut gate = Gate::default();
        gate.reader_gone("a", "r", 5);
        gate.unchanged("sem.a.limit".into(), 3);
        gate.unchanged("sem.a.4".into(), 0);
        let Request::Batch { batch, own } = gate.request(&write()) else { panic!("one write") };
        let compared: Vec<_> =
            batch.writes.iter().map(|w| (w.key.as_str(), w.compared(), w.ttl_secs)).collect();
        assert_eq!(
            compared,
            [
                ("read.a.r", ("read.a.r", 5), PROOF_SECS),
                ("sem.a.0", ("sem.a.0", 7), 22),
                ("sem.a.0", ("sem.a.limit", 3), 22),
                ("sem.a.0", ("sem.a.4", 0), 22),
            ]
        );
        assert_eq!((own, batch.id.as_str()), (3, "id"));
    }
}
