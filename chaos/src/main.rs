//! The command: runs a scenario, checks its history, writes the report.

mod command;

use std::process::ExitCode;

use clap::Parser as _;
use command::Chaos;

#[tokio::main]
async fn main() -> ExitCode {
    let chaos = match Chaos::try_parse() {
        Ok(chaos) => chaos,
        Err(usage) => {
            // Without a terminal to write to there is nobody to tell.
            let _ = usage.print();
            return if usage.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    let code = command::run(chaos).await;
    // Reading the standard input may hold up the runtime's end for ever.
    std::process::exit(i32::from(code));
}
