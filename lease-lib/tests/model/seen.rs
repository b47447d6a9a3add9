//! What an exploration must come across to be worth its name.

use std::sync::atomic::{AtomicU64, Ordering};

use lease::protocol::{Loss, Status};

use crate::actions::Action;
use crate::bounds::Bounds;
use crate::contender::{Contender, Phase, Request};
use crate::world::World;

/// Something that is seen on the way from one world to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    // What the network, the store and the machines do.
    RequestLost,
    AnswerLost,
    RequestDoubled,
    RequestLate,
    AnswerLate,
    StrayApplied,
    RefusedInFlight,
    RefusedByLaggard,
    ReadFailed,
    OverwrittenBeforeRead,
    ClaimedOnOldRead,
    Paused,
    PausedBeyondTheDeadline,
    Crashed,
    Restarted,
    ExpiredEarly,
    ExpiredLate,
    // What becomes of the contenders.
    Granted,
    GrantedAfterUnknown,
    GrantedFromReservation,
    GrantedAfterExpiry,
    Renewed,
    RenewedAfterUnknown,
    Jeopardy,
    Expired,
    LateYesRefused,
    Released,
    HandedOver,
    ReservationExpired,
    // What an operator does.
    Marked,
    Broken,
    Removed,
    Taken,
}

use Sight::{
    AnswerLate, AnswerLost, Broken, ClaimedOnOldRead, Crashed, Expired, ExpiredEarly, ExpiredLate, Granted,
    GrantedAfterExpiry, GrantedAfterUnknown, GrantedFromReservation, HandedOver, Jeopardy, LateYesRefused,
    Marked, OverwrittenBeforeRead, Paused, PausedBeyondTheDeadline, ReadFailed, RefusedByLaggard,
    RefusedInFlight, Released, Removed, Renewed, RenewedAfterUnknown, RequestDoubled, RequestLate,
    RequestLost, ReservationExpired, Restarted, StrayApplied, Taken,
};

/// What every exploration must see.
const ALWAYS: [Sight; 29] = [
    RequestLost,
    AnswerLost,
    RequestDoubled,
    RequestLate,
    AnswerLate,
    StrayApplied,
    RefusedInFlight,
    RefusedByLaggard,
    ReadFailed,
    OverwrittenBeforeRead,
    ClaimedOnOldRead,
    Paused,
    PausedBeyondTheDeadline,
    Crashed,
    Restarted,
    ExpiredEarly,
    ExpiredLate,
    Granted,
    GrantedAfterUnknown,
    GrantedFromReservation,
    GrantedAfterExpiry,
    Renewed,
    RenewedAfterUnknown,
    Jeopardy,
    Expired,
    LateYesRefused,
    Released,
    HandedOver,
    ReservationExpired,
];

/// The sights so far, one bit each; shared by the threads of an exploration.
#[derive(Debug, Default)]
pub(crate) struct Seen(AtomicU64);

impl Seen {
    fn note(&self, sight: Sight, is: bool) {
        let bit = 1 << sight as u64;
        if is && self.0.load(Ordering::Relaxed) & bit == 0 {
            self.0.fetch_or(bit, Ordering::Relaxed);
        }
    }

    fn has(&self, sight: Sight) -> bool {
        self.0.load(Ordering::Relaxed) & (1 << sight as u64) != 0
    }

    /// What should have been seen within the bounds, and was not.
    pub(crate) fn missing(&self, bounds: &Bounds) -> Vec<Sight> {
        let marks = [Marked, Broken].into_iter().filter(|_| bounds.marks > 0);
        let removals = [Removed, Taken].into_iter().filter(|_| bounds.removals > 0);
        // A lease of two of these coarse seconds has no time for a second try.
        let possible = |sight: &Sight| *sight != RenewedAfterUnknown || bounds.ttl_secs > 2;
        ALWAYS
            .into_iter()
            .filter(possible)
            .chain(marks)
            .chain(removals)
            .filter(|sight| !self.has(*sight))
            .collect()
    }

