//! A NATS cluster of real servers: one or three (or any number) of them, to be killed, paused and brought back.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::binary::{Release, server_binary};
use crate::eventually::eventually;
use crate::folder::Folder;
use crate::run::random_name;
use crate::server::{Failure, Ports, Server};

pub use crate::server::Life;

/// Generous, because it is waited for conditions and only a failing test waits that long. Two loaded cores and two
/// rounds of a leader's election take seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// How to start the servers.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which release.
    pub release: Release,
    /// JetStream's `sync_interval`: `"always"`, or a duration such as `"2m"`. `None` is the server's default.
    pub sync_interval: Option<String>,
    /// More settings of JetStream, separated by commas: `max_file_store: 4MB`.
    pub jetstream: String,
    /// More lines for the configuration file of every server.
    pub extra: String,
    /// Each server at a loopback address of its own, as if on a host of its own: clients reach them at 127.0.0.1,
    /// 127.0.0.2 and so on.
    pub is_spread: bool,
}

/// Messages counted by the servers that run, each since its own start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Received, from clients and from other servers.
    pub received: u64,
    /// Sent, to clients and to other servers.
    pub sent: u64,
}

/// Servers with JetStream on file storage. Dropping it kills them and removes their files; a panicking test keeps the
/// files and prints where they are.
#[derive(Debug)]
pub struct Cluster {
    // Before the folder: processes end first, then their files go.
    servers: Vec<Server>,
    folder: Folder,
}

impl Cluster {
    /// One server with default options, ready to serve.
    pub async fn single() -> Cluster {
        Cluster::start(1, Options::default()).await
    }

    /// Three servers with default options, ready to serve.
    pub async fn three() -> Cluster {
        Cluster::start(3, Options::default()).await
    }

    /// `size` servers, ready to serve: all healthy, and in a cluster all current with an elected leader.
    ///
    /// # Panics
    /// If there is no such nats-server or it does not come up; the message says why.
    pub async fn start(size: usize, options: Options) -> Cluster {
        let binary = server_binary(options.release).unwrap_or_else(|error| panic!("{error}"));
        for _ in 0..5 {
            let folder = Folder::new("nats");
            let name = random_name();
            let ports: Vec<Ports> = (0..size).map(|_| Ports::reserve()).collect();
            let routes: Vec<u16> = ports.iter().map(|ports| ports.route.number()).collect();
            let servers = ports
                .into_iter()
                .enumerate()
                .map(|(index, ports)| {
                    let config = config(index, &name, &ports, &routes, folder.path(), &options);
                    Server::new(
                        &server_name(index),
                        binary.clone(),
                        folder.path().to_path_buf(),
                        ports,
                        host(index, &options),
                        &config,
                    )
                })
                .collect();
            let cluster = Cluster { servers, folder };
            cluster.servers.iter().for_each(Server::launch);
            match cluster.await_ready().await {
                Ok(()) => return cluster,
                Err(Failure::PortTaken) => continue,
                Err(Failure::Other(error)) => panic!("{error}"),
            }
        }
        panic!("five times in a row somebody else took a port between its choice and its use")
    }

    /// How many servers there are, running or not.
    pub fn size(&self) -> usize {
        self.servers.len()
    }

    /// The first server's address, `nats://127.0.0.1:…`.
    pub fn url(&self) -> String {
        self.url_of(0)
    }

    /// Every server's address, separated by commas, as `--nats` takes it.
    pub fn urls(&self) -> String {
        (0..self.size()).map(|index| self.url_of(index)).collect::<Vec<_>>().join(",")
    }

    /// One server's address.
    pub fn url_of(&self, index: usize) -> String {
        format!("nats://{}", self.servers[index].client_address())
    }

    /// Where one server's monitoring port is, `127.0.0.1:…`.
    pub fn monitor_of(&self, index: usize) -> String {
        self.servers[index].monitor_address()
    }

