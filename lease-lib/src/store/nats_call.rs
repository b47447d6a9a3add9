//! The handful of things that are asked of a bucket's stream, each with what its silence means.

use bytes::Bytes;
use serde_json::{Value, json};

use super::nats_link::Link;
use super::nats_wire::{ApiError, Headers, Names, carried_entry, get_answer, micros, write_answer};
use super::{
    Ack, Body, CHRONICLE_LINES, CHRONICLE_SECS, Entry, Page, Revision, Unreadable, Write, WriteError,
};
use crate::error::Error;
use crate::name::unfit;

/// How many entries a page of a scan has.
const PAGE: usize = 512;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It was never sent.
    NotSent,
    /// It is too large or its subject is wrong, and was never sent.
    Malformed(String),
    /// The server does not let us publish there, so it reached nobody. Its own words.
    Denied(String),
    /// Nobody listens there (NATS status 503), so it reached nobody.
    NoResponders,
    /// It was sent; no answer came in time.
    Silence,
    /// It was sent; then the connection ended.
    Ended,
    /// It may have been sent; the server does not let us hear answers. Its own words.
    Deaf(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Failure::NotSent => "not connected to NATS",
            Failure::NoResponders => {
                "nobody answers: is JetStream enabled, is the domain right, has the cluster a leader?"
            }
            Failure::Silence => "no answer in time",
            Failure::Ended => "the connection ended before the answer came",
            Failure::Malformed(text) | Failure::Denied(text) | Failure::Deaf(text) => text,
        })
    }
}

impl From<Failure> for Unreadable {
    fn from(failure: Failure) -> Unreadable {
        Unreadable(failure.to_string())
    }
}

/// Why a call of the JetStream API did not do what it was to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// JetStream said no.
    Api(ApiError),
    /// There was no answer.
    Failure(Failure),
    /// There was an answer that nobody can read.
    Garbled,
}

/// What a server says of a stream.
pub(super) struct Info {
    pub config: Value,
    pub created: String,
    pub first_seq: u64,
    pub last_seq: u64,
    pub bytes: u64,
    /// The server's clock when it said so, microseconds of unix time.
    pub now: u64,
    /// Whether somebody leads it, and has heard from a majority just now.
    pub led: bool,
    /// What it says of the replicas; null where nothing is replicated.
    pub cluster: Value,
}

impl Link {
    /// [`Store::write`](super::Store::write): one publish, acknowledged by the stream's leader once a majority has it.
    ///
    /// Lost or late answer: [`WriteError::Unknown`], and the same id asks again. An old one (from a leader that is
    /// none any more and does not know) can only be a no, and is a true no for this try: that leader proposed nothing.
    pub(super) async fn write(&self, names: &Names, write: &Write) -> Result<Ack, WriteError> {
        if let Some(why) = unfit(&write.key, false) {
            return Err(WriteError::Refused(format!("invalid key {:?}: {why}", write.key)));
        }
        let (stream, expect, ttl) = (names.stream(), write.expect.to_string(), write.ttl_secs.to_string());
        let mut headers = vec![
            ("Nats-Expected-Stream", stream.as_str()),
            ("Nats-Expected-Last-Subject-Sequence", expect.as_str()),
            ("Nats-Msg-Id", write.id.as_str()),
        ];
        if write.ttl_secs > 0 {
            headers.push(("Nats-TTL", ttl.as_str()));
        }
        let payload = match &write.body {
            Body::Put(value) => value,
            Body::Delete(note) => {
                headers.push(("KV-Operation", "DEL"));
                note
            }
        };
        let judge = |answer: &[u8]| write_answer(answer, &stream);
        self.request_write(&names.publish(&write.key), &headers, payload.clone(), judge).await
    }

    /// [`Store::chronicle`](super::Store::chronicle): one publish without comparison. The stream drops the oldest line of
    /// a key that has too many.
    ///
    /// Lost or late answer: [`WriteError::Unknown`]; the line may have been added. Old: as for [`Link::write`].
    pub(super) async fn chronicle(&self, names: &Names, key: &str, line: Bytes) -> Result<(), WriteError> {
        if let Some(why) = unfit(key, false) {
            return Err(WriteError::Refused(format!("invalid key {key:?}: {why}")));
        }
        let (stream, ttl) = (names.stream(), CHRONICLE_SECS.to_string());
        let headers = [("Nats-Expected-Stream", stream.as_str()), ("Nats-TTL", ttl.as_str())];
        let judge = |answer: &[u8]| write_answer(answer, &stream).map(drop);
        self.request_write(&names.publish(&chronicled(key)), &headers, line, judge).await
    }

