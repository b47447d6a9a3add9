//! What becomes of one request, event or note: drawn when it is sent.

use std::time::Duration;

use lease::store::{Write, WriteError};

use crate::profile::{ReadFault, WriteFault};
use crate::sim::{Pid, State};

/// How long a request may take: the store's own limit.
pub const LIMIT: Duration = Duration::from_millis(1_500);
/// What a request that fails may cost its sender: the limit, and the longest pause before the next try.
const SETBACK: Duration = Duration::from_millis(2_300);
/// The longest that a write lies in some buffer before it is applied.
const LATEST_MS: u64 = 30_000;

/// The way of a request.
pub struct Trip {
    /// Until it is applied; `None` if it never is.
    pub out: Option<Duration>,
    /// From there until the answer is back; `None` if it never is.
    pub back: Option<Duration>,
    /// When the sender gives up.
    pub limit: Duration,
    /// As of when a read is answered; `None` for now.
    pub as_of: Option<Duration>,
}

/// What becomes of a write.
pub enum WriteFate {
    /// Answered on the way, and not applied.
    Refused(Duration, WriteError),
    /// Answered on the way by one that was left behind, and applied by another: both heard it, and the first answer counts.
    Both(Duration, WriteError, Trip),
    Trip(Trip),
}

/// What becomes of an event or note.
pub enum Delivery {
    Lost,
    /// After this time, and once more after the other.
    After(Duration, Option<Duration>),
    /// Whoever follows must follow anew.
    Broken,
}

impl State {
    fn hop(&mut self) -> Duration {
        let longest = self.profile.hop_ms;
        self.chance.millis(1, longest)
    }

    /// A lasting fault must not reach beyond the time of faults.
    pub fn clip(&self, at: Duration, lasts: Duration) -> Duration {
        lasts.min(self.profile.phase.saturating_sub(at))
    }

    pub fn write_fate(&mut self, by: Pid, write: &Write, at: Duration) -> WriteFate {
        let (out, back) = (self.hop(), self.hop());
        let mut trip = Trip { out: Some(out), back: Some(back), limit: LIMIT, as_of: None };
        if at >= self.profile.phase {
            return WriteFate::Trip(trip);
        }
        if let Some(since) = self.weather.stale(by.index, at)
            && let older = self.history.at(&write.key, since).map_or(0, |entry| entry.revision)
            && older != write.expect
            && self.chance.odds(300)
        {
            // A leader that was cut off compares with what it knows; of what was made later it says that it is not there. It is
            // never ahead of the sender's own knowledge without being right.
            let current = Some(older);
            let error = match self.chance.odds(300) {
                // What it was asked before is under way for ever.
                true => WriteError::InFlight,
                false => WriteError::Conflict { current },
            };
            self.fault(at, "stale-refusal", Some(by.index), SETBACK);
            // Who looks at revisions first has one replica, and is alone.
            return match self.chance.odds(500) && !self.profile.revisions_first {
                true => WriteFate::Both(out + back, error, trip),
                false => WriteFate::Refused(out + back, error),
            };
        }
        if !self.chance.odds(self.profile.write_permille) {
            return WriteFate::Trip(trip);
        }
        let kinds = std::mem::take(&mut self.profile.writes);
        let kind = self.chance.weighted(&kinds);
        self.profile.writes = kinds;
        let Some(kind) = kind else { return WriteFate::Trip(trip) };
        let (name, cost) = match kind {
            WriteFault::Lost => {
                trip.out = None;
                ("write-lost", SETBACK)
            }
            WriteFault::AnswerLost => {
                trip.back = None;
                ("answer-lost", SETBACK)
            }
            WriteFault::Late => {
                let late = self.chance.spread(500, LATEST_MS);
                trip.out = Some(self.clip(at, late));
                self.checks.line.late(&write.key);
                ("write-late", SETBACK)
            }
            WriteFault::Broken => {
                trip.limit = self.chance.millis(1, 300);
                trip.back = None;
                if self.chance.odds(500) {
                    trip.out = None;
                }
                ("connection-broken", Duration::from_millis(1_100))
            }
            WriteFault::InFlight => {
                self.fault(at, "in-flight", Some(by.index), Duration::from_millis(100));
                return WriteFate::Refused(out + back, WriteError::InFlight);
            }
            WriteFault::NotTaken => {
                self.fault(at, "not-taken", Some(by.index), Duration::from_millis(900));
                return WriteFate::Refused(out + back, WriteError::NotTaken);
            }
            WriteFault::Slow => {
                trip.out = Some(self.chance.millis(50, 700));
                trip.back = Some(self.chance.millis(50, 700));
                ("slow", LIMIT)
            }
        };
        self.fault(at, name, Some(by.index), cost);
        WriteFate::Trip(trip)
    }

    pub fn read_fate(&mut self, by: Pid, at: Duration) -> Result<Trip, Duration> {
        let (out, back) = (self.hop(), self.hop());
        let mut trip = Trip { out: Some(out), back: Some(back), limit: LIMIT, as_of: None };
        if at >= self.profile.phase {
            return Ok(trip);
        }
        trip.as_of = self.weather.stale(by.index, at);
        if !self.chance.odds(self.profile.read_permille) {
            return Ok(trip);
        }
        let kinds = std::mem::take(&mut self.profile.reads);
        let kind = self.chance.weighted(&kinds);
        self.profile.reads = kinds;
        match kind {
            None => {}
            Some(ReadFault::Lost) => {
                trip.back = None;
                self.fault(at, "read-lost", Some(by.index), SETBACK);
            }
            Some(ReadFault::Refused) => {
                self.fault(at, "read-refused", Some(by.index), Duration::from_millis(900));
                return Err(out + back);
            }
            Some(ReadFault::Slow) => {
                trip.out = Some(self.chance.millis(50, 700));
                trip.back = Some(self.chance.millis(50, 700));
                self.fault(at, "slow", Some(by.index), LIMIT);
            }
            Some(ReadFault::Stale) => {
                let age = self.chance.spread(5, crate::history::OLDEST.as_millis() as u64);
                trip.as_of = Some(at.saturating_sub(age));
                self.fault(at, "stale-read", Some(by.index), Duration::from_secs(1));
            }
        }
        Ok(trip)
    }

    pub fn delivery(&mut self, to: usize, permille: u32, at: Duration, note: bool) -> Delivery {
        let soon = self.hop();
        if at >= self.profile.phase {
            return Delivery::After(soon, None);
        }
        if self.weather.hushed(to, at) {
            return Delivery::Lost;
        }
        if !self.chance.odds(permille) {
            return Delivery::After(soon, None);
        }
        let kind = self.chance.below(if note { 8 } else { 9 });
        let late = self.chance.spread(20, 12_000);
        let late = self.clip(at, late);
        let (name, delivery) = match kind {
            0..=3 => ("event-lost", Delivery::Lost),
            4..=5 => ("event-late", Delivery::After(late, None)),
            6..=7 => ("event-twice", Delivery::After(soon, Some(late))),
            _ => ("watch-broken", Delivery::Broken),
        };
        self.fault(at, name, Some(to), Duration::from_secs(3));
        delivery
    }
}
