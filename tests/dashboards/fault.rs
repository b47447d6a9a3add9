//! A real Prometheus at two daemons, while one is killed, a server too, and the other cut off; and what pages and alerts
//! make of it.
//!
//! `LEASE_PICTURES=1` takes it slower, and draws the pages into `dashboards/pictures`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use support::prometheus::now;
use support::proxy::Way;
use support::{Cluster, Daemon, Options, Prometheus, Proxy, eventually};

use crate::pace::Pace;
use crate::{board, load, pictures};

/// What this fault is for.
const EXPECTED: [&str; 7] = [
    "LeaseDaemonDown",
    "LeaseLeasesLost",
    "LeaseMarginLow",
    "LeaseNoLeader",
    "LeaseRenewalsFailing",
    "LeaseStoreUnreachable",
    "LeaseUnknownOutcomesHigh",
];
const FIRING: &str = r#"ALERTS{alertname=~"Lease.+", alertstate="firing"}"#;
const SOON: Duration = Duration::from_secs(60);

/// What happened, and when: unix time in seconds.
pub struct Story {
    pub span: (f64, f64),
    pub faults: Vec<Fault>,
}

/// Something that was broken, until it was mended.
pub struct Fault {
    pub what: &'static str,
    pub from: f64,
    pub to: f64,
}

/// A daemon with its metrics on a port, and that address.
async fn daemon(url: &str) -> (Daemon, String) {
    // A port of its own, so that it is the same after a restart.
    let port = support::port::Port::reserve();
    let address = format!("127.0.0.1:{}", port.number());
    let mut args = vec!["--nats", url, "--metrics", address.as_str(), "--metrics-lock", "nightly"];
    args.extend(["--metrics-election", "scheduler", "--metrics-election", "billing"]);
    let daemon = Daemon::start(args).await;
    // Kept until the test process ends: nobody else may sit there while the daemon is down.
    std::mem::forget(port);
    (daemon, address)
}

