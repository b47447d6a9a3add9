//! The task behind one acquire of several locks.
//!
//! ```text
//!    look at all ──── all are free, nobody waits ────► one batch ──► granted
//!      │ one is not                                       ▲
//!      ▼                                                  │ the rest is free
//!    wait in the line of that one, hold it ── look at the rest
//!      ▲                                          │ one is not
//!      └────────── give it back: others pass ◄────┘
//! ```
//!
//! What is held on the way is held as a lock of its own, with a token that nobody is given; the batch writes the grant
//! over it. After [`PASSES`] rounds the names are taken one after the other in their order and kept: whoever keeps one
//! waits only for names that come later in the order, so there is no circle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};

use super::{LockAll, MultiAttempt, MultiLease};
use crate::ambient::{Moment, fresh_id, sleep_until};
use crate::core::Core;
use crate::error::Error;
use crate::lease::{Held, Lease};
use crate::lock::Attempt;
use crate::observe::Observation;
use crate::protocol::line;
use crate::protocol::{AllStep, ClaimAll, Hold, Holder, Loss, Part, Record, Slot, Times, key};
use crate::store::{MAX_BATCH, Unreadable};
use crate::target::{Blind, Opening, Sight, Target};

/// How often others may pass.
const PASSES: u32 = 4;
/// How long a first look over an unresponsive store may take.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long after its limit a claim that is under way may go on before the caller is told `unknown`.
const OVERTIME: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

type Answer = Result<MultiAttempt, Error>;

struct Pursuit {
    core: Arc<Core>,
    wanted: LockAll,
    times: Times,
    owner: String,
    attempt: String,
    limit: Option<Duration>,
    started: Moment,
    caller: Option<oneshot::Sender<Answer>>,
    /// How many are ahead where it waits at present.
    place: watch::Sender<Option<usize>>,
    serial: u64,
    /// Whether something of a batch may stand that nobody holds.
    may_stand: bool,
}

/// What is held on the way, by name.
type Kept = BTreeMap<String, Lease>;

/// What was granted.
struct Won {
    holds: Vec<Hold>,
    /// Subscribed to before the grant was found to stand.
    calamity: watch::Receiver<Option<Loss>>,
}

/// Why the pursuit ends without a grant.
enum Over {
    Held(String, Option<Holder>),
    Failed(Error),
    /// The caller has gone, or was answered already.
    GivenUp,
}

/// What a look at all names shows.
enum View {
    /// All can be claimed.
    Open(Vec<(String, Opening)>),
    /// This one is in the way.
    Taken(String, Option<Holder>),
}

pub(super) fn start(
    wanted: LockAll,
    limit: Option<Duration>,
    caller: oneshot::Sender<Answer>,
    place: watch::Sender<Option<usize>>,
) -> Result<(), Error> {
    let core = Arc::clone(wanted.space.core());
    let (times, owner) = wanted.lock.times_and_owner()?;
    let attempt = fresh_id(core.ambient.as_ref());
    let started = core.now();
    let caller = Some(caller);
    let pursuit = Pursuit {
        core,
        wanted,
        times,
        owner,
        attempt,
        limit,
        started,
        caller,
        place,
        serial: 0,
        may_stand: false,
    };
    let core = Arc::clone(&pursuit.core);
    core.spawn(pursuit.run());
    Ok(())
}

impl Pursuit {
    async fn run(mut self) {
        let answer = match self.pursue().await {
            Ok(lease) => Ok(MultiAttempt::Granted(lease)),
            Err(Over::Held(name, holder)) => Ok(MultiAttempt::Held(name, holder)),
            Err(Over::Failed(error)) => Err(error),
            Err(Over::GivenUp) => Err(Error::Closing),
        };
        let is_granted = matches!(answer, Ok(MultiAttempt::Granted(_)));
        // Without a listener a lease in the answer is dropped, and dropping it gives it back.
        if let Some(caller) = self.caller.take() {
            let outcome = match &answer {
                _ if caller.is_closed() => "cancelled",
                Ok(MultiAttempt::Granted(_)) => "granted",
                Ok(MultiAttempt::Held(..)) if self.is_try() => "held",
                Ok(MultiAttempt::Held(..)) => "timeout",
                Err(Error::Unknown(_)) => "unknown",
                Err(Error::Unreachable(_)) => "unreachable",
                Err(_) => "refused",
            };
            self.observe(outcome);
            let _ = caller.send(answer);
        }
        // What one leader refused another may have taken.
        if !is_granted && self.may_stand {
            self.clean_up().await;
        }
    }

