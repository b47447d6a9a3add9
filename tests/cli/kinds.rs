//! The command line for everything that is not one exclusive lock, and the verbs that look, tell and break.

use std::time::Duration;

use serde_json::{Value, json};
use support::{Cluster, Launch, Process};

use crate::kit::{Bench, LIMIT};

impl Bench {
    fn lease<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Launch {
        self.daemon.lease().env("F", self.folder.path()).args(words)
    }

    /// A command that runs until it is signalled; waits until it runs.
    async fn sleeper(&self, words: &[&str]) -> Process {
        let script = "echo \"up $LEASE_NAME $LEASE_TOKEN\"; exec sleep 1000";
        let sleeper = self.lease(words.iter().copied()).args(["--", "sh", "-c", script]).start();
        sleeper.line("up ", LIMIT).await;
        sleeper
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_run_beside_each_other_and_a_writer_does_not() {
    let bench = Bench::new().await;
    let _one = bench.sleeper(&["run", "-s", "a"]).await;
    let _two = bench.sleeper(&["run", "--shared", "a"]).await;
    let output = bench.lease(["run", "-n", "a", "--", "true"]).output(LIMIT).await;
    assert_eq!(output.exit.code, Some(75), "{}", output.stderr);
    let shown = bench.lease(["show", "a"]).output(LIMIT).await.stdout;
    assert!(shown.contains("shared by 2\n"), "{shown}");
    let listed = bench.lease(["ls"]).output(LIMIT).await.stdout;
    assert!(listed.lines().any(|line| line.starts_with("a ") && line.contains("(shared)")), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_commands_run_than_there_are_permits() {
    let bench = Bench::new().await;
    let mut one = bench.sleeper(&["run", "--limit", "2", "gpu"]).await;
    let _two = bench.sleeper(&["run", "--limit", "2", "gpu"]).await;
    let busy = bench.lease(["run", "-n", "-E", "9", "--limit", "2", "gpu", "--", "true"]).output(LIMIT).await;
    assert_eq!(busy.exit.code, Some(9), "{}", busy.stderr);
    let other = bench.lease(["run", "--limit", "3", "gpu", "--", "true"]).output(LIMIT).await;
    assert_eq!(other.exit.code, Some(69), "{}", other.stderr);
    assert!(other.stderr.contains("has 2 permits, not 3"), "{}", other.stderr);
    let shown = bench.lease(["show", "--kind", "semaphore", "gpu"]).output(LIMIT).await.stdout;
    assert!(shown.contains("limit     2\nheld      2\n"), "{shown}");
    one.sigterm();
    assert_eq!(one.exit(LIMIT).await.code, Some(143));
    assert_eq!(
        bench.lease(["run", "-n", "--limit", "2", "gpu", "--", "true"]).output(LIMIT).await.exit.code,
        Some(0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_names_are_taken_together() {
    let bench = Bench::new().await;
    let both = bench.sleeper(&["run", "b", "a"]).await;
    let tokens = (bench.token("b").await, bench.token("a").await);
    assert!(tokens.0 > 0 && tokens.1 > 0);
    assert_eq!(both.stdout().trim(), format!("up b a {} {}", tokens.0, tokens.1));
    let busy = bench.lease(["run", "-n", "c", "b", "--", "true"]).output(LIMIT).await;
    assert_eq!(busy.exit.code, Some(75), "{}", busy.stderr);
    assert_eq!(bench.token("c").await, 0, "none of them is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_runs_its_command_while_it_leads() {
    let bench = Bench::new().await;
    let watching = bench.lease(["observe", "boss", "--json"]).start();
    watching.line("vacant", LIMIT).await;
    let mut first = bench.sleeper(&["elect", "--value", r#"{"addr":"a:1"}"#, "boss"]).await;
    let leads = watching.line(r#""event":"leader""#, LIMIT).await;
    assert_eq!(serde_json::from_str::<Value>(&leads).unwrap()["value"], json!({ "addr": "a:1" }));
    let script = "echo yes > $F/second; exec sleep 1000";
    let second = bench.lease(["elect", "--value", "b:2", "-v", "boss", "--", "sh", "-c", script]).start();
    support::eventually("it stands in line", LIMIT, async || {
        let shown = bench.lease(["show", "--kind", "election", "boss"]).output(LIMIT).await.stdout;
        (shown.contains("waiting   1\n") && shown.contains(r#"value     {"addr":"a:1"}"#)).then_some(())
    })
    .await;
    first.sigterm();
    bench.wrote("second", "yes").await;
    watching.line(r#""value":"b:2""#, LIMIT).await;
    let plain = bench.lease(["observe", "boss"]).start();
    let line = plain.line("leads", LIMIT).await;
    assert!(line.ends_with(r#": "b:2""#), "{line}");
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_and_goes_on_where_it_was_and_history_says_how_it_ended() {
    let cluster = Cluster::single().await;
    let bench = Bench::on(["--nats", &cluster.url()]).await;
    let mut watching = bench.lease(["watch", "w.>", "--json"]).start();
    // It tells what happens from when it has begun, and does not say when that is.
    support::eventually("the watch has begun", LIMIT, async || {
        bench.lease(["run", "w.first", "--", "true"]).output(LIMIT).await;
        (!watching.stdout().is_empty()).then_some(())
    })
    .await;
    assert_eq!(bench.lease(["run", "w.a", "--", "true"]).output(LIMIT).await.exit.code, Some(0));
    let told = support::eventually("a grant and its end", LIMIT, async || {
        let mut told = json_lines(&watching.stdout());
        told.retain(|it| it["name"] == "w.a");
        (told.len() == 2).then_some(told)
    })
    .await;
    assert_eq!((&told[0]["event"], &told[1]["event"]), (&json!("granted"), &json!("released")));
    assert_eq!(told[1]["why"], "stopped");
    let from = told[1]["revision"].to_string();
    watching.kill9();
    // Without a daemon it is the same.
    let url = cluster.url();
    let output = Launch::lease().args(["run", "--nats", &url, "w.b", "--", "true"]).output(LIMIT).await;
    assert_eq!(output.exit.code, Some(0), "{}", output.stderr);
    let again = Launch::lease().args(["watch", "--nats", &url, "--from", &from]).start();
    again.line("released  w.b", LIMIT).await;
    assert!(!again.stdout().contains("w.a"), "{}", again.stdout());

    let stuck = bench.sleeper(&["run", "w.a"]).await;
    let token = bench.token("w.a").await.to_string();
    let wrong = bench.lease(["break", "w.a", "--token", "7"]).output(LIMIT).await;
    assert_eq!(wrong.exit.code, Some(69), "{}", wrong.stderr);
    assert!(wrong.stderr.contains(&format!("current one ({token})")), "{}", wrong.stderr);
    let broken = bench.lease(["break", "w.a", "--token", &token, "--reason", "stuck"]).output(LIMIT).await;
    assert_eq!(broken.exit.code, Some(0), "{}", broken.stderr);
    let mut stuck = stuck;
    assert_eq!(stuck.exit(LIMIT).await.code, Some(79), "{}", stuck.stderr());
    let holds = support::eventually("both holds are told of", LIMIT, async || {
        let text = bench.lease(["history", "w.a", "--json"]).output(LIMIT).await.stdout;
        let holds = serde_json::from_str::<Value>(&text).ok()?["holds"].as_array()?.clone();
        (holds.len() == 2).then_some(holds)
    })
    .await;
    assert_eq!(
        (&holds[0]["why"], &holds[1]["why"], &holds[1]["reason"]),
        (&json!("stopped"), &json!("broken"), &json!("stuck"))
    );
    let table = bench.lease(["history", "w.a"]).output(LIMIT).await.stdout;
    assert!(table.starts_with("TOKEN") && table.contains("broken: stuck"), "{table}");
    let none = bench.lease(["history", "nobody"]).output(LIMIT).await;
    assert_eq!((none.exit.code, none.stdout.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_hands_over_to_somebody_who_waits() {
    let bench = Bench::new().await;
    let script = "echo up; while ! test -e $F/go; do sleep 0.05; done; lease hand-over heir; sleep 1000";
    let lease = support::programs::program("lease");
    let path = format!("{}:{}", lease.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut first = bench.lease(["run", "a", "--", "sh", "-c", script]).env("PATH", path).start();
    first.line("up", LIMIT).await;
    let mut other = bench.daemon.api().open("POST", "/v1/locks/a/hold", r#"{"owner":"other"}"#).await;
    other.event("waiting", LIMIT).await;
    let mut heir = bench.daemon.api().open("POST", "/v1/locks/a/hold", r#"{"owner":"heir"}"#).await;
    heir.event("waiting", LIMIT).await;
    std::fs::write(bench.file("go"), "").unwrap();
    let held = heir.event("held", LIMIT).await;
    assert_eq!(held["previous"]["why"], "handed-over");
    // It has lost the lock, and is stopped.
    assert_eq!(first.exit(Duration::from_secs(30)).await.code, Some(79), "{}", first.stderr());
}
