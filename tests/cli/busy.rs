//! Somebody else holds it: not waiting, waiting a while, waiting in line.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kit::{Bench, LIMIT, send};

#[tokio::test(flavor = "multi_thread")]
async fn busy_is_75_or_what_was_asked_for() {
    let bench = Bench::new().await;
    let _holder = bench.holder("a").await;
    for (options, code, least) in [
        (vec!["-n"], 75, 0),
        (vec!["--nonblock"], 75, 0),
        (vec!["-n", "-E", "0"], 0, 0),
        (vec!["-n", "-E", "3"], 3, 0),
        (vec!["-w", "0"], 75, 0),
        (vec!["-w", "0.4"], 75, 400),
        (vec!["-w", "600ms", "-E", "200"], 200, 600),
    ] {
        let begun = Instant::now();
        let output =
            bench.run(options.clone()).args(["a", "--", "touch"]).arg(bench.file("ran")).output(LIMIT).await;
        assert_eq!(output.exit.code, Some(code), "{options:?}: {}", output.stderr);
        assert!(begun.elapsed() >= Duration::from_millis(least), "{options:?}: {:?}", begun.elapsed());
        assert!(
            output.stderr.starts_with("lease: ") && output.stderr.contains("held by"),
            "{}",
            output.stderr
        );
    }
    assert!(!bench.file("ran").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_lock() {
    let bench = Bench::new().await;
    let mut holder = bench.holder("a").await;
    let token = bench.token("a").await;
    let mut waiter = bench.script(["-v", "-w", "20"], "a", "echo token $LEASE_TOKEN").start();
    bench.waiting("a", 1).await;
    // It tells who is in the way.
    let line = waiter.line("waiting for a", LIMIT).await;
    assert!(line.contains("held by") && line.contains(&token.to_string()), "{line}");
    holder.sigterm();
    assert_eq!(holder.exit(LIMIT).await.code, Some(143));
    assert_eq!(waiter.exit(LIMIT).await.code, Some(0));
    let next: u64 = waiter.stdout().trim().strip_prefix("token ").unwrap().parse().unwrap();
    assert!(next > token);
}

#[tokio::test(flavor = "multi_thread")]
async fn first_come_first_served() {
    let bench = Bench::new().await;
    let mut holder = bench.holder("a").await;
    let mut waiters = Vec::new();
    for place in 0..5 {
        waiters.push(bench.script([], "a", &format!("echo {place} >> $F/order")).start());
        bench.waiting("a", place + 1).await;
    }
    holder.sigterm();
    for waiter in &mut waiters {
        assert_eq!(waiter.exit(LIMIT).await.code, Some(0), "{}", waiter.stderr());
    }
    assert_eq!(bench.read("order"), "0\n1\n2\n3\n4\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_wait_and_leaves_the_line() {
    let bench = Bench::new().await;
    let _holder = bench.holder("a").await;
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2] {
        let mut waiter = bench.script([], "a", "touch $F/ran").start();
        bench.waiting("a", 1).await;
        send(waiter.pid(), signal);
        assert_eq!(
            waiter.exit(LIMIT).await.code,
            Some(128 + signal.as_raw()),
            "{signal:?}: {}",
            waiter.stderr()
        );
        bench.waiting("a", 0).await;
    }
    assert!(!bench.file("ran").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_dies_ends_the_wait() {
    let mut bench = Bench::new().await;
    let _holder = bench.holder("a").await;
    let mut waiter = bench.script([], "a", "touch $F/ran").start();
    bench.waiting("a", 1).await;
    bench.daemon.kill9();
    assert_eq!(waiter.exit(LIMIT).await.code, Some(69), "{}", waiter.stderr());
    assert!(!bench.file("ran").exists());
}