    fn observe(&self, outcome: &'static str) {
        let took = self.core.now().since(self.started);
        self.core.observe(Observation::Acquired { kind: "multi", outcome, took });
    }

    async fn pursue(&mut self) -> Result<MultiLease, Over> {
        let mut kept = Kept::new();
        let mut passes = 0;
        loop {
            self.admitted().await?;
            // What was lost meanwhile is not its own any more.
            kept.retain(|_, lease| lease.expires_in() > Duration::ZERO);
            let name = match self.look(&kept).await? {
                View::Open(openings) => match self.claim(openings).await? {
                    Some(won) => return Ok(self.granted(won, kept).await),
                    None if self.is_try() && passes >= 2 * PASSES => {
                        return Err(Over::Held(self.first_name(), None));
                    }
                    None => {
                        passes += 1;
                        self.pause(PAUSE / 10).await?;
                        self.ask_anew(&kept).await?;
                        continue;
                    }
                },
                View::Taken(name, holder) if self.is_try() => return Err(Over::Held(name, holder)),
                View::Taken(name, _) => name,
            };
            if passes < PASSES {
                // Others pass: what is kept is given back, to the next in line.
                for (_, lease) in std::mem::take(&mut kept) {
                    drop(lease);
                }
                passes += 1;
                let lease = self.wait_for(&name).await?;
                lease.revision(false);
                kept.insert(name, lease);
            } else {
                self.take_in_order(&mut kept).await?;
            }
        }
    }

    /// Asks whether what is kept is still held, after a batch over it was refused: it does not renew itself meanwhile, so
    /// nothing else tells, and the same batch would be refused until its deadline.
    async fn ask_anew(&mut self, kept: &Kept) -> Result<(), Over> {
        let renewals = join_all(kept.values().map(Lease::renew));
        tokio::select! {
            biased;
            // What is lost shows in its own clock.
            _ = renewals => Ok(()),
            paused = self.pause(Duration::from_secs(1)) => paused,
        }
    }

    /// Waits until the space may grant; a try does not wait.
    async fn admitted(&mut self) -> Result<(), Over> {
        loop {
            match self.core.may_grant().await {
                Ok(()) => return Ok(()),
                Err(Error::Quiet(left)) if !self.is_try() => {
                    self.pause(left.min(Duration::from_secs(1))).await?;
                }
                Err(error) => return Err(Over::Failed(error)),
            }
        }
    }

    /// Holds every name, one after the other, and keeps what it has. What is lost on the way is taken again.
    async fn take_in_order(&mut self, kept: &mut Kept) -> Result<(), Over> {
        // Only ever wait for what comes after all that is kept.
        kept.clear();
        let names: Vec<String> = self.wanted.names.iter().cloned().collect();
        for name in names {
            let lease = self.wait_for(&name).await?;
            kept.insert(name, lease);
        }
        Ok(())
    }

    /// Waits in the line of one name, and holds it.
    async fn wait_for(&mut self, name: &str) -> Result<Lease, Over> {
        let limit = match self.limit {
            None => None,
            // A limit of zero would be a try.
            Some(limit) => Some(self.core.now().until(self.started + limit).max(Duration::from_millis(1))),
        };
        let lock = self.wanted.one(name);
        let mut waiting = lock.wait(limit).map_err(Over::Failed)?;
        // To know the place costs the line some reading.
        let mut ahead = (!self.place.is_closed()).then(|| waiting.ahead());
        let Some(caller) = self.caller.as_mut() else { return Err(Over::GivenUp) };
        loop {
            tokio::select! {
                biased;
                () = caller.closed() => return Err(Over::GivenUp),
                attempt = waiting.granted() => return match attempt {
                    Ok(Attempt::Granted(lease)) => Ok(lease),
                    Ok(Attempt::Held(holder)) => Err(Over::Held(name.to_owned(), holder)),
                    Err(error) => Err(Over::Failed(error)),
                },
                place = moved(ahead.as_mut()) => drop(self.place.send_replace(place)),
            }
        }
    }

    /// Looks at all names. What is kept is its own to write over; of the others it shows whether they are free, and
    /// nobody waits for them (a try steps in all the same).
    async fn look(&mut self, kept: &Kept) -> Result<View, Over> {
        let give_up_at = self.started + self.limit.unwrap_or(PATIENCE).clamp(PATIENCE / 4, PATIENCE);
        loop {
            match self.view(kept).await {
                Ok(view) => return Ok(view),
                Err(Blind::Refused(error)) => return Err(Over::Failed(error)),
                Err(Blind::Denied(why)) => return Err(Over::Failed(self.core.refusal(why).await)),
                Err(Blind::Unreadable(why)) if self.core.now() >= give_up_at && kept.is_empty() => {
                    return Err(Over::Failed(Error::Unreachable(why)));
                }
                Err(Blind::Unreadable(_)) => self.pause(PAUSE).await?,
            }
        }
    }

