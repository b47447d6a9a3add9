//! Leaders that step down in order: of the stream, and of JetStream as a whole.

use super::{Begun, Struck, Undo, World};
use crate::worker::BUCKET;

pub(super) async fn stream(world: &mut World) -> Struck {
    let Some(leader) = world.cluster.stream_leader(&format!("KV_{BUCKET}")).await else { return Ok(None) };
    let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.KV_{BUCKET}");
    Ok(told(world.ask(&subject, "", false).await, world.name(leader)))
}

pub(super) async fn meta(world: &mut World) -> Struck {
    let Some(leader) = world.cluster.meta_leader().await else { return Ok(None) };
    Ok(told(world.ask("$JS.API.META.LEADER.STEPDOWN", "", true).await, world.name(leader)))
}

/// Without an answer it may have happened or not: then it counts as a fault all the same.
fn told(answer: Option<serde_json::Value>, target: String) -> Option<Begun> {
    match answer {
        Some(answer) if answer["success"] != true => None,
        Some(_) => Some(Begun { target, undo: Undo::Nothing }),
        None => Some(Begun { target: format!("{target} (no answer)"), undo: Undo::Nothing }),
    }
}
