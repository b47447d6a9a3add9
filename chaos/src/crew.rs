//! The workers' processes, and the daemons beside them: each member of the crew on a host of its own.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

use crate::clock::now_ns;
use crate::cluster::network::Network;
use crate::cluster::process;
use crate::history::{Line, What};
use crate::recorder::Recorder;
use crate::worker::{Via, Workload};

/// What all members share.
#[derive(Clone, Debug)]
pub struct Camp {
    /// The folder of the run.
    pub folder: PathBuf,
    /// The daemon's program.
    pub daemon: PathBuf,
    /// The ttl of every lock.
    pub ttl_ms: u64,
    /// `libfaketime`, where clocks are to jump.
    pub fake_clock: Option<PathBuf>,
    /// Who writes down what they say.
    pub recorder: Recorder,
}

/// One worker, in all its lives, and its daemon.
#[derive(Debug)]
pub struct Member {
    /// Its host: `w3`. Its lives are `w3`, `w3.1`, `w3.2`.
    pub host: String,
    /// Its present life, or the last one.
    pub name: String,
    /// The name of its daemon: `d3`.
    pub daemon_name: String,
    /// How it gets its locks.
    pub via: Via,
    /// What it does.
    pub workload: Workload,
    /// Whether a fault has it in its hands.
    pub is_busy: bool,
    /// Whether a fault has its daemon in its hands.
    pub is_daemon_busy: bool,
    /// Its host's address.
    pub address: Ipv4Addr,
    /// The servers that it comes to, as its host reaches them.
    urls: String,
    camp: Camp,
    seed: u64,
    lives: u64,
    worker: Option<Worker>,
    daemon: Option<Child>,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
    /// When it came to its end, if the runner knows better than by the end of its output.
    end: Arc<Mutex<End>>,
    reader: JoinHandle<()>,
}

impl Drop for Worker {
    /// Its process is killed with it, and nobody is to wonder why.
    fn drop(&mut self) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).is_expected = true;
    }
}

#[derive(Debug, Default)]
struct End {
    is_expected: bool,
    at_ns: Option<u64>,
}

impl Member {
    /// Makes its host, from where it comes to these places for servers; nothing is started.
    ///
    /// # Errors
    /// If the host cannot be made.
    pub async fn new(
        number: u8,
        (via, workload): (Via, Workload),
        seed: u64,
        (network, doors): (&mut Network, Range<usize>),
        camp: &Camp,
    ) -> Result<Member, String> {
        let host = format!("w{number}");
        let address = network.worker(number);
        network.host(&host, address).await?;
        let urls = network.urls(&host, doors);
        Ok(Member {
            name: host.clone(),
            host,
            daemon_name: format!("d{number}"),
            via,
            workload,
            is_busy: false,
            is_daemon_busy: false,
            address,
            urls,
            camp: camp.clone(),
            seed,
            lives: 0,
            worker: None,
            daemon: None,
        })
    }

    /// Whether it has a daemon.
    pub fn has_daemon(&self) -> bool {
        self.via == Via::Socket
    }

