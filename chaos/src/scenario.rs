//! What a run is made of, by name.

mod crews;
mod list;

use std::time::Duration;

pub use list::SCENARIOS;

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
    /// The servers that clients come to.
    pub doors: Doors,
    /// What of NATS itself is shown, in place of workers and faults.
    pub weakness: Option<Weakness>,
}

/// The servers that clients come to, and whether there is a fourth one from the start, so that one of them has no replica.
///
/// What is asked at that one reaches all others. While a leader is cut off from the others, but not from there, that leader
/// and the one that they elected both hear each question, and the first answer counts: mostly that of the one that does not
/// have to ask anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doors {
    /// Any of three.
    Any,
    /// Any of four.
    AnyOfFour,
    /// Always the fourth.
    Fourth,
}

impl Doors {
    /// Whether there is a fourth server.
    pub fn are_four(self) -> bool {
        matches!(self, Doors::AnyOfFour | Doors::Fourth)
    }
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

/// The scenario of a name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// Up to how many nemeses are all to strike in a run of a scenario's own length.
const SHORT_LIST: usize = 8;

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
        self.doors.are_four() || self.has(Nemesis::Replace)
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
        // Every nemesis of a short list is met early, and for a shorter time; after that they come as they come.
        let mut first: Vec<Nemesis> = self.nemeses.iter().map(|(_, nemesis)| *nemesis).collect();
        chance.shuffle(&mut first);
        while at < end && self.at_once > 0 {
            let is_early = !first.is_empty() && (2..=SHORT_LIST).contains(&self.nemeses.len());
            let Some(nemesis) = first.pop().or_else(|| chance.weighted(self.nemeses)) else { return plan };
            let (low, high) = nemesis.span();
            let high = if is_early { (low + high) / 2 } else { high };
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

    /// What is listed for CI is planned there, whatever the seed.
    #[test]
    fn a_short_list_is_planned_as_a_whole() {
        let is_short = |it: &&Scenario| it.nemeses.len() <= SHORT_LIST && it.weakness.is_none();
        for scenario in SCENARIOS.iter().filter(is_short) {
            for seed in 0..500 {
                let plan = scenario.plan(seed, scenario.seconds);
                for (_, nemesis) in scenario.nemeses {
                    let is_planned = plan.iter().any(|planned| planned.nemesis == *nemesis);
                    assert!(is_planned, "{}, seed {seed}: {nemesis:?}", scenario.name);
                }
            }
        }
    }

    #[test]
    fn ci_takes_at_most_ten_minutes() {
        // Around the faults: the cluster's start, the settling, the end; and a new bucket's quiet.
        let quiet = |scenario: &Scenario| if scenario.name == "bucket" { 25 } else { 0 };
        let of = |scenario: &Scenario| scenario.seconds + 26 + quiet(scenario);
        let all: u64 = SCENARIOS.iter().filter(|scenario| scenario.is_for_ci).map(of).sum();
        // Four run at a time. The rest of ten minutes is for building it.
        assert!(all / 4 <= 200, "{all} s");
    }
}
