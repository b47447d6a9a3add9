//! What all parts of a [`Space`](crate::Space) share: the store behind its guard, time, and the process's identity.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ambient::{Moment, SharedAmbient, fresh_id};
use crate::chronicler::Chronicler;
use crate::error::Error;
use crate::ghosts::Ghosts;
use crate::guard::Guard;
use crate::observe::{Observation, Observer};
use crate::post::Post;
use crate::presence::Presence;
use crate::protocol::line::{Note, Waiter};
use crate::protocol::{Loss, Record, Request, Times};
use crate::store::{Ack, Batch, BatchAck, Condition, Revision, Store, Unreadable, Write, WriteError};

/// Locks a mutex whose data stays sound whatever a panicking thread did: every critical section in this crate is a
/// few assignments.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer in a word, for metrics.
fn outcome<T>(answer: &Result<T, WriteError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(WriteError::Conflict { .. }) => "conflict",
        Err(WriteError::InFlight) => "in-flight",
        Err(WriteError::NotTaken) => "not-taken",
        Err(WriteError::Unknown(_)) => "unknown",
        Err(WriteError::Refused(_)) => "refused",
    }
}

/// Who this process is to others.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Random, new for each [`Space`](crate::Space): the address of its inbox.
    pub process: String,
    pub owner: String,
    pub host: String,
    pub pid: u32,
}

impl Identity {
    pub(crate) fn new(ambient: &SharedAmbient, owner: Option<String>) -> Identity {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let pid = u32::try_from(rustix::process::getpid().as_raw_nonzero().get()).unwrap_or_default();
        let user = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
        let uid = || format!("uid{}", rustix::process::getuid().as_raw());
        let owner = owner.unwrap_or_else(|| format!("{}@{host}", user().unwrap_or_else(uid)));
        Identity { process: fresh_id(ambient.as_ref()), owner, host, pid }
    }
}

/// Shared by every handle and task of a space.
#[derive(Debug)]
pub(crate) struct Core {
    pub store: Arc<dyn Store>,
    pub ambient: SharedAmbient,
    pub observer: Arc<dyn Observer>,
    pub identity: Identity,
    /// Allowance for offsets and steps of the servers' wall clocks.
    pub slack: Duration,
    pub guard: Guard,
    pub post: Post,
    pub presence: Presence,
    /// Places in line that are shown and are not there.
    pub ghosts: Ghosts,
    pub chronicler: Chronicler,
    /// What befell the whole space; every lease ends with it.
    pub calamity: watch::Sender<Option<Loss>>,
    pub closing: CancellationToken,
    /// Keepers, waiters and leavings: what must come to an end before the process may.
    pub tasks: TaskTracker,
}

impl Core {
    pub(crate) fn now(&self) -> Moment {
        self.ambient.now()
    }