fn configuration(pace: Pace, targets: &[(&str, &str)]) -> String {
    let scrape = pace.scrape().as_millis();
    let mut text = format!(
        "global:\n  scrape_interval: {scrape}ms\n  scrape_timeout: {scrape}ms\n  evaluation_interval: {scrape}ms\n\
         rule_files: [recording.yml, alerts.yml]\nscrape_configs:\n  - job_name: lease\n    static_configs:\n"
    );
    for (name, address) in targets {
        text.push_str(&format!("      - targets: ['{address}']\n        labels: {{instance: '{name}'}}\n"));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_alerts_tell_of_a_fault_and_of_its_end() {
    let draws = std::env::var_os("LEASE_PICTURES").is_some();
    let pace = match draws {
        true => Pace { speed: 10, calm: Duration::from_secs(30) },
        false => Pace { speed: 20, calm: Duration::from_secs(7) },
    };
    // Servers do not tell clients of each other: what is cut off from one server would only go to the next.
    let options = Options { extra: "client_advertise: \"127.0.0.1:1\"".into(), ..Options::default() };
    let cluster = Cluster::start(3, options).await;
    let proxy = Proxy::start(&cluster.url_of(0)).await;
    let (mut first, first_address) = daemon(&cluster.urls()).await;
    let (second, second_address) = daemon(&proxy.url()).await;
    while cluster.stream_leader("KV_leases").await == 0 {
        cluster.step_down("KV_leases").await;
    }

    let rules =
        |name: &str| pace.rules(&fs::read_to_string(board::folder().join("rules").join(name)).unwrap());
    let (recording, alerts) = (rules("recording.yml"), rules("alerts.yml"));
    let targets = [("one:9187", first_address.as_str()), ("two:9187", second_address.as_str())];
    let files = [("recording.yml", recording.as_str()), ("alerts.yml", alerts.as_str())];
    let clients = load::start([first.socket(), second.socket()]);
    let mut story = Story { span: (now(), 0.0), faults: Vec::new() };
    let prometheus = Prometheus::start(&configuration(pace, &targets), &files).await;
    eventually("both daemons to be scraped", SOON, async || {
        (prometheus.now("sum(up) == 2").await.len() == 1).then_some(())
    })
    .await;
    tokio::time::sleep(pace.calm).await;
    let before = firing(&prometheus, (story.span.0, now()), pace).await;
    assert!(before.is_empty(), "before the fault: {before:?}");

    // A host dies, then a server of the cluster, then the other host is cut off.
    let killed = now();
    first.kill9();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let leader = cluster.stream_leader("KV_leases").await;
    let server_killed = now();
    cluster.kill9(leader);
    tokio::time::sleep(Duration::from_secs(12)).await;
    let cut = now();
    proxy.block(Way::Both);
    loop {
        let fired = firing(&prometheus, (killed, now()), pace).await;
        if EXPECTED.iter().all(|name| fired.contains_key(*name)) {
            break;
        }
        assert!(now() < cut + SOON.as_secs_f64(), "not all of {EXPECTED:?} fired, but {fired:?}");
        tokio::time::sleep(pace.scrape()).await;
    }

    proxy.unblock();
    story.faults.push(Fault { what: "two is cut off", from: cut, to: now() });
    cluster.launch(leader);
    story.faults.push(Fault { what: "a server is killed", from: server_killed, to: now() });
    first.restart().await;
    story.faults.push(Fault { what: "one is killed", from: killed, to: now() });
    let mended = Instant::now();
    let limit = SOON + Duration::from_secs(900) / pace.speed;
    eventually("all alerts to be resolved", limit, async || {
        tokio::time::sleep(pace.scrape()).await;
        let all_up = prometheus.now("sum(up) == 2").await.len() == 1;
        (all_up && prometheus.now(FIRING).await.is_empty()).then_some(())
    })
    .await;
    println!("resolved {:.1?} after everything was mended", mended.elapsed());
    tokio::time::sleep(pace.calm.max(pace.scrape() * 20)).await;
    story.span.1 = now();
    assert!(prometheus.now(FIRING).await.is_empty(), "{:?}", prometheus.now(FIRING).await);
    drop(clients);

    let fired: BTreeMap<String, BTreeSet<String>> = firing(&prometheus, story.span, pace).await;
    println!("fired: {fired:#?}");
    let names: Vec<&str> = fired.keys().map(String::as_str).collect();
    assert_eq!(names, EXPECTED, "{}", prometheus.complaints());
    assert_eq!(fired["LeaseDaemonDown"], ["one:9187".to_owned()].into());
    assert_eq!(fired["LeaseStoreUnreachable"], ["two:9187".to_owned()].into());

    let mut empty = Vec::new();
    for board in board::all() {
        for panel in &board.panels {
            for query in &panel.queries {
                let range = story.span.1 - story.span.0;
                let expression = pace.fill(&query.expression, range);
                let step = pace.scrape().as_secs_f64();
                let series = match query.instant {
                    true => prometheus.at(&expression, story.span.1).await,
                    false => prometheus.over(&expression, story.span, step).await,
                };
                if series.is_empty() {
                    empty.push(format!("{}: {}: {expression}", board.name, panel.title()));
                }
            }
        }
    }
    assert!(empty.is_empty(), "without data: {empty:#?}");
    if draws {
        pictures::draw_all(&prometheus, &story, pace).await;
    }
}

/// Which alerts fired, and at whom.
async fn firing(prometheus: &Prometheus, span: (f64, f64), pace: Pace) -> BTreeMap<String, BTreeSet<String>> {
    let mut fired: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for series in prometheus.over(FIRING, span, pace.scrape().as_secs_f64()).await {
        let label = |name: &str| series.labels.get(name).cloned().unwrap_or_default();
        fired.entry(label("alertname")).or_default().insert(label("instance"));
    }
    fired
}
