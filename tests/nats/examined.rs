//! Examining deployments: what is said of good ones, and of ones with something wrong.

use std::sync::Arc;
use std::time::Duration;

use lease::store::NatsOptions;
use lease::{DEFAULT_TTL, Error, Finding, Severity, Space, SpaceOptions, examine};
use serde_json::json;
use support::{Cluster, Options};

use crate::clocks::Off;
use crate::{exists, fit, info, make};

async fn look(url: &str) -> Vec<Finding> {
    examine(url, SpaceOptions::default(), DEFAULT_TTL).await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

async fn opened(url: &str) -> Space {
    Space::connect(url, SpaceOptions::default()).await.expect("opened")
}

#[track_caller]
fn of<'a>(findings: &'a [Finding], code: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.code == code).unwrap_or_else(|| panic!("no {code}: {findings:?}"))
}

/// What is said once every replica has caught up: a new bucket's take a moment.
async fn settled(space: &Space) -> Vec<Finding> {
    support::eventually("all replicas are current", crate::LIMIT, async || {
        let findings = space.examine(DEFAULT_TTL).await.expect("examined");
        (of(&findings, "replicas").severity == Severity::Ok).then_some(findings)
    })
    .await
}

/// What is graver than a note.
fn wrong(findings: &[Finding]) -> Vec<(&'static str, Severity)> {
    let graver = findings.iter().filter(|finding| finding.severity > Severity::Note);
    graver.map(|finding| (finding.code, finding.severity)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server() {
    let cluster = Cluster::single().await;
    // What is not there is not made.
    assert_eq!(wrong(&look(&cluster.url()).await), [("bucket", Severity::Warning)]);
    assert!(!exists(&cluster, "KV_leases").await && !exists(&cluster, "KV_leases_history").await);
    let space = opened(&cluster.url()).await;
    for findings in [look(&cluster.url()).await, space.examine(DEFAULT_TTL).await.expect("examined")] {
        assert_eq!(wrong(&findings), [("replicas", Severity::Warning)], "{findings:?}");
        assert!(of(&findings, "replicas").found.starts_with("1 on n0"), "{findings:?}");
        assert!(of(&findings, "release").found.starts_with("n0 2."), "{findings:?}");
        assert!(of(&findings, "latency").found.starts_with("7 writes took"), "{findings:?}");
        assert!(of(&findings, "server-clocks").found.starts_with("one server, n0"), "{findings:?}");
    }
    let short = space.examine(Duration::from_secs(5)).await.expect("examined");
    assert!(of(&short, "ttl").found.contains("a ttl of 5s outlives 2s"), "{short:?}");
    let long = space.examine(Duration::from_secs(3600)).await.expect("examined");
    assert!(of(&long, "ttl").found.contains("a ttl of 1h outlives 47m 22s 400ms"), "{long:?}");
    // It leaves nothing but what expires.
    assert!(space.list(">").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers() {
    let cluster = Cluster::three().await;
    let space = opened(&cluster.url()).await;
    let findings = settled(&space).await;
    assert_eq!(wrong(&findings), [("placement", Severity::Warning)], "they share a host: {findings:?}");
    assert!(of(&findings, "replicas").found.starts_with("3 on n"), "{findings:?}");
    assert_eq!(of(&findings, "release").found.matches("n0 2.").count(), 1, "{findings:?}");
    assert!(of(&findings, "server-clocks").found.starts_with("3 servers within"), "{findings:?}");
    let leader = cluster.stream_leader("KV_leases").await;
    cluster.kill9((leader + 1) % 3);
    let gone = format!("n{}", (leader + 1) % 3);
    let found = support::eventually("the lost replica is seen", crate::LIMIT, async || {
        let findings = space.examine(DEFAULT_TTL).await.ok()?;
        let found = findings.into_iter().find(|finding| finding.code == "replicas")?;
        (found.severity == Severity::Warning).then_some(found)
    })
    .await;
    assert!(found.found.contains(&gone) && found.advice.is_some(), "{found:?}");
}

/// Each replica at an address of its own, as on machines of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_apart() {
    let cluster = Cluster::start(3, Options { is_spread: true, ..Options::default() }).await;
    let space = opened(&cluster.urls()).await;
    let findings = settled(&space).await;
    assert_eq!(wrong(&findings), [], "{findings:?}");
    assert_eq!(of(&findings, "placement").found, "3 replicas at 3 addresses");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_with_something_wrong() {
    let cluster = Cluster::single().await;
    let mut config = fit("leases", 1_700_000_000_000_000);
    config["max_age"] = json!(3_600_000_000_000_u64);
    config["allow_atomic"] = json!(false);
    let made = make(&cluster, &config).await;
    assert!(made["error"].is_null(), "{made}");
    let refused = Space::connect(&cluster.url(), SpaceOptions::default()).await.expect_err("not fit");
    assert!(matches!(refused, Error::UnsafeBucket { .. }), "{refused}");
    let findings = look(&cluster.url()).await;
    let settings: Vec<_> = findings.iter().filter(|finding| finding.code == "settings").collect();
    assert!(settings.iter().all(|finding| finding.severity == Severity::Critical), "{settings:?}");
    let said: Vec<&str> = settings.iter().map(|finding| finding.found.as_str()).collect();
    assert_eq!(
        said,
        ["leases: allow_atomic is unset, needed is true", "leases: max_age is 3600000000000, needed is 0"]
    );
    assert!(
        settings[0].advice.as_ref().is_some_and(|advice| advice.contains("nats stream edit")),
        "{settings:?}"
    );
    assert_eq!(of(&findings, "history").severity, Severity::Warning);
    // Looking has changed nothing.
    assert_eq!(info(&cluster, "KV_leases").await["config"]["max_age"], 3_600_000_000_000_u64);
    assert!(!exists(&cluster, "KV_leases_history").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_too_old() {
    let release = support::Release::Exactly(support::binary::TOO_OLD);
    let cluster = Cluster::start(1, Options { release, ..Options::default() }).await;
    assert_eq!(wrong(&look(&cluster.url()).await), [("release", Severity::Critical)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_nearly_full() {
    let extra = "accounts { A: { users: [{user: a, password: p}], jetstream: {max_file: 20KB} } }".to_owned();
    let cluster = Cluster::start(1, Options { extra, ..Options::default() }).await;
    let nats = NatsOptions { user: Some("a".into()), password: Some("p".into()), ..NatsOptions::default() };
    let space = Space::connect(&cluster.url(), SpaceOptions { nats, ..SpaceOptions::default() })
        .await
        .expect("opened");
    let before = space.examine(DEFAULT_TTL).await.expect("examined");
    assert_eq!(of(&before, "storage").severity, Severity::Ok, "{before:?}");
    let lease = space.lock("a").acquire().await.expect("granted");
    lease.put("large", vec![b'x'; 17_000]).await.expect("written");
    let after = space.examine(DEFAULT_TTL).await.expect("examined");
    assert!(of(&after, "storage").severity >= Severity::Warning, "{after:?}");
    assert!(of(&after, "storage").found.contains("of the account's 20 KB used"), "{after:?}");
}

/// A host whose clock is off: leases hold all the same, and it is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off() {
    let cluster = Cluster::single().await;
    drop(opened(&cluster.url()).await);
    for (seconds, severity, way) in [
        (0, Severity::Ok, "this host's"),
        (-5, Severity::Note, "ahead of this host's"),
        (5, Severity::Note, "behind this host's"),
        (3_600, Severity::Warning, "behind this host's"),
    ] {
        let options = SpaceOptions { ambient: Arc::new(Off(seconds)), ..SpaceOptions::default() };
        let findings = examine(&cluster.url(), options, DEFAULT_TTL).await.expect("examined");
        let clock = of(&findings, "clock");
        assert_eq!(clock.severity, severity, "{seconds}: {clock:?}");
        assert!(clock.found.contains(way), "{seconds}: {clock:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_and_nobody_let_in_are_errors() {
    let nowhere = examine("nats://127.0.0.1:9", SpaceOptions::default(), DEFAULT_TTL).await;
    assert!(matches!(nowhere, Err(Error::Unreachable(_))), "{nowhere:?}");
    let cluster = crate::credentials::guarded("authorization { user: a, password: b }").await;
    let locked = examine(&cluster.url(), SpaceOptions::default(), DEFAULT_TTL).await;
    assert!(matches!(locked, Err(Error::Denied(_))), "{locked:?}");
}