    /// Runs a task that must come to an end before the process may.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.ambient.spawn(Box::pin(self.tasks.track_future(task)));
    }

    /// RFC 3339 by the wall clock, for people.
    pub(crate) fn timestamp(&self) -> String {
        let at = std::time::UNIX_EPOCH + Duration::from_micros(self.ambient.wall_micros());
        humantime::format_rfc3339_millis(at).to_string()
    }

    pub(crate) fn observe(&self, observation: Observation) {
        self.observer.observe(&observation);
    }

    /// Sends one write, once, and lets the guard look at the answer.
    ///
    /// Lost or late answers come back as [`WriteError::Unknown`]; whoever sent the write resolves them.
    pub(crate) async fn write(&self, write: &Write) -> Result<Ack, WriteError> {
        let before = self.guard.trust();
        let sent = self.now();
        let answer = self.store.write(write).await;
        self.observe(Observation::Asked {
            op: "write",
            outcome: outcome(&answer),
            took: self.now().since(sent),
        });
        match answer {
            Ok(ack) => self.guard.admit(self, before, ack).await,
            refusal => refusal,
        }
    }

    /// Sends one batch, once, and lets the guard look at the answer. As with [`Core::write`], whoever sent it resolves
    /// what is unknown; the answer to a repeat names no revision ([`BatchAck::Duplicate`]), so reading does.
    pub(crate) async fn write_all(&self, batch: &Batch) -> Result<BatchAck, WriteError> {
        let before = self.guard.trust();
        let sent = self.now();
        let answer = self.store.write_all(batch).await;
        self.observe(Observation::Asked {
            op: "write-all",
            outcome: outcome(&answer),
            took: self.now().since(sent),
        });
        match answer {
            Ok(ack) => self.guard.admit_all(self, before, ack).await,
            refusal => refusal,
        }
    }

    /// Sends what a claim asks for, once.
    ///
    /// A batch that was applied by an earlier try is not told its revisions. What stands under its record's key tells;
    /// that read may be old, and then nothing is known yet.
    pub(crate) async fn send(&self, request: &Request) -> Result<Ack, WriteError> {
        let (batch, own) = match request {
            Request::One(write) => return self.write(write).await,
            Request::Batch { batch, own } => (batch, *own),
        };
        let answer = self.write_all(batch).await?;
        if let Some(revision) = answer.revision(own) {
            return Ok(Ack { revision, duplicate: false });
        }
        let key = batch.writes.get(own).map(|write| write.key.as_str()).unwrap_or_default();
        let found = self.asked("read", self.store.read(key)).await.ok().flatten();
        let expected =
            batch.writes.iter().find(|write| write.key == key).map_or(0, |write| match write.only_if {
                Condition::Own(revision) => revision,
                Condition::Other { .. } => 0,
            });
        match found {
            Some(entry) if batch.applied_as(own, &entry).is_some() => {
                Ok(Ack { revision: entry.revision, duplicate: true })
            }
            // Written over since, perhaps by a mark on the record: whoever sent it looks what that says.
            Some(entry) if entry.revision > expected => {
                Err(WriteError::Conflict { current: Some(entry.revision) })
            }
            _ => Err(WriteError::Unknown("it was applied, and what stands now is not to be seen")),
        }
    }

    /// Observes a read of the store.
    pub(crate) async fn asked<T>(
        &self,
        op: &'static str,
        question: impl Future<Output = Result<T, Unreadable>>,
    ) -> Result<T, Unreadable> {
        let sent = self.now();
        let answer = question.await;
        let outcome = if answer.is_ok() { "ok" } else { "unreadable" };
        self.observe(Observation::Asked { op, outcome, took: self.now().since(sent) });
        answer
    }

    /// Sends a note to a process, at most once; to this one without the network.
    pub(crate) async fn tell(self: &Arc<Self>, process: &str, note: Note) {
        if process == self.identity.process {
            self.post.deliver(self, note);
        } else if let Ok(text) = serde_json::to_vec(&note) {
            self.store.tell(process, Bytes::from(text)).await;
        }
    }

    /// Ends every lease of the space, because what they rest on is gone.
    pub(crate) fn befall(&self, loss: Loss) {
        self.post.distrust_markers();
        self.calamity.send_replace(Some(loss));
    }

    /// Whether anything may be granted now.
    pub(crate) async fn may_grant(&self) -> Result<(), Error> {
        if self.closing.is_cancelled() {
            return Err(Error::Closing);
        }
        self.guard.may_grant(self).await
    }

    /// What a refusal means, which may have come from the guard.
    pub(crate) async fn refusal(&self, why: String) -> Error {
        match self.may_grant().await {
            Err(error) => error,
            Ok(()) if why.contains("ermission") => Error::Denied(why),
            Ok(()) => Error::Unreachable(why),
        }
    }

    pub(crate) fn waiter(&self, place: String, attempt: String, owner: String) -> Waiter {
        Waiter {
            place,
            attempt,
            process: self.identity.process.clone(),
            owner,
            host: self.identity.host.clone(),
            pid: self.identity.pid,
            since: self.timestamp(),
            priority: 0,
            is_ready: true,
            value: None,
        }
    }

    /// A record for an attempt of this process; what is left out is filled in when it is granted.
    pub(crate) fn record(&self, waiter: &Waiter, times: &Times) -> Record {
        let (ttl_ms, grace_secs) = (times.ttl_ms(), times.grace_secs());
        Record { reserved: false, ttl_ms, grace_secs, ..waiter.reservation() }
    }

    /// Frees what is known to be this process's own, once and without insisting: its TTL frees it anyway.
    pub(crate) async fn forget(&self, key: String, revision: Revision) {
        let id = fresh_id(self.ambient.as_ref());
        let body = crate::store::Body::Delete(Bytes::from_static(b"{}"));
        let write = Write { key, expect: revision, body, ttl_secs: crate::protocol::MARKER_SECS, id };
        // Lost or refused: the entry ends by its TTL.
        let _ = self.store.write(&write).await;
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