    /// [`Store::chronicle_of`](super::Store::chronicle_of): fewer lines than a page has.
    ///
    /// Lost or late answer: unreadable. Old: the page shows what its replica had reached, and [`Link::scan`] adds what
    /// the leader knows of beyond that.
    pub(super) async fn chronicle_of(
        &self,
        names: &Names,
        key: &str,
    ) -> Result<Vec<(Revision, Bytes)>, Unreadable> {
        readable(key, false)?;
        let mut lines = self.scan(names, &chronicled(key), 1).await?.entries;
        // What is added while it is read pushes out older lines that were read already.
        lines.drain(..lines.len().saturating_sub(CHRONICLE_LINES));
        let line = |entry: Entry| Some((entry.revision, entry.value()?.clone()));
        Ok(lines.into_iter().filter_map(line).collect())
    }

    /// One entry, from whoever believes to lead the stream.
    ///
    /// Lost or late answer: unreadable, and nothing follows from that. Old: a leader that was cut off goes on
    /// answering for a while; so a read is a hint, and only a write decides.
    async fn get(&self, names: &Names, which: Value) -> Result<Option<Entry>, Unreadable> {
        let answer = self.request(&names.api("STREAM.MSG.GET"), &[], bytes(&which)).await?;
        get_answer(&answer.payload(), names).map_err(Unreadable)
    }

    /// [`Store::read`](super::Store::read).
    pub(super) async fn read(&self, names: &Names, key: &str) -> Result<Option<Entry>, Unreadable> {
        readable(key, false)?;
        self.get(names, json!({ "last_by_subj": names.subject(key) })).await
    }

    /// [`Store::last`](super::Store::last): of a filter, the server gives the match with the highest sequence.
    pub(super) async fn last(&self, names: &Names, filter: &str) -> Result<Option<Entry>, Unreadable> {
        readable(filter, true)?;
        self.get(names, json!({ "last_by_subj": names.subject(filter) })).await
    }

    /// [`Store::first`](super::Store::first).
    pub(super) async fn first(&self, names: &Names, filter: &str) -> Result<Option<Entry>, Unreadable> {
        readable(filter, true)?;
        self.get(names, json!({ "seq": 1, "next_by_subj": names.subject(filter) })).await
    }

    /// [`Store::read_revision`](super::Store::read_revision).
    pub(super) async fn read_revision(
        &self,
        names: &Names,
        at: Revision,
    ) -> Result<Option<Entry>, Unreadable> {
        // 0 would be "any" to the server.
        if at == 0 { Ok(None) } else { self.get(names, json!({ "seq": at })).await }
    }

    /// [`Store::scan`](super::Store::scan).
    ///
    /// A page comes from any replica, and each of them shows the stream as of some revision that it has reached. So
    /// what the last page leaves out is what its replica had not reached: the leader says, at the same time, up to
    /// where it should go, and gives the rest one by one. What an earlier page left out has moved to a later one.
    pub(super) async fn scan(&self, names: &Names, filter: &str, from: Revision) -> Result<Page, Unreadable> {
        readable(filter, true)?;
        let (page, newest) = tokio::join!(self.page(names, filter, from.max(1)), self.last(names, filter));
        let (mut page, newest) = (page?, newest?.map_or(0, |entry| entry.revision));
        while page.next.is_none() {
            let reached = page.entries.last().map_or(from.max(1), |entry| entry.revision + 1);
            if reached > newest {
                break;
            }
            if page.entries.len() >= PAGE {
                page.next = Some(reached);
                break;
            }
            let next = json!({ "seq": reached, "next_by_subj": names.subject(filter) });
            match self.get(names, next).await? {
                Some(entry) => page.entries.push(entry),
                // It has expired meanwhile.
                None => break,
            }
        }
        Ok(page)
    }

