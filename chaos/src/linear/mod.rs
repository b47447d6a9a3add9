//! Whether a register's history is linearizable: the search of Wing and Gong ("Testing and Verifying Concurrent Objects",
//! 1993) with the cache of configurations by Lowe ("Testing for Linearizability", 2017). Relatives: Knossos, porcupine.
//!
//! A configuration is the set of operations that have taken effect and the register's value; one that was met before
//! leads nowhere new. An operation without an answer may take effect at any time after it began, or never. Registers are
//! independent of each other: each is judged alone.

mod search;

#[cfg(test)]
mod brute;
#[cfg(test)]
mod tests;

pub use search::check;

/// What an operation does to a register, whose value is 0 at first, and what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The value is set.
    Write(u64),
    /// The value is set, and was this before.
    Swap {
        /// To what it is set.
        to: u64,
        /// What it was.
        before: u64,
    },
    /// The value was this.
    Read(u64),
    /// The value is set if it is as expected.
    Cas {
        /// What is expected.
        from: u64,
        /// To what it is set.
        to: u64,
        /// Whether it was; without an answer, either.
        done: Option<bool>,
    },
}

/// An operation on one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// It takes no effect before.
    pub begin: u64,
    /// It takes no effect after; `None` if whether and when it does is not known.
    pub end: Option<u64>,
    /// What it does.
    pub action: Action,
    /// Where the history tells it.
    pub line: usize,
}

/// What is said of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// There is an order that explains it.
    Valid,
    /// There is none. No order gets past these operations, as indices, where the search got farthest.
    Invalid {
        /// The operations.
        stuck: Vec<usize>,
    },
    /// The time was over before.
    Unknown,
}

impl Action {
    /// The value after it, if it may take effect as it was told on this value.
    pub fn apply(self, value: u64) -> Option<u64> {
        match self {
            Action::Write(to) => Some(to),
            Action::Swap { to, before } => (value == before).then_some(to),
            Action::Read(seen) => (value == seen).then_some(value),
            Action::Cas { from, to, done } => {
                let is = value == from;
                done.is_none_or(|done| done == is).then_some(if is { to } else { value })
            }
        }
    }

    /// Whether it tells anything of the register's value.
    pub fn observes(self) -> bool {
        !matches!(self, Action::Write(_) | Action::Cas { done: None, .. })
    }
}