    async fn view(&self, kept: &Kept) -> Result<View, Blind> {
        let core = &self.core;
        let sights = join_all(self.wanted.names.iter().map(async |name| {
            if let Some(lease) = kept.get(name) {
                // From here on it does not renew itself: the batch names the revision that it has now.
                let previous = lease.previous().cloned();
                let opening = Opening::new(key::lock(name), lease.revision(false), previous);
                return Ok((Sight::Open(opening), false));
            }
            let (target, line) = (Target::Lock { name: name.clone() }, key::line(&key::lock(name)));
            let (sight, tail) =
                tokio::join!(target.look(core, &self.attempt), core.asked("last", core.store.last(&line)));
            let waited_for = match tail? {
                None => false,
                Some(tail) if line::place(&tail).is_some() => true,
                // The newest of the line's entries is of one who left: look whether others are there.
                Some(_) => !crate::line::read(core, &key::lock(name)).await.unwrap_or_default().is_empty(),
            };
            Ok::<_, Blind>((sight?, waited_for))
        }))
        .await;
        let mut openings = Vec::new();
        for (name, sight) in self.wanted.names.iter().zip(sights) {
            match sight? {
                (Sight::Taken(taken), _) => return Ok(View::Taken(name.clone(), taken.holder)),
                // Free, but others wait for it: it stands in line with them.
                (Sight::Open(opening), true) if !self.is_try() && !opening.mine => {
                    return Ok(View::Taken(name.clone(), None));
                }
                (Sight::Open(opening), _) => openings.push((name.clone(), opening)),
            }
        }
        Ok(View::Open(openings))
    }

    /// Claims all in one batch; `None` if somebody was faster with one.
    async fn claim(&mut self, openings: Vec<(String, Opening)>) -> Result<Option<Won>, Over> {
        let core = Arc::clone(&self.core);
        if let Some((name, _)) = openings.iter().find(|(_, opening)| opening.broken) {
            // Granted, and broken by force before this attempt knew of it: to claim it again would wipe out the mark.
            let name = name.clone();
            self.clean_up().await;
            return if self.is_try() { Err(Over::Held(name, None)) } else { Ok(None) };
        }
        let trust = core.guard.trust();
        if let Err(Unreadable(why)) = core.store.cover_ttl(self.times.store_secs()).await {
            return Err(Over::Failed(Error::Unreachable(why)));
        }
        let parts: Vec<Part> = openings.into_iter().map(|(_, opening)| self.part(opening)).collect();
        let writes: usize = parts.iter().map(|part| 1 + part.gate.before().len()).sum();
        if writes > MAX_BATCH {
            let what = "readers of locks that are wanted together";
            return Err(Over::Failed(Error::TooMany { what, limit: MAX_BATCH }));
        }
        let mut claim = ClaimAll::new(parts, self.times, self.next_id(), core.now());
        let mut step = AllStep::Send(Duration::ZERO);
        self.may_stand = true;
        let holds = loop {
            step = match step {
                AllStep::Send(pause) => {
                    if !pause.is_zero() {
                        self.rest(core.now() + pause, claim.is_open()).await;
                    }
                    if core.now() >= claim.deadline() {
                        AllStep::TooLate
                    } else {
                        let answer = core.write_all(claim.batch()).await;
                        claim.answered(core.now(), answer)
                    }
                }
                AllStep::Read(key) => {
                    let found = core.asked("read", core.store.read(&key)).await.ok().flatten();
                    claim.found(core.now(), self.next_id(), found.as_ref())
                }
                AllStep::Granted(holds) => break holds,
                AllStep::NotOurs => {
                    // An earlier try may be applied yet: then the next look finds it, or its TTL ends it.
                    return Ok(None);
                }
                AllStep::TooLate => {
                    self.clean_up().await;
                    let unknown = Error::Unknown("the store did not answer the granting batch");
                    return if self.is_try() { Err(Over::Failed(unknown)) } else { Ok(None) };
                }
                AllStep::Refused(why) => {
                    self.clean_up().await;
                    return match core.refusal(why).await {
                        // Whoever waits, waits for this too.
                        Error::Quiet(_) if !self.is_try() => Ok(None),
                        error => Err(Over::Failed(error)),
                    };
                }
            };
        };
        // In this order: what is found after the question reaches the subscriber.
        let calamity = core.calamity.subscribe();
        if !core.guard.stands(trust, core.now()) || core.closing.is_cancelled() {
            for hold in holds {
                core.forget(hold.key().to_owned(), hold.revision()).await;
            }
            return Ok(None);
        }
        Ok(Some(Won { holds, calamity }))
    }

