//! Many seeds, one after another, and what they add up to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::profile::Kind;
use crate::run::run;
use crate::sim::Counts;

/// How much to run.
pub struct Amount {
    pub kind: Kind,
    pub first: u64,
    pub seeds: Option<u64>,
    pub lasting: Option<Duration>,
    /// Goes on after a failure.
    pub keep_going: bool,
    /// Says how it goes.
    pub verbose: bool,
}

/// What it added up to.
#[derive(Default)]
pub struct Summary {
    pub runs: u64,
    pub failed: Vec<(u64, Vec<String>)>,
    counts: Counts,
    lasted: Duration,
    took: Duration,
}

/// How long a run may take by the wall. It takes some milliseconds, in a development build some hundreds.
const HANGS: Duration = Duration::from_secs(60);

/// Ends the program if a run does: a task that never gives up its turn cannot be stopped from inside.
fn watch() -> Arc<AtomicU64> {
    let seed = Arc::new(AtomicU64::new(u64::MAX));
    let watched = Arc::clone(&seed);
    // It ends with the program.
    std::thread::spawn(move || {
        loop {
            let before = watched.load(Ordering::Relaxed);
            std::thread::sleep(HANGS);
            if before != u64::MAX && watched.load(Ordering::Relaxed) == before {
                println!("FAILED seed {before}: the run hangs: a task never gives up its turn");
                std::process::exit(1);
            }
        }
    });
    seed
}

/// Runs seeds until there are enough or one fails.
pub fn soak(amount: &Amount) -> Summary {
    let present = watch();
    let begun = Instant::now();
    let mut summary = Summary::default();
    let mut said = begun;
    for seed in amount.first.. {
        let enough = amount.seeds.is_some_and(|seeds| summary.runs >= seeds)
            || amount.lasting.is_some_and(|lasting| begun.elapsed() >= lasting)
            || (!summary.failed.is_empty() && !amount.keep_going);
        if enough {
            break;
        }
        present.store(seed, Ordering::Relaxed);
        let report = run(amount.kind, seed, false);
        summary.runs += 1;
        summary.lasted += report.lasted;
        summary.add(report.counts);
        summary.took = begun.elapsed();
        if !report.violations.is_empty() {
            if amount.keep_going {
                println!("seed {seed}: {}", report.violations[0]);
            }
            summary.failed.push((seed, report.violations));
        }
        if amount.verbose && said.elapsed() >= Duration::from_secs(10) {
            said = Instant::now();
            eprintln!(
                "{} runs, {} failed, {:.0} a minute",
                summary.runs,
                summary.failed.len(),
                summary.pace()
            );
        }
    }
    present.store(u64::MAX, Ordering::Relaxed);
    summary
}

impl Summary {
    fn add(&mut self, counts: Counts) {
        let sum = |into: &mut BTreeMap<&'static str, u64>, from: BTreeMap<&'static str, u64>| {
            for (name, count) in from {
                *into.entry(name).or_default() += count;
            }
        };
        sum(&mut self.counts.faults, counts.faults);
        sum(&mut self.counts.losses, counts.losses);
        sum(&mut self.counts.refusals, counts.refusals);
        self.counts.grants += counts.grants;
        self.counts.writes += counts.writes;
        self.counts.fence_accepted += counts.fence_accepted;
        self.counts.fence_refused += counts.fence_refused;
    }

    fn pace(&self) -> f64 {
        self.runs as f64 * 60.0 / self.took.as_secs_f64().max(1e-9)
    }

    /// For people.
    pub fn text(&self) -> String {
        let runs = self.runs.max(1) as f64;
        let faults: u64 = self.counts.faults.values().sum();
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} runs, {} failed, in {:.1} s ({:.0} a minute); each {:.0} s of virtual time, {:.1} faults, {:.1} grants, {:.0} writes",
            self.runs,
            self.failed.len(),
            self.took.as_secs_f64(),
            self.pace(),
            self.lasted.as_secs_f64() / runs,
            faults as f64 / runs,
            self.counts.grants as f64 / runs,
            self.counts.writes as f64 / runs,
        );
        let _ = writeln!(
            text,
            "fenced resource: {} accepted, {} refused",
            self.counts.fence_accepted, self.counts.fence_refused
        );
        for (what, counts) in [
            ("faults", &self.counts.faults),
            ("losses", &self.counts.losses),
            ("errors", &self.counts.refusals),
        ] {
            let list: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            let _ = writeln!(text, "{what}: {}", list.join(", "));
        }
        text
    }
}
