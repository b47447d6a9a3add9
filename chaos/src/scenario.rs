//! What a run is made of, by name.

use std::time::Duration;

use crate::nemesis::Nemesis;
use crate::weakness::Weakness;
use crate::worker::{Via, Workload};
use support::chance::Chance;

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it is about, in a line.
    pub about: &'static str,
    /// The workers.
    pub crew: &'static [(Via, Workload)],
    /// What strikes, each as often as its weight says.
    pub nemeses: &'static [(u32, Nemesis)],
    /// The most faults that are in force at a time.
    pub at_once: usize,
    /// How long faults strike, unless said otherwise.
    pub seconds: u64,
    /// The ttl of every lock in milliseconds, unless said otherwise.
    pub ttl_ms: u64,
    /// The servers' `sync_interval`, unless said otherwise.
    pub sync_interval: &'static str,
    /// Whether it is among those for CI.
    pub is_for_ci: bool,
    /// What of NATS itself is shown, in place of workers and faults.
    pub weakness: Option<Weakness>,
}

/// A fault to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When it begins, counted from the begin of the faults.
    pub at: Duration,
    /// How long it lasts.
    pub length: Duration,
    /// What it is.
    pub nemesis: Nemesis,
    /// Where its chance comes from.
    pub seed: u64,
}

use Nemesis::*;
use Via::{Library, Socket};

/// The mutex, through both doors.
const MUTEX: &[(Via, Workload)] = &[
    (Library, Workload::Lock),
    (Library, Workload::Lock),
    (Library, Workload::Lock),
    (Socket, Workload::Lock),
    (Socket, Workload::Lock),
    (Library, Workload::Multi),
];

/// Every kind, each through both doors.
const KINDS: &[(Via, Workload)] = &[
    (Library, Workload::Lock),
    (Socket, Workload::Lock),
    (Library, Workload::Multi),
    (Socket, Workload::Multi),
    (Library, Workload::Rwlock),
    (Socket, Workload::Rwlock),
    (Library, Workload::Semaphore),
    (Socket, Workload::Semaphore),
    (Library, Workload::Election),
    (Socket, Workload::Election),
    (Library, Workload::Guarded),
    (Socket, Workload::Guarded),
    (Library, Workload::Group),
    (Socket, Workload::Group),
    (Library, Workload::Observer),
];

/// Everything that heals without a restart of a disk.
const WEATHER: &[(u32, Nemesis)] = &[
    (2, Kill),
    (2, KillLeader),
    (2, KillWorker),
    (2, KillDaemon),
    (1, Stop),
    (1, StopDaemon),
    (2, Pause),
    (2, PauseLeader),
    (4, PauseWorker),
    (2, PauseDaemon),
    (2, CutOff),
    (3, CutOffLeader),
    (2, OneWay),
    (2, Bridge),
    (2, Split),
    (3, CutWorker),
    (2, Deaf),
    (2, Loss),
    (1, Delay),
    (1, Narrow),
    (3, Reset),
    (2, StepDown),
    (1, StepDownMeta),
    (1, LameDuck),
    (2, Clock),
];

const PLAIN: Scenario = Scenario {
    name: "calm",
    about: "nothing is broken: what is wrong here is wrong with the instruments",
    crew: KINDS,
    nemeses: &[],
    at_once: 0,
    seconds: 8,
    // Shorter than anybody should choose: it does not outlive a failover, so leases do get lost, which is what is to be seen.
    ttl_ms: 4_000,
    sync_interval: "2m",
    is_for_ci: true,
    weakness: None,
};

