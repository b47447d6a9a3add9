//! Everything there is at one moment, and what one action makes of it.

use std::sync::Arc;

use lease::Moment;
use lease::Token;
use lease::protocol::{MARKER_SECS, Record};
use lease::store::{Body, Revision, Write, WriteError};

use crate::actions::Action;
use crate::bounds::Bounds;
use crate::contender::{Contender, Phase, Request};
use crate::store::{Foul, Store};
use crate::symmetry::{NAMES, likeness};

/// Its hash is in `symmetry.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct World {
    pub tick: u64,
    pub store: Store,
    pub contenders: Vec<Arc<Contender>>,
    /// Requests that nobody waits for any more, and that may be applied at any later time, or never.
    pub strays: Vec<Arc<Write>>,
    pub faults: u8,
    pub crashes: u8,
    pub restarts: u8,
    pub handovers: u8,
    pub marks: u8,
    pub removals: u8,
    /// The highest token that was granted.
    pub highest: Revision,
    pub foul: Option<Foul>,
}

impl World {
    pub(crate) fn new(contenders: usize) -> World {
        World {
            tick: 0,
            store: Store::default(),
            contenders: NAMES.iter().take(contenders).map(|name| Arc::new(Contender::new(name))).collect(),
            strays: Vec::new(),
            faults: 0,
            crashes: 0,
            restarts: 0,
            handovers: 0,
            marks: 0,
            removals: 0,
            highest: 0,
            foul: None,
        }
    }

    /// What one action makes of it.
    pub(crate) fn after(&self, bounds: &Bounds, action: Action) -> World {
        let mut next = self.clone();
        next.act(bounds, action);
        for (old, new) in self.contenders.iter().zip(&mut next.contenders) {
            if !Arc::ptr_eq(old, new) {
                let new = Arc::make_mut(new);
                new.likeness = likeness(new);
            }
        }
        next
    }

    /// Does one action. Whether it is allowed now is `actions.rs`'s business.
    pub(crate) fn act(&mut self, bounds: &Bounds, action: Action) {
        let silence = Err(WriteError::Unknown("timeout"));
        match action {
            Action::Tick => self.advance(bounds),
            Action::TickWithout(i) => {
                self.fault(bounds, i);
                self.at(i).paused = true;
                self.advance(bounds);
            }
            Action::Expire => self.store.kept = None,
            Action::Claim(i) => self.claim(bounds, i, self.store.slot()),
            Action::ClaimBlindly(i) => {
                self.fault(bounds, i);
                self.claim(bounds, i, lease::protocol::Slot::of(None));
            }
            Action::Deliver(i) => {
                self.deliver(bounds, i);
                if !self.contenders[i].paused {
                    self.hear(bounds, i);
                }
            }
            Action::Resume(i) => {
                self.at(i).paused = false;
                self.hear(bounds, i);
                self.wake(bounds, i);
            }
            Action::LoseAnswer(i) => {
                self.fault(bounds, i);
                self.deliver(bounds, i);
                self.answered(bounds, i, silence, None);
            }
            Action::LoseRequest(i) => {
                self.fault(bounds, i);
                self.stray(i);
                self.answered(bounds, i, silence, None);
            }
            Action::DoubleRequest(i) => {
                self.fault(bounds, i);
                self.stray(i);
            }
            Action::RefuseInFlight(i) => {
                self.fault(bounds, i);
                self.answered(bounds, i, Err(WriteError::InFlight), None);
            }
            Action::RefuseLagging(i) => {
                self.fault(bounds, i);
                let older = self.contenders[i].expects().map(|expect| expect - 1);
                self.answered(bounds, i, Err(WriteError::Conflict { current: older }), None);
            }
            Action::Find(i) => self.find(bounds, i, true),
            Action::FindNothing(i) => self.find(bounds, i, false),
            Action::FailToRead(i) => {
                self.fault(bounds, i);
                self.find(bounds, i, false);
            }
            Action::Release(i) => self.end(bounds, i, None),
            Action::HandOver(i, j) => {
                self.handovers += 1;
                let heir = self.at(j);
                heir.known = true;
                let reserved = heir.record(3_000, true);
                self.end(bounds, i, Some(reserved));
            }
            Action::Crash(i) => {
                self.crashes += 1;
                self.stray(i);
                self.at(i).crashes += u8::from(bounds.crashes < bounds.all_crashes);
                self.next_attempt(bounds, i);
            }
            Action::DeliverStray(k) => {
                let write = self.strays.remove(k);
                let (_, foul) = self.store.write(bounds, self.tick, &write);
                self.note(foul);
            }
            Action::Mark => self.mark(bounds),
            Action::Remove => self.remove(),
        }
        self.tidy(bounds);
    }

