//! The command: what it gets, and what is made of its end.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::kit::{Bench, LIMIT};

#[tokio::test(flavor = "multi_thread")]
async fn its_exit_code_is_passed_on_and_the_lock_is_free_at_once() {
    let bench = Bench::new().await;
    for (command, code) in [
        (vec!["true"], 0),
        (vec!["false"], 1),
        (vec!["sh", "-c", "exit 7"], 7),
        (vec!["sh", "-c", "exit 255"], 255),
        (vec!["sh", "-c", "exit 75"], 75),
        (vec!["sh", "-c", "kill -TERM $$"], 143),
        (vec!["sh", "-c", "kill -KILL $$"], 137),
        (vec!["sh", "-c", "kill -USR1 $$"], 138),
        (vec!["/nonexistent/program"], 127),
        (vec!["nonexistent-program"], 127),
        (vec![""], 127),
        (vec!["/etc/passwd"], 126),
        (vec!["/"], 126),
    ] {
        // Each finds the lock free: the one before it has given it back when it ends.
        let output = bench.run(["-n", "a", "--"]).args(&command).output(LIMIT).await;
        assert_eq!(output.exit.code, Some(code), "{command:?}: {}", output.stderr);
        if code == 126 || code == 127 {
            assert!(output.stderr.starts_with("lease: cannot run "), "{}", output.stderr);
        } else {
            assert_eq!(output.stderr, "", "{command:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sees_name_token_and_socket() {
    let bench = Bench::new().await;
    let script = r#"echo "$LEASE_NAME|$LEASE_TOKEN|$LEASE_SOCKET|$1"; cat /dev/stdin > $F/go"#;
    let mut process = bench.script([], "orders/42", script).open_stdin().start();
    let line = process.line("orders/42|", LIMIT).await;
    let token = bench.token("orders%2F42").await;
    assert!(token > 0);
    assert_eq!(line, format!("orders/42|{token}|{}|", bench.daemon.socket().display()));
    drop(process.take_stdin());
    assert_eq!(process.exit(LIMIT).await.code, Some(0));

    let again = bench.script([], "orders/42", "echo $LEASE_TOKEN").output(LIMIT).await;
    assert!(again.stdout.trim().parse::<u64>().unwrap() > token, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_there_is_no_socket() {
    let script = r#"echo "$LEASE_NAME|${LEASE_SOCKET-unset}"; test "$LEASE_TOKEN" -gt 0"#;
    let output = support::Launch::lease()
        .args(["run", "--embedded", "a", "--", "sh", "-c", script])
        .output(LIMIT)
        .await;
    assert_eq!((output.exit.code, output.stdout.as_str()), (Some(0), "a|unset\n"), "{}", output.stderr);
    assert!(output.stderr.starts_with("lease: --embedded"), "{}", output.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_reach_it_untouched() {
    let bench = Bench::new().await;
    let odd = ["a b", "*", "$HOME", "", "--help", "-n", "--", "'", "\"", "a\nb", "--ttl=1", "`id`", "é"];
    let output = bench.run(["-n", "a", "--", "printf", "<%s>"]).args(odd).output(LIMIT).await;
    let expected: String = odd.iter().map(|word| format!("<{word}>")).collect();
    assert_eq!(output.stdout, expected);

    let bytes = OsStr::from_bytes(b"\xff\xfe\x01");
    let output = bench.run(["-n", "a", "--", "sh", "-c", "printf %s \"$1\" | od -An -tx1", "sh"]).arg(bytes);
    assert_eq!(output.output(LIMIT).await.stdout.trim(), "ff fe 01");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_standard_input_is_ours() {
    let bench = Bench::new().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let output = bench.run(["a", "--", "cksum"]).input(bytes.clone()).output(LIMIT).await;
    let plain = support::Launch::program("/usr/bin/cksum").input(bytes).output(LIMIT).await;
    assert_eq!((output.exit.code, output.stdout), (Some(0), plain.stdout));
    // Not a byte is read before the command does.
    let output =
        bench.script([], "a", "read line; echo $line; exec cat").input("one\ntwo\nthree\n").output(LIMIT);
    assert_eq!(output.await.stdout, "one\ntwo\nthree\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_is_no_panic() {
    let bench = Bench::new().await;
    let _holder = bench.holder("a").await;
    let lease = support::programs::program("lease");
    for verb in ["ls", "ls --json", "show a", "--help"] {
        let script = format!("({} {verb}; echo $? >&2) | true", lease.display());
        let launch = support::Launch::program("/bin/sh").args(["-c", &script]);
        let output = launch.env("LEASE_SOCKET", bench.daemon.socket()).output(LIMIT).await;
        // It may have been faster than `true`.
        assert!(["0\n", "141\n"].contains(&output.stderr.as_str()), "{verb}: {output:?}");
    }
    // Nobody reads, for certain, and there is nobody to complain to either.
    let script = format!("exec {} show a > /dev/full 2>&1", lease.display());
    let launch = support::Launch::program("/bin/sh").args(["-c", &script]);
    let output = launch.env("LEASE_SOCKET", bench.daemon.socket()).output(LIMIT).await;
    assert_eq!(output.exit.code, Some(69), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_shown_to_others() {
    let bench = Bench::new().await;
    let options = ["--meta", "why=because of =", "--meta", "empty=", "--ttl", "30"];
    let _holder = bench.script(options, "a", "echo up; exec sleep 1000").start();
    let api = bench.daemon.api();
    let lock = support::eventually("the holder", LIMIT, async || {
        let lock = api.get("/v1/locks/a").await.json();
        (lock["held"] == true).then_some(lock)
    })
    .await;
    assert_eq!(lock["holder"]["metadata"], serde_json::json!({"why": "because of =", "empty": ""}));
    assert_eq!(lock["holder"]["ttl"], "30s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_given_back_well_before_its_ttl() {
    let bench = Bench::new().await;
    let begun = std::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(bench.run(["-n", "a", "--", "true"]).output(LIMIT).await.exit.code, Some(0));
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // Given back on purpose, not by a connection that closed.
    let free = bench.daemon.api().get("/v1/locks/a").await.json();
    assert_eq!(free["previous"]["why"], "stopped");
}
