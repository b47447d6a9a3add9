//! Hosts: network namespaces named `lc<pid><host>`, each with one address on a bridge in a namespace of its own, so
//! nothing of the machine's network is touched.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use super::command::run;
use crate::failure::Failure;

const PREFIX: &str = "lc";
/// The bridge's own namespace.
const BRIDGE: &str = "br";

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// `n0`, `w3`, `r` for the runner's.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// Its only address.
    pub address: Ipv4Addr,
}

/// All hosts of a run.
#[derive(Clone, Debug)]
pub struct Hosts {
    owner: u32,
    hosts: Vec<Host>,
}

impl Hosts {
    /// What the hosts of a run are called, without making them: the runner inside knows them by the owner's number.
    pub fn named(owner: u32, names: &[String]) -> Hosts {
        let host = |(index, name): (usize, &String)| {
            let last = u8::try_from(index + 1).unwrap_or(u8::MAX);
            let address = Ipv4Addr::new(10, 77, 0, last);
            Host { name: name.clone(), namespace: format!("{PREFIX}{owner}{name}"), address }
        };
        Hosts { owner, hosts: names.iter().enumerate().map(host).collect() }
    }

    /// Makes them. At most 200.
    ///
    /// # Errors
    /// If `ip` cannot; what was made is removed again.
    pub fn make(&self) -> Result<(), Failure> {
        if self.hosts.len() > 200 {
            return Err(Failure::usage(format!("{} hosts; 200 are allowed", self.hosts.len())));
        }
        let made = self.try_make();
        if made.is_err() {
            self.remove();
        }
        made
    }

    fn try_make(&self) -> Result<(), Failure> {
        let bridge = self.bridge();
        run("ip", &["netns", "add", &bridge])?;
        run("ip", &["-n", &bridge, "link", "add", "br0", "type", "bridge"])?;
        run("ip", &["-n", &bridge, "link", "set", "br0", "up"])?;
        for host in &self.hosts {
            let there = &host.namespace;
            let port = format!("p{}", host.name);
            run("ip", &["netns", "add", there])?;
            let pair = ["link", "add", port.as_str(), "type", "veth", "peer", "name", "eth0", "netns", there];
            run("ip", &[&["-n", bridge.as_str()], &pair[..]].concat())?;
            run("ip", &["-n", &bridge, "link", "set", &port, "master", "br0", "up"])?;
            run("ip", &["-n", there, "addr", "add", &format!("{}/24", host.address), "dev", "eth0"])?;
            run("ip", &["-n", there, "link", "set", "lo", "up"])?;
            run("ip", &["-n", there, "link", "set", "eth0", "up"])?;
        }
        Ok(())
    }

    /// The namespace of the bridge.
    pub fn bridge(&self) -> String {
        format!("{PREFIX}{}{BRIDGE}", self.owner)
    }

    /// The host of that name.
    pub fn get(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter()
    }

    /// Removes every namespace of this run. What still runs in one keeps it alive, nameless, until it ends.
    pub fn remove(&self) {
        let prefix = format!("{PREFIX}{}", self.owner);
        for namespace in existing() {
            // Not lc12… for lc1.
            let is_ours = namespace
                .strip_prefix(&prefix)
                .is_some_and(|rest| !rest.starts_with(|letter: char| letter.is_ascii_digit()));
            if is_ours {
                delete(&namespace);
            }
        }
    }
}

/// Removes what runs left behind that were killed: namespaces whose process is no more.
pub fn remove_stale() {
    for namespace in existing() {
        let digits: String = namespace
            .strip_prefix(PREFIX)
            .unwrap_or_default()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        if digits.is_empty() || std::path::Path::new("/proc").join(&digits).exists() {
            continue;
        }
        delete(&namespace);
    }
}

fn existing() -> Vec<String> {
    let listed = run("ip", &["netns", "list"]).unwrap_or_default();
    listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn delete(namespace: &str) {
    // It is gone, or will be looked for at the start of the next run.
    let _ = Command::new("ip").args(["netns", "del", namespace]).stderr(Stdio::null()).status();
}
