//! Whose names may be labels: those that somebody has listed, and no more than a hundred of each.

use std::collections::BTreeMap;

use thiserror::Error;

/// The most elections, and the most locks, that can be listed.
pub const MAX_NAMED: usize = 100;

/// The elections and locks that have series of their own.
#[derive(Clone, Debug, Default)]
pub struct Named {
    elections: BTreeMap<String, usize>,
    locks: BTreeMap<String, usize>,
}

/// More names than may be labels.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{found} {what} have metrics of their own, at most {MAX_NAMED} may: each is a series on every daemon"
)]
pub struct TooManyNamed {
    what: &'static str,
    found: usize,
}

impl Named {
    /// Those of these names; twice the same counts once.
    ///
    /// # Errors
    /// If there are more than [`MAX_NAMED`] of one.
    pub fn new<E: Into<String>, L: Into<String>>(
        elections: impl IntoIterator<Item = E>,
        locks: impl IntoIterator<Item = L>,
    ) -> Result<Named, TooManyNamed> {
        Ok(Named {
            elections: numbered("elections", elections.into_iter().map(Into::into))?,
            locks: numbered("locks", locks.into_iter().map(Into::into))?,
        })
    }

    pub(super) fn elections(&self) -> impl Iterator<Item = (&str, usize)> {
        self.elections.iter().map(|(name, number)| (name.as_str(), *number))
    }

    pub(super) fn locks(&self) -> impl Iterator<Item = (&str, usize)> {
        self.locks.iter().map(|(name, number)| (name.as_str(), *number))
    }

    /// Its number, if it is listed: elections and locks have numbers of their own.
    pub(super) fn number(&self, kind: &str, name: &str) -> Option<usize> {
        match kind {
            "election" => self.elections.get(name),
            "lock" | "shared" | "multi" => self.locks.get(name),
            _ => None,
        }
        .copied()
    }
}

fn numbered(
    what: &'static str,
    names: impl Iterator<Item = String>,
) -> Result<BTreeMap<String, usize>, TooManyNamed> {
    let mut numbered = BTreeMap::new();
    for name in names {
        let next = numbered.len();
        numbered.entry(name).or_insert(next);
    }
    let found = numbered.len();
    if found > MAX_NAMED { Err(TooManyNamed { what, found }) } else { Ok(numbered) }
}
