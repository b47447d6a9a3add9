//! The task behind one joining: a claim on a key that is new and nobody else's.
//!
//! There is no line and nobody in the way, so all that can go wrong is the store: answers that are lost, late, or from
//! another bucket. As with every grant the caller is told "a member" only once the outcome is known.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Membership;
use crate::ambient::{Moment, fresh_id, sleep_until};
use crate::core::Core;
use crate::error::Error;
use crate::guard::Trust;
use crate::lease::{Held, Lease};
use crate::observe::Observation;
use crate::protocol::{Claim, ClaimStep, Hold, Payload, Record, Slot, Times, key};
use crate::store::{Revision, Unreadable};

/// How long the caller waits for an unresponsive store. Longer than a leader failover.
const PATIENCE: Duration = Duration::from_secs(12);
/// The pause before another claim.
const PAUSE: Duration = Duration::from_millis(200);

/// What is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub name: String,
    pub owner: String,
    pub value: Payload,
    pub times: Times,
    pub renewed_by_caller: bool,
}

type Answer = Result<Membership, Error>;

struct Joining {
    core: Arc<Core>,
    wanted: Wanted,
    /// Where to answer; `None` once answered.
    caller: Option<oneshot::Sender<Answer>>,
    started: Moment,
}

/// What came of a claim.
enum Claimed {
    Granted(Membership),
    /// Nothing of it stands or will stand; another may do better.
    Again(String),
    Failed(Error),
}

/// Starts joining; dropping the receiver gives it up.
pub(super) fn start(core: &Arc<Core>, wanted: Wanted) -> oneshot::Receiver<Answer> {
    let (caller, answer) = oneshot::channel();
    let joining = Joining { core: Arc::clone(core), wanted, caller: Some(caller), started: core.now() };
    // Tracked, so that a space that closes waits until what may have been granted is given back.
    core.spawn(joining.run());
    answer
}

impl Joining {
    async fn run(mut self) {
        let answer = self.pursue().await;
        // Without a listener a membership in the answer is dropped, and dropping it gives it back.
        self.answer(answer);
    }

    async fn pursue(&mut self) -> Answer {
        loop {
            self.core.may_grant().await?;
            let trouble = match self.claim().await {
                Claimed::Granted(membership) => return Ok(membership),
                Claimed::Failed(error) => return Err(error),
                Claimed::Again(trouble) => trouble,
            };
            if self.nobody_listens() || self.is_late() {
                return Err(Error::Unreachable(trouble));
            }
            sleep_until(self.core.ambient.as_ref(), self.core.now() + PAUSE).await;
        }
    }

    /// Claims a key of its own. Once the store may have taken it, the claim is not interrupted: a caller that goes
    /// meanwhile is one that the membership is given back for.
    async fn claim(&mut self) -> Claimed {
        let core = Arc::clone(&self.core);
        let trust = core.guard.trust();
        // Without this, a newly opened bucket could hold longer leases than it is on record to have.
        if let Err(Unreadable(why)) = core.store.cover_ttl(self.wanted.times.store_secs()).await {
            return Claimed::Again(why);
        }
        // New for each claim. So a write of an earlier one that is applied late cannot be taken for this one's.
        let id = fresh_id(core.ambient.as_ref());
        let key = key::member(&self.wanted.name, &id);
        let mut serial = 1;
        let mut claim = Claim::new(key.clone(), self.record(&id), self.wanted.times, 0, serial, core.now());
        let mut step = ClaimStep::Send(Duration::ZERO);
        let mut was_open = false;
        let claimed = loop {
            was_open |= claim.is_open();
            serial += 1;
            step = match step {
                ClaimStep::Send(pause) => {
                    if !pause.is_zero() {
                        self.rest(core.now() + pause, was_open).await;
                    }
                    let now = core.now();
                    if now >= claim.deadline() || (self.nobody_listens() && !was_open) {
                        break self.too_late(&key, &id, None, was_open).await;
                    }
                    let answer = core.write(claim.write()).await;
                    claim.answered(core.now(), serial, answer)
                }
                ClaimStep::Look(revision) => {
                    // What a revision holds is true for ever; if it cannot be read, the next CAS names a newer one.
                    let found = core.asked("read-revision", core.store.read_revision(revision)).await;
                    let slot = found.ok().flatten().map(|entry| Slot::of(Some(&entry)));
                    claim.found(core.now(), serial, slot.as_ref())
                }
                ClaimStep::Granted(hold) => break self.granted(key, id, *hold, trust).await,
                // It had been taken, and was removed by force or had expired before that was known; or somebody wrote
                // under a key that nobody could know.
                ClaimStep::NotOurs(_) => {
                    break Claimed::Again("the member's key was written by others".into());
                }
                ClaimStep::TooLate { ours } => break self.too_late(&key, &id, ours, true).await,
                ClaimStep::Refused(why) => {
                    // The guard may have refused a write that the store took.
                    self.free_own(&key, &id, None).await;
                    break match core.may_grant().await {
                        Err(error) => Claimed::Failed(error),
                        Ok(()) if why.contains("ermission") => Claimed::Failed(Error::Denied(why)),
                        Ok(()) => Claimed::Failed(Error::Unreachable(why)),
                    };
                }
            };
        };
        if was_open {
            let how = match &claimed {
                Claimed::Granted(_) => "applied",
                Claimed::Again(_) => "not-applied",
                Claimed::Failed(_) => "given-up",
            };
            core.observe(Observation::UnknownResolved { how });
        }
        claimed
    }

