//! What can happen next.

use lease::protocol::Slot;

use crate::bounds::Bounds;
use crate::contender::{Contender, Phase, Request};
use crate::world::World;

/// One thing that happens. Numbers are contenders, except for [`Action::DeliverStray`].
///
/// Without a fault, the network and the machines need less than a tick: time passes when all requests have been
/// answered. Within a tick everything comes in every order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Time passes, and machines do what has become due.
    Tick,
    /// Time passes for all but one, until it resumes: its machine stands still, or its request or the answer is held
    /// up. Its request may reach the store meanwhile.
    TickWithout(usize),
    /// Its machine goes on.
    Resume(usize),
    /// The store removes what has expired.
    Expire,
    /// Claims what a read just showed to be free, or kept free for it.
    Claim(usize),
    /// Claims on the strength of an old read that showed nothing.
    ClaimBlindly(usize),
    /// The store takes its request and answers.
    Deliver(usize),
    /// No answer in time, and the request may be applied at any later time, or never.
    LoseRequest(usize),
    /// No answer in time, though the request was applied.
    LoseAnswer(usize),
    /// The network has a second copy of its request.
    DoubleRequest(usize),
    /// Refused because another write is in flight.
    RefuseInFlight(usize),
    /// Refused by a server that was left behind and knows an older revision than the contender does.
    RefuseLagging(usize),
    /// The read of a revision shows it.
    Find(usize),
    /// The read of a revision shows that it was overwritten.
    FindNothing(usize),
    /// The read of a revision fails.
    FailToRead(usize),
    /// Gives back what it holds, or has lost.
    Release(usize),
    /// Gives it back and keeps it free for another.
    HandOver(usize, usize),
    /// Dies, and begins its next attempt as if new.
    Crash(usize),
    /// A request that nobody waits for any more is applied.
    DeliverStray(usize),
    /// An operator marks the grant as broken.
    Mark,
    /// An operator removes the record by force.
    Remove,
}

impl World {
    /// All that is allowed now.
    pub(crate) fn possible(&self, bounds: &Bounds, actions: &mut Vec<Action>) {
        let (may_expire, must_expire) = self.store.expiry(bounds, self.tick);
        if may_expire {
            actions.push(Action::Expire);
        }
        if !must_expire && self.tick < bounds.horizon {
            self.passing(bounds, actions);
        }
        for (k, write) in self.strays.iter().enumerate() {
            if self.store.would_apply(bounds, write) {
                actions.push(Action::DeliverStray(k));
            }
        }
        for i in 0..self.contenders.len() {
            self.possible_for(bounds, i, actions);
        }
        if let Some(record) = self.store.record().filter(|record| !record.reserved) {
            if self.marks < bounds.marks && record.broken.is_none() {
                actions.push(Action::Mark);
            }
            if self.removals < bounds.removals {
                actions.push(Action::Remove);
            }
        }
    }

    /// Whether nothing is under way, and no machine stands still.
    pub(crate) fn is_quiet(&self) -> bool {
        self.contenders.iter().all(|contender| !contender.paused && contender.request.is_none())
    }

    /// The ways in which time may pass.
    fn passing(&self, bounds: &Bounds, actions: &mut Vec<Action>) {
        let mut busy = (0..self.contenders.len()).filter(|i| {
            let contender = &self.contenders[*i];
            !contender.paused && contender.request.is_some()
        });
        match (busy.next(), busy.next()) {
            (None, _) => {
                actions.push(Action::Tick);
                for (i, contender) in self.contenders.iter().enumerate() {
                    if !contender.paused && contender.phase != Phase::Idle && self.may_fail(bounds, contender)
                    {
                        actions.push(Action::TickWithout(i));
                    }
                }
            }
            (Some(i), None) if self.may_fail(bounds, &self.contenders[i]) => {
                actions.push(Action::TickWithout(i));
            }
            _ => {}
        }
    }

    fn may_fail(&self, bounds: &Bounds, contender: &Contender) -> bool {
        contender.faults < bounds.faults && self.faults < bounds.all_faults
    }

    fn possible_for(&self, bounds: &Bounds, i: usize, actions: &mut Vec<Action>) {
        let contender = &self.contenders[i];
        let faulty = self.may_fail(bounds, contender);
        if matches!(contender.request, Some(Request::Sent(_))) {
            actions.push(Action::Deliver(i));
        }
        if contender.phase != Phase::Idle
            && contender.crashes < bounds.crashes
            && self.crashes < bounds.all_crashes
        {
            actions.push(Action::Crash(i));
        }
        if contender.paused {
            actions.push(Action::Resume(i));
            return;
        }
        match &contender.request {
            Some(Request::Sent(_)) if faulty => actions.extend([
                Action::LoseRequest(i),
                Action::LoseAnswer(i),
                Action::DoubleRequest(i),
                Action::RefuseInFlight(i),
            ]),
            Some(Request::Look { revision, there }) => {
                if there.is_some() {
                    actions.push(Action::Find(i));
                }
                if self.store.revision() != *revision {
                    actions.push(Action::FindNothing(i));
                } else if faulty {
                    actions.push(Action::FailToRead(i));
                }
            }
            _ => {}
        }
        if faulty && contender.expects().is_some_and(|expect| expect > 1) {
            actions.push(Action::RefuseLagging(i));
        }
        if contender.may_end() {
            actions.push(Action::Release(i));
            if self.handovers < bounds.handovers {
                let heirs = (0..self.contenders.len())
                    .filter(|j| *j != i && self.may_begin(*j) && self.contenders[*j].is_waiting());
                actions.extend(heirs.map(|j| Action::HandOver(i, j)));
            }
        }
        if contender.claims < bounds.claims && self.may_begin(i) {
            if self.may_claim(contender) {
                actions.push(Action::Claim(i));
            } else if faulty && contender.is_idle() && self.store.revision() != 0 {
                actions.push(Action::ClaimBlindly(i));
            }
        }
    }

    /// Those that have done nothing yet are alike: they begin in the order of their numbers.
    fn may_begin(&self, i: usize) -> bool {
        i == 0 || self.contenders[i - 1].known
    }

    /// Whether a read shows it something that it may claim.
    pub(crate) fn may_claim(&self, contender: &Contender) -> bool {
        contender.is_idle()
            && match self.store.slot() {
                Slot::Free { .. } => true,
                Slot::Taken { record, .. } => record.attempt == contender.nonce(),
                Slot::Shared { .. } | Slot::Foreign { .. } => false,
            }
    }
}
