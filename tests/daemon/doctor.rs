//! The doctor, at the socket and on the command line.

use serde_json::{Value, json};
use support::{Cluster, Daemon, Folder, Launch, Options, eventually};

use crate::SOON;
use crate::problem::expect;
use crate::turns::together;

const EMBEDDED: [&str; 0] = [];

fn codes(examination: &Value, severity: &str) -> Vec<String> {
    let findings = examination["findings"].as_array().expect("findings");
    let of = findings.iter().filter(|finding| finding["severity"] == severity);
    of.map(|finding| finding["code"].as_str().expect("a code").to_owned()).collect()
}

#[tokio::test]
async fn an_embedded_store() {
    let _cores = together().await;
    let daemon = Daemon::start(EMBEDDED).await;
    let api = daemon.api();
    let examination = api.get("/v1/doctor").await.json();
    assert_eq!(
        (&examination["severity"], codes(&examination, "warning")),
        (&json!("warning"), vec!["embedded".into()])
    );
    expect(&api.get("/v1/doctor?ttl=1s").await, 400, "invalid-ttl");
    expect(&api.get("/v1/doctor?ttl=soon").await, 400, "invalid-ttl");
    expect(&api.get("/v1/doctor?tll=5s").await, 400, "invalid-query");
    let text = daemon.lease().arg("doctor").output(SOON).await;
    assert_eq!(text.exit.code, Some(1), "{}", text.stderr);
    assert!(
        text.stdout.starts_with("warning   embedded ") && text.stdout.contains("-> connect to NATS"),
        "{}",
        text.stdout
    );
    let printed = daemon.lease().args(["doctor", "--json"]).output(SOON).await;
    assert_eq!(serde_json::from_str::<Value>(&printed.stdout).expect("JSON"), examination);
    let within = Launch::lease().args(["doctor", "--embedded"]).output(SOON).await;
    assert_eq!(within.exit.code, Some(1), "{}", within.stderr);
}

#[tokio::test]
async fn exit_codes_are_by_the_gravest_finding() {
    let _cores = together().await;
    let doctor = async |url: &str| Launch::lease().args(["doctor", "--nats", url]).output(SOON * 2).await;
    let nowhere = doctor("nats://127.0.0.1:9").await;
    assert_eq!((nowhere.exit.code, nowhere.stdout.as_str()), (Some(69), ""), "{}", nowhere.stderr);
    let no_daemon = Launch::lease().args(["doctor", "--socket", "/nowhere/lease.sock"]).output(SOON).await;
    assert_eq!(no_daemon.exit.code, Some(69), "{}", no_daemon.stderr);

    let apart = Cluster::start(3, Options { is_spread: true, ..Options::default() }).await;
    let daemon = Daemon::start(["--nats", &apart.urls()]).await;
    // Once every replica has caught up.
    let good = eventually("a deployment without a fault", SOON * 3, async || {
        let good = daemon.lease().arg("doctor").output(SOON * 2).await;
        println!("{}{}", good.stdout, good.stderr);
        (good.exit.code == Some(0)).then_some(good)
    })
    .await;
    assert!(good.stdout.contains("ok        placement      3 replicas at 3 addresses"), "{}", good.stdout);
    let direct = doctor(&apart.urls()).await;
    assert_eq!(direct.exit.code, Some(0), "{}{}", direct.stdout, direct.stderr);

    let extra = "authorization { user: a, password: b }".to_owned();
    let locked = Cluster::start(1, Options { extra, ..Options::default() }).await;
    let denied = doctor(&locked.url()).await;
    assert_eq!(denied.exit.code, Some(77), "{}", denied.stderr);

    let unfit = Cluster::single().await;
    assert_eq!(doctor(&unfit.url()).await.exit.code, Some(1), "there is no bucket yet");
    let config =
        r#"{"name":"KV_leases","subjects":["$KV.leases.>"],"max_msgs_per_subject":5,"storage":"file"}"#;
    let made = unfit.request(0, "$JS.API.STREAM.CREATE.KV_leases", config).await;
    assert!(made["error"].is_null(), "{made}");
    let critical = doctor(&unfit.url()).await;
    assert_eq!(critical.exit.code, Some(2), "{}{}", critical.stdout, critical.stderr);
    let line = "critical  settings       leases: max_msgs_per_subject is 5, needed is 1";
    assert!(critical.stdout.contains(line), "{}", critical.stdout);
    let help = Launch::lease().args(["doctor", "--help"]).output(SOON).await;
    let text = help.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("0 if all is ok or worth a note, 1 with a warning, 2 with something critical"),
        "{text}"
    );
    assert!(text.contains("69 store or daemon out of reach, 77 denied"), "{text}");
}

