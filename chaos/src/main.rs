//! The command: runs a scenario, checks its history, writes the report.

use std::path::PathBuf;
use std::process::ExitCode;

use chaos::failure::Failure;
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
    /// Started by `run`: asks for locks and says what it hears, until a line comes on standard input.
    #[command(hide = true)]
    Worker(chaos::worker::Settings),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Worker(settings) => ended(chaos::worker::work(settings)),
        Command::Judge { dir } => match chaos::judge::judge(&dir) {
            Ok(verdict) => {
                print!("{}", verdict.table());
                println!("report: {}", dir.join("report.html").display());
                ExitCode::from(verdict.exit_code())
            }
            Err(error) => {
                eprintln!("chaos: {error}");
                ExitCode::from(2)
            }
        },
    }
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
