//! The seam: what the protocol needs of a store, and nothing more.
//!
//! Two stores stand behind it: [`NatsStore`] (a JetStream KV bucket) and [`MemoryStore`] (one process, for trying
//! things out and for simulation). One conformance suite, `tests/conformance`, runs against both and is the
//! definition of every sentence here.
//!
//! The seam keeps three answers apart that most clients blur:
//! - [`WriteError::Conflict`]: a definite *no*. This try changed nothing.
//! - [`WriteError::NotTaken`]: this try changed nothing, and says nothing about who won.
//! - [`WriteError::Unknown`]: the try may have been applied, may yet be applied, or may never be.
//!
//! All but the last are the word of *one* leader, and of one that was cut off two may hear the same try: by clients of a server
//! that reaches both. So [`WriteError::InFlight`], and a conflict that names a revision lower than what the caller knows to
//! have been written, leave open what another leader did with it (`protocol/cas.rs`).
//!
//! Only [`Store::write`] and [`Store::write_all`] decide anything. Every read may be old, and every event may be late or
//! missing.

mod batch;
mod facts;
mod memory;
mod nats;
mod nats_batch;
mod nats_bucket;
mod nats_call;
mod nats_facts;
mod nats_link;
mod nats_open;
mod nats_options;
mod nats_refusal;
mod nats_secrets;
mod nats_silence;
mod nats_store;
mod nats_waiting;
mod nats_wire;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

pub use batch::{Batch, BatchAck, BatchWrite, Condition, MAX_BATCH};
pub use facts::{AccountFacts, Facts, NatsFacts, Offset, ReplicaFacts, ServerFacts, StreamFacts};
pub use memory::MemoryStore;
pub use nats_options::{NatsOptions, NatsTls};
pub use nats_store::NatsStore;
#[cfg(any(test, fuzzing))]
pub(crate) use nats_wire::judge::answers as judge_answers;

use crate::error::Error;

/// A number that rises with every write to the store; 0 means "nothing is stored".
pub type Revision = u64;

/// What a store's methods return, so that stores can be used behind `dyn`.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One compare-and-set write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// The key, without any prefix of the store's own.
    pub key: String,
    /// The write applies only if this is the key's revision. A deletion's marker counts with its own revision.
    pub expect: Revision,
    /// What to write.
    pub body: Body,
    /// Whole seconds after which the store removes the entry (or the marker) by itself; 0 means never.
    pub ttl_secs: u64,
    /// The same for every repeat of one logical write: the store applies an id once within 60 s. A repeat of a write
    /// that was applied is told so ([`Ack::duplicate`]) or refused as a conflict, depending on which the store looks at
    /// first: NATS at the id with several replicas, at the revision with one.
    pub id: String,
}

/// What a [`Write`] leaves behind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// A value.
    Put(Bytes),
    /// A deletion, with a note for whoever reads the marker.
    Delete(Bytes),
}

/// The store's yes to a [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The revision that the write made.
    pub revision: Revision,
    /// An earlier write with this id had been applied, as `revision`. It need not stand any more.
    pub duplicate: bool,
}

/// Why a write has no [`Ack`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// A definite no: the key's revision is another.
    Conflict {
        /// The key's revision, if the store told: 0 for an absent key.
        current: Option<Revision>,
    },
    /// Whoever said so did not apply this try, because another write to the key is still being agreed on (NATS error 10164).
    InFlight,
    /// This try was not applied: nobody was there to take it (no leader at the moment, or no bucket).
    NotTaken,
    /// Nobody knows: the answer did not come (in time), or came from an earlier try that is still being processed.
    Unknown(&'static str),
    /// A definite no that repeating will not change; the text says what to mend.
    Refused(String),
}

/// One key's entry as it was read or announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, without any prefix of the store's own.
    pub key: String,
    /// The revision of the write that made the entry.
    pub revision: Revision,
    /// The value, or a deletion's note.
    pub body: Body,
    /// The TTL the entry was written with, in whole seconds; 0 means none.
    pub ttl_secs: u64,
    /// When the store took it, in microseconds of unix time by the *store's* clock: an estimate, no more.
    pub written_micros: u64,
}

