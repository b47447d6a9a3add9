//! Requests on their way to the store, and what their senders hear of them.

use std::sync::Arc;

use lease::protocol::{ClaimStep, Event};
use lease::store::{Revision, Write};

use crate::bounds::Bounds;
use crate::contender::{Phase, Request};
use crate::mutant::{Mutant, Outcome};
use crate::store::{Answer, Kept};
use crate::world::World;

impl World {
    pub(crate) fn send(&mut self, i: usize, write: Write) {
        let contender = self.at(i);
        contender.last_id.clone_from(&write.id);
        contender.request = Some(Request::Sent(write));
    }

    /// Asks for what a revision holds; `there` is what stood in the way of the write before.
    pub(crate) fn look(&mut self, i: usize, revision: Revision, there: Option<Arc<Kept>>) {
        let there = there.or_else(|| self.store.kept.clone()).filter(|kept| kept.revision == revision);
        self.at(i).request = Some(Request::Look { revision, there });
    }

    /// Leaves a copy of the request under way to the network.
    pub(crate) fn stray(&mut self, i: usize) {
        if let Some(Request::Sent(write)) = &self.contenders[i].request
            && !self.strays.iter().any(|stray| **stray == *write)
        {
            self.strays.push(Arc::new(write.clone()));
        }
    }

    /// The store takes the request.
    pub(crate) fn deliver(&mut self, bounds: &Bounds, i: usize) {
        let Some(Request::Sent(write)) = self.at(i).request.take() else { return };
        let there = self.store.kept.clone();
        let (answer, foul) = self.store.write(bounds, self.tick, &write);
        self.note(foul);
        let there = there.filter(|_| matches!(answer, Answer::Conflict { .. }));
        self.at(i).request = Some(Request::Answered { answer, there });
    }

    /// The answer, if there is one, arrives.
    pub(crate) fn hear(&mut self, bounds: &Bounds, i: usize) {
        if let Some(Request::Answered { answer, there }) = self.contenders[i].request.clone() {
            self.answered(bounds, i, answer.told(), there);
        }
    }

    /// A contender takes the outcome of its write; `there` is what stood in its way.
    pub(crate) fn answered(&mut self, bounds: &Bounds, i: usize, answer: Outcome, there: Option<Arc<Kept>>) {
        let now = bounds.now(self.tick);
        let answer = Mutant::hears(bounds.mutant, answer, self.store.last);
        let contender = self.at(i);
        contender.request = None;
        match &mut contender.phase {
            Phase::Idle => {}
            Phase::Claiming { claim, .. } => {
                if answer.is_ok() {
                    *claim = Mutant::claims(bounds, claim.clone(), contender.serial, now);
                }
                let next = contender.serial + 1;
                let step = claim.answered(now, next, answer);
                self.follow(bounds, i, step, there);
            }
            Phase::Holding(hold) => {
                let believed = hold.status(now);
                hold.take(Mutant::takes_at(bounds.mutant, now), Event::Answered(answer));
                self.check_return(bounds, i, &believed);
                self.drive(bounds, i, there);
            }
        }
    }

    /// A look at one revision has its answer: what was there, or nothing.
    pub(crate) fn find(&mut self, bounds: &Bounds, i: usize, found: bool) {
        let now = bounds.now(self.tick);
        let contender = self.at(i);
        let Some(Request::Look { there, .. }) = contender.request.take() else { return };
        let slot = there.filter(|_| found).map(|kept| kept.slot());
        let slot = Mutant::finds(bounds.mutant, slot);
        match &mut contender.phase {
            Phase::Idle => {}
            Phase::Claiming { claim, .. } => {
                let next = contender.serial + 1;
                let step: ClaimStep = match Mutant::hears_found(bounds.mutant, claim, slot.as_ref()) {
                    Some(answer) => claim.answered(now, next, answer),
                    None => claim.found(now, next, slot.as_ref()),
                };
                self.follow(bounds, i, step, None);
            }
            Phase::Holding(hold) => {
                let believed = hold.status(now);
                hold.take(now, Event::Found(slot));
                self.check_return(bounds, i, &believed);
                self.drive(bounds, i, None);
            }
        }
    }
}
