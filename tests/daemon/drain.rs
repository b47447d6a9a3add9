//! SIGTERM: nothing new is granted, clients are told, what they let go of is released, and the daemon exits.

use std::time::{Duration, Instant};

use support::{Cluster, Daemon, Exit};

use crate::SOON;
use crate::problem::expect;
use crate::turns::{alone, together};

/// What takes milliseconds is measured with nothing beside it: `tests/run` runs these by themselves.
mod measured {
    use super::*;

    #[tokio::test]
    async fn a_client_that_lets_go_makes_way_at_once() {
        let _cores = alone().await;
        let cluster = Cluster::single().await;
        let mut stopping = Daemon::start(["--nats", &cluster.url()]).await;
        let other = Daemon::start(["--nats", &cluster.url()]).await;
        let mut holder = stopping.api().open("POST", "/v1/locks/a/hold", "{}").await;
        let token = holder.event("held", SOON).await["token"].as_u64().unwrap();
        let mut waiter = stopping.api().open("POST", "/v1/locks/a/hold", "{}").await;
        waiter.event("waiting", SOON).await;
        let acquire = stopping.api();
        let acquiring = tokio::spawn(async move { acquire.post("/v1/locks/a/acquire", "{}").await });
        let mut next = other.api().open("POST", "/v1/locks/a/hold", "{}").await;
        next.event("waiting", SOON).await;
        tokio::time::sleep(Duration::from_millis(100)).await;

        let began = Instant::now();
        stopping.process().sigterm();
        assert_eq!(holder.event("lost", SOON).await["reason"], "draining");
        assert_eq!(waiter.event("lost", SOON).await["reason"], "draining");
        assert_eq!(waiter.next(SOON).await, None);
        expect(&acquiring.await.unwrap(), 503, "draining");
        // While a client is still at work, the lock stays its own, and the daemon says what it is doing.
        expect(&stopping.api().get("/readyz").await, 503, "draining");
        expect(&stopping.api().post("/v1/locks/b/hold", "{}").await, 503, "draining");
        stopping.api().get("/healthz").await.expect(200);
        assert_eq!(other.api().get("/v1/locks/a").await.json()["token"], token);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());

