//! Servers that come back with what was removed long ago: nats-server finds out from its files what there is, and the file that
//! said what was removed may have gone before the one that has it. Chance alone brings that about in nights only, so workers die
//! in line, and files are filled up by values beside those of the workers.
//!
//! ```text
//!   first file    places of workers that died, and values that stay         stays as it is
//!   second file   that others have removed them, and values that go         compacted, once those are gone: nothing says it any more
//!   killed, started ─► the places are there again, for whoever reads there
//! ```
//!
//! The stream's leader is spared, and refuses the removal of what it does not have.

use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use serde_json::Value;

use super::{Begun, Struck, Undo, World, kill};
use crate::worker::BUCKET;

/// How many workers live on: one that holds, and one that waits, behind nobody but the dead.
const LIVE: usize = 2;
/// How long a value is. Files are of 4 MB.
const LARGE: usize = 400_000;
/// How many of them stay: two files, and the begin of a third.
const STAY: usize = 23;
/// How many of them go: more than a file has room for.
const GO: usize = 11;
/// How long it takes until the dead are known to be, and their places are removed.
const REMOVED: Duration = Duration::from_secs(9);
/// The store keeps for 2 s, and up to 0.33 s longer, that a place was removed.
const FORGOTTEN: Duration = Duration::from_millis(2_600);
/// How long the store may take for one value.
const WRITTEN: Duration = Duration::from_secs(5);

/// The servers that do not lead the stream, and all workers but two.
pub(super) async fn places(world: &mut World) -> Struck {
    if world.busy.contains(&true) {
        return Ok(None);
    }
    let servers = world.cluster.urls();
    let servers: Vec<&str> = servers.split(',').collect();
    let client = ConnectOptions::new().connect(servers).await.map_err(|error| error.to_string())?;
    let dead: Vec<usize> = (LIVE..world.crew.len()).collect();
    for member in &dead {
        world.crew[*member].is_busy = true;
        world.crew[*member].kill().await;
    }
    let leader = match prepare(world, &client).await {
        Ok(leader) => leader,
        Err(why) => {
            kill::launch_workers(world, dead).await?;
            return Err(why);
        }
    };
    let followers: Vec<usize> = (0..world.busy.len()).filter(|it| *it != leader).collect();
    kill::servers(world, followers.clone()).await?;
    kill::launch(world, &followers)?;
    let names = followers.iter().map(|it| world.name(*it));
    let names: Vec<String> = names.chain(dead.iter().map(|it| world.crew[*it].name.clone())).collect();
    Ok(Some(Begun { target: names.join(","), undo: Undo::LaunchWorkers(dead) }))
}

/// Fills the files up while the places of the dead are removed; gives who leads the stream then.
async fn prepare(world: &World, client: &Client) -> Result<usize, String> {
    write(client, "stays", STAY, LARGE).await?;
    tokio::time::sleep(REMOVED).await;
    write(client, "goes", GO, LARGE).await?;
    tokio::time::sleep(FORGOTTEN).await;
    write(client, "goes", GO, 1).await?;
    let leader = world.cluster.stream_leader(&format!("KV_{BUCKET}")).await;
    leader.ok_or_else(|| "nobody leads the stream".to_owned())
}

/// Writes values of this length.
async fn write(client: &Client, what: &str, many: usize, length: usize) -> Result<(), String> {
    for number in 0..many {
        let key = format!("$KV.{BUCKET}.data.{what}-{number}");
        let asked = client.request(key, vec![b'x'; length].into());
        let said = tokio::time::timeout(WRITTEN, asked).await;
        let answer = said.ok().and_then(Result::ok).and_then(|it| serde_json::from_slice(&it.payload).ok());
        let answer: Value = answer.unwrap_or_default();
        if !answer["seq"].is_u64() {
            return Err(format!("a value was not written: {answer}"));
        }
    }
    Ok(())
}
