//! What the store still holds once all workers have stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;

use super::source::{Place, any, consume, revision};
use crate::clock::now_ns;
use crate::failure::Failure;
use crate::history::{Line, What};

const LIMIT: Duration = Duration::from_secs(10);

/// Looks, and gives the line that says it.
///
/// # Errors
/// If nobody shows everything within some tries.
pub(super) async fn look(urls: &[String]) -> Result<Line, Failure> {
    for _ in 0..5 {
        let seen = tokio::time::timeout(LIMIT, once(urls)).await;
        if let Ok(Some((at_ns, keys))) = seen {
            return Ok(Line { at_ns, who: "auditor".into(), what: What::Remains { keys } });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(Failure::internal("the store does not say what remains in it"))
}

async fn once(urls: &[String]) -> Option<(u64, BTreeMap<String, u64>)> {
    let client = any(urls).await?;
    // Before, so that what expires meanwhile counts as there no longer than it was.
    let at_ns = now_ns();
    let (mut messages, pending) = consume(&client, json!("last_per_subject"), None).await?;
    let mut keys = BTreeMap::new();
    let mut left = pending;
    while left > 0 {
        let message = messages.next().await?;
        let Some(place) = Place::of(&message) else { continue };
        left = place.pending;
        if let Some(What::Revision { revision, key, is_deletion: false, .. }) = revision(&message, place) {
            keys.insert(key, revision);
        }
    }
    Some((at_ns, keys))
}
