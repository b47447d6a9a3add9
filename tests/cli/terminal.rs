//! At a terminal: an interactive shell with job control, driven through a pseudo terminal.

use support::Launch;

use crate::kit::{Bench, LIMIT};

#[tokio::test(flavor = "multi_thread")]
async fn an_interactive_command_works_at_a_terminal() {
    let bench = Bench::new().await;
    let lease = support::programs::program("lease");
    // Python brings the pseudo terminal, which the standard library of Rust does not.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/cli/terminal.py");
    let launch = Launch::program("/usr/bin/env").args(["python3", script]).arg(lease);
    let output = launch.env("LEASE_SOCKET", bench.daemon.socket()).output(LIMIT * 3).await;
    assert_eq!(output.exit.code, Some(0), "{}\n{}", output.stdout, output.stderr);
}
