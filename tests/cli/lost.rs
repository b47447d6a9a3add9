//! The lease is lost while the command runs: it has stopped before anybody else can hold the lock.

use std::time::{Duration, Instant};

use support::{Cluster, Process, eventually};

use crate::kit::{Bench, LIMIT, alive};

/// Notes SIGTERM and goes on; so does its child. Their ids are in `$F/pids`.
const STUBBORN: &str = "trap 'echo term >> $F/term' TERM
    sh -c 'trap \"\" TERM; echo $$ $PPID > $F/pids; while :; do sleep 0.05; done' &
    while :; do sleep 0.05; done";

struct Stubborn {
    run: Process,
    pids: Vec<u32>,
}

async fn stubborn(bench: &Bench, options: &[&str]) -> Stubborn {
    let run = bench.script(options.iter().copied(), "a", STUBBORN).start();
    let pids = eventually("both processes", LIMIT, async || {
        let pids = bench.read("pids");
        pids.ends_with('\n').then(|| pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect())
    })
    .await;
    Stubborn { run, pids }
}

impl Stubborn {
    async fn all_dead_and_79(&mut self, limit: Duration) {
        let exit = self.run.exit(limit).await;
        assert!(self.pids.iter().all(|pid| !alive(*pid)), "79 was said before all were dead");
        assert_eq!(exit.code, Some(79), "{}", self.run.stderr());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_daemon_ends_the_command_before_the_lease() {
    let cluster = Cluster::single().await;
    let mut bench = Bench::on(["--nats", &cluster.url()]).await;
    let mut command = stubborn(&bench, &["--ttl", "8", "--kill-after", "2"]).await;
    let killed = Instant::now();
    bench.daemon.kill9();
    command.run.line("no renewals any more", LIMIT).await;
    assert_eq!(bench.read("term"), "");
    bench.wrote("term", "term").await;
    // The last renewal was sent at most a fifth of the ttl before, so this is how early and how late TERM may come.
    let termed = killed.elapsed();
    assert!(termed > Duration::from_millis(8_000 * 4 / 5 - 80 - 2_000 - 500), "{termed:?}");
    command.all_dead_and_79(LIMIT).await;
    let dead = killed.elapsed();
    assert!(dead < Duration::from_secs(8), "{dead:?}");
    assert!(dead - termed > Duration::from_millis(1_500), "{termed:?} {dead:?}");
    // The store still has the entry: nobody else could have been granted it.
    let shown =
        support::Launch::lease().args(["show", "a", "--json", "--nats", &cluster.url()]).output(LIMIT).await;
    assert!(shown.stdout.contains("\"held\": true"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_lost_kill_sends_no_term() {
    let cluster = Cluster::single().await;
    let mut bench = Bench::on(["--nats", &cluster.url()]).await;
    let mut command = stubborn(&bench, &["--ttl", "3", "--on-lost", "kill"]).await;
    let killed = Instant::now();
    bench.daemon.kill9();
    command.all_dead_and_79(LIMIT).await;
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
    assert_eq!(bench.read("term"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_lost_ignore_only_tells() {
    let cluster = Cluster::single().await;
    let mut bench = Bench::on(["--nats", &cluster.url()]).await;
    let script = "touch $F/up; while [ ! -e $F/go ]; do sleep 0.02; done; exit 6";
    let mut run = bench.script(["--ttl", "2", "--on-lost", "ignore"], "a", script).start();
    eventually("the command", LIMIT, async || bench.file("up").exists().then_some(())).await;
    bench.daemon.kill9();
    run.line("goes on without a", LIMIT).await;
    std::fs::write(bench.file("go"), "").unwrap();
    assert_eq!(run.exit(LIMIT).await.code, Some(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ends_in_time_is_not_disturbed() {
    let mut bench = Bench::new().await;
    let script = "touch $F/up; while [ ! -e $F/go ]; do sleep 0.02; done; exit 6";
    let mut run = bench.script(["--ttl", "20"], "a", script).start();
    eventually("the command", LIMIT, async || bench.file("up").exists().then_some(())).await;
    bench.daemon.kill9();
    run.line("no renewals any more", LIMIT).await;
    std::fs::write(bench.file("go"), "").unwrap();
    assert_eq!(run.exit(LIMIT).await.code, Some(6), "{}", run.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_loss_is_told_at_once() {
    let cluster = Cluster::single().await;
    let bench = Bench::on(["--nats", &cluster.url()]).await;
    let space = lease::Space::connect(&cluster.url(), lease::SpaceOptions::default()).await.unwrap();
    for now in [false, true] {
        let _ = std::fs::remove_file(bench.file("term"));
        let _ = std::fs::remove_file(bench.file("pids"));
        let mut command = stubborn(&bench, &["--ttl", "20", "--kill-after", "1"]).await;
        let token = lease::Token::new(bench.token("a").await);
        let broken = Instant::now();
        space.lock("a").break_by_force(token, "for a test", now).await.unwrap();
        bench.wrote("term", "term").await;
        command.all_dead_and_79(LIMIT).await;
        let stderr = command.run.stderr();
        assert!(stderr.contains("the lease of a is lost"), "{stderr}");
        // With a note it is a matter of milliseconds, without one the next renewal, a fifth of the ttl later, finds out.
        assert!(
            broken.elapsed() < Duration::from_secs(if now { 8 } else { 4 }),
            "{now}: {:?}",
            broken.elapsed()
        );
        let next = bench.run(["-w", "5", "a", "--", "true"]).output(LIMIT).await;
        assert_eq!(next.exit.code, Some(0), "{}", next.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_stopped_lets_the_command_end_first() {
    let cluster = Cluster::single().await;
    // Stopped, it waits for its clients: longer than the command takes to end, and not as long.
    for (drain, ttl, kill_after) in [("8s", "20", "2"), ("500ms", "6", "2.5")] {
        let mut bench = Bench::on(["--nats", &cluster.url(), "--drain-within", drain]).await;
        let other = Bench::on(["--nats", &cluster.url()]).await;
        let mut command = stubborn(&bench, &["--ttl", ttl, "--kill-after", kill_after]).await;
        let mut waiter = other.script(["-w", "20"], "a", "date").start();
        other.waiting("a", 1).await;
        let stopped = Instant::now();
        bench.daemon.process().sigterm();
        command.run.line("the lease of a is lost", LIMIT).await;
        let next = async {
            while waiter.running() && waiter.stdout().is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            command.pids.iter().any(|pid| alive(*pid))
        };
        assert!(!next.await, "the next one held while the command still ran");
        let handed = stopped.elapsed();
        command.all_dead_and_79(LIMIT).await;
        assert_eq!(waiter.exit(LIMIT).await.code, Some(0), "{}", waiter.stderr());
        let exit = bench.daemon.process().exit(Duration::from_secs(10)).await;
        assert_eq!(exit.code, Some(0));
        eprintln!("{drain}: handed over after {handed:?}");
        // Given back by its user in the one case, by its TTL in the other.
        assert_eq!(handed < Duration::from_secs(4), drain == "8s", "{drain}: {handed:?}");
    }
}
