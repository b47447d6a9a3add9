//! `[drain]`: how the daemon stops.

use serde::{Deserialize, Serialize};

use super::Wrong;

/// The end of the daemon's life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Drain {}

impl Drain {
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "every subject has one")]
    pub(super) fn check(&self) -> Result<(), Wrong> {
        Ok(())
    }
}