impl Entry {
    /// The value, if the entry is no deletion.
    pub fn value(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Put(value) => Some(value),
            Body::Delete(_) => None,
        }
    }
}

/// A read that has no answer. Nothing follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A page of [`Store::scan`].
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Entries in the order of their revisions, deletions' markers included.
    pub entries: Vec<Entry>,
    /// Where the next page starts; `None` after the last.
    pub next: Option<Revision>,
}

/// Which bucket this is: made again under the same name, it is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Differs between two buckets of the same name.
    pub id: String,
    /// While it is `Some`, an earlier life's holders may still believe in their leases: nothing may be granted for
    /// this many seconds, counted from the answer.
    pub quiet_secs: Option<u64>,
    /// The longest entry TTL, in seconds, that anybody may have used in this bucket or the one before.
    pub longest_ttl_secs: u64,
}

/// Events of [`Store::follow`] and notes of [`Store::inbox`], bounded: when full, the newest are dropped. That is
/// allowed, since every event may be lost.
pub type Events<T> = mpsc::Receiver<T>;

/// How many undelivered events [`Events`] keeps.
pub const EVENT_BUFFER: usize = 256;

/// How many lines [`Store::chronicle`] keeps of each key.
pub const CHRONICLE_LINES: usize = 64;

/// How long it keeps them: 90 days.
pub const CHRONICLE_SECS: u64 = 90 * 24 * 3600;

/// A place where records are kept, and through which processes hear of each other.
///
/// Every method is cancel-safe in the sense that dropping its future changes nothing but that the outcome stays
/// unknown. Methods that ask the store give up by themselves after [`Store::write`]'s and reads' own limit of 1.5 s.
pub trait Store: fmt::Debug + Send + Sync {
    /// Tries one compare-and-set write, once.
    fn write<'a>(&'a self, write: &'a Write) -> Reply<'a, Result<Ack, WriteError>>;

    /// Tries one batch of compare-and-set writes, once: all are applied, or none is. Wherever a process reads, and
    /// whatever it hears of, it finds the writes in their order.
    ///
    /// Answers mean what they mean for a single write, but for the whole:
    /// - [`WriteError::Conflict`]: the first condition, in the batch's order, that does not hold. It names that key's
    ///   revision, not the key; [`Store::read_revision`] finds the key, as long as that entry stands.
    /// - [`WriteError::InFlight`]: something else is being agreed on for one of the keys, guards included.
    /// - [`WriteError::NotTaken`]: also, that the stream's leader changed before it had the whole batch, or that too many
    ///   batches were under way at once (50 in a stream).
    /// - [`WriteError::Unknown`]: as ever; a repeat with the same [`Batch::id`] is applied at most once. Once it was, the
    ///   answer to a repeat is [`BatchAck::Duplicate`], always and in either store, and reading tells the revisions
    ///   ([`Batch::applied_as`]).
    /// - [`WriteError::Refused`]: nothing was applied. A batch that no store could apply (none or too many writes, a bad
    ///   key, a body that is too large) is refused before anything is sent.
    ///
    /// One thing can cut a batch short: a **single** NATS server (one replica) that runs out of room, or whose disk fails,
    /// while it applies the batch. Then a first part of it stands, and the answer is `Unknown` (seen on 2.12.8 and
    /// 2.15.1). So put first what may stand alone, and take the last write as proof of the whole.
    ///
    /// A batch of one is no [`Store::write`]: with one replica the server puts every batch into a folder of its own
    /// first, which takes milliseconds, and holds up the stream meanwhile. Use it where it takes more than one write.
    fn write_all<'a>(&'a self, batch: &'a Batch) -> Reply<'a, Result<BatchAck, WriteError>>;

