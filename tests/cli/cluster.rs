//! On three servers: mutual exclusion that a file can prove, and the loss of them all.

use std::time::{Duration, Instant};

use support::{Cluster, Launch, Process, eventually};

use crate::kit::{Bench, LIMIT, gone};

/// Done when 3: read, pause, write.
#[tokio::test(flavor = "multi_thread")]
async fn eight_processes_on_two_daemons_count_to_800() {
    let cluster = Cluster::three().await;
    let benches =
        [Bench::on(["--nats", &cluster.urls()]).await, Bench::on(["--nats", &cluster.urls()]).await];
    let folder = benches[0].folder.path();
    std::fs::write(folder.join("counter"), "0\n").unwrap();
    let increment =
        "n=$(cat $F/counter); sleep 0.002; echo $((n + 1)) > $F/counter; echo $LEASE_TOKEN >> $F/tokens";
    let hundred = format!(
        "i=0; while [ $i -lt 100 ]; do {} run counter -- sh -c '{increment}' || exit; i=$((i + 1)); done",
        support::programs::program("lease").display()
    );
    let mut workers: Vec<Process> = (0..8)
        .map(|worker| {
            let daemon = &benches[worker % 2].daemon;
            let launch = Launch::program("/bin/sh").args(["-c", &hundred]).env("F", folder);
            launch.env("LEASE_SOCKET", daemon.socket()).start()
        })
        .collect();
    for worker in &mut workers {
        assert_eq!(worker.exit(Duration::from_secs(240)).await.code, Some(0), "{}", worker.stderr());
    }
    assert_eq!(benches[0].read("counter"), "800\n");
    let tokens: Vec<u64> = benches[0].read("tokens").lines().map(|token| token.parse().unwrap()).collect();
    assert_eq!(tokens.len(), 800);
    assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
}

/// Done when 8.
#[tokio::test(flavor = "multi_thread")]
async fn all_servers_stopped_and_back() {
    let cluster = Cluster::three().await;
    let bench = Bench::on(["--nats", &cluster.urls()]).await;
    let stubborn = "trap : TERM; echo $$ $LEASE_TOKEN > $F/up; while :; do sleep 0.05; done";
    let mut run = bench.script(["--ttl", "8", "--kill-after", "2"], "a", stubborn).start();
    let (pid, token): (u32, u64) = eventually("the command", LIMIT, async || {
        let up = bench.read("up");
        let (pid, token) = up.trim().split_once(' ')?;
        Some((pid.parse().ok()?, token.parse().ok()?))
    })
    .await;

    let stopping = Instant::now();
    cluster.stop_all().await;
    let stopped = Instant::now();
    gone(pid, LIMIT).await;
    // The last renewal was sent before the last server had gone; its entry lasts at least the ttl and 2 s of slack.
    assert!(
        stopped.elapsed() < Duration::from_secs(8),
        "{:?} of {:?}",
        stopped.elapsed(),
        stopping.elapsed()
    );
    assert_eq!(run.exit(LIMIT).await.code, Some(79), "{}", run.stderr());
    let line =
        run.stderr().lines().find(|line| line.contains("SIGKILL")).map(str::to_owned).unwrap_or_default();
    let left: f64 = line.rsplit(' ').next().unwrap().trim_end_matches('s').parse().unwrap();
    assert!(left > 0.0, "{line}");

    cluster.start_all().await;
    let next = bench.run(["-w", "60", "a", "--", "sh", "-c", "echo $LEASE_TOKEN"]).output(LIMIT * 4).await;
    assert_eq!(next.exit.code, Some(0), "{}", next.stderr);
    assert!(next.stdout.trim().parse::<u64>().unwrap() > token, "{next:?}");
}

/// A leader that dies does not disturb a command.
#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_not_noticed() {
    let cluster = Cluster::three().await;
    let bench = Bench::on(["--nats", &cluster.urls()]).await;
    let script = "touch $F/up; while [ ! -e $F/go ]; do sleep 0.02; done; exit 6";
    let mut run = bench.script([], "a", script).start();
    eventually("the command", LIMIT, async || bench.file("up").exists().then_some(())).await;
    let leader = cluster.stream_leader("KV_leases").await;
    cluster.kill9(leader);
    // Longer than the ttl: without a renewal it would be over.
    tokio::time::sleep(Duration::from_secs(22)).await;
    assert!(run.running(), "{}", run.stderr());
    std::fs::write(bench.file("go"), "").unwrap();
    assert_eq!((run.exit(LIMIT).await.code, run.stderr().as_str()), (Some(6), ""));
}
