//! A run of the real thing, ended in the hardest way: what it wrote is a history, and nothing of it is left.
//!
//! It takes namespaces. Where those are not to be had it says so, and tries that the command says so too.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chaos::cluster::enclosure;
use chaos::history::{Line, What};
use support::Folder;

/// Three servers that start on a busy machine take a while.
const LIMIT: Duration = Duration::from_secs(90);

fn start(scenario: &str, folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    command.args(["run", scenario, "--seed", "5", "--seconds", "60", "--out"]).arg(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("chaos starts")
}

/// Every whole line so far.
fn lines(folder: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(folder.join("history.jsonl")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect("a line of the history")).collect()
}

fn wait<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = seen() {
            return seen;
        }
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Processes whose command line names the folder: servers, daemons and workers all do.
fn processes(folder: &Path) -> usize {
    let wanted = folder.display().to_string();
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(&wanted)).count()
}

#[test]
fn nothing_is_left_of_a_run_that_is_killed() {
    if let Err(why) = enclosure::check() {
        eprintln!("SKIPPED, nothing of it was tried: {why}");
        let status = start("calm", Folder::new("chaos").path()).wait().expect("it ends");
        assert_eq!(status.code(), Some(69));
        return;
    }
    let kept = Folder::new("chaos");
    let folder = kept.path().to_owned();
    // With disks: loop devices and mounts are what is most easily left behind.
    let mut run = start("disk", &folder);
    let history = wait("a fault, a grant of each door, and a revision", || {
        let lines = lines(&folder);
        let is_there = |wanted: fn(&What) -> bool| lines.iter().any(|line| wanted(&line.what));
        let all = is_there(|what| matches!(what, What::Fault { .. }))
            && is_there(|what| matches!(what, What::Granted { .. }))
            && is_there(|what| matches!(what, What::Used { .. }))
            && is_there(|what| matches!(what, What::Revision { .. }));
        all.then_some(lines)
    });
    assert!(matches!(&history[0].what, What::Began { scenario, seed: 5, .. } if scenario == "disk"));
    assert!(processes(&folder) > 10, "it is at work");

    run.kill().expect("SIGKILL");
    run.wait().expect("its end");
    wait("every process is gone", || (processes(&folder) == 0).then_some(()));
    let wanted = folder.display().to_string();
    let mounts = std::fs::read_to_string("/proc/mounts").expect("mounts");
    assert!(!mounts.contains(&wanted), "{mounts}");
    // The kernel lets go of them with the last mount, a moment later; of one whose file system is frozen, never.
    wait("the loop devices are gone", || {
        let devices = Command::new("losetup").arg("--list").output().expect("losetup");
        (!String::from_utf8_lossy(&devices.stdout).contains(&wanted)).then_some(())
    });
}
