//! Presence: one TTL'd key per process, kept while the process waits for something.
//!
//! It lets others pass over the places of a process that died or hangs, within seconds. It proves nothing about
//! grants: those end by their own TTL.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use crate::ambient::{Moment, fresh_id, sleep_until};
use crate::core::{Core, locked};
use crate::protocol::key;
use crate::store::{Body, Revision, Write, WriteError};

/// The TTL of a presence key: after that, a dead process is seen to be gone.
const TTL_SECS: u64 = 4;
/// How often it is renewed: three tries fit into the TTL.
const EVERY: Duration = Duration::from_millis(1_200);
/// One that was not renewed for so long is worth a closer look.
const LATE: Duration = Duration::from_millis(1_800);
/// One of which no newer write was seen for so long has ended, whatever a server shows: a server that rebuilt its stream after
/// a crash may go on showing keys whose TTL has long passed, as the stream's leader, too (2.15.1: "TTL state is outdated;
/// attempting to recover using linear scan" looks only at what was written last).
const OUTLIVED: Duration = Duration::from_secs(TTL_SECS + 1);
/// Of how many processes it is remembered since when their presence was not renewed. Beyond that each is watched anew.
const MOST_WATCHED: usize = 1_024;
/// How long it is kept after the last wait ended, so that a busy process does not write it anew each time.
const LINGER: Duration = Duration::from_secs(10);
/// A gap between renewals above this means that the store, or this process, stood still.
const GAP: Duration = Duration::from_secs(3);
/// How long renewals must have gone well before the absence of another's presence means anything: after an outage
/// every presence key has expired, the live ones' too, and the others are back when they have connected again (within
/// 2 s) and renewed (1.2 s). Whoever takes longer loses its place to those behind it, never a lease. A process that has
/// just started waits this long, too: were it longer than a presence key lives, a lock with a short TTL and a line would
/// be stuck for that much longer after its daemon was killed and started again.
const STEADY: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
pub(crate) struct Presence {
    state: Mutex<State>,
    /// Of other processes, the revision of their presence that was seen last, and when first.
    watched: Mutex<BTreeMap<String, (Revision, Moment)>>,
}

/// What is known of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Here {
    /// It is here.
    Yes,
    /// Its presence was not renewed for a while.
    Late,
    /// Its presence is not to be seen or has outlived its TTL; after an outage, or just after the start, that means nothing yet.
    NotSeen,
    /// The same, while everybody's must be to be seen.
    No,
}

#[derive(Debug, Default)]
struct State {
    waits: usize,
    running: bool,
    idle_since: Option<Moment>,
    revision: Revision,
    confirmed: Option<Moment>,
    steady_since: Option<Moment>,
}

impl Presence {
    /// One wait more. Returns once the presence key has been written, or at once if it is being kept already.
    pub(crate) async fn enter(&self, core: &Arc<Core>) {
        let start = {
            let mut state = locked(&self.state);
            state.waits += 1;
            state.idle_since = None;
            !std::mem::replace(&mut state.running, true)
        };
        if start {
            // If this first write fails, the keeper's next one follows soon; being taken for dead for a moment
            // costs a place in line, never a lease.
            self.renew(core).await;
            let shared = Arc::clone(core);
            core.spawn(async move { shared.presence.keep(&shared).await });
        }
    }

    /// One wait less.
    pub(crate) fn leave(&self, now: Moment) {
        let mut state = locked(&self.state);
        state.waits = state.waits.saturating_sub(1);
        if state.waits == 0 {
            state.idle_since = Some(now);
        }
    }

    /// What the presence of a process says, as it was read just now: its revision, if there is one.
    pub(crate) fn judge(&self, process: &str, read: Option<Revision>, now: Moment) -> Here {
        let unrenewed = read.map(|revision| now.since(self.first_seen(process, revision, now)));
        match unrenewed {
            Some(unrenewed) if unrenewed <= LATE => Here::Yes,
            Some(unrenewed) if unrenewed <= OUTLIVED => Here::Late,
            _ if self.may_judge(now) => Here::No,
            _ => Here::NotSeen,
        }
    }

    /// When this revision of a process's presence was seen first.
    fn first_seen(&self, process: &str, revision: Revision, now: Moment) -> Moment {
        let mut watched = locked(&self.watched);
        match watched.get(process) {
            Some((before, since)) if *before == revision => *since,
            _ => {
                if watched.len() >= MOST_WATCHED {
                    watched.clear();
                }
                watched.insert(process.to_owned(), (revision, now));
                now
            }
        }
    }

    /// Whether a presence key that is absent now means that its process is gone.
    fn may_judge(&self, now: Moment) -> bool {
        let state = locked(&self.state);
        let fresh = state.confirmed.is_some_and(|at| now.since(at) < GAP);
        fresh && state.steady_since.is_some_and(|since| now.since(since) >= STEADY)
    }

    async fn keep(&self, core: &Arc<Core>) {
        let mut next = core.now() + EVERY;
        loop {
            tokio::select! {
                biased;
                () = core.closing.cancelled() => {}
                () = sleep_until(core.ambient.as_ref(), next) => {}
            }
            {
                let mut state = locked(&self.state);
                let idle = state.idle_since.is_some_and(|since| core.now().since(since) > LINGER);
                if state.waits == 0 && (idle || core.closing.is_cancelled()) {
                    *state = State::default();
                    return;
                }
            }
            if core.closing.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            // From when it is sent: where a store needs long to answer, the presence of others must still be judged.
            next = core.now() + EVERY;
            self.renew(core).await;
        }
    }

    async fn renew(&self, core: &Core) {
        // A conflict means that the key expired, or that an answer was lost: take what is there and write once more.
        for _ in 0..2 {
            let write = Write {
                key: key::here(&core.identity.process),
                expect: locked(&self.state).revision,
                body: Body::Put(Bytes::from(core.identity.owner.clone())),
                ttl_secs: TTL_SECS,
                id: fresh_id(core.ambient.as_ref()),
            };
            let sent = core.now();
            let answer = core.write(&write).await;
            let mut state = locked(&self.state);
            match answer {
                Ok(ack) => {
                    state.revision = ack.revision;
                    if state.confirmed.is_none_or(|at| sent.since(at) > GAP) {
                        state.steady_since = Some(sent);
                    }
                    state.confirmed = Some(sent);
                    return;
                }
                Err(WriteError::Conflict { current }) => state.revision = current.unwrap_or_default(),
                Err(_) => return,
            }
        }
    }
}
