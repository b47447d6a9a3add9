//! How much of everything there can be at a time: what the configuration says, as far as the operating system goes along.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::limits::Limits;
use crate::seats::{Bound, Bounds, Seats};
use crate::wire::Code;

/// Open files that are not connections.
const OWN_FILES: u64 = 64;
/// Open files that a connection needs.
const FILES_EACH: u64 = 2;

/// Raises the number of open files from the usual 1,024 to what is allowed. If that is not enough for the connections
/// that the configuration allows, fewer are served.
pub fn raise(limits: &mut Limits) {
    let Rlimit { maximum, current } = getrlimit(Resource::Nofile);
    let files = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised: fewer connections can be served");
            current
        }
    };
    let most = files.map_or(u64::MAX, |files| files.saturating_sub(OWN_FILES) / FILES_EACH).max(1);
    if u64::from(limits.connections) > most {
        let wanted = limits.connections;
        limits.shrink_to(u32::try_from(most).unwrap_or(wanted));
        tracing::warn!(
            wanted,
            "the limit of open files leaves room for {most} connections only; raise it (LimitNOFILE=, ulimit -n) or lower \
             limits.connections"
        );
    }
}

fn bound(most: Option<u32>, key: &'static str, code: Code) -> Bound {
    Bound { most: most.unwrap_or(u32::MAX), key, code }
}

/// The connections.
pub fn connections(limits: &Limits) -> Arc<Seats> {
    Seats::new(Bounds {
        what: "connections",
        all: bound(Some(limits.connections), "connections", Code::TooManyConnections),
        user: bound(limits.connections_per_user, "connections-per-user", Code::TooManyConnectionsOfUser),
        name: None,
    })
}

/// The requests that wait.
pub fn waiters(limits: &Limits) -> Arc<Seats> {
    Seats::new(Bounds {
        what: "waiters",
        all: bound(limits.waiters, "waiters", Code::TooManyWaiters),
        user: bound(limits.waiters_per_user, "waiters-per-user", Code::TooManyWaitersOfUser),
        name: Some(bound(limits.waiters_per_name, "waiters-per-name", Code::TooManyWaitersOfName)),
    })
}

/// The leases that are held.
pub fn leases(limits: &Limits) -> Arc<Seats> {
    Seats::new(Bounds {
        what: "leases",
        all: bound(Some(limits.leases), "leases", Code::TooManyLeases),
        user: bound(limits.leases_per_user, "leases-per-user", Code::TooManyLeasesOfUser),
        name: None,
    })
}

/// The watches that are open.
pub fn watches(limits: &Limits) -> Arc<Seats> {
    Seats::new(Bounds {
        what: "watches",
        all: bound(limits.watches, "watches", Code::TooManyWatches),
        user: bound(limits.watches_per_user, "watches-per-user", Code::TooManyWatchesOfUser),
        name: None,
    })
}
