//! Nothing outlives its test, however that ends.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::FutureExt;
use support::{Cluster, Launch, eventually};

use crate::alive;

const LIMIT: Duration = Duration::from_secs(20);

/// A shell with a grandchild that is easy to lose: in another process group, its own parent already gone.
fn shell_with_orphan() -> Launch {
    let script = "setsid sleep 600 & echo orphan=$!; exec sleep 600";
    Launch::program("/bin/sh").args(["-c", script])
}

#[tokio::test]
async fn a_dropped_process_takes_its_descendants_along() {
    let mut process = shell_with_orphan().start();
    let orphan = process.line("orphan=", LIMIT).await;
    let orphan: u32 = orphan.trim_start_matches("orphan=").parse().unwrap();
    let (pid, folder) = (process.pid(), process.folder().to_path_buf());
    assert!(alive(pid) && alive(orphan));
    process.kill9();
    assert!(!alive(pid) && alive(orphan), "killing one process kills one process");
    drop(process);
    eventually("the end of the orphan", LIMIT, async || (!alive(orphan)).then_some(())).await;
    assert!(!folder.exists(), "{} is left", folder.display());
}

#[tokio::test]
async fn a_panicking_test_leaves_its_logs_but_no_process() {
    let mut found = None;
    let test = async {
        let cluster = Cluster::single().await;
        cluster.pause(0);
        found = Some((cluster.pid_of(0).unwrap(), cluster.folder().to_path_buf()));
        panic!("as a test would");
    };
    AssertUnwindSafe(test).catch_unwind().await.unwrap_err();
    let (pid, folder) = found.unwrap();
    assert!(!alive(pid), "the paused server survived the panic");
    assert!(folder.join("n0.log").is_file(), "the log is gone");
    fs::remove_dir_all(folder).unwrap();
}

/// Not a test of its own: the inner test process that [`inner`] runs and kills.
#[tokio::test]
#[ignore = "run by the tests beside it"]
async fn inner_run() {
    let Some(report) = std::env::var_os("INNER_REPORT").map(PathBuf::from) else { return };
    let cluster = Cluster::start(3, support::Options::default()).await;
    let process = shell_with_orphan().start();
    let orphan = process.line("orphan=", LIMIT).await;
    let mut pids: Vec<String> =
        (0..3).filter_map(|index| cluster.pid_of(index)).map(|pid| pid.to_string()).collect();
    pids.push(process.pid().to_string());
    pids.push(orphan.trim_start_matches("orphan=").to_owned());
    cluster.pause(2);
    let text = format!("{}\n{}\n", support::run::folder().display(), pids.join(" "));
    fs::write(report.with_extension("part"), text).unwrap();
    fs::rename(report.with_extension("part"), &report).unwrap();
    match std::env::var("INNER_END").as_deref() {
        Ok("exit") => std::process::exit(0),
        Ok("abort") => std::process::abort(),
        _ => tokio::time::sleep(Duration::from_secs(600)).await,
    }
}

/// Runs [`inner_run`] in a process of its own, ends it as told, and checks that nothing of it is left.
async fn inner(end: &str) {
    let place = support::Folder::new("inner");
    let report = place.join("report");
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifetime::inner_run", "--ignored"])
        .env("INNER_REPORT", &report)
        .env("INNER_END", end)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let text = eventually("the inner test's report", Duration::from_secs(90), async || {
        fs::read_to_string(&report)
            .ok()
            .or_else(|| test.try_wait().unwrap().map(|exit| format!("ended: {exit}")))
    })
    .await;
    let mut lines = text.lines();
    let folder = Path::new(lines.next().unwrap()).to_path_buf();
    let pids: Vec<u32> =
        lines.next().unwrap_or_else(|| panic!("{text}")).split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 5, "three servers, a shell and its orphan: {text}");
    if end == "kill" {
        assert!(pids.iter().all(|pid| alive(*pid)), "{pids:?}");
        test.kill().unwrap();
    }
    let exit = test.wait().unwrap();
    assert_eq!(
        exit.signal(),
        [("kill", 9), ("abort", 6)].into_iter().find(|(how, _)| *how == end).map(|(_, n)| n)
    );
    let what = format!("the end of {pids:?} after {end}");
    eventually(what, LIMIT, async || pids.iter().all(|pid| !alive(*pid)).then_some(())).await;
    let what = format!("the removal of {}", folder.display());
    eventually(what, LIMIT, async || (!folder.exists()).then_some(())).await;
}

#[tokio::test]
async fn servers_die_with_a_test_process_that_is_killed() {
    inner("kill").await;
}

#[tokio::test]
async fn servers_die_with_a_test_process_that_aborts() {
    inner("abort").await;
}

#[tokio::test]
async fn servers_die_with_a_test_process_that_exits_without_dropping_them() {
    inner("exit").await;
}
