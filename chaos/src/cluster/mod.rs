//! The cluster that is broken: real servers, each a host of its own, in a network of their own.

pub mod disk;
pub mod enclosure;
pub mod late;
pub mod link;
pub mod links;
pub mod network;
pub mod process;
pub mod routes;
pub mod server;
mod wall_clock;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use disk::Disk;
use network::{Network, SERVERS, inside};
use server::Server;

use crate::shell::run;

/// How many servers there are.
pub const SIZE: usize = 3;
/// Generous: it is waited for a condition, and only a cluster that does not come up takes so long.
const LIMIT: Duration = Duration::from_secs(60);

/// What servers are started with.
#[derive(Clone, Debug)]
pub struct Order {
    /// The nats-server program.
    pub binary: PathBuf,
    /// Where everything goes.
    pub folder: PathBuf,
    /// Their `sync_interval`.
    pub sync_interval: String,
    /// Whether there is room for one more.
    pub has_spare: bool,
}

/// The servers, and the network with all hosts in it.
#[derive(Debug)]
pub struct Cluster {
    /// The servers.
    pub servers: Vec<Server>,
    /// One more: for the whole run, or while it is about to replace one of them.
    pub newcomer: Option<Server>,
    /// Where there is room for that: the number of a host, and how many were on it.
    spare: Option<(usize, u32)>,
    order: Order,
    /// The network.
    pub network: Network,
}

impl Cluster {
    /// Makes the network and starts the servers; waits until all are current with an elected leader.
    ///
    /// # Errors
    /// With what does not come up, and where its log is.
    pub async fn start(order: Order, with_disks: bool) -> Result<Cluster, String> {
        let slots = if order.has_spare { SIZE + 1 } else { SIZE };
        let mut network = Network::make(slots).await?;
        let mut servers = Vec::new();
        for index in 0..SIZE {
            let mut server = Server::new((index, 0), slots, &network, &order)?;
            network.host(&server.name, server.address).await?;
            if with_disks {
                server.disk = Some(Disk::make(&server.store()).await?);
            }
            server.launch()?;
            servers.push(server);
        }
        let spare = order.has_spare.then_some((SIZE, 0));
        if let Some((index, _)) = spare {
            network.host(&format!("n{index}"), network.server(index)).await?;
        }
        let folder = order.folder.clone();
        let mut cluster = Cluster { servers, newcomer: None, spare, order, network };
        cluster.ready(LIMIT).await.map_err(|why| format!("{why}; see {}/n*.log", folder.display()))?;
        Ok(cluster)
    }

    /// The servers, and the one that is about to be one of them.
    pub fn all(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().chain(&self.newcomer)
    }

    /// Whether one more server could join.
    pub fn has_room(&self) -> bool {
        self.order.has_spare
    }

    /// One more server is started; it is waited for by [`ready`](Cluster::ready).
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn join(&mut self) -> Result<(), String> {
        let Some((index, generation)) = self.spare.take() else {
            return Err("the spare host is taken".into());
        };
        let mut server = Server::new((index, generation), SIZE + 1, &self.network, &self.order)?;
        server.launch()?;
        self.newcomer = Some(server);
        Ok(())
    }

    /// The newcomer takes the place of a server that has left, whose host is free now.
    ///
    /// # Errors
    /// If there is no newcomer.
    pub async fn succeed(&mut self, old: usize) -> Result<(), String> {
        let (Some(new), Some(place)) = (self.newcomer.take(), self.servers.get_mut(old)) else {
            return Err("there is nobody to succeed".into());
        };
        let mut old = std::mem::replace(place, new);
        old.kill().await;
        old.forget();
        self.spare = Some(old.successor());
        Ok(())
    }

    /// Every server's address, separated by commas.
    pub fn urls(&self) -> String {
        self.servers.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }

