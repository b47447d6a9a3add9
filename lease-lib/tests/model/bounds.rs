//! How much of the world is explored, and the clocks in it.

use std::fmt;
use std::time::Duration;

use lease::Moment;
use lease::protocol::Times;

use crate::mutant::Mutant;

/// One tick of true time.
const TICK_MS: u64 = 1_000;
/// What every contender's clock shows of it: 1 % too slow, the worst that the contract allows. A clock that is right
/// or fast only ends belief earlier.
const SLOW_TICK_MS: u64 = 990;

/// The bounds of a run. Everything within them is explored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub contenders: usize,
    pub ttl_secs: u64,
    pub slack_secs: u64,
    /// By how many ticks the store may be late to remove what has expired.
    pub late: u64,
    /// The last tick.
    pub horizon: u64,
    /// Acquires per contender, one after the other: the first, and those after a release, a loss or a crash.
    pub attempts: u8,
    /// Second and later attempts of all contenders together.
    pub all_restarts: u8,
    /// Granting writes per attempt, confirmations and repeats not counted.
    pub claims: u8,
    /// Crashes per contender, and of all together.
    pub crashes: u8,
    pub all_crashes: u8,
    /// Faults per contender, and of all together: a request or an answer lost, delayed or doubled, a refusal that says
    /// nothing, a failed or an old read, a pause.
    pub faults: u8,
    pub all_faults: u8,
    /// How many releases keep the record free for a waiter.
    pub handovers: u8,
    /// How many times an operator marks a grant as broken.
    pub marks: u8,
    /// How many times an operator removes a record by force.
    pub removals: u8,
    pub repeats: Repeats,
    /// Whether "whoever waits is granted it in the end" is asked of every state, or only of the quiet ones at the
    /// horizon, to which every other leads.
    pub ask_progress_everywhere: bool,
    pub mutant: Option<Mutant>,
}

/// What the store looks at first when a write comes that was applied before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// At its id, as NATS with several replicas: the answer is "duplicate".
    ById,
    /// At the revision, as NATS with one: the answer is mostly a conflict.
    ByRevision,
}

impl Bounds {
    pub(crate) fn times(&self) -> Times {
        let ttl = Duration::from_secs(self.ttl_secs);
        Times::new(ttl, Duration::from_secs(self.slack_secs)).expect("a TTL within the limits")
    }

    /// What every contender's clock shows at a tick.
    pub(crate) fn now(&self, tick: u64) -> Moment {
        Moment::from_nanos(tick * SLOW_TICK_MS * 1_000_000)
    }

    /// The first tick at which the store may remove an entry: its clock may have stepped by the slack.
    pub(crate) fn may_go(&self, written: u64, ttl_secs: u64) -> u64 {
        written + ttl_secs.saturating_sub(self.slack_secs) * 1_000 / TICK_MS
    }

    /// The first tick at which a right clock would remove it.
    pub(crate) fn should_go(&self, written: u64, ttl_secs: u64) -> u64 {
        written + ttl_secs * 1_000 / TICK_MS
    }

    /// The tick by which the store must have removed it.
    pub(crate) fn must_go(&self, written: u64, ttl_secs: u64) -> u64 {
        self.should_go(written, ttl_secs) + self.late
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { contenders, ttl_secs, slack_secs, late, horizon, attempts, .. } = self;
        write!(
            f,
            "{contenders} contenders, T {ttl_secs} s, slack {slack_secs} s, expiry up to {late} s late, {horizon} s; "
        )?;
        write!(f, "each: {attempts} attempts of {} granting writes, ", self.claims)?;
        write!(f, "{} crashes, {} faults; ", self.crashes, self.faults)?;
        write!(f, "together: {} restarts, {} crashes, ", self.all_restarts, self.all_crashes)?;
        write!(f, "{} faults, {} handovers, ", self.all_faults, self.handovers)?;
        write!(f, "{} marks, {} removals; ", self.marks, self.removals)?;
        write!(f, "repeats told {}", if self.repeats == Repeats::ById { "by id" } else { "by revision" })
    }
}
