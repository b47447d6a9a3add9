//! Programs are started, watched and signalled.

use std::time::{Duration, Instant};

use support::process::Exit;
use support::{Launch, eventually, python};

const LIMIT: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Launch {
    Launch::program("/bin/sh").args(["-c", script])
}

#[tokio::test]
async fn output_input_and_exit_code_are_caught() {
    let output = shell("cat; echo $A >&2; exit 7").input("in").env("A", "b").output(LIMIT).await;
    assert_eq!(output.exit, Exit { code: Some(7), signal: None });
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("in", "b\n"));
}

#[tokio::test]
async fn lines_are_awaited_and_signals_delivered() {
    let mut process = shell("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done").start();
    assert_eq!(process.line("read", LIMIT).await, "ready");
    process.pause();
    process.sigterm();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(process.running() && process.stdout() == "ready\n");
    process.resume();
    assert_eq!(process.exit(LIMIT).await.code, Some(3));
    assert_eq!(process.stdout(), "ready\nbye\n");
}

#[tokio::test]
async fn an_open_stdin_ends_when_it_is_dropped() {
    let mut process = shell("cat >/dev/null; echo end").open_stdin().start();
    let stdin = process.take_stdin();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(process.running());
    drop(stdin);
    process.line("end", LIMIT).await;
    process.kill9();
    assert!(!process.running());
}

#[tokio::test]
#[should_panic(expected = "in vain for: the impossible")]
async fn waiting_in_vain_says_for_what() {
    eventually("the impossible", Duration::from_millis(20), async || None::<()>).await;
}

#[tokio::test]
async fn a_probe_that_hangs_is_given_up() {
    let begun = Instant::now();
    let wait =
        eventually("nothing", Duration::from_millis(50), async || std::future::pending::<Option<()>>().await);
    assert!(tokio::spawn(wait).await.unwrap_err().is_panic());
    assert!(begun.elapsed() < LIMIT);
}

#[tokio::test]
async fn another_client_is_at_hand() {
    let python = tokio::task::spawn_blocking(python::python).await.unwrap().unwrap();
    let output = Launch::program(python).args(["-c", "import nats.js.kv"]).output(LIMIT).await;
    assert_eq!(output.exit.code, Some(0), "{}", output.stderr);
}
