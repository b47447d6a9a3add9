//! The command: runs a scenario, checks its history, writes the report.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chaos::failure::Failure;
use chaos::outer::Settings;
use chaos::verdict::Verdict;
use clap::{Parser, Subcommand};

/// Breaks a real cluster under real clients from a seed, and checks what they saw.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks DIR/history.jsonl and writes DIR/verdict.json and DIR/report.html. Exit code 0: all that was tested held;
    /// 1: violated; 2: the history is not whole, or nothing was tested.
    Judge {
        /// The folder of a run.
        dir: PathBuf,
    },
    /// Lists the scenarios, what they break, and what is not tried yet.
    List,
    /// Runs a scenario and judges it: exit codes as of `judge`; 69: the machine lacks something; 70: the run broke off.
    Run(chaos::outer::Settings),
    /// Runs the scenarios that every change has to pass, one after the other, in less than eight minutes.
    Ci {
        /// What all chance comes from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The servers' release
        #[arg(long)]
        release: Option<String>,
    },
    /// Started by `run` inside the hosts that it made.
    #[command(hide = true)]
    Inner(chaos::runner::Inner),
    /// Started by `run`: asks for locks and says what it hears, until a line comes on standard input.
    #[command(hide = true)]
    Worker(chaos::worker::Settings),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::List => {
            print!("{}", chaos::listing::text());
            ExitCode::SUCCESS
        }
        Command::Run(settings) => one(&settings),
        Command::Ci { seed, release } => ci(seed, release.as_deref()),
        Command::Inner(settings) => ended(chaos::inside::run(settings)),
        Command::Worker(settings) => ended(chaos::worker::work(settings)),
        Command::Judge { dir } => match chaos::judge::judge(&dir) {
            Ok(verdict) => shown(&verdict, &dir),
            Err(error) => {
                eprintln!("chaos: {error}");
                ExitCode::from(2)
            }
        },
    }
}

fn shown(verdict: &Verdict, dir: &Path) -> ExitCode {
    print!("{}", verdict.table());
    println!("report: {}", dir.join("report.html").display());
    ExitCode::from(verdict.exit_code())
}

fn one(settings: &Settings) -> ExitCode {
    match chaos::outer::run_alone(settings) {
        Ok((verdict, dir)) => shown(&verdict, &dir),
        Err(failure) => ended(Err(failure)),
    }
}

fn ci(seed: u64, release: Option<&str>) -> ExitCode {
    let mut worst = 0;
    for scenario in chaos::scenario::ALL.iter().filter(|it| it.is_ci) {
        println!("\n== {}: {}", scenario.name, scenario.about);
        let settings = Settings {
            scenario: scenario.name.into(),
            seed,
            release: release.map(str::to_owned),
            seconds: None,
            out: None,
        };
        match chaos::outer::run_alone(&settings) {
            Ok((verdict, dir)) => {
                shown(&verdict, &dir);
                worst = worst.max(verdict.exit_code());
            }
            // A run that could not be made, or was interrupted, ends it.
            Err(failure) => return ended(Err(failure)),
        }
    }
    ExitCode::from(worst)
}

fn ended(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("chaos: {failure}");
            ExitCode::from(failure.code)
        }
    }
}