/// Every scenario.
pub const SCENARIOS: &[Scenario] = &[
    PLAIN,
    Scenario {
        name: "kill",
        about: "SIGKILL for servers, workers and daemons, one at a time",
        crew: MUTEX,
        nemeses: &[(2, Kill), (3, KillLeader), (3, KillWorker), (2, KillDaemon), (1, Stop), (1, StopDaemon)],
        at_once: 1,
        seconds: 26,
        ..PLAIN
    },
    Scenario {
        name: "pause",
        about: "SIGSTOP for servers, workers and daemons: they wake up and believe what they believed",
        crew: MUTEX,
        nemeses: &[(1, Pause), (2, PauseLeader), (4, PauseWorker), (2, PauseDaemon)],
        at_once: 3,
        seconds: 25,
        ..PLAIN
    },
    Scenario {
        name: "partition",
        about: "servers and workers that do not hear each other, both ways and one way",
        crew: MUTEX,
        nemeses: &[
            (2, CutOff),
            (3, CutOffLeader),
            (2, OneWay),
            (2, Bridge),
            (2, Split),
            (3, CutWorker),
            (2, Deaf),
        ],
        at_once: 2,
        seconds: 30,
        ..PLAIN
    },
    Scenario {
        name: "net",
        about: "packets lost, late and queued; connections reset",
        crew: MUTEX,
        nemeses: &[(3, Loss), (1, Delay), (2, Narrow), (4, Reset)],
        at_once: 2,
        seconds: 20,
        ..PLAIN
    },
    Scenario {
        name: "operator",
        about: "what an operator does: step-down, rolling restart, lame duck, replicas down and up",
        crew: KINDS,
        nemeses: &[(3, StepDown), (1, StepDownMeta), (2, Rolling), (1, LameDuck), (1, Membership)],
        at_once: 1,
        seconds: 26,
        ..PLAIN
    },
    Scenario {
        name: "disk",
        about: "disks that stall or are full, and power that fails, with every write synced",
        crew: MUTEX,
        nemeses: &[(2, DiskFull), (2, DiskStall), (4, Power), (1, PowerAll)],
        at_once: 1,
        seconds: 30,
        sync_interval: "always",
        ..PLAIN
    },
    Scenario {
        name: "clock",
        about: "workers' wall clocks jump by seconds, hours and days, and servers' within the slack",
        crew: KINDS,
        nemeses: &[(4, Clock), (3, ServerClock), (1, KillLeader)],
        at_once: 3,
        seconds: 20,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "outages",
        about: "the default ttl of 20 s under what befalls servers: what that costs, and that no lease is lost without need",
        crew: KINDS,
        nemeses: &[
            (2, KillLeader),
            (1, Kill),
            (2, PauseLeader),
            (2, CutOffLeader),
            (1, OneWay),
            (1, Bridge),
            (1, Loss),
            (1, Reset),
            (2, StepDown),
            (1, LameDuck),
        ],
        at_once: 1,
        seconds: 240,
        ttl_ms: 20_000,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "bucket",
        about: "the bucket is deleted and made again",
        crew: MUTEX,
        nemeses: &[(1, Bucket)],
        at_once: 1,
        seconds: 8,
        ..PLAIN
    },
    Scenario {
        name: "force",
        about: "locks are broken by force, while holders stand still and messages are late",
        crew: &[
            (Library, Workload::Lock),
            (Library, Workload::Lock),
            (Library, Workload::Guarded),
            (Socket, Workload::Lock),
            (Library, Workload::Multi),
            (Library, Workload::Breaker),
            (Library, Workload::Breaker),
        ],
        nemeses: &[(5, PauseWorker), (2, PauseDaemon), (2, Loss), (2, Narrow), (2, Reset), (2, Deaf)],
        at_once: 3,
        seconds: 25,
        // The daemon gives back what is broken before its client has read that: this is seen, and not mended yet.
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "weather",
        about: "every fault that needs no disk, several at a time, with every kind of lock",
        crew: KINDS,
        nemeses: WEATHER,
        at_once: 3,
        seconds: 40,
        ..PLAIN
    },
    Scenario {
        name: "night",
        about: "the weather, for long",
        crew: KINDS,
        nemeses: WEATHER,
        at_once: 4,
        seconds: 900,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "night-disk",
        about: "disks, power and SIGKILL, with every write synced, for long",
        crew: KINDS,
        nemeses: &[
            (2, DiskFull),
            (2, DiskStall),
            (4, Power),
            (1, PowerAll),
            (2, KillLeader),
            (2, PauseWorker),
        ],
        at_once: 2,
        seconds: 900,
        sync_interval: "always",
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "night-operator",
        about: "what operators do, the bucket's end among it, while servers and workers die, for long",
        crew: KINDS,
        nemeses: &[
            (24, StepDown),
            (16, StepDownMeta),
            (16, Rolling),
            (16, LameDuck),
            (16, Membership),
            // A bucket that was made anew grants nothing for 25 s: every few minutes, or there is nothing to see.
            (2, Bucket),
            (16, KillLeader),
            (16, KillWorker),
            (8, PauseWorker),
            (8, Loss),
        ],
        at_once: 2,
        seconds: 900,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "replace",
        about: "servers are replaced: a fourth joins, the stream moves to it, an old one leaves; and leaders die",
        crew: KINDS,
        nemeses: &[(3, Replace), (1, KillLeader)],
        at_once: 1,
        seconds: 60,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "night-machines",
        about: "servers that are replaced, whose clocks are wrong within the slack, and whose packets are late, for long",
        crew: KINDS,
        nemeses: &[
            (2, Replace),
            (4, ServerClock),
            (3, Delay),
            (2, KillLeader),
            (1, KillWorker),
            (1, PauseWorker),
            (1, CutOffLeader),
            (1, Clock),
        ],
        at_once: 2,
        seconds: 900,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "lax-power",
        about: "power that fails while writes are synced every two minutes: acknowledged writes are lost, and it must show",
        crew: MUTEX,
        nemeses: &[(2, Power), (1, PowerAll)],
        at_once: 1,
        seconds: 60,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "lax-clocks",
        about: "servers' wall clocks that are wrong by far more than the library allows: what it promises then, and what not",
        crew: MUTEX,
        nemeses: &[(3, ServerClockFar), (1, StepDown)],
        at_once: 1,
        seconds: 60,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "guards",
        about: "a weakness of NATS: guards whose filters overlap let both sides of a race in; the library's do not",
        crew: &[],
        is_for_ci: false,
        weakness: Some(Weakness::OverlappingGuards),
        ..PLAIN
    },
    Scenario {
        name: "markers",
        about: "a weakness of NATS: delete markers destroy acknowledged writes; the library's bucket has none",
        crew: &[],
        is_for_ci: false,
        weakness: Some(Weakness::DeleteMarkers),
        ..PLAIN
    },
];