    /// Takes note of what an action did.
    pub(crate) fn step(&self, bounds: &Bounds, before: &World, action: Action, after: &World) {
        match action {
            Action::LoseRequest(_) => self.note(RequestLost, true),
            Action::LoseAnswer(_) => self.note(AnswerLost, true),
            Action::DoubleRequest(_) => self.note(RequestDoubled, true),
            Action::Deliver(i) => self.note(RequestLate, before.contenders[i].paused),
            Action::DeliverStray(_) => self.note(StrayApplied, true),
            Action::RefuseInFlight(_) => self.note(RefusedInFlight, true),
            Action::RefuseLagging(_) => self.note(RefusedByLaggard, true),
            Action::FailToRead(_) => self.note(ReadFailed, true),
            Action::FindNothing(_) => self.note(OverwrittenBeforeRead, true),
            Action::ClaimBlindly(_) => self.note(ClaimedOnOldRead, true),
            Action::TickWithout(i) => self.note(Paused, before.contenders[i].request.is_none()),
            Action::Crash(i) => {
                self.note(Crashed, true);
                self.note(Restarted, after.contenders[i].attempt > 0);
            }
            Action::Expire => self.expiry(bounds, before),
            Action::Release(_) => self.note(Released, true),
            Action::HandOver(..) => self.note(HandedOver, true),
            Action::Mark => self.note(Marked, true),
            Action::Remove => self.note(Removed, true),
            Action::Tick | Action::Resume(_) | Action::Claim(_) | Action::Find(_) => {}
        }
        if let Action::Resume(i) = action {
            let answered = matches!(before.contenders[i].request, Some(Request::Answered { .. }));
            self.note(AnswerLate, answered);
        }
        for (old, new) in before.contenders.iter().zip(&after.contenders) {
            // Most actions leave most contenders as they are.
            if !std::sync::Arc::ptr_eq(old, new) || before.tick != after.tick {
                self.change(bounds, (before, old), (after, new));
            }
        }
    }

    fn expiry(&self, bounds: &Bounds, before: &World) {
        let Some(kept) = &before.store.kept else { return };
        let due = bounds.should_go(kept.written, kept.ttl_secs);
        self.note(ExpiredEarly, before.tick < due);
        self.note(ExpiredLate, before.tick > due);
        self.note(ReservationExpired, kept.record.as_ref().is_some_and(|record| record.reserved));
    }

    /// What happened to one contender.
    fn change(
        &self,
        bounds: &Bounds,
        (before, old): (&World, &Contender),
        (after, new): (&World, &Contender),
    ) {
        let (then, now) = (bounds.now(before.tick), bounds.now(after.tick));
        match (&old.phase, &new.phase) {
            (Phase::Claiming { claim, .. }, Phase::Holding(_)) if new.believes(now) => {
                self.note(Granted, true);
                self.note(GrantedAfterUnknown, claim.is_open());
                let reserved = before.store.record().is_some_and(|record| record.reserved);
                self.note(GrantedFromReservation, reserved);
                let lost = |c: &Contender| {
                    c.hold().is_some_and(|hold| hold.status(now) == Status::Lost(Loss::Expired))
                };
                self.note(GrantedAfterExpiry, after.contenders.iter().any(|c| lost(c)));
            }
            (Phase::Claiming { claim, .. }, Phase::Idle) => {
                let applied = matches!(
                    old.request,
                    Some(Request::Answered { answer: crate::store::Answer::Applied { .. }, .. })
                );
                self.note(LateYesRefused, applied && now >= claim.deadline());
            }
            (Phase::Holding(was), Phase::Holding(is)) => {
                let (was, is, later) = (was.status(then), is.status(now), is.deadline() > was.deadline());
                self.note(Renewed, later);
                self.note(RenewedAfterUnknown, later && was == Status::Jeopardy);
                self.note(Jeopardy, is == Status::Jeopardy);
                let fresh = is != was;
                self.note(Expired, fresh && is == Status::Lost(Loss::Expired));
                self.note(PausedBeyondTheDeadline, old.paused && is == Status::Lost(Loss::Expired));
                self.note(Taken, fresh && is == Status::Lost(Loss::Taken));
                self.note(Broken, fresh && matches!(is, Status::Lost(Loss::Broken(_))));
            }
            _ => {}
        }
    }
}
