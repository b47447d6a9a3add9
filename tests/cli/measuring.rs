//! `lease bench` and `lease completions`.

use serde_json::Value;
use support::{Cluster, Launch};

use crate::kit::{Bench, LIMIT};

#[tokio::test(flavor = "multi_thread")]
async fn bench_measures_each_part_and_leaves_nothing() {
    let cluster = Cluster::single().await;
    let bench = Bench::on(["--nats", &cluster.url()]).await;
    let words = ["bench", "--clients", "3", "--for", "300ms", "--json"];
    let through = bench.daemon.lease().args(words).output(LIMIT).await;
    let without = Launch::lease().args(words).args(["--nats", &cluster.url()]).output(LIMIT).await;
    for output in [through, without] {
        assert_eq!((output.exit.code, output.stderr.as_str()), (Some(0), ""), "{}", output.stdout);
        let lines: Vec<Value> =
            output.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let parts: Vec<_> = lines.iter().map(|line| (&line["what"], line["clients"].as_u64())).collect();
        assert_eq!(
            format!("{parts:?}").replace("String", ""),
            r#"[(("request"), Some(1)), (("store"), Some(1)), (("cycle"), Some(1)), (("cycle"), Some(3)), (("hand-over"), Some(3))]"#
        );
        for line in &lines {
            let figure = |name: &str| line[name].as_f64().expect("a number");
            assert!(line["count"].as_u64() > Some(0), "{line}");
            assert!(0.0 < figure("p50_ms") && figure("p50_ms") <= figure("p99_ms"), "{line}");
            assert!(figure("p99_ms") <= figure("max_ms") && figure("per_second") > 0.0, "{line}");
        }
        // Taking a lock and giving it back cannot be faster than any request.
        assert!(lines[2]["p50_ms"].as_f64() > lines[0]["p50_ms"].as_f64(), "{lines:?}");
    }
    let left = bench.daemon.lease().args(["ls", "bench.>", "--json"]).output(LIMIT).await;
    assert_eq!((left.exit.code, left.stdout.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_shows_a_table_and_fails_without_a_daemon() {
    let bench = Bench::new().await;
    let shown = bench.daemon.lease().args(["bench", "-c", "2", "--for", "0.1"]).output(LIMIT).await;
    assert_eq!(shown.exit.code, Some(0), "{}", shown.stderr);
    assert!(shown.stdout.starts_with("WHAT "), "{}", shown.stdout);
    assert_eq!(shown.stdout.lines().count(), 6, "{}", shown.stdout);
    let nobody = Launch::lease().args(["bench", "--socket", "/nowhere/lease.sock"]).output(LIMIT).await;
    assert_eq!(nobody.exit.code, Some(69), "{}", nobody.stderr);
}

/// A shell that reads the script knows the subcommands, and their options.
#[tokio::test(flavor = "multi_thread")]
async fn bash_completes() {
    let ask = |words: &str, at: usize, word: &str| {
        let lease = support::programs::program("lease").display().to_string();
        format!(
            "source <({lease} completions bash); COMP_WORDS=({words}); COMP_CWORD={at}; _lease lease '{word}' lease; \
             echo ${{COMPREPLY[@]}}"
        )
    };
    for (words, at, word, completed) in
        [("lease hi", 1, "hi", "history"), ("lease run --kill", 2, "--kill", "--kill-after")]
    {
        let output = Launch::program("bash").args(["-c", &ask(words, at, word)]).output(LIMIT).await;
        assert_eq!((output.exit.code, output.stdout.trim()), (Some(0), completed), "{}", output.stderr);
    }
}
