//! The guard at the seam: notices a store that is not the one that was trusted.
//!
//! Two things can make a granted token worthless. A store that lost acknowledged writes gives revisions a second
//! time; a bucket that was deleted and made again knows nothing of the leases that its earlier life granted. Both show
//! in the revision of an acknowledged write, and nowhere else that could be relied on: reads may come from a server
//! that was left behind.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ambient::{Moment, fresh_id};
use crate::core::{Core, locked};
use crate::error::Error;
use crate::observe::Observation;
use crate::protocol::{Loss, key};
use crate::store::{Ack, BatchAck, Body, Life, Revision, Store, Unreadable, Write, WriteError};

/// How far revisions may rise between two writes of this process before it asks whether the bucket is the same.
///
/// A bucket's first revision is the unix time in microseconds at its creation, so a bucket that was made again after
/// s seconds starts a million times s above the earlier one's first: above this for any that lived a second. Busy
/// neighbours can also raise it by that much; then the question costs one request and the answer is "the same".
const LEAP: Revision = 500_000;

/// How often a regressed space asks whether an operator has accepted.
const ASK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Guard {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The highest revision that a write of this process was acknowledged with; 0 before the first.
    high: Revision,
    /// When that was acknowledged.
    high_at: Moment,
    /// How often the store was found not to be the one that was trusted.
    upheavals: u64,
    life: String,
    longest_ttl_secs: u64,
    quiet_until: Option<Moment>,
    regressed: Option<Noticed>,
    asked: Option<Moment>,
}

/// What was known of the store at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trust {
    high: Revision,
    high_at: Moment,
    upheavals: u64,
}

/// The note under [`key::REGRESSION`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Regression {
    pub had: Revision,
    pub saw: Revision,
    pub at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<String>,
}

/// A regression that nobody is known to have accepted.
#[derive(Clone, Debug)]
struct Noticed {
    what: Regression,
    /// When the highest revision was acknowledged, and when a lower one was.
    moments: (Moment, Moment),
    /// The same two by the store's clock, once that has answered.
    micros: Option<(u64, u64)>,
}

impl Noticed {
    /// Whether an acceptance that was written as `note` is for this regression, and not for an earlier one: it was
    /// written after this one was noticed; or before that, but after the highest revision was acknowledged, and under a
    /// lower number, so that the store had lost that one by then.
    fn is_accepted_by(&self, note: &Note) -> bool {
        let Some((highest, noticed)) = self.micros else { return false };
        let is_newer = note.written_micros > noticed;
        let is_between = note.written_micros > highest && note.revision <= self.what.had;
        note.what.accepted_by.is_some() && (is_newer || is_between)
    }
}

impl Regression {
    /// What a newer release may have written so that it cannot be read says at least that there was one.
    fn read(text: &[u8]) -> Regression {
        let unknown = Regression { had: 0, saw: 0, at: String::new(), accepted_by: None };
        serde_json::from_slice(text).unwrap_or(unknown)
    }
}

impl Guard {
    pub(crate) fn new(life: &Life, now: Moment) -> Guard {
        Guard {
            state: Mutex::new(State {
                high: 0,
                high_at: now,
                upheavals: 0,
                life: life.id.clone(),
                longest_ttl_secs: life.longest_ttl_secs,
                quiet_until: life.quiet_secs.map(|secs| now + Duration::from_secs(secs)),
                regressed: None,
                asked: None,
            }),
        }
    }

    /// What is known of the store now.
    pub(crate) fn trust(&self) -> Trust {
        locked(&self.state).trust()
    }

    /// Whether a grant may be handed out that rests on what was trusted `then`. Whoever asks must hear of every
    /// calamity from *before* it asks.
    pub(crate) fn stands(&self, then: Trust, now: Moment) -> bool {
        let state = locked(&self.state);
        let quiet = state.quiet_until.is_some_and(|until| now < until);
        state.upheavals == then.upheavals && state.regressed.is_none() && !quiet
    }

    /// Whether the store was seen to have lost acknowledged writes, and nobody is known to have accepted that.
    pub(crate) fn is_regressed(&self) -> bool {
        locked(&self.state).regressed.is_some()
    }

