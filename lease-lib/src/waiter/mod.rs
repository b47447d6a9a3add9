//! An attempt to acquire, from the first look to the grant.
//!
//! Each attempt is a task of its own, so that dropping the caller's future interrupts nothing half-way: the task sees
//! that nobody listens any more, brings a write of unknown outcome to its end, leaves the line, and gives back what it
//! was granted after all.
//!
//! ```text
//!            look at record and line
//!     free, no line ──► claim ──► granted
//!          │ taken, or a line        ▲
//!          ▼                         │ kept free for us, deleted, or expired
//!     take a place ──► follow the place ahead ──► first: follow the record
//! ```

mod claiming;
mod place;
mod position;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use claiming::Claimed;

use crate::ambient::{Moment, fresh_id, sleep_until};
use crate::core::Core;
use crate::error::Error;
use crate::lease::Lease;
use crate::lock::Attempt;
use crate::observe::Observation;
use crate::post::Marker;
use crate::protocol::line::{self, Waiter as Person};
use crate::protocol::{Holder, Payload, Record, Times, key};
use crate::store::{Revision, Unreadable};
use crate::target::{Blind, Opening, Sight, Target};

/// How long a first look, or a single try, may take over an unresponsive store before it gives up. Longer than a
/// leader failover.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long a claim that is under way may outlive the caller's limit before the caller is told `unknown`.
const OVERTIME: Duration = Duration::from_secs(2);

/// What is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub target: Target,
    pub owner: String,
    pub metadata: std::collections::BTreeMap<String, String>,
    pub times: Times,
    pub renewed_by_caller: bool,
    /// What a candidate brings.
    pub candidacy: Candidacy,
    /// How long to wait in line; `None` for as long as the caller listens, zero for a single try.
    pub limit: Option<Duration>,
}

/// What a candidate of an election brings; for every other kind, nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidacy {
    pub priority: i32,
    /// Whether it would take office now; always, if nothing is said.
    pub ready: Option<watch::Receiver<bool>>,
    pub value: Option<Payload>,
}

impl Candidacy {
    fn is_ready(&self) -> bool {
        self.ready.as_ref().is_none_or(|ready| *ready.borrow())
    }

    /// Resolves when the candidate's being ready is not `known` any more.
    async fn changes(&mut self, known: bool) {
        if let Some(ready) = &mut self.ready
            && ready.wait_for(|ready| *ready != known).await.is_ok()
        {
            return;
        }
        // Whoever says so has gone: it stays as it is.
        std::future::pending().await
    }
}

type Answer = Result<Attempt, Error>;

/// The task behind one acquire.
pub(super) struct Waiter {
    core: Arc<Core>,
    wanted: Wanted,
    /// What its line is for.
    scope: String,
    person: Person,
    /// Where to answer; `None` once answered.
    caller: Option<oneshot::Sender<Answer>>,
    ahead: watch::Sender<Option<usize>>,
    started: Moment,
    /// Numbers this attempt's writes, so that each logical write has an id of its own.
    serial: u64,
    /// What it claimed last, if nothing is known of that.
    overdue: Option<claiming::Overdue>,
    last_seen: Option<Holder>,
    /// The revision that the last refused claim expected, and how often in a row none was newer: then what is read
    /// comes from a server that was left behind, and to claim it again at once would only keep the store busy.
    expected: Option<Revision>,
    refusals: u32,
    /// The processes that were told that this waiter comes next.
    told: std::collections::BTreeSet<String>,
    /// The processes ahead that were found to be gone.
    gone: std::collections::BTreeSet<String>,
    /// The place ahead that the line showed last and its key did not.
    unseen: Option<Revision>,
    /// Whether a write that was to take its place was not answered, so that it may yet arrive.
    may_be_late: bool,
}

/// How a stage of the attempt ended, other than by going on.
pub(super) enum Verdict {
    Granted(Lease),
    /// Not granted in the time given; whoever holds it.
    Held,
    Failed(Error),
    /// The caller has gone, or was answered already.
    GivenUp,
}

/// Starts an attempt; dropping the receiver gives it up.
pub(crate) fn start(
    core: &Arc<Core>,
    wanted: Wanted,
) -> (oneshot::Receiver<Answer>, watch::Receiver<Option<usize>>) {
    start_as(core, wanted, fresh_id(core.ambient.as_ref()))
}

