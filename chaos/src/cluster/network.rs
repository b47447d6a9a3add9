//! The network of a run: one bridge, and a host (a network namespace) for each server and each worker.
//!
//! ```text
//!                 bridge 10.77.0.1, in the runner's own namespace
//!        ┌──────────┬──────────┼──────────┬──────────┐
//!       n0         n1         n2         w0         w1  …
//!    10.77.1.1  10.77.1.2  10.77.1.3  10.77.2.1  10.77.2.2
//! ```
//!
//! Faults are rules in the namespace of whoever *receives*: a partition that is there in one direction only needs
//! nothing else. Every host has one table, rendered anew from the faults in force whenever one begins or ends, and
//! loaded in one transaction: so faults compose, and the end of one takes nothing from another.
//!
//! Without namespaces there is a proxy on each link in their place, and the same rules befall those: see
//! [`links`](super::links).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::ops::Range;

use super::enclosure;
use super::late::Lateness;
use super::links::Links;
use super::server::PORT;
use crate::shell::{run, run_with};

/// The runner's own address.
pub const RUNNER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// The servers' addresses, where there are namespaces.
pub const SERVERS: &str = "10.77.1.0/24";

/// What befalls packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// What comes from there is dropped.
    Drop {
        /// From where.
        from: Ipv4Addr,
    },
    /// So many of 1,000 packets that come from there are dropped.
    Lossy {
        /// From where.
        from: Ipv4Addr,
        /// How many of 1,000.
        permille: u32,
    },
    /// TCP from there is answered with a reset.
    Reset {
        /// From where.
        from: Ipv4Addr,
    },
    /// What comes from there is late. On links only.
    Late {
        /// From where.
        from: Ipv4Addr,
        /// How late.
        by: Lateness,
    },
    /// At most so many kbit a second come from there. On links only.
    Narrow {
        /// From where.
        from: Ipv4Addr,
        /// How many.
        kbit: u64,
    },
}

impl Rule {
    /// From where.
    pub fn from(&self) -> Ipv4Addr {
        match self {
            Rule::Drop { from }
            | Rule::Lossy { from, .. }
            | Rule::Reset { from }
            | Rule::Late { from, .. }
            | Rule::Narrow { from, .. } => *from,
        }
    }

    /// As nftables reads it.
    fn render(&self) -> Option<String> {
        Some(match self {
            Rule::Drop { from } => format!("ip saddr {from} drop"),
            Rule::Lossy { from, permille } => {
                format!("ip saddr {from} numgen random mod 1000 < {permille} drop")
            }
            Rule::Reset { from } => {
                format!("ip saddr {from} meta l4proto tcp reject with tcp reset")
            }
            Rule::Late { .. } | Rule::Narrow { .. } => return None,
        })
    }
}

/// Hosts, and the rules in force.
#[derive(Debug, Default)]
pub struct Network {
    hosts: BTreeMap<String, Ipv4Addr>,
    /// By fault: at which host, what.
    faults: BTreeMap<u64, Vec<(String, Rule)>>,
    /// Where there are no namespaces.
    links: Option<Links>,
    /// How many servers there is room for.
    slots: usize,
}

impl Network {
    /// Makes the bridge, or finds room for links.
    ///
    /// # Errors
    /// With the command that failed.
    pub async fn make(slots: usize) -> Result<Network, String> {
        if !enclosure::has_namespaces() {
            return Ok(Network { links: Some(Links::make()?), slots, ..Network::default() });
        }
        // A folder of our own to keep the namespaces' names in: the mounts are ours alone.
        if std::fs::create_dir_all("/run/netns").is_err() {
            // In a user namespace `/run` is somebody else's.
            run("mount -t tmpfs tmpfs /run").await?;
            std::fs::create_dir_all("/run/netns").map_err(|error| format!("/run/netns: {error}"))?;
        }
        run("mount -t tmpfs tmpfs /run/netns").await?;
        run("ip link set lo up").await?;
        run("ip link add br0 type bridge").await?;
        run(&format!("ip addr add {RUNNER}/16 dev br0")).await?;
        run("ip link set br0 up").await?;
        Ok(Network { slots, ..Network::default() })
    }

    /// Makes a host of this name and address, at the bridge.
    ///
    /// # Errors
    /// With the command that failed.
    pub async fn host(&mut self, name: &str, address: Ipv4Addr) -> Result<(), String> {
        if let Some(links) = &mut self.links {
            self.hosts.insert(name.to_owned(), address);
            return links.open(name, self.slots).await;
        }
        run(&format!("ip netns add {name}")).await?;
        run(&format!("ip link add v-{name} type veth peer name eth0 netns {name}")).await?;
        run(&format!("ip link set v-{name} master br0 up")).await?;
        run(&inside(name, "ip link set lo up")).await?;
        run(&inside(name, &format!("ip addr add {address}/16 dev eth0"))).await?;
        run(&inside(name, "ip link set eth0 up")).await?;
        self.hosts.insert(name.to_owned(), address);
        self.load(name).await
    }

