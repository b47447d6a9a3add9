//! `lease-sim`: the whole library in simulation, one run per seed.
//!
//! Several processes, each with a space of its own on one embedded store, contend for a few names while requests,
//! events, clocks, the store and the processes themselves fail in every way that the seed draws. Time is virtual, and
//! everything is on one thread: the same seed gives the same run, byte for byte.
//!
//! `--seed N` runs one seed and prints who did what when. Read a trace backwards from its last line; lines with `·`
//! are what the store applied.

mod checks;
mod clock;
mod contender;
mod exec;
mod fate;
mod grant;
mod hasty;
mod history;
mod nemesis;
mod net;
mod observer;
mod process;
mod profile;
mod run;
mod sim;
mod soak;
mod weather;
mod wires;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use profile::Kind;

const USAGE: &str = "lease-sim --seed N              one run, with its trace
lease-sim [--from N] --seeds COUNT   so many runs
lease-sim [--from N] --for 10m       runs for so long (s, m or h)
  --kind KIND     mutex (unless said), read-write, semaphore, together, election, group
  --keep-going    goes on after a failure
  --quiet         no progress, no trace of a failure

Without --from, seeds are fresh ones.";

struct Orders {
    kind: Kind,
    seed: Option<u64>,
    from: Option<u64>,
    seeds: Option<u64>,
    lasting: Option<Duration>,
    keep_going: bool,
    quiet: bool,
}

fn orders() -> Option<Orders> {
    let mut orders = Orders {
        kind: Kind::Mutex,
        seed: None,
        from: None,
        seeds: None,
        lasting: None,
        keep_going: false,
        quiet: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--kind" => orders.kind = Kind::named(&words.next()?)?,
            "--seed" => orders.seed = Some(words.next()?.parse().ok()?),
            "--from" => orders.from = Some(words.next()?.parse().ok()?),
            "--seeds" => orders.seeds = Some(words.next()?.parse().ok()?),
            "--for" => orders.lasting = Some(duration(&words.next()?)?),
            "--keep-going" => orders.keep_going = true,
            "--quiet" => orders.quiet = true,
            _ => return None,
        }
    }
    (orders.seed.is_some() || orders.seeds.is_some() || orders.lasting.is_some()).then_some(orders)
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.len().checked_sub(1)?);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()? * seconds))
}

fn main() -> ExitCode {
    let Some(orders) = orders() else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    match orders.seed {
        Some(seed) => one(orders.kind, seed, orders.quiet),
        None => many(&orders),
    }
}

fn one(kind: Kind, seed: u64, quiet: bool) -> ExitCode {
    let report = run::run(kind, seed, !quiet);
    print!("{}", report.trace.unwrap_or_default());
    for violation in &report.violations {
        println!("seed {seed}: {violation}");
    }
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn many(orders: &Orders) -> ExitCode {
    // Fresh seeds are the time in milliseconds: short enough to type, and never the same twice.
    let fresh = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64 % 100_000_000_000)
    };
    let first = orders.from.unwrap_or_else(fresh);
    println!("seeds from {first}");
    let summary = soak::soak(&soak::Amount {
        kind: orders.kind,
        first,
        seeds: orders.seeds,
        lasting: orders.lasting,
        keep_going: orders.keep_going,
        verbose: !orders.quiet,
    });
    print!("{}", summary.text());
    for (seed, violations) in &summary.failed {
        for violation in violations {
            println!("FAILED seed {seed}: {violation}");
        }
        println!(
            "  repeat: cargo run --release -p lease-tests --bin lease-sim -- --kind {} --seed {seed}",
            orders.kind.name()
        );
    }
    if let Some((seed, _)) = summary.failed.first().filter(|_| !orders.quiet && !orders.keep_going) {
        println!("the last of its trace:");
        let trace = run::run(orders.kind, *seed, true).trace.unwrap_or_default();
        let lines: Vec<&str> = trace.lines().collect();
        println!("{}", lines[lines.len().saturating_sub(120)..].join("\n"));
    }
    if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
