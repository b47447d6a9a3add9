//! One nats-server on a host of its own.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::http::json_tcp;
use tokio::process::Child;

use super::Order;
use super::disk::Disk;
use super::network::Network;
use super::process;
use super::wall_clock::WallClock;

/// The port for clients, of every server.
pub const PORT: u16 = 4222;
/// The port for other servers.
pub const ROUTES: u16 = 6222;
/// The port where it says how it is.
pub const MONITOR: u16 = 8222;
/// A living server answers in milliseconds.
const ANSWER: Duration = Duration::from_secs(2);

/// A server, running or not.
#[derive(Debug)]
pub struct Server {
    /// Its name, and its host's: `n0`.
    pub name: String,
    /// How many servers were on this host before.
    index: usize,
    generation: u32,
    /// Where it is.
    pub address: Ipv4Addr,
    /// Its disk, where the scenario wants disks to fail.
    pub disk: Option<Disk>,
    binary: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
}

impl Server {
    /// Writes its configuration; nothing is started.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn new(
        (index, generation): (usize, u32),
        size: usize,
        network: &Network,
        order: &Order,
    ) -> Result<Server, String> {
        let name = format!("n{index}");
        let address = network.server(index);
        let file = order.folder.join(format!("{name}.conf"));
        let routes: Vec<Ipv4Addr> =
            (0..size).filter(|other| *other != index).map(|other| network.way(&name, other)).collect();
        let title = title(&name, generation);
        let mut text = config(&title, address, &routes, &order.folder.join(&name), &order.sync_interval);
        if let Some(nowhere) = network.nowhere(index) {
            // Neither clients nor servers are to learn of a way that leads past a link.
            text = text.replace(
                "routes:",
                &format!("no_advertise: true, advertise: \"{nowhere}:{ROUTES}\"\n  routes:"),
            );
        }
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        let (binary, folder) = (order.binary.clone(), order.folder.clone());
        Ok(Server { name, address, disk: None, index, generation, binary, folder, child: None })
    }

    /// What it calls itself: to the cluster it is another one than its predecessors on the same host.
    pub fn title(&self) -> String {
        title(&self.name, self.generation)
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        format!("nats://{}:{PORT}", self.address)
    }

    /// What its monitoring port says to a question such as `/jsz`; `None` if there is no answer, or none that is JSON.
    pub async fn ask(&self, target: &str) -> Option<Value> {
        json_tcp(&format!("{}:{MONITOR}", self.address), target, ANSWER).await
    }

    /// The folder that its data is in.
    pub fn store(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Starts it, with the data it has. Does not wait for anything.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch(&mut self) -> Result<(), String> {
        if self.is_up() {
            return Ok(());
        }
        let log = process::log(&self.folder.join(format!("{}.out", self.name)))?;
        let err = log.try_clone().map_err(|error| error.to_string())?;
        let child = process::command(&self.name, &self.binary)
            .arg("-c")
            .arg(self.folder.join(format!("{}.conf", self.name)))
            .stdout(log)
            .stderr(err)
            .spawn();
        self.child = Some(child.map_err(|error| format!("{}: {error}", self.name))?);
        Ok(())
    }

    /// Its data goes with it: whoever comes next on its host is another one.
    pub fn forget(&self) {
        // Not there: then it is forgotten.
        let _ = std::fs::remove_dir_all(self.store());
    }

    /// The number of its host, and how many servers will have been on it.
    pub fn successor(&self) -> (usize, u32) {
        (self.index, self.generation + 1)
    }

    /// Whether its process is there, at work or paused.
    pub fn is_up(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// A signal; `false` if it is down.
    pub fn signal(&mut self, signal: Signal) -> bool {
        self.is_up() && self.child.as_ref().is_some_and(|child| process::send(child, signal))
    }

    /// SIGSTOP, and waits until it stands still.
    pub async fn freeze(&mut self) -> bool {
        match &self.child {
            Some(child) => process::freeze(child).await,
            None => false,
        }
    }

    /// Its wall clock is wrong by so many seconds from now on, until it ends; 0 sets it right. `false` if it is down.
    ///
    /// # Errors
    /// If that cannot be done to this program.
    pub async fn set_clock(&mut self, seconds: i32) -> Result<bool, String> {
        let pid = if self.is_up() { self.child.as_ref().and_then(Child::id) } else { None };
        let Some(pid) = pid else { return Ok(false) };
        if !self.is_the_program(pid).await {
            return Ok(false);
        }
        let found = tokio::task::spawn_blocking(move || WallClock::of(pid)).await;
        let clock = found.map_err(|error| format!("a server's memory: {error}"))??;
        if !self.freeze().await {
            return Ok(false);
        }
        let set = clock.set(seconds);
        self.signal(Signal::CONT);
        set.map(|()| true)
    }

    /// Whether the process runs the server's program, which one that has just been started does not yet; waits for that for a while.
    async fn is_the_program(&self, pid: u32) -> bool {
        let file = |path: &Path| std::fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
        let running = PathBuf::from(format!("/proc/{pid}/exe"));
        for _ in 0..100 {
            if file(&running).is_some_and(|it| file(&self.binary) == Some(it)) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// SIGKILL, and waits for its end.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::kill(&mut child).await;
        }
    }

    /// Waits for its end for so long, then kills it.
    pub async fn wait_end(&mut self, limit: Duration) {
        if let Some(child) = &mut self.child {
            // Either it has ended, or the kill ends it.
            let _ = tokio::time::timeout(limit, child.wait()).await;
        }
        self.kill().await;
    }
}

fn title(name: &str, generation: u32) -> String {
    if generation == 0 { name.to_owned() } else { format!("{name}-{generation}") }
}

fn config(name: &str, address: Ipv4Addr, routes: &[Ipv4Addr], store: &Path, sync_interval: &str) -> String {
    let mut text = String::new();
    let store = store.display();
    let log = store.to_string();
    let routes: Vec<String> = routes.iter().map(|address| format!("\"nats://{address}:{ROUTES}\"")).collect();
    // Writing to a string cannot fail. In quotes: a bare 2m is read as two million seconds.
    let _ = writeln!(text, "server_name: {name}\nlisten: \"{address}:{PORT}\"");
    let _ = writeln!(text, "http: \"{address}:{}\"", MONITOR);
    let _ = writeln!(text, "log_file: \"{log}.log\"\nlogtime: true");
    let _ = writeln!(text, "jetstream {{ store_dir: \"{store}\", sync_interval: \"{sync_interval}\" }}");
    // The shortest that the server takes is 30 s; clients are told to go within the grace period and the rest.
    let _ = writeln!(text, "lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"1s\"");
    let _ = writeln!(text, "cluster {{\n  name: chaos\n  listen: \"{address}:{ROUTES}\"");
    let _ = writeln!(text, "  routes: [{}]\n}}", routes.join(", "));
    let _ = writeln!(text, "accounts {{ SYS: {{ users: [{{user: sys, password: sys}}] }},");
    let _ = writeln!(text, "  A: {{ jetstream: enabled, users: [{{user: any, password: any}}] }} }}");
    let _ = writeln!(text, "system_account: SYS\nno_auth_user: any");
    text
}