    fn part(&self, opening: Opening) -> Part {
        let person = self.core.waiter(String::new(), self.attempt.clone(), self.owner.clone());
        let record = Record {
            since: self.core.timestamp(),
            metadata: self.wanted.lock.metadata_for_all().clone(),
            previous: opening.previous,
            with: self.wanted.names.iter().cloned().collect(),
            ..self.core.record(&person, &self.times)
        };
        Part { key: opening.key, expect: opening.expect, record, gate: opening.gate }
    }

    /// Starts the keepers of what was granted, and forgets what was written over.
    async fn granted(&self, won: Won, kept: Kept) -> MultiLease {
        let Won { holds, calamity } = won;
        let parts = self.wanted.names.iter().zip(holds).map(|(name, mut hold)| {
            let key = key::lock(name);
            let held = Held { kind: "multi", name: name.clone(), line: key.clone(), keeps_next: true, key };
            if self.wanted.renewed_by_caller {
                hold.renews_itself(false);
            }
            let lease = Lease::start(&self.core, held, hold, calamity.clone());
            lease.waited(self.core.now().since(self.started));
            lease
        });
        let lease = MultiLease::start(&self.core, parts.collect());
        for (_, lease) in kept {
            lease.superseded().await;
        }
        lease
    }

    /// Frees records of this attempt that nobody will hold; what cannot be found ends by its TTL.
    async fn clean_up(&mut self) {
        self.may_stand = false;
        for name in &self.wanted.names {
            let key = key::lock(name);
            // The read may be old, but what it shows to be its own is, and the CAS hits nothing else.
            let entry = self.core.asked("read", self.core.store.read(&key)).await.ok().flatten();
            let slot = Slot::of(entry.as_ref());
            if slot.attempt() == Some(&self.attempt) {
                self.core.forget(key, slot.revision()).await;
            }
        }
    }

    /// Waits between two tries of a claim, which goes on whether or not the caller still listens.
    async fn rest(&mut self, until: Moment, open: bool) {
        let core = Arc::clone(&self.core);
        let overdue = self.limit.map(|limit| self.started + limit.max(PATIENCE / 4) + OVERTIME);
        sleep_until(core.ambient.as_ref(), until).await;
        if overdue.is_some_and(|at| core.now() >= at)
            && let Some(caller) = self.caller.take()
        {
            let error = match open {
                true => Error::Unknown("the store did not answer the granting batch"),
                false => Error::Unreachable("the store took no batch".into()),
            };
            self.observe("unknown");
            // The caller may have gone; the claim is brought to its end in any case.
            let _ = caller.send(Err(error));
        }
    }

    /// Sleeps, unless the caller goes or the time is up first.
    async fn pause(&mut self, pause: Duration) -> Result<(), Over> {
        let core = Arc::clone(&self.core);
        let until = core.now() + pause;
        let limit = self.limit.filter(|limit| !limit.is_zero()).map(|limit| self.started + limit);
        let first = self.first_name();
        let Some(caller) = self.caller.as_mut() else { return Err(Over::GivenUp) };
        tokio::select! {
            biased;
            () = caller.closed() => Err(Over::GivenUp),
            () = core.closing.cancelled() => Err(Over::Failed(Error::Closing)),
            () = sleep_until(core.ambient.as_ref(), limit.map_or(until, |at| at.min(until))) => {
                if limit.is_some_and(|at| core.now() >= at) { Err(Over::Held(first, None)) } else { Ok(()) }
            }
        }
    }

    fn first_name(&self) -> String {
        self.wanted.names.first().cloned().unwrap_or_default()
    }

    fn is_try(&self) -> bool {
        self.limit.is_some_and(|limit| limit.is_zero())
    }

    fn next_id(&mut self) -> String {
        self.serial += 1;
        format!("{}-{}", self.attempt, self.serial)
    }
}

/// Waits until there is news of the place in line.
async fn moved(ahead: Option<&mut watch::Receiver<Option<usize>>>) -> Option<usize> {
    if let Some(ahead) = ahead
        && ahead.changed().await.is_ok()
    {
        return *ahead.borrow_and_update();
    }
    // Nobody asks; or the wait has its outcome, and that is the news.
    std::future::pending().await
}
