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
        self.targets().any(|target| target == whom)
    }

    /// Whether it befalls this worker, in whichever of its lives, or the daemon beside it.
    pub fn names(&self, worker: &str) -> bool {
        self.targets().any(|target| is_of(target, worker))
    }

    /// Whether it befalls some of these workers, or the daemons beside them, and nobody else.
    pub fn names_only<'a>(&self, workers: impl Iterator<Item = &'a str> + Clone) -> bool {
        self.targets().all(|target| workers.clone().any(|worker| is_of(target, worker)))
    }

    fn targets(&self) -> impl Iterator<Item = &str> {
        self.target.split(['|', ',', ' ', '>'])
    }

    /// Whether it makes its target stand still.
    pub fn pauses(&self) -> bool {
        self.nemesis.contains("pause") || self.nemesis.contains("suspend")
    }

    /// Whether it ends the daemon beside this worker, and with it all that the daemon knew.
    pub fn ends_daemon_of(&self, worker: &str) -> bool {
        self.nemesis.ends_with("-daemon") && !self.pauses() && self.names(worker)
    }

    /// Whether it keeps servers from hearing each other, so that a leader may answer by what it knew before.
    pub fn parts_servers(&self) -> bool {
        self.nemesis.starts_with("partition") || ["bridge", "split"].contains(&self.nemesis.as_str())
    }

    /// Whether it breaks on purpose what the contract assumes: servers' clocks apart by more than the slack, or a store
    /// that loses what it acknowledged. Such nemeses say `beyond` in their names; no others are excused.
    pub fn is_beyond(&self) -> bool {
        self.nemesis.contains("beyond")
    }
}

/// Whether a target is this worker, in whichever of its lives, or the daemon beside it.
fn is_of(target: &str, worker: &str) -> bool {
    let host = worker.split('.').next().unwrap_or(worker);
    let number = host.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let target = target.split('.').next().unwrap_or(target);
    target == host || target.strip_prefix('d') == Some(number) && !number.is_empty()
}