    /// The newest entry of a key, as whoever believes to be the store's leader knows it.
    fn read<'a>(&'a self, key: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>>;

    /// The entry that revision made. What it says is true for ever, but it may have been overwritten (`None`).
    fn read_revision(&self, revision: Revision) -> Reply<'_, Result<Option<Entry>, Unreadable>>;

    /// Of all entries (markers included) whose keys match `filter`, the one with the highest revision.
    fn last<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>>;

    /// The entry with the lowest revision under a key that matches `filter`; may be a marker. As old as any read.
    fn first<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Option<Entry>, Unreadable>>;

    /// Entries (markers included) whose keys match `filter`, from revision `from` on. A key that is rewritten during
    /// a scan moves towards its end: it may come twice (then the higher revision counts), but is not missed.
    fn scan<'a>(&'a self, filter: &'a str, from: Revision) -> Reply<'a, Result<Page, Unreadable>>;

    /// Writes to a key, or to every key that matches a filter, from now on, at most once each, as they are committed.
    /// The writes of a batch come one by one, in its order. Expiry makes no event.
    ///
    /// Nothing tells that events were missed: not when the buffer was full, nor when the connection was lost meanwhile.
    /// A channel that closes is over, and whoever goes on follows anew.
    fn follow<'a>(&'a self, filter: &'a str) -> Reply<'a, Result<Events<Entry>, Unreadable>>;

    /// Sends a note to a process, at most once.
    fn tell<'a>(&'a self, process: &'a str, note: Bytes) -> Reply<'a, ()>;

    /// Notes to `process` from now on.
    fn inbox<'a>(&'a self, process: &'a str) -> Reply<'a, Result<Events<Bytes>, Unreadable>>;

    /// Adds a line to what is kept beside the bucket about a record's past, at most once. The store keeps the last
    /// [`CHRONICLE_LINES`] of each key, for [`CHRONICLE_SECS`] seconds, also when the bucket itself is made anew.
    ///
    /// Nothing rests on it: no line decides anything, and any of them may be missing.
    ///
    /// # Errors
    /// As for a write without compare-and-set: never a conflict. After [`WriteError::Unknown`] a repeat may add the line
    /// a second time.
    fn chronicle<'a>(&'a self, key: &'a str, line: Bytes) -> Reply<'a, Result<(), WriteError>>;

    /// The lines that are kept about a record's past, the oldest first. As old as any read.
    fn chronicle_of<'a>(&'a self, key: &'a str) -> Reply<'a, Result<Vec<(Revision, Bytes)>, Unreadable>>;

    /// Which bucket this is.
    fn life(&self) -> Reply<'_, Result<Life, Unreadable>>;

    /// The store's clock, which [`Entry::written_micros`] goes by, at some moment between the call and the answer:
    /// microseconds of unix time. Servers' clocks may differ by the slack.
    fn time(&self) -> Reply<'_, Result<u64, Unreadable>>;

    /// Returns once it is on record, beside the bucket, that TTLs up to `ttl_secs` are in use: a bucket that is
    /// deleted and made again must stay quiet for that long.
    fn cover_ttl(&self, ttl_secs: u64) -> Reply<'_, Result<(), Unreadable>>;

    /// Whether the store can be reached as far as is known.
    fn connected(&self) -> bool;

    /// On how many servers each write is kept, as far as is known; 0: nowhere beyond this process.
    fn replicas(&self) -> u64 {
        0
    }

    /// Changes with each connection that follows another: what happened in between, no [`Store::follow`] has told. A
    /// store that has no connections never changes it.
    fn connections(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }

    /// Proves that the store answers, or says what is wrong.
    fn probe(&self) -> Reply<'_, Result<(), Error>>;

    /// How the store is deployed, as far as it can be known. Asks only, and changes nothing; as old as any read.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Denied`] if it does not let itself be asked.
    fn examine(&self) -> Reply<'_, Result<Facts, Error>> {
        Box::pin(std::future::ready(Ok(Facts::default())))
    }
}
