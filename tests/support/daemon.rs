//! A `lease-daemon` of a test, on a socket of its own.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::eventually::eventually;
use crate::folder::Folder;
use crate::http::Api;
use crate::process::{Launch, Process};

/// How long it may take until it says that it is ready; with a cluster in an election that is seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// A running daemon. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    args: Vec<OsString>,
    socket: PathBuf,
    _folder: Folder,
}

impl Daemon {
    /// Starts one with these arguments and a socket of its own, and waits until `/readyz` answers 200.
    ///
    /// # Panics
    /// If it does not get ready, with what it has written.
    pub async fn start<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Daemon {
        let mut daemon = Daemon::launch(args);
        daemon.ready().await;
        daemon
    }

    /// As [`start`](Daemon::start), without waiting.
    pub fn launch<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Daemon {
        let folder = Folder::new("socket");
        let socket = folder.join("lease.sock");
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let process = launch(&args, &socket);
        Daemon { process, args, socket, _folder: folder }
    }

    /// Waits until `/readyz` answers 200.
    pub async fn ready(&mut self) {
        let api = self.api();
        let process = &mut self.process;
        let ready = tokio::time::timeout(LIMIT, async {
            eventually("the daemon's /readyz", LIMIT * 2, async || {
                if !process.running() {
                    return Some(false);
                }
                let answer = api.try_send("GET", "/readyz", "").await.ok()?;
                (answer.status == 200).then_some(true)
            })
            .await
        })
        .await;
        assert!(
            ready == Ok(true),
            "lease-daemon is not ready ({ready:?}); it wrote:\n{}",
            self.process.stderr()
        );
    }

    /// Starts it again on the same socket, after killing it if it still runs, and waits until it is ready.
    pub async fn restart(&mut self) {
        self.process.kill9();
        self.process = launch(&self.args, &self.socket);
        self.ready().await;
    }

    /// Its API.
    pub fn api(&self) -> Api {
        Api::new(&self.socket)
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `lease`, set up to talk to it.
    pub fn lease(&self) -> Launch {
        Launch::lease().env("LEASE_SOCKET", &self.socket)
    }

    /// The process, for signals and output.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// SIGKILL, and waits for its end.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }
}

fn launch(args: &[OsString], socket: &Path) -> Process {
    Launch::daemon().arg("--socket").arg(socket).args(args).start()
}
