//! What became of the holds of a name: who held it, since when, for how long, and how that ended.
//!
//! Kept beside the bucket for people who ask afterwards. Nothing in here decides anything, and any line may be missing:
//! [`Space::history`](crate::Space::history) says which.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::error::Error;
use crate::store::Unreadable;
use crate::token::Token;

/// The version of the layout that this release writes. A line of a higher one is left out.
const VERSION: u32 = 1;

/// A hold that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Held {
    /// What was held.
    pub name: String,
    /// The fencing token of the grant.
    pub token: Token,
    /// Who the holder said it was.
    pub owner: String,
    /// The host it ran on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// When it was granted, RFC 3339, by the holder's wall clock.
    pub since: String,
    /// From the call to the grant, to the millisecond.
    #[serde(rename = "waited_ms", with = "millis")]
    pub waited: Duration,
    /// From the grant until the holder was told, or said, that it holds no more; to the millisecond.
    #[serde(rename = "held_ms", with = "millis")]
    pub held: Duration,
    /// When it ended, RFC 3339, by the holder's wall clock.
    pub ended: String,
    /// How it ended, in a word: one of [`End`](crate::End) in kebab-case (`released`, `stopped`, `client-gone`, ...), or
    /// of [`Loss::code`](crate::Loss::code) (`expired`, `broken`, `taken`, ...), or `unknown` if the store never answered
    /// the release. Newer releases may know more.
    pub why: String,
    /// The reason in somebody's own words, such as that of whoever broke it; at most 1 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The line as it is stored: JSON that `nats kv history` shows.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Chapter {
    v: u32,
    #[serde(flatten)]
    held: Held,
}

impl Held {
    pub(crate) fn encode(self) -> bytes::Bytes {
        // A struct of strings and numbers always encodes.
        serde_json::to_vec(&Chapter { v: VERSION, held: self }).unwrap_or_default().into()
    }

    /// # Errors
    /// Why it is no line that this release can read.
    pub(crate) fn decode(line: &[u8]) -> Result<Held, String> {
        let Chapter { v, held } = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        if v <= VERSION { Ok(held) } else { Err(format!("version {v} is newer than {VERSION}")) }
    }
}

/// The past of a record, the latest grant last. Lines are written after the fact, by whoever held, so their order in
/// the store is not that of the grants; and one of unknown outcome may have been written twice.
pub(crate) async fn of(core: &Arc<Core>, key: &str) -> Result<Vec<Held>, Error> {
    let lines = core.asked("chronicle-of", core.store.chronicle_of(key)).await;
    let lines = lines.map_err(|Unreadable(why)| Error::Unreachable(why))?;
    let mut holds = BTreeMap::new();
    for (revision, line) in lines {
        match Held::decode(&line) {
            Ok(held) => drop(holds.insert(held.token, held)),
            Err(why) => tracing::debug!(key, revision, why, "a line of the history that cannot be read"),
        }
    }
    Ok(holds.into_values().collect())
}

/// Durations as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

#[cfg(test)]
#[path = "history_props.rs"]
mod props;
