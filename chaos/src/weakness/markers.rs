//! Markers that a server writes when a key expires (`subject_delete_marker_ttl`): the marker replaces whatever is there
//! by then, so a write that was acknowledged between the expiry and its marker is gone.
//!
//! Many keys, each with a TTL of a second; each is written again, by compare-and-set and without a TTL, around the
//! moment at which it expires. What was acknowledged then must be there for ever. The library's bucket is made without
//! markers; the same is done to that.

use std::time::Duration;

use async_nats::Client;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::{Count, EXPECTED, ask, connect, create, guards, write};
use crate::worker::BUCKET;
use support::chance::Chance;

const ROUNDS: u64 = 6;
const KEYS: u64 = 700;
/// When the second write is sent, in milliseconds after the first: expiry comes after 1,000 to 1,330.
const AROUND: (u64, u64) = (950, 1_400);
/// By then every marker has been written.
const SETTLED: Duration = Duration::from_secs(2);

pub(super) async fn plain(urls: &[String]) -> Result<Count, String> {
    let client = connect(urls).await?;
    let stream = json!({
        "name": "MARKERS", "subjects": ["markers.>"], "num_replicas": 3, "storage": "file", "max_msgs_per_subject": 1,
        "allow_msg_ttl": true, "subject_delete_marker_ttl": 10_000_000_000_u64, "allow_rollup_hdrs": true,
    });
    create(&client, &stream).await?;
    rounds(&client, "MARKERS", "markers").await
}

pub(super) async fn library(urls: &[String]) -> Result<Count, String> {
    // It makes the bucket.
    guards::space(&urls.join(",")).await?.close(Duration::ZERO).await;
    let client = connect(urls).await?;
    rounds(&client, &format!("KV_{BUCKET}"), &format!("$KV.{BUCKET}.data.markers")).await
}

async fn rounds(client: &Client, stream: &str, prefix: &str) -> Result<Count, String> {
    let mut count = Count::default();
    let mut chance = Chance::new(ROUNDS);
    for round in 0..ROUNDS {
        let mut keys = JoinSet::new();
        for key in 0..KEYS {
            let (client, subject) = (client.clone(), format!("{prefix}.{round}.{key}"));
            let second = chance.millis(AROUND.0, AROUND.1);
            keys.spawn(async move { written_again(&client, &subject, second).await });
        }
        let acknowledged: Vec<(String, u64)> = keys.join_all().await.into_iter().flatten().collect();
        tokio::time::sleep(SETTLED).await;
        for (subject, revision) in acknowledged {
            let question = json!({ "last_by_subj": subject });
            match ask(client, &format!("$JS.API.STREAM.MSG.GET.{stream}"), &question).await {
                Ok(last) => {
                    count.tries += 1;
                    // Nobody else writes: what came after is a marker, which has no payload.
                    let message = &last["message"];
                    let is_marker = message["data"].as_str().is_none_or(str::is_empty);
                    count.wrong += u64::from(message["seq"].as_u64() > Some(revision) && is_marker);
                }
                // 10037: no message found, and a marker stays for longer. Anything else tells nothing.
                Err(error) if error.contains("10037") => {
                    count.tries += 1;
                    count.wrong += 1;
                }
                Err(_) => {}
            }
        }
    }
    if count.tries == 0 { Err("no write around an expiry was acknowledged".into()) } else { Ok(count) }
}

/// The key and the revision of the second write, if it was acknowledged.
async fn written_again(client: &Client, subject: &str, second: Duration) -> Option<(String, u64)> {
    let begun = Instant::now();
    let first = write(client, subject, &[(EXPECTED, "0"), ("Nats-TTL", "1s")]).await.ok()??;
    sleep_until(begun + second).await;
    let revision = write(client, subject, &[(EXPECTED, &first.to_string())]).await.ok()??;
    Some((subject.to_owned(), revision))
}