/// As [`start`], for an attempt that something is kept free for already.
pub(crate) fn start_as(
    core: &Arc<Core>,
    wanted: Wanted,
    attempt: String,
) -> (oneshot::Receiver<Answer>, watch::Receiver<Option<usize>>) {
    let (caller, answer) = oneshot::channel();
    let (ahead, place) = watch::channel(None);
    let person = Person {
        priority: wanted.candidacy.priority,
        is_ready: wanted.candidacy.is_ready(),
        value: wanted.candidacy.value.clone(),
        ..core.waiter(String::new(), attempt, wanted.owner.clone())
    };
    let started = core.now();
    let core = Arc::clone(core);
    let caller = Some(caller);
    let waiter = Waiter {
        core,
        scope: wanted.target.scope(),
        wanted,
        person,
        caller,
        ahead,
        started,
        serial: 0,
        overdue: None,
        last_seen: None,
        expected: None,
        refusals: 0,
        told: Default::default(),
        gone: Default::default(),
        unseen: None,
        may_be_late: false,
    };
    let shared = Arc::clone(&waiter.core);
    shared.spawn(waiter.run());
    (answer, place)
}

impl Waiter {
    async fn run(mut self) {
        let verdict = self.pursue().await;
        let (outcome, answer) = match verdict {
            Verdict::Granted(lease) => ("granted", Ok(Attempt::Granted(lease))),
            Verdict::Held if self.is_try() => ("held", Ok(Attempt::Held(self.last_seen.take()))),
            Verdict::Held => ("timeout", Ok(Attempt::Held(self.last_seen.take()))),
            Verdict::Failed(error) => (outcome_of(&error), Err(error)),
            Verdict::GivenUp => ("cancelled", Err(Error::Closing)),
        };
        // Without a listener a lease in the answer is dropped, and dropping it gives it back.
        if let Some(caller) = self.caller.take() {
            let took = self.core.now().since(self.started);
            let outcome = if caller.is_closed() { "cancelled" } else { outcome };
            self.core.observe(Observation::Acquired { kind: self.wanted.target.kind(), outcome, took });
            let _ = caller.send(answer);
        }
    }

    async fn pursue(&mut self) -> Verdict {
        let mut marker = self.core.post.take_freed(&self.scope, self.started);
        let mut tries = 0;
        loop {
            if let Err(verdict) = self.admitted().await {
                return verdict;
            }
            if !self.person.is_ready {
                return if self.is_try() { Verdict::Held } else { self.queue().await };
            }
            // Our own last release left this marker: the CAS tells whether it is still the newest.
            let opening = match marker.take().filter(|_| self.wanted.target.is_one_record()) {
                Some(Marker { revision, previous }) => {
                    Opening::new(self.scope.clone(), revision, Some(previous))
                }
                None => match self.look().await {
                    Ok((Sight::Open(opening), true)) if !self.is_try() && !opening.mine => {
                        return self.queue().await;
                    }
                    Ok((sight, waited_for)) => {
                        if !waited_for {
                            self.core.post.nobody_waits(&self.scope);
                        }
                        match sight {
                            // Beside others there is room for one more, but not before those who wait for it.
                            Sight::Open(opening)
                                if waited_for
                                    && !opening.mine
                                    && !self.wanted.target.is_one_record()
                                    && self.is_waited_for(Revision::MAX).await =>
                            {
                                return Verdict::Held;
                            }
                            Sight::Open(opening) => opening,
                            Sight::Taken(taken) => {
                                self.last_seen = taken.holder;
                                return if self.is_try() { Verdict::Held } else { self.queue().await };
                            }
                        }
                    }
                    Err(verdict) => return verdict,
                },
            };
            self.last_seen = None;
            match self.claim(opening, None).await {
                Claimed::Over(verdict) => return verdict,
                Claimed::TooLate => return self.queue().await,
                Claimed::No => {
                    if let Err(verdict) = self.pause(self.backoff()).await {
                        return verdict;
                    }
                }
            }
            // A try that finds it free but loses it, time and again, has its answer.
            tries += 1;
            if self.is_try() && tries >= 8 {
                return Verdict::Held;
            }
        }
    }

