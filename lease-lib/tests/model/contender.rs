//! One contender: the real `Claim` and `Hold`, driven as `waiter/claiming.rs` and `keeper.rs` drive them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use lease::Moment;
use lease::protocol::{Claim, Command, Hold, Record, Status};
use lease::store::{Revision, Write};

use crate::store::{Answer, Kept};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    pub name: &'static str,
    /// The number of its attempt, 0 after the last.
    pub attempt: u8,
    /// Granting writes of this attempt.
    pub claims: u8,
    /// Numbers the attempt's claims, so that each logical write has an id of its own.
    pub serial: u64,
    pub crashes: u8,
    pub faults: u8,
    /// It, or its name, has been seen by the store. Those that have not are alike.
    pub known: bool,
    /// Its grant was removed by force while it believed in it, or was about to: its belief is void.
    pub voided: bool,
    /// Whatever concerns it takes long: its machine stands still, or its request or the answer is held up.
    pub paused: bool,
    /// It was asked to give back.
    pub ending: bool,
    pub phase: Phase,
    pub request: Option<Request>,
    /// The id of its newest logical write.
    pub last_id: String,
    /// What it is like, whoever it is; brought up to date when an action is over.
    pub likeness: u64,
}

// All but the likeness, which follows from the rest.
impl Hash for Contender {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Contender { name, attempt, claims, serial, crashes, faults, .. } = self;
        (name, attempt, claims, serial, crashes, faults).hash(state);
        let Contender { known, voided, paused, ending, phase, request, last_id, .. } = self;
        (known, voided, paused, ending, phase, request, last_id).hash(state);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::large_enum_variant, reason = "behind an Arc each")]
pub(crate) enum Phase {
    /// Waits, or has no attempt left.
    Idle,
    Claiming {
        claim: Claim,
        /// Until when it pauses before it sends again.
        rest: Option<Moment>,
    },
    Holding(Hold),
}

/// The one request that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Request {
    Sent(Write),
    /// The store has taken it, and the answer is held up.
    Answered {
        answer: Answer,
        /// What stood in the way of it.
        there: Option<Arc<Kept>>,
    },
    /// A read of one revision.
    Look {
        revision: Revision,
        there: Option<Arc<Kept>>,
    },
}

impl Contender {
    pub(crate) fn new(name: &'static str) -> Contender {
        Contender {
            name,
            attempt: 1,
            claims: 0,
            serial: 0,
            crashes: 0,
            faults: 0,
            known: false,
            voided: false,
            paused: false,
            ending: false,
            phase: Phase::Idle,
            request: None,
            last_id: String::new(),
            likeness: 0,
        }
    }

    /// The attempt's nonce.
    pub(crate) fn nonce(&self) -> String {
        format!("{}{}", self.name, self.attempt)
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.attempt > 0 && !matches!(self.phase, Phase::Holding(_))
    }

    /// The revision that the write under way names.
    pub(crate) fn expects(&self) -> Option<Revision> {
        match &self.request {
            Some(Request::Sent(write)) => Some(write.expect),
            _ => None,
        }
    }

    pub(crate) fn hold(&self) -> Option<&Hold> {
        match &self.phase {
            Phase::Holding(hold) => Some(hold),
            _ => None,
        }
    }

    /// Whether it believes to hold.
    pub(crate) fn believes(&self, at: Moment) -> bool {
        self.hold().is_some_and(|hold| matches!(hold.status(at), Status::Held | Status::Jeopardy))
    }

    /// Whether its timers have come to something.
    pub(crate) fn is_due(&self, now: Moment) -> bool {
        self.request.is_none()
            && match &self.phase {
                Phase::Idle => false,
                Phase::Claiming { rest, .. } => rest.is_some_and(|until| until <= now),
                Phase::Holding(hold) => !matches!(hold.clone().next(now), Command::Wait(_) | Command::Rest),
            }
    }

    /// Whether it could claim.
    pub(crate) fn is_idle(&self) -> bool {
        self.attempt > 0 && self.phase == Phase::Idle
    }

    /// Whether it can be asked to give back.
    pub(crate) fn may_end(&self) -> bool {
        self.hold().is_some() && !self.ending
    }

    /// It holds: what only its claim needed is forgotten, so that ways there that make no difference count as one.
    pub(crate) fn granted(&mut self, hold: Hold) {
        self.phase = Phase::Holding(hold);
        (self.claims, self.serial) = (0, 0);
    }

    /// Its claim is over, and nothing was granted.
    pub(crate) fn idle(&mut self) {
        self.phase = Phase::Idle;
        self.request = None;
        self.last_id.clear();
    }

    /// Forgets everything, and begins its next attempt or none.
    pub(crate) fn next_attempt(&mut self, restarts: bool) {
        let attempt = if restarts { self.attempt + 1 } else { 0 };
        *self = Contender {
            attempt,
            // After the last attempt these say nothing any more.
            crashes: if attempt == 0 { 0 } else { self.crashes },
            faults: if attempt == 0 { 0 } else { self.faults },
            known: true,
            ..Contender::new(self.name)
        };
    }

    /// The record that a claim writes, or with `reserved` the one that is kept free for it.
    pub(crate) fn record(&self, ttl_ms: u64, reserved: bool) -> Record {
        Record {
            v: 1,
            holder: String::new(),
            owner: String::new(),
            host: String::new(),
            pid: 0,
            attempt: self.nonce(),
            token: None,
            fence: None,
            ttl_ms,
            grace_secs: 0,
            since: String::new(),
            metadata: Default::default(),
            previous: None,
            reserved,
            broken: None,
            readers: Vec::new(),
            with: Vec::new(),
            value: None,
            guarded: 0,
        }
    }
}
