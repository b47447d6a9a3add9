//! Batches on NATS: what goes out, and what the answer says.
//!
//! The messages of a batch go to the stream's leader in a row. It keeps them aside and answers nothing (or, where asked,
//! with an empty message) until the last one comes, which says "commit". Then it looks at each in turn (its id, its
//! condition) and proposes all of them or refuses with the first error. It forgets a batch that does not go on within
//! 10 s, whose leader changes, or in which a message is missing; it says so to nobody, until the commit comes (10176).
//!
//! Only the first message carries the `Nats-Msg-Id`. It is looked at before any condition, so a repeat of an applied
//! batch is refused as a duplicate (10201) whatever has become of its keys since; and the server need not remember an id
//! for each write.

use serde::Deserialize;

use super::nats::Outgoing;
use super::nats_bucket::LEAST_MESSAGE;
use super::nats_link::Link;
use super::nats_wire::{ApiError, Names, refusal};
use super::{Batch, BatchAck, BatchWrite, Body, Condition, Revision, WriteError, batch};

impl Link {
    /// [`Store::write_all`](super::Store::write_all): one message a write, one answer for all.
    ///
    /// Lost or late answer: [`WriteError::Unknown`], and the same id asks again. What was sent of a batch whose last
    /// message was not, is forgotten by the server; it counts among its 50 open batches for up to 10 s. Old answers
    /// (from a leader that is none any more and does not know) can only be a no, and are a true no for this try.
    pub(super) async fn write_all(&self, names: &Names, batch: &Batch) -> Result<BatchAck, WriteError> {
        batch.check()?;
        // For this try alone: a repeat under the same one would go on where the first left off.
        let this_try = self.fresh_id();
        let (stream, count) = (names.stream(), batch.writes.len());
        let judge = |answer: &[u8]| batch_answer(answer, &stream, &this_try, count);
        self.request_all(messages(names, batch, &this_try), judge).await
    }
}

fn messages(names: &Names, batch: &Batch, this_try: &str) -> Vec<Outgoing> {
    let message = |(index, write)| message(names, batch, this_try, index, write);
    batch.writes.iter().enumerate().map(message).collect()
}

fn message(names: &Names, batch: &Batch, this_try: &str, index: usize, write: &BatchWrite) -> Outgoing {
    let mut headers = vec![
        ("Nats-Expected-Stream", names.stream()),
        ("Nats-Batch-Id", this_try.to_owned()),
        ("Nats-Batch-Sequence", (index + 1).to_string()),
    ];
    let (_, revision) = write.compared();
    headers.push(("Nats-Expected-Last-Subject-Sequence", revision.to_string()));
    if let Condition::Other { key, .. } = &write.only_if {
        headers.push(("Nats-Expected-Last-Subject-Sequence-Subject", names.subject(key)));
    }
    if index == 0 {
        headers.push(("Nats-Msg-Id", batch.id.clone()));
    }
    if write.ttl_secs > 0 {
        headers.push(("Nats-TTL", write.ttl_secs.to_string()));
    }
    let payload = match &write.body {
        Body::Put(value) => value.clone(),
        Body::Delete(note) => {
            headers.push(("KV-Operation", "DEL".to_owned()));
            note.clone()
        }
    };
    let commit = index + 1 == batch.writes.len();
    if commit {
        headers.push(("Nats-Batch-Commit", "1".to_owned()));
    }
    let mut message = Outgoing { subject: names.publish(&write.key), headers, payload, answered: commit };
    // Larger ones may be more than the stream takes. The commit's answer would not say so.
    message.answered |= message.size() > LEAST_MESSAGE;
    message
}

#[derive(Deserialize)]
struct Answer {
    error: Option<ApiError>,
    stream: Option<String>,
    seq: Option<Revision>,
    batch: Option<String>,
    count: Option<usize>,
}

/// What the answer to a batch says.
fn batch_answer(payload: &[u8], stream: &str, this_try: &str, count: usize) -> Result<BatchAck, WriteError> {
    let Ok(answer) = serde_json::from_slice::<Answer>(payload) else {
        return Err(WriteError::Unknown("something else than the stream answered"));
    };
    // First the error: a refusal carries a `seq` as well, of 0.
    if let Some(error) = answer.error {
        return batch_refusal(&error);
    }
    if answer.stream.as_deref().is_some_and(|from| from != stream) {
        // `Nats-Expected-Stream` keeps a stream of a server that we know from doing so.
        return Err(WriteError::Unknown("another stream took the batch, or a part of it"));
    }
    let first =
        answer.seq.and_then(|last| last.checked_sub(u64::try_from(count).ok()?)).map(|before| before + 1);
    match (answer.batch.as_deref() == Some(this_try) && answer.count == Some(count), first) {
        (true, Some(first)) => match batch::last(first, count) {
            Some(last) => Ok(BatchAck::Applied { first, last }),
            None => Err(WriteError::Unknown("an answer that makes no sense")),
        },
        // A server before 2.12 takes each message for itself.
        _ => Err(WriteError::Unknown("the stream's leader does not answer as to a batch")),
    }
}

/// What a refusal of a batch means.
///
/// The leader refuses before it proposes anything, as with a single write. The exceptions come from *applying*.
fn batch_refusal(error: &ApiError) -> Result<BatchAck, WriteError> {
    Err(match error.err_code {
        // The first message's id is known. (Twice in one batch would be refused likewise, but there is only one.)
        10201 => return Ok(BatchAck::Duplicate),
        // A message is missing, the leader changed meanwhile, or (before 2.14) too many batches are open: the commit was
        // not acted upon. Since every try has an id of its own, nothing else of this try can be either.
        10176 => WriteError::NotTaken,
        // A single server says so too when it runs out of room while it applies the batch: a part of it stands then
        // (2.12.8 answers 10023 after 14 of 30 writes; 2.15.1 answers nothing).
        10002 | 10023 | 10028 | 10047 => {
            WriteError::Unknown("the server has no room; a part of the batch may stand")
        }
        // 10210, from 2.14 on: too many batches are open; its code is 429, so it was not taken. 10174 (not allowed in
        // this stream), 10175, 10177, 10179, 10185, 10199 and 10200 (sequence, header, id, level, size, commit) are
        // refusals for good, by their code 4xx.
        _ => refusal(error),
    })
}

#[cfg(test)]
#[path = "nats_batch_tests.rs"]
mod tests;
