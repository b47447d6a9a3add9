//! Breaking a grant by force, fenced by the token that was looked at.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::ambient::fresh_id;
use crate::core::Core;
use crate::error::Error;
use crate::observe::Observation;
use crate::protocol::line::Note;
use crate::protocol::{End, MARKER_SECS, MAX_TTL, MIN_TTL, Previous, Record, Slot, Times};
use crate::store::{Body, Revision, Unreadable, Write, WriteError};
use crate::token::Token;

/// How often a lost race against the holder's own renewals is tried again.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn break_grant(
    core: &Arc<Core>,
    key: &str,
    token: Token,
    reason: &str,
    now: bool,
) -> Result<(), Error> {
    let key = key.to_owned();
    let id = fresh_id(core.ambient.as_ref());
    // What an earlier try of ours may have been written over.
    let mut open: Option<Revision> = None;
    for round in 0..TRIES {
        let before = core.guard.trust();
        let entry = match core.asked("read", core.store.read(&key)).await {
            Ok(entry) => entry,
            Err(Unreadable(why)) if round + 1 == TRIES => return Err(Error::Unreachable(why)),
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // The read may be old; then the CAS on its revision fails and we read again.
        let (revision, record) = match Slot::of(entry.as_ref()) {
            Slot::Taken { revision, record, .. }
                if record.token_at(revision) == token && !record.reserved =>
            {
                (revision, record)
            }
            // Not there any more: an earlier try of ours may have done it. But who says so may have been cut off before the record
            // was made.
            slot if open.is_some_and(|over| slot.revision() > over) => return Ok(()),
            _ if open.is_some() => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Slot::Taken { revision, record, .. } if !record.reserved => {
                return Err(Error::TokenMismatch { given: token, current: Some(record.token_at(revision)) });
            }
            _ => return Err(Error::TokenMismatch { given: token, current: None }),
        };
        if record.broken.is_some() && !now {
            return Ok(());
        }
        let holder = record.holder.clone();
        let write = Write {
            key: key.clone(),
            expect: revision,
            id: format!("{id}-{round}"),
            ..marked(core, record, token, reason, now)
        };
        match core.write(&write).await {
            Ok(_) => {
                tracing::warn!(key, %token, reason, now, "grant broken by force");
                core.observe(Observation::Broken);
                core.tell(&holder, Note::Broken { key: key.clone() }).await;
                return Ok(());
            }
            Err(WriteError::Refused(why)) if core.guard.is_trusted(before) => return Err(Error::Denied(why)),
            // The guard's refusal says nothing of what became of it, and another leader may have taken what one that was cut off
            // has in flight or compares with what it knows.
            Err(WriteError::Refused(_) | WriteError::Unknown(_) | WriteError::InFlight) => {
                open = open.max(Some(revision));
            }
            Err(WriteError::Conflict { current: Some(older) }) if older < revision => {
                open = open.max(Some(revision));
            }
            Err(WriteError::Conflict { .. } | WriteError::NotTaken) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Error::Unknown("the grant could not be broken against its renewals, or the store did not answer"))
}

/// The mark on the record, which lasts as long as a renewal would, with its grace; or, with `now`, the marker of a deletion.
fn marked(core: &Core, record: Record, token: Token, reason: &str, now: bool) -> Write {
    let (body, ttl_secs) = if now {
        let previous = Previous { token, holder: record.owner, ended: core.timestamp(), why: End::Broken };
        let note = serde_json::json!({ "attempt": "", "previous": previous });
        (Body::Delete(Bytes::from(note.to_string())), MARKER_SECS)
    } else {
        let ttl = Duration::from_millis(record.ttl_ms);
        // Records may be written by anybody: what no grant can have is cut to what one can.
        let grace = Duration::from_secs(record.grace_secs).min(MAX_TTL);
        let times =
            Times::new(ttl.clamp(MIN_TTL, MAX_TTL), core.slack).and_then(|times| times.with_grace(grace));
        let secs = times.map_or(MARKER_SECS, |times| times.store_secs());
        let record = Record { token: Some(token), broken: Some(reason.to_owned()), ..record };
        (Body::Put(record.encode()), secs)
    };
    Write { key: String::new(), expect: 0, id: String::new(), body, ttl_secs }
}
