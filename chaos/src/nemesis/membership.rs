//! The stream's peers change: down to one replica, and up to three again.

use super::{Begun, Struck, Undo, World};
use crate::worker::BUCKET;

pub(super) async fn shrink(world: &mut World) -> Struck {
    match replicas(world, 1).await {
        Some(false) => Ok(None),
        // Without an answer it may have happened: it is undone all the same.
        _ => Ok(Some(Begun { target: format!("KV_{BUCKET} to 1 replica"), undo: Undo::Replicas })),
    }
}

pub(super) async fn grow(world: &mut World) -> Result<(), String> {
    for _ in 0..6 {
        if replicas(world, 3).await == Some(true) {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    Err("the stream does not get its three replicas back".into())
}

/// Whether the stream has (or will have) so many replicas; `None` if nobody answers.
async fn replicas(world: &World, count: u64) -> Option<bool> {
    let info = world.ask(&format!("$JS.API.STREAM.INFO.KV_{BUCKET}"), "", false).await?;
    let mut config = info.get("config")?.clone();
    if config["num_replicas"] == count {
        return Some(true);
    }
    config["num_replicas"] = count.into();
    let answer = world.ask(&format!("$JS.API.STREAM.UPDATE.KV_{BUCKET}"), &config.to_string(), false).await?;
    Some(answer["config"]["num_replicas"] == count)
}