        let let_go = Instant::now();
        holder.close();
        let held = next.event("held", SOON).await;
        assert!(let_go.elapsed() < Duration::from_secs(1), "{:?}", let_go.elapsed());
        assert!(held["token"].as_u64().unwrap() > token);
        assert_eq!(held["previous"]["why"], "client-gone");
        let exit = stopping.process().exit(SOON).await;
        assert_eq!(exit, Exit { code: Some(0), signal: None }, "{}", stopping.process().stderr());
        assert!(let_go.elapsed() < Duration::from_secs(2), "{:?}", let_go.elapsed());
        assert!(!stopping.socket().exists());
    }

    /// Five hundred clients that obey: all of it has changed hands long before a TTL has run out.
    #[tokio::test]
    async fn five_hundred_locks_change_hands_within_five_seconds() {
        const LOCKS: usize = 450;
        const OFFICES: usize = 50;
        let _cores = alone().await;
        support::descriptors::raise_limit(2_048);
        let cluster = Cluster::single().await;
        let mut stopping = Daemon::start(["--nats", &cluster.url()]).await;
        let other = Daemon::start(["--nats", &cluster.url()]).await;
        let target = |n: usize| match n {
            _ if n < LOCKS => (format!("/v1/locks/l{n}/hold"), "held", "waiting"),
            _ => (format!("/v1/elections/e{n}/campaign"), "elected", "candidate"),
        };
        let mut clients = Vec::new();
        for n in 0..LOCKS + OFFICES {
            let (target, granted, waiting) = target(n);
            let mut holder = stopping.api().open("POST", &target, r#"{"ttl":"30s"}"#).await;
            let held = holder.event(granted, SOON).await;
            // Of every other lock nobody waits: it is to be free.
            let waiter = match n % 2 {
                0 => {
                    let mut waiter = other.api().open("POST", &target, r#"{"ttl":"30s"}"#).await;
                    waiter.event(waiting, SOON).await;
                    Some(waiter)
                }
                _ => None,
            };
            clients.push((n, holder, held["token"].as_u64().unwrap(), waiter));
        }
        let began = Instant::now();
        stopping.process().sigterm();
        let all: Vec<_> = clients
            .into_iter()
            .map(|(n, mut holder, token, waiter)| {
                tokio::spawn(async move {
                    let (_, granted, _) = target(n);
                    assert_eq!(holder.event("lost", SOON).await["reason"], "draining");
                    // It ends what it was at.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    holder.close();
                    let mut next = waiter?;
                    let held = next.event(granted, SOON).await;
                    assert!(held["token"].as_u64().unwrap() > token, "{held}");
                    assert_eq!(held["previous"]["why"], "client-gone", "{held}");
                    Some((began.elapsed(), next))
                })
            })
            .collect();
        let mut slowest = Duration::ZERO;
        let mut next = Vec::new();
        for one in all {
            if let Some((took, holder)) = one.await.unwrap() {
                slowest = slowest.max(took);
                next.push(holder);
            }
        }
        let exit = stopping.process().exit(SOON).await;
        let stopped = began.elapsed();
        eprintln!("{} handed over within {slowest:?}; the daemon had stopped after {stopped:?}", next.len());
        assert_eq!(exit.code, Some(0), "{}", stopping.process().stderr());
        assert!(
            slowest < Duration::from_secs(5) && stopped < Duration::from_secs(5),
            "{slowest:?} {stopped:?}"
        );
        let held = other.api().get("/v1/locks").await.json()["locks"].as_array().unwrap().len();
        assert_eq!((held, next.len()), (LOCKS / 2, (LOCKS + OFFICES) / 2), "all others are free");
    }
}

#[tokio::test]
async fn a_client_that_goes_on_keeps_its_lock_until_that_has_run_out() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let mut stopping = Daemon::start(["--nats", &cluster.url(), "--drain-within", "1s"]).await;
    let other = Daemon::start(["--nats", &cluster.url()]).await;
    let mut holders = Vec::new();
    let mut waiters = Vec::new();
    for n in 0..20 {
        let (target, ttl) = (format!("/v1/locks/stubborn.{n}/hold"), r#"{"ttl":"4s"}"#);
        let mut holder = stopping.api().open("POST", &target, ttl).await;
        let held = holder.event("held", SOON).await;
        let mut waiter = other.api().open("POST", &target, "{}").await;
        waiter.event("waiting", SOON).await;
        holders.push((holder, held));
        waiters.push(waiter);
    }
    let kept = stopping.api().post("/v1/locks/b/acquire", r#"{"ttl":"20s"}"#).await.expect(200).json();
    let began = Instant::now();
    stopping.process().sigint();
    // They ignore the news, and work on for as long as the last renewal allows. Their connections stay open.
    let mut until = Vec::new();
    for (holder, held) in &mut holders {
        let mut deadline = held["deadline_boottime_ns"].as_u64().unwrap();
        loop {
            let event = holder.next(SOON).await.unwrap();
            match event["event"].as_str() {
                Some("alive") => deadline = event["deadline_boottime_ns"].as_u64().unwrap(),
                _ => break assert_eq!(event["reason"], "draining", "{event}"),
            }
        }
        until.push((deadline, held["token"].as_u64().unwrap()));
    }
    let exit = stopping.process().exit(SOON).await;
    assert_eq!(exit.code, Some(0), "{}", stopping.process().stderr());
    let took = began.elapsed();
    for (waiter, (deadline, token)) in waiters.iter_mut().zip(until) {
        let held = waiter.event("held", SOON).await;
        // What it may believe ends one ttl after it asked, so it asked when this says.
        let since = held["deadline_boottime_ns"].as_u64().unwrap() - 20_000_000_000;
        assert!(since > deadline, "held twice: {held}, and before until {deadline}");
        assert!(held["token"].as_u64().unwrap() > token, "{held}");
    }
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(4), "{took:?}");
    // The caller of acquire could not be told, so its lease was not released under it.
    assert_eq!(other.api().get("/v1/locks/b").await.json()["token"], kept["token"]);
}

#[tokio::test]
async fn it_exits_in_time_without_its_store_and_at_once_if_told_twice() {
    let _cores = together().await;
    for twice in [false, true] {
        let cluster = Cluster::single().await;
        let mut daemon = Daemon::start(["--nats", &cluster.url()]).await;
        let mut holder = daemon.api().open("POST", "/v1/locks/a/hold", r#"{"ttl":"60s"}"#).await;
        holder.event("held", SOON).await;
        cluster.pause(0);
        let began = Instant::now();
        daemon.process().sigterm();
        holder.event("lost", SOON).await;
        if twice {
            daemon.process().sigterm();
        } else {
            holder.close();
        }
        let exit = daemon.process().exit(Duration::from_secs(11)).await;
        let took = began.elapsed();
        cluster.resume(0);
        assert!(took < Duration::from_secs(if twice { 1 } else { 10 }), "{took:?}");
        assert_eq!(exit.code, Some(if twice { 143 } else { 0 }), "{}", daemon.process().stderr());
    }
}
