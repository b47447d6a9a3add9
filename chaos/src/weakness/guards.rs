//! Guards on another subject: a reader may come in if there is no writer, a writer if there is nobody.
//!
//! A server keeps in mind which subjects writes on their way are guarded by, literally: it does not see that the
//! writer's `guards.7.>` covers the reader's `guards.7.read`, so of two at the same time both may pass. The library
//! guards by literal subjects only: its writers name each reader.

use std::slice::from_ref;
use std::time::Duration;

use lease::{Attempt, Space, SpaceOptions};
use serde_json::json;

use super::{Count, EXPECTED, EXPECTED_OF, connect, create, write};
use crate::worker::BUCKET;

const RACES: u64 = 300;
/// After a race without an answer.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn plain(urls: &[String]) -> Result<Count, String> {
    let [first, .., last] = urls else { return Err("one server has no races between servers".into()) };
    let (readers, writers) = (connect(from_ref(first)).await?, connect(from_ref(last)).await?);
    let stream = json!({ "name": "GUARDS", "subjects": ["guards.>"], "num_replicas": 3, "storage": "file" });
    create(&readers, &stream).await?;
    let mut count = Count::default();
    for race in 0..RACES {
        let (read, written) = (format!("guards.{race}.read"), format!("guards.{race}.write"));
        let all = format!("guards.{race}.>");
        let reader = [(EXPECTED, "0"), (EXPECTED_OF, written.as_str())];
        let writer = [(EXPECTED, "0"), (EXPECTED_OF, all.as_str())];
        let (reader, writer) =
            tokio::join!(write(&readers, &read, &reader), write(&writers, &written, &writer));
        match (reader, writer) {
            (Ok(reader), Ok(writer)) => {
                count.tries += 1;
                count.wrong += u64::from(reader.is_some() && writer.is_some());
            }
            // Without both answers nothing is known. A stream that was just made may have no leader yet.
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
    if count.tries == 0 { Err("no race was answered".into()) } else { Ok(count) }
}

pub(super) async fn library(urls: &[String]) -> Result<Count, String> {
    let [first, .., last] = urls else { return Err("one server has no races between servers".into()) };
    let (readers, writers) = (space(first).await?, space(last).await?);
    let mut count = Count::default();
    for race in 0..RACES {
        let name = format!("guards.{race}");
        let (of_readers, of_writers) = (readers.rw_lock(&name), writers.rw_lock(&name));
        let (reader, writer) = tokio::join!(of_readers.try_read(), of_writers.try_write());
        let (Ok(reader), Ok(writer)) = (reader, writer) else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        count.tries += 1;
        count.wrong += u64::from(matches!((&reader, &writer), (Attempt::Granted(_), Attempt::Granted(_))));
        for attempt in [reader, writer] {
            if let Attempt::Granted(lease) = attempt {
                // Each race has a name of its own: one that stays does not matter.
                let _ = lease.release().await;
            }
        }
    }
    if count.tries == 0 { Err("the library answered no race".into()) } else { Ok(count) }
}

/// The library's own, through one server.
pub(super) async fn space(url: &str) -> Result<Space, String> {
    let mut options = SpaceOptions { owner: Some("runner".into()), ..SpaceOptions::default() };
    options.nats.bucket = BUCKET.into();
    Space::connect(url, options).await.map_err(|error| format!("{url}: {error}"))
}
