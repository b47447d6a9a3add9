//! Running a [`Claim`] against the store.

use std::sync::Arc;
use std::time::Duration;

use super::{OVERTIME, Verdict, Waiter};
use crate::ambient::{Moment, sleep_until};
use crate::error::Error;
use crate::guard::Trust;
use crate::lease::{Held, Lease};
use crate::lock::Attempt;
use crate::observe::Observation;
use crate::protocol::{Claim, ClaimStep, Hold, Slot};
use crate::store::{Revision, Unreadable, WriteError};
use crate::target::{Opening, Target};

/// What came of a claim.
pub(super) enum Claimed {
    /// The attempt is over, granted or not.
    Over(Verdict),
    /// Somebody else was faster, or the store could not be asked: look again.
    No,
    /// The outcome could not be learned before the deadline. To claim again at once could keep everybody else waiting
    /// for as long as answers are lost, so it is the next one's turn.
    TooLate,
}

/// A granting write that was given up without an answer.
#[derive(Debug)]
pub(super) struct Overdue {
    key: String,
    expect: Revision,
    serial: u64,
}

impl Waiter {
    /// Claims what was seen: a free record, or one that is kept free for (or already names) this attempt.
    ///
    /// Once sent, a claim is not interrupted: a caller that goes meanwhile is one that the lease is given back for.
    pub(super) async fn claim(&mut self, opening: Opening, news: Option<Moment>) -> Claimed {
        let core = Arc::clone(&self.core);
        // Granted, and broken by force before this attempt knew of it: to claim it again would wipe out the mark.
        if opening.broken {
            self.free_own(&opening.key, Some(opening.expect)).await;
            return if self.is_try() { Claimed::Over(Verdict::Held) } else { Claimed::TooLate };
        }
        let trust = core.guard.trust();
        let record = self.record(&opening);
        // Without this, a newly opened bucket could hold longer leases than it is on record to have.
        if let Err(Unreadable(why)) = core.store.cover_ttl(self.wanted.times.store_secs()).await {
            return match self.pause(Duration::from_millis(200)).await {
                Ok(()) if self.is_try() => Claimed::Over(Verdict::Failed(Error::Unreachable(why))),
                Ok(()) => Claimed::No,
                Err(verdict) => Claimed::Over(verdict),
            };
        }
        let Opening { key, expect, gate, .. } = opening;
        // What was given up may yet arrive. Sent again under its own id, it does nothing more then: the store knows the id. (Not
        // so what goes with others, whose batch would be another one.)
        let is_alone = gate.is_empty();
        let again = self.overdue.take().filter(|it| is_alone && (&it.key, it.expect) == (&key, expect));
        let id = again.as_ref().map_or_else(|| self.next_serial(), |it| it.serial);
        let claim = Claim::new(key.clone(), record, self.wanted.times, expect, id, core.now()).under(gate);
        let mut claim = if again.is_some() { claim.repeated() } else { claim };
        let mut step = ClaimStep::Send(Duration::ZERO);
        let mut is_unanswered = false;
        let claimed = loop {
            let serial = self.next_serial();
            step = match step {
                ClaimStep::Send(pause) => {
                    if !pause.is_zero() {
                        self.rest(core.now() + pause, claim.is_open()).await;
                    }
                    if core.now() >= claim.deadline() {
                        break self.too_late(&key, None, claim.is_open()).await;
                    }
                    let answer = core.send(&claim.request()).await;
                    is_unanswered |= matches!(answer, Err(WriteError::Unknown(_)));
                    claim.answered(core.now(), serial, answer)
                }
                ClaimStep::Look(revision) => {
                    // What a revision holds is true for ever; if it cannot be read, the next CAS names a newer one.
                    let found = core.asked("read-revision", core.store.read_revision(revision)).await;
                    let slot = found.ok().flatten().map(|entry| Slot::of(Some(&entry)));
                    claim.found(core.now(), serial, slot.as_ref())
                }
                ClaimStep::Granted(hold) => break self.granted(&key, *hold, trust, news).await,
                ClaimStep::NotOurs(_) => {
                    self.refused(expect);
                    break Claimed::No;
                }
                ClaimStep::TooLate { ours } => break self.too_late(&key, ours, true).await,
                ClaimStep::Refused(why) => {
                    // The guard may have refused a write that the store took.
                    self.free_own(&key, None).await;
                    break match core.refusal(why).await {
                        // Whoever waits in line waits for this, too.
                        Error::Quiet(_) if !self.is_try() => Claimed::TooLate,
                        error => Claimed::Over(Verdict::Failed(error)),
                    };
                }
            };
        };
        if matches!(claimed, Claimed::TooLate) && is_alone && claim.is_unanswered() {
            self.overdue = Some(Overdue { key, expect, serial: id });
        }
        if is_unanswered {
            let how = match &claimed {
                Claimed::Over(Verdict::Granted(_)) => "applied",
                Claimed::No => "not-applied",
                Claimed::Over(_) | Claimed::TooLate => "given-up",
            };
            core.observe(Observation::UnknownResolved { how });
        }
        claimed
    }

