//! A peer of the stream is replaced, as when a machine is retired: a fourth server joins, the stream moves from an old
//! one to it, and the old one leaves the cluster. The place of the old one is then free for the next newcomer.
//!
//! ```text
//!   begins: n3 starts and is current ─► the stream's peer n1 is removed, so n3 is chosen in its place
//!   ends:   all replicas are current ─► n1 stops ─► n1 is removed from the cluster
//! ```

use std::time::Duration;

use serde_json::json;

use super::{Begun, Struck, Undo, World, replicas, stop};
use crate::worker::BUCKET;
use support::chance::Chance;

/// How long it is waited until a newcomer is current.
const JOINS_WITHIN: Duration = Duration::from_secs(15);

pub(super) async fn begin(world: &mut World, chance: &mut Chance) -> Struck {
    if !world.cluster.has_room() {
        return Err("there is no room for a fourth server in this scenario".into());
    }
    if world.busy.contains(&true) || world.cluster.newcomer.is_some() {
        return Ok(None);
    }
    let old = chance.below(world.busy.len() as u64) as usize;
    world.cluster.join().await?;
    world.busy[old] = true;
    let title = world.cluster.servers[old].title();
    // Other faults may keep it from that: the end moves what does not move now.
    if world.cluster.ready(JOINS_WITHIN).await.is_ok() {
        for stream in [format!("KV_{BUCKET}"), format!("KV_{BUCKET}_history")] {
            remove(world, &stream, &title).await;
        }
    }
    let (from, to) = (world.name(old), world.cluster.newcomer.as_ref().map(|it| it.name.clone()));
    let target = format!("{from} by {}", to.unwrap_or_default());
    Ok(Some(Begun { target, undo: Undo::Replace(old) }))
}

/// Waits until the stream has moved, and takes the old one away.
pub(super) async fn finish(world: &mut World, old: usize) -> Result<(), String> {
    let title = world.cluster.servers[old].title();
    if let Some(Moving { why, is_there, stuck }) = still_moving(world, &title).await {
        if let Some(stuck) = stuck {
            replicas::restart(world, &stuck).await?;
        } else if is_there && world.cluster.ready(replicas::PATIENCE).await.is_ok() {
            remove(world, &format!("KV_{BUCKET}"), &title).await;
        } else {
            tokio::time::sleep(replicas::PATIENCE).await;
        }
        return Err(why);
    }
    stop::halt(world, old).await;
    let question = json!({ "peer": title }).to_string();
    let answer = world.ask("$JS.API.SERVER.REMOVE", &question, true).await;
    let is_gone = match &answer {
        // Asked a second time, it is no peer any more.
        Some(answer) => answer["success"] == true || answer["error"]["err_code"] == 10_044,
        None => false,
    };
    if !is_gone {
        return Err(format!("{title} cannot be removed from the cluster: {}", answer.unwrap_or_default()));
    }
    world.cluster.succeed(old).await?;
    world.busy[old] = false;
    Ok(())
}

/// Removes a peer of a stream, so that another is chosen in its place. Only where all are ready: a stream whose peer was
/// removed before the newcomer could be chosen was left with two (2.12.8).
async fn remove(world: &World, stream: &str, peer: &str) {
    let question = json!({ "peer": peer }).to_string();
    // Refused, or no answer: the end tries again.
    let _ = world.ask(&format!("$JS.API.STREAM.PEER.REMOVE.{stream}"), &question, false).await;
}

/// Why the old one cannot leave yet.
struct Moving {
    why: String,
    /// Whether the stream still has it.
    is_there: bool,
    /// One of the stream's replicas that makes no progress.
    stuck: Option<String>,
}

/// What the old one waits for, if it does.
async fn still_moving(world: &World, old: &str) -> Option<Moving> {
    let Some(cluster) = replicas::cluster(world).await else {
        return Some(Moving { why: "nobody knows where the stream is".into(), is_there: false, stuck: None });
    };
    let others = replicas::of(&cluster);
    let is_there = cluster["leader"] == old || others.iter().any(|replica| replica["name"] == old);
    if !is_there && replicas::current(&cluster) == 2 && others.len() == 2 {
        return None;
    }
    let why = format!("the stream is still moving from {old}: {cluster}");
    Some(Moving { why, is_there, stuck: replicas::stuck(&cluster) })
}
