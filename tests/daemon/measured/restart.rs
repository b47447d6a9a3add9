//! A daemon that is restarted, in order or by SIGKILL: no lock is stuck for longer than its TTL, and clients that come back
//! get on without help.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::{Api, Cluster, Daemon};

use crate::SOON;
use crate::turns::alone;

const TTL: Duration = Duration::from_secs(3);
/// Slack for the servers' clocks, the removal's delay, and one look.
const BEYOND: Duration = Duration::from_secs(3);
const LOCKS: usize = 4;

/// Three of them contend for each lock: each holds it for a moment, lets it go, and comes back, whatever happens.
struct Client {
    api: Api,
    lock: usize,
    /// How often each lock was granted, and its last token.
    grants: Arc<[AtomicU64; LOCKS]>,
    tokens: Arc<[AtomicU64; LOCKS]>,
    done: Arc<AtomicBool>,
}

impl Client {
    async fn run(self) -> usize {
        let mut held = 0;
        while !self.done.load(Ordering::Relaxed) {
            let target = format!("/v1/locks/l{}/hold", self.lock);
            if self.turn(&target).await.is_some() {
                held += 1;
            } else {
                // Refused, cut off, or nobody there: as the contract says, later.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        held
    }

    async fn turn(&self, target: &str) -> Option<()> {
        let mut hold = self.api.try_open("POST", target, r#"{"ttl":"3s"}"#).await.ok()?;
        loop {
            let event = hold.next(SOON).await?;
            match event["event"].as_str()? {
                "held" => {
                    let token = event["token"].as_u64()?;
                    let before = self.tokens[self.lock].fetch_max(token, Ordering::SeqCst);
                    assert!(token > before, "token {token} after {before}");
                    self.grants[self.lock].fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    return Some(());
                }
                "waiting" => {}
                _ => return None,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_come_back_get_on_without_help() {
    let _cores = alone().await;
    let cluster = Cluster::single().await;
    let mut daemon = Daemon::start(["--nats", &cluster.url()]).await;
    let (grants, tokens): (Arc<[AtomicU64; LOCKS]>, Arc<[AtomicU64; LOCKS]>) = Default::default();
    let done = Arc::new(AtomicBool::default());
    let clients: Vec<_> = (0..3 * LOCKS)
        .map(|n| {
            let (grants, tokens, done) = (Arc::clone(&grants), Arc::clone(&tokens), Arc::clone(&done));
            tokio::spawn(Client { api: daemon.api(), lock: n % LOCKS, grants, tokens, done }.run())
        })
        .collect();
    let seen = || grants.iter().map(|grants| grants.load(Ordering::SeqCst)).collect::<Vec<_>>();
    let all_again = async |before: Vec<u64>| {
        while seen().iter().zip(&before).any(|(now, before)| now < &(before + 2)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, all_again(seen())).await.expect("turns before the first restart");
    for killed in [false, true, true, false] {
        // Renewed by its client, who hears of nothing: left behind in either case.
        let orphan = daemon.api().post("/v1/locks/orphan/acquire", r#"{"ttl":"3s","wait":"20s"}"#).await;
        let orphan = orphan.expect(200).json();
        let began = Instant::now();
        if !killed {
            daemon.process().sigterm();
            daemon.process().exit(SOON).await;
        }
        daemon.restart().await;
        let up = began.elapsed();
        // What was left behind, and nobody waited for.
        let api = daemon.api();
        let left = tokio::spawn(async move {
            let next = api.post("/v1/locks/orphan/acquire", r#"{"ttl":"3s","wait":"20s"}"#).await;
            let (free, next) = (began.elapsed(), next.expect(200).json());
            // At once: it runs out before all the others have had their turn.
            let lease = format!("/v1/leases/{}", next["lease"].as_str().unwrap());
            api.delete(&lease).await.expect(200);
            (free, next)
        });
        tokio::time::timeout(Duration::from_secs(30), all_again(seen()))
            .await
            .expect("turns after a restart");
        let again = began.elapsed();
        eprintln!(
            "killed {killed}: the daemon was up after {up:?}, every lock had changed hands after {again:?}"
        );
        // Clients that let go leave nothing behind; a killed daemon's grants run out. In front of those who come back are
        // two places of the dead daemon.
        let limit = if killed { TTL + BEYOND } else { Duration::from_secs(3) };
        assert!(again < limit, "{killed}: {again:?}");
        let (free, next) = left.await.unwrap();
        assert!(free < TTL + BEYOND, "{free:?}");
        assert!(next["token"].as_u64() > orphan["token"].as_u64());
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 0, "a client never got its turn");
    }
}

/// `lease run` in a loop, as a service manager restarts it: the command is at work again within a TTL.
#[tokio::test]
async fn a_command_in_a_loop_is_at_work_again() {
    let _cores = alone().await;
    let cluster = Cluster::single().await;
    let mut daemon = Daemon::start(["--nats", &cluster.url()]).await;
    let script = "while :; do lease run --ttl 4 --kill-after 1 a -- sh -c 'echo at work; exec sleep 100'; sleep 0.1; done";
    let path = support::programs::program("lease");
    let path = format!("{}:{}", path.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let run = support::Launch::program("sh").args(["-c", script]);
    let run = run.env("PATH", path).env("LEASE_SOCKET", daemon.socket()).start();
    let at_work = async |times: usize| {
        support::eventually("at work", SOON, async || {
            (run.stdout().matches("at work").count() >= times).then_some(())
        })
        .await;
    };
    at_work(1).await;
    for (turn, killed) in [(2, false), (3, true)] {
        let began = Instant::now();
        if !killed {
            daemon.process().sigterm();
            daemon.process().exit(SOON).await;
        }
        daemon.restart().await;
        at_work(turn).await;
        eprintln!("killed {killed}: at work again after {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(if killed { 8 } else { 4 }), "{:?}", began.elapsed());
    }
}
