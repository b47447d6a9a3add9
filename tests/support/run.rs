//! One run of a test binary: its identity, its folder, and the watchdog that cleans up after it.
//!
//! `Drop` cannot run in a process that was killed, that aborted, or that holds a server in a `static`. So with the
//! first process it starts, a run also starts a watchdog: a few lines of shell that wait for the end of a pipe. The
//! kernel closes that pipe when the test process is gone, however it went, and the watchdog then kills whatever still
//! carries the run's mark in its environment, and removes the run's folder.
//!
//! Why a mark in the environment? Children inherit it, so it also finds the command below a `lease run` that was
//! killed; no registration can be missed between fork and kill; and a process id cannot be mistaken after reuse. The
//! kernel's own means, a parent death signal, is tied to the *thread* that forked, and tests run on threads that end
//! long before the process does. `sh`, `grep` and `rm` are there on every Debian.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that marks a process as started by a run: `<run>/<number>/`.
pub const MARK: &str = "LEASE_TESTS_PROCESS";

static RUN: LazyLock<Run> = LazyLock::new(Run::begin);
static NEXT: AtomicU64 = AtomicU64::new(1);

struct Run {
    id: String,
    folder: PathBuf,
    /// Its standard input is the pipe whose end it waits for. Never dropped: statics are not.
    _watchdog: Child,
}

impl Run {
    fn begin() -> Run {
        let id = random_name();
        // Short, because sockets live below it and a socket's path may not exceed 107 bytes.
        let folder = std::env::temp_dir().join(format!("lease-tests-{id}"));
        fs::create_dir_all(&folder)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
        let watchdog = Command::new("sh")
            .arg("-c")
            .arg(include_str!("watchdog.sh"))
            .arg("lease-tests-watchdog")
            .arg(format!("{MARK}={id}/"))
            .arg(&folder)
            // A run inside a run: the outer one must be able to kill the inner test, but not its watchdog.
            .env_remove(MARK)
            .current_dir("/")
            // Its own group, so that a signal to the tests' whole group leaves it alive to clean up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start the watchdog (sh): {error}"));
        Run { id, folder, _watchdog: watchdog }
    }
}

/// The folder of this run; removed after it, except for what a panicking test asked to keep.
pub fn folder() -> &'static Path {
    &RUN.folder
}

/// A mark for one more process of this run.
pub(crate) fn next_mark() -> String {
    format!("{}/{}/", RUN.id, next_number())
}

/// A number that this test process has not used yet.
pub(crate) fn next_number() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Twelve random hexadecimal digits.
pub(crate) fn random_name() -> String {
    let mut name = uuid::Uuid::new_v4().simple().to_string();
    name.truncate(12);
    name
}

/// The living processes that carry `mark`: a marked child and everything below it that kept its environment.
pub(crate) fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            // Unreadable means: gone, or not ours. A zombie's environment is empty.
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
                environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
            })
        })
        .collect()
}