    /// The log of one server.
    pub fn log_of(&self, index: usize) -> &Path {
        self.servers[index].log()
    }

    /// The process id of one server, if it runs or is paused.
    pub fn pid_of(&self, index: usize) -> Option<u32> {
        self.servers[index].pid()
    }

    /// What one server is doing.
    pub fn life_of(&self, index: usize) -> Life {
        self.servers[index].life()
    }

    /// SIGKILL.
    pub fn kill9(&self, index: usize) {
        self.servers[index].kill9();
    }

    /// SIGTERM, and waits for the end of the process.
    pub async fn stop(&self, index: usize) {
        self.servers[index].stop().await;
    }

    /// SIGSTOP: the server hangs, its connections stay.
    pub fn pause(&self, index: usize) {
        self.servers[index].pause();
    }

    /// SIGCONT.
    pub fn resume(&self, index: usize) {
        self.servers[index].resume();
    }

    /// Starts a server that is down, with its old files and ports, without waiting for anything.
    pub fn launch(&self, index: usize) {
        self.servers[index].launch();
    }

    /// Starts a server that is down (one that runs is stopped first), and waits until the whole cluster is ready.
    /// With other servers down or paused as well use [`launch`](Cluster::launch).
    pub async fn restart(&self, index: usize) {
        self.stop(index).await;
        self.launch(index);
        self.ready().await;
    }

    /// SIGTERM for all; waits for their end.
    pub async fn stop_all(&self) {
        for server in &self.servers {
            server.stop().await;
        }
    }

    /// SIGKILL for all.
    pub fn kill9_all(&self) {
        self.servers.iter().for_each(Server::kill9);
    }

    /// Starts every server that is down and waits until the cluster is ready.
    pub async fn start_all(&self) {
        self.servers.iter().filter(|server| server.life() == Life::Down).for_each(Server::launch);
        self.ready().await;
    }

    /// Waits until every server is healthy and, in a cluster, current with the elected leader.
    ///
    /// # Panics
    /// If that takes more than a minute, or a server has ended.
    pub async fn ready(&self) {
        if let Err(failure) = self.await_ready().await {
            panic!("the cluster does not come up: {failure:?}");
        }
    }

    async fn await_ready(&self) -> Result<(), Failure> {
        for server in &self.servers {
            server.ready(LIMIT).await?;
        }
        if self.size() > 1 {
            let what = format!("a leader of {} servers, all current", self.size());
            eventually(what, LIMIT, async || self.all_current().await.then_some(())).await;
        }
        Ok(())
    }

