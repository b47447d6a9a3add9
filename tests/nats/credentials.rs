//! Being let in, or not: said at once, in words that help, and never with a secret in them.

use std::time::{Duration, Instant};

use lease::Error;
use lease::store::{Condition, NatsOptions, Store, WriteError};
use support::{Cluster, Options};

use crate::{LIMIT, open, put, settle, try_open};

const AT_ONCE: Duration = Duration::from_secs(2);

pub async fn guarded(extra: &str) -> Cluster {
    Cluster::start(1, Options { extra: extra.into(), ..Options::default() }).await
}

pub fn with(user: &str, password: &str) -> NatsOptions {
    NatsOptions { user: Some(user.into()), password: Some(password.into()), ..NatsOptions::default() }
}

/// The same URL, with credentials in it.
fn inside(cluster: &Cluster, credentials: &str) -> String {
    cluster.url().replace("nats://", &format!("nats://{credentials}@"))
}

pub async fn denied(url: &str, options: NatsOptions) -> String {
    let begun = Instant::now();
    let refused = try_open(url, options).await.expect_err("not let in");
    assert!(begun.elapsed() < AT_ONCE, "only after {:?}", begun.elapsed());
    assert!(matches!(refused, Error::Denied(_)), "{refused:?}");
    let text = format!("{refused} {refused:?}");
    assert!(!text.contains("s3cret") && !text.contains("wr0ng"), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_passwords() {
    let cluster = guarded("authorization { user: alice, password: \"s3cret@x\" }").await;
    denied(&cluster.url(), NatsOptions::default()).await;
    denied(&cluster.url(), with("alice", "wr0ng")).await;
    denied(&inside(&cluster, "alice:wr0ng"), NatsOptions::default()).await;
    let store = try_open(&cluster.url(), with("alice", "s3cret@x")).await.expect("let in");
    assert!(!format!("{store:?} {:?}", with("alice", "s3cret@x")).contains("s3cret"));
    try_open(&inside(&cluster, "alice:s3cret%40x"), NatsOptions::default()).await.expect("let in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens() {
    let cluster = guarded("authorization { token: \"s3cret\" }").await;
    let with = |token: &str| NatsOptions { token: Some(token.into()), ..NatsOptions::default() };
    denied(&cluster.url(), with("wr0ng")).await;
    denied(&inside(&cluster, "wr0ng"), NatsOptions::default()).await;
    try_open(&cluster.url(), with("s3cret")).await.expect("let in");
    try_open(&inside(&cluster, "s3cret"), NatsOptions::default()).await.expect("let in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nkeys_and_files_that_cannot_be_used() {
    let cluster = guarded("").await;
    let seed = NatsOptions { nkey_seed: Some("SUs3cret".into()), ..NatsOptions::default() };
    denied(&cluster.url(), seed).await;
    let file = NatsOptions { credentials_file: Some("/nowhere/x.creds".into()), ..NatsOptions::default() };
    assert!(denied(&cluster.url(), file).await.contains("/nowhere/x.creds"));
}

/// An account that has no JetStream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_jetstream_is_named_as_that() {
    let cluster = guarded("accounts { A: { users: [{user: alice, password: s3cret}] } }").await;
    let text = denied(&cluster.url(), with("alice", "s3cret")).await;
    assert!(text.contains("JetStream not enabled"), "{text}");
}

const LIMITED: &str = r#"accounts { A: { jetstream: enabled, users: [
    {user: all, password: s3cret},
    {user: nowrite, password: s3cret, permissions: {publish: {deny: ["$KV.leases.lock.>"]}}},
    {user: noapi, password: s3cret, permissions: {publish: {deny: ["$JS.API.>"]}}},
    {user: deaf, password: s3cret, permissions: {subscribe: {deny: ["_INBOX.>"]}}},
    {user: noevents, password: s3cret, permissions: {subscribe: {deny: ["_lease.>"]}}},
    {user: least, password: s3cret, permissions: {
        publish: ["$JS.API.STREAM.INFO.KV_leases", "$JS.API.STREAM.INFO.KV_leases_history",
            "$JS.API.STREAM.MSG.GET.KV_leases", "$JS.API.STREAM.MSG.GET.KV_leases_history",
            "$JS.API.DIRECT.GET.KV_leases", "$JS.API.DIRECT.GET.KV_leases_history", "$KV.leases.>", "$KV.leases_history.>", "_lease.leases.to.*"],
        subscribe: ["_INBOX.>", "_lease.leases.>"]}},
] } }"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_permissions_are_named() {
    let cluster = guarded(LIMITED).await;
    try_open(&cluster.url(), with("all", "s3cret")).await.expect("made");
    let text = denied(&cluster.url(), with("noapi", "s3cret")).await;
    assert!(text.contains("$JS.API.STREAM.INFO.KV_leases"), "{text}");
    let text = denied(&cluster.url(), with("deaf", "s3cret")).await;
    assert!(text.contains("_INBOX."), "{text}");

    let store = try_open(&cluster.url(), with("nowrite", "s3cret")).await.expect("opened");
    let begun = Instant::now();
    match store.write(&put("lock.a", 0, "x", 60)).await {
        Err(WriteError::Refused(why)) => assert!(why.contains("$KV.leases.lock.a"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "the server's no is not waited out");
    settle(&store, &put("line.a", 0, "x", 60)).await.expect("another key is allowed");

    let store = try_open(&cluster.url(), with("noevents", "s3cret")).await.expect("opened");
    let mut events = store.follow("lock.b").await.expect("nothing is known of the refusal yet");
    settle(&store, &put("lock.b", 0, "x", 60)).await.expect("written");
    assert!(events.try_recv().is_err(), "events are missed, and that is all");
}

/// What a user needs at the least, once the bucket is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_least_permissions_are_enough() {
    let cluster = guarded(LIMITED).await;
    try_open(&cluster.url(), with("all", "s3cret")).await.expect("made");
    let store = try_open(&cluster.url(), with("least", "s3cret")).await.expect("opened");
    store.cover_ttl(99).await.expect("covered");
    let mut events = store.follow("lock.*").await.expect("followed");
    let mut notes = store.inbox("p1").await.expect("an inbox");
    let ack = settle(&store, &put("lock.a", 0, "x", 60)).await.expect("written");
    assert_eq!(
        tokio::time::timeout(AT_ONCE, events.recv()).await.ok().flatten().map(|e| e.revision),
        Some(ack.revision)
    );
    store.tell("p1", "hello".into()).await;
    assert!(tokio::time::timeout(AT_ONCE, notes.recv()).await.is_ok_and(|note| note.is_some()));
    assert_eq!(store.scan("lock.*", 0).await.expect("readable").entries.len(), 1);
    assert_eq!(store.chronicle("lock.a", "it was held".into()).await, Ok(()));
    assert_eq!(store.chronicle_of("lock.a").await.map(|lines| lines.len()), Ok(1));
    assert_eq!(store.probe().await, Ok(()));
}

