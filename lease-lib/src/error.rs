//! Errors, few and prescriptive: each says what to do next.

use std::time::Duration;

use crate::protocol::{Loss, MAX_TTL, MIN_TTL};
use crate::token::Token;

/// What can go wrong. Match on the variant to decide what to do; show the text to a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name (or filter) cannot be a key. Nothing was sent; mend the name.
    #[error("invalid name {name:?}: {why}")]
    InvalidName {
        /// The offending name, shortened to 64 characters.
        name: String,
        /// What is wrong with it, and what is allowed.
        why: &'static str,
    },

    /// A setting is out of its range. Nothing was sent; mend the value.
    #[error("invalid {setting} {value}: {allowed}")]
    InvalidSetting {
        /// Which setting.
        setting: &'static str,
        /// The offending value.
        value: String,
        /// What is allowed.
        allowed: String,
    },

    /// The store did not answer in time and nothing was granted. Try again; check that NATS runs and has a leader.
    #[error("store out of reach: {0}")]
    Unreachable(String),

    /// The store will not let us in. Trying again does not help; mend the credentials or permissions.
    #[error("denied by the store: {0}")]
    Denied(String),

    /// The bucket is not fit for locks. Trying again does not help; the text says which setting to mend, and how.
    #[error("bucket {bucket} is not safe for locks: {setting} is {found}, needed is {needed}; {mend}")]
    UnsafeBucket {
        /// The bucket.
        bucket: String,
        /// The setting that is wrong.
        setting: &'static str,
        /// Its value.
        found: String,
        /// The value it must have.
        needed: String,
        /// What to do about it.
        mend: String,
    },

    /// The server is older than the oldest supported release.
    #[error("nats-server {version} is too old: 2.12 or newer is needed (per-message TTL and atomic batches)")]
    ServerTooOld {
        /// What the server calls itself.
        version: String,
    },

    /// Whether the write was applied could not be learned in the time given. What it may have left behind is
    /// cleaned up in the background, at the latest by its TTL.
    #[error("outcome unknown: {0}; it is being cleaned up, try again")]
    Unknown(&'static str),

    /// The lease ended before the operation. The work it protected must stop.
    #[error("lease lost: {0}")]
    Lost(Loss),

    /// The name is held under another token than the one given: look again before breaking it.
    #[error("token {given} is not the current one ({})", current.map_or("nobody holds it".to_owned(), |t| t.to_string()))]
    TokenMismatch {
        /// The token that was given.
        given: Token,
        /// The current grant's token, if there is one.
        current: Option<Token>,
    },

    /// The semaphore has another limit than the one given. Use the one that is agreed on, or change it with
    /// [`Semaphore::set_limit`](crate::Semaphore::set_limit).
    #[error("semaphore {name} has {agreed} permits, not {given}; use that limit, or change it for all")]
    LimitMismatch {
        /// The semaphore.
        name: String,
        /// The limit that was given.
        given: u32,
        /// The limit that is agreed on.
        agreed: u32,
    },

    /// Nobody of that name waits in line, so nothing can be handed to them. The lease is still held.
    #[error("nobody called {to:?} waits; in line are: {}", if waiting.is_empty() { "nobody".to_owned() } else { waiting.join(", ") })]
    NobodyWaits {
        /// Who was named.
        to: String,
        /// Who waits, the first ten.
        waiting: Vec<String>,
    },

    /// A bound was reached. Try again later, or raise the bound.
    #[error("too many {what}: the limit is {limit}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },

    /// The store's revisions went backwards: it has lost acknowledged writes, so an old token may come again.
    /// Nothing is granted until an operator accepts that.
    #[error(
        "the store lost acknowledged writes (revision {saw} after {had}); nothing is granted until an operator accepts it: lease doctor --accept-regression"
    )]
    Regressed {
        /// The highest revision that had been acknowledged.
        had: u64,
        /// The revision that was then given to a later write.
        saw: u64,
    },

    /// The bucket was made anew while leases of its earlier life may still be believed in. Try again after that.
    #[error("the bucket was made anew; nothing is granted for another {}, until leases of its earlier life have ended", humantime::format_duration(*.0))]
    Quiet(Duration),

    /// The space is closing: nothing is granted any more.
    #[error("closing: nothing is granted any more")]
    Closing,
}

impl Error {
    pub(crate) fn ttl(ttl: Duration) -> Error {
        Error::InvalidSetting {
            setting: "ttl",
            value: humantime::format_duration(ttl).to_string(),
            allowed: format!(
                "allowed is {} to {}",
                humantime::format_duration(MIN_TTL),
                humantime::format_duration(MAX_TTL)
            ),
        }
    }
}
