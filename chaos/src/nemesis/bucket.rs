//! The bucket is deleted under everybody's hands, and made again a little later: by the runner, since no process makes
//! a bucket again that it has seen.

use std::time::Duration;

use lease::{Space, SpaceOptions};

use super::{Begun, Struck, Undo, World};
use crate::worker::BUCKET;

/// The cluster may be in the middle of an election.
const TRIES: u32 = 20;
/// How long it is tried at a time to make the bucket again.
const MAKE_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn delete(world: &mut World) -> Struck {
    let answer = world.ask(&format!("$JS.API.STREAM.DELETE.KV_{BUCKET}"), "", false).await;
    match answer {
        Some(answer) if answer["success"] != true => Ok(None),
        // Without an answer it may be gone: what makes it again finds out.
        _ => Ok(Some(Begun { target: format!("KV_{BUCKET}"), undo: Undo::MakeBucket })),
    }
}

/// Makes the bucket, or finds it made.
pub(super) async fn make(world: &mut World) -> Result<(), String> {
    // While this waits no other fault is undone, and that may be what it waits for.
    let made = tokio::time::timeout(MAKE_WITHIN, open(&world.cluster.urls())).await;
    made.unwrap_or_else(|_| Err("the bucket cannot be opened in time".into()))
}

/// Makes the bucket, or finds it made.
///
/// # Errors
/// With what the library said last.
pub async fn open(urls: &str) -> Result<(), String> {
    connect(urls).await?.close(Duration::ZERO).await;
    Ok(())
}

/// An operator accepts that acknowledged writes were lost.
///
/// # Errors
/// With what the library said.
pub async fn accept_losses(urls: &str) -> Result<(), String> {
    let space = connect(urls).await?;
    let accepted = space.accept_regression("chaos").await;
    space.close(Duration::ZERO).await;
    accepted.map_err(|error| format!("lost writes cannot be accepted: {error}"))
}

async fn connect(urls: &str) -> Result<Space, String> {
    let mut why = String::new();
    for _ in 0..TRIES {
        let mut options = SpaceOptions { owner: Some("runner".into()), ..SpaceOptions::default() };
        options.nats.bucket = BUCKET.into();
        match Space::connect(urls, options).await {
            Ok(space) => return Ok(space),
            Err(error) => why = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(format!("the bucket cannot be opened: {why}"))
}