    /// Starts the daemon, if it has one and it is down.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch_daemon(&mut self) -> Result<(), String> {
        if let Some(daemon) = &mut self.daemon {
            if matches!(daemon.try_wait(), Ok(None)) {
                return Ok(());
            }
            // Whoever ends one takes it away from here.
            self.camp.recorder.died(&self.daemon_name);
        }
        if !self.has_daemon() {
            return Ok(());
        }
        let log = process::log(&self.camp.folder.join(format!("{}.log", self.daemon_name)))?;
        let mut command = process::command(&self.host, &self.camp.daemon);
        command.args(["--nats", &self.urls]).arg("--socket").arg(self.socket());
        command.stdout(Stdio::null()).stderr(log);
        self.fake_clock(&mut command);
        self.daemon = Some(command.spawn().map_err(|error| format!("{}: {error}", self.daemon_name))?);
        Ok(())
    }

    /// Starts its next life and tells it to go.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn launch(&mut self) -> Result<(), String> {
        let name = match self.lives {
            0 => self.host.clone(),
            lives => format!("{}.{lives}", self.host),
        };
        self.name.clone_from(&name);
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = process::command(&self.host, &own);
        command
            .arg("worker")
            .args(["--name", &name, "--via", self.via.word(), "--workload", self.workload.word()])
            .args(["--url", &self.urls])
            .args(["--seed", &self.seed.wrapping_add(self.lives).to_string()])
            .args(["--ttl-ms", &self.camp.ttl_ms.to_string()])
            .arg("--socket")
            .arg(self.socket())
            .arg("--registers")
            .arg(self.camp.folder.join("registers.sock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(process::log(&self.camp.folder.join(format!("{}.log", self.host)))?);
        self.fake_clock(&mut command);
        self.lives += 1;
        let mut child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
        let (via, workload) = (self.via.word().into(), self.workload.word().into());
        let pid = child.id().unwrap_or_default();
        let started = What::Started { worker: name.clone(), pid, via, workload };
        self.camp.recorder.say(started).await;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{name} has no pipes"));
        };
        let end = Arc::new(Mutex::new(End::default()));
        let reader = tokio::spawn(read(name, stdout, self.camp.recorder.clone(), Arc::clone(&end)));
        // One that has died by now is noticed at its output's end.
        let _ = stdin.write_all(b"go\n").await;
        self.worker = Some(Worker { child, stdin: Some(stdin), end, reader });
        Ok(())
    }

    /// The wall clock of its processes jumps by so many seconds against the true one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set_clock(&self, seconds: i64) -> Result<(), String> {
        let (file, aside) = (self.clock_file(), self.clock_file().with_extension("next"));
        // In one step: it is read all the time.
        std::fs::write(&aside, format!("{seconds:+}\n"))
            .and_then(|()| std::fs::rename(&aside, &file))
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    fn clock_file(&self) -> PathBuf {
        self.camp.folder.join(format!("{}.clock", self.host))
    }

    fn fake_clock(&self, command: &mut tokio::process::Command) {
        if let Some(library) = &self.camp.fake_clock {
            // One that cannot be written is noticed when the clock is to jump.
            let _ = self.set_clock(0);
            // The clock that deadlines are compared on is asked for past the C library, and so is true.
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME_TIMESTAMP_FILE", self.clock_file())
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("DONT_FAKE_MONOTONIC", "1");
        }
    }

    fn socket(&self) -> PathBuf {
        self.camp.folder.join(format!("{}.sock", self.daemon_name))
    }

    /// SIGKILL. It is stopped first: so it is known at which moment it could do no more, and it is not taken for
    /// alive when its daemon has already noticed its end.
    pub async fn kill(&mut self) {
        let Some(mut worker) = self.worker.take() else { return };
        process::freeze(&worker.child).await;
        if let Ok(mut end) = worker.end.lock() {
            *end = End { is_expected: true, at_ns: Some(now_ns()) };
        }
        process::kill(&mut worker.child).await;
        // It has said its last: the end of its output is there.
        let _ = tokio::time::timeout(Duration::from_secs(5), &mut worker.reader).await;
    }

    /// SIGSTOP or SIGCONT; `false` if it is gone.
    pub async fn pause(&mut self, is_on: bool) -> bool {
        match (&self.worker, is_on) {
            (Some(worker), true) => process::freeze(&worker.child).await,
            (Some(worker), false) => process::send(&worker.child, Signal::CONT),
            (None, _) => false,
        }
    }

    /// SIGKILL for its daemon.
    pub async fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            process::kill(&mut daemon).await;
        }
    }

    /// SIGTERM for its daemon, and waits for its end for so long.
    pub async fn stop_daemon(&mut self, limit: Duration) {
        if let Some(mut daemon) = self.daemon.take() {
            process::send(&daemon, Signal::TERM);
            let _ = tokio::time::timeout(limit, daemon.wait()).await;
            process::kill(&mut daemon).await;
        }
    }

    /// SIGSTOP or SIGCONT for its daemon.
    pub async fn pause_daemon(&mut self, is_on: bool) -> bool {
        match (&self.daemon, is_on) {
            (Some(daemon), true) => process::freeze(daemon).await,
            (Some(daemon), false) => process::send(daemon, Signal::CONT),
            (None, _) => false,
        }
    }

    /// Whether its worker lives.
    pub fn lives(&mut self) -> bool {
        self.worker.as_mut().is_some_and(|worker| matches!(worker.child.try_wait(), Ok(None)))
    }

    /// Tells it to give back what it holds and to end.
    pub async fn tell_stop(&mut self) {
        if let Some(worker) = &mut self.worker {
            if let Ok(mut end) = worker.end.lock() {
                end.is_expected = true;
            }
            if let Some(mut stdin) = worker.stdin.take() {
                let _ = stdin.write_all(b"stop\n").await;
                // Keeping it open is of no use: its end says the same.
            }
        }
    }

    /// Waits for its end for so long; `false` if it had to be killed.
    pub async fn wait_end(&mut self, limit: Duration) -> bool {
        let Some(worker) = &mut self.worker else { return true };
        let ended = tokio::time::timeout(limit, worker.child.wait()).await.is_ok();
        self.kill().await;
        ended
    }
}

/// Hands on what a worker says, and its end.
async fn read(name: String, stdout: ChildStdout, recorder: Recorder, end: Arc<Mutex<End>>) {
    let mut lines = BufReader::new(stdout).lines();
    // One that is cut off by its death is no line.
    while let Ok(Some(text)) = lines.next_line().await {
        match serde_json::from_str::<Line>(&text) {
            Ok(line) => recorder.line(line).await,
            Err(error) => eprintln!("chaos: {name} says what is no line ({error}): {text:.200}"),
        }
    }
    let (is_expected, at_ns) = {
        let end = end.lock().unwrap_or_else(PoisonError::into_inner);
        (end.is_expected, end.at_ns)
    };
    if !is_expected {
        recorder.died(&name);
    }
    let at_ns = at_ns.unwrap_or_else(now_ns);
    recorder.line(Line { at_ns, who: "runner".into(), what: What::Gone { worker: name } }).await;
}

/// Where `libfaketime` is, on Debian.
pub fn fake_clock() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let mut libraries = folders.flatten().map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries.find(|library: &PathBuf| Path::is_file(library))
}
