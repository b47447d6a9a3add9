//! A replica of the stream that makes no progress: its server is restarted, as an operator would.
//!
//! One that was removed from a stream, or added to it, while packets were late may wait for ever for a snapshot that nobody sends
//! (2.12.8 and 2.15.1: "Expected first catchup entry to be a snapshot"), and two of two replicas have no leader then.

use std::time::Duration;

use serde_json::Value;

use super::{World, stop};
use crate::worker::BUCKET;

/// How long it is waited at a time: other faults are not undone meanwhile.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// A replica that is not current, and of which its leader has not heard for so long, makes no progress.
const SILENT_NS: u64 = 15_000_000_000;

/// Who makes no progress, by what the stream says of its cluster.
pub(super) fn of(cluster: &Value) -> Option<String> {
    let is_led = cluster["leader"].as_str().is_some_and(|leader| !leader.is_empty());
    let is_silent = |replica: &Value| replica["active"].as_u64().is_some_and(|ns| ns > SILENT_NS);
    let mut replicas = cluster["replicas"].as_array()?.iter();
    let stuck = replicas.find(|it| it["current"] != true && (!is_led || is_silent(it)))?;
    stuck["name"].as_str().map(str::to_owned)
}

/// Restarts its server, if it is still so some seconds later.
pub(super) async fn restart(world: &mut World, stuck: &str) -> Result<(), String> {
    tokio::time::sleep(PATIENCE).await;
    let again = world.ask(&format!("$JS.API.STREAM.INFO.KV_{BUCKET}"), "", false).await;
    let is_stuck = again.and_then(|info| of(&info["cluster"])).is_some_and(|it| it == stuck);
    let found = world.cluster.servers.iter().position(|server| server.title() == stuck);
    let Some(server) = found.filter(|_| is_stuck) else { return Ok(()) };
    eprintln!("chaos: the replica on {stuck} is stuck: it is restarted, as an operator would");
    stop::halt(world, server).await;
    world.cluster.servers[server].launch()
}