/// The scenario of a name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// Whether its servers need disks of their own.
    pub fn needs_disks(&self) -> bool {
        self.nemeses.iter().any(|(_, nemesis)| nemesis.needs_disks())
    }

    /// Whether servers may lose what they have acknowledged: then nothing is granted until an operator accepts it.
    pub fn may_lose_writes(&self, sync_interval: &str) -> bool {
        let may_lose_power =
            sync_interval != "always" && (self.has(Nemesis::Power) || self.has(Nemesis::PowerAll));
        // Deleted while its stream is being moved, an earlier bucket was seen to come back.
        may_lose_power
            || self.loses_the_last_replica()
            || self.has(Nemesis::Bucket) && self.has(Nemesis::Membership)
    }

    fn has(&self, wanted: Nemesis) -> bool {
        self.nemeses.iter().any(|(_, nemesis)| *nemesis == wanted)
    }

    /// Whether the bucket is deleted and made again.
    pub fn replaces_the_bucket(&self) -> bool {
        self.has(Nemesis::Bucket)
    }

    /// Whether the server that has the only replica may go down, or before the others have caught up with it: then what it
    /// had acknowledged is lost, sooner or later. Where one fault is over before the next begins, that cannot be.
    pub fn loses_the_last_replica(&self) -> bool {
        self.at_once > 1 && self.has(Nemesis::Membership)
    }

    /// Whether there has to be room for a fourth server.
    pub fn needs_spare(&self) -> bool {
        self.nemeses.iter().any(|(_, nemesis)| *nemesis == Nemesis::Replace)
    }

    /// Whether clocks are to jump.
    pub fn needs_clocks(&self) -> bool {
        self.nemeses.iter().any(|(_, nemesis)| *nemesis == Nemesis::Clock)
    }

    /// The faults of a seed. The first strikes after two seconds; the last begins so that it can do its work.
    pub fn plan(&self, seed: u64, seconds: u64) -> Vec<Planned> {
        let mut chance = Chance::new(seed);
        let mut plan: Vec<Planned> = Vec::new();
        let mut at = Duration::from_secs(2);
        let end = Duration::from_secs(seconds.saturating_sub(3));
        // Every nemesis of a short list is met early; after that they come as they come.
        let mut first: Vec<Nemesis> = self.nemeses.iter().map(|(_, nemesis)| *nemesis).collect();
        chance.shuffle(&mut first);
        while at < end && self.at_once > 0 {
            let Some(nemesis) = first.pop().or_else(|| chance.weighted(self.nemeses)) else { return plan };
            let (low, high) = nemesis.span();
            let length = chance.millis(low, high);
            plan.push(Planned { at, length, nemesis, seed: chance.bits() });
            at += chance.millis(300, 3_000);
            // Waits until one of those in force has ended.
            let mut ends: Vec<Duration> =
                plan.iter().map(|fault| fault.at + fault.length).filter(|end| *end > at).collect();
            ends.sort();
            if ends.len() >= self.at_once {
                at = ends[ends.len() - self.at_once] + chance.millis(200, 2_500);
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_keeps_the_bounds() {
        for scenario in SCENARIOS {
            for seed in 0..50 {
                let plan = scenario.plan(seed, scenario.seconds);
                assert_eq!(plan, scenario.plan(seed, scenario.seconds), "{} {seed}", scenario.name);
                assert_eq!(plan.is_empty(), scenario.nemeses.is_empty());
                for fault in &plan {
                    let others = plan
                        .iter()
                        .filter(|other| other.at <= fault.at && fault.at < other.at + other.length);
                    assert!(others.count() <= scenario.at_once, "{} {seed}", scenario.name);
                }
            }
        }
    }

    #[test]
    fn every_nemesis_strikes_somewhere() {
        for nemesis in Nemesis::ALL {
            let strikes = |scenario: &&Scenario| scenario.nemeses.iter().any(|(_, one)| one == nemesis);
            assert!(SCENARIOS.iter().find(strikes).is_some(), "{nemesis:?}");
        }
    }

    #[test]
    fn ci_takes_at_most_ten_minutes() {
        // Around the faults: the cluster's start, the settling, the end; and a new bucket's quiet.
        let quiet = |scenario: &Scenario| if scenario.name == "bucket" { 25 } else { 0 };
        let of = |scenario: &Scenario| scenario.seconds + 26 + quiet(scenario);
        let all: u64 = SCENARIOS.iter().filter(|scenario| scenario.is_for_ci).map(of).sum();
        // Two run at a time. The rest of ten minutes is for building it.
        assert!(all / 2 <= 270, "{all} s");
    }
}
