//! All links of a run without namespaces: each host that dials has an address of its own for each server.
//!
//! ```text
//!   127.R.1.1 … 1.4    the servers n0 … n3 themselves (the runner dials them straight)
//!   127.R.11.2         what n0 dials to reach n1; 127.R.12.1 what n1 dials to reach n0
//!   127.R.20.1 … 20.3  what w0 dials to reach n0 … n2
//!   127.R.9.1 … 9.4    what servers say of where they are: nobody is there, so no gossip leads past a link
//! ```
//!
//! All of 127.0.0.0/8 is this machine's own, so that takes no rights. `R` is this run's alone.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::link::{Fate, Link, Way};
use super::network::Rule;
use super::server::{MONITOR, PORT, ROUTES};

/// Held by the run that has this `R`.
const RESERVED: u16 = 4_221;

/// The links, by who dials and which server.
#[derive(Debug)]
pub struct Links {
    net: u8,
    _reservation: TcpListener,
    links: BTreeMap<(String, String), Link>,
}

impl Links {
    /// Finds addresses that nobody uses.
    ///
    /// # Errors
    /// If there are none; if somebody else has a port of the servers' on all addresses, as a nats-server without settings
    /// does.
    pub fn make() -> Result<Links, String> {
        for net in 77..=250 {
            let Ok(reservation) = TcpListener::bind((Ipv4Addr::new(127, net, 0, 1), RESERVED)) else {
                continue;
            };
            for port in [PORT, ROUTES, MONITOR] {
                let taken = TcpListener::bind((Ipv4Addr::new(127, net, 1, 1), port)).err();
                if let Some(error) = taken {
                    return Err(format!(
                        "port {port} of 127.{net}.1.1 ({error}): end what listens on all addresses"
                    ));
                }
            }
            return Ok(Links { net, _reservation: reservation, links: BTreeMap::new() });
        }
        Err(format!("every 127.77.0.1:{RESERVED} to 127.250.0.1:{RESERVED} is taken"))
    }

    /// Where a server is.
    pub fn server(&self, index: usize) -> Ipv4Addr {
        self.address(1, index)
    }

    /// Whose address a worker is known by in rules; nobody listens there.
    pub fn worker(&self, number: u8) -> Ipv4Addr {
        self.address(2, usize::from(number))
    }

    /// Where a server says it is.
    pub fn nowhere(&self, index: usize) -> Ipv4Addr {
        self.address(9, index)
    }

    /// What a host dials to reach a server.
    pub fn way(&self, host: &str, server: usize) -> Ipv4Addr {
        if host == format!("n{server}") {
            return self.server(server);
        }
        let (servers, number) = (host.starts_with('n'), host.get(1..).and_then(|text| text.parse().ok()));
        let number: u8 = number.unwrap_or_default();
        self.address(if servers { 11 } else { 20 } + number, server)
    }

    fn address(&self, group: u8, index: usize) -> Ipv4Addr {
        Ipv4Addr::new(127, self.net, group, u8::try_from(index + 1).unwrap_or(u8::MAX))
    }

    /// Opens the links of a host to so many servers.
    ///
    /// # Errors
    /// If somebody else listens at one of its addresses.
    pub async fn open(&mut self, host: &str, servers: usize) -> Result<(), String> {
        let port = if host.starts_with('n') { ROUTES } else { PORT };
        for server in (0..servers).filter(|server| host != format!("n{server}")) {
            let at = SocketAddr::from((self.way(host, server), port));
            let to = SocketAddr::from((self.server(server), port));
            let seed = u64::from(self.way(host, server).to_bits());
            self.links.insert((host.to_owned(), format!("n{server}")), Link::open(at, to, seed).await?);
        }
        Ok(())
    }

    /// From now on these rules are in force, each at the host that receives, and no others.
    pub fn apply<'a>(
        &self,
        rules: impl Iterator<Item = &'a (String, Rule)>,
        hosts: &BTreeMap<String, Ipv4Addr>,
    ) {
        let rules: Vec<_> = rules.collect();
        for ((dialer, server), link) in &self.links {
            let at = |to: &str, from: &str| {
                let from = hosts.get(from).copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
                let mine = rules.iter().filter(|(at, rule)| at == to && rule.from() == from);
                direction(mine.map(|(_, rule)| rule))
            };
            let ((there, cuts), (back, cuts_back)) = (at(server, dialer), at(dialer, server));
            link.set(Fate { there, back, is_reset: cuts || cuts_back });
        }
    }
}

/// What becomes of a direction under all its rules, and whether connections are reset. The last of a sort counts.
fn direction<'a>(rules: impl Iterator<Item = &'a Rule>) -> (Way, bool) {
    let (mut way, mut is_reset) = (Way::default(), false);
    for rule in rules {
        match rule {
            Rule::Drop { .. } => way.is_held = true,
            Rule::Reset { .. } => is_reset = true,
            Rule::Late { by, .. } => way.late = Some(*by),
            Rule::Narrow { kbit, .. } => way.kbit = Some(*kbit),
            // Refused before it comes here.
            Rule::Lossy { .. } => {}
        }
    }
    (way, is_reset)
}