    /// Looks at an acknowledged write that was sent when `before` was known of the store.
    ///
    /// A write that was under way while the store was found to be another is refused, whatever became of it: its
    /// answer may speak for either of the two.
    pub(crate) async fn admit(&self, core: &Core, before: Trust, ack: Ack) -> Result<Ack, WriteError> {
        let changed = || Err(WriteError::Refused("the store changed while the write was under way".into()));
        if !self.is_trusted(before) {
            return changed();
        }
        // A duplicate repeats an old number, which proves nothing about the store's memory.
        if !ack.duplicate && ack.revision <= before.high {
            self.regressed(core, before, ack.revision).await;
            return Err(WriteError::Refused("the store lost acknowledged writes".into()));
        }
        if ack.revision > before.high.saturating_add(LEAP) {
            // Without an answer nobody knows which bucket took the write, so the write counts as unknown too.
            let life = core.asked("life", core.store.life()).await;
            if !self.is_trusted(before) {
                return changed();
            }
            match life {
                Ok(life) if self.is_same(&life) => {}
                Ok(life) => {
                    self.replaced(core, &life);
                    return Err(WriteError::Refused("the bucket was deleted and made again".into()));
                }
                Err(Unreadable(_)) => {
                    return Err(WriteError::Unknown("the bucket's identity could not be read"));
                }
            }
        }
        locked(&self.state).rises_to(ack.revision, core.now());
        Ok(ack)
    }

    /// As [`Guard::admit`], for a batch.
    pub(crate) async fn admit_all(
        &self,
        core: &Core,
        before: Trust,
        ack: BatchAck,
    ) -> Result<BatchAck, WriteError> {
        let BatchAck::Applied { first, last } = ack else {
            // It names no revision, so there is nothing to compare, and nothing to learn.
            let changed = "the store changed while the batch was under way";
            return if self.is_trusted(before) { Ok(ack) } else { Err(WriteError::Refused(changed.into())) };
        };
        // The first is the lowest: if it had been given before, so may the others.
        self.admit(core, before, Ack { revision: first, duplicate: false }).await?;
        let mut state = locked(&self.state);
        // Between the two an upheaval may have set it to 0.
        if state.upheavals == before.upheavals {
            state.rises_to(last, core.now());
        }
        Ok(ack)
    }

    /// Whether anything may be granted, as far as the store is concerned.
    pub(crate) async fn may_grant(&self, core: &Core) -> Result<(), Error> {
        let (regressed, then) = {
            let state = locked(&self.state);
            if let Some(left) =
                state.quiet_until.map(|until| core.now().until(until)).filter(|d| !d.is_zero())
            {
                return Err(Error::Quiet(left));
            }
            (state.regressed.clone(), state.trust())
        };
        match regressed {
            None => Ok(()),
            Some(Noticed { what: Regression { had, saw, .. }, .. }) => {
                let accepted = self.asks_again(core.now()) && self.is_accepted(core, then).await;
                if accepted { Ok(()) } else { Err(Error::Regressed { had, saw }) }
            }
        }
    }

    /// Reads, once when a space is opened, whether an earlier process noted a regression that nobody accepted.
    pub(crate) async fn recall(&self, core: &Core) -> Result<(), Unreadable> {
        let now = core.now();
        let noticed = noted(core).await?.filter(|note| note.what.accepted_by.is_none()).map(|note| {
            let micros = Some((note.written_micros, note.written_micros));
            Noticed { what: note.what, moments: (now, now), micros }
        });
        locked(&self.state).regressed = noticed;
        Ok(())
    }

    /// Records in the bucket that an operator accepts that tokens may have been given twice.
    ///
    /// Also where this process knows of no regression: another may, whose note was lost with the rest.
    pub(crate) async fn accept(&self, core: &Core, by: &str) -> Result<(), Error> {
        let known = locked(&self.state).regressed.clone().map(|noticed| noticed.what);
        let what = match known {
            Some(what) => what,
            None => {
                let note = noted(core).await.map_err(|Unreadable(why)| Error::Unreachable(why))?;
                let unknown = || Regression { had: 0, saw: 0, at: core.timestamp(), accepted_by: None };
                note.map_or_else(unknown, |note| note.what)
            }
        };
        note_down(core, &Regression { accepted_by: Some(by.to_owned()), ..what }).await?;
        locked(&self.state).forget();
        Ok(())
    }

    /// Whether the store is the one that it was `then`, as far as is known. What was refused since, and it is not, may have
    /// been refused by [`Guard::admit`] though the store took it.
    pub(crate) fn is_trusted(&self, then: Trust) -> bool {
        locked(&self.state).upheavals == then.upheavals
    }

    /// The store is found to be another.
    #[cfg(test)]
    pub(crate) fn upset(&self) {
        locked(&self.state).upheavals += 1;
    }

    fn is_same(&self, life: &Life) -> bool {
        locked(&self.state).life == life.id
    }

    fn replaced(&self, core: &Core, life: &Life) {
        {
            let mut state = locked(&self.state);
            let longest = state.longest_ttl_secs.max(life.longest_ttl_secs);
            // Counted from now, not from the bucket's creation, whose time is known by another clock only.
            state.quiet_until = Some(core.now() + Duration::from_secs(longest) + core.slack);
            state.longest_ttl_secs = longest;
            state.life = life.id.clone();
            state.high = 0;
            state.upheavals += 1;
        }
        tracing::error!(life = life.id, "the bucket was deleted and made again: every lease is dropped");
        core.befall(Loss::BucketReplaced);
    }

