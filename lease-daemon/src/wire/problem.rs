//! What is said when something is refused: RFC 9457 problems with a closed list of codes.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use super::Holder;

/// Declares the codes once: variant, word on the wire, HTTP status, title.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $word:literal $status:literal $title:literal;)*) => {
        /// Why a request was refused: a closed list, in the order of the alphabet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $word,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }

            /// A short sentence, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }
        }
    };
}

codes! {
    /// The attempt's lease was released less than a minute ago: a late repeat must not take the lock again.
    AttemptEnded "attempt-ended" 409 "The lease of this attempt has been released";
    /// The body is longer than is read.
    BodyTooLarge "body-too-large" 413 "The body is too large";
    /// The bucket was made anew; nothing is granted until leases of its earlier life have ended.
    BucketQuiet "bucket-quiet" 503 "The bucket was made anew and waits for earlier leases to end";
    /// The daemon's policy does not allow the client's user to do that.
    Denied "denied" 403 "The policy does not allow it";
    /// The daemon is stopping and grants nothing any more.
    Draining "draining" 503 "The daemon is stopping";
    /// The client numbers its processes otherwise than the daemon does.
    ForeignPidNamespace "foreign-pid-namespace" 409 "The daemon does not see the client's processes";
    /// Somebody else holds it, and the request would not wait.
    Held "held" 409 "The lock is held";
    /// A fault of the daemon itself.
    Internal "internal" 500 "The daemon made a mistake";
    /// The attempt id is empty, too long, or has characters that are not allowed.
    InvalidAttempt "invalid-attempt" 400 "The attempt id is invalid";
    /// The body is not JSON, has an unknown field, or a field of the wrong type.
    InvalidBody "invalid-body" 400 "The body is invalid";
    /// The filter matches no possible name.
    InvalidFilter "invalid-filter" 400 "The filter is invalid";
    /// The grace is no duration, or out of range.
    InvalidGrace "invalid-grace" 400 "The grace is invalid";
    /// The heartbeat is no duration, or out of range.
    InvalidHeartbeat "invalid-heartbeat" 400 "The heartbeat is invalid";
    /// The limit of a semaphore is missing, no number, or out of range.
    InvalidLimit "invalid-limit" 400 "The limit is invalid";
    /// The metadata has too many entries or is too long.
    InvalidMetadata "invalid-metadata" 400 "The metadata is invalid";
    /// The name cannot be a lock's name.
    InvalidName "invalid-name" 400 "The name is invalid";
    /// The list of names is missing, empty, too long, or no list of names.
    InvalidNames "invalid-names" 400 "The list of names is invalid";
    /// The owner is empty or too long.
    InvalidOwner "invalid-owner" 400 "The owner is invalid";
    /// The process id cannot be one.
    InvalidPid "invalid-pid" 400 "The process id is invalid";
    /// The query string has a parameter that this path does not know.
    InvalidQuery "invalid-query" 400 "The query is invalid";
    /// The ttl is no duration, or out of range.
    InvalidTtl "invalid-ttl" 400 "The ttl is invalid";
    /// The value is too long or too deep.
    InvalidValue "invalid-value" 400 "The value is invalid";
    /// The wait is no duration, or out of range.
    InvalidWait "invalid-wait" 400 "The wait is invalid";
    /// The semaphore has another limit than the one given.
    LimitMismatch "limit-mismatch" 409 "The semaphore has another limit";
    /// The lease was lost less than a minute ago.
    Lost "lost" 409 "The lease is lost";
    /// The path exists, the method does not fit it.
    MethodNotAllowed "method-not-allowed" 405 "The method is not allowed here";
    /// Nobody of the name that it was to be handed to waits in line.
    NobodyWaits "nobody-waits" 409 "Nobody of that name waits";
    /// No such path.
    NotFound "not-found" 404 "There is nothing at this path";
    /// Whether the store took the write could not be learned in time.
    OutcomeUnknown "outcome-unknown" 503 "The outcome is unknown";
    /// The process that the lease is to be bound to is another user's.
    ProcessDenied "process-denied" 403 "The process is another user's";
    /// The process that the lease is to be bound to has ended.
    ProcessGone "process-gone" 409 "There is no such process";
    /// The body did not arrive in time.
    RequestTimeout "request-timeout" 408 "The request did not arrive in time";
    /// The store does not let the daemon in.
    StoreDenied "store-denied" 503 "The store denies access";
    /// The store lost acknowledged writes; an operator must accept that.
    StoreRegressed "store-regressed" 503 "The store lost acknowledged writes";
    /// The store did not answer in time.
    StoreUnreachable "store-unreachable" 503 "The store is out of reach";
    /// The bucket's settings, or the server's release, are not fit for locks.
    StoreUnsafe "store-unsafe" 503 "The store is not safe for locks";
    /// The grant to be broken is not the current one.
    TokenMismatch "token-mismatch" 409 "Another grant is current";
    /// A bound inside the library was reached.
    TooMany "too-many" 429 "A bound was reached";
    /// As many processes are watched as may.
    TooManyBound "too-many-bound" 429 "There are too many leases that are bound to processes";
    /// The daemon serves as many connections as it may.
    TooManyConnections "too-many-connections" 503 "There are too many connections";
    /// The user has as many connections as it may.
    TooManyConnectionsOfUser "too-many-connections-of-user" 429 "There are too many connections of this user";
    /// The daemon keeps as many leases as it may.
    TooManyLeases "too-many-leases" 429 "There are too many leases";
    /// The user has as many leases as it may.
    TooManyLeasesOfUser "too-many-leases-of-user" 429 "There are too many leases of this user";
    /// As many requests wait as may.
    TooManyWaiters "too-many-waiters" 429 "There are too many waiters";
    /// As many requests wait for this name as may.
    TooManyWaitersOfName "too-many-waiters-of-name" 429 "There are too many waiters for this name";
    /// As many requests of the user wait as may.
    TooManyWaitersOfUser "too-many-waiters-of-user" 429 "There are too many waiters of this user";
    /// As many watches are open as may.
    TooManyWatches "too-many-watches" 429 "There are too many watches";
    /// As many watches of the user are open as may.
    TooManyWatchesOfUser "too-many-watches-of-user" 429 "There are too many watches of this user";
    /// No candidate of this id stands for office here.
    UnknownCandidate "unknown-candidate" 404 "There is no such candidate";
    /// No lease of this id: released, lost more than a minute ago, another user's, or granted before a restart.
    UnknownLease "unknown-lease" 404 "There is no such lease";
    /// The wait is over and somebody else still holds it.
    WaitElapsed "wait-elapsed" 409 "The wait is over";
    /// The lease is of a kind that cannot do this.
    WrongKind "wrong-kind" 409 "This kind of lease cannot do that";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    /// A word that a newer daemon may send reads as [`Code::Internal`]; the problem's text still tells.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Code::ALL.iter().copied().find(|code| code.as_str() == word).unwrap_or(Code::Internal))
    }
}

