//! Reads every revision of the bucket as it is written: what really happened, whatever the workers believe.
//!
//! ```text
//!   n0 ─┐
//!   n1 ─┼─ announcements (the stream's `republish`) ─► in order, each once ─► history
//!   n2 ─┘                    what is missing ─► read by its number
//! ```
//!
//! Revisions of a stream are numbered without holes, so what was not heard is known by its number. Why not only a
//! consumer: a key has one value, and one that was overwritten before the consumer came to it is gone; the announcement
//! comes from the leader once the write is committed. Three connections, each to one server and no other, so that no
//! single server's death or isolation takes the news away.
//!
//! What can be missed: a revision whose announcement was lost (its leader died between the commit and the announcement,
//! or was cut off from all three listeners) *and* that was overwritten, deleted or expired before it was read by its
//! number. It is said so then ([`What::Gap`]), and never passed over: the end of the stream is asked for, too.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, HeaderMap, Message};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ns;
use crate::history::{Line, What};
use crate::recorder::Recorder;
use crate::worker::BUCKET;

/// How long an announcement may be late before its revision is read by its number.
const LATE: Duration = Duration::from_secs(1);
/// How long it is tried to read one that is missing. A failover takes up to 8 s, and an answer "there is none" from a
/// replica that lags is not the last word.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Revisions that wait for one before them. Beyond that the missing one is given up at once.
const MOST_WAITING: usize = 20_000;
/// Revisions that are remembered, to tell a second hearing from a number that was used twice.
const MOST_KNOWN: usize = 100_000;
/// A question to JetStream.
const ASK: Duration = Duration::from_secs(2);

/// A revision as it was heard.
#[derive(Clone, Debug)]
struct Heard {
    at_ns: u64,
    revision: u64,
    key: String,
    written_us: u64,
    is_deletion: bool,
    ttl_secs: u64,
    value: Option<Value>,
}

impl Heard {
    fn line(self) -> Line {
        let Heard { at_ns, revision, key, written_us, is_deletion, ttl_secs, value } = self;
        let what = What::Revision { revision, key, written_us, is_deletion, ttl_secs, value };
        Line { at_ns, who: "auditor".into(), what }
    }

    fn is_same(&self, other: &Heard) -> bool {
        (self.written_us, &self.key) == (other.written_us, &other.key)
    }
}

/// The auditor at work.
#[derive(Debug)]
pub struct Auditor {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Auditor {
    /// Begins to listen, before there is a bucket.
    pub async fn start(urls: &[String], recorder: Recorder) -> Auditor {
        let stop = CancellationToken::new();
        let (tell, heard) = mpsc::channel(4_096);
        let mut clients = Vec::new();
        for url in urls {
            if let Some(client) = listen(url, tell.clone()).await {
                clients.push(client);
            }
        }
        let state = State::new(clients, None, recorder);
        let task = tokio::spawn(state.run(heard, stop.clone()));
        Auditor { stop, task }
    }

    /// Waits until everything up to the end of the stream was read or given up.
    ///
    /// # Errors
    /// If it broke off: then revisions are missing, and nobody said so.
    pub async fn finish(mut self) -> Result<(), String> {
        self.stop.cancel();
        match tokio::time::timeout(GIVE_UP * 3, &mut self.task).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the auditor broke off: {error}")),
            Err(_) => Err("the auditor did not come to an end: what it missed was not said".into()),
        }
    }
}