/// Accepting concerns every name, so it takes leave to break every name.
#[tokio::test]
async fn not_everybody_may_accept() {
    let _cores = together().await;
    let folder = Folder::new("policy");
    let config = folder.join("lease.toml");
    for (names, status) in [("payments.>", 403), (">", 200)] {
        let rules = format!("[[policy]]\nusers = ['*']\nnames = ['{names}']\nallow = ['observe', 'break']\n");
        std::fs::write(&config, rules).unwrap();
        let daemon = Daemon::start(["--config", config.to_str().unwrap()]).await;
        let api = daemon.api();
        api.get("/v1/doctor").await.expect(200);
        let answer = api.post("/v1/doctor/accept-regression", r#"{"by":"ann"}"#).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 403 {
            expect(&answer, 403, "denied");
        }
    }
}

/// A note in the bucket says that acknowledged writes were lost: everybody refuses until an operator accepts it.
#[tokio::test]
async fn an_operator_accepts_lost_writes() {
    let _cores = together().await;
    let cluster = Cluster::single().await;
    drop(Daemon::start(["--nats", &cluster.url()]).await);
    for through_daemon in [true, false] {
        let note = r#"{"had":9,"saw":5,"at":"2026-11-25T10:00:00.000Z"}"#;
        let written = cluster.request(0, "$KV.leases.space.regression", note).await;
        assert!(written["error"].is_null(), "{written}");
        let mut daemon = Daemon::launch(["--nats", &cluster.url()]);
        daemon.process().line("curl ", SOON).await;
        let api = daemon.api();
        expect(&api.get("/readyz").await, 503, "store-regressed");
        let lease = |args: &[&str]| {
            let place = if through_daemon { daemon.lease() } else { Launch::lease() };
            let nats = if through_daemon { vec![] } else { vec!["--nats".to_owned(), cluster.url()] };
            place.arg("doctor").args(args).args(nats)
        };
        let examined = lease(&["--json"]).output(SOON * 2).await;
        assert_eq!(examined.exit.code, Some(2), "{}{}", examined.stdout, examined.stderr);
        let examination: Value = serde_json::from_str(&examined.stdout).expect("JSON");
        assert_eq!(codes(&examination, "critical"), ["regression"]);
        for by in ["", "a\u{1}", &"x".repeat(300)] {
            let body = json!({ "by": by }).to_string();
            expect(&api.post("/v1/doctor/accept-regression", &body).await, 400, "invalid-body");
        }
        expect(&api.get("/readyz").await, 503, "store-regressed");
        // Without a name it is that of who runs it.
        let accepted = lease(&["--accept-regression"]).output(SOON).await;
        assert_eq!(accepted.exit.code, Some(0), "{}", accepted.stderr);
        assert!(
            accepted.stderr.contains("accepted by ") && accepted.stderr.contains('@'),
            "{}",
            accepted.stderr
        );
        let accepted = lease(&["--accept-regression", "--by", "ann"]).output(SOON).await;
        assert_eq!(accepted.exit.code, Some(0), "{}", accepted.stderr);
        daemon.ready().await;
        assert_eq!(api.post("/v1/locks/a/acquire", "").await.status, 200);
        let after = api.get("/v1/doctor").await.json();
        let noted =
            after["findings"].as_array().expect("findings").iter().find(|it| it["code"] == "regression");
        let noted = noted.expect("it is still on record");
        assert_eq!(noted["severity"], "note");
        assert!(noted["found"].as_str().is_some_and(|found| found.ends_with("accepted by ann")), "{noted}");
    }
}
