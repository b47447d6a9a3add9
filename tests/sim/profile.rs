//! What kind of run a seed makes: how many contend for how much, and which faults there are.
//!
//! Each run has only some kinds of faults ("swarm testing", Groce et al., 2012): where everything goes wrong at once,
//! most checks have an excuse, and one fault hides what another would have shown.

use std::time::Duration;

use support::chance::Chance;

/// What befalls one write on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFault {
    /// It never arrives.
    Lost,
    /// It is applied; the answer never arrives.
    AnswerLost,
    /// It arrives long after it was given up.
    Late,
    /// The connection breaks: unknown at once, applied or not.
    Broken,
    /// Refused: another write is in flight (10164).
    InFlight,
    /// Refused: no leader.
    NotTaken,
    /// Slow, but within the limit of a request.
    Slow,
}

/// What befalls one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFault {
    /// No answer.
    Lost,
    /// Refused at once.
    Refused,
    /// Slow, but within the limit of a request.
    Slow,
    /// Answered by a server that was left behind.
    Stale,
}

/// What befalls a process, or all of them, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plague {
    /// One process cannot reach the store.
    Outage,
    /// Nobody can.
    Failover,
    /// One process reads from a server that was left behind.
    Stale,
    /// A process is not scheduled.
    Pause,
    /// A process dies, and mostly comes again as a new one.
    Crash,
    /// A process closes its space in good order, and comes again.
    Drain,
    /// The store's clock steps.
    Step,
    /// Notes and events of a process are lost.
    Hush,
    /// Everything that a process follows breaks off.
    Cut,
    /// The bucket is deleted and made again.
    Recreate,
    /// The store's revisions go backwards.
    Regress,
}

/// What is contended for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Locks, each for one alone.
    Mutex,
    /// Locks for readers and writers.
    ReadWrite,
    /// Semaphores.
    Semaphore,
    /// Several locks at once, against single ones.
    Together,
    /// Elections, with observers.
    Election,
    /// Groups.
    Group,
}

const KINDS: [(&str, Kind); 6] = [
    ("mutex", Kind::Mutex),
    ("read-write", Kind::ReadWrite),
    ("semaphore", Kind::Semaphore),
    ("together", Kind::Together),
    ("election", Kind::Election),
    ("group", Kind::Group),
];