/// Whether, and when, the same request may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not without a change: `"never"`.
    Never,
    /// At once: `"now"`.
    Now,
    /// After this many milliseconds: a number.
    After(u64),
}

impl From<Duration> for Retry {
    fn from(pause: Duration) -> Retry {
        Retry::After(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Serialize for Retry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Retry::Never => serializer.serialize_str("never"),
            Retry::Now => serializer.serialize_str("now"),
            Retry::After(millis) => serializer.serialize_u64(*millis),
        }
    }
}

impl<'de> Deserialize<'de> for Retry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Retry, D::Error> {
        struct Seen;
        impl de::Visitor<'_> for Seen {
            type Value = Retry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"never\", \"now\" or milliseconds")
            }
            fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Retry, E> {
                Ok(Retry::After(millis))
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Retry, E> {
                Ok(if word == "now" { Retry::Now } else { Retry::Never })
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

/// A refusal, as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:lease:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code's title.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, and what to do about it.
    pub detail: String,
    /// Why, for programs.
    pub code: Code,
    /// Whether, and when, the same request may succeed.
    pub retry: Retry,
    /// With `held` and `wait-elapsed`: who holds it, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Box<Holder>>,
    /// With `lost`: why, in the words of the `lost` event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
}

/// The longest detail, in bytes: what is wrong may be long, and is repeated only so far.
const MAX_DETAIL: usize = 600;

impl Problem {
    /// A problem that the same request would run into again. A detail that is too long is cut.
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        let mut detail = detail.into();
        if detail.len() > MAX_DETAIL {
            let end = (0..=MAX_DETAIL).rev().find(|at| detail.is_char_boundary(*at));
            detail.truncate(end.unwrap_or_default());
            detail.push('…');
        }
        Problem {
            kind: format!("urn:lease:problem:{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            detail,
            code,
            retry: Retry::Never,
            holder: None,
            reason: None,
        }
    }

    /// The same, saying when to try again.
    #[must_use]
    pub fn retry(self, retry: impl Into<Retry>) -> Problem {
        Problem { retry: retry.into(), ..self }
    }

    /// The same, saying who is in the way.
    #[must_use]
    pub fn held_by(self, holder: Option<Holder>) -> Problem {
        Problem { holder: holder.map(Box::new), ..self }
    }

    /// The same, saying why a lease was lost.
    #[must_use]
    pub fn because(self, reason: impl Into<Box<str>>) -> Problem {
        Problem { reason: Some(reason.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_of_the_alphabet() {
        let words: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let mut sorted = words.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(words, sorted);
    }

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        let problem = Problem::new(Code::InvalidBody, "ü".repeat(50_000) + "x");
        assert_eq!(problem.detail, "ü".repeat(MAX_DETAIL / 2) + "…");
        let problem = Problem::new(Code::InvalidBody, "xü".repeat(50_000));
        assert!(problem.detail.len() <= MAX_DETAIL + '…'.len_utf8(), "{}", problem.detail.len());
    }

    #[test]
    fn problems_are_read_back() {
        for retry in [Retry::Never, Retry::Now, Retry::After(250)] {
            let problem = Problem::new(Code::Held, "a is held").retry(retry);
            let text = serde_json::to_string(&problem).unwrap();
            assert!(text.starts_with(r#"{"type":"urn:lease:problem:held","title":"#), "{text}");
            assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
        }
    }
}
