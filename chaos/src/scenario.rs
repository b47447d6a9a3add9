//! Scenarios: who works, what is broken, for how long. Everything else comes from the seed.

use crate::worker::{Via, Workload};

/// Some workers that do the same.
#[derive(Clone, Copy, Debug)]
pub struct Crew {
    /// How many.
    pub size: usize,
    /// What they do.
    pub workload: Workload,
    /// How.
    pub via: Via,
}

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// What it is about, for people.
    pub about: &'static str,
    /// Who works.
    pub crews: &'static [Crew],
    /// Of how many names each crew chooses.
    pub names: u64,
    /// What is broken: one nemesis of each track at a time, chosen by the seed.
    pub tracks: &'static [&'static [&'static str]],
    /// For how long, in seconds, unless said otherwise.
    pub seconds: u64,
    /// Whether `chaos ci` runs it.
    pub is_ci: bool,
}

const fn crew(size: usize, workload: Workload, via: Via) -> Crew {
    Crew { size, workload, via }
}

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "calm",
        about: "nothing is broken: whatever is found here is wrong in the suite or very wrong in the product",
        crews: &[crew(4, Workload::Lock, Via::Library), crew(2, Workload::Lock, Via::Socket)],
        names: 2,
        tracks: &[],
        seconds: 15,
        is_ci: true,
    },
    Scenario {
        name: "servers",
        about: "servers are killed, stopped, paused and made to step down under locks",
        crews: &[crew(5, Workload::Lock, Via::Library), crew(2, Workload::Lock, Via::Socket)],
        names: 2,
        tracks: &[&["kill", "stop", "pause", "step-down"]],
        seconds: 50,
        is_ci: true,
    },
    Scenario {
        name: "network",
        about: "servers are cut off from each other, and lose packets, under locks taken alone and together",
        crews: &[crew(4, Workload::Lock, Via::Library), crew(3, Workload::Multi, Via::Library)],
        names: 3,
        tracks: &[&["partition", "partition-leader", "partition-one-way", "partition-bridge", "loss"]],
        seconds: 50,
        is_ci: true,
    },
    Scenario {
        name: "clients",
        about: "workers and daemons are killed, paused and cut off while a server now and then steps down",
        crews: &[crew(4, Workload::Lock, Via::Library), crew(3, Workload::Lock, Via::Socket)],
        names: 3,
        tracks: &[
            &["worker-kill", "worker-pause", "partition-worker", "daemon-kill", "daemon-pause"],
            &["step-down"],
        ],
        seconds: 50,
        is_ci: true,
    },
    Scenario {
        name: "kinds",
        about: "readers and writers, permits, offices and guarded values under broken servers and workers",
        crews: &[
            crew(3, Workload::Rwlock, Via::Library),
            crew(3, Workload::Semaphore, Via::Library),
            crew(2, Workload::Election, Via::Library),
            crew(2, Workload::Guarded, Via::Library),
        ],
        names: 1,
        tracks: &[&["kill", "partition-leader", "step-down"], &["worker-kill", "worker-pause"]],
        seconds: 45,
        is_ci: true,
    },
    Scenario {
        name: "guarded",
        about: "values that the store itself guards, under everything that befalls servers and workers",
        crews: &[crew(6, Workload::Guarded, Via::Library)],
        names: 2,
        tracks: &[&["kill", "pause", "partition", "step-down"], &["worker-pause", "worker-kill"]],
        seconds: 40,
        is_ci: false,
    },
    Scenario {
        name: "rolling",
        about: "one server after the other is restarted, as an upgrade does",
        crews: &[crew(4, Workload::Lock, Via::Library), crew(2, Workload::Lock, Via::Socket)],
        names: 2,
        tracks: &[&["rolling-restart"]],
        seconds: 60,
        is_ci: false,
    },
    Scenario {
        name: "bucket",
        about: "the bucket is deleted and has to be made anew by an operator: tokens must still rise",
        crews: &[crew(5, Workload::Lock, Via::Library)],
        names: 2,
        tracks: &[&["bucket-deleted-beyond"]],
        seconds: 40,
        is_ci: false,
    },
    Scenario {
        name: "storm",
        about: "all kinds, everything at once, for as long as wanted",
        crews: &[
            crew(2, Workload::Lock, Via::Library),
            crew(2, Workload::Lock, Via::Socket),
            crew(2, Workload::Rwlock, Via::Library),
            crew(1, Workload::Multi, Via::Library),
            crew(2, Workload::Guarded, Via::Library),
        ],
        names: 2,
        tracks: &[
            &[
                "kill",
                "stop",
                "pause",
                "partition",
                "partition-leader",
                "partition-one-way",
                "partition-bridge",
                "loss",
                "slow-link",
                "step-down",
            ],
            &["worker-kill", "worker-pause", "partition-worker", "daemon-kill", "daemon-pause"],
        ],
        seconds: 120,
        is_ci: false,
    },
];

/// The scenario of that name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nemesis_of_a_scenario_is_there() {
        for scenario in ALL {
            for name in scenario.tracks.iter().copied().flatten() {
                assert!(crate::nemesis::named(name).is_some(), "{} wants {name}", scenario.name);
            }
        }
    }
}
