//! What happened in a run: one JSON object a line, in the order in which the runner heard of it.
//!
//! Every process of a run shares one machine, so `at_ns` (`CLOCK_BOOTTIME`) of different processes can be compared. A
//! worker takes it itself: before it asks, and after it was told. Nothing here is taken from what the library believes
//! of others; the checkers put the two together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Nanoseconds of `CLOCK_BOOTTIME` when it happened, by whoever says so.
    pub at_ns: u64,
    /// Who says so: `runner`, `auditor`, or a worker's name such as `w3`.
    pub who: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// Why a worker took back what it had asked for: by chance, as people do.
pub const GIVEN_UP: &str = "given up by chance";
/// Why a worker took back what it had asked for: the run was over.
pub const STOPPED: &str = "told to stop";

/// The target of the fault that says when an operator accepts that the store lost what it had acknowledged.
pub const ACCEPTANCE: &str = "an operator accepts lost writes";
/// Its word. It breaks nothing: what was lost was lost before.
pub const ACCEPT: &str = "accept-losses";

/// The number of an operation: one acquire and all that comes of it; unique in its worker.
pub type Op = u64;

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An exclusive lock.
    Lock,
    /// A lock, shared with other readers.
    Shared,
    /// One of a semaphore's permits.
    Semaphore,
    /// Several locks together.
    Multi,
    /// An office.
    Election,
    /// A membership.
    Group,
}

/// How an acquire ended without a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Held by somebody else, or the wait was over.
    Held,
    /// Whether it was granted is not known.
    Unknown,
    /// The store was not to be reached, or refused.
    Failed,
}

/// How a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freed {
    /// The store took it.
    Clean,
    /// The grant had been lost before.
    Lost,
    /// The store did not answer.
    Unknown,
}

/// What the fenced resource said to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It took it.
    Accepted,
    /// The token was too old, or the server refused the guarded write.
    Refused,
    /// No answer came.
    Unknown,
}

