//! The permissions that are documented, on a server that enforces them: enough for every kind, and none too many.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use lease::store::NatsOptions;
use lease::{Attempt, Lease, MemberEvent, Severity, Space, SpaceOptions, Transition, WatchEvent, WatchFrom};
use support::{Cluster, Folder, Options, Proxy, eventually};
use tokio_stream::{Stream, StreamExt};

use crate::LIMIT;

/// Where they are documented: `who  publish|subscribe  SUBJECT`, one a line.
const GUIDE: &str = include_str!("../../lease-lib/src/docs/operating.md");

/// The documented subjects that these may publish or subscribe to.
fn documented(who: &[&str], what: &str) -> Vec<String> {
    let found: Vec<String> = GUIDE
        .lines()
        .filter_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [user, way, subject] if who.contains(&user) && way == what => Some(subject.to_owned()),
            _ => None,
        })
        .collect();
    assert!(!found.is_empty(), "{who:?} {what}");
    found
}

/// A server with a user who makes the bucket, one who uses it, and one who also examines it.
async fn limited(domain: Option<&str>) -> (Cluster, Folder) {
    let data = Folder::new("permissions");
    let user = |name: &str, who: &[&str]| {
        let list = |what| documented(who, what);
        format!(
            "{{user: {name}, password: p, permissions: {{publish: {:?}, subscribe: {:?}}}}}",
            list("publish"),
            list("subscribe")
        )
    };
    let users = [user("maker", &["use", "make"]), user("user", &["use"]), user("doctor", &["use", "doctor"])];
    let mut extra = format!("accounts {{ A: {{ jetstream: enabled, users: [{}] }} }}\n", users.join(", "));
    if let Some(domain) = domain {
        let store = data.path().display().to_string();
        extra += &format!("jetstream {{ domain: {domain}, store_dir: {store:?} }}\n");
    }
    (Cluster::start(1, Options { extra, ..Options::default() }).await, data)
}

async fn space(url: &str, user: &str, domain: Option<&str>) -> Space {
    let nats = NatsOptions {
        user: Some(user.into()),
        password: Some("p".into()),
        domain: domain.map(str::to_owned),
        ..NatsOptions::default()
    };
    let options = SpaceOptions { nats, ..SpaceOptions::default() };
    Space::connect(url, options).await.unwrap_or_else(|error| panic!("{user}: {error}"))
}

fn granted(attempt: Attempt) -> Lease {
    match attempt {
        Attempt::Granted(lease) => lease,
        Attempt::Held(by) => panic!("held by {by:?}"),
    }
}

async fn next<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> T {
    tokio::time::timeout(LIMIT, stream.next()).await.expect("told in time").expect("goes on")
}

/// What every kind does, between two processes.
async fn every_kind(one: &Space, two: &Space) {
    let mut seen = two.watch("a", WatchFrom::Present).expect("a filter");
    // A day: longer than what is on record, which has to be changed for it.
    let lease = one.lock("a").ttl(Duration::from_secs(86_400)).acquire().await.expect("granted");
    let told = loop {
        match next(&mut seen).await.expect("told") {
            WatchEvent::Happened(told) => break told,
            other => println!("first {other:?}"),
        }
    };
    assert!(matches!(told.what, Transition::Granted(_)), "{told:?}");
    let waiting = tokio::spawn({
        let lock = two.lock("a");
        async move { lock.acquire().await }
    });
    eventually("in line", LIMIT, async || {
        (one.look("a").await.expect("readable").waiters.len() == 1).then_some(())
    })
    .await;
    lease.put("value", "x").await.expect("guarded");
    assert!(lease.get("value").await.expect("readable").is_some());
    lease.delete("value").await.expect("deleted");
    lease.release().await.expect("released");
    let second = waiting.await.expect("no panic").expect("handed over");
    let token = second.token();
    one.lock("a").break_by_force(token, "a test", true).await.expect("broken");
    drop(second);
    eventually("the past is told", LIMIT, async || {
        (!two.history("a").await.expect("readable").is_empty()).then_some(())
    })
    .await;
    let mut listed = Box::pin(one.list(">").expect("a filter"));
    assert!(listed.next().await.is_none());

    let shared = (one.rw_lock("s").read().await.expect("read"), two.rw_lock("s").read().await.expect("read"));
    shared.0.release().await.expect("released");
    shared.1.release().await.expect("released");
    granted(one.rw_lock("s").try_write().await.expect("answered")).release().await.expect("released");
    granted(one.semaphore("g", 2).try_acquire().await.expect("answered")).release().await.expect("released");
    two.semaphore("g", 2).set_limit(3).await.expect("changed");
    let both = one.lock_all(["x", "y"]).acquire().await.expect("granted");
    both.release().await.expect("released");

    let mut leaders = two.election("e").observe().expect("a name");
    let term = one.election("e").campaign(&"here").await.expect("elected");
    term.proclaim(&"there").await.expect("proclaimed");
    assert!(two.election("e").leader().await.expect("readable").is_some());
    next(&mut leaders).await;
    term.resign().await.expect("resigned");

    let mut members = two.group("m").watch().expect("a name");
    let member = one.group("m").join(&"value").await.expect("joined");
    loop {
        if matches!(next(&mut members).await.expect("told"), MemberEvent::Joined(_)) {
            break;
        }
    }
    assert_eq!(two.group("m").members().await.map(|members| members.len()), Ok(1));
    member.leave().await.expect("left");
    assert_eq!(one.probe().await, Ok(()));
}

