//! The stream's peers change: down to one replica, and up to three again.

use super::{Begun, Struck, Undo, World, replicas};
use crate::worker::BUCKET;

/// How long one request for other replicas may take.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

pub(super) async fn shrink(world: &mut World) -> Struck {
    match tokio::time::timeout(WITHIN, scaled(world, 1)).await.unwrap_or_default() {
        Some(false) => Ok(None),
        // Without an answer it may have happened: it is undone all the same.
        _ => Ok(Some(Begun { target: format!("KV_{BUCKET} to 1 replica"), undo: Undo::Replicas })),
    }
}

pub(super) async fn grow(world: &mut World) -> Result<(), String> {
    // While this waits no other fault is undone, and that may be what it waits for.
    if tokio::time::timeout(WITHIN, scaled(world, 3)).await.ok().flatten() != Some(true) {
        return Err("the stream does not get its three replicas back".into());
    }
    let cluster =
        tokio::time::timeout(WITHIN, replicas::cluster(world)).await.ok().flatten().unwrap_or_default();
    // Until both have caught up the leader alone has what was acknowledged.
    if replicas::current(&cluster) == 2 {
        return Ok(());
    }
    if let Some(stuck) = replicas::stuck(&cluster) {
        replicas::restart(world, &stuck).await?;
    }
    Err(format!("the stream's replicas do not catch up: {cluster}"))
}

/// Whether the stream has (or will have) so many replicas; `None` if nobody answers.
async fn scaled(world: &World, count: u64) -> Option<bool> {
    let info = world.ask(&format!("$JS.API.STREAM.INFO.KV_{BUCKET}"), "", false).await?;
    let mut config = info.get("config")?.clone();
    if config["num_replicas"] == count {
        return Some(true);
    }
    config["num_replicas"] = count.into();
    let answer = world.ask(&format!("$JS.API.STREAM.UPDATE.KV_{BUCKET}"), &config.to_string(), false).await?;
    Some(answer["config"]["num_replicas"] == count)
}
