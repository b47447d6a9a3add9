//! What the library does, told to whoever measures it. No metrics crate in here: an [`Observer`] feeds one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ambient::Moment;
use crate::token::Token;

/// What can be held, in the words of [`Observation`]. Of several locks that are granted together (`multi`) each one counts
/// as held; a lock that such an attempt holds on its way there is a `lock`.
pub const KINDS: [&str; 6] = ["lock", "shared", "semaphore", "multi", "election", "group"];

/// Hears of everything worth a metric. Called from inside the library's tasks: return quickly, never block.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Takes one observation.
    fn observe(&self, observation: &Observation);
}

/// One thing that happened. Words in it come from closed, short lists: they are fit for metric labels. Only the name in
/// [`Observation::Lasts`] is not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observation {
    /// Waiters in line: one more or one less.
    Waiters {
        /// What for: one of [`KINDS`].
        kind: &'static str,
        /// 1 or -1.
        change: i64,
        /// When this one began to wait: the same with both changes.
        since: Moment,
    },
    /// Leases held: one more or one less.
    Held {
        /// Of what: one of [`KINDS`].
        kind: &'static str,
        /// 1 or -1.
        change: i64,
    },
    /// A lease lasts until then, unless a later deadline is told: with its grant, and with each confirmed renewal.
    Lasts {
        /// Which lease: no other of the space's has this token.
        token: Token,
        /// Of what: one of [`KINDS`].
        kind: &'static str,
        /// What people call it. **Not fit for a label** as it is: there may be any number of names.
        name: Arc<str>,
        /// When it was granted.
        since: Moment,
        /// Its whole TTL.
        ttl: Duration,
        /// Until when its holder may believe.
        until: Moment,
        /// Whether the library renews it, rather than its user.
        is_kept: bool,
    },
    /// Its holder is a holder no more: it was lost, or is being given back.
    Over {
        /// The lease's.
        token: Token,
    },
    /// An acquire ended.
    Acquired {
        /// Of what: one of [`KINDS`].
        kind: &'static str,
        /// `granted`, `held`, `timeout`, `cancelled`, `unknown`, `unreachable` or `refused`.
        outcome: &'static str,
        /// From the call to the outcome.
        took: Duration,
    },
    /// A hold ended, by release or loss.
    Ended {
        /// Of what: one of [`KINDS`].
        kind: &'static str,
        /// How long it was held.
        held: Duration,
    },
    /// A lease was lost.
    Lost {
        /// [`crate::Loss::code`].
        reason: &'static str,
    },
    /// A renewal has its answer.
    Renewed {
        /// `ok`, `unknown`, `conflict` or `refused`.
        outcome: &'static str,
        /// From the send to the answer.
        took: Duration,
    },
    /// A waiter holds: this long after it heard that the lock was free or kept for it.
    HandedOver {
        /// From the news to the grant.
        took: Duration,
    },
    /// The store answered, or failed to.
    Asked {
        /// `write`, `write-all`, `read`, `read-revision`, `last`, `first`, `scan`, `follow`, `life`, `time`, `chronicle` or
        /// `chronicle-of`.
        op: &'static str,
        /// `ok`, `conflict`, `in-flight`, `not-taken`, `unknown`, `refused` or `unreadable`.
        outcome: &'static str,
        /// From the send to the outcome.
        took: Duration,
    },
    /// A write whose answer was lost was resolved.
    UnknownResolved {
        /// `applied`, `not-applied` or `given-up`.
        how: &'static str,
    },
    /// What was followed had to be read again, because events may have been missed.
    Resynced,
    /// A lease was broken by force.
    Broken,
    /// The store's revisions went backwards.
    Regressed,
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&self, _: &Observation) {}
}
