//! The cluster that is broken: real servers, each a host of its own, in a network of their own.

pub mod disk;
pub mod enclosure;
pub mod late;
pub mod network;
pub mod process;
pub mod server;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use disk::Disk;
use network::Network;
use server::Server;

/// How many servers there are.
pub const SIZE: usize = 3;
/// Generous: it is waited for a condition, and only a cluster that does not come up takes so long.
const LIMIT: Duration = Duration::from_secs(60);

/// The servers, and the network with all hosts in it.
#[derive(Debug)]
pub struct Cluster {
    /// The servers.
    pub servers: Vec<Server>,
    /// The network.
    pub network: Network,
}

impl Cluster {
    /// Makes the network and starts the servers; waits until all are current with an elected leader.
    ///
    /// # Errors
    /// With what does not come up, and where its log is.
    pub async fn start(
        binary: &Path,
        folder: &Path,
        sync_interval: &str,
        with_disks: bool,
    ) -> Result<Cluster, String> {
        let mut network = Network::make().await?;
        let addresses: Vec<Ipv4Addr> = (1..=SIZE as u8).map(|host| Ipv4Addr::new(10, 77, 1, host)).collect();
        let mut servers = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let mut server = Server::new(index, &addresses, binary, folder, sync_interval)?;
            network.host(&server.name, *address).await?;
            if with_disks {
                server.disk = Some(Disk::make(&server.store()).await?);
            }
            server.launch()?;
            servers.push(server);
        }
        let mut cluster = Cluster { servers, network };
        cluster.ready(LIMIT).await.map_err(|why| format!("{why}; see {}/n*.log", folder.display()))?;
        Ok(cluster)
    }

    /// Every server's address, separated by commas.
    pub fn urls(&self) -> String {
        self.servers.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }

    /// Waits until one server leads and all others are current.
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
        for server in &mut self.servers {
            if !server.is_up() {
                return Some(format!("{} is down", server.name));
            }
            let health = server.ask("/healthz").await;
            if health.as_ref().is_none_or(|health| health["status"] != "ok") {
                return Some(format!("{} says {}", server.name, health.unwrap_or_default()));
            }
        }
        let Some((_, meta)) = self.meta().await else { return Some("no meta leader".into()) };
        let others = meta["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
        let all = others.len() + 1 == self.servers.len();
        let current = others.iter().all(|other| other["current"] == true && other["offline"] != true);
        if all && current { None } else { Some(format!("peers are not current: {meta}")) }
    }

    /// Which server says that it is the meta leader, and how it sees the others.
    async fn meta(&self) -> Option<(usize, Value)> {
        for (index, server) in self.servers.iter().enumerate() {
            let Some(mut state) = server.ask("/jsz").await else { continue };
            if state["meta_cluster"]["leader"] == server.name.as_str() {
                return Some((index, state["meta_cluster"].take()));
            }
        }
        None
    }

    /// Which server leads JetStream as a whole, as that server itself says. One look: `None` during an election.
    pub async fn meta_leader(&self) -> Option<usize> {
        self.meta().await.map(|(index, _)| index)
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
                detail["name"] == stream && detail["cluster"]["leader"] == server.name.as_str()
            };
            if streams.any(leads) {
                return Some(index);
            }
        }
        None
    }

    /// Kills the servers and takes their disks away.
    pub async fn finish(&mut self) {
        for server in &mut self.servers {
            server.kill().await;
            if let Some(disk) = &server.disk {
                disk.discard().await;
            }
        }
    }
}
