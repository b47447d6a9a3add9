//! Taking and leaving a place in line.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Verdict, Waiter, doubled};
use crate::ambient::{fresh_id, sleep_until};
use crate::core::Core;
use crate::error::Error;
use crate::protocol::line::{self, Left};
use crate::protocol::{MARKER_SECS, Pauses};
use crate::store::{Body, Revision, Write, WriteError};

/// A place outlives its waiter by no more than this where nobody else comes along to remove it. A wait that lasts
/// longer goes to the end of the line.
const PLACE_SECS: u64 = 24 * 3600;
/// How long the marker of a place that was left is kept: it only has to be seen by the one behind. Where a write that was to
/// take the place may still arrive, which expects that nothing is there, it is kept for as long as a lock's own.
const LEFT_SECS: u64 = 2;
/// The pause before a write that was not answered is sent again.
const PAUSE: Duration = Duration::from_millis(100);
/// For how long leaving a place insists. After that, others pass it over, or its TTL ends it.
const INSIST: Duration = Duration::from_secs(60);
/// For how long removing somebody else's does. Whoever does that waits for a grant, and hears neither its caller nor its limit
/// meanwhile; who is not answered looks again.
const INSIST_ON_GHOSTS: Duration = Duration::from_secs(2);

impl Waiter {
    /// Creates this waiter's place and returns its order.
    pub(super) async fn join(&mut self) -> Result<Revision, Verdict> {
        self.may_be_late = false;
        let expect = self.core.post.take_vacated(&self.scope, &self.person.place);
        self.occupy(expect, 0).await
    }

    /// Takes the place `order` again, if it is gone, and returns its order.
    ///
    /// Whoever does not see its own place may have read from a server that was left behind. Only a write can tell: it
    /// is refused by naming `order` if the place is still there, and else takes a new one at once.
    pub(super) async fn rejoin(&mut self, order: Revision, expect: Revision) -> Result<Revision, Verdict> {
        self.occupy(expect, order).await
    }

    /// Writes the place over what is expected; `standing` is the order of the place that may be there, or 0.
    async fn occupy(&mut self, mut expect: Revision, standing: Revision) -> Result<Revision, Verdict> {
        let value = Bytes::from(serde_json::to_vec(&self.person).unwrap_or_default());
        let key = self.place_key();
        let mut id = fresh_id(self.core.ambient.as_ref());
        let mut open = false;
        let (mut conflicts, mut pauses) = (0, Pauses::default());
        loop {
            let body = Body::Put(value.clone());
            let write = Write { key: key.clone(), expect, body, ttl_secs: PLACE_SECS, id: id.clone() };
            let pause = match self.core.write(&write).await {
                // A duplicate was applied once; should it have been removed since, the look at the line notices.
                Ok(ack) => return Ok(ack.revision),
                // Still there.
                Err(WriteError::Conflict { current: Some(current @ 1..) }) if current == standing => {
                    return Ok(standing);
                }
                // Of what was there before, a server that was left behind speaks, or a store that lost what it had
                // acknowledged. A write over just that tells: the former cannot take it.
                Err(WriteError::Conflict { current }) => {
                    // Perhaps our own first try stands in the way. Nobody else writes to this key but to remove it.
                    if open
                        && let Ok(Some(entry)) = self.core.store.read(&key).await
                        && entry.revision >= standing
                        && line::place(&entry)
                            .is_some_and(|place| place.waiter.attempt == self.person.attempt)
                    {
                        return Ok(entry.revision);
                    }
                    let current = current.unwrap_or_default();
                    // Another leader may have taken it.
                    open |= current < expect;
                    self.may_be_late |= open;
                    expect = current;
                    id = fresh_id(self.core.ambient.as_ref());
                    conflicts += 1;
                    doubled(Duration::from_millis(5), conflicts - 1)
                }
                // Another leader than the one that says so may have taken it.
                Err(WriteError::InFlight) => {
                    open = true;
                    pauses.in_flight()
                }
                Err(WriteError::NotTaken) => PAUSE,
                Err(WriteError::Unknown(_)) => {
                    open = true;
                    PAUSE
                }
                Err(WriteError::Refused(why)) => match self.core.refusal(why).await {
                    // The bucket was made anew: once it may grant again, there is a line in it to join.
                    Error::Quiet(_) => {
                        self.admitted().await?;
                        id = fresh_id(self.core.ambient.as_ref());
                        Duration::ZERO
                    }
                    error => return Err(Verdict::Failed(error)),
                },
            };
            self.may_be_late |= open;
            self.pause(pause).await?;
        }
    }

