//! One acquire and all that came of it, as its worker saw it.

use std::collections::BTreeMap;

use crate::history::{Answer, Freed, Kind, Op, Outcome};

/// A line of the history, and when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Nanoseconds of `CLOCK_BOOTTIME`.
    pub at_ns: u64,
    /// The line, counted from 1.
    pub line: usize,
}

/// A grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// When its worker was told.
    pub at: Mark,
    /// The token of each name.
    pub tokens: BTreeMap<String, u64>,
    /// Until when it may believe, from the grant alone.
    pub deadline_ns: u64,
}

/// A write to what is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Before it was sent.
    pub at: Mark,
    /// What is protected.
    pub resource: String,
    /// The token that went with it.
    pub token: u64,
    /// What is written.
    pub value: u64,
    /// What the resource said.
    pub used: Option<Used>,
}

/// What the resource said to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// When its worker was told.
    pub at: Mark,
    /// What it was told.
    pub answer: Answer,
    /// What stood there before.
    pub before: Option<u64>,
}

/// A read of what is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Before it was sent.
    pub at: Mark,
    /// What is protected.
    pub resource: String,
    /// When its worker was told, and what.
    pub saw: Option<(Mark, u64)>,
}

/// One acquire and all that came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Whose.
    pub worker: String,
    /// Which of the worker's.
    pub op: Op,
    /// What for.
    pub kind: Kind,
    /// Of what names.
    pub names: Vec<String>,
    /// Of a semaphore, how many may hold at once.
    pub limit: Option<u32>,
    /// The ttl in milliseconds.
    pub ttl_ms: u64,
    /// Whether it waits for its turn; else it only tries.
    pub waits: bool,
    /// Before it was asked for.
    pub asks: Mark,
    /// Whether it was granted.
    pub granted: Option<Grant>,
    /// Whether it was refused.
    pub refused: Option<(Mark, Outcome)>,
    /// Whether that was the worker's own doing: it was told to stop, or gave up.
    pub withdrawn: bool,
    /// Each renewal: when it was told, and the new deadline.
    pub renewed: Vec<(Mark, u64)>,
    /// Whether its loss was told, and why it was lost.
    pub lost: Option<(Mark, String)>,
    /// Before it was given back.
    pub releases: Option<Mark>,
    /// What came of that.
    pub released: Option<(Mark, Freed)>,
    /// Writes under it.
    pub uses: Vec<Use>,
    /// Reads under it.
    pub reads: Vec<Read>,
    /// When its worker's process had gone.
    pub gone: Option<Mark>,
}

impl Operation {
    /// `w3's op 7`.
    pub fn title(&self) -> String {
        format!("{}'s op {}", self.worker, self.op)
    }

    /// The ttl in nanoseconds.
    pub fn ttl_ns(&self) -> u64 {
        self.ttl_ms.saturating_mul(1_000_000)
    }

    /// The last deadline that its worker was told.
    pub fn deadline(&self) -> Option<u64> {
        let renewed = self.renewed.iter().map(|(_, deadline)| *deadline);
        self.granted.as_ref().map(|grant| renewed.fold(grant.deadline_ns, u64::max))
    }

    /// When its worker stopped to act on it, as far as it says: told of the loss, gave back, or went.
    pub fn let_go(&self) -> Option<Mark> {
        [self.lost.as_ref().map(|lost| lost.0), self.releases, self.gone].into_iter().flatten().min()
    }

    /// From when to when its worker might believe that it holds, by what it was told.
    pub fn belief(&self) -> Option<(u64, u64)> {
        let grant = self.granted.as_ref()?;
        let deadline = self.deadline()?;
        Some((grant.at.at_ns, self.let_go().map_or(deadline, |mark| mark.at_ns.min(deadline))))
    }

    /// The line that ended the belief, for evidence.
    pub fn last_line(&self) -> usize {
        let granted = self.granted.as_ref().map_or(self.asks.line, |grant| grant.at.line);
        self.let_go()
            .map(|mark| mark.line)
            .or(self.renewed.last().map(|(mark, _)| mark.line))
            .unwrap_or(granted)
    }

    /// The name space that its names are in: shared and exclusive locks of one name are one lock.
    pub fn space(&self) -> &'static str {
        match self.kind {
            Kind::Lock | Kind::Shared | Kind::Multi => "lock",
            Kind::Semaphore => "sem",
            Kind::Election => "elect",
            Kind::Group => "group",
        }
    }
}
