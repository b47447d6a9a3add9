//! What a contender does with its [`Claim`]: as `waiter/claiming.rs`.

use std::sync::Arc;

use lease::protocol::{Claim, ClaimStep, MARKER_SECS, Record, Slot};
use lease::store::{Body, Revision, Write};

use crate::bounds::Bounds;
use crate::contender::{Contender, Phase};
use crate::store::{Foul, KEY, Kept};
use crate::world::World;

impl World {
    /// Claims what a read has shown.
    pub(crate) fn claim(&mut self, bounds: &Bounds, i: usize, slot: Slot) {
        let now = bounds.now(self.tick);
        let contender = self.at(i);
        contender.known = true;
        contender.voided = false;
        contender.claims += 1;
        let previous = match &slot {
            // Granted, and broken by force before this attempt knew of it.
            Slot::Taken { record, revision, .. } if record.broken.is_some() => {
                return self.too_late(i, Some(*revision));
            }
            Slot::Free { previous, .. } => previous.clone(),
            Slot::Taken { record, .. } => record.previous.clone(),
            Slot::Shared { .. } | Slot::Foreign { .. } => None,
        };
        contender.serial += 1;
        let record = Record { previous, ..contender.record(bounds.times().ttl_ms(), false) };
        let claim = Claim::new(KEY.into(), record, bounds.times(), slot.revision(), contender.serial, now);
        let write = claim.write().clone();
        contender.phase = Phase::Claiming { claim, rest: None };
        self.send(i, write);
    }

    /// Does what a claim asks for; `there` is what stood in the way of its write.
    pub(crate) fn follow(&mut self, bounds: &Bounds, i: usize, step: ClaimStep, there: Option<Arc<Kept>>) {
        let now = bounds.now(self.tick);
        match step {
            ClaimStep::Send(pause) => {
                let contender = self.at(i);
                let Phase::Claiming { claim, rest } = &mut contender.phase else { return };
                // A write with a new id took the number that it was offered.
                contender.serial += u64::from(claim.write().id != contender.last_id);
                if pause.is_zero() {
                    let write = claim.write().clone();
                    self.send(i, write);
                } else {
                    *rest = Some(now + pause);
                }
            }
            ClaimStep::Look(revision) => self.look(i, revision, there),
            ClaimStep::Granted(hold) => {
                let token = hold.token().get();
                let contender = self.at(i);
                contender.granted(*hold);
                if !contender.voided {
                    let rises = token > self.highest;
                    self.note((!rises).then_some(Foul::TokenNotAbove));
                    self.highest = self.highest.max(token);
                }
                self.drive(bounds, i, None);
            }
            ClaimStep::NotOurs(_) => self.at(i).idle(),
            ClaimStep::Refused(_) => self.too_late(i, None),
            ClaimStep::TooLate { ours } => self.too_late(i, ours),
        }
    }

    /// A pause between two tries is over.
    pub(crate) fn go_on_claiming(&mut self, bounds: &Bounds, i: usize) {
        let now = bounds.now(self.tick);
        let Phase::Claiming { claim, rest } = &mut self.at(i).phase else { return };
        if now >= claim.deadline() {
            return self.too_late(i, None);
        }
        *rest = None;
        let write = claim.write().clone();
        self.send(i, write);
    }

    /// As `Waiter::free_own`: deletes by CAS, once and without insisting, what is known or read to be its own.
    fn too_late(&mut self, i: usize, ours: Option<Revision>) {
        let nonce = self.contenders[i].nonce();
        let read = self.store.record().filter(|record| record.attempt == nonce);
        if let Some(expect) = ours.or(read.map(|_| self.store.revision())) {
            let body = Body::Delete("{}".into());
            let id = format!("{nonce}-forget-{expect}");
            self.strays.retain(|stray| stray.id != id);
            self.strays.push(Arc::new(Write { key: KEY.into(), expect, body, ttl_secs: MARKER_SECS, id }));
        }
        Contender::idle(self.at(i));
    }
}
