//! A lock that several read under, or one writes under.
//!
//! ```text
//!   lock.catalog    {readers: [a, b], fence: 17}     no TTL of its own
//!   read.catalog.a  a's record                       a's TTL, renewed by a alone
//!   read.catalog.b  b's record
//!
//!   to join:      one batch [lock.catalog as it was seen := the list and me; my key, created]
//!   to be alone:  one batch [a's key gone, b's key gone; lock.catalog as it was seen := my record]
//! ```
//!
//! Whoever is listed and has no key is gone, and whoever has a key is listed: a key is only ever created together with
//! the listing, and only whoever is proven to be gone is taken off the list. So a writer that proves each listed reader
//! gone, in the batch that takes the record as it was when the list was read, is alone.

use super::{Blind, Opening, Sight, Taken, all, sight, taken};
use crate::core::Core;
use crate::protocol::{Gate, Record, Slot, key};
use crate::store::{Entry, Revision, Unreadable};

/// How many readers may be listed. Each is one write of the batch that a writer needs, and a server takes 1,000.
const MOST_READERS: usize = 500;
/// From how many listed readers on whoever joins takes those off the list that are gone.
const TIDY_FROM: usize = 8;

/// What somebody sees who wants to be alone where readers are listed.
pub(super) async fn to_be_alone(
    core: &Core,
    name: &str,
    revision: Revision,
    record: Record,
) -> Result<Sight, Unreadable> {
    let found = all(core, &key::reader(name, "*")).await?;
    let mut gate = Gate::default();
    let follow_too = Some(key::reader(name, "*"));
    let mut readers = Taken { revision, follow_too, ..Taken::default() };
    let mut there = 0_usize;
    for id in &record.readers {
        match Slot::of(found.get(&key::reader(name, id))) {
            // Perhaps not any more, or not yet to be seen: the batch tells.
            Slot::Free { revision, .. } => gate.reader_gone(name, id, revision),
            slot => {
                there += 1;
                let one = taken(core, &slot, false);
                readers.revision = readers.revision.max(one.revision);
                readers.holder = readers.holder.or(one.holder);
                readers.processes.extend(one.processes);
                // The last to go makes room.
                readers.left = readers.left.max(one.left);
            }
        }
    }
    if there > 0 {
        return Ok(Sight::Taken(readers));
    }
    Ok(Sight::Open(Opening { gate, ..Opening::new(key::lock(name), revision, record.previous) }))
}

/// What somebody sees who wants to read.
pub(super) async fn to_join(core: &Core, name: &str, attempt: &str) -> Result<Sight, Blind> {
    let (record, own) = (key::lock(name), key::reader(name, attempt));
    let (record, own_entry) =
        tokio::join!(core.asked("read", core.store.read(&record)), core.asked("read", core.store.read(&own)));
    // An earlier batch of this attempt, whose answer was lost, may have made its key.
    let (record, slot) = (record?, Slot::of(own_entry?.as_ref()));
    if slot.attempt() == Some(attempt) {
        return Ok(sight(core, own, slot, attempt, false));
    }
    joining(core, name, attempt, (slot.revision(), record)).await
}

async fn joining(
    core: &Core,
    name: &str,
    attempt: &str,
    (own, record): (Revision, Option<Entry>),
) -> Result<Sight, Blind> {
    let slot = Slot::of(record.as_ref());
    let expect = slot.revision();
    let mut gate = Gate::default();
    let mine = slot.attempt() == Some(attempt);
    let (mut readers, previous, fence) = match slot {
        Slot::Free { previous, .. } => (Vec::new(), previous, None),
        Slot::Taken { record, .. } if mine && record.reserved => (Vec::new(), record.previous, None),
        Slot::Shared { record, .. } => {
            let mut readers = record.readers;
            // Listed before, and gone since: its key is to be created now.
            readers.retain(|id| id != attempt);
            if readers.len() >= TIDY_FROM {
                let found = all(core, &key::reader(name, "*")).await?;
                readers.retain(|id| match Slot::of(found.get(&key::reader(name, id))) {
                    Slot::Free { revision, .. } => {
                        gate.reader_gone(name, id, revision);
                        false
                    }
                    _ => true,
                });
            }
            (readers, record.previous, record.fence)
        }
        slot => return Ok(Sight::Taken(taken(core, &slot, false))),
    };
    if readers.len() >= MOST_READERS {
        let what = "readers of one lock";
        return Err(Blind::Refused(crate::error::Error::TooMany { what, limit: MOST_READERS }));
    }
    readers.push(attempt.to_owned());
    // How the last exclusive grant ended is known from its marker; later readers have it from the record.
    let fence = fence.or(previous.as_ref().map(|previous| previous.token));
    let list = Record { readers, previous: previous.clone(), fence, ..Record::nobodys(core.timestamp()) };
    gate.shared(key::lock(name), expect, list.encode());
    Ok(Sight::Open(Opening { gate, fence, mine, ..Opening::new(key::reader(name, attempt), own, previous) }))
}