impl Drop for Auditor {
    /// One that is not waited for has nothing to say any more.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How whoever listens connects: it is there again soon after its server is, and much may come at once.
pub(crate) fn listener(name: &str) -> ConnectOptions {
    ConnectOptions::new()
        .name(name)
        .retry_on_initial_connect()
        .connection_timeout(Duration::from_secs(1))
        .ping_interval(Duration::from_secs(1))
        .reconnect_delay_callback(|_| Duration::from_millis(100))
        .subscription_capacity(65_536)
}

/// Hears announcements at one server, for as long as somebody wants to know.
async fn listen(url: &str, tell: mpsc::Sender<Heard>) -> Option<Client> {
    let options = listener("auditor").ignore_discovered_servers();
    let client = options.connect(url).await.ok()?;
    let mut announcements = client.subscribe(format!("_lease.{BUCKET}.ev.>")).await.ok()?;
    tokio::spawn(async move {
        while let Some(message) = announcements.next().await {
            let key = message.subject.strip_prefix(&format!("_lease.{BUCKET}.ev.")).map(str::to_owned);
            if let Some(heard) = key.and_then(|key| read(key, &message))
                && tell.send(heard).await.is_err()
            {
                return;
            }
        }
    });
    Some(client)
}

/// What an announcement or a direct answer says: both carry the same headers.
fn read(key: String, message: &Message) -> Option<Heard> {
    let headers = message.headers.as_ref()?;
    let written = humantime::parse_rfc3339(last(headers, "Nats-Time-Stamp")?).ok()?;
    let written = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    let operation = last(headers, "KV-Operation");
    Some(Heard {
        at_ns: now_ns(),
        revision: last(headers, "Nats-Sequence")?.parse().ok()?,
        key,
        written_us: written.as_micros() as u64,
        is_deletion: matches!(operation, Some("DEL" | "PURGE"))
            || last(headers, "Nats-Marker-Reason").is_some(),
        ttl_secs: last(headers, "Nats-TTL").map_or(0, seconds),
        value: serde_json::from_slice(&message.payload).ok(),
    })
}

/// The server's own come after those that a writer chose.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_last(name).map(|value| value.as_str())
}

/// A number of seconds, or a duration as Go writes it.
fn seconds(text: &str) -> u64 {
    text.parse().ok().or_else(|| humantime::parse_duration(text).ok().map(|span| span.as_secs())).unwrap_or(0)
}

struct State {
    clients: Vec<Client>,
    /// Whom to ask next.
    turn: usize,
    /// The revision that is due; `None` before there is a bucket.
    next: Option<u64>,
    /// Which life of the bucket this is.
    created: String,
    /// The last revision that the stream is known to have.
    last: u64,
    waiting: BTreeMap<u64, Heard>,
    known: BTreeMap<u64, Heard>,
    /// Since when the next one is missing.
    stuck_since: Option<Instant>,
    recorder: Recorder,
}

