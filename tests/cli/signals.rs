//! Signals are passed on to the command's whole group.

use rustix::process::Signal;
use support::{Launch, eventually};

use crate::kit::{Bench, LIMIT, alive, send};

#[tokio::test(flavor = "multi_thread")]
async fn each_is_passed_on() {
    let bench = Bench::new().await;
    let script = "for s in TERM INT HUP QUIT USR1 USR2 WINCH; do trap \"echo $s >> $F/got\" $s; done
        touch $F/up; while [ ! -e $F/go ]; do sleep 0.02; done; exit 3";
    let mut run = bench.script([], "a", script).start();
    eventually("the traps", LIMIT, async || bench.file("up").exists().then_some(())).await;
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::WINCH, "WINCH"),
    ] {
        send(run.pid(), signal);
        bench.wrote("got", name).await;
    }
    std::fs::write(bench.file("go"), "").unwrap();
    assert_eq!(run.exit(LIMIT).await.code, Some(3), "{}", run.stderr());
    assert_eq!(bench.read("got"), "TERM\nINT\nHUP\nQUIT\nUSR1\nUSR2\nWINCH\n");
}

/// Whether a process has a child that has become `sleep`.
fn sleeps(parent: u32) -> bool {
    let children =
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    children.split_whitespace().any(|child| {
        std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.trim() == "sleep")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_dies_of_them_and_its_children_too() {
    let bench = Bench::new().await;
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::QUIT, 131), (Signal::HUP, 129)] {
        let _ = std::fs::remove_file(bench.file("pids"));
        // An interactive-like pair: a shell that waits for a child; INT in the background is ignored, so no `&`.
        let mut run = bench.script([], "a", "sh -c 'echo $$ $PPID > $F/pids; sleep 1000; :'; :").start();
        let pids: Vec<u32> = eventually("two processes", LIMIT, async || {
            let pids = bench.read("pids");
            pids.ends_with('\n').then(|| pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect())
        })
        .await;
        // Not before the shell waits: one that is interrupted on its way to a fork still waits for the child.
        eventually("a child that sleeps", LIMIT, async || sleeps(pids[0]).then_some(())).await;
        send(run.pid(), signal);
        assert_eq!(run.exit(LIMIT).await.code, Some(code), "{signal:?}");
        assert!(pids.iter().all(|pid| !alive(*pid)), "{signal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ignored_stays_ignored() {
    let bench = Bench::new().await;
    let lease = support::programs::program("lease");
    // As nohup does.
    let script = format!(
        "trap '' HUP; exec {} run a -- sh -c 'touch $F/up; while [ ! -e $F/go ]; do sleep 0.02; done; exit 4'",
        lease.display()
    );
    let launch = Launch::program("/bin/sh").args(["-c", &script]).env("F", bench.folder.path());
    let mut run = launch.env("LEASE_SOCKET", bench.daemon.socket()).start();
    eventually("the command", LIMIT, async || bench.file("up").exists().then_some(())).await;
    send(run.pid(), Signal::HUP);
    // USR2 follows HUP: when it has had its effect, HUP would have had its own.
    let pid = run.pid();
    assert!(alive(pid));
    std::fs::write(bench.file("go"), "").unwrap();
    assert_eq!(run.exit(LIMIT).await.code, Some(4), "{}", run.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_reaches_the_command() {
    let bench = Bench::new().await;
    let mut run = bench.script([], "a", "echo $$ > $F/pid; exec sleep 1000").start();
    let pid: u32 = eventually("the pid", LIMIT, async || bench.read("pid").trim().parse().ok()).await;
    let state = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next())
    };
    send(run.pid(), Signal::TSTP);
    let lease = run.pid();
    eventually("both stopped", LIMIT, async || {
        (state(pid) == Some('T') && state(lease) == Some('T')).then_some(())
    })
    .await;
    send(run.pid(), Signal::CONT);
    eventually("both at work", LIMIT, async || {
        (state(pid) == Some('S') && state(lease) == Some('S')).then_some(())
    })
    .await;
    run.sigterm();
    assert_eq!(run.exit(LIMIT).await.code, Some(143));
}