    /// Hands out what was granted, unless the store was found to be another meanwhile, or the space closes.
    async fn granted(&self, key: String, id: String, mut hold: Hold, trust: Trust) -> Claimed {
        let core = &self.core;
        // In this order: what befalls the space after the questions reaches the subscriber.
        let calamity = core.calamity.subscribe();
        if !core.guard.stands(trust, core.now()) || core.closing.is_cancelled() {
            core.forget(key, hold.revision()).await;
            return match core.may_grant().await {
                Err(error) => Claimed::Failed(error),
                Ok(()) => Claimed::Again("the store changed while it was joined".into()),
            };
        }
        if self.wanted.renewed_by_caller {
            hold.renews_itself(false);
        }
        // Nobody stands in line for a key of one's own; it is what the members' history is told under.
        let (name, line) = (self.wanted.name.clone(), key::group(&self.wanted.name));
        let held = Held { kind: "group", name, key, line, keeps_next: false };
        let lease = Lease::start(core, held, hold, calamity);
        lease.waited(core.now().since(self.started));
        Claimed::Granted(Membership::new(id, lease))
    }

    /// The deadline passed before the outcome was known, or nobody wants to know it.
    async fn too_late(&self, key: &str, id: &str, ours: Option<Revision>, open: bool) -> Claimed {
        self.free_own(key, id, ours).await;
        if open {
            // Another claim now, and what is applied late would show as a second member.
            return Claimed::Failed(Error::Unknown("the store did not answer the joining write"));
        }
        Claimed::Again("the store took no write".into())
    }

    /// Frees a record of this joining that nobody will hold; what cannot be found ends by its TTL.
    async fn free_own(&self, key: &str, id: &str, ours: Option<Revision>) {
        let found = match ours {
            Some(revision) => Some(revision),
            // The read may be old, but what it shows to be ours is ours, and the CAS hits nothing else.
            None => {
                let entry = self.core.asked("read", self.core.store.read(key)).await.ok().flatten();
                let slot = Slot::of(entry.as_ref());
                (slot.attempt() == Some(id)).then(|| slot.revision())
            }
        };
        if let Some(revision) = found {
            self.core.forget(key.to_owned(), revision).await;
        }
    }

    /// Waits between two tries. A caller whose patience is over meanwhile is told so; a claim that may have been taken
    /// goes on and cleans up behind.
    async fn rest(&mut self, until: Moment, open: bool) {
        sleep_until(self.core.ambient.as_ref(), until).await;
        if self.is_late() {
            self.answer(Err(match open {
                true => Error::Unknown("the store did not answer the joining write"),
                false => Error::Unreachable("the store took no write".into()),
            }));
        }
    }

    fn answer(&mut self, answer: Answer) {
        let Some(caller) = self.caller.take() else { return };
        let outcome = match &answer {
            _ if caller.is_closed() => "cancelled",
            Ok(_) => "granted",
            Err(Error::Unknown(_)) => "unknown",
            Err(Error::Unreachable(_)) => "unreachable",
            Err(_) => "refused",
        };
        let took = self.core.now().since(self.started);
        self.core.observe(Observation::Acquired { kind: "group", outcome, took });
        // The caller may have gone.
        let _ = caller.send(answer);
    }

    fn record(&self, id: &str) -> Record {
        let person = self.core.waiter(String::new(), id.to_owned(), self.wanted.owner.clone());
        let since = self.core.timestamp();
        let value = Some(self.wanted.value.clone());
        Record { since, value, ..self.core.record(&person, &self.wanted.times) }
    }

    fn nobody_listens(&self) -> bool {
        self.caller.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn is_late(&self) -> bool {
        self.core.now().since(self.started) >= PATIENCE
    }
}
