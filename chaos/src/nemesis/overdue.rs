//! A connection whose messages arrive when what they asked for is long over: claims that were made again by another connection
//! meanwhile, granted, and ended.
//!
//! ```text
//!   w3 claims ─ by a connection that has become silent ──────────── 13 s and more ──────────────────► n1: the first try
//!      └─► no answer: connects anew, and asks again ─► n0: granted ─► ends after its TTL, the key is gone
//! ```

use std::time::Duration;

use super::{Begun, Struck, Undo, World};
use crate::cluster::late::{Connection, Late, Lateness};
use crate::cluster::server::PORT;
use support::chance::Chance;

/// How late answers are: whoever hears one claims then, by a connection that has become silent meanwhile. Less than what makes
/// it suspicious.
const HEARD_MS: u64 = 700;

/// What one worker, or its daemon, says by the connection that it has now.
pub(super) async fn connection(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    if world.cluster.network.is_by_links() {
        return Err("without namespaces a link would be late for new connections as well".into());
    }
    let Some(member) = chance.choose(&world.crew) else { return Ok(None) };
    let address = member.address.to_string();
    for server in &world.cluster.servers {
        let Some(said) = server.ask("/connz?limit=1024").await else { continue };
        let connections = said["connections"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(port) = connections.iter().find(|it| it["ip"] == address.as_str()).map(|it| &it["port"])
        else {
            continue;
        };
        let Some(source) = port.as_u64().and_then(|port| u16::try_from(port).ok()) else { continue };
        let connection = Connection { to: server.address, source, destination: PORT };
        let answers = Connection { to: member.address, source: PORT, destination: source };
        let by = Lateness { millis: HEARD_MS, jitter: 0, permille: 0 };
        let host = (server.name.as_str(), server.address);
        let slow = Late::begin(host, &[answers], fault, chance.bits(), by).await?;
        tokio::time::sleep(Duration::from_millis(HEARD_MS)).await;
        // Longer than it takes to connect anew, and than the record of a grant of 4 s lasts after that.
        let by = Lateness { millis: 13_000 + chance.below(3_000), jitter: 0, permille: 0 };
        let host = (member.host.as_str(), member.address);
        let late = Late::begin(host, &[connection], fault, chance.bits(), by).await?;
        let target = format!("{}>{} {} ms", member.name, server.name, by.millis);
        return Ok(Some(Begun { target, undo: Undo::Late(vec![slow, late]) }));
    }
    Ok(None)
}
