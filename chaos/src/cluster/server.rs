//! One nats-server: its configuration, its process, and what it says about itself.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::child::Child;
use support::http::json_tcp;

use super::command::inside;
use super::hosts::Host;
use crate::failure::Failure;

const CLIENTS: u16 = 4222;
const ROUTES: u16 = 6222;
const MONITOR: u16 = 8222;
/// One that lives answers within this; one that stands still never does.
const ANSWER: Duration = Duration::from_secs(1);

/// A server on its host.
#[derive(Debug)]
pub struct Server {
    name: String,
    namespace: String,
    address: Ipv4Addr,
    binary: PathBuf,
    config: PathBuf,
    log: PathBuf,
    process: Mutex<Option<Child>>,
}

impl Server {
    pub(super) fn new(
        host: &Host,
        binary: &Path,
        folder: &Path,
        routes: &[String],
        extra: &str,
    ) -> Result<Server, Failure> {
        let logs = folder.join("logs");
        fs::create_dir_all(&logs)?;
        let server = Server {
            name: host.name.clone(),
            namespace: host.namespace.clone(),
            address: host.address,
            binary: binary.to_path_buf(),
            config: folder.join(format!("{}.conf", host.name)),
            log: logs.join(format!("{}.log", host.name)),
            process: Mutex::new(None),
        };
        let data = folder.join(format!("{}.data", host.name));
        fs::write(&server.config, config(&server, &data, routes, extra))?;
        Ok(server)
    }

    /// `n0`, ….
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://{}:{CLIENTS}", self.address)
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Starts it, unless it runs, with its old files. Does not wait until it serves.
    ///
    /// # Errors
    /// If the process cannot be made.
    pub fn launch(&self) -> Result<(), Failure> {
        let mut process = self.process();
        if process.as_mut().is_some_and(|child| child.exit().is_none()) {
            return Ok(());
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = inside(&self.namespace, &self.binary);
        command.arg("--config").arg(&self.config).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        *process = Some(Child::spawn(&mut command)?);
        Ok(())
    }

    /// SIGKILL.
    pub fn kill9(&self) {
        *self.process() = None;
    }

    /// SIGTERM; waits for the end, and kills it after `limit`.
    pub async fn stop(&self, limit: Duration) {
        // Taken out, so that nobody waits for the lock meanwhile.
        let Some(mut child) = self.process().take() else { return };
        child.signal(Signal::CONT);
        child.signal(Signal::TERM);
        let _ = child.exit_within(limit).await;
    }

    /// SIGSTOP: it hangs, its connections stay.
    pub fn pause(&self) {
        if let Some(child) = self.process().as_mut() {
            child.pause();
        }
    }

    /// SIGCONT.
    pub fn resume(&self) {
        if let Some(child) = self.process().as_mut() {
            child.resume();
        }
    }

    /// What its monitoring port says; `None` if it does not answer within a second.
    pub async fn ask(&self, target: &str) -> Option<Value> {
        json_tcp(&format!("{}:{MONITOR}", self.address), target, ANSWER).await
    }

    pub(super) fn log_end(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n")
    }
}

fn config(server: &Server, data: &Path, routes: &[String], extra: &str) -> String {
    let (name, address) = (&server.name, server.address);
    let mut text = format!(
        "server_name: {name}\nlisten: \"{address}:{CLIENTS}\"\nhttp: \"{address}:{MONITOR}\"\n\
         jetstream {{ store_dir: {:?}, sync_interval: always, max_file_store: 1GB }}\n",
        data.display().to_string()
    );
    let urls: Vec<String> = routes.iter().map(|it| format!("\"nats://{it}:{ROUTES}\"")).collect();
    let _ = writeln!(text, "cluster {{\n  name: chaos\n  listen: \"{address}:{ROUTES}\"");
    let _ = writeln!(text, "  routes: [{}]\n}}\n{extra}", urls.join(", "));
    text
}
