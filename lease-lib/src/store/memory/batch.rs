//! Batches: compared as a whole, then written as a whole.

use super::{Bucket, MemoryStore, fits};
use crate::ambient::Moment;
use crate::store::batch::last;
use crate::store::{Batch, BatchAck, BatchWrite, Entry, WriteError};

impl MemoryStore {
    /// As [`Store::write_all`](crate::store::Store::write_all).
    pub(super) fn write_all_now(&self, batch: &Batch) -> Result<BatchAck, WriteError> {
        batch.check()?;
        batch.writes.iter().try_for_each(|write| fits(&write.body))?;
        let (mut bucket, now) = self.open();
        bucket.write_all(batch, now, self.ambient.wall_micros())
    }
}

impl Bucket {
    /// As a NATS server does, with however many replicas: first the id, then each condition in the batch's order, and
    /// the first that does not hold is what the answer speaks of. So [`MemoryStore::revisions_first`] makes no
    /// difference here: a repeat of an applied batch is always a duplicate.
    fn write_all(&mut self, batch: &Batch, now: Moment, wall: u64) -> Result<BatchAck, WriteError> {
        if self.ids.applied(&batch.id).is_some() {
            return Ok(BatchAck::Duplicate);
        }
        for write in &batch.writes {
            let (compared, revision) = write.compared();
            let current = self.shelf.revision(compared);
            if current != revision {
                return Err(WriteError::Conflict { current: Some(current) });
            }
        }
        // Nothing below can fail: what a batch begins it ends.
        let first = self.shelf.next_revision();
        let put = |write: &BatchWrite| self.shelf.put(&write.key, &write.body, write.ttl_secs, now, wall);
        let entries: Vec<Entry> = batch.writes.iter().map(put).collect();
        // The id goes with the first write, as on NATS: a store that loses the rest of a batch still knows it.
        self.ids.remember(&batch.id, first, now);
        for entry in &entries {
            self.followers.publish(&entry.key, entry);
        }
        Ok(BatchAck::Applied { first, last: last(first, entries.len()).unwrap_or(first) })
    }
}
