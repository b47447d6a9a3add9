//! Leaders that step down in order: of the stream, and of JetStream as a whole.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Begun, Struck, Undo, World};
use crate::cluster::server::Server;
use crate::worker::BUCKET;

/// A wanted leader is elected in much less.
const ELECTED: Duration = Duration::from_secs(10);
/// How often it is looked who leads.
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn stream(world: &mut World) -> Struck {
    let Some(leader) = world.cluster.stream_leader(&format!("KV_{BUCKET}")).await else { return Ok(None) };
    let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.KV_{BUCKET}");
    Ok(told(world.ask(&subject, "", false).await, world.name(leader)))
}

pub(super) async fn meta(world: &mut World) -> Struck {
    let Some(leader) = world.cluster.meta_leader().await else { return Ok(None) };
    Ok(told(world.ask("$JS.API.META.LEADER.STEPDOWN", "", true).await, world.name(leader)))
}

/// Whether this server leads JetStream as a whole, or does so within a few seconds of being asked to.
pub(super) async fn meta_for(world: &World, wanted: &Server) -> bool {
    let whom = json!({ "placement": { "preferred": wanted.title() } }).to_string();
    let until = Instant::now() + ELECTED;
    while Instant::now() < until {
        let seen = wanted.ask("/jsz").await.unwrap_or_default();
        if seen["meta_cluster"]["leader"] == wanted.title().as_str() {
            return true;
        }
        // Whether it is heard shows at the next look.
        let _ = world.ask("$JS.API.META.LEADER.STEPDOWN", &whom, true).await;
        tokio::time::sleep(LOOK).await;
    }
    false
}

/// Without an answer it may have happened or not: then it counts as a fault all the same.
fn told(answer: Option<serde_json::Value>, target: String) -> Option<Begun> {
    match answer {
        Some(answer) if answer["success"] != true => None,
        Some(_) => Some(Begun { target, undo: Undo::Nothing }),
        None => Some(Begun { target: format!("{target} (no answer)"), undo: Undo::Nothing }),
    }
}