    /// Leaves the line in the background, for good: whoever is behind follows this place and hears of it. `order` is
    /// 0 if it is unknown whether the place was ever taken.
    pub(super) fn leave(&self, order: Revision, granted: bool) {
        let core = Arc::clone(&self.core);
        let (name, place, key) = (self.scope.clone(), self.person.place.clone(), self.place_key());
        let may_be_late = self.may_be_late;
        let lasts = if may_be_late { MARKER_SECS } else { LEFT_SECS };
        self.core.spawn(async move {
            core.presence.leave(core.now());
            // The number is not used again before this is done, so whatever stands there is ours. Nor, if its write may be late, before
            // this marker has gone: the next one's would not last as long.
            let marker = match remove(&core, key, (order, lasts), granted, true).await {
                Removal::Done(marker) => Some(marker),
                Removal::NotThere | Removal::Undecided => None,
            };
            let rests_until = may_be_late.then(|| core.now() + Duration::from_secs(lasts));
            core.post.unwait(&name, &place, marker, rests_until);
        });
    }
}

/// What came of removing a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// It is gone, by the marker of this revision.
    Done(Revision),
    /// It was not there any more, says the store.
    NotThere,
    /// The store does not take it now, or did not answer.
    Undecided,
}

/// Removes a place that others see to be nobody's.
pub(super) async fn remove_ghost(core: &Core, key: String, order: Revision) -> Removal {
    remove(core, key, (order, LEFT_SECS), false, false).await
}

/// Removes a place by CAS on the revision that made it, so that a later one under the same key is not hit; with
/// `whatever` on any revision that is found there. The marker of that lasts for so many seconds.
async fn remove(
    core: &Core,
    key: String,
    (order, lasts): (Revision, u64),
    granted: bool,
    whatever: bool,
) -> Removal {
    let note = Bytes::from(serde_json::to_vec(&Left { granted }).unwrap_or_default());
    let mut write = Write {
        key,
        expect: order,
        body: Body::Delete(note),
        ttl_secs: lasts,
        id: fresh_id(core.ambient.as_ref()),
    };
    let give_up_at = core.now() + if whatever { INSIST } else { INSIST_ON_GHOSTS };
    let (mut conflicts, mut pauses) = (0, Pauses::default());
    while core.now() < give_up_at {
        let pause = match core.write(&write).await {
            Err(WriteError::Conflict { current: Some(current) }) if whatever && current != write.expect => {
                // Our own place under another revision, or a marker; or nothing, which a leader that was cut off before the
                // place was made says as well. Once more, as another logical write, over just that: such a leader cannot
                // take it.
                write.expect = current;
                write.id = fresh_id(core.ambient.as_ref());
                conflicts += 1;
                doubled(Duration::from_millis(5), conflicts - 1)
            }
            Ok(ack) => return Removal::Done(ack.revision),
            Err(WriteError::Conflict { .. }) => return Removal::NotThere,
            Err(WriteError::Refused(_)) => return Removal::Undecided,
            Err(WriteError::InFlight) => pauses.in_flight(),
            // Sent again, unchanged: if it had been applied, the answer is a conflict or a duplicate.
            Err(WriteError::NotTaken | WriteError::Unknown(_)) => PAUSE,
        };
        sleep_until(core.ambient.as_ref(), core.now() + pause).await;
    }
    Removal::Undecided
}
