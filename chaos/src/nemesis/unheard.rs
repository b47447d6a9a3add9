//! A worker does not hear that it was granted what it waited for. Chance alone hits that moment rarely, so it is waited for,
//! while packets of all servers are late:
//!
//! ```text
//!   a lock is kept free for w3 ─► w3 hears of it and claims ─► w3 hears nothing for some seconds
//!                                                      └──────► claimed, and broken by others meanwhile
//! ```

use std::time::Duration;

use async_nats::ConnectOptions;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::net::SLOW_MS;
use super::{Struck, World, partition};
use crate::worker::BUCKET;
use support::chance::Chance;

/// How long it is waited for a lock that is kept free for somebody.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn begin(world: &mut World, fault: u64, chance: &mut Chance) -> Struck {
    let urls = world.cluster.urls();
    let next = tokio::time::timeout(PATIENCE, next(&urls)).await.ok().flatten();
    let Some(next) = next.and_then(|name| world.crew.iter().position(|member| member.name == name)) else {
        return Ok(None);
    };
    // It hears of it up to one lateness later, looks what is there, and claims: two to five times the lateness in all.
    tokio::time::sleep(chance.millis(SLOW_MS, 5 * SLOW_MS)).await;
    partition::deafen(world, fault, next).await
}

/// The worker that the next lock is kept free for.
async fn next(urls: &str) -> Option<String> {
    let servers: Vec<&str> = urls.split(',').collect();
    let client = ConnectOptions::new().connect(servers).await.ok()?;
    let mut news = client.subscribe(format!("_lease.{BUCKET}.ev.lock.*")).await.ok()?;
    while let Some(message) = news.next().await {
        let Ok(record) = serde_json::from_slice::<Value>(&message.payload) else { continue };
        if record["reserved"] == true {
            return record["owner"].as_str().map(str::to_owned);
        }
    }
    None
}