/// The only server within reach becomes one that does not let us in, then one that is too old, then the old one again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_store_says_why_it_is_not_let_in_again() {
    let (home, locked) = (Cluster::single().await, guarded("authorization { user: a, password: b }").await);
    let release = support::Release::Exactly(support::binary::TOO_OLD);
    let old = Cluster::start(1, Options { release, ..Options::default() }).await;
    let proxy = support::Proxy::start(&home.url()).await;
    let store = open(&proxy.url()).await;
    let because = async |wanted: fn(&Error) -> bool| {
        support::eventually("the reason", LIMIT, async || store.probe().await.err().filter(wanted)).await
    };
    proxy.point_to(&locked.url());
    proxy.cut();
    because(|error| matches!(error, Error::Denied(_))).await;
    assert!(!store.connected());
    proxy.point_to(&old.url());
    because(|error| matches!(error, Error::ServerTooOld { .. })).await;
    proxy.point_to(&home.url());
    settle(&store, &put("lock.a", 0, "x", 60)).await.expect("written");
    assert_eq!(store.probe().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_said_within_five_seconds() {
    // Nobody listens; somebody listens and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!("nats://{}", silent.local_addr().expect("an address"));
    for url in ["nats://127.0.0.1:9".to_owned(), silent.clone(), format!("{silent},nats://127.0.0.1:9")] {
        let begun = Instant::now();
        let refused = try_open(&url, NatsOptions::default()).await.expect_err("nobody there");
        assert!(matches!(&refused, Error::Unreachable(why) if why.contains("127.0.0.1:")), "{refused}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{url}: {:?}", begun.elapsed());
    }
    // One of three answers.
    let cluster = Cluster::single().await;
    open(&format!("nats://127.0.0.1:9,{silent},{}", cluster.url())).await;
}

/// A JetStream domain has its own API prefix, through which writes go as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_is_reached_by_its_name() {
    let data = support::Folder::new("domain");
    let extra = format!("jetstream {{ domain: hub, store_dir: {:?} }}", data.path().display().to_string());
    let cluster = guarded(&extra).await;
    let within = |domain: &str| NatsOptions { domain: Some(domain.into()), ..NatsOptions::default() };
    let store = try_open(&cluster.url(), within("hub")).await.expect("opened");
    let mut events = store.follow("lock.*").await.expect("followed");
    let ack = settle(&store, &put("lock.a", 0, "x", 60)).await.expect("written");
    let event = tokio::time::timeout(AT_ONCE, events.recv()).await.ok().flatten();
    assert_eq!(event.map(|event| event.revision), Some(ack.revision));
    assert_eq!(store.scan("lock.*", 0).await.expect("readable").entries.len(), 1);
    assert_eq!(
        store.read_revision(ack.revision).await.expect("readable").map(|entry| entry.key),
        Some("lock.a".into())
    );
    let mut batch = crate::create(["lock.b", "lock.c"]);
    batch.writes[1].only_if = Condition::Other { key: "lock.a".into(), revision: ack.revision };
    let applied = store.write_all(&batch).await.expect("applied");
    assert_eq!(applied.revision(0), Some(ack.revision + 1));
    let elsewhere = try_open(&cluster.url(), within("nowhere")).await.expect_err("no such domain");
    assert!(matches!(&elsewhere, Error::Unreachable(why) if why.contains("domain")), "{elsewhere}");
}
