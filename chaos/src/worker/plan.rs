//! What a worker does next, from its seed alone: the same seed asks for the same things in the same order.

use std::time::Duration;

use clap::ValueEnum;

use super::Settings;
use super::library::number_of;
use crate::history::Kind;
use crate::random::Random;

/// How many may hold a semaphore.
pub const LIMIT: u32 = 2;

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Exclusive locks.
    Lock,
    /// Locks, mostly shared.
    Rwlock,
    /// Permits.
    Semaphore,
    /// Two locks at once.
    Multi,
    /// An office.
    Election,
    /// Exclusive locks, and values that the store itself guards.
    Guarded,
}

impl Workload {
    /// As the command line and the history say it.
    pub fn name(self) -> &'static str {
        match self {
            Workload::Lock => "lock",
            Workload::Rwlock => "rwlock",
            Workload::Semaphore => "semaphore",
            Workload::Multi => "multi",
            Workload::Election => "election",
            Workload::Guarded => "guarded",
        }
    }

    /// Kinds are name spaces of their own, the registers are not. Locks and sets of locks contend with each other.
    fn prefix(self) -> &'static str {
        match self {
            Workload::Lock | Workload::Multi => "lock",
            Workload::Rwlock => "doc",
            Workload::Semaphore => "pool",
            Workload::Election => "office",
            Workload::Guarded => "row",
        }
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What for.
    pub kind: Kind,
    /// The names.
    pub names: Vec<String>,
    /// How long it waits; zero: it only tries.
    pub wait: Duration,
    /// How long it holds.
    pub hold: Duration,
    /// How long after a use the next one comes.
    pub pace: Duration,
    /// How long it does nothing afterwards.
    pub think: Duration,
}

impl Plan {
    /// The next one.
    pub fn next(settings: &Settings, random: &mut Random) -> Plan {
        let workload = settings.workload;
        let name = |number| format!("{}-{number}", workload.prefix());
        let first = random.below(settings.names);
        let mut names = vec![name(first)];
        let kind = match workload {
            Workload::Lock | Workload::Guarded => Kind::Lock,
            Workload::Rwlock if random.chance(70) => Kind::Shared,
            Workload::Rwlock => Kind::Lock,
            Workload::Semaphore => Kind::Semaphore,
            Workload::Election => Kind::Election,
            Workload::Multi => {
                let other =
                    (first + 1 + random.below(settings.names.saturating_sub(1))) % settings.names.max(1);
                if other != first {
                    names.push(name(other));
                    names.sort();
                }
                Kind::Multi
            }
        };
        let wait = if random.chance(20) { Duration::ZERO } else { random.millis(500, 2 * settings.ttl_ms) };
        // Most are short, some outlive several renewals. Every fourth worker is stubborn: somebody has to hold for longer
        // than an outage, or nobody would ever be seen to lose anything.
        let is_stubborn = number_of(&settings.name).is_multiple_of(4);
        let hold = match random.below(if is_stubborn { 6 } else { 40 }) {
            0..=1 if is_stubborn => random.millis(2 * settings.ttl_ms, 3 * settings.ttl_ms),
            0..=1 => random.millis(settings.ttl_ms, 2 * settings.ttl_ms),
            2..=4 => random.millis(500, settings.ttl_ms / 2),
            _ => random.millis(5, 150),
        };
        Plan { kind, names, wait, hold, pace: random.millis(10, 150), think: random.millis(5, 250) }
    }
}
