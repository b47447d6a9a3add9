//! Where a lease stands, and why it may be lost.

use std::fmt;

/// Why a lease ended without having been released.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// No renewal was confirmed before the deadline.
    Expired,
    /// The record is gone or somebody else's, though its time had not come: it was removed by force. Or it was marked by force, and
    /// the server that was asked what stands there did not know of it yet.
    Taken,
    /// Broken by force, with the breaker's reason.
    Broken(String),
    /// The bucket was deleted and made again.
    BucketReplaced,
    /// The store's revisions went backwards: it has lost acknowledged writes.
    StoreRegressed,
    /// The process that renews it is stopping.
    Draining,
    /// Another of the locks that were granted together was lost: this one.
    Together(String),
}

impl Loss {
    /// A short, stable word for metrics and the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Loss::Expired => "expired",
            Loss::Taken => "taken",
            Loss::Broken(_) => "broken",
            Loss::BucketReplaced => "bucket-replaced",
            Loss::StoreRegressed => "store-regressed",
            Loss::Draining => "draining",
            Loss::Together(_) => "together",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Expired => f.write_str("no renewal was confirmed before its deadline"),
            Loss::Taken => f.write_str("its record was removed or replaced by force"),
            Loss::Broken(reason) => write!(f, "broken by force: {reason}"),
            Loss::BucketReplaced => f.write_str("the bucket was deleted and made again"),
            Loss::StoreRegressed => f.write_str("the store lost acknowledged writes"),
            Loss::Together(name) => write!(f, "{name}, which was granted together with it, was lost"),
            Loss::Draining => f.write_str("the process that renews it is stopping"),
        }
    }
}

/// Where a lease stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Held, and the last renewal went well.
    Held,
    /// Held until the deadline, but the last renewal has no answer yet: finish or save what cannot be lost.
    Jeopardy,
    /// Not held any more, and not by the holder's own wish.
    Lost(Loss),
    /// Given back, or on the way there: from before the first send, the holder is no holder any more.
    Released,
}
