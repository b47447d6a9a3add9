//! The workers' processes, and the daemons of those that go through a socket.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;
use support::child::Child;
use support::programs::profile_folder;

use crate::cluster::{Hosts, inside};
use crate::failure::Failure;
use crate::history::What;
use crate::scenario::{Crew, Scenario};
use crate::sink::Sink;
use crate::worker::Via;

/// The number of the first operation of a worker's second process, and so on.
const OPS: u64 = 100_000;

/// What all workers are told.
#[derive(Clone, Debug)]
pub struct Common {
    /// The servers.
    pub urls: String,
    /// The registers.
    pub register: String,
    /// The seed.
    pub seed: u64,
    /// Of how many names they choose.
    pub names: u64,
    /// The ttl in milliseconds.
    pub ttl_ms: u64,
    /// Where logs go.
    pub logs: PathBuf,
    /// Where sockets go.
    pub sockets: PathBuf,
}

/// One worker, with its daemon if it has one.
#[derive(Debug)]
pub struct Member {
    /// `w3`.
    pub name: String,
    /// `d3`.
    pub daemon_name: Option<String>,
    crew: Crew,
    namespace: String,
    common: Common,
    worker: Mutex<Running>,
    daemon: Mutex<Option<Child>>,
}

#[derive(Debug, Default)]
struct Running {
    lives: u64,
    child: Option<Child>,
    stdin: Option<ChildStdin>,
    reader: Option<JoinHandle<()>>,
}

/// Everybody who works in a scenario, not started yet.
///
/// # Errors
/// If there is no host for one.
pub fn members(scenario: &Scenario, hosts: &Hosts, common: &Common) -> Result<Vec<Member>, Failure> {
    let all = scenario.crews.iter().flat_map(|crew| std::iter::repeat_n(*crew, crew.size));
    let member = |(index, crew): (usize, Crew)| {
        let name = format!("w{index}");
        let host = hosts.get(&name).ok_or_else(|| Failure::internal(format!("no host for {name}")))?;
        Ok(Member {
            daemon_name: (crew.via == Via::Socket).then(|| format!("d{index}")),
            name,
            crew,
            namespace: host.namespace.clone(),
            common: common.clone(),
            worker: Mutex::default(),
            daemon: Mutex::default(),
        })
    };
    all.enumerate().map(member).collect()
}

impl Member {
    fn worker(&self) -> MutexGuard<'_, Running> {
        self.worker.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn daemon(&self) -> MutexGuard<'_, Option<Child>> {
        self.daemon.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn socket(&self) -> PathBuf {
        self.common.sockets.join(format!("{}.sock", self.name))
    }

    fn log(&self, name: &str) -> Result<File, Failure> {
        let path = self.common.logs.join(format!("{name}.log"));
        Ok(OpenOptions::new().create(true).append(true).open(path)?)
    }

    /// Starts its daemon, if it has one.
    ///
    /// # Errors
    /// If the program is not there or cannot be started.
    pub fn start_daemon(&self) -> Result<(), Failure> {
        let Some(name) = &self.daemon_name else { return Ok(()) };
        let program = profile_folder().join("lease-daemon");
        if !program.is_file() {
            let text = format!("{} is missing: build the package lease-daemon first", program.display());
            return Err(Failure::unavailable(text));
        }
        let mut command = inside(&self.namespace, program);
        command.args(["--nats", &self.common.urls, "--socket"]).arg(self.socket());
        command.env_remove("LEASE_SOCKET").stdin(Stdio::null());
        command.stdout(self.log(name)?).stderr(self.log(name)?);
        *self.daemon() = Some(Child::spawn(&mut command)?);
        Ok(())
    }