    /// A page from some replica: messages in order, then one with status 204 that counts what is left.
    ///
    /// Lost: one message that does not come makes the page unreadable. Late: nobody listens any more. Old: see above.
    async fn page(&self, names: &Names, filter: &str, from: Revision) -> Result<Page, Unreadable> {
        let which = json!({ "seq": from, "next_by_subj": names.subject(filter), "batch": PAGE });
        let mut answers = self.ask(&names.api("DIRECT.GET"), bytes(&which)).await?;
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let answer = answers.next().await?;
            match answer.status() {
                None => {
                    let key = answer.last_value("Nats-Subject").and_then(|subject| names.key(subject));
                    let entry = key.and_then(|key| carried_entry(key, &answer, answer.payload()));
                    entries.push(
                        entry.ok_or_else(|| Unreadable("a message without revision or subject".into()))?,
                    );
                }
                // Nothing (any more) at or above `from`.
                Some(404) => return Ok(Page { entries, next: None }),
                Some(204) => {
                    let left = answer.last_value("Nats-Num-Pending").is_some_and(|left| left != "0");
                    let next = entries.last().filter(|_| left).map(|entry| entry.revision + 1);
                    return Ok(Page { entries, next });
                }
                Some(status) => return Err(Unreadable(format!("the server answers with status {status}"))),
            }
        }
    }

    /// A call of the JetStream API about a bucket's stream. What a lost answer means depends on the call.
    pub(super) async fn api(&self, names: &Names, call: &str, body: &Value) -> Result<Value, Fault> {
        let payload = if body.is_null() { Bytes::new() } else { bytes(body) };
        self.asked(&names.api(call), payload).await
    }

    /// What the account uses and may use. Old answers do no harm.
    pub(super) async fn account(&self, names: &Names) -> Result<Value, Fault> {
        self.asked(&names.account(), Bytes::new()).await
    }

    async fn asked(&self, subject: &str, payload: Bytes) -> Result<Value, Fault> {
        let answer = self.request(subject, &[], payload).await.map_err(Fault::Failure)?;
        let value: Value = serde_json::from_slice(&answer.payload()).map_err(|_| Fault::Garbled)?;
        match value.get("error").filter(|error| !error.is_null()) {
            None => Ok(value),
            Some(error) => Err(serde_json::from_value(error.clone()).map_or(Fault::Garbled, Fault::Api)),
        }
    }

    /// What a server says of a stream, which is the one that leads it where one does.
    ///
    /// Lost or late answer: an error. Old: from a leader that was cut off; what matters in it does not change while the
    /// stream exists, and a stream that only that leader still believes in takes no writes.
    pub(super) async fn info(&self, names: &Names) -> Result<Option<Info>, Error> {
        let value = match self.api(names, "STREAM.INFO", &Value::Null).await {
            Ok(value) => value,
            Err(Fault::Api(error)) if error.err_code == 10059 => return Ok(None),
            Err(fault) => return Err(self.error(fault)),
        };
        let info = || {
            let number = |group: &str, key: &str| value.get(group)?.get(key)?.as_u64();
            let cluster = value.get("cluster").filter(|cluster| !cluster.is_null());
            Some(Info {
                created: value.get("created")?.as_str()?.into(),
                first_seq: number("config", "first_seq").unwrap_or(0),
                last_seq: number("state", "last_seq").unwrap_or(0),
                bytes: number("state", "bytes").unwrap_or(0),
                now: micros(value.get("ts")?.as_str()?)?,
                led: cluster.is_none_or(led),
                cluster: cluster.cloned().unwrap_or_default(),
                config: value.get("config")?.clone(),
            })
        };
        info().map(Some).ok_or_else(|| self.error(Fault::Garbled))
    }

    /// What a person is told of a call that failed.
    pub(super) fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::Api(error) => match (error.err_code, error.code) {
                // No such account, not enabled, not enabled for this account; and whatever asking again cannot mend.
                (10035 | 10039 | 10076, _) | (_, 400..=428 | 430..=499) => Error::Denied(error.to_string()),
                _ => Error::Unreachable(error.to_string()),
            },
            Fault::Failure(Failure::Denied(why) | Failure::Deaf(why)) => Error::Denied(why),
            Fault::Failure(Failure::NoResponders) if self.alone_without_jetstream() => {
                Error::Denied("JetStream is not enabled on this server (start it with -js)".into())
            }
            Fault::Failure(failure) => Error::Unreachable(failure.to_string()),
            Fault::Garbled => Error::Unreachable("an answer that cannot be read".into()),
        }
    }

    /// A server without JetStream may have neighbours with it, which may be starting; one without neighbours has not.
    fn alone_without_jetstream(&self) -> bool {
        self.standing().is_ok_and(|session| !session.jetstream && session.others.is_empty())
    }
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> WriteError {
        match failure {
            // A server without connection, or without anybody who listens on the subject, passed it on to nobody.
            Failure::NotSent | Failure::NoResponders => WriteError::NotTaken,
            Failure::Malformed(why) => WriteError::Refused(why),
            Failure::Denied(why) => WriteError::Refused(format!("{why}: allow it to this user")),
            Failure::Silence => WriteError::Unknown("no answer in time"),
            Failure::Ended => WriteError::Unknown("the connection ended before the answer came"),
            Failure::Deaf(_) => WriteError::Unknown("the server does not let this user hear answers"),
        }
    }
}

/// Whether a stream can take writes, by what its leader says of the others. One that was cut off believes in itself for
/// several seconds more, but knows when it last heard from them: once a second, while all is well.
fn led(cluster: &Value) -> bool {
    const SILENT_NANOS: u64 = 2_500_000_000;
    let leader = cluster.get("leader").and_then(Value::as_str).is_some_and(|leader| !leader.is_empty());
    let others = cluster.get("replicas").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let heard =
        |other: &&Value| other.get("active").and_then(Value::as_u64).is_some_and(|ago| ago < SILENT_NANOS);
    let present = 1 + others.iter().filter(heard).count();
    leader && present * 2 > 1 + others.len()
}

/// Where the lines about a record's past are kept in the bucket beside it.
fn chronicled(key: &str) -> String {
    format!("hist.{key}")
}

fn readable(key: &str, wild: bool) -> Result<(), Unreadable> {
    unfit(key, wild).map_or(Ok(()), |why| Err(Unreadable(format!("invalid key {key:?}: {why}"))))
}

fn bytes(value: &Value) -> Bytes {
    value.to_string().into()
}
