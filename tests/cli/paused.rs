//! Processes that stand still (SIGSTOP) for longer than the ttl.

use std::time::{Duration, Instant};

use support::{Cluster, Launch, eventually};

use crate::kit::{Bench, LIMIT, alive};

const SLEEP: &str = "echo $$ > $F/pid; while [ ! -e $F/go ]; do sleep 0.02; done; exit 6";

#[tokio::test(flavor = "multi_thread")]
async fn paused_without_a_daemon_it_has_lost() {
    let cluster = Cluster::single().await;
    let bench = Bench::on(["--nats", &cluster.url()]).await;
    let direct = Launch::lease().env("F", bench.folder.path()).args(["run", "--nats", &cluster.url()]);
    let mut run = direct.args(["--ttl", "3", "--kill-after", "0.2", "a", "--", "sh", "-c", SLEEP]).start();
    let pid: u32 = eventually("the pid", LIMIT, async || bench.read("pid").trim().parse().ok()).await;
    let token = bench.token("a").await;
    run.pause();
    // Another is granted it: higher token.
    let other = bench.script(
        ["-w", "15", "--ttl", "3", "--kill-after", "0"],
        "a",
        "echo token $LEASE_TOKEN; exec sleep 1000",
    );
    let mut other = other.start();
    let line = other.line("token ", LIMIT).await;
    let higher: u64 = line.strip_prefix("token ").unwrap().parse().unwrap();
    assert!(higher > token);
    run.resume();
    let resumed = Instant::now();
    assert_eq!(run.exit(LIMIT).await.code, Some(79), "{}", run.stderr());
    assert!(!alive(pid));
    assert!(resumed.elapsed() < Duration::from_secs(3), "{:?}", resumed.elapsed());
    // The other's grant is untouched, also a renewal or two later.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.token("a").await, higher);
    assert!(other.running());
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_beside_a_living_daemon_it_has_not() {
    let bench = Bench::new().await;
    let mut run = bench.script(["--ttl", "3", "--kill-after", "0.2"], "a", SLEEP).start();
    let _: u32 = eventually("the pid", LIMIT, async || bench.read("pid").trim().parse().ok()).await;
    let token = bench.token("a").await;
    run.pause();
    tokio::time::sleep(Duration::from_secs(5)).await;
    // The daemon has renewed all the time, and says so in what waits in the socket.
    assert_eq!(bench.token("a").await, token);
    run.resume();
    tokio::time::sleep(Duration::from_millis(500)).await;
    std::fs::write(bench.file("go"), "").unwrap();
    assert_eq!(run.exit(LIMIT).await.code, Some(6), "{}", run.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ended_meanwhile_is_believed() {
    let bench = Bench::new().await;
    let mut run = bench.script(["--ttl", "3", "--kill-after", "0.2"], "a", SLEEP).start();
    let pid: u32 = eventually("the pid", LIMIT, async || bench.read("pid").trim().parse().ok()).await;
    run.pause();
    std::fs::write(bench.file("go"), "").unwrap();
    eventually("the end of the command", LIMIT, async || (!alive(pid)).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    run.resume();
    assert_eq!(run.exit(LIMIT).await.code, Some(6), "{}", run.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_daemon_is_no_news() {
    let cluster = Cluster::single().await;
    let mut bench = Bench::on(["--nats", &cluster.url()]).await;
    let mut run = bench.script(["--ttl", "5", "--kill-after", "1"], "a", SLEEP).start();
    let pid: u32 = eventually("the pid", LIMIT, async || bench.read("pid").trim().parse().ok()).await;
    bench.daemon.process().pause();
    let paused = Instant::now();
    eventually("the end of the command", LIMIT, async || (!alive(pid)).then_some(())).await;
    assert!(paused.elapsed() < Duration::from_secs(5), "{:?}", paused.elapsed());
    bench.daemon.process().resume();
    assert_eq!(run.exit(LIMIT).await.code, Some(79), "{}", run.stderr());
}