    /// The address of a server.
    pub fn server(&self, index: usize) -> Ipv4Addr {
        match &self.links {
            Some(links) => links.server(index),
            None => Ipv4Addr::new(10, 77, 1, u8::try_from(index + 1).unwrap_or(u8::MAX)),
        }
    }

    /// The address of a worker.
    pub fn worker(&self, number: u8) -> Ipv4Addr {
        match &self.links {
            Some(links) => links.worker(number),
            None => Ipv4Addr::new(10, 77, 2, number.saturating_add(1)),
        }
    }

    /// What a host dials to reach a server.
    pub fn way(&self, host: &str, server: usize) -> Ipv4Addr {
        match &self.links {
            Some(links) => links.way(host, server),
            None => self.server(server),
        }
    }

    /// What a server says of where it is, if that is not the truth.
    pub fn nowhere(&self, index: usize) -> Option<Ipv4Addr> {
        self.links.as_ref().map(|links| links.nowhere(index))
    }

    /// Each place for a server, as the runner reaches it.
    pub fn servers(&self) -> impl Iterator<Item = String> {
        (0..self.slots).map(|it| format!("nats://{}:{PORT}", self.server(it)))
    }

    /// All places for servers.
    pub fn places(&self) -> Range<usize> {
        0..self.slots
    }

    /// Servers as a host reaches them, for its clients.
    pub fn urls(&self, host: &str, places: Range<usize>) -> String {
        let urls: Vec<String> = places.map(|it| format!("nats://{}:{PORT}", self.way(host, it))).collect();
        urls.join(",")
    }

    /// Whether there is a proxy on each link in place of namespaces.
    pub fn is_by_links(&self) -> bool {
        self.links.is_some()
    }

    /// Puts the rules of a fault in force, each at the host that receives.
    ///
    /// # Errors
    /// With what `nft` said.
    pub async fn begin(&mut self, fault: u64, rules: Vec<(String, Rule)>) -> Result<(), String> {
        if self.is_by_links() && rules.iter().any(|(_, rule)| matches!(rule, Rule::Lossy { .. })) {
            return Err("without namespaces there are no packets to lose: a proxy passes on a stream".into());
        }
        self.faults.insert(fault, rules);
        self.reload(fault).await
    }

    /// Whether any fault has rules at this host.
    pub fn has_rules(&self, host: &str) -> bool {
        self.faults.values().flatten().any(|(at, _)| at == host)
    }

    /// Takes the rules of a fault away.
    ///
    /// # Errors
    /// With what `nft` said.
    pub async fn end(&mut self, fault: u64) -> Result<(), String> {
        let rules = self.faults.get_mut(&fault).map(std::mem::take).unwrap_or_default();
        let hosts = hosts_of(&rules);
        self.faults.remove(&fault);
        for host in hosts {
            self.load(&host).await?;
        }
        Ok(())
    }

    async fn reload(&self, fault: u64) -> Result<(), String> {
        for host in hosts_of(self.faults.get(&fault).map(Vec::as_slice).unwrap_or_default()) {
            self.load(&host).await?;
        }
        Ok(())
    }

    async fn load(&self, host: &str) -> Result<(), String> {
        if let Some(links) = &self.links {
            links.apply(self.faults.values().flatten(), &self.hosts);
            return Ok(());
        }
        let rules = self.faults.values().flatten().filter(|(at, _)| at == host).map(|(_, rule)| rule);
        run_with(&inside(host, "nft -f -"), &table(rules)).await.map(drop)
    }
}

/// A command line, to be run in a host's namespace. Not by `ip netns exec`: that gives each process a copy of all
/// mounts, which would keep a disk in use that was taken away.
pub fn inside(host: &str, line: &str) -> String {
    format!("nsenter --net=/run/netns/{host} {line}")
}

fn hosts_of(rules: &[(String, Rule)]) -> Vec<String> {
    let mut hosts: Vec<String> = rules.iter().map(|(host, _)| host.clone()).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

/// The whole table of one host. `flush` needs it to be there, hence the first line.
fn table<'a>(rules: impl Iterator<Item = &'a Rule>) -> String {
    let mut text = String::from("table inet chaos {}\nflush table inet chaos\ntable inet chaos {\n");
    text.push_str("  chain incoming {\n    type filter hook input priority 0; policy accept;\n");
    for rule in rules.filter_map(Rule::render) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {rule}");
    }
    text.push_str("  }\n}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_the_rules_of_every_fault() {
        let from = Ipv4Addr::new(10, 77, 1, 1);
        let rules = [Rule::Drop { from }, Rule::Lossy { from, permille: 200 }, Rule::Reset { from }];
        let text = table(rules.iter());
        assert!(text.contains("\n    ip saddr 10.77.1.1 drop\n"), "{text}");
        assert!(text.contains("ip saddr 10.77.1.1 numgen random mod 1000 < 200 drop"), "{text}");
        assert!(text.contains("meta l4proto tcp reject with tcp reset"), "{text}");
    }
}
