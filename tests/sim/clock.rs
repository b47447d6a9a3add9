//! Clocks: each process's own, which runs a little fast or slow, and the store's, which may step.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lease::{Ambient, Moment, Task};
use tokio::time::Instant;

use crate::exec::{Exec, Group, WORLD};
use support::chance::Chance;

/// The wall clock at the start of every run: 2026, as the microseconds that first revisions are made of.
pub const START_MICROS: u64 = 1_790_000_000_000_000;

/// A process's time, chance and tasks.
pub struct ProcessAmbient {
    start: Instant,
    /// Parts per million that its clock is fast.
    fast_ppm: i64,
    offset: Duration,
    wall_offset_ms: i64,
    chance: Mutex<Chance>,
    exec: Exec,
    group: Group,
}

impl ProcessAmbient {
    /// Draws a clock. Deadlines allow for rates that are 1 % apart, so that far it goes, and no further.
    pub fn new(start: Instant, exec: &Exec, group: Group, chance: &mut Chance) -> ProcessAmbient {
        let fast_ppm = match chance.below(4) {
            0 => 0,
            1 => -9_900,
            2 => 9_900,
            _ => chance.range(0, 19_800) as i64 - 9_900,
        };
        let offset = chance.millis(0, 1_000_000_000);
        let wall_offset_ms = chance.range(0, 4_000) as i64 - 2_000;
        let own = Mutex::new(chance.fork());
        ProcessAmbient { start, fast_ppm, offset, wall_offset_ms, chance: own, exec: exec.clone(), group }
    }

    /// How much its clock is fast, for the trace.
    pub fn fast_ppm(&self) -> i64 {
        self.fast_ppm
    }

    fn own(&self) -> Duration {
        let real = i128::try_from((Instant::now() - self.start).as_nanos()).unwrap_or_default();
        let own = real + real * i128::from(self.fast_ppm) / 1_000_000;
        Duration::from_nanos(u64::try_from(own).unwrap_or_default())
    }
}

impl Ambient for ProcessAmbient {
    fn now(&self) -> Moment {
        Moment::from_nanos(0) + self.offset + self.own()
    }

    fn wall_micros(&self) -> u64 {
        (START_MICROS + self.own().as_micros() as u64).saturating_add_signed(self.wall_offset_ms * 1_000)
    }

    fn random(&self) -> u128 {
        let mut chance = self.chance.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        u128::from(chance.bits()) << 64 | u128::from(chance.bits())
    }

    fn spawn(&self, task: Task) {
        self.exec.spawn_boxed(self.group, task);
    }
}

impl fmt::Debug for ProcessAmbient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessAmbient({})", self.group)
    }
}

/// The store's clock: real time plus a skew between nothing and the slack, which steps when the leader changes.
pub struct StoreClock {
    start: Instant,
    skew_ms: AtomicU64,
    exec: Exec,
}

impl StoreClock {
    /// A clock without skew.
    pub fn new(start: Instant, exec: &Exec) -> StoreClock {
        StoreClock { start, skew_ms: AtomicU64::new(0), exec: exec.clone() }
    }

    /// Steps it.
    pub fn skew(&self, millis: u64) {
        self.skew_ms.store(millis, Ordering::Relaxed);
    }

    /// What it shows.
    pub fn shows(&self) -> Duration {
        (Instant::now() - self.start) + Duration::from_millis(self.skew_ms.load(Ordering::Relaxed))
    }
}

impl Ambient for StoreClock {
    fn now(&self) -> Moment {
        Moment::from_nanos(0) + self.shows()
    }

    fn wall_micros(&self) -> u64 {
        START_MICROS + self.shows().as_micros() as u64
    }

    fn random(&self) -> u128 {
        // The embedded store draws nothing.
        0
    }

    fn spawn(&self, task: Task) {
        self.exec.spawn_boxed(WORLD, task);
    }
}

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreClock")
    }
}
