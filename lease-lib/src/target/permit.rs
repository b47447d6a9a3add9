//! A semaphore: as many slots as its limit says, each a record that one attempt holds.
//!
//! ```text
//!   sem.gpu.limit  {limit: 2, most: 4}    what is agreed on; no TTL
//!   sem.gpu.0      a holder's record      its own TTL, its own token
//!   sem.gpu.1      …
//! ```
//!
//! A slot is taken by one batch [the slot as it was seen := my record, while the limit's revision is the one that was
//! read]: a limit that was lowered meanwhile refuses it. Slots above a lowered limit (`limit` up to `most`) must be
//! gone, too, which the same batch proves: so never is a permit granted while as many as the limit are held.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Blind, Opening, Sight, Taken, all, sight};
use crate::ambient::{fresh_id, sleep_until};
use crate::core::Core;
use crate::error::Error;
use crate::protocol::{Gate, Slot, key};
use crate::store::{Body, Entry, Revision, Write, WriteError};

/// The highest limit: a look reads all slots, and a lowered limit is proven slot by slot.
pub(crate) const MOST_PERMITS: u32 = 500;
/// How often a change of the limit is tried before its outcome is given up.
const TRIES: u32 = 20;

/// What is agreed on about a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agreed {
    v: u32,
    /// How many permits there are.
    pub limit: u32,
    /// How many slots there may be in use: more, once the limit was lowered.
    most: u32,
}

impl Agreed {
    fn read(entry: &Entry) -> Option<Agreed> {
        serde_json::from_slice::<Agreed>(entry.value()?).ok().filter(|agreed| {
            let limits = 1..=MOST_PERMITS;
            agreed.v == 1
                && limits.contains(&agreed.limit)
                && (agreed.limit..=MOST_PERMITS).contains(&agreed.most)
        })
    }

    fn changed(self, limit: u32) -> Agreed {
        Agreed { v: 1, limit, most: self.most.max(limit) }
    }
}

/// What somebody sees who wants a permit. `limit` is what the caller takes for agreed.
pub(super) async fn look(core: &Core, name: &str, limit: u32, attempt: &str) -> Result<Sight, Blind> {
    let found = all(core, &format!("{}.*", key::permits(name))).await?;
    let (agreed, revision) = match found.get(&key::limit(name)) {
        None => agree(core, name, Agreed { v: 1, limit, most: limit }).await?,
        Some(entry) => match Agreed::read(entry) {
            Some(agreed) => (agreed, entry.revision),
            None => return Err(Blind::Refused(unreadable(name))),
        },
    };
    if agreed.limit != limit {
        let given = limit;
        return Err(Blind::Refused(Error::LimitMismatch { name: name.into(), given, agreed: agreed.limit }));
    }
    Ok(choose(core, name, agreed, revision, &found, attempt))
}

