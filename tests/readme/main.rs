//! Every example of the README works as it is written. (The Rust one is compiled by the library's doc tests.)

use std::time::Duration;

use support::{Daemon, Launch, Process};

const LIMIT: Duration = Duration::from_secs(20);

/// The fenced blocks of one language, in order.
fn blocks(language: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(support::programs::workspace().join("README.md")).expect("a README");
    let mut blocks = Vec::new();
    let mut inside: Option<(bool, String)> = None;
    for line in readme.lines() {
        match (&mut inside, line.strip_prefix("```")) {
            (None, Some(info)) => inside = Some((info == language, String::new())),
            (Some((wanted, text)), Some(_)) => {
                if *wanted {
                    blocks.push(std::mem::take(text));
                }
                inside = None;
            }
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Runs a block as a person would, with the daemon's socket and our programs on the path.
fn shell(daemon: &Daemon, text: &str) -> Process {
    let path = format!(
        "{}:{}",
        support::programs::profile_folder().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    // bash becomes the one command of a block, so that killing it kills that.
    Launch::program("bash").args(["-c", text]).env("PATH", path).env("LEASE_SOCKET", daemon.socket()).start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_examples_work() {
    support::programs::program("lease");
    let daemon = Daemon::start([] as [&str; 0]).await;
    let examples = blocks("sh");
    let [curl, script, lines] = examples.as_slice() else {
        panic!("three shell examples, not {}", examples.len())
    };

    let mut holding = shell(&daemon, curl);
    holding.line("\"event\":\"held\"", LIMIT).await;
    let seen = daemon.api().get("/v1/locks/orders.42").await.expect(200).json();
    assert_eq!(seen["held"], true, "{seen}");
    holding.kill9();
    support::eventually("released at once", LIMIT, || async {
        (daemon.api().get("/v1/locks/orders.42").await.json()["held"] == false).then_some(())
    })
    .await;

    let mut holding = shell(&daemon, &format!("{script}\nsleep 100"));
    holding.line("\"lease\":", LIMIT).await;
    assert_eq!(daemon.api().get("/v1/locks/nightly").await.json()["held"], true);
    holding.kill9();
    support::eventually("it dies with the script", LIMIT, || async {
        (daemon.api().get("/v1/locks/nightly").await.json()["held"] == false).then_some(())
    })
    .await;

    let mut running = shell(&daemon, lines);
    running.line("I hold orders.42 with token 1", LIMIT).await;
    let exit = running.exit(LIMIT).await;
    assert_eq!(exit.code, Some(0), "{}", running.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_of_the_readme_runs_one_at_a_time() {
    let daemon = Daemon::start([] as [&str; 0]).await;
    let console = blocks("console").concat();
    let run =
        console.lines().find_map(|line| line.split_once("--bin lease -- ")).expect("the second command").1;
    let mut running = shell(&daemon, &format!("lease {run}"));
    running.line("one at a time", LIMIT).await;
    assert_eq!(running.exit(LIMIT).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_prints_a_line_that_works() {
    let mut daemon = Daemon::start([] as [&str; 0]).await;
    let line = daemon.process().line("curl", LIMIT).await;
    let command = line.trim().trim_start_matches("$ ").to_owned();
    let command = command.find("curl").map(|at| command[at..].to_owned()).expect("a curl command");
    let trying = shell(&daemon, &command);
    trying.line("\"token\":", LIMIT).await;
}
