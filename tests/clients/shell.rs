//! What only the shell client has to do with: signals to whole groups of processes, and what the work leaves running.

use std::time::Duration;

use support::programs::workspace;
use support::{Daemon, Launch, eventually};

use crate::SOON;

fn with_lock(daemon: &Daemon, before: &[&str], name: &str, work: &str) -> Launch {
    let script = workspace().join("lease-daemon/clients/shell/with-lock");
    let launch = match before {
        [program, args @ ..] => Launch::program(program).args(args).arg(script),
        [] => Launch::program(script),
    };
    launch.args(["-t", "20", name, "bash", "-c", work]).env("LEASE_SOCKET", daemon.socket())
}

/// `timeout` signals its whole group, and so does a terminal: the lock is kept until the work has ended.
#[tokio::test]
async fn a_signal_to_its_group_ends_the_work_before_the_lock() {
    let daemon = Daemon::start([""; 0]).await;
    let work = "trap 'echo stopping; sleep 1.5; echo cleaned; exit 3' TERM; while :; do sleep 0.1; done";
    let mut process = with_lock(&daemon, &["timeout", "1"], "example.group", work).start();
    eventually("it stops", SOON, async || process.stdout().contains("stopping").then_some(())).await;
    let lock = daemon.api().get("/v1/locks/example.group").await.json();
    assert!(lock["held"] == true || process.stdout().contains("cleaned"), "{lock}");
    let code = process.exit(SOON).await.code;
    // The work hears it from `timeout` and from the client, which may come one after the other.
    let said = process.stdout().replace("stopping\nstopping\n", "stopping\n");
    assert_eq!((code, said.as_str()), (Some(124), "stopping\ncleaned\n"), "{}", process.stderr());
    assert!(!process.stderr().contains("lost"), "{}", process.stderr());
}

/// What the work started goes on under the lock, and what ended and is not waited for does not count.
#[tokio::test]
async fn the_lock_is_kept_while_something_that_was_started_is_at_work() {
    let daemon = Daemon::start([""; 0]).await;
    let work = "(sleep 1; echo done) & exit 4";
    let mut process = with_lock(&daemon, &[], "example.rest", work).start();
    assert_eq!(process.exit(SOON).await.code, Some(4));
    assert_eq!((process.stdout().as_str(), process.stderr().as_str()), ("done\n", ""));
    let free =
        async || (daemon.api().get("/v1/locks/example.rest").await.json()["held"] == false).then_some(());
    eventually("it is given back", Duration::from_secs(10), free).await;
}
