//! All that a nemesis may lay hands on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::crew::Member;
use crate::cluster::{Cluster, Hosts};
use crate::sink::Sink;

/// The run, as its nemeses see it.
#[derive(Debug)]
pub struct Field {
    /// The servers.
    pub cluster: Cluster,
    /// Their hosts, and those of the workers.
    pub hosts: Hosts,
    /// The workers.
    pub members: Vec<Member>,
    /// The history.
    pub sink: Arc<Sink>,
    faults: AtomicU64,
}

impl Field {
    /// A field without faults.
    pub fn new(cluster: Cluster, hosts: Hosts, members: Vec<Member>, sink: Arc<Sink>) -> Field {
        Field { cluster, hosts, members, sink, faults: AtomicU64::new(1) }
    }

    /// The number of the next fault.
    pub fn next_fault(&self) -> u64 {
        self.faults.fetch_add(1, Ordering::Relaxed)
    }

    /// The worker called so, or whose daemon is.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|it| it.name == name || it.daemon_name.as_deref() == Some(name))
    }
}
