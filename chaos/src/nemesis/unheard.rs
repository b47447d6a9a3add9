//! A worker does not hear what came of what it wrote: a claim, or its release. Chance alone hits such a moment rarely, so it is
//! waited for, in a network that is slow. Servers pass a claim on to whoever follows its subject before they agree on it, and
//! announce it when they have, at the time of their answer:
//!
//! ```text
//!   w3 claims ─► that is seen ─► w3 hears nothing for some seconds
//!                     └────────► agreed on, and broken by others meanwhile
//!   w3 claims ─► agreed on ────► that is announced, and answered ─► w3 hears nothing for some seconds
//!                                                                       └────► it releases, and others hold it meanwhile
//! ```

use std::time::Duration;

use async_nats::{ConnectOptions, Subscriber};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::{Begun, Struck, Undo, World, kill, net, partition};
use crate::cluster::network::Rule;
use crate::worker::BUCKET;

/// How long it is waited for the moment.
const PATIENCE: Duration = Duration::from_millis(800);

/// How long it takes others to hold what was released.
const OTHERS: Duration = Duration::from_millis(1_500);

/// How long it takes to ask again, connecting anew included.
const ASKED: Duration = Duration::from_secs(3);

/// How long servers take to be there again, at most.
const READY: Duration = Duration::from_secs(40);

/// How long connections are reset: on each of them something is sent meanwhile.
const RESET: Duration = Duration::from_millis(400);

/// Of a claim, while packets of all servers are late: it takes them twice as long to agree on it. After a long time it is to hear
/// at once.
pub(super) async fn grant(world: &mut World, fault: u64, is_long: bool) -> Struck {
    let Some(claimant) = claimant(world, format!("$KV.{BUCKET}.lock.*")).await else { return Ok(None) };
    let struck = partition::deafen(world, fault, claimant).await?;
    let undo = if is_long { Undo::Hear(fault, claimant) } else { Undo::Rules(fault) };
    Ok(struck.map(|begun| Begun { undo, ..begun }))
}

/// It hears again: by new connections, as what was lost on the old ones is sent again ever later.
pub(super) async fn hear(world: &mut World, fault: u64, member: usize) -> Result<(), String> {
    let from = world.crew[member].address;
    let rules = partition::servers(world).into_iter().map(|(server, _)| (server, Rule::Reset { from }));
    world.cluster.network.end(fault).await?;
    world.cluster.network.begin(fault, rules.collect()).await?;
    tokio::time::sleep(RESET).await;
    world.cluster.network.end(fault).await
}

/// Of a release, which follows soon where locks are held briefly, and which all servers forget.
pub(super) async fn release(world: &mut World, fault: u64) -> Struck {
    if world.busy.contains(&true) {
        return Ok(None);
    }
    let Some(holder) = claimant(world, format!("_lease.{BUCKET}.ev.lock.*")).await else { return Ok(None) };
    let Some(begun) = partition::deafen(world, fault, holder).await? else { return Ok(None) };
    tokio::time::sleep(OTHERS).await;
    kill::servers(world, (0..world.busy.len()).collect()).await?;
    Ok(Some(Begun { undo: Undo::Forgotten(fault, holder), ..begun }))
}

/// The servers are there again, others hold what was released, and only then is it heard what came of that: so late that
/// whatever was in the way then is not any more when it is asked for.
pub(super) async fn forgotten(world: &mut World, fault: u64, member: usize) -> Result<(), String> {
    let all: Vec<usize> = (0..world.busy.len()).collect();
    kill::launch(world, &all)?;
    world.cluster.ready(READY).await?;
    tokio::time::sleep(OTHERS).await;
    let late = net::slow_worker(world, fault, member).await?;
    hear(world, fault, member).await?;
    tokio::time::sleep(ASKED).await;
    net::on_time(late).await;
    Ok(())
}

/// Who makes the next claim that is seen under this subject.
async fn claimant(world: &World, subject: String) -> Option<usize> {
    let claimant = async {
        let mut claims = follow(&world.cluster.urls(), subject).await?;
        while let Some(message) = claims.next().await {
            let Ok(record) = serde_json::from_slice::<Value>(&message.payload) else { continue };
            // Neither kept free for somebody, nor a renewal.
            if record["reserved"] == true || !record["token"].is_null() {
                continue;
            }
            let claimant = world.crew.iter().position(|member| record["owner"] == member.name.as_str());
            // Not one that does not hear already, and asks again.
            if let Some(claimant) =
                claimant.filter(|it| !world.cluster.network.has_rules(&world.crew[*it].host))
            {
                return Some(claimant);
            }
        }
        None
    };
    tokio::time::timeout(PATIENCE, claimant).await.ok().flatten()
}

async fn follow(urls: &str, subject: String) -> Option<Subscriber> {
    let servers: Vec<&str> = urls.split(',').collect();
    let client = ConnectOptions::new().connect(servers).await.ok()?;
    // Connection and subscription live as long as the subscriber.
    client.subscribe(subject).await.ok()
}
