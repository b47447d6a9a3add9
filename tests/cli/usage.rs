//! What makes no sense is refused with 64, names the offending value, and reaches no daemon.

use support::Launch;

use crate::kit::{Bench, LIMIT};

/// Words, and what the message must contain.
fn senseless() -> Vec<(Vec<String>, &'static str)> {
    let long = "n".repeat(201);
    let mut cases: Vec<(Vec<&str>, &str)> = vec![
        (vec![], "Usage"),
        (vec!["unheard-of"], "unheard-of"),
        (vec!["--unheard-of"], "--unheard-of"),
        (vec!["run"], "Usage"),
        (vec!["run", "a"], "<CMD>"),
        (vec!["run", "a", "--"], "<CMD>"),
        (vec!["run", "a", "true"], "-- <CMD>"),
        (vec!["run", "-s", "a", "b", "--", "true"], "--shared"),
        (vec!["run", "--limit", "2", "a", "b", "--", "true"], "--limit"),
        (vec!["run", "--limit", "2", "-s", "a", "--", "true"], "--shared"),
        (vec!["run", "--limit", "501", "a", "--", "true"], "501"),
        (vec!["run", "a", "b..c", "--", "true"], "b..c"),
        (vec!["elect", "a", "b", "--", "true"], "'b'"),
        (vec!["elect", "--priority", "high", "a", "--", "true"], "high"),
        (vec!["observe"], "<NAME>"),
        (vec!["bench", "--clients", "0"], "1..=512"),
        (vec!["bench", "--for", "0s"], "100ms to 1h"),
        (vec!["completions", "tcsh"], "tcsh"),
        (vec!["watch", "--from", "yesterday"], "yesterday"),
        (vec!["watch", "a..b"], "a..b"),
        (vec!["history", "--kind", "mutex", "a"], "mutex"),
        (vec!["break", "a"], "--token"),
        (vec!["hand-over", "somebody"], "--lease"),
        (vec!["run", "--", "true"], "<NAME>"),
        (vec!["run", "--unheard-of", "a", "--", "true"], "--unheard-of"),
        (vec!["run", "-n", "-w", "5", "a", "--", "true"], "--nonblock"),
        (vec!["run", "--on-lost", "never", "a", "--", "true"], "never"),
        (vec!["run", "--meta", "novalue", "a", "--", "true"], "novalue"),
        (vec!["run", "--meta", "=v", "a", "--", "true"], "=v"),
        (vec!["run", "--meta", "k=1", "--meta", "k=2", "a", "--", "true"], "twice"),
        (vec!["run", "--socket", "s", "--nats", "u", "a", "--", "true"], "--nats"),
        (vec!["run", "--embedded", "--nats", "u", "a", "--", "true"], "--nats"),
        (vec!["run", "--bucket", "b", "a", "--", "true"], "--nats"),
        (vec!["ls", "a", "b"], "'b'"),
        (vec!["ls", ">.a"], ">.a"),
        (vec!["ls", "a*"], "a*"),
        (vec!["ls", ""], "empty"),
        (vec!["ping", "now"], "'now'"),
        (vec!["show"], "<NAME>"),
        (vec!["show", "a b"], "a b"),
        (vec!["show", "*"], "*"),
    ];
    for ttl in ["0s", "1s", "500ms", "-1", "1y", "abc", "", "1.9", "86401", "20 parsec"] {
        cases.push((vec!["run", "--ttl", ttl, "a", "--", "true"], ttl));
    }
    for wait in ["-1", "abc", "31days", "1e3", "inf", "-1s"] {
        cases.push((vec!["run", "-w", wait, "a", "--", "true"], wait));
    }
    for code in ["256", "-1", "x"] {
        cases.push((vec!["run", "-E", code, "a", "--", "true"], code));
    }
    for name in ["", ".", ".a", "a.", "a..b", "a b", "a*", ">", "ü", "a\nb", &long] {
        cases.push((vec!["run", name, "--", "true"], "invalid value"));
    }
    // The ttl less a fifth and 2 s must be left: 14 s of 20 s.
    for (ttl, kill_after, says) in [
        ("20s", "14.1s", "at most 14s"),
        ("20s", "20s", "at most 14s"),
        ("20s", "1h", "at most 14s"),
        ("10s", "6001ms", "at most 6s"),
        ("2s", "0s", "too short"),
        ("10s", "-1", "-1"),
        ("10s", "soon", "soon"),
    ] {
        cases.push((vec!["run", "--ttl", ttl, "--kill-after", kill_after, "a", "--", "true"], says));
    }
    cases.push((vec!["run", "--ttl", "6.2s", "a", "--", "true"], "--ttl 6.25s"));
    cases.into_iter().map(|(words, says)| (words.into_iter().map(str::to_owned).collect(), says)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_by_name() {
    let bench = Bench::new().await;
    for (words, says) in senseless() {
        let output = bench.daemon.lease().args(&words).output(LIMIT).await;
        assert_eq!(output.exit.code, Some(64), "{words:?}: {}", output.stderr);
        assert!(output.stderr.contains(says), "{words:?}: {says:?} is not in: {}", output.stderr);
        assert!(
            output.stderr.lines().all(|line| line.starts_with("lease: ")),
            "{words:?}: {}",
            output.stderr
        );
        assert_eq!(output.stdout, "", "{words:?}");
    }
    assert_eq!(bench.daemon.api().get("/v1/locks").await.json()["locks"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_refuses_is_usage_as_well() {
    let bench = Bench::new().await;
    let mut words: Vec<String> = (0..33).flat_map(|n| ["--meta".to_owned(), format!("k{n}=v")]).collect();
    words.extend(["a", "--", "true"].map(str::to_owned));
    let output = bench.run(words.iter().map(String::as_str)).output(LIMIT).await;
    assert_eq!(output.exit.code, Some(64), "{}", output.stderr);
    assert!(output.stderr.starts_with("lease: ") && output.stderr.contains("metadata"), "{}", output.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn sensible_borders_are_accepted() {
    let bench = Bench::new().await;
    for options in [
        vec!["--ttl", "20s", "--kill-after", "14s"],
        vec!["--ttl", "6.25"],
        vec!["--ttl", "2", "--on-lost", "kill"],
        vec!["--ttl", "2s", "--on-lost", "ignore"],
        vec!["--ttl", "2.5s", "--kill-after", "0"],
        vec!["--ttl", "24h", "--kill-after", "1h 30m"],
        vec!["-w", "30days"],
        vec!["-w", "0.25"],
        vec!["-w", "0"],
        vec!["-n", "-E", "0"],
        vec!["-E", "255"],
    ] {
        let output = bench.run(options.clone()).args(["a", "--", "true"]).output(LIMIT).await;
        assert_eq!(output.exit.code, Some(0), "{options:?}: {}", output.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_version_are_answers() {
    for words in
        [vec!["--help"], vec!["--version"], vec!["help", "run"], vec!["run", "--help"], vec!["ls", "-h"]]
    {
        let output = Launch::lease().args(&words).output(LIMIT).await;
        assert_eq!(output.exit.code, Some(0), "{words:?}");
        assert!(output.stdout.contains("lease") && output.stderr.is_empty(), "{words:?}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_reach_is_69() {
    let nowhere = ["--socket", "/nonexistent/lease.sock"];
    for (words, says) in [
        (vec!["run", "a", "--", "true"], "/nonexistent/lease.sock"),
        (vec!["ls"], "/nonexistent/lease.sock"),
        (vec!["show", "a"], "/nonexistent/lease.sock"),
    ] {
        let (verb, rest) = words.split_first().unwrap();
        let output = Launch::lease().arg(verb).args(nowhere).args(rest).output(LIMIT).await;
        assert_eq!(output.exit.code, Some(69), "{words:?}: {output:?}");
        assert!(output.stderr.contains(says) && output.stderr.contains("lease-daemon"), "{}", output.stderr);
    }
    for verb in [vec!["ls"], vec!["run", "-n"]] {
        // Nobody listens on port 1.
        let launch = Launch::lease().args(&verb).args(["--nats", "nats://127.0.0.1:1"]);
        let launch = if verb[0] == "run" { launch.args(["a", "--", "true"]) } else { launch };
        let output = launch.output(LIMIT * 2).await;
        assert_eq!(output.exit.code, Some(69), "{verb:?}: {output:?}");
        assert!(output.stderr.starts_with("lease: "), "{}", output.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_is_77() {
    let extra = "authorization { users: [ { user: a, password: b } ] }".to_owned();
    let options = support::Options { extra, ..support::Options::default() };
    let cluster = support::Cluster::start(1, options).await;
    let output = Launch::lease().args(["ls", "--nats", &cluster.url()]).output(LIMIT * 2).await;
    assert_eq!(output.exit.code, Some(77), "{output:?}");
    assert!(output.stderr.starts_with("lease: "), "{}", output.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_daemon_hangs_nobody() {
    let mut bench = Bench::new().await;
    bench.daemon.process().pause();
    let begun = std::time::Instant::now();
    let (ls, run) = tokio::join!(
        bench.daemon.lease().arg("ls").output(LIMIT * 2),
        bench.run(["-n", "a", "--", "true"]).output(LIMIT * 2)
    );
    assert_eq!((ls.exit.code, run.exit.code), (Some(69), Some(69)), "{ls:?} {run:?}");
    assert!(begun.elapsed() < LIMIT * 2);
    bench.daemon.process().resume();
}