    /// Whether a server says that it leads, and that everybody else is current.
    async fn all_current(&self) -> bool {
        for server in &self.servers {
            let Some(state) = server.ask("/jsz").await else { return false };
            let meta = &state["meta_cluster"];
            if meta["leader"] == server.name.as_str() {
                let others = meta["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
                return others.len() + 1 == self.size()
                    && others.iter().all(|other| other["current"] == true && other["offline"] != true);
            }
        }
        false
    }

    /// Which server leads `stream`, as that server itself says; waits through an election.
    ///
    /// # Panics
    /// If there is none within a minute.
    pub async fn stream_leader(&self, stream: &str) -> usize {
        let what = format!("a leader of the stream {stream}");
        eventually(what, LIMIT, async || {
            for index in 0..self.size() {
                if self.leads(index, stream).await {
                    return Some(index);
                }
            }
            None
        })
        .await
    }

    async fn leads(&self, index: usize, stream: &str) -> bool {
        let server = &self.servers[index];
        let Some(state) = server.ask("/jsz?accounts=true&streams=true").await else { return false };
        let accounts = state["account_details"].as_array().map(Vec::as_slice).unwrap_or_default();
        let details =
            accounts.iter().flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
        details
            .filter(|detail| detail["name"] == stream)
            .any(|detail| self.size() == 1 || detail["cluster"]["leader"] == server.name.as_str())
    }

    /// Asks the leader of `stream` to step down, and waits until another leads. Returns (old, new).
    ///
    /// # Panics
    /// If it refuses, or nobody else leads within a minute.
    pub async fn step_down(&self, stream: &str) -> (usize, usize) {
        let old = self.stream_leader(stream).await;
        let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{stream}");
        let answer = self.request(old, &subject, "").await;
        assert_eq!(answer["success"], true, "{stream} refused to step down: {answer}");
        let what = format!("another leader of the stream {stream} than {}", server_name(old));
        let new = eventually(what, LIMIT, async || {
            Some(self.stream_leader(stream).await).filter(|new| *new != old)
        });
        (old, new.await)
    }

    /// One request over a connection of its own to one server; gives the answer as JSON.
    ///
    /// # Panics
    /// If there is no answer, or it is not JSON.
    pub async fn request(&self, index: usize, subject: &str, payload: &str) -> Value {
        let url = self.url_of(index);
        let client = async_nats::connect(&url)
            .await
            .unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"));
        let answer = client.request(subject.to_owned(), payload.to_owned().into()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{subject} at {url}: {error}"));
        serde_json::from_slice(&answer.payload)
            .unwrap_or_else(|error| panic!("{subject} at {url}: not JSON: {error}"))
    }

    /// How many clients are connected to one server; 0 if it does not answer.
    pub async fn client_count(&self, index: usize) -> u64 {
        self.servers[index].ask("/varz").await.and_then(|state| state["connections"].as_u64()).unwrap_or(0)
    }

    /// Which server a client whose name contains `name` is connected to; the first, if there are several.
    pub async fn server_of_client(&self, name: &str) -> Option<usize> {
        for (index, server) in self.servers.iter().enumerate() {
            let Some(state) = server.ask("/connz?limit=10000").await else { continue };
            let mut clients = state["connections"].as_array().into_iter().flatten();
            if clients.any(|client| client["name"].as_str().is_some_and(|known| known.contains(name))) {
                return Some(index);
            }
        }
        None
    }

    /// Messages so far, over all servers that run. A difference of two readings tells what happened between them,
    /// heartbeats of the cluster itself included.
    pub async fn messages(&self) -> Messages {
        let mut sum = Messages::default();
        for server in &self.servers {
            if let Some(state) = server.ask("/varz").await {
                sum.received += state["in_msgs"].as_u64().unwrap_or(0);
                sum.sent += state["out_msgs"].as_u64().unwrap_or(0);
            }
        }
        sum
    }

    /// The folder that holds configurations, logs and data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Where clients reach a server.
fn host(index: usize, options: &Options) -> String {
    format!("127.0.0.{}", if options.is_spread { index + 1 } else { 1 })
}

fn server_name(index: usize) -> String {
    format!("n{index}")
}

fn config(
    index: usize,
    cluster: &str,
    ports: &Ports,
    routes: &[u16],
    folder: &Path,
    options: &Options,
) -> String {
    let name = server_name(index);
    let store = folder.join(format!("{name}.data"));
    let mut text = format!(
        "server_name: {name}\nlisten: \"{}:{}\"\nhttp: \"127.0.0.1:{}\"\n",
        host(index, options),
        ports.client.number(),
        ports.monitor.number()
    );
    // In quotes: a bare 2m is read as two million seconds.
    let sync = options
        .sync_interval
        .as_ref()
        .map(|every| format!(", sync_interval: \"{every}\""))
        .unwrap_or_default();
    let more = &options.jetstream;
    let _ = writeln!(text, "jetstream {{ store_dir: {:?}{sync}, {more} }}", store.display().to_string());
    if routes.len() > 1 {
        let urls: Vec<String> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let listen = ports.route.number();
        let _ = writeln!(text, "cluster {{\n  name: c{cluster}\n  listen: \"127.0.0.1:{listen}\"");
        let _ = writeln!(text, "  routes: [{}]\n}}", urls.join(", "));
    }
    text.push_str(&options.extra);
    text.push('\n');
    text
}