    /// Waits until all servers reach each other, one leads and all others are current, and no connection between servers
    /// stands still.
    ///
    /// # Errors
    /// With what was seen last.
    pub async fn ready(&mut self, limit: Duration) -> Result<(), String> {
        let until = Instant::now() + limit;
        loop {
            let seen = self.seen().await;
            if seen.is_none() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!(
                    "the cluster is not ready after {limit:?}: {}",
                    seen.unwrap_or_default()
                ));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What is still missing; `None` if nothing.
    async fn seen(&mut self) -> Option<String> {
        for server in self.servers.iter_mut().chain(&mut self.newcomer) {
            if !server.is_up() {
                return Some(format!("{} is down", server.name));
            }
            let health = server.ask("/healthz").await;
            if health.as_ref().is_none_or(|health| health["status"] != "ok") {
                return Some(format!("{} says {}", server.name, health.unwrap_or_default()));
            }
        }
        for server in self.all() {
            let routes = server.ask("/routez").await.unwrap_or_default();
            let routes = routes["routes"].as_array().map(Vec::as_slice).unwrap_or_default();
            let reaches = |other: &&Server| {
                other.name == server.name
                    || routes.iter().any(|route| route["remote_name"] == other.title().as_str())
            };
            // One may take a connection for alive that the other has lost, and refuse a new one.
            if let Some(other) = self.all().find(|other| !reaches(other)) {
                return Some(format!("{} has no route to {}", server.name, other.name));
            }
        }
        let Some((_, meta)) = self.meta().await else { return Some("no meta leader".into()) };
        let others = meta["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
        let all = others.len() + 1 == self.all().count();
        let current = others.iter().all(|other| other["current"] == true && other["offline"] != true);
        if !(all && current) {
            return Some(format!("peers are not current: {meta}"));
        }
        self.standstill().await
    }

    /// A connection between servers on which what was lost has not been sent again yet: that waits twice as long each time,
    /// up to two minutes, however well the network is by then. Routes are several connections, so the servers' own
    /// questions may pass where clients' messages do not.
    async fn standstill(&self) -> Option<String> {
        if self.network.is_by_links() {
            return None;
        }
        for server in self.all() {
            let shown = run(&inside(&server.name, &format!("ss -Htin dst {SERVERS}"))).await;
            match shown {
                Ok(shown) if shown.contains(" backoff:") => {
                    return Some(format!("{} has yet to send again what was lost on the way", server.name));
                }
                Ok(_) => {}
                Err(why) => return Some(why),
            }
        }
        None
    }

    /// Which server says that it is the meta leader, and how it sees the others.
    async fn meta(&self) -> Option<(usize, Value)> {
        for (index, server) in self.all().enumerate() {
            let Some(mut state) = server.ask("/jsz").await else { continue };
            if state["meta_cluster"]["leader"] == server.title().as_str() {
                return Some((index, state["meta_cluster"].take()));
            }
        }
        None
    }

    /// Which server leads JetStream as a whole, as that server itself says. One look: `None` during an election.
    pub async fn meta_leader(&self) -> Option<usize> {
        // The newcomer is nobody's victim.
        self.meta().await.map(|(index, _)| index).filter(|index| *index < self.servers.len())
    }

    /// Which server leads a stream, as that server itself says. One look: `None` during an election.
    pub async fn stream_leader(&self, stream: &str) -> Option<usize> {
        for (index, server) in self.servers.iter().enumerate() {
            let Some(state) = server.ask("/jsz?accounts=true&streams=true").await else {
                continue;
            };
            let accounts = state["account_details"].as_array().into_iter().flatten();
            let mut streams =
                accounts.flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
            let leads = |detail: &Value| {
                detail["name"] == stream && detail["cluster"]["leader"] == server.title().as_str()
            };
            if streams.any(leads) {
                return Some(index);
            }
        }
        None
    }

    /// Kills the servers and takes their disks away.
    pub async fn finish(&mut self) {
        for server in self.servers.iter_mut().chain(&mut self.newcomer) {
            server.kill().await;
            if let Some(disk) = &server.disk {
                disk.discard().await;
            }
        }
    }
}
