//! How often the same is tried again: writes to a key upon the same revision, by one attempt. What is written is a message like
//! any other, so it is heard whether the store takes it or not.
//!
//! ```text
//!   $KV.leases.lock.* … ─► by key, revision and attempt: how many different writes ─► every 2 s, the most ─► history
//! ```
//!
//! A write that is sent again as it was, since its outcome is unknown, is the same one: it has the same id. Of batches nothing is
//! said. What is not heard, while the server that is listened to is down or cut off, is not counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::Message;
use futures_util::StreamExt as _;
use futures_util::stream::select_all;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::auditor::listener;
use crate::history::What;
use crate::recorder::Recorder;
use crate::worker::BUCKET;

/// For how long it is counted.
const WINDOW: Duration = Duration::from_secs(2);
/// What is claimed, and the places of those who wait.
const KINDS: [&str; 5] = ["lock", "read", "sem", "elect", "line"];
/// Different writes that are counted at a time. More than all workers can send; beyond, nothing more is counted.
const MOST_COUNTED: usize = 200_000;

/// Counts until it is dropped.
#[derive(Debug)]
pub struct Tries {
    task: JoinHandle<()>,
}

/// The same: a key, the revision that is to be there, and whose attempt it is. Whoever removes another's place says nothing of
/// itself.
type Same = (String, u64, String);

impl Tries {
    /// Begins to listen at one of these servers, and at another one where that fails.
    pub fn start(urls: &str, recorder: Recorder) -> Tries {
        Tries { task: tokio::spawn(count(urls.to_owned(), recorder)) }
    }
}

impl Drop for Tries {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn count(urls: String, recorder: Recorder) {
    let servers: Vec<&str> = urls.split(',').collect();
    // It is connected later, and goes on for as long as it takes.
    let Ok(client) = listener("tries").connect(servers).await else { return };
    let mut messages = Vec::new();
    for kind in KINDS {
        let Ok(of_kind) = client.subscribe(format!("$KV.{BUCKET}.{kind}.>")).await else { return };
        messages.push(of_kind);
    }
    let mut messages = select_all(messages);
    let mut windows = tokio::time::interval(WINDOW);
    windows.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut heard, mut counted): (BTreeMap<Same, BTreeSet<String>>, usize) = Default::default();
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { return };
                if let Some((same, id)) = read(&message).filter(|_| counted < MOST_COUNTED)
                    && heard.entry(same).or_default().insert(id)
                {
                    counted += 1;
                }
            }
            _ = windows.tick() => {
                counted = 0;
                // Of attempts, and of those who remove a place: they are allowed different things.
                let (removals, claims): (Vec<_>, Vec<_>) = std::mem::take(&mut heard)
                    .into_iter()
                    .map(|(same, ids)| (ids.len() as u64, same))
                    .partition(|(_, (_, _, attempt))| attempt.is_empty());
                for (writes, (key, revision, attempt)) in
                    [removals, claims].into_iter().filter_map(|sort| sort.into_iter().max())
                {
                    recorder.say(What::Tries { key, revision, attempt, writes }).await;
                }
            }
        }
    }
}

/// What a message is a try of, and which write it is; `None` if it is none, or goes with others.
fn read(message: &Message) -> Option<(Same, String)> {
    let key = message.subject.strip_prefix(&format!("$KV.{BUCKET}."))?;
    let headers = message.headers.as_ref()?;
    if headers.get("Nats-Batch-Id").is_some() {
        return None;
    }
    let id = headers.get("Nats-Msg-Id")?.as_str();
    let revision = headers.get("Nats-Expected-Last-Subject-Sequence")?.as_str().parse().ok()?;
    // The attempt stands before the number of its write. What is written to other keys without one is not tried again as it was.
    let attempt = if key.starts_with("line.") { "" } else { id.rsplit_once('-')?.0 };
    Some(((key.to_owned(), revision, attempt.to_owned()), id.to_owned()))
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;

    use super::*;

    fn message(subject: &str, headers: &[(&'static str, &str)]) -> Message {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        Message {
            subject: subject.into(),
            reply: None,
            payload: Default::default(),
            headers: Some(map),
            status: None,
            description: None,
            length: 0,
        }
    }

    #[test]
    fn a_claim_is_of_its_attempt_and_a_removal_of_nobody() {
        let same = |key: &str, revision, attempt: &str| (key.to_owned(), revision, attempt.to_owned());
        let upon = ("Nats-Expected-Last-Subject-Sequence", "7");
        let claim = message("$KV.leases.lock.a", &[("Nats-Msg-Id", "x-y-12"), upon]);
        assert_eq!(read(&claim), Some((same("lock.a", 7, "x-y"), "x-y-12".into())));
        let removal = message("$KV.leases.line.lock.a.p-0", &[("Nats-Msg-Id", "x-y-12"), upon]);
        assert_eq!(read(&removal), Some((same("line.lock.a.p-0", 7, ""), "x-y-12".into())));
        assert_eq!(read(&message("$KV.leases.here.p", &[("Nats-Msg-Id", "x-1")])), None, "upon nothing");
        assert_eq!(
            read(&message("$KV.leases.sem.s.limit", &[("Nats-Msg-Id", "x"), upon])),
            None,
            "of no attempt"
        );
        let batch = [("Nats-Msg-Id", "x-1"), upon, ("Nats-Batch-Id", "b")];
        assert_eq!(read(&message("$KV.leases.lock.a", &batch)), None);
    }
}
