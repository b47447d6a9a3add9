//! The command line `lease`: locks for shells and scripts.

use std::process::ExitCode;

fn main() -> ExitCode {
    lease_daemon::cli::main()
}
