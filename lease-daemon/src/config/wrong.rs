//! A setting that makes no sense.

use std::fmt::Display;

/// Which setting, what was found there, and what is allowed or why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {found:?}: {why}")]
pub struct Wrong {
    /// The key in the file, with its table: `limits.connections`.
    pub key: String,
    found: String,
    why: String,
}

impl Wrong {
    /// `found` at `key` is wrong, because `why`. Secrets do not belong here.
    pub fn new(key: impl Into<String>, found: impl Display, why: impl Into<String>) -> Wrong {
        Wrong { key: key.into(), found: found.to_string(), why: why.into() }
    }

    /// Refuses a setting that is not between `least` and `most`, both allowed.
    ///
    /// # Errors
    /// If it is not.
    pub fn unless_within<T: PartialOrd + Display>(
        key: &'static str,
        found: &T,
        least: &T,
        most: &T,
    ) -> Result<(), Wrong> {
        if (least..=most).contains(&found) {
            return Ok(());
        }
        Err(Wrong::new(key, found, format!("allowed is {least} to {most}")))
    }
}