impl Kind {
    pub fn named(name: &str) -> Option<Kind> {
        KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// How many permits the semaphore of this name has.
pub fn permits(name: &str) -> u32 {
    match name {
        "n0" => 2,
        "n1" => 3,
        _ => 1,
    }
}

/// The make-up of a run.
#[derive(Clone, Debug)]
pub struct Profile {
    pub kind: Kind,
    pub processes: usize,
    pub contenders: u64,
    pub names: u64,
    /// TTLs in milliseconds.
    pub ttls: Vec<u64>,
    /// How long faults go on.
    pub phase: Duration,
    /// The longest ordinary hold and the longest ordinary pause between two, in milliseconds.
    pub hold_ms: u64,
    pub think_ms: u64,
    /// The longest ordinary way to the store and back, each, in milliseconds.
    pub hop_ms: u64,
    pub write_permille: u32,
    pub read_permille: u32,
    pub event_permille: u32,
    pub note_permille: u32,
    pub writes: Vec<(u32, WriteFault)>,
    pub reads: Vec<(u32, ReadFault)>,
    pub plagues: Vec<(u32, Plague)>,
    /// How often a user breaks a grant by force instead of asking for one.
    pub break_permille: u32,
    /// How often a grant whose answer was lost is removed by force before its attempt knows of it.
    pub hasty_permille: u32,
    /// The mean time between two plagues, in milliseconds.
    pub gap_ms: u64,
    /// Every record goes as early as the slack allows.
    pub eager: bool,
    /// Which of a repeat's id and revision the store looks at first.
    pub revisions_first: bool,
    /// The process whose server shows places in line that were given up, if there is one.
    pub haunted: Option<usize>,
}

impl Profile {
    /// Draws one.
    pub fn draw(chance: &mut Chance) -> Profile {
        let calm = chance.odds(30);
        let writes = [
            (4, WriteFault::Lost),
            (6, WriteFault::AnswerLost),
            (5, WriteFault::Late),
            (3, WriteFault::Broken),
            (6, WriteFault::InFlight),
            (4, WriteFault::NotTaken),
            (4, WriteFault::Slow),
        ];
        let reads =
            [(3, ReadFault::Lost), (2, ReadFault::Refused), (3, ReadFault::Slow), (6, ReadFault::Stale)];
        let plagues = [
            (10, Plague::Outage),
            (6, Plague::Failover),
            (6, Plague::Stale),
            (10, Plague::Pause),
            (8, Plague::Crash),
            (2, Plague::Drain),
            (5, Plague::Step),
            (5, Plague::Hush),
            (4, Plague::Cut),
        ];
        let mut profile = Profile {
            kind: Kind::Mutex,
            processes: chance.range(2, 4) as usize,
            contenders: chance.pick(&[1, 2, 2, 3, 4]),
            names: chance.pick(&[1, 1, 1, 2, 3]),
            ttls: swarm(chance, &[2_000, 2_500, 4_000, 5_000, 9_900, 20_000].map(|ttl| (1, ttl)))
                .into_iter()
                .map(|(_, ttl)| ttl)
                .collect(),
            phase: chance.millis(40_000, 60_000),
            hold_ms: chance.pick(&[60, 400, 1_500, 4_000, 12_000]),
            think_ms: chance.pick(&[20, 300, 1_500, 5_000]),
            hop_ms: chance.pick(&[1, 2, 5, 40]),
            write_permille: if calm { 0 } else { chance.pick(&[0, 3, 10, 30, 80]) },
            read_permille: if calm { 0 } else { chance.pick(&[0, 3, 10, 40]) },
            event_permille: if calm { 0 } else { chance.pick(&[0, 0, 20, 100, 600]) },
            note_permille: if calm { 0 } else { chance.pick(&[0, 0, 20, 100, 600]) },
            writes: swarm(chance, &writes),
            reads: swarm(chance, &reads),
            plagues: if calm { Vec::new() } else { swarm(chance, &plagues) },
            break_permille: if calm { 0 } else { chance.pick(&[0, 0, 0, 60]) },
            hasty_permille: if calm { 0 } else { chance.pick(&[0, 900]) },
            gap_ms: chance.pick(&[1_500, 3_000, 6_000, 15_000]),
            eager: chance.odds(300),
            revisions_first: chance.odds(400),
            haunted: None,
        };
        if !calm && chance.odds(120) {
            profile.plagues.push((6, Plague::Recreate));
        }
        if !calm && chance.odds(60) {
            profile.plagues.push((3, Plague::Regress));
        }
        profile
    }

    /// The same, perhaps with a server that came back from a crash with what had been removed.
    pub fn perhaps_haunted(mut self, chance: &mut Chance) -> Profile {
        let who = chance.below(self.processes as u64) as usize;
        self.haunted = (!self.plagues.is_empty() && chance.odds(100)).then_some(who);
        self
    }

    /// The same, for another kind.
    pub fn of(mut self, kind: Kind) -> Profile {
        self.kind = kind;
        if kind != Kind::Mutex {
            // The hasty operator knows locks only.
            (self.break_permille, self.hasty_permille) = (0, 0);
        }
        if kind == Kind::Together {
            self.names = 3;
        }
        self
    }

    /// The longest TTL in use.
    pub fn longest_ttl(&self) -> Duration {
        Duration::from_millis(self.ttls.iter().copied().max().unwrap_or_default())
    }
}

/// About half of the kinds, at least one.
fn swarm<T: Copy>(chance: &mut Chance, kinds: &[(u32, T)]) -> Vec<(u32, T)> {
    let sure = chance.pick(kinds);
    let mut chosen: Vec<(u32, T)> = kinds.iter().filter(|_| chance.odds(500)).copied().collect();
    if chosen.is_empty() {
        chosen.push(sure);
    }
    chosen
}
