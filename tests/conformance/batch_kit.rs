//! What the cases about batches share.

use std::sync::Arc;

use bytes::Bytes;
use lease::store::{Batch, BatchAck, BatchWrite, Body, Condition, Entry, Revision, Store, WriteError};

use crate::kit::{Fixture, scan_all, until, write};

/// What became of a batch.
pub type Outcome = Result<BatchAck, WriteError>;

/// A write of a value, if the key has this revision.
pub fn own(key: &str, expect: Revision, value: &str) -> BatchWrite {
    let body = Body::Put(Bytes::copy_from_slice(value.as_bytes()));
    BatchWrite { key: key.into(), only_if: Condition::Own(expect), body, ttl_secs: 0 }
}

/// A write of a marker, if the key has this revision.
pub fn gone(key: &str, expect: Revision, note: &str) -> BatchWrite {
    let body = Body::Delete(Bytes::copy_from_slice(note.as_bytes()));
    BatchWrite { body, ..own(key, expect, "") }
}

/// A write of a value, if the guard has this revision.
pub fn guarded(key: &str, guard: &str, revision: Revision, value: &str) -> BatchWrite {
    let only_if = Condition::Other { key: guard.into(), revision };
    BatchWrite { only_if, ..own(key, 0, value) }
}

/// A batch with an id of its own.
pub fn batch(writes: Vec<BatchWrite>) -> Batch {
    let key = writes.first().map_or("", |first| &first.key);
    Batch { id: write(key, 0, Body::Put(Bytes::new())).id, writes }
}

/// Repeats a batch until its answer is a definite one; resolves an unknown one by reading.
pub async fn settle_all(store: &Arc<dyn Store>, batch: &Batch) -> Outcome {
    match repeated(store, batch).await {
        (Ok(BatchAck::Duplicate), true) => Ok(resolved(store, batch).await),
        (outcome, _) => outcome,
    }
}

/// Repeats a batch until its answer is a definite one; also gives whether an earlier answer was none.
pub async fn repeated(store: &Arc<dyn Store>, batch: &Batch) -> (Outcome, bool) {
    let mut open = false;
    let outcome = until("a batch is answered", async || match store.write_all(batch).await {
        Err(WriteError::InFlight | WriteError::NotTaken) => None,
        Err(WriteError::Unknown(_)) => {
            open = true;
            None
        }
        answer => Some(answer),
    });
    (outcome.await, open)
}

/// Sends a batch again that was applied.
pub async fn assert_repeat(store: &Arc<dyn Store>, batch: &Batch) {
    assert_eq!(repeated(store, batch).await.0, Ok(BatchAck::Duplicate));
}

/// What a batch that was applied was applied as; reads until one of its entries shows.
pub async fn resolved(store: &Arc<dyn Store>, batch: &Batch) -> BatchAck {
    until("one of the batch's entries is read", async || {
        for (index, write) in batch.writes.iter().enumerate().rev() {
            let entry = store.read(&write.key).await.ok()?;
            if let Some(ack) = entry.and_then(|entry| batch.applied_as(index, &entry)) {
                return Some(ack);
            }
        }
        None
    })
    .await
}

/// The definite no that names `current`.
pub fn conflict(current: Revision) -> Outcome {
    Err(WriteError::Conflict { current: Some(current) })
}

impl Fixture {
    /// Writes a batch for certain; gives the first of its revisions and checks the last.
    pub async fn put_all(&self, writes: Vec<BatchWrite>) -> Revision {
        let batch = batch(writes);
        match settle_all(&self.a, &batch).await {
            Ok(BatchAck::Applied { first, last }) => {
                assert_eq!(last - first + 1, batch.writes.len() as u64, "consecutive");
                first
            }
            other => panic!("{batch:?}: {other:?}"),
        }
    }

    /// Sends a batch through the other view, which refuses it for good.
    pub async fn refused(&self, writes: Vec<BatchWrite>) -> String {
        match self.b.write_all(&batch(writes)).await {
            Err(WriteError::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    /// What stands under this case's keys, in the order of revisions.
    pub async fn all(&self) -> Vec<Entry> {
        self.under(">").await
    }

    /// What stands under a filter of this case's own, in the order of revisions.
    pub async fn under(&self, filter: &str) -> Vec<Entry> {
        scan_all(&self.a, &self.key(filter)).await
    }
}