    async fn regressed(&self, core: &Core, before: Trust, saw: Revision) {
        let had = before.high;
        let what = Regression { had, saw, at: core.timestamp(), accepted_by: None };
        let then = {
            let mut state = locked(&self.state);
            let moments = (before.high_at, core.now());
            state.regressed = Some(Noticed { what: what.clone(), moments, micros: None });
            state.upheavals += 1;
            state.trust()
        };
        tracing::error!(
            had,
            saw,
            "the store lost acknowledged writes: every lease is dropped, nothing is granted"
        );
        core.observe(Observation::Regressed);
        core.befall(Loss::StoreRegressed);
        // Others may have noticed earlier, and an operator may have accepted it by now.
        if !self.is_accepted(core, then).await {
            // Best effort: this process refuses from now on in any case; the note makes later ones refuse too.
            let _ = note_down(core, &what).await;
        }
    }

    /// Whether it is time to look for an acceptance once more.
    fn asks_again(&self, now: Moment) -> bool {
        let mut state = locked(&self.state);
        let is_due = state.asked.is_none_or(|asked| now.since(asked) >= ASK_AGAIN);
        if is_due {
            state.asked = Some(now);
        }
        is_due
    }

    /// Whether an operator has accepted what was noticed; if so, it is forgotten. A stale read may miss an acceptance for
    /// some seconds, and so may whoever does not know the store's time yet: refusing longer is safe.
    async fn is_accepted(&self, core: &Core, then: Trust) -> bool {
        if locked(&self.state).regressed.as_ref().is_some_and(|noticed| noticed.micros.is_none()) {
            let Ok(micros) = core.asked("time", core.store.time()).await else { return false };
            let now = core.now();
            let mut state = locked(&self.state);
            let is_same = state.upheavals == then.upheavals;
            if let Some(noticed) = state.regressed.as_mut().filter(|_| is_same) {
                let ago = |moment: Moment| u64::try_from(now.since(moment).as_micros()).unwrap_or(u64::MAX);
                let (highest, lower) = noticed.moments;
                noticed.micros =
                    Some((micros.saturating_sub(ago(highest)), micros.saturating_sub(ago(lower))));
            }
        }
        let Ok(Some(note)) = noted(core).await else { return false };
        let mut state = locked(&self.state);
        // Since another upheaval it is about that one.
        let is_same = state.upheavals == then.upheavals;
        let accepted =
            is_same && state.regressed.as_ref().is_some_and(|noticed| noticed.is_accepted_by(&note));
        if accepted {
            state.forget();
        }
        accepted
    }
}

impl State {
    fn trust(&self) -> Trust {
        Trust { high: self.high, high_at: self.high_at, upheavals: self.upheavals }
    }

    /// A write was acknowledged with this revision.
    fn rises_to(&mut self, revision: Revision, now: Moment) {
        if revision > self.high {
            (self.high, self.high_at) = (revision, now);
        }
    }

    /// The regression was accepted.
    fn forget(&mut self) {
        self.regressed = None;
        self.high = 0;
    }
}

/// What stands under [`key::REGRESSION`].
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub what: Regression,
    revision: Revision,
    written_micros: u64,
}

/// Reads the note; as old as any read.
async fn noted(core: &Core) -> Result<Option<Note>, Unreadable> {
    core.asked("read", note(core.store.as_ref())).await
}

/// As [`noted`], of any store.
pub(crate) async fn note(store: &dyn Store) -> Result<Option<Note>, Unreadable> {
    Ok(store.read(key::REGRESSION).await?.and_then(|entry| {
        let (revision, written_micros) = (entry.revision, entry.written_micros);
        Some(Note { what: Regression::read(entry.value()?), revision, written_micros })
    }))
}

/// Writes the note over whatever is there; gives up after a few tries, since the store may be in any state.
async fn note_down(core: &Core, note: &Regression) -> Result<(), Error> {
    let value = Bytes::from(serde_json::to_vec(note).unwrap_or_default());
    let mut expect = 0;
    for _ in 0..8 {
        let id = fresh_id(core.ambient.as_ref());
        let body = Body::Put(value.clone());
        let write = Write { key: key::REGRESSION.into(), expect, body, ttl_secs: 0, id };
        match core.store.write(&write).await {
            Ok(_) => return Ok(()),
            Err(WriteError::Conflict { current }) => expect = current.unwrap_or_default(),
            Err(WriteError::Refused(why)) => return Err(Error::Unreachable(why)),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Err(Error::Unreachable("the note of the regression could not be written; try again".into()))
}

#[cfg(test)]
#[path = "guard_props.rs"]
mod props;
