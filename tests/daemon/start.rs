//! Starting: the socket, the settings, the store, and what is said when something is wrong.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::time::Duration;

use support::{Cluster, Daemon, Folder, Launch, Options, eventually};

use crate::SOON;
use crate::problem::expect;
use crate::turns::together;

const EMBEDDED: [&str; 0] = [];

#[tokio::test]
async fn two_daemons_do_not_share_a_socket() {
    let _cores = together().await;
    let mut first = Daemon::start(EMBEDDED).await;
    let second = Launch::daemon().arg("--socket").arg(first.socket()).output(SOON).await;
    assert_eq!(second.exit.code, Some(73), "{}", second.stderr);
    let said = second.stderr.lines().last().unwrap_or_default();
    assert!(said.starts_with("lease-daemon: ") && said.contains("is served by another process"), "{said}");
    first.api().get("/readyz").await.expect(200);
    // After kill -9 the socket's file is still there, and in nobody's way.
    first.kill9();
    assert!(fs::metadata(first.socket()).unwrap().file_type().is_socket());
    first.restart().await;
    let mode = fs::metadata(first.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[tokio::test]
async fn of_many_started_at_once_one_serves() {
    let _cores = together().await;
    let folder = Folder::new("many");
    let socket = folder.join("lease.sock");
    let mut daemons: Vec<_> = (0..6).map(|_| Launch::daemon().arg("--socket").arg(&socket).start()).collect();
    eventually("one that serves, and five that say so", SOON, async || {
        let alive = daemons.iter_mut().map(|daemon| daemon.running()).filter(|running| *running).count();
        let refused =
            daemons.iter().filter(|daemon| daemon.stderr().contains("is served by another process")).count();
        ((alive, refused) == (1, 5)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_says_what_to_try_and_that_works() {
    let _cores = together().await;
    let mut daemon = Daemon::start(EMBEDDED).await;
    let line = daemon.process().line("curl ", SOON).await;
    assert_eq!(daemon.process().stdout().trim_end(), line, "nothing else goes to standard output");
    let said = daemon.process().stderr();
    assert!(said.contains("WARN") && said.contains("THIS HOST ONLY"), "{said}");
    let tried = Launch::program("sh").args(["-c", &line]).output(SOON).await;
    assert_eq!(tried.exit.code, Some(0), "{}", tried.stderr);
    assert!(tried.stdout.contains(r#""token":"#), "{}", tried.stdout);
}

#[tokio::test]
async fn the_socket_is_where_the_environment_says() {
    let _cores = together().await;
    let folder = Folder::new("run");
    for (variable, value, socket) in [
        ("LEASE_SOCKET", folder.join("own.sock"), folder.join("own.sock")),
        ("XDG_RUNTIME_DIR", folder.path().to_owned(), folder.join("lease.sock")),
    ] {
        let mut daemon = Launch::daemon().env(variable, value).start();
        daemon.line("curl ", SOON).await;
        assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
        daemon.sigterm();
        assert_eq!(daemon.exit(SOON).await.code, Some(0));
        assert!(!socket.exists());
    }
    let nowhere = folder.join("a/b/lease.sock");
    let refused = Launch::daemon().arg("--socket").arg(&nowhere).output(SOON).await;
    assert_eq!(refused.exit.code, Some(73));
    assert!(
        refused.stderr.contains("--socket") && refused.stderr.contains("XDG_RUNTIME_DIR"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn wrong_usage_is_64() {
    let _cores = together().await;
    for args in [&["--natz", "x"][..], &["--metrics", "here"], &["--log", "lease==loud"], &["extra"]] {
        let output = Launch::daemon().args(args).output(SOON).await;
        assert_eq!(output.exit.code, Some(64), "{args:?}: {}", output.stderr);
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    let help = Launch::daemon().arg("--help").output(SOON).await;
    assert_eq!(help.exit.code, Some(0));
    assert!(help.stdout.contains("--nats") && help.stdout.contains("Exit codes"), "{}", help.stdout);
}

#[tokio::test]
async fn it_waits_for_nats_and_says_so() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    cluster.stop_all().await;
    let mut daemon = Daemon::launch(["--nats", &cluster.url()]);
    daemon.process().line("trying again", Duration::from_secs(15)).await;
    let api = daemon.api();
    api.get("/healthz").await.expect(200);
    expect(&api.get("/readyz").await, 503, "store-unreachable");
    expect(&api.post("/v1/locks/a/hold", "{}").await, 503, "store-unreachable");
    expect(&api.get("/v1/locks").await, 503, "store-unreachable");
    assert!(daemon.process().stdout().is_empty(), "there is nothing to try yet");
    cluster.start_all().await;
    daemon.ready().await;
    api.post("/v1/locks/a/acquire", "").await.expect(200);
    // Out of reach later on: it says so, and goes on by itself.
    cluster.stop_all().await;
    expect(&api.get("/readyz").await, 503, "store-unreachable");
    cluster.start_all().await;
    daemon.ready().await;
    // Stopped before it ever reached its store.
    cluster.stop_all().await;
    let mut daemon = Daemon::launch(["--nats", &cluster.url()]);
    daemon.process().line("trying again", Duration::from_secs(15)).await;
    daemon.process().sigterm();
    assert_eq!(daemon.process().exit(SOON).await.code, Some(0));
}

#[tokio::test]
async fn a_bucket_that_is_not_fit_is_refused_by_its_setting() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let config = r#"{"name":"KV_leases","subjects":["$KV.leases.>"],"max_msgs_per_subject":5,"storage":"file","num_replicas":1,"allow_rollup_hdrs":true,"deny_delete":true,"discard":"new","allow_direct":true}"#;
    let made = cluster.request(0, "$JS.API.STREAM.CREATE.KV_leases", config).await;
    assert!(made["error"].is_null(), "{made}");
    let refused = Launch::daemon()
        .arg("--socket")
        .arg(Folder::new("unfit").join("lease.sock"))
        .args(["--nats", &cluster.url()])
        .output(Duration::from_secs(20))
        .await;
    assert_eq!(refused.exit.code, Some(78), "{}", refused.stderr);
    let said = refused.stderr.lines().last().unwrap_or_default();
    assert!(said.starts_with("lease-daemon: bucket leases is not safe for locks"), "{said}");
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_is_77() {
    let _cores = together().await;
    let extra = "authorization { user: someone, password: secret }".to_owned();
    let cluster = Cluster::start(1, Options { extra, ..Options::default() }).await;
    let refused = Launch::daemon()
        .arg("--socket")
        .arg(Folder::new("denied").join("lease.sock"))
        .args(["--nats", &cluster.url()])
        .output(Duration::from_secs(20))
        .await;
    assert_eq!(refused.exit.code, Some(77), "{}", refused.stderr);
}

/// What was granted before the bucket was deleted may be believed for as long as its ttl; an operator may know better.
#[tokio::test]
async fn an_operator_may_say_that_nobody_believes_any_more() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    let nats = ["--nats".to_owned(), cluster.url()];
    let mut daemon = Daemon::start(&nats).await;
    assert_eq!(daemon.api().post("/v1/locks/a/acquire", r#"{"ttl":"1h"}"#).await.status, 200);
    daemon.kill9();
    let answer = cluster.request(0, "$JS.API.STREAM.DELETE.KV_leases", "").await;
    assert_eq!(answer["success"], true, "{answer}");
    let quiet = Daemon::launch(&nats);
    let api = quiet.api();
    let answer = eventually("it says that it keeps quiet", SOON * 2, async || {
        let answer = api.try_send("GET", "/readyz", "").await.ok()?;
        String::from_utf8_lossy(&answer.body).contains("bucket-quiet").then_some(answer)
    })
    .await;
    expect(&answer, 503, "bucket-quiet");
    expect(&api.post("/v1/locks/a/acquire", r#"{"wait":"0s"}"#).await, 503, "bucket-quiet");
    let fresh = Daemon::start(nats.iter().map(String::as_str).chain(["--fresh"])).await;
    assert_eq!(fresh.api().post("/v1/locks/a/acquire", r#"{"wait":"0s"}"#).await.status, 200);
}
