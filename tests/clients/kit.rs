//! The clients, ready to be started.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use futures_util::future::join_all;
use support::programs::{target_folder, workspace};
use support::{Daemon, Launch, Process, eventually};

use crate::SOON;

/// One of the examples.
#[derive(Clone, Copy, Debug)]
pub enum Client {
    Python,
    Node,
    Go,
    Shell,
}

/// Runs a scenario with all clients at the same time.
pub async fn each<F: Future<Output = ()>>(scenario: impl Fn(Client) -> F) {
    // Building takes its time: not while anything waits.
    LazyLock::force(&GO);
    join_all([Client::Python, Client::Node, Client::Go, Client::Shell].map(scenario)).await;
}

impl Client {
    /// The name of a lock that no other client uses.
    pub fn lock(self) -> String {
        format!("example.{self:?}")
    }

    /// Starts it behind `daemon` with NAME TTL WAIT [again]; its input stays open.
    pub fn start(self, daemon: &Daemon, args: &[&str]) -> Process {
        let folder = workspace().join("lease-daemon/clients");
        let launch = match self {
            Client::Python => Launch::program("python3").arg(folder.join("python/main.py")),
            Client::Node => Launch::program("node").arg(folder.join("node/main.mjs")),
            Client::Go => Launch::program(GO.as_path()),
            Client::Shell => Launch::program(folder.join("shell/main")),
        };
        launch.args(args).env("LEASE_SOCKET", daemon.socket()).open_stdin().start()
    }

    /// As [`start`](Client::start), and waits until it works under its lock; gives the token too.
    pub async fn working(self, daemon: &Daemon, args: &[&str]) -> (Process, u64) {
        let process = self.start(daemon, args);
        let token = token(&process, 0).await;
        (process, token)
    }
}

/// The token that a client worked under after this many earlier ones.
pub async fn token(process: &Process, earlier: usize) -> u64 {
    eventually("a line `held TOKEN`", SOON, async || {
        let output = process.stdout();
        let complete = &output[..=output.rfind('\n')?];
        let token = complete.lines().filter_map(|line| line.strip_prefix("held ")).nth(earlier)?;
        Some(token.parse().unwrap_or_else(|error| panic!("{token}: {error}")))
    })
    .await
}

/// Writes the line at which a client ends its work, waits for its end, and gives the exit code.
pub async fn finish(mut process: Process) -> Option<i32> {
    let mut input = process.take_stdin().unwrap_or_else(|| panic!("its input was taken before"));
    std::io::Write::write_all(&mut input, b"\n").unwrap_or_else(|error| panic!("it does not read: {error}"));
    process.exit(SOON).await.code
}

/// The Go example, built.
static GO: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = target_folder().join("clients");
    let program = folder.join("go-example");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg("./example");
    build.current_dir(workspace().join("lease-daemon/clients/go"));
    // Neither a network nor a home folder is needed.
    build.env("GOPROXY", "off").env("GOCACHE", folder.join("go-cache")).env("GOPATH", folder.join("go-path"));
    let built =
        build.output().unwrap_or_else(|error| panic!("cannot run go: {error}; tests/run installs it"));
    assert!(built.status.success(), "{build:?}: {}", String::from_utf8_lossy(&built.stderr));
    program
});
