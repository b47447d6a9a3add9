//! Being let in by NATS: every way, of the daemon and of `lease --nats`; and what happens when a credential is refused, or
//! ends while the daemon runs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lease::{Ambient, System};
use serde_json::json;
use support::{Authority, Cluster, Daemon, Folder, Launch, Operator, Options, eventually};

use crate::SOON;
use crate::problem::expect;
use crate::turns::together;

/// Flags (`--nats-user`) and variables (`LEASE_NATS_TOKEN`) with their values.
type Words<'a> = &'a [(&'a str, &'a str)];

fn with(launch: Launch, words: Words) -> Launch {
    words.iter().fold(launch, |launch, (name, value)| match name.strip_prefix("--") {
        Some(_) => launch.arg(name).arg(value),
        None => launch.env(name, value),
    })
}

fn daemon(folder: &Folder, url: &str, words: Words) -> Launch {
    let launch = Launch::daemon().arg("--socket").arg(folder.join("lease.sock")).args(["--nats", url]);
    with(launch, words)
}

fn lease(url: &str, words: Words) -> Launch {
    with(Launch::lease().args(["ls", "--nats", url]), words)
}

/// Both are let in.
async fn works(url: &str, words: Words<'_>) {
    let folder = Folder::new("let-in");
    let mut running = daemon(&folder, url, words).start();
    running.line("curl ", SOON).await;
    running.kill9();
    let listed = lease(url, words).output(SOON).await;
    assert_eq!(listed.exit.code, Some(0), "{words:?}: {}", listed.stderr);
}