    /// Reads the record, and whether anybody waits in line. Repeats while the store does not answer.
    async fn look(&mut self) -> Result<(Sight, bool), Verdict> {
        let give_up_at = self.started + self.wanted.limit.unwrap_or(PATIENCE).clamp(PATIENCE / 4, PATIENCE);
        loop {
            let line = key::line(&self.scope);
            let core = &self.core;
            // Both may be old: then the CAS that follows fails, or a newcomer takes a turn that was not its own.
            let (sight, tail) = tokio::join!(
                self.wanted.target.look(core, &self.person.attempt),
                core.asked("last", core.store.last(&line))
            );
            let trouble = match (sight, tail) {
                (Ok(sight), Ok(tail)) => {
                    let waited_for = match tail {
                        None => false,
                        Some(tail) if line::place(&tail).is_some() => true,
                        // The newest of the line's entries is of one who left: look whether others are there.
                        Some(_) if matches!(sight, Sight::Open(_)) => !self.places().await.is_empty(),
                        Some(_) => true,
                    };
                    return Ok((sight, waited_for));
                }
                (Err(Blind::Denied(why)), _) => match self.core.refusal(why).await {
                    Error::Quiet(_) if !self.is_try() => {
                        self.admitted().await?;
                        continue;
                    }
                    error => return Err(Verdict::Failed(error)),
                },
                (Err(Blind::Refused(error)), _) => return Err(Verdict::Failed(error)),
                (Err(Blind::Unreadable(why)), _) | (_, Err(Unreadable(why))) => why,
            };
            if self.core.now() >= give_up_at {
                return Err(Verdict::Failed(Error::Unreachable(trouble)));
            }
            match self.pause(Duration::from_millis(100)).await {
                Ok(()) => {}
                // The time is up, but nobody knows whether it is held.
                Err(Verdict::Held) => return Err(Verdict::Failed(Error::Unreachable(trouble))),
                Err(verdict) => return Err(verdict),
            }
        }
    }

    /// Waits until the space may grant; a try does not wait.
    async fn admitted(&mut self) -> Result<(), Verdict> {
        loop {
            match self.core.may_grant().await {
                Ok(()) => return Ok(()),
                Err(Error::Quiet(left)) if !self.is_try() => {
                    self.pause(left.min(Duration::from_secs(1))).await?;
                }
                Err(error) => return Err(Verdict::Failed(error)),
            }
        }
    }

    /// Sleeps, unless the caller goes or the time is up first.
    async fn pause(&mut self, pause: Duration) -> Result<(), Verdict> {
        let core = Arc::clone(&self.core);
        let until = core.now() + pause;
        tokio::select! {
            biased;
            verdict = self.end_of_waiting() => Err(verdict),
            () = sleep_until(core.ambient.as_ref(), until) => Ok(()),
        }
    }

    /// Resolves when waiting must end: the caller has gone, its limit has passed, or the space closes.
    async fn end_of_waiting(&mut self) -> Verdict {
        let core = Arc::clone(&self.core);
        let limit = self.wanted.limit.filter(|limit| !limit.is_zero()).map(|limit| self.started + limit);
        let Some(caller) = self.caller.as_mut() else { return Verdict::GivenUp };
        tokio::select! {
            biased;
            () = caller.closed() => Verdict::GivenUp,
            () = core.closing.cancelled() => Verdict::Failed(Error::Closing),
            () = async {
                match limit {
                    Some(at) => sleep_until(core.ambient.as_ref(), at).await,
                    None => std::future::pending().await,
                }
            } => Verdict::Held,
        }
    }

    /// A claim that expected this revision was refused.
    fn refused(&mut self, expected: Revision) {
        let newer = self.expected.is_none_or(|before| expected > before);
        self.refusals = if newer { 0 } else { self.refusals.saturating_add(1) };
        self.expected = Some(expected);
    }

    /// How long to wait before the next claim.
    fn backoff(&self) -> Duration {
        doubled(Duration::from_millis(5), self.refusals)
    }

    fn is_try(&self) -> bool {
        self.wanted.limit.is_some_and(|limit| limit.is_zero())
    }

    fn record(&self, opening: &Opening) -> Record {
        Record {
            since: self.core.timestamp(),
            metadata: self.wanted.metadata.clone(),
            previous: opening.previous.clone(),
            fence: opening.fence,
            ..self.core.record(&self.person, &self.wanted.times)
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The key of this waiter's place.
    fn place_key(&self) -> String {
        key::place(&self.scope, &self.person.place)
    }

    /// Everything in line, by order; empty if it cannot be read.
    async fn places(&self) -> Vec<line::Place> {
        let mut places = crate::line::read(&self.core, &self.scope).await.unwrap_or_default();
        let now = self.core.now();
        places.retain(|place| !self.core.ghosts.has(place.order, now));
        if self.wanted.target.by_priority() { line::by_priority(places) } else { places }
    }
}

/// Nothing the first time, then `first`, and twice as long each time, up to about a second.
fn doubled(first: Duration, times: u32) -> Duration {
    match times.checked_sub(1) {
        None => Duration::ZERO,
        Some(again) => first.saturating_mul(1 << again.min(8)).min(Duration::from_secs(1)),
    }
}

fn outcome_of(error: &Error) -> &'static str {
    match error {
        Error::Unknown(_) => "unknown",
        Error::Unreachable(_) => "unreachable",
        _ => "refused",
    }
}
