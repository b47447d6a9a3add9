//! How long nobody leads when the leader's process dies behind its sidecar.

use std::time::{Duration, Instant};

use support::{Cluster, Daemon};

use crate::client;
use crate::turns::alone;

const CANDIDATES: usize = 5;
const ROUNDS: usize = 20;
/// The contract's: holder's process died behind the sidecar.
const LIMIT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn another_candidate_leads_within_100_ms_of_the_leaders_death_20_of_20() {
    let _cores = alone().await;
    let cluster = Cluster::three().await;
    let mut daemons = Vec::new();
    for _ in 0..CANDIDATES {
        daemons.push(Daemon::start(["--nats", &cluster.url()]).await);
    }
    let campaign = |round: usize, which: usize| {
        let body = format!(r#"{{"owner":"c{which}-{round}"}}"#);
        let path = "/v1/elections/scheduler/campaign";
        client::request(daemons[which].socket(), "-", "POST", path, &body)
    };
    let mut clients: Vec<_> = (0..CANDIDATES).map(|which| campaign(0, which)).collect();
    let mut leader = elected(&clients, None).await;
    let mut gaps = Vec::new();
    for round in 1..=ROUNDS {
        for (which, client) in clients.iter().enumerate() {
            if which != leader {
                client.line(r#""event":"candidate""#, Duration::from_secs(10)).await;
            }
        }
        let died = Instant::now();
        clients[leader].kill9();
        let next = elected(&clients, Some(leader)).await;
        gaps.push(died.elapsed());
        clients[leader] = campaign(round, leader);
        leader = next;
    }
    gaps.sort();
    println!(
        "from kill -9 to the next leader's news, of {ROUNDS}: median {:?}, longest {:?}",
        gaps[ROUNDS / 2],
        gaps[ROUNDS - 1]
    );
    assert!(gaps[ROUNDS - 1] < LIMIT, "{gaps:?}");
}

/// Waits until one of the clients, other than `not`, has been told that it leads.
async fn elected(clients: &[support::Process], not: Option<usize>) -> usize {
    let told = clients.iter().enumerate().filter(|(which, _)| Some(*which) != not).map(|(which, client)| {
        Box::pin(async move {
            client.line(r#""event":"elected""#, Duration::from_secs(30)).await;
            which
        })
    });
    futures_util::future::select_all(told).await.0
}
