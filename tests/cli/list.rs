//! `lease ls` and `lease show`, for people and for programs, through the daemon and without.

use serde_json::Value;
use support::{Cluster, Launch};

use crate::kit::{Bench, LIMIT};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_holds_anything() {
    let bench = Bench::new().await;
    for words in [vec!["ls"], vec!["ls", "--json"], vec!["ls", "payments.*"]] {
        let output = bench.daemon.lease().args(&words).output(LIMIT).await;
        assert_eq!((output.exit.code, output.stdout.as_str()), (Some(0), ""), "{words:?}");
        assert!(output.stderr.starts_with("lease: no lock"), "{}", output.stderr);
    }
    let output = bench.daemon.lease().args(["show", "a"]).output(LIMIT).await;
    assert_eq!(output.exit.code, Some(0));
    assert!(output.stdout.contains("state     free\n"), "{}", output.stdout);
    let output = bench.daemon.lease().args(["show", "a", "--json"]).output(LIMIT).await;
    let lock: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&lock["name"], &lock["held"]), (&Value::from("a"), &Value::from(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_json() {
    let cluster = Cluster::single().await;
    let bench = Bench::on(["--nats", &cluster.url()]).await;
    let mut holders = Vec::new();
    for name in ["orders.42", "orders.7", "payments.eu.1"] {
        holders.push(bench.holder(name).await);
    }
    let _waiter = bench.script(["--meta", "n=1"], "orders.7", "true").start();
    bench.waiting("orders.7", 1).await;
    let token = bench.token("orders.7").await.to_string();
    let socket = ["--socket".to_owned(), bench.daemon.socket().display().to_string()];
    let nats = ["--nats".to_owned(), cluster.url()];
    for place in [socket, nats] {
        let lease = |words: &[&str]| Launch::lease().args(words).args(&place).output(LIMIT);

        let table = lease(&["ls"]).await;
        assert_eq!((table.exit.code, table.stderr.as_str()), (Some(0), ""), "{place:?}");
        let rows: Vec<Vec<&str>> =
            table.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["NAME", "OWNER", "HOST", "TOKEN", "LEFT", "SINCE"]);
        let names: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
        assert_eq!(names, ["orders.42", "orders.7", "payments.eu.1"]);
        assert!(table.stdout.contains(&token), "{}", table.stdout);
        // Aligned: every second column begins where its title does.
        let column = table.stdout.find("OWNER").unwrap();
        assert!(
            table
                .stdout
                .lines()
                .all(|line| line.as_bytes()[column - 1] == b' ' && line.as_bytes()[column] != b' ')
        );

        let filtered = lease(&["ls", "orders.*", "--json"]).await;
        let locks: Vec<Value> =
            filtered.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(locks.len(), 2, "{}", filtered.stdout);
        assert_eq!(locks[1]["name"], "orders.7");
        assert_eq!(locks[1]["token"].to_string(), token);
        assert_eq!(locks[1]["holder"]["token"].to_string(), token);

        let shown = lease(&["show", "orders.7"]).await.stdout;
        for part in [
            "name      orders.7\n",
            "state     held\n",
            &format!("token     {token}\n"),
            "waiting   1\n",
            "  1.  ",
        ] {
            assert!(shown.contains(part), "{part:?} is not in {shown}");
        }
        let shown: Value =
            serde_json::from_str(&lease(&["show", "--json", "orders.7"]).await.stdout).unwrap();
        assert_eq!(shown["holder"]["ttl"], "20s");
        assert_eq!(shown["waiters"].as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_moves_no_cursor() {
    let bench = Bench::new().await;
    let body = r#"{"owner":"\u001b[2Jevil\nfake","metadata":{"k\u0007":"v\u009b1m"}}"#;
    let mut hold = bench.daemon.api().open("POST", "/v1/locks/a/hold", body).await;
    hold.event("held", LIMIT).await;
    for words in [vec!["ls"], vec!["show", "a"]] {
        let output = bench.daemon.lease().args(&words).output(LIMIT).await;
        assert!(output.stdout.contains("evil"), "{output:?}");
        assert!(!output.stdout.chars().any(|c| c.is_control() && c != '\n'), "{output:?}");
    }
    let busy = bench.run(["-n", "a", "--", "true"]).output(LIMIT).await;
    assert!(
        busy.exit.code == Some(75) && !busy.stderr.chars().any(|c| c.is_control() && c != '\n'),
        "{busy:?}"
    );
}