/// The slot to claim: one that is this attempt's already or kept free for it, else the first that is free.
fn choose(
    core: &Core,
    name: &str,
    agreed: Agreed,
    revision: Revision,
    found: &BTreeMap<String, Entry>,
    attempt: &str,
) -> Sight {
    let mut gate = Gate::default();
    gate.unchanged(key::limit(name), revision);
    let mut held = Taken { revision, ..Taken::default() };
    let mut opening: Option<Opening> = None;
    let mut surplus = false;
    for index in 0..agreed.most {
        let key = key::slot(name, index);
        let slot = Slot::of(found.get(&key));
        let over = index >= agreed.limit;
        if over && let Slot::Free { revision, .. } = slot {
            gate.unchanged(key, revision);
            continue;
        }
        match sight(core, key, slot, attempt, false) {
            // Above the limit, a slot is only held until it is given back.
            Sight::Open(open) if over && !is_granted(found.get(&open.key)) => surplus = true,
            Sight::Open(open) if open.mine || opening.is_none() => {
                if opening.as_ref().is_none_or(|opening| !opening.mine) {
                    opening = Some(open);
                }
            }
            Sight::Open(_) => {}
            Sight::Taken(one) => {
                surplus |= over;
                held.revision = held.revision.max(one.revision);
                held.holder = held.holder.or(one.holder);
                held.processes.extend(one.processes);
                held.kept_for = held.kept_for.or(one.kept_for);
                held.left = match (held.left, one.left) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
    }
    match opening {
        // Granted before, and the answer was lost: only its standing is asked for, which needs no room.
        Some(open) if open.mine && is_granted(found.get(&open.key)) => Sight::Open(open),
        Some(open) if !surplus => Sight::Open(Opening { gate, ..open }),
        _ => Sight::Taken(held),
    }
}

/// Whether it is a grant, and not only kept free.
fn is_granted(entry: Option<&Entry>) -> bool {
    matches!(Slot::of(entry), Slot::Taken { record, .. } if !record.reserved)
}

/// Writes what is agreed on over revision `expect`; `None` if somebody was faster, or nobody knows.
async fn propose(
    core: &Core,
    name: &str,
    expect: Revision,
    agreed: Agreed,
) -> Result<Option<Revision>, Blind> {
    let body = Body::Put(Bytes::from(serde_json::to_vec(&agreed).unwrap_or_default()));
    let id = fresh_id(core.ambient.as_ref());
    match core.write(&Write { key: key::limit(name), expect, body, ttl_secs: 0, id }).await {
        Ok(ack) if !ack.duplicate => Ok(Some(ack.revision)),
        Err(WriteError::Refused(why)) => Err(Blind::Denied(why)),
        _ => Ok(None),
    }
}

/// Agrees with the others on what nobody has agreed on yet; gives what stands then.
async fn agree(core: &Core, name: &str, agreed: Agreed) -> Result<(Agreed, Revision), Blind> {
    if let Some(revision) = propose(core, name, 0, agreed).await? {
        return Ok((agreed, revision));
    }
    // Whatever is there now is agreed on. Should that be old, the claim that rests on its revision is refused.
    match core.asked("read", core.store.read(&key::limit(name))).await?.as_ref() {
        Some(entry) => match Agreed::read(entry) {
            Some(there) => Ok((there, entry.revision)),
            None => Err(Blind::Refused(unreadable(name))),
        },
        None => Err(Blind::Unreadable("the limit is not agreed on yet".into())),
    }
}

/// What is agreed on now, if anything is.
pub(crate) async fn agreed(core: &Core, name: &str) -> Result<Option<(Agreed, Revision)>, Error> {
    let unreachable = |crate::store::Unreadable(why)| Error::Unreachable(why);
    match core.asked("read", core.store.read(&key::limit(name))).await.map_err(unreachable)? {
        None => Ok(None),
        Some(entry) => {
            let agreed = Agreed::read(&entry).ok_or_else(|| unreadable(name))?;
            Ok(Some((agreed, entry.revision)))
        }
    }
}

/// Changes the limit, whatever it was.
pub(crate) async fn change_limit(core: &Core, name: &str, limit: u32) -> Result<(), Error> {
    let mut trouble = String::new();
    for _ in 0..TRIES {
        // What is read may be old: then the write is refused, and it is read again. So it is also if what was read says just
        // what is wanted: only a write that was taken tells that this is so now.
        match agreed(core, name).await {
            Ok(there) => {
                let (next, expect) = match there {
                    None => (Agreed { v: 1, limit, most: limit }, 0),
                    Some((there, revision)) => (there.changed(limit), revision),
                };
                match propose(core, name, expect, next).await {
                    Ok(Some(_)) => return Ok(()),
                    Err(Blind::Refused(error)) => return Err(error),
                    Err(Blind::Denied(why)) => return Err(core.refusal(why).await),
                    Ok(None) => trouble = "others changed it, or the store did not answer".into(),
                    Err(Blind::Unreadable(why)) => trouble = why,
                }
            }
            Err(Error::Unreachable(why)) => trouble = why,
            Err(error) => return Err(error),
        }
        sleep_until(core.ambient.as_ref(), core.now() + Duration::from_millis(100)).await;
    }
    Err(Error::Unreachable(format!("the limit could not be changed: {trouble}")))
}

fn unreadable(name: &str) -> Error {
    Error::InvalidSetting {
        setting: "semaphore",
        value: name.into(),
        allowed: format!("what is agreed on under {} cannot be read by this release", key::limit(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Anybody may write to the bucket.
    #[test]
    fn what_is_agreed_on_has_bounds() {
        let read = |limit: u32, most: u32| {
            let value = serde_json::json!({ "v": 1, "limit": limit, "most": most }).to_string();
            let (key, body) = ("sem.a.limit".into(), crate::store::Body::Put(value.into()));
            Agreed::read(&Entry { key, revision: 1, body, ttl_secs: 0, written_micros: 0 })
        };
        assert_eq!(read(2, 3), Some(Agreed { v: 1, limit: 2, most: 3 }));
        for (limit, most) in [(0, 3), (3, 2), (501, 501), (2, 501), (2, u32::MAX)] {
            assert_eq!(read(limit, most), None, "{limit} {most}");
        }
    }
}
