//! What breaks things: one file for each kind of fault.

mod bucket;
mod loss;
mod partition;
mod processes;
mod rolling;
mod servers;
mod slow_link;
mod step_down;
mod untried;

use futures_util::future::BoxFuture;

use crate::failure::Failure;
use crate::random::Random;
use crate::runner::field::Field;

pub use untried::UNTRIED;

/// What it does to whom, this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blow {
    /// The fault's number, unique in the run.
    pub id: u64,
    /// Whom it befalls: `n0`, `w3`, `d1`, or `n0|n1,n2` for a partition.
    pub target: String,
}

/// Something that breaks, and heals what it broke.
pub trait Nemesis: Send + Sync {
    /// What it is called in scenarios and in the history.
    fn name(&self) -> &'static str;

    /// What it does, for people.
    fn about(&self) -> &'static str;

    /// How long it lasts, from and to, in milliseconds.
    fn lasts_ms(&self) -> (u64, u64) {
        (3_000, 9_000)
    }

    /// Chooses whom it befalls; `None` if there is nobody.
    fn choose<'a>(&'a self, field: &'a Field, random: &'a mut Random) -> BoxFuture<'a, Option<String>>;

    /// Breaks it.
    fn begin<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>>;

    /// Heals it; also what was broken only in part.
    fn heal<'a>(&'a self, field: &'a Field, blow: &'a Blow) -> BoxFuture<'a, Result<(), Failure>>;
}

/// All of them.
pub const ALL: &[&dyn Nemesis] = &[
    &servers::Kill,
    &servers::Stop,
    &servers::Pause,
    &rolling::RollingRestart,
    &step_down::StepDown,
    &partition::OneOff,
    &partition::LeaderOff,
    &partition::OneWay,
    &partition::Bridge,
    &partition::WorkerOff,
    &loss::Loss,
    &slow_link::SlowLink,
    &processes::WorkerKill,
    &processes::WorkerPause,
    &processes::DaemonKill,
    &processes::DaemonPause,
    &bucket::BucketDeleted,
];

/// The nemesis of that name.
pub fn named(name: &str) -> Option<&'static dyn Nemesis> {
    ALL.iter().copied().find(|it| it.name() == name)
}
