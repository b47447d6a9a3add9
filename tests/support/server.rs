//! One nats-server process: its configuration, its life, and what it says about itself.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::child::Child;
use crate::http::json_tcp;
use crate::port::Port;

/// A server that is alive answers its monitoring port within this; a stopped one never does.
const ANSWER: Duration = Duration::from_secs(2);

/// What a server is doing, as far as the test has told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Started, and not paused.
    Running,
    /// Stopped by SIGSTOP.
    Paused,
    /// Not started, ended or killed.
    Down,
}

/// Why a server did not start.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Somebody else took one of its ports meanwhile: worth another try with others.
    PortTaken,
    /// Anything else; the text says what.
    Other(String),
}

/// The ports of one server.
#[derive(Debug)]
pub(crate) struct Ports {
    pub client: Port,
    pub monitor: Port,
    pub route: Port,
}

impl Ports {
    pub(crate) fn reserve() -> Ports {
        Ports { client: Port::reserve(), monitor: Port::reserve(), route: Port::reserve() }
    }
}

/// One server of a cluster.
#[derive(Debug)]
pub(crate) struct Server {
    pub name: String,
    binary: PathBuf,
    config: PathBuf,
    log: PathBuf,
    ports: Ports,
    host: String,
    process: Mutex<Option<(Child, bool)>>,
}

impl Server {
    /// A server that is not started yet; its configuration is written to `folder/<name>.conf`.
    pub(crate) fn new(
        name: &str,
        binary: PathBuf,
        folder: PathBuf,
        ports: Ports,
        host: String,
        config: &str,
    ) -> Server {
        let file = |ending: &str| folder.join(format!("{name}.{ending}"));
        let server = Server {
            name: name.to_owned(),
            binary,
            config: file("conf"),
            log: file("log"),
            ports,
            host,
            process: Mutex::new(None),
        };
        fs::write(&server.config, config)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", server.config.display()));
        server
    }

    pub(crate) fn client_address(&self) -> String {
        format!("{}:{}", self.host, self.ports.client.number())
    }

    pub(crate) fn monitor_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.monitor.number())
    }

    pub(crate) fn log(&self) -> &std::path::Path {
        &self.log
    }

    fn process(&self) -> MutexGuard<'_, Option<(Child, bool)>> {
        self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn life(&self) -> Life {
        let mut process = self.process();
        let Some((child, paused)) = process.as_mut() else { return Life::Down };
        match (child.exit(), *paused) {
            (Some(_), _) => Life::Down,
            (None, true) => Life::Paused,
            (None, false) => Life::Running,
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        let mut process = self.process();
        let (child, _) = process.as_mut()?;
        child.exit().is_none().then(|| child.pid())
    }

    /// Starts the process (again), without waiting until it serves.
    pub(crate) fn launch(&self) {
        assert_eq!(self.life(), Life::Down, "{} is started already", self.name);
        let open = || -> io::Result<(Stdio, Stdio)> {
            let log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
            Ok((log.try_clone()?.into(), log.into()))
        };
        let (out, err) =
            open().unwrap_or_else(|error| panic!("cannot write {}: {error}", self.log.display()));
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(&self.config).stdin(Stdio::null()).stdout(out).stderr(err);
        let child = Child::spawn(&mut command)
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.binary.display()));
        *self.process() = Some((child, false));
    }

    pub(crate) fn kill9(&self) {
        *self.process() = None;
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn stop(&self) {
        // Taken out, so that nobody waits for the lock meanwhile.
        let Some((mut child, paused)) = self.process().take() else { return };
        if paused {
            child.resume();
        }
        child.signal(Signal::TERM);
        let exit = child.exit_within(Duration::from_secs(20)).await;
        assert!(exit.is_some(), "{} did not end on SIGTERM; its log: {}", self.name, self.log.display());
    }

    pub(crate) fn pause(&self) {
        if let Some((child, paused)) = self.process().as_mut() {
            child.pause();
            *paused = true;
        }
    }

    pub(crate) fn resume(&self) {
        if let Some((child, paused)) = self.process().as_mut() {
            child.resume();
            *paused = false;
        }
    }

    /// What the monitoring port says at `target`; `None` if the server is not running or does not answer.
    pub(crate) async fn ask(&self, target: &str) -> Option<Value> {
        if self.life() != Life::Running {
            return None;
        }
        json_tcp(&self.monitor_address(), target, ANSWER).await
    }

    /// Whether it says of itself that it serves: clients, JetStream, and every stream and consumer it holds.
    pub(crate) async fn healthy(&self) -> bool {
        self.ask("/healthz").await.is_some_and(|health| health["status"] == "ok")
    }

    /// Waits until it is healthy.
    pub(crate) async fn ready(&self, limit: Duration) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            if self.life() == Life::Down {
                let log = self.log_end();
                return Err(if log.contains("address already in use") {
                    Failure::PortTaken
                } else {
                    Failure::Other(format!("{} ended while starting:\n{log}", self.name))
                });
            }
            if self.healthy().await {
                return Ok(());
            }
            if begun.elapsed() > limit {
                let health = self.ask("/healthz").await;
                let log = self.log_end();
                return Err(Failure::Other(format!(
                    "{} is not healthy after {limit:?}; /healthz says {health:?}; its log {} ends with:\n{log}",
                    self.name,
                    self.log.display()
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The last lines of the log.
    fn log_end(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}