/// What a server has refused, by its log.
fn violations(cluster: &Cluster) -> Vec<String> {
    let log = fs::read_to_string(cluster.log_of(0)).expect("a log");
    log.lines().filter(|line| line.contains("Violation")).map(str::to_owned).collect()
}

async fn enough_for_every_kind(domain: Option<&str>) {
    let (cluster, _data) = limited(domain).await;
    let url = cluster.url();
    drop(space(&url, "maker", domain).await);
    let (one, two) = (space(&url, "user", domain).await, space(&url, "user", domain).await);
    every_kind(&one, &two).await;
    let none: Vec<String> = Vec::new();
    assert_eq!(violations(&cluster), none);

    // Whoever may not ask is told what is not known for that reason, and what to allow.
    let findings = one.examine(lease::DEFAULT_TTL).await.expect("examined");
    for (code, subject) in [("storage", "API.INFO"), ("server-clocks", "$SYS.REQ.ACCOUNT.PING.CONNZ")] {
        let found = findings.iter().find(|finding| finding.code == code).expect(code);
        assert_eq!(found.severity, Severity::Note, "{found:?}");
        assert!(found.found.contains("cannot be known"), "{found:?}");
        // A domain's subject is refused under the one that it is mapped to, which nobody waits for.
        assert!(domain.is_some() || found.found.contains(subject), "{found:?}");
    }
    let before = violations(&cluster).len();
    let findings = space(&url, "doctor", domain).await.examine(lease::DEFAULT_TTL).await.expect("examined");
    let unknown: Vec<_> =
        findings.iter().filter(|finding| finding.found.contains("cannot be known")).collect();
    assert_eq!(unknown, Vec::<&lease::Finding>::new());
    assert_eq!(violations(&cluster).len(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_permissions_are_enough_for_every_kind() {
    enough_for_every_kind(None).await;
}

/// The server maps the domain's subjects to its own before it looks who may use them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_they_are_with_a_domain() {
    enough_for_every_kind(Some("hub")).await;
}

/// Whether a subject matches a pattern of a server's permissions.
fn matches(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some(wanted), Some(token)) if wanted == "*" || wanted == token => {}
            _ => return false,
        }
    }
}

/// By what users who may do everything send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_documented_permission_is_needless() {
    let cluster = Cluster::single().await;
    let proxy = Proxy::start(&cluster.url()).await;
    let open = async || Space::connect(&proxy.url(), SpaceOptions::default()).await.expect("opened");
    let (one, two) = (open().await, open().await);
    every_kind(&one, &two).await;
    one.examine(lease::DEFAULT_TTL).await.expect("examined");
    let subjects: BTreeSet<String> = proxy.seen().into_iter().map(|publish| publish.subject).collect();
    let allowed = documented(&["use", "make", "doctor"], "publish");
    let needless: Vec<_> =
        allowed.iter().filter(|pattern| !subjects.iter().any(|subject| matches(pattern, subject))).collect();
    assert_eq!(needless, Vec::<&String>::new());
    let undocumented: Vec<_> =
        subjects.iter().filter(|subject| !allowed.iter().any(|pattern| matches(pattern, subject))).collect();
    assert_eq!(undocumented, Vec::<&String>::new());
}
