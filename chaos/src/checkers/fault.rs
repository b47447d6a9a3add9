//! What was broken, when.

use super::operation::Mark;

/// A fault, from where it began to where it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// Its number.
    pub fault: u64,
    /// What it is.
    pub nemesis: String,
    /// Whom it befalls.
    pub target: String,
    /// Its begin.
    pub from: Mark,
    /// Its end; `None` if the history breaks off before.
    pub to: Option<Mark>,
}

impl Band {
    /// Whether it was on at some moment from `from` to `to`, or up to `after` nanoseconds before.
    pub fn touches(&self, from: u64, to: u64, after: u64) -> bool {
        let ends = self.to.map_or(u64::MAX, |to| to.at_ns.saturating_add(after));
        self.from.at_ns <= to && from <= ends
    }

    /// Whether it befalls `whom`.
    pub fn befalls(&self, whom: &str) -> bool {
        self.target.split(['|', ',', ' ']).any(|target| target == whom)
    }

    /// Whether it befalls this worker, in whichever of its lives, or the daemon beside it.
    pub fn names(&self, worker: &str) -> bool {
        let host = worker.split('.').next().unwrap_or(worker);
        let number = host.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        self.target.split(['|', ',', ' ']).any(|target| {
            let target = target.split('.').next().unwrap_or(target);
            target == host || target.strip_prefix('d') == Some(number) && !number.is_empty()
        })
    }

    /// Whether it makes its target stand still.
    pub fn pauses(&self) -> bool {
        self.nemesis.contains("pause") || self.nemesis.contains("suspend")
    }

    /// Whether it breaks on purpose what the contract assumes: servers' clocks apart by more than the slack, or a store
    /// that loses what it acknowledged. Such nemeses say `beyond` in their names; no others are excused.
    pub fn is_beyond(&self) -> bool {
        self.nemesis.contains("beyond")
    }
}
