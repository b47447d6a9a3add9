//! What happens seldom: a lock is broken, the servers fail, the daemon hangs, dies or stops.

use std::time::{Duration, Instant};

use support::{Cluster, Daemon, eventually};

use crate::SOON;
use crate::everyday::in_line;
use crate::kit::{each, finish, token};

#[tokio::test]
async fn a_broken_lock_stops_the_work() {
    let daemon = Daemon::start([""; 0]).await;
    each(async |client| {
        let name = client.lock();
        let (mut broken, token) = client.working(&daemon, &[&name, "20", "-"]).await;
        daemon.api().delete(&format!("/v1/locks/{name}?token={token}&reason=stuck")).await.expect(200);
        client.lost(&broken, &["broken"]).await;
        assert_eq!(broken.exit(SOON).await.code, Some(79), "{client:?}");
        // Its connection's end gives the lock back.
        eventually(format!("{client:?} has let go"), SOON, async || {
            let lock = daemon.api().get(&format!("/v1/locks/{name}")).await.json();
            (lock["held"] == false).then_some(())
        })
        .await;
    })
    .await;
}

/// Servers that stand still for longer than the lock lasts: the daemon tells, and the clients get on afterwards.
#[tokio::test]
async fn an_outage_of_the_servers_stops_the_work_and_it_goes_on_afterwards() {
    let cluster = Cluster::single().await;
    let daemon = Daemon::start(["--nats", &cluster.url()]).await;
    let all = std::sync::Mutex::new(Vec::new());
    each(async |client| {
        let working = client.working(&daemon, &[&client.lock(), "3", "-", "again"]).await;
        all.lock().unwrap().push((client, working));
    })
    .await;
    let all = all.into_inner().unwrap();
    cluster.pause(0);
    for (client, (process, _)) in &all {
        client.lost(process, &["expired", "no news"]).await;
    }
    cluster.resume(0);
    for (client, (process, before)) in all {
        assert!(token(&process, 1).await > before, "{client:?}");
        assert_eq!(finish(process).await, Some(0), "{client:?}");
    }
}

/// A daemon that hangs tells nothing: each client stops by its own clock, and before anybody else works.
#[tokio::test]
async fn a_daemon_that_hangs_is_not_waited_for() {
    let cluster = Cluster::single().await;
    let mut hanging = Daemon::start(["--nats", &cluster.url()]).await;
    let other = Daemon::start(["--nats", &cluster.url()]).await;
    let all = std::sync::Mutex::new(Vec::new());
    each(async |client| {
        let (process, before) = client.working(&hanging, &[&client.lock(), "3", "-"]).await;
        let next = other.api().open("POST", &format!("/v1/locks/{}/hold", client.lock()), "{}").await;
        all.lock().unwrap().push((client, process, before, next));
    })
    .await;
    hanging.process().pause();
    let began = Instant::now();
    for (client, process, before, mut next) in all.into_inner().unwrap() {
        let held = next.event("held", SOON).await;
        assert!(process.stdout().contains("stopped"), "{client:?} works while another holds its lock");
        client.lost(&process, &["expired", "no news"]).await;
        assert!(held["token"].as_u64() > Some(before), "{client:?}");
    }
    assert!(began.elapsed() > Duration::from_secs(3), "granted early: {:?}", began.elapsed());
    hanging.process().resume();
}

/// A daemon that is killed and started again: whoever holds is told at once, whoever waits waits on.
#[tokio::test]
async fn a_restart_of_the_daemon_needs_no_help() {
    let cluster = Cluster::single().await;
    let mut daemon = Daemon::start(["--nats", &cluster.url()]).await;
    let other = Daemon::start(["--nats", &cluster.url()]).await;
    let all = std::sync::Mutex::new(Vec::new());
    each(async |client| {
        let holding = client.working(&daemon, &[&client.lock(), "2", "-", "again"]).await;
        let name = format!("{}.waiting", client.lock());
        let mut rival = other.api().open("POST", &format!("/v1/locks/{name}/hold"), "{}").await;
        let before = rival.event("held", SOON).await["token"].as_u64();
        let waiting = client.start(&daemon, &[&name, "2", "60"]);
        in_line(&other, &name).await;
        all.lock().unwrap().push((client, holding, name, rival, before, waiting));
    })
    .await;
    daemon.restart().await;
    for (client, (holding, lower), name, rival, before, waiting) in all.into_inner().unwrap() {
        client.lost(&holding, &["disconnected", "closed"]).await;
        assert!(token(&holding, 1).await > lower, "{client:?}");
        assert_eq!(finish(holding).await, Some(0), "{client:?}");
        in_line(&other, &name).await;
        rival.close();
        assert!(Some(token(&waiting, 0).await) > before, "{client:?}");
        assert_eq!(finish(waiting).await, Some(0), "{client:?}");
    }
}

/// A daemon that is stopped in order: holders are told why, let go, and the daemon waits for no TTL.
#[tokio::test]
async fn a_daemon_that_stops_says_so_and_clients_let_go() {
    let mut daemon = Daemon::start([""; 0]).await;
    let all = std::sync::Mutex::new(Vec::new());
    each(async |client| {
        let (process, _) = client.working(&daemon, &[&client.lock(), "60", "-"]).await;
        all.lock().unwrap().push((client, process));
    })
    .await;
    daemon.process().sigterm();
    for (client, mut process) in all.into_inner().unwrap() {
        client.lost(&process, &["draining"]).await;
        assert_eq!(process.exit(SOON).await.code, Some(79), "{client:?}");
    }
    assert_eq!(daemon.process().exit(SOON).await.code, Some(0));
}
