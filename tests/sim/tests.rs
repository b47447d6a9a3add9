//! The simulation in the tests: a slice of fresh seeds, the seeds that once found something, and the same seed twice.

use std::process::{Command, Output};

/// Seeds that found a bug, in the order they did, each with what it was.
const KNOWN: &str = include_str!("seeds.txt");

fn lease_sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lease-sim")).args(args).output().expect("lease-sim runs")
}

fn succeeds(args: &[&str]) {
    let output = lease_sim(args);
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "lease-sim {}:\n{text}", args.join(" "));
}

/// `LEASE_SIM_FOR` sets for how long, as `20s` or `10m`.
#[test]
fn fresh_seeds_find_nothing() {
    let lasting = std::env::var("LEASE_SIM_FOR").unwrap_or_else(|_| "10s".into());
    succeeds(&["--for", &lasting]);
}

/// The other kinds share the time that the mutex has.
#[test]
fn fresh_seeds_of_other_kinds_find_nothing() {
    let lasting = std::env::var("LEASE_SIM_FOR").unwrap_or_else(|_| "3s".into());
    for kind in ["read-write", "semaphore", "together", "election", "group"] {
        succeeds(&["--kind", kind, "--for", &lasting]);
    }
}

#[test]
fn seeds_that_found_a_bug_find_it_no_more() {
    for line in KNOWN.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut words = line.split_whitespace();
        let (kind, seed) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        succeeds(&["--kind", kind, "--seed", seed, "--quiet"]);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_in_another_process() {
    // In development builds a run takes longer; the two hundred of the contract are one command (see the README).
    for seed in 1..=30_u64 {
        let seed = seed.to_string();
        let (first, second) = (lease_sim(&["--seed", &seed]), lease_sim(&["--seed", &seed]));
        assert!(first.stdout.len() > 1_000, "seed {seed} leaves a trace");
        assert!(first.stdout == second.stdout, "seed {seed} runs differently in another process");
    }
    for kind in ["read-write", "semaphore", "together", "election", "group"] {
        let args = ["--kind", kind, "--seed", "7"];
        let (first, second) = (lease_sim(&args), lease_sim(&args));
        assert!(first.stdout.len() > 1_000 && first.stdout == second.stdout, "{kind}");
    }
}
