//! The lock is held as long as anything of the command's process group is left, and nothing is left without it.

use std::time::{Duration, Instant};

use support::eventually;

use crate::kit::{Bench, LIMIT, alive, gone};

#[tokio::test(flavor = "multi_thread")]
async fn a_grandchild_keeps_the_lock() {
    let bench = Bench::new().await;
    // The command ends at once; what it has started in the background, twice removed, goes on.
    let script = "(sh -c 'while [ ! -e $F/go ]; do sleep 0.05; done; echo done > $F/done' &) ; echo $$ > $F/left; exit 5";
    let mut run = bench.script([], "a", script).start();
    bench.wrote("left", "\n").await;
    let command = bench.read("left").trim().to_owned();
    // Adopted: nobody else would tell us of its end, or bury it where the system's first process does not.
    let children = format!("/proc/{0}/task/{0}/children", run.pid());
    eventually("the adoption of the orphan", LIMIT, async || {
        let children = std::fs::read_to_string(&children).ok()?;
        children.split_whitespace().any(|child| child != command).then_some(())
    })
    .await;
    for _ in 0..3 {
        assert_eq!(bench.run(["-n", "a", "--", "true"]).output(LIMIT).await.exit.code, Some(75));
    }
    assert!(run.running());
    std::fs::write(bench.file("go"), "").unwrap();
    assert_eq!(run.exit(LIMIT).await.code, Some(5));
    assert_eq!(bench.read("done"), "done\n");
    assert_eq!(bench.run(["-n", "a", "--", "true"]).output(LIMIT).await.exit.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_leaves_the_group_does_not_keep_it() {
    let bench = Bench::new().await;
    // The script ends once the other has left; the test's handle is kept, for it kills all that comes of it.
    let script =
        "setsid sh -c 'echo $$ > $F/pid; exec sleep 1000' & while [ ! -s $F/pid ]; do sleep 0.02; done";
    let mut run = bench.script([], "a", script).start();
    assert_eq!(run.exit(LIMIT).await.code, Some(0));
    let pid: u32 = eventually("the pid", LIMIT, async || bench.read("pid").trim().parse().ok()).await;
    assert!(alive(pid), "it was killed");
    assert_eq!(bench.run(["-n", "a", "--", "true"]).output(LIMIT).await.exit.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_lease_run_ends_the_command_and_frees_the_lock() {
    let bench = Bench::new().await;
    let mut run = bench.script([], "a", "echo $$ > $F/pid; exec sleep 1000").start();
    let pid: u32 = eventually("the pid", LIMIT, async || bench.read("pid").trim().parse().ok()).await;
    run.kill9();
    let begun = Instant::now();
    gone(pid, LIMIT).await;
    let next = bench.run(["-w", "5", "a", "--", "true"]).output(LIMIT).await;
    assert_eq!(next.exit.code, Some(0), "{}", next.stderr);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_orphans_do_not_pile_up() {
    let bench = Bench::new().await;
    // Orphans of the command are adopted; each must be buried at once, not at the end.
    let script = "for i in 1 2 3 4 5 6 7 8 9; do (true &); done; touch $F/up; while [ ! -e $F/go ]; do sleep 0.05; done";
    let mut run = bench.script([], "a", script).start();
    eventually("the orphans", LIMIT, async || bench.file("up").exists().then_some(())).await;
    let children = format!("/proc/{0}/task/{0}/children", run.pid());
    eventually("one child, the command", LIMIT, async || {
        let children = std::fs::read_to_string(&children).unwrap_or_default();
        (children.split_whitespace().count() == 1).then_some(())
    })
    .await;
    std::fs::write(bench.file("go"), "").unwrap();
    assert_eq!(run.exit(LIMIT).await.code, Some(0));
}