    /// Starts its worker, after the one before has gone.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_worker(&self, sink: &Arc<Sink>) -> Result<(), Failure> {
        let mut running = self.worker();
        let common = &self.common;
        // This very program, also if another was built in its place meanwhile.
        let exe = format!("/proc/{}/exe", std::process::id());
        let (via, workload) = (self.crew.via.name(), self.crew.workload.name());
        let mut command = inside(&self.namespace, exe);
        command.args(["worker", "--name", &self.name, "--workload", workload, "--via", via]);
        command
            .args(["--url", &common.urls, "--register", &common.register])
            .arg("--socket")
            .arg(self.socket());
        let number = |name: &str, value: u64| [format!("--{name}"), value.to_string()];
        // Another life chooses otherwise, but the same in each run.
        command.args(number("seed", common.seed.wrapping_add(running.lives)));
        command.args(number("names", common.names)).args(number("ttl-ms", common.ttl_ms));
        command.args(number("first-op", running.lives * OPS + 1));
        let (reading, writing) = std::io::pipe()?;
        command.stdin(Stdio::piped()).stdout(writing).stderr(self.log(&self.name)?);
        let mut child = Child::spawn(&mut command)?;
        // It holds the writing end of the pipe, whose end is the worker's.
        drop(command);
        sink.runner(What::Started {
            worker: self.name.clone(),
            pid: child.pid(),
            via: via.into(),
            workload: workload.into(),
        });
        running.lives += 1;
        running.stdin = child.take_stdin();
        running.child = Some(child);
        let (sink, name) = (Arc::clone(sink), self.name.clone());
        running.reader = Some(std::thread::spawn(move || {
            for line in BufReader::new(reading).lines() {
                let Ok(line) = line else { break };
                sink.worker(&line);
            }
            sink.runner(What::Gone { worker: name });
        }));
        Ok(())
    }

    /// SIGKILL to the worker; its last lines have been written when this returns.
    pub fn kill_worker(&self) {
        let mut running = self.worker();
        running.child = None;
        running.stdin = None;
        if let Some(reader) = running.reader.take() {
            // A panic of it has been printed.
            let _ = reader.join();
        }
    }

    /// SIGSTOP or SIGCONT to the worker.
    pub fn pause_worker(&self, is_paused: bool) {
        if let Some(child) = &mut self.worker().child {
            if is_paused { child.pause() } else { child.resume() }
        }
    }

    /// SIGKILL to the daemon.
    pub fn kill_daemon(&self) {
        *self.daemon() = None;
    }

    /// SIGSTOP or SIGCONT to the daemon.
    pub fn pause_daemon(&self, is_paused: bool) {
        if let Some(child) = &mut *self.daemon() {
            if is_paused { child.pause() } else { child.resume() }
        }
    }

    /// Whether the worker has ended though nobody wanted it to.
    pub fn has_ended(&self) -> bool {
        self.worker().child.as_mut().is_some_and(|child| child.exit().is_some())
    }

    /// Tells the worker to stop; does not wait.
    pub fn tell_to_stop(&self) {
        if let Some(mut stdin) = self.worker().stdin.take() {
            // Whoever has gone does not hear it.
            let _ = stdin.write_all(b"stop\n");
        }
    }

    /// Waits until the worker has stopped, and stops the daemon then; kills whoever needs longer.
    pub async fn end(&self, limit: Duration) {
        let child = self.worker().child.take();
        if let Some(mut child) = child
            && child.exit_within(limit).await.is_none()
        {
            eprintln!("chaos: {} did not stop within {limit:?} and is killed", self.name);
        }
        self.kill_worker();
        let daemon = self.daemon().take();
        if let Some(mut daemon) = daemon {
            daemon.signal(Signal::TERM);
            let _ = daemon.exit_within(Duration::from_secs(10)).await;
        }
    }
}

/// Waits until the sockets of all daemons are there.
///
/// # Errors
/// If one is not within 20 s.
pub async fn await_sockets(members: &[Member]) -> Result<(), Failure> {
    let sockets: Vec<PathBuf> =
        members.iter().filter(|it| it.daemon_name.is_some()).map(Member::socket).collect();
    for _ in 0..400 {
        if sockets.iter().all(|socket| Path::exists(socket)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Failure::internal("a daemon did not make its socket within 20 s; see logs/d*.log"))
}
