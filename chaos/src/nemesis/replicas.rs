//! What the stream says of its replicas; and one that makes no progress, whose server is restarted, as an operator would.
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

/// What the stream says of its cluster; `None` if nobody answers.
pub(super) async fn cluster(world: &World) -> Option<Value> {
    let info = world.ask(&format!("$JS.API.STREAM.INFO.KV_{BUCKET}"), "", false).await?;
    Some(info["cluster"].clone())
}

/// The replicas besides the leader.
pub(super) fn of(cluster: &Value) -> &[Value] {
    cluster["replicas"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// How many of them have caught up with the leader.
pub(super) fn current(cluster: &Value) -> usize {
    of(cluster).iter().filter(|replica| replica["current"] == true).count()
}

/// Who makes no progress.
pub(super) fn stuck(cluster: &Value) -> Option<String> {
    let is_led = cluster["leader"].as_str().is_some_and(|leader| !leader.is_empty());
    let is_silent = |replica: &Value| replica["active"].as_u64().is_some_and(|ns| ns > SILENT_NS);
    let stuck = of(cluster).iter().find(|it| it["current"] != true && (!is_led || is_silent(it)))?;
    stuck["name"].as_str().map(str::to_owned)
}

/// Restarts the server of one that is stuck, if it is still so some seconds later.
pub(super) async fn restart(world: &mut World, title: &str) -> Result<(), String> {
    tokio::time::sleep(PATIENCE).await;
    let again = cluster(world).await.and_then(|cluster| stuck(&cluster));
    let found = world.cluster.servers.iter().position(|server| server.title() == title);
    let Some(server) = found.filter(|_| again.is_some_and(|it| it == title)) else { return Ok(()) };
    eprintln!("chaos: the replica on {title} is stuck: it is restarted, as an operator would");
    stop::halt(world, server).await;
    world.cluster.servers[server].launch()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_is_silent_or_behind_without_a_leader_is_stuck() {
        let with = |leader: &str, is_current: bool, silent_s: u64| {
            let second = json!({ "name": "n2", "current": is_current, "active": silent_s * 1_000_000_000 });
            json!({ "leader": leader, "replicas": [{ "name": "n1", "current": true, "active": 0 }, second] })
        };
        let cases = [
            (with("n0", false, 16), 1, Some("n2")),
            (with("n0", false, 14), 1, None),
            (with("n0", true, 16), 2, None),
            (with("", false, 0), 1, Some("n2")),
            (Value::Null, 0, None),
        ];
        for (cluster, so_many, who) in cases {
            assert_eq!((current(&cluster), stuck(&cluster).as_deref()), (so_many, who), "{cluster}");
        }
    }
}
