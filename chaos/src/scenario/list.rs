//! The list of scenarios.

use super::crews::{
    AT_EVERY_PACE, FRESH, GREEDY, KINDS, MIXED, MORTALS, MUTEX, PATIENT, READERS, READERS_LONG_AND_SHORT,
    SEIZED,
};
use super::{Doors, Scenario};
use crate::nemesis::Nemesis::{self, *};
use crate::weakness::Weakness;
use crate::worker::Via::{Library, Socket};
use crate::worker::Workload;

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
    (2, Behind),
    (2, Overdue),
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
    doors: Doors::Any,
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
        seconds: 32,
        ..PLAIN
    },
    Scenario {
        name: "crash",
        about: "holders die, and servers are well: what they held expires, and the next in line has it",
        crew: MORTALS,
        nemeses: &[(1, KillWorker)],
        at_once: 1,
        seconds: 24,
        ..PLAIN
    },
    Scenario {
        name: "return",
        about: "servers are killed, and come back with what their files say; everybody waits in line",
        crew: PATIENT,
        nemeses: &[(1, Kill)],
        at_once: 1,
        seconds: 24,
        ..PLAIN
    },
    Scenario {
        name: "pause",
        about: "SIGSTOP for servers, workers and daemons: they wake up and believe what they believed",
        crew: MUTEX,
        nemeses: &[(1, Pause), (2, PauseLeader), (4, PauseWorker), (2, PauseDaemon)],
        at_once: 3,
        seconds: 22,
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
        seconds: 36,
        ..PLAIN
    },
    Scenario {
        name: "bridge",
        about: "who waits is not heard of, since servers do not hear each other; everybody wants the lock again at once",
        crew: GREEDY,
        nemeses: &[(1, Bridge)],
        at_once: 1,
        seconds: 16,
        ..PLAIN
    },
    Scenario {
        name: "left-behind",
        about: "a leader that was cut off answers clients until it steps down, and so does the one that leads",
        crew: MIXED,
        doors: Doors::Fourth,
        nemeses: &[(1, CutOffLeaderLong)],
        at_once: 1,
        seconds: 34,
        ..PLAIN
    },
    Scenario {
        name: "behind",
        about: "a replica that is a second or two behind answers reads of what was, and whoever believes that is refused",
        crew: AT_EVERY_PACE,
        nemeses: &[(1, Behind)],
        at_once: 1,
        seconds: 30,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "nearby",
        about: "a leader that was cut off answers what is read, and the one that leads refuses what is written upon that",
        crew: PATIENT,
        doors: Doors::Fourth,
        nemeses: &[(1, CutOffLeaderNearby)],
        at_once: 1,
        seconds: 19,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "readers-behind",
        about: "readers and writers of one lock, and two leaders, one of which does not know who reads",
        crew: READERS_LONG_AND_SHORT,
        doors: Doors::Fourth,
        nemeses: &[(1, CutOffLeaderLong)],
        at_once: 1,
        seconds: 50,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "unheard",
        about: "grants that are not heard of, and asked for again, of locks that are broken by force meanwhile",
        crew: SEIZED,
        nemeses: &[(1, Slow), (30, Unheard), (30, UnheardLong)],
        at_once: 3,
        seconds: 40,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "late",
        about: "what was asked is done when all that is over: the server hung, or a connection went silent",
        crew: FRESH,
        // What is asked upon an answer that was on its way when its server stopped is what the server finds when it wakes up.
        nemeses: &[(1, Slow), (10, PauseLong), (30, Overdue)],
        at_once: 4,
        seconds: 60,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "haunted",
        about: "servers that are killed, and come back with what was removed, since nothing in their files says so any more",
        crew: GREEDY,
        nemeses: &[(1, Haunt)],
        at_once: 1,
        seconds: 32,
        is_for_ci: false,
        ..PLAIN
    },
    Scenario {
        name: "amnesia",
        about: "all servers die at once, and know nothing more of what they had answered to those who did not hear it",
        crew: GREEDY,
        nemeses: &[(1, ForgottenRelease)],
        at_once: 1,
        seconds: 60,
        // A release is repeated for as long as the record may last.
        ttl_ms: 30_000,
        is_for_ci: false,
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
        name: "readers",
        about: "readers and writers of one lock, who ask servers that are behind, each question another one",
        crew: READERS,
        // Who is connected to the one of four that has no replica is answered by any of the others.
        doors: Doors::AnyOfFour,
        nemeses: &[(4, Delay), (1, Reset)],
        at_once: 2,
        seconds: 26,
        ..PLAIN
    },
    Scenario {
        name: "operator",
        about: "what an operator does: step-down, rolling restart, lame duck, replicas down and up",
        crew: KINDS,
        nemeses: &[(3, StepDown), (1, StepDownMeta), (2, Rolling), (1, LameDuck), (1, Membership)],
        at_once: 1,
        seconds: 40,
        ..PLAIN
    },
    Scenario {
        name: "disk",
        about: "disks that stall or are full, and power that fails, with every write synced",
        crew: MUTEX,
        nemeses: &[(2, DiskFull), (2, DiskStall), (4, Power), (1, PowerAll)],
        at_once: 1,
        seconds: 27,
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
        name: "cut-off",
        about: "a server is cut off from the others for longer than a lease lasts: its clients go to the others, and keep theirs",
        crew: KINDS,
        nemeses: &[(1, CutOffLong)],
        at_once: 1,
        seconds: 80,
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
        ..PLAIN
    },
    Scenario {
        name: "weather",
        about: "every fault that needs no disk, several at a time, with every kind of lock",
        crew: KINDS,
        nemeses: WEATHER,
        at_once: 3,
        seconds: 32,
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