/// Whether a fault begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// From here on.
    Begins,
    /// Up to here.
    Ends,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// The runner: the run begins. Always the first line.
    Began {
        /// The scenario's name.
        scenario: String,
        /// The seed.
        seed: u64,
        /// The servers' release.
        release: String,
        /// The one command that repeats the run.
        command: String,
        /// The slack that the workers' library allows, in milliseconds.
        slack_ms: u64,
        /// The wall clock at this line's moment, in nanoseconds since 1970: servers stamp what they write with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wall_ns: Option<u64>,
    },
    /// The runner: a fault begins or ends. The two have the same `fault` number.
    Fault {
        /// Which one.
        fault: u64,
        /// The nemesis, such as `kill`, `pause`, `partition`.
        nemesis: String,
        /// Whom it befalls: `n0`, `w3`, `d1`, or `n0|n1,n2` for a partition.
        target: String,
        /// Whether it begins or ends.
        phase: Phase,
    },
    /// The runner: a nemesis could not be had on this machine.
    Untried {
        /// Which one.
        nemesis: String,
        /// Why, and how to mend it.
        reason: String,
    },
    /// The runner: it was woken this much later than it wanted to be, since the machine was busy with other things.
    Stalled {
        /// How much later, in milliseconds.
        late_ms: u64,
    },
    /// The runner: so many messages came to the servers from a worker's host within a second.
    Traffic {
        /// Whose: `w3`, for the worker and the daemon beside it.
        host: String,
        /// How many.
        messages: u64,
    },
    /// The runner: what was tried most often within two seconds, in different writes to one key upon one revision.
    Tries {
        /// The key.
        key: String,
        /// What was to be there.
        revision: u64,
        /// By which attempt; nothing for a place in line, by whomever.
        attempt: String,
        /// How many.
        writes: u64,
    },
    /// The runner: nothing is broken any more, and after a minute servers still say that something is missing; or they have not
    /// done for two minutes what they were asked for to undo a fault.
    Unready {
        /// What was seen last.
        missing: String,
    },
    /// The runner: every fault is healed; from here on progress is owed.
    Healed,
    /// The runner: the run is over. Always the last line.
    Ended,
    /// The runner: it was told to end before that. Always the last line; what had been seen until then stands before it.
    Interrupted,
    /// The runner: a worker's process has started.
    Started {
        /// Which one.
        worker: String,
        /// Its process id.
        pid: u32,
        /// `library` or `socket`.
        via: String,
        /// `lock`, `rwlock`, `semaphore`, …: what it does.
        workload: String,
    },
    /// The runner: a worker's process has gone, as it was meant to or not.
    Gone {
        /// Which one.
        worker: String,
    },
    /// A worker, before it asks.
    Asks {
        /// Which operation.
        op: Op,
        /// What for.
        kind: Kind,
        /// The names; of everything but `multi`, one.
        names: Vec<String>,
        /// Of a semaphore, how many may hold at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// The ttl in milliseconds.
        ttl_ms: u64,
        /// Whether it waits for its turn; else it only tries.
        #[serde(default)]
        waits: bool,
    },
    /// A worker, when it was told that it holds.
    Granted {
        /// Which operation.
        op: Op,
        /// The token of each name.
        tokens: BTreeMap<String, u64>,
        /// Until when it may believe that, unless told of a renewal.
        deadline_ns: u64,
    },
    /// A worker, when it was told that it does not hold.
    Refused {
        /// Which operation.
        op: Op,
        /// Why.
        outcome: Outcome,
        /// The same for people.
        detail: String,
    },
    /// A worker, when it was told of a renewal.
    Renewed {
        /// Which operation.
        op: Op,
        /// Until when it may believe now.
        deadline_ns: u64,
    },
    /// A worker, when it was told that it holds no more.
    Lost {
        /// Which operation.
        op: Op,
        /// The code of the loss.
        reason: String,
    },
    /// A worker, before it gives back.
    Releases {
        /// Which operation.
        op: Op,
    },
    /// A worker, when it was told what became of that.
    Released {
        /// Which operation.
        op: Op,
        /// What.
        outcome: Freed,
    },
    /// A worker, before it writes to what the lock protects, having looked that it still holds.
    Uses {
        /// Which operation.
        op: Op,
        /// What is protected.
        resource: String,
        /// The token that goes with the write.
        token: u64,
        /// What is written: unique in the run.
        value: u64,
    },
    /// A worker, when it was told what became of that.
    Used {
        /// Which operation.
        op: Op,
        /// The value of the write.
        value: u64,
        /// What.
        answer: Answer,
        /// If the resource says so: what stood there before this write, 0 for nothing. Without it, a register that is
        /// only written can be linearized in any order.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
    },
    /// A worker, before it reads what the lock protects.
    Reads {
        /// Which operation.
        op: Op,
        /// What is protected.
        resource: String,
    },
    /// A worker, when it was told what stands there. One operation reads one thing after the other.
    Saw {
        /// Which operation.
        op: Op,
        /// What is protected.
        resource: String,
        /// The value; 0 for nothing.
        value: u64,
    },
    /// A worker, when it was told who leads.
    Shown {
        /// The office.
        name: String,
        /// The token of the leader's term.
        token: u64,
        /// Until when that is known to be so.
        until_ns: u64,
    },
    /// A worker, before it breaks a lock by force.
    Breaks {
        /// The lock.
        name: String,
        /// The token of the grant that it breaks.
        token: u64,
        /// Whether it is removed at once, which voids the promise of early notice; else it is marked, and its holder
        /// gives it back.
        at_once: bool,
    },
    /// The auditor: a revision was written. `at_ns` is when it was read.
    Revision {
        /// Its number.
        revision: u64,
        /// The key, without the stream's prefix.
        key: String,
        /// When the server wrote it, microseconds of its wall clock since 1970.
        written_us: u64,
        /// Whether it is a deletion.
        is_deletion: bool,
        /// The `Nats-TTL` in seconds; 0 if there is none.
        ttl_secs: u64,
        /// The value, if it is JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<serde_json::Value>,
    },
    /// The auditor: revisions may be missing before the next one (its consumer was made anew), from this one on.
    Gap {
        /// The first that may be missing.
        from: u64,
    },
    /// The runner: a known weakness of NATS itself was tried, once plainly and once the library's way.
    Weakness {
        /// Which one.
        weakness: String,
        /// Whether this is the library's way.
        is_library: bool,
        /// How often it was tried.
        tries: u64,
        /// How often it went wrong.
        wrong: u64,
        /// What of: `acknowledged writes that were destroyed`.
        sort: String,
    },
    /// The auditor, once all workers have stopped: what the store still holds. An expiry is no revision, so only this
    /// tells whether what should be gone is gone.
    Remains {
        /// Each key that is there (not those whose last revision is a deletion), and its revision.
        keys: BTreeMap<String, u64>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_flat_json() {
        let line = Line {
            at_ns: 7,
            who: "w1".into(),
            what: What::Granted { op: 3, tokens: [("a".to_owned(), 9)].into(), deadline_ns: 11 },
        };
        let text = serde_json::to_string(&line).expect("json");
        assert_eq!(
            text,
            r#"{"at_ns":7,"who":"w1","what":"granted","op":3,"tokens":{"a":9},"deadline_ns":11}"#
        );
        assert_eq!(serde_json::from_str::<Line>(&text).expect("read"), line);
    }
}
