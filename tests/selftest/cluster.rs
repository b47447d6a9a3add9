//! Servers start, form a cluster, and do as they are told.

use std::time::Duration;

use serde_json::json;
use support::cluster::Life;
use support::{Cluster, Launch, Options, Release, binary, eventually, server_binary};

const LIMIT: Duration = Duration::from_secs(30);

async fn make_stream(cluster: &Cluster, index: usize, replicas: usize) {
    let config = json!({"name": "S", "subjects": ["s.>"], "num_replicas": replicas, "storage": "file"});
    let answer = cluster.request(index, "$JS.API.STREAM.CREATE.S", &config.to_string()).await;
    assert!(answer["error"].is_null(), "{answer}");
}

/// Stores a message, trying again while the stream has no leader. Returns its sequence.
async fn store(cluster: &Cluster, index: usize) -> u64 {
    let client = async_nats::connect(cluster.url_of(index)).await.unwrap();
    eventually("an acknowledged write", LIMIT, async || {
        let answer = client.request("s.x", "hello".into()).await.ok()?;
        serde_json::from_slice::<serde_json::Value>(&answer.payload).ok()?["seq"].as_u64()
    })
    .await
}

#[tokio::test]
async fn one_server_keeps_what_it_stored_and_its_port() {
    let options = Options { sync_interval: Some("always".into()), ..Options::default() };
    let cluster = Cluster::start(1, options).await;
    make_stream(&cluster, 0, 1).await;
    assert_eq!(store(&cluster, 0).await, 1);
    let url = cluster.url();
    cluster.kill9(0);
    assert_eq!(cluster.life_of(0), Life::Down);
    assert!(async_nats::connect(&url).await.is_err());
    cluster.restart(0).await;
    assert_eq!(cluster.url(), url);
    assert_eq!(store(&cluster, 0).await, 2);
    assert_eq!(cluster.stream_leader("S").await, 0);
    let state = support::http::json_tcp(&cluster.monitor_of(0), "/jsz", LIMIT).await.unwrap();
    assert_eq!(state["config"]["sync_always"], true, "{state}");
}

#[tokio::test]
async fn three_servers_survive_the_loss_of_the_leader() {
    let cluster = Cluster::three().await;
    make_stream(&cluster, 0, 3).await;
    assert_eq!(store(&cluster, 1).await, 1);

    let (old, new) = cluster.step_down("S").await;
    assert_ne!(old, new);

    let leader = cluster.stream_leader("S").await;
    cluster.kill9(leader);
    let other = (leader + 1) % 3;
    assert!(store(&cluster, other).await >= 2);
    assert_ne!(cluster.stream_leader("S").await, leader);
    cluster.restart(leader).await;
    assert!(store(&cluster, leader).await >= 3);

    let leader = cluster.stream_leader("S").await;
    cluster.pause(leader);
    assert_eq!(cluster.life_of(leader), Life::Paused);
    let other = (leader + 1) % 3;
    assert!(store(&cluster, other).await >= 4);
    cluster.resume(leader);
    cluster.ready().await;

    cluster.stop_all().await;
    assert!((0..3).all(|index| cluster.life_of(index) == Life::Down));
    cluster.start_all().await;
    assert!(store(&cluster, 2).await >= 5);
}

#[tokio::test]
async fn clients_and_messages_are_counted() {
    let cluster = Cluster::single().await;
    assert_eq!(cluster.client_count(0).await, 0);
    let client = async_nats::ConnectOptions::new().name("the counted").connect(cluster.url()).await.unwrap();
    eventually("one client", LIMIT, async || (cluster.client_count(0).await == 1).then_some(())).await;
    assert_eq!(cluster.server_of_client("counted").await, Some(0));
    assert_eq!(cluster.server_of_client("another").await, None);
    let before = cluster.messages().await;
    for _ in 0..10 {
        client.publish("nobody.listens", "x".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    let what = "ten messages more";
    eventually(what, LIMIT, async || {
        (cluster.messages().await.received == before.received + 10).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_release_can_be_chosen() {
    for release in [binary::OLDEST, binary::TOO_OLD] {
        let cluster =
            Cluster::start(1, Options { release: Release::Exactly(release), ..Options::default() }).await;
        let state = support::http::json_tcp(&cluster.monitor_of(0), "/varz", LIMIT).await.unwrap();
        assert_eq!(state["version"], release);
    }
}

/// Runs the program that looks for servers with one variable set; gives success and all it said.
async fn look_for_servers(variable: &str, value: &str) -> (bool, String) {
    let program = Launch::program(env!("CARGO_BIN_EXE_lease-tests-prepare"));
    let output = program.env(variable, value).output(Duration::from_secs(300)).await;
    (output.exit.code == Some(0), output.stdout + &output.stderr)
}

#[tokio::test]
async fn an_old_server_is_never_taken_silently() {
    let path = |release| server_binary(Release::Exactly(release)).unwrap();
    let (old, good) = (path(binary::TOO_OLD), path(binary::OLDEST));

    let (found, said) = look_for_servers("NATS_SERVER", &old.display().to_string()).await;
    assert!(!found && said.contains("is release 2.11.11") && said.contains("2.12 or newer"), "{said}");
    let (found, said) = look_for_servers("NATS_SERVER", "/nowhere/nats-server").await;
    assert!(!found && said.contains("/nowhere/nats-server") && said.contains("2.12 or newer"), "{said}");
    let (found, said) = look_for_servers("NATS_SERVER", &good.display().to_string()).await;
    assert!(found && said.contains(&format!("Pinned: {}", good.display())), "{said}");

    let first_on_path = |binary: &std::path::Path| {
        let others = std::env::var("PATH").unwrap_or_default();
        format!("{}:{others}", binary.parent().unwrap().display())
    };
    let (found, said) = look_for_servers("PATH", &first_on_path(&old)).await;
    assert!(
        found
            && said.contains("is not used (2.11.11")
            && !said.contains(&format!("Pinned: {}", old.display())),
        "{said}"
    );
    let (found, said) = look_for_servers("PATH", &first_on_path(&good)).await;
    assert!(found && said.contains(&format!("Pinned: {}", good.display())), "{said}");
}
