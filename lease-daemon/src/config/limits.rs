//! `[limits]`: what can be used up, and by how much.

use serde::{Deserialize, Serialize};

use super::Wrong;

/// The bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {}

impl Limits {
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "every subject has one")]
    pub(super) fn check(&self) -> Result<(), Wrong> {
        Ok(())
    }
}
