//! What these tests share: a daemon, a folder, and commands that leave traces in it.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::{Daemon, Folder, Launch, Process, eventually};

/// Longer than anything takes that is not waited for on purpose; two loaded cores included.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A folder, and a daemon on the embedded store or on NATS.
#[derive(Debug)]
pub struct Bench {
    pub daemon: Daemon,
    pub folder: Folder,
}

impl Bench {
    /// A daemon on the embedded store.
    pub async fn new() -> Bench {
        Bench::on::<&str>([]).await
    }

    /// A daemon with these arguments.
    pub async fn on<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Bench {
        Bench { daemon: Daemon::start(args).await, folder: Folder::new("cli") }
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What is in a file of the folder; empty if it is not there.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Waits until a file of the folder has this in it.
    #[track_caller]
    pub fn wrote(&self, name: &str, text: &str) -> impl Future<Output = ()> {
        let (file, text) = (self.file(name), text.to_owned());
        eventually(format!("{text:?} in {}", file.display()), LIMIT, async move || {
            std::fs::read_to_string(&file).is_ok_and(|found| found.contains(&text)).then_some(())
        })
    }

    /// `lease run`, with these words behind it. Scripts find the folder in `$F`.
    pub fn run<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Launch {
        self.daemon.lease().env("F", self.folder.path()).arg("run").args(words)
    }

    /// `lease run OPTIONS NAME -- sh -c SCRIPT`.
    pub fn script<'a>(&self, options: impl IntoIterator<Item = &'a str>, name: &str, script: &str) -> Launch {
        self.run(options).args([name, "--", "sh", "-c", script])
    }

    /// Starts a holder of `name` that holds until it is signalled, and waits until it holds.
    pub async fn holder(&self, name: &str) -> Process {
        let held = format!("held.{name}");
        let holder = self.script([], name, &format!("echo yes > $F/{held}; exec sleep 1000")).start();
        self.wrote(&held, "yes").await;
        holder
    }

    /// Waits until as many wait in line for `name`.
    pub async fn waiting(&self, name: &str, count: usize) {
        let api = self.daemon.api();
        let target = format!("/v1/locks/{name}");
        eventually(format!("{count} in line for {name}"), LIMIT, async || {
            let lock = api.get(&target).await.json();
            (lock["waiters"].as_array().map_or(0, Vec::len) == count).then_some(())
        })
        .await;
    }

    /// The token under which `name` is held now; 0 if it is free.
    pub async fn token(&self, name: &str) -> u64 {
        self.daemon.api().get(&format!("/v1/locks/{name}")).await.json()["token"].as_u64().unwrap_or(0)
    }
}

/// Sends a signal to a process.
pub fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Whether a process with this id is there and is not a zombie.
pub fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
    })
}

/// Waits until a process has gone.
#[track_caller]
pub fn gone(pid: u32, limit: Duration) -> impl Future<Output = ()> {
    eventually(format!("the end of process {pid}"), limit, async move || (!alive(pid)).then_some(()))
}
