//! Hostile input: whatever arrives at the socket, the daemon answers as documented, stays small, and keeps what others hold.
//!
//! One table, in [`request_lines`], [`headers`], [`bodies`], [`json`] and [`endings`]; then what takes many connections or
//! many bytes, in [`floods`]. All of it meets one daemon, while [`bystander`] holds two locks there.

mod bodies;
mod bystander;
mod case;
mod endings;
mod floods;
mod headers;
mod json;
mod request_lines;

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use support::Daemon;

use crate::bystander::Bystander;
use crate::case::Case;

/// As much as the daemon may ever have used, in KiB.
const MOST_MEMORY: u64 = 200 * 1024;
/// How many cases run at a time: the slow ones wait together.
const AT_A_TIME: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_input_harms_the_daemon_or_another_client() {
    support::descriptors::raise_limit(12_000);
    let mut daemon = Daemon::start([""; 0]).await;
    let bystander = Bystander::begin(&daemon).await;
    let table = table();
    assert!(table.len() >= 80, "only {}", table.len());
    let api = daemon.api();

    let began = Instant::now();
    let outcomes = stream::iter(table.iter().map(|case| case.run(&api))).buffer_unordered(AT_A_TIME);
    let wrong = outcomes.filter_map(|outcome| async { outcome.err() }).collect::<Vec<String>>();
    // The slow ones wait; meanwhile there is time for those who send much.
    let (wrong, pipelined, garbage, endless) = tokio::join!(
        wrong,
        floods::pipelined(&daemon),
        floods::garbage(&daemon),
        floods::endless_body(&daemon)
    );
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.len(), wrong.join("\n"));
    eprintln!("{} cases; {pipelined}; {garbage}; {endless}; {:?}", table.len(), began.elapsed());
    bystander.check(&daemon).await;

    let connections = floods::connections(&daemon).await;
    eprintln!("{connections}, {:?}", began.elapsed());
    bystander.check(&daemon).await;

    let memory = peak_memory(daemon.process().pid());
    eprintln!("at most {memory} KiB");
    assert!(memory < MOST_MEMORY, "{memory} KiB");
    daemon.api().get("/readyz").await.expect(200);
    bystander.end(&daemon).await;
    assert!(!daemon.process().stderr().contains("panicked"), "{}", daemon.process().stderr());
}

fn table() -> Vec<Case> {
    let parts = [request_lines::cases, headers::cases, bodies::cases, json::cases, endings::cases];
    parts.into_iter().flat_map(|part| part()).collect()
}

/// The most memory that a process has used, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Longer than the daemon waits for anything.
const LIMIT: Duration = Duration::from_secs(30);
