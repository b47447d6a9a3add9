//! Three real nats-servers, each on a host of its own: a network namespace, joined to the others by a bridge.

pub mod command;
pub mod hosts;
pub mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::Failure;
pub use command::{check_machine, inside, run};
pub use hosts::{Host, Hosts};
pub use server::Server;

/// How many servers there are.
pub const SIZE: usize = 3;
/// Two loaded cores and two rounds of an election take seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// The servers. Dropping it kills them; their files stay in the run's folder.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
}

impl Cluster {
    /// Starts the servers on their hosts, and waits until one leads and the others are current.
    ///
    /// # Errors
    /// If there is no such release, or they do not come up within a minute.
    pub async fn start(hosts: &Hosts, binary: &Path, folder: &Path, extra: &str) -> Result<Cluster, Failure> {
        let all: Vec<&Host> = (0..SIZE).filter_map(|index| hosts.get(&format!("n{index}"))).collect();
        let routes: Vec<String> = all.iter().map(|host| host.address.to_string()).collect();
        let mut servers = Vec::new();
        for host in &all {
            servers.push(Server::new(host, binary, folder, &routes, extra)?);
        }
        let cluster = Cluster { servers };
        for server in &cluster.servers {
            server.launch()?;
        }
        cluster.ready(LIMIT).await?;
        Ok(cluster)
    }

    /// The server called `n0`, `n1`, ….
    pub fn server(&self, index: usize) -> Option<&Server> {
        self.servers.get(index)
    }

    /// All of them.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Every server's address, separated by commas.
    pub fn urls(&self) -> String {
        self.servers.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }

    /// Waits until every server is healthy, one leads, and all others are current.
    ///
    /// # Errors
    /// If that takes longer than `limit`, with the end of the servers' logs.
    pub async fn ready(&self, limit: Duration) -> Result<(), Failure> {
        let begun = Instant::now();
        while !self.is_ready().await {
            if begun.elapsed() > limit {
                let logs: Vec<String> = self.servers.iter().map(Server::log_end).collect();
                let text = format!("the cluster is not ready after {limit:?}:\n{}", logs.join("\n"));
                return Err(Failure::internal(text));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn is_ready(&self) -> bool {
        let mut is_led = false;
        for server in &self.servers {
            if !server.ask("/healthz").await.is_some_and(|health| health["status"] == "ok") {
                return false;
            }
            let Some(state) = server.ask("/jsz").await else { return false };
            let meta = &state["meta_cluster"];
            if meta["leader"] == server.name() {
                let others = meta["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
                let is_current = |it: &Value| it["current"] == true && it["offline"] != true;
                is_led = others.len() + 1 == self.servers.len() && others.iter().all(is_current);
            }
        }
        is_led
    }

    /// Which server leads `stream`, as it says itself at this moment; `None` between two leaders.
    pub async fn leader(&self, stream: &str) -> Option<usize> {
        for (index, server) in self.servers.iter().enumerate() {
            let Some(state) = server.ask("/jsz?accounts=true&streams=true").await else { continue };
            let accounts = state["account_details"].as_array().into_iter().flatten();
            let mut streams =
                accounts.flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
            if streams.any(|it| it["name"] == stream && it["cluster"]["leader"] == server.name()) {
                return Some(index);
            }
        }
        None
    }
}