    /// Waits between two tries. A caller whose limit passes meanwhile is told that the outcome is unknown; the claim
    /// goes on and cleans up behind.
    async fn rest(&mut self, until: Moment, open: bool) {
        let core = Arc::clone(&self.core);
        let overdue = self.wanted.limit.map(|limit| self.started + limit.max(super::PATIENCE / 4) + OVERTIME);
        sleep_until(core.ambient.as_ref(), until).await;
        if overdue.is_some_and(|at| core.now() >= at)
            && let Some(caller) = self.caller.take()
        {
            let error = if open {
                Error::Unknown("the store did not answer the granting write")
            } else {
                Error::Unreachable("the store took no write".into())
            };
            let took = core.now().since(self.started);
            core.observe(Observation::Acquired { kind: self.wanted.target.kind(), outcome: "unknown", took });
            // The caller may have gone; the claim is brought to its end in any case.
            let _ = caller.send(Err::<Attempt, _>(error));
        }
    }

    /// Hands out what was granted, unless the store was found to be another meanwhile.
    async fn granted(&mut self, key: &str, mut hold: Hold, trust: Trust, news: Option<Moment>) -> Claimed {
        let now = self.core.now();
        // In this order: what is found after the question reaches the subscriber.
        let calamity = self.core.calamity.subscribe();
        if !self.core.guard.stands(trust, now) || self.core.closing.is_cancelled() {
            self.free_own(key, Some(hold.revision())).await;
            return match self.core.may_grant().await {
                Err(Error::Quiet(_)) if !self.is_try() => Claimed::TooLate,
                Err(error) => Claimed::Over(Verdict::Failed(error)),
                Ok(()) => Claimed::No,
            };
        }
        if let Some(news) = news {
            self.core.observe(Observation::HandedOver { took: now.since(news) });
        }
        if self.wanted.renewed_by_caller {
            hold.renews_itself(false);
        }
        // A reader keeps nothing free for others, for whom there may be room already; and a leader nothing for whoever was
        // next some time ago, since a better one may have come.
        let keeps_next = matches!(self.wanted.target, Target::Lock { .. } | Target::Permit { .. });
        let what = Held {
            kind: self.wanted.target.kind(),
            name: self.wanted.target.name().to_owned(),
            key: key.to_owned(),
            line: self.scope.clone(),
            keeps_next,
        };
        let lease = Lease::start(&self.core, what, hold, calamity);
        lease.waited(now.since(self.started));
        Claimed::Over(Verdict::Granted(lease))
    }

    /// The deadline passed before the outcome was known.
    async fn too_late(&mut self, key: &str, ours: Option<Revision>, open: bool) -> Claimed {
        self.free_own(key, ours).await;
        match (self.is_try(), open) {
            (false, _) => Claimed::TooLate,
            (true, true) => {
                Claimed::Over(Verdict::Failed(Error::Unknown("the store did not answer the granting write")))
            }
            (true, false) => {
                Claimed::Over(Verdict::Failed(Error::Unreachable("the store took no write".into())))
            }
        }
    }

    /// Frees a record of this attempt that nobody will hold; what cannot be found ends by its TTL.
    async fn free_own(&self, key: &str, ours: Option<Revision>) {
        let found = match ours {
            Some(revision) => Some(revision),
            // The read may be old, but what it shows to be ours is ours, and the CAS hits nothing else.
            None => {
                let entry = self.core.asked("read", self.core.store.read(key)).await.ok().flatten();
                let slot = Slot::of(entry.as_ref());
                (slot.attempt() == Some(&self.person.attempt)).then(|| slot.revision())
            }
        };
        if let Some(revision) = found {
            self.core.forget(key.to_owned(), revision).await;
        }
    }
}
