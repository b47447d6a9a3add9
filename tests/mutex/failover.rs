//! Failovers pass unnoticed: a holder with the default TTL keeps its lease, and its command is not disturbed.
//!
//! `LEASE_FAILOVERS` sets how often each kind of failure comes (3 by default; the long form is 10).

use std::time::Duration;

use lease::Status;
use support::{Cluster, Launch};

const STREAM: &str = "KV_leases";
const LIMIT: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, Debug)]
enum Failure {
    KillLeader,
    PauseLeader,
    StepDown,
    PauseOwnServer,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_keeps_its_lease() {
    let rounds: usize = std::env::var("LEASE_FAILOVERS").map_or(3, |n| n.parse().expect("a number"));
    let cluster = Cluster::three().await;
    let space = super::space(&cluster.url()).await;
    let lease = space.lock("long").acquire().await.expect("granted");
    let token = lease.token();
    let mut command =
        Launch::lease().args(["run", "--nats", &cluster.url_of(1), "command", "--", "sleep", "3600"]).start();
    let running = support::eventually("the command's lock", LIMIT, || async {
        space.look("command").await.ok()?.holder.map(|by| by.token)
    })
    .await;
    let mut losses = 0;
    for round in 0..rounds {
        for failure in [Failure::KillLeader, Failure::PauseLeader, Failure::StepDown, Failure::PauseOwnServer]
        {
            let since = std::time::Instant::now();
            let holder = if round % 2 == 0 { std::process::id() } else { command.pid() };
            fail(&cluster, failure, holder).await;
            let mut renewals = lease.renewals();
            let kept = tokio::select! {
                loss = lease.lost() => panic!("lost in {failure:?}, round {round}: {loss}"),
                // One renewal may have been under way already; the second was begun after the failure.
                _ = async { renewals.changed().await.ok(); renewals.changed().await.ok() } => since.elapsed(),
            };
            println!("round {round}, {failure:?}: renewed again after {:.1} s", kept.as_secs_f64());
            cluster.ready().await;
            // The command's lease as well: an outage of 14 s is to be borne, two that follow each other are not.
            let before = newest(&cluster).await;
            support::eventually("the command's renewal", LIMIT, async || {
                (newest(&cluster).await > before).then_some(())
            })
            .await;
            assert!(command.running(), "the command was disturbed in {failure:?}, round {round}");
            losses += usize::from(lease.status() != Status::Held);
        }
    }
    assert_eq!(losses, 0);
    let seen = support::eventually("the record", LIMIT, || async { space.look("long").await.ok() }).await;
    assert_eq!(seen.holder.expect("held").token, token, "the same grant throughout");
    let seen = support::eventually("the record", LIMIT, || async { space.look("command").await.ok() }).await;
    assert_eq!(seen.holder.expect("held").token, running, "the command's grant too");
    assert!(!command.stderr().contains("lost"), "{}", command.stderr());
}

/// The revision of the command's record; 0 without an answer.
async fn newest(cluster: &Cluster) -> u64 {
    let wanted = r#"{"last_by_subj":"$KV.leases.lock.command"}"#;
    let answer = cluster.request(0, "$JS.API.STREAM.MSG.GET.KV_leases", wanted).await;
    answer["message"]["seq"].as_u64().unwrap_or_default()
}

/// Brings a failure about and, once there is a new leader, mends it.
///
/// `holder` is the process whose own server is meant by [`Failure::PauseOwnServer`].
async fn fail(cluster: &Cluster, failure: Failure, holder: u32) {
    let leader = cluster.stream_leader(STREAM).await;
    match failure {
        Failure::KillLeader => {
            cluster.kill9(leader);
            wait_for_another(cluster, leader).await;
            cluster.restart(leader).await;
        }
        Failure::PauseLeader => {
            cluster.pause(leader);
            wait_for_another(cluster, leader).await;
            cluster.resume(leader);
        }
        Failure::StepDown => {
            cluster.step_down(STREAM).await;
        }
        Failure::PauseOwnServer => {
            let name = format!("lease leases pid {holder}");
            let own = cluster.server_of_client(&name).await.expect("the holder is connected");
            cluster.pause(own);
            // Longer than two renewals: a holder that stayed with it would be in trouble.
            tokio::time::sleep(Duration::from_secs(8)).await;
            cluster.resume(own);
        }
    }
}

async fn wait_for_another(cluster: &Cluster, before: usize) {
    support::eventually("another leader", LIMIT, || async {
        (cluster.stream_leader(STREAM).await != before).then_some(())
    })
    .await;
}