/// Both say so in one line, at once, with exit code 77, and without the secret.
async fn refused(url: &str, words: Words<'_>, says: &[&str]) {
    let folder = Folder::new("refused");
    let begun = Instant::now();
    let outputs = tokio::join!(daemon(&folder, url, words).output(SOON), lease(url, words).output(SOON));
    for output in [outputs.0, outputs.1] {
        assert_eq!(output.exit.code, Some(77), "{words:?}: {}", output.stderr);
        let said: Vec<&str> = output.stderr.lines().collect();
        assert_eq!(said.len(), 1, "one line: {}", output.stderr);
        assert!(says.iter().all(|words| said[0].contains(words)), "{says:?}: {}", said[0]);
        assert!(!said[0].contains("wr0ng"), "{}", said[0]);
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

async fn server(extra: String) -> Cluster {
    Cluster::start(1, Options { extra, ..Options::default() }).await
}

fn text(path: &Path) -> &str {
    path.to_str().expect("unicode")
}

#[tokio::test]
async fn passwords_and_tokens() {
    let _cores = together().await;
    let folder = Folder::new("words");
    let (good, bad) = (folder.join("good"), folder.join("bad"));
    fs::write(&good, "s3cret\n").unwrap();
    fs::write(&bad, "wr0ng\n").unwrap();
    let cluster = server("authorization { user: alice, password: s3cret }".into()).await;
    let url = cluster.url();
    let at = url.replace("nats://", "");
    works(&url, &[("--nats-user", "alice"), ("--nats-password-file", text(&good))]).await;
    works(&url, &[("LEASE_NATS_USER", "alice"), ("LEASE_NATS_PASSWORD", "s3cret")]).await;
    let says = [at.as_str(), "does not let in user \"alice\""];
    refused(&url, &[("--nats-user", "alice"), ("LEASE_NATS_PASSWORD", "wr0ng")], &says).await;
    refused(&url, &[("--nats-user", "alice"), ("--nats-password-file", text(&bad))], &says).await;
    refused(&url, &[], &["a client without credentials"]).await;

    let cluster = server("authorization { token: s3cret }".into()).await;
    let url = cluster.url();
    works(&url, &[("LEASE_NATS_TOKEN", "s3cret")]).await;
    works(&url, &[("--nats-token-file", text(&good))]).await;
    refused(&url, &[("LEASE_NATS_TOKEN", "wr0ng")], &["does not let in the token"]).await;
    // By the configuration file, which alone holds the secret here.
    let config = folder.join("lease.toml");
    fs::write(&config, format!("[nats]\nurl = '{url}'\ntoken = 's3cret'\n")).unwrap();
    let daemon = Daemon::start(["--config", text(&config)]).await;
    daemon.api().get("/readyz").await.expect(200);
    let checked = Launch::daemon().args(["--config", text(&config), "--check"]).output(SOON).await;
    assert!(
        checked.stdout.contains("token = \"***\"") && !checked.stdout.contains("s3cret"),
        "{}",
        checked.stdout
    );
}

#[tokio::test]
async fn nkeys_and_credentials_files() {
    let _cores = together().await;
    let folder = Folder::new("keys");
    let (good, bad) = (folder.join("good"), folder.join("bad"));
    let (mine, other) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    fs::write(&good, mine.seed().unwrap()).unwrap();
    fs::write(&bad, other.seed().unwrap()).unwrap();
    let cluster = server(format!("authorization {{ users: [{{nkey: {}}}] }}", mine.public_key())).await;
    let url = cluster.url();
    works(&url, &[("--nats-nkey", text(&good))]).await;
    works(&url, &[("LEASE_NATS_NKEY_SEED", &mine.seed().unwrap())]).await;
    refused(&url, &[("--nats-nkey", text(&bad))], &["does not let in nkey", &other.public_key()]).await;

    let operator = Operator::default();
    fs::write(&good, operator.credentials(None).0).unwrap();
    let (foreign, user) = Operator::default().credentials(None);
    fs::write(&bad, foreign).unwrap();
    let cluster = server(operator.config()).await;
    let url = cluster.url();
    works(&url, &[("LEASE_NATS_CREDS", text(&good))]).await;
    refused(&url, &[("--nats-creds", text(&bad))], &["does not let in the credentials of", &user]).await;
    refused(&url, &[("--nats-creds", "/nowhere/x.creds")], &["/nowhere/x.creds"]).await;
}

#[tokio::test]
async fn tls_and_a_domain() {
    let _cores = together().await;
    let (mine, other) = (Authority::default(), Authority::default());
    let client = mine.issue("client", &[]);
    let foreign = other.issue("client", &[]);
    let cluster = server(mine.server(&["localhost"], "verify: true")).await;
    let url = cluster.url().replace("127.0.0.1", "localhost");
    let (my_ca, other_ca) = (mine.ca(), other.ca());
    let ca = ("--nats-ca", text(&my_ca));
    works(&url, &[ca, ("--nats-cert", text(&client.cert)), ("--nats-key", text(&client.key))]).await;
    refused(&url, &[ca], &["refuses this client, which shows no TLS certificate"]).await;
    let shown = [ca, ("--nats-cert", text(&foreign.cert)), ("--nats-key", text(&foreign.key))];
    refused(&url, &shown, &["refuses the TLS certificate of", text(&foreign.cert)]).await;
    refused(
        &url,
        &[("--nats-ca", text(&other_ca))],
        &["the TLS certificate of localhost", "is not accepted"],
    )
    .await;

    let data = Folder::new("domain");
    let store = data.path().display().to_string();
    let cluster = server(format!("jetstream {{ domain: hub, store_dir: {store:?} }}")).await;
    works(&cluster.url(), &[("--nats-domain", "hub")]).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let _cores = together().await;
    let both = [("--nats-user", "alice"), ("LEASE_NATS_TOKEN", "wr0ng")];
    let folder = Folder::new("senseless");
    let outputs = [
        daemon(&folder, "nats://127.0.0.1:9", &both).output(SOON).await,
        lease("nats://127.0.0.1:9", &both).output(SOON).await,
    ];
    for output in outputs {
        assert_eq!(output.exit.code, Some(64), "{}", output.stderr);
        assert!(
            output.stderr.contains("a user and a token") && !output.stderr.contains("wr0ng"),
            "{}",
            output.stderr
        );
    }
}

/// The daemon stays, and says why nothing works; holders are told in time; new credentials in the same file mend it.
#[tokio::test]
async fn credentials_that_end_under_a_running_daemon() {
    let _cores = together().await;
    let folder = Folder::new("ending");
    let creds = folder.join("user.creds");
    let operator = Operator::default();
    let cluster = server(operator.config()).await;
    fs::write(&creds, operator.credentials(Some(Duration::from_secs(8))).0).unwrap();
    let mut daemon = Daemon::start(["--nats", &cluster.url(), "--nats-creds", text(&creds)]).await;
    let api = daemon.api();
    let mut hold = api.open("POST", "/v1/locks/a/hold", r#"{"ttl":"4s"}"#).await;
    let mut believed = hold.event("held", SOON).await["deadline_boottime_ns"].as_u64().unwrap();
    let why = eventually("the refusal", SOON * 2, async || {
        let answer = api.get("/readyz").await;
        (answer.status == 503 && answer.json()["code"] == "store-denied")
            .then(|| expect(&answer, 503, "store-denied"))
    })
    .await;
    assert!(why.contains("does not let in the credentials") && why.contains("which expired"), "{why}");
    // The last deadline that was told is when it is lost at the latest.
    loop {
        let event = hold.next(SOON).await.expect("told");
        match event["event"].as_str() {
            Some("alive") => believed = event["deadline_boottime_ns"].as_u64().unwrap(),
            Some("lost") => break,
            other => panic!("{other:?}: {event}"),
        }
    }
    let now = System.now().as_nanos();
    assert!(now < believed + 500_000_000, "told {} ms too late", (now - believed) / 1_000_000);
    assert!(daemon.process().running());
    let said = daemon.process().stderr();
    assert!(said.contains("cannot reconnect to NATS, trying on"), "{said}");
    assert!(said.lines().count() < 20, "it says so, and not again and again: {said}");
    fs::write(&creds, operator.credentials(None).0).unwrap();
    daemon.ready().await;
    let again = api.post("/v1/locks/a/acquire", &json!({ "wait": "15s" }).to_string()).await;
    assert_eq!(again.status, 200, "{}", again.text());
}
