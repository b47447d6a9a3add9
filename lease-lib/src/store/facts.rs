//! What a store can tell of how it is deployed. Facts only: what they mean, [`examine`](crate::examine()) says.

use crate::error::Error;

/// How a store is deployed, as far as it can be known from here.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `None`: it is kept in one process, and there is nothing to tell.
    pub nats: Option<NatsFacts>,
}

/// What is known of a bucket on NATS, and of the servers behind it.
#[derive(Clone, Debug)]
pub struct NatsFacts {
    /// The bucket's name.
    pub bucket: String,
    /// The bucket itself; `None`: there is none.
    pub stream: Option<StreamFacts>,
    /// The bucket beside it that outlives it; `None`: there is none.
    pub history: Option<StreamFacts>,
    /// Every server that could be asked.
    pub servers: Vec<ServerFacts>,
    /// Why others could not be asked, if so.
    pub unasked: Option<String>,
    /// What the account may use; or why that is not known.
    pub account: Result<AccountFacts, String>,
    /// For how many seconds the bucket keeps quiet, because it was made anew.
    pub quiet_secs: Option<u64>,
}

/// A stream.
#[derive(Clone, Debug, Default)]
pub struct StreamFacts {
    /// What is wrong with its settings: [`Error::UnsafeBucket`], each with the way to mend it.
    pub unfit: Vec<Error>,
    /// Where it is kept.
    pub replicas: Vec<ReplicaFacts>,
    /// Whether somebody leads it and hears from a majority.
    pub is_led: bool,
    /// Bytes stored.
    pub bytes: u64,
}

/// One replica of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaFacts {
    /// The server's name.
    pub server: String,
    /// Whether it has everything that the leader has, as the leader sees it.
    pub is_current: bool,
    /// Whether the leader has given it up.
    pub is_offline: bool,
    /// How many operations it is behind.
    pub lag: u64,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its name.
    pub name: String,
    /// Its release.
    pub version: String,
    /// The host part of the address it was reached at, if it was.
    pub host: Option<String>,
    /// Its wall clock against this host's.
    pub clock: Option<Offset>,
}

/// How far another clock is ahead of this host's, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Ahead; below zero: behind.
    pub ahead_micros: i64,
    /// The truth is within this much of it: half of what the question took.
    pub within_micros: u64,
}

impl Offset {
    /// From a clock that was read somewhere between two moments of the own clock; all in microseconds of unix time.
    pub fn read(sent: u64, other: u64, got: u64) -> Offset {
        let half = got.saturating_sub(sent) / 2;
        let middle = sent.saturating_add(half);
        let signed = |micros: u64| i64::try_from(micros).unwrap_or(i64::MAX);
        Offset {
            ahead_micros: signed(other).saturating_sub(signed(middle)),
            within_micros: half.saturating_add(1),
        }
    }
}

/// What the account uses and may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountFacts {
    /// Bytes on disk.
    pub storage: u64,
    /// The limit of that; `None`: the account has none.
    pub max_storage: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::Offset;

    #[test]
    fn the_truth_lies_within_the_round_trip() {
        let read = Offset::read(1_000, 2_500, 1_400);
        assert_eq!((read.ahead_micros, read.within_micros), (1_300, 201));
        assert_eq!(Offset::read(5_000, 2_000, 5_000).ahead_micros, -3_000);
        assert_eq!(Offset::read(9, u64::MAX, 3).within_micros, 1, "a clock that stepped back meanwhile");
    }
}
