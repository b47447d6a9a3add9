//! One consumer: push, ordered by its own numbers, with heartbeats; made anew whenever it is in doubt.

use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{ECHO, STREAM, SUBJECTS};
use crate::clock::{nanos, now_ns};
use crate::failure::Failure;
use crate::history::What;

/// A consumer that lives says so every second.
const SILENCE: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(300);

/// A revision and when it was read.
pub(super) type Read = (u64, What);

/// A consumer's reader.
pub(super) struct Source {
    url: String,
    /// The first revision that it has not read.
    next: u64,
    tell: mpsc::Sender<Read>,
}

impl Source {
    pub(super) fn new(url: String, first: u64, tell: mpsc::Sender<Read>) -> Source {
        Source { url, next: first, tell }
    }

    /// Reads until it is stopped.
    pub(super) async fn read(mut self) {
        loop {
            let Some(client) = connect(&self.url).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let echo = tokio::spawn(echo(client.clone(), self.tell.clone()));
            while self.one_consumer(&client).await.is_some() {}
            echo.abort();
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// `None` if the connection is of no use.
    async fn one_consumer(&mut self, client: &Client) -> Option<()> {
        let (mut messages, _) = consume(client, json!("by_start_sequence"), Some(self.next)).await?;
        let mut count = 0;
        loop {
            let message = tokio::time::timeout(SILENCE, messages.next()).await.ok()??;
            if let Some(status) = message.status {
                if status.as_u16() != 100 {
                    return Some(());
                }
                answer_flow(client, &message).await;
                continue;
            }
            let Some(place) = Place::of(&message) else { continue };
            count += 1;
            if place.number != count {
                // One was lost on the way.
                return Some(());
            }
            if place.sequence >= self.next {
                self.next = place.sequence + 1;
                let Some(what) = revision(&message, place) else { continue };
                self.tell.send((now_ns(), what)).await.ok()?;
            }
        }
    }
}

/// What the stream's leader itself sends after each commit (`republish`): it needs no consumer, which may live on the
/// very server that is broken.
async fn echo(client: Client, tell: mpsc::Sender<Read>) -> Option<()> {
    let mut messages = client.subscribe(format!("{ECHO}>")).await.ok()?;
    loop {
        let message = messages.next().await?;
        let at_ns = now_ns();
        let header = |name: &str| message.headers.as_ref().and_then(|it| it.get(name)).map(|it| it.as_str());
        let written = header("Nats-Time-Stamp").and_then(|it| humantime::parse_rfc3339(it).ok());
        let written = written.and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok());
        let sequence = header("Nats-Sequence").and_then(|it| it.parse().ok());
        let key = message.subject.strip_prefix(ECHO);
        let (Some(written), Some(sequence), Some(key)) = (written, sequence, key) else { continue };
        tell.send((at_ns, describe(&message, key, sequence, nanos(written)))).await.ok()?;
    }
}

async fn connect(url: &str) -> Option<Client> {
    let options = async_nats::ConnectOptions::new()
        .connection_timeout(ANSWER)
        .request_timeout(Some(ANSWER))
        .ping_interval(Duration::from_secs(2))
        // Its own server, not one that others tell of: three sources on one server would see no more than one.
        .ignore_discovered_servers();
    tokio::time::timeout(ANSWER, options.connect(url)).await.ok()?.ok()
}

/// A consumer and how many messages it still has to deliver.
pub(super) async fn consume(client: &Client, policy: Value, from: Option<u64>) -> Option<(Subscriber, u64)> {
    let inbox = client.new_inbox();
    let messages = client.subscribe(inbox.clone()).await.ok()?;
    let mut config = json!({
        "deliver_subject": inbox, "deliver_policy": policy, "filter_subject": format!("{SUBJECTS}>"), "ack_policy": "none", "flow_control": true,
        "idle_heartbeat": 1_000_000_000_u64, "mem_storage": true, "num_replicas": 1, "max_deliver": 1,
        "inactive_threshold": 10_000_000_000_u64
    });
    if let Some(from) = from {
        config["opt_start_seq"] = json!(from);
    }
    let body = json!({ "stream_name": STREAM, "config": config }).to_string();
    let answer = ask(client, &format!("$JS.API.CONSUMER.CREATE.{STREAM}"), body).await?;
    answer.get("error").is_none().then(|| (messages, answer["num_pending"].as_u64().unwrap_or_default()))
}

async fn ask(client: &Client, subject: &str, body: String) -> Option<Value> {
    let answer = tokio::time::timeout(ANSWER, client.request(subject.to_owned(), body.into())).await;
    serde_json::from_slice(&answer.ok()?.ok()?.payload).ok()
}

/// Without an answer the server would deliver no more.
async fn answer_flow(client: &Client, message: &Message) {
    let stalled = message.headers.as_ref().and_then(|it| it.get("Nats-Consumer-Stalled"));
    let to = message.reply.as_ref().map(ToString::to_string).or(stalled.map(|it| it.as_str().to_owned()));
    if let Some(to) = to {
        // If it is lost the heartbeat asks again.
        let _ = client.publish(to, "".into()).await;
    }
}

/// The first and the last revision of the stream, from whichever server answers.
pub(super) async fn span(urls: &[String]) -> Result<(u64, u64), Failure> {
    for _ in 0..20 {
        for url in urls {
            let Some(client) = connect(url).await else { continue };
            let Some(info) = ask(&client, &format!("$JS.API.STREAM.INFO.{STREAM}"), String::new()).await
            else {
                continue;
            };
            let state = &info["state"];
            if let (Some(first), Some(last)) = (state["first_seq"].as_u64(), state["last_seq"].as_u64()) {
                return Ok((first, last));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Failure::internal(format!("no server says where the stream {STREAM} begins")))
}

/// A client of whichever server lets one in.
pub(super) async fn any(urls: &[String]) -> Option<Client> {
    for url in urls {
        if let Some(client) = connect(url).await {
            return Some(client);
        }
    }
    None
}

/// What the reply subject says of a message:
/// `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub sequence: u64,
    number: u64,
    written_ns: u64,
    pub pending: u64,
}

impl Place {
    pub(super) fn of(message: &Message) -> Option<Place> {
        Place::parse(message.reply.as_deref()?)
    }

    fn parse(reply: &str) -> Option<Place> {
        let parts: Vec<&str> = reply.split('.').collect();
        let from = if parts.len() >= 11 { 7 } else { 5 };
        let number = |index: usize| parts.get(from + index)?.parse::<u64>().ok();
        Some(Place { sequence: number(0)?, number: number(1)?, written_ns: number(2)?, pending: number(3)? })
    }
}

/// `None` if it is not the bucket's.
pub(super) fn revision(message: &Message, place: Place) -> Option<What> {
    let key = message.subject.strip_prefix(SUBJECTS)?;
    Some(describe(message, key, place.sequence, place.written_ns))
}

fn describe(message: &Message, key: &str, revision: u64, written_ns: u64) -> What {
    let header = |name: &str| message.headers.as_ref().and_then(|it| it.get(name)).map(|it| it.as_str());
    let ttl = header("Nats-TTL").unwrap_or("0");
    What::Revision {
        revision,
        key: key.to_owned(),
        written_us: written_ns / 1_000,
        is_deletion: header("KV-Operation").is_some_and(|it| it == "DEL" || it == "PURGE"),
        ttl_secs: ttl.trim_end_matches('s').parse().unwrap_or_default(),
        value: serde_json::from_slice(&message.payload).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn both_forms_of_reply_subjects_are_read() {
        let place = Place { sequence: 17, number: 3, written_ns: 99, pending: 4 };
        assert_eq!(Place::parse("$JS.ACK.KV_leases.abc.1.17.3.99.4"), Some(place));
        assert_eq!(Place::parse("$JS.ACK._.acc.KV_leases.abc.1.17.3.99.4"), Some(place));
        assert_eq!(Place::parse("_INBOX.a.b"), None);
    }
}