    pub(crate) fn at(&mut self, i: usize) -> &mut Contender {
        Arc::make_mut(&mut self.contenders[i])
    }

    /// Who believes to hold, except those whose belief was voided by force.
    pub(crate) fn believers(&self, at: Moment) -> impl Iterator<Item = &Contender> {
        self.contenders.iter().map(Arc::as_ref).filter(move |c| !c.voided && c.believes(at))
    }

    pub(crate) fn note(&mut self, foul: Option<Foul>) {
        self.foul = self.foul.or(foul);
    }

    /// Whoever has an attempt left begins it.
    pub(crate) fn next_attempt(&mut self, bounds: &Bounds, i: usize) {
        let restarts = self.contenders[i].attempt < bounds.attempts && self.restarts < bounds.all_restarts;
        self.restarts += u8::from(restarts);
        self.at(i).next_attempt(restarts);
    }

    /// Whose fault it was counts only where it limits anything.
    fn fault(&mut self, bounds: &Bounds, i: usize) {
        self.faults += 1;
        self.at(i).faults += u8::from(bounds.faults < bounds.all_faults);
    }

    /// Time passes, and every machine that runs does what has become due.
    fn advance(&mut self, bounds: &Bounds) {
        self.tick += 1;
        for i in 0..self.contenders.len() {
            if !self.contenders[i].paused {
                self.wake(bounds, i);
            }
        }
    }

    /// Does what its timers have come to.
    fn wake(&mut self, bounds: &Bounds, i: usize) {
        let now = bounds.now(self.tick);
        if !self.contenders[i].is_due(now) {
            return;
        }
        match &self.contenders[i].phase {
            Phase::Claiming { .. } => self.go_on_claiming(bounds, i),
            Phase::Holding(_) => self.drive(bounds, i, None),
            Phase::Idle => {}
        }
    }

    /// As `lease break`: marks the record.
    fn mark(&mut self, bounds: &Bounds) {
        let Some(record) = self.store.record().cloned() else { return };
        self.marks += 1;
        let token = Token::new(record.token_at(self.store.revision()).get());
        let marked = Record { token: Some(token), broken: Some(String::new()), ..record };
        self.store.put(self.tick, Body::Put(marked.encode()), Some(marked), bounds.times().store_secs());
    }

    /// As `lease break --now`: removes the record, which voids what its holder believes or is just being told.
    fn remove(&mut self) {
        let Some(record) = self.store.record().cloned() else { return };
        self.removals += 1;
        for i in 0..self.contenders.len() {
            let contender = &self.contenders[i];
            let told = matches!(contender.request, Some(Request::Answered { .. }));
            if contender.nonce() == record.attempt && (told || contender.hold().is_some()) {
                self.at(i).voided = true;
            }
        }
        self.store.put(self.tick, Body::Delete("{}".into()), None, MARKER_SECS);
    }

    /// Forgets what can have no effect any more, so that worlds that cannot be told apart count as one.
    fn tidy(&mut self, bounds: &Bounds) {
        let (store, tick) = (&self.store, self.tick);
        self.strays.retain(|write| store.may_apply(bounds, tick, write));
        self.strays.sort_by(|a, b| a.id.cmp(&b.id));
        let contenders = &self.contenders;
        self.store.applied.retain(|id, _| contenders.iter().any(|contender| contender.last_id == *id));
    }
}
