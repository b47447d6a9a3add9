//! The whole library in simulation: one thread, virtual time, everything from one seed.
//!
//! `LEASE_SIM_SEED=N` runs that seed alone and prints its trace; `LEASE_SIM_SECONDS=N` sets how long fresh seeds are
//! tried (10 by default). A seed that fails prints the command that repeats it.

mod dice;
mod faults;
mod process;
mod run;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Fails with the trace and the command that repeats it.
fn check(seed: u64) -> run::Report {
    let report = run::run(seed);
    if !report.violations.is_empty() {
        println!("{}", report.trace);
        panic!(
            "seed {seed}: {}\nrepeat: LEASE_SIM_SEED={seed} cargo test -p lease-tests --test sim -- --nocapture one_seed",
            report.violations.join("; ")
        );
    }
    report
}

#[test]
fn one_seed() {
    if let Some(seed) = number("LEASE_SIM_SEED") {
        println!("{}", check(seed).trace);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let (first, second) = (run::run(seed), run::run(seed));
        assert!(first.trace == second.trace, "seed {seed} runs differently the second time");
    }
}

#[test]
fn fresh_seeds_find_nothing() {
    let seconds = number("LEASE_SIM_SECONDS").unwrap_or(10);
    let first = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let (begun, mut runs, mut grants, mut losses, mut faults) = (Instant::now(), 0_u64, 0, 0, 0);
    while begun.elapsed() < Duration::from_secs(seconds) {
        let report = check(first + runs);
        runs += 1;
        grants += report.grants;
        losses += report.losses;
        faults += report.faults;
    }
    println!(
        "seeds {first} to {}: {runs} runs, {grants} grants, {losses} losses, {faults} faults",
        first + runs - 1
    );
    assert!(runs > 0 && grants > runs, "the runs do something");
}