impl State {
    /// Nothing was heard yet; `next` is due first, if that is known.
    fn new(clients: Vec<Client>, next: Option<u64>, recorder: Recorder) -> State {
        State {
            clients,
            turn: 0,
            next,
            created: String::new(),
            last: 0,
            waiting: BTreeMap::new(),
            known: BTreeMap::new(),
            stuck_since: None,
            recorder,
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Heard>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(Duration::from_millis(300));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stopping = None;
        loop {
            tokio::select! {
                heard = inbox.recv() => if let Some(heard) = heard { self.hear(heard).await },
                _ = tick.tick() => {
                    let asked = self.look().await;
                    self.seek().await;
                    if stop.is_cancelled() {
                        let since = *stopping.get_or_insert_with(Instant::now);
                        let done = asked && self.next.is_none_or(|next| next > self.last);
                        if done || since.elapsed() > GIVE_UP * 2 {
                            if let Some(from) = self.next.filter(|_| !done) {
                                self.recorder.say(What::Gap { from }).await;
                            }
                            self.say_what_remains().await;
                            return;
                        }
                    }
                }
            }
        }
    }

    async fn hear(&mut self, heard: Heard) {
        let known = self.known.get(&heard.revision).or_else(|| self.waiting.get(&heard.revision));
        match known {
            Some(known) if known.is_same(&heard) => {}
            // The same number, another write: the store lost what it had acknowledged.
            Some(_) => {
                self.remember(heard.clone());
                self.recorder.line(heard.line()).await;
            }
            None if self.next.is_some_and(|next| heard.revision < next) => {
                // Given up before, or long ago.
                self.remember(heard.clone());
                self.recorder.line(heard.line()).await;
            }
            None => {
                self.waiting.insert(heard.revision, heard);
                self.pass_on().await;
            }
        }
    }

    fn remember(&mut self, heard: Heard) {
        self.known.insert(heard.revision, Heard { value: None, ..heard });
        if self.known.len() > MOST_KNOWN {
            self.known.pop_first();
        }
    }

    /// Writes down what is next, as far as there is no hole.
    async fn pass_on(&mut self) {
        let Some(mut next) = self.next else { return };
        while let Some(heard) = self.waiting.remove(&next) {
            self.remember(heard.clone());
            self.recorder.line(heard.line()).await;
            next += 1;
            self.stuck_since = None;
        }
        self.next = Some(next);
        if self.waiting.len() > MOST_WAITING {
            self.give_up().await;
        }
    }

    /// The next one is not to be had: says so, and goes on with the first that is.
    async fn give_up(&mut self) {
        let Some(next) = self.next else { return };
        let line = Line { at_ns: now_ns(), who: "auditor".into(), what: What::Gap { from: next } };
        self.recorder.line(line).await;
        let first = self.waiting.first_key_value().map_or(self.last + 1, |(revision, _)| *revision);
        self.next = Some(first.max(next + 1));
        self.stuck_since = None;
        Box::pin(self.pass_on()).await;
    }

    /// Asks which life the bucket is in and how far it has got; `false` if nobody answers.
    async fn look(&mut self) -> bool {
        let Some(info) = self.ask(&format!("$JS.API.STREAM.INFO.KV_{BUCKET}"), String::new()).await else {
            return false;
        };
        let Ok(info) = serde_json::from_slice::<Value>(&info.payload) else { return false };
        let Some(created) = info["created"].as_str() else { return false };
        let last = info["state"]["last_seq"].as_u64().unwrap_or_default();
        if self.created == created {
            self.last = self.last.max(last);
            return true;
        }
        let first = info["config"]["first_seq"].as_u64().unwrap_or(1).max(1);
        let is_first_life = self.next.is_none();
        // An answer about an earlier life than the one that is known is old.
        if !is_first_life && created < self.created.as_str() {
            return true;
        }
        if !is_first_life {
            // What is missing of the life before is not to be had any more.
            while self.waiting.first_key_value().is_some_and(|(revision, _)| *revision < first) {
                self.give_up().await;
            }
            if self.next.is_some_and(|next| next <= self.last) {
                let from = self.next.unwrap_or_default();
                let line = Line { at_ns: now_ns(), who: "auditor".into(), what: What::Gap { from } };
                self.recorder.line(line).await;
            }
        }
        self.created = created.to_owned();
        self.next = Some(self.next.map_or(first, |next| next.max(first)));
        self.last = last;
        self.stuck_since = None;
        self.pass_on().await;
        true
    }

    /// Reads what is overdue by its number.
    async fn seek(&mut self) {
        // As many as may be missing after a leader's death at once; the rest comes with the next look.
        for _ in 0..200 {
            let Some(next) = self.next else { return };
            let known_end =
                self.waiting.last_key_value().map_or(self.last, |(last, _)| (*last).max(self.last));
            if next > known_end {
                self.stuck_since = None;
                return;
            }
            let since = *self.stuck_since.get_or_insert_with(Instant::now);
            if since.elapsed() < LATE {
                return;
            }
            match self.fetch(next).await {
                Some(heard) => {
                    self.waiting.insert(next, heard);
                    self.pass_on().await;
                    // The next hole need not be waited for again.
                    self.stuck_since = Some(since);
                }
                None if since.elapsed() > GIVE_UP => self.give_up().await,
                None => return,
            }
        }
    }

    async fn fetch(&mut self, revision: u64) -> Option<Heard> {
        let question = json!({ "seq": revision }).to_string();
        let message = self.ask(&format!("$JS.API.DIRECT.GET.KV_{BUCKET}"), question).await?;
        let subject = last(message.headers.as_ref()?, "Nats-Subject")?.to_owned();
        let key = subject.strip_prefix(&format!("$KV.{BUCKET}."))?.to_owned();
        read(key, &message).filter(|heard| heard.revision == revision)
    }

    /// What the store holds now, by a replica that has all that is known to have been written: some never catch up.
    async fn say_what_remains(&mut self) {
        for _ in 0..self.clients.len() * 4 {
            self.turn = self.turn.wrapping_add(1);
            let Some(client) = self.clients.get(self.turn % self.clients.len()) else { return };
            if let Ok(Some(keys)) = tokio::time::timeout(ASK * 2, remains(client, self.last)).await {
                let line = Line { at_ns: now_ns(), who: "auditor".into(), what: What::Remains { keys } };
                return self.recorder.line(line).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        eprintln!("chaos: nobody says what remains in the bucket");
    }

    async fn ask(&mut self, subject: &str, payload: String) -> Option<Message> {
        self.turn = self.turn.wrapping_add(1);
        let client = self.clients.get(self.turn.checked_rem(self.clients.len())?)?;
        let answer = client.request(subject.to_owned(), payload.into());
        tokio::time::timeout(ASK, answer).await.ok()?.ok()
    }
}

/// Every key that is there, with its revision; `None` if the answer is not whole (also above 1,024 keys, which a server
/// does not list in this way), or of a replica that has not come as far as `least`.
async fn remains(client: &Client, least: u64) -> Option<BTreeMap<String, u64>> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.ok()?;
    let question = json!({ "multi_last": [format!("$KV.{BUCKET}.>")] }).to_string();
    let subject = format!("$JS.API.DIRECT.GET.KV_{BUCKET}");
    client.publish_with_reply(subject, inbox, question.into()).await.ok()?;
    let mut keys = BTreeMap::new();
    while let Some(answer) = answers.next().await {
        // 204 ends the list, 404 says that there is nothing; anything else is a refusal.
        match answer.status.map(|status| status.as_u16()) {
            None => {}
            Some(204) => {
                let up_to = last(answer.headers.as_ref()?, "Nats-UpTo-Sequence")?.parse::<u64>().ok()?;
                return (up_to >= least).then_some(keys);
            }
            Some(404) => return Some(keys),
            Some(_) => return None,
        }
        let key = last(answer.headers.as_ref()?, "Nats-Subject")?.strip_prefix(&format!("$KV.{BUCKET}."))?;
        let heard = read(key.to_owned(), &answer)?;
        if !heard.is_deletion {
            keys.insert(heard.key, heard.revision);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(revision: u64, written_us: u64) -> Heard {
        let key = format!("lock.{revision}");
        Heard { at_ns: 0, revision, key, written_us, is_deletion: false, ttl_secs: 6, value: None }
    }

    /// What is written down when this is heard, revision 1 being due: revisions, and gaps below 0.
    async fn told(of: &[(u64, u64)], given_up: bool) -> Vec<i64> {
        let file = std::env::temp_dir().join(format!("lease-chaos-{}-{:p}", std::process::id(), of));
        let (recorder, writer) = Recorder::begin(&file).unwrap();
        let mut state = State::new(Vec::new(), Some(1), recorder);
        for (revision, written_us) in of {
            state.hear(heard(*revision, *written_us)).await;
        }
        if given_up {
            state.give_up().await;
        }
        drop(state);
        writer.await.unwrap().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap().what);
        let number = |what| match what {
            What::Revision { revision, .. } => revision as i64,
            What::Gap { from } => -(from as i64),
            _ => 0,
        };
        lines.map(number).collect()
    }

    #[tokio::test]
    async fn revisions_are_told_once_and_in_order() {
        // Three servers say the same, each in its time.
        let heard = [(2, 20), (1, 10), (1, 10), (2, 20), (3, 30), (1, 10)];
        assert_eq!(told(&heard, false).await, [1, 2, 3]);
    }

    #[tokio::test]
    async fn what_is_missing_holds_up_what_follows_until_it_is_given_up() {
        assert_eq!(told(&[(1, 10), (3, 30), (5, 50)], false).await, [1]);
        assert_eq!(told(&[(1, 10), (3, 30), (5, 50)], true).await, [1, -2, 3]);
    }

    #[tokio::test]
    async fn a_number_that_was_used_twice_is_told_twice() {
        let heard = [(1, 10), (2, 20), (1, 99), (1, 99), (1, 99)];
        assert_eq!(told(&heard, false).await, [1, 2, 1]);
    }

    #[test]
    fn a_ttl_is_read_in_both_spellings() {
        assert_eq!(["6", "6s", "1m6s", "never"].map(seconds), [6, 6, 66, 0]);
    }
}
