//! What must hold in every run. Each check has a file of its own and knows nothing of the others.
//!
//! Checks see what the *store* was told (every applied write, every expiry) and what the *users* were told (leases,
//! losses, errors), and never what the library thinks.

pub mod belief;
pub mod causes;
pub mod ending;
pub mod line;
pub mod notice;
pub mod records;
pub mod together;
pub mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lease::store::Entry;

use crate::grant::Grant;
use crate::sim::Pid;
use records::Holding;

/// A write that was applied.
pub struct Wrote<'a> {
    pub at: Duration,
    pub by: Pid,
    pub before: Option<&'a Entry>,
    pub entry: &'a Entry,
}

/// An attempt whose user waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub by: Pid,
    pub name: String,
    pub since: Duration,
    /// It only tries: it has no claim to a turn.
    pub tries: bool,
}

/// All checks of a run.
#[derive(Default)]
pub struct Checks {
    pub violations: Vec<String>,
    pub waiting: BTreeMap<String, Waiting>,
    pub belief: belief::Belief,
    pub tokens: tokens::Tokens,
    pub causes: causes::Causes,
    pub line: line::Line,
    pub together: together::Together,
    /// The keys of the batch that is being applied.
    pub batch: BTreeSet<String>,
    /// What each attempt was granted.
    holdings: BTreeMap<String, Vec<Holding>>,
    /// Until then nothing is promised: the store has lost acknowledged writes.
    amnesty: Duration,
    /// The first revision of the bucket that is there now: what was granted by an earlier one has a lower token.
    first: u64,
    /// Who noticed that revisions went backwards; emptied when an operator accepts it.
    noticed: BTreeMap<String, Duration>,
    /// Tokens whose grants were marked as broken, and those that were removed at once, which voids early notice.
    broken: BTreeSet<u64>,
    voided: BTreeMap<u64, Duration>,
    /// Writes of records where there was none, which is what a late repeat could do again.
    made: BTreeSet<(String, Vec<u8>)>,
    /// How often a process was refused a key in the present second.
    refused: BTreeMap<(String, String), (u64, u32)>,
    accepted: bool,
}

/// How long after the loss of acknowledged writes its consequences may last: the longest TTL three times over, since
/// a record that was overwritten by a lost revision's owner may itself have been about to be renewed.
const AMNESTY: Duration = Duration::from_secs(70);

/// How old an answer may be that still counts: as old as a request. What is learned by another request is confirmed by a
/// write, which a grant that was removed meanwhile refuses.
const ON_ITS_WAY: Duration = crate::fate::LIMIT;
/// How often in one second a process may be refused the same key: more is no way to wait.
const HAMMERING: u32 = 150;

impl Checks {
    /// Something that must not be.
    pub fn violation(&mut self, at: Duration, check: &str, what: String) {
        self.violations.push(format!("{:.3} s: {check}: {what}", at.as_secs_f64()));
    }

    fn excused(&self, at: Duration) -> bool {
        at < self.amnesty
    }

    pub fn wrote(&mut self, wrote: &Wrote<'_>) {
        let at = wrote.at;
        let excused = self.excused(at);
        if wrote.entry.key == lease::protocol::key::REGRESSION
            && wrote.entry.value().is_some_and(|note| String::from_utf8_lossy(note).contains("accepted_by"))
        {
            self.noticed.clear();
            self.accepted = true;
        }
        match records::broken(wrote) {
            Some((token, false)) => {
                self.broken.insert(token);
            }
            Some((token, true)) => {
                self.voided.insert(token, at);
            }
            None => {}
        }
        if let Some(value) = wrote.entry.value().filter(|_| wrote.before.is_none())
            && self.batch.is_empty()
            && records::is_record(&wrote.entry.key)
            && !self.made.insert((wrote.entry.key.clone(), value.to_vec()))
            && !excused
        {
            let what = format!("one and the same write to {} was applied twice", wrote.entry.key);
            self.violation(at, "resurrection", what);
        }
        if let Some(what) = self.together.wrote(wrote, &self.batch).filter(|_| !excused) {
            self.violation(at, "together", what);
        }
        if let Some(what) = records::transition(wrote).filter(|_| !excused) {
            self.violation(at, "resurrection", what);
        }
        if let Some(what) = self.line.wrote(wrote, &self.waiting, &self.causes).filter(|_| !excused) {
            self.violation(at, "order of the line", what);
        }
        if let Some(what) = self
            .belief
            .unbacked(&wrote.entry.key, Some(wrote.entry), self.first, &self.voided)
            .filter(|_| !excused)
        {
            self.violation(at, "belief without a record", what);
        }
    }

    /// A write was refused.
    pub fn refused(&mut self, at: Duration, by: Pid, key: &str) {
        let times = self.refused.entry((by.to_string(), key.to_owned())).or_default();
        // The window slides by whole seconds, which is near enough.
        if times.0 != at.as_secs() {
            *times = (at.as_secs(), 0);
        }
        times.1 += 1;
        if times.1 == HAMMERING {
            self.violation(
                at,
                "hammering",
                format!("{by} has been refused {key} {HAMMERING} times in a second"),
            );
        }
    }

    pub fn expired(&mut self, at: Duration, entry: &Entry) {
        let excused = self.excused(at);
        self.line.expired(entry);
        self.together.expired(entry);
        if let Some(what) =
            self.belief.unbacked(&entry.key, None, self.first, &self.voided).filter(|_| !excused)
        {
            self.violation(at, "belief without a record", what);
        }
    }

    /// A grant reached its user; `records` are the keys of the records that name its attempt.
    /// Where there is none, `space` says what it would begin with.
    pub fn told(
        &mut self,
        at: Duration,
        by: Pid,
        attempt: &str,
        grant: &Arc<Grant>,
        records: &[String],
        space: &str,
    ) {
        let holdings: Vec<Holding> = grant
            .parts()
            .into_iter()
            .map(|(name, token)| {
                let key = records.iter().find(|key| records::name(key) == Some(&name)).cloned();
                let key = key.unwrap_or_else(|| format!("{space}.{name}"));
                Holding::new(name, key, token)
            })
            .collect();
        self.belief.told(attempt, grant, &holdings);
        for holding in &holdings {
            self.told_of(at, by, attempt, grant.believes(), holding, records);
        }
        self.holdings.insert(attempt.to_owned(), holdings);
    }

    fn told_of(
        &mut self,
        at: Duration,
        by: Pid,
        attempt: &str,
        believes: bool,
        holding: &Holding,
        records: &[String],
    ) {
        // An answer may be on its way, or wait for a process that is paused, while the grant is removed by force.
        let voided = self.voided.get(&holding.token).copied();
        let underway = voided.is_some_and(|since| {
            at - since < ON_ITS_WAY || self.causes.troubled_by("pause", by.index, since)
        });
        let excused = self.excused(at) || underway;
        if let Some(what) = self.tokens.told(holding, attempt, believes).filter(|_| !excused) {
            self.violation(at, "tokens", what);
        }
        if believes && let Some(since) = self.noticed.get(&by.to_string()) {
            let what = format!("{attempt} was granted what its process must not grant since {since:?}");
            self.violation(at, "regression", what);
        }
        let backed = records.contains(&holding.key);
        let before = holding.token < self.first;
        if believes && !backed && !before && !excused {
            let what =
                format!("{attempt} was told that it holds {}, and the store does not say so", holding.name);
            self.violation(at, "belief without a record", what);
        }
    }

    /// After every poll: nobody may believe what another believes.
    pub fn looked(&mut self, at: Duration) {
        if let Some(what) = self.belief.overlap(&self.voided)
            && !self.excused(at)
        {
            self.violation(at, "overlap of belief", what);
        }
    }

    /// Writes to the fenced resource; `believes` if the writer had just looked at its lease.
    pub fn fenced(&mut self, at: Duration, attempt: &str, believes: bool) -> bool {
        let excused = self.excused(at);
        let mut accepted = true;
        for holding in self.holdings.get(attempt).cloned().unwrap_or_default() {
            let one = self.tokens.fenced(&holding);
            if !one && believes && !excused && !self.voided.contains_key(&holding.token) {
                let what = format!("{attempt} holds {} and its token is refused", holding.name);
                self.violation(at, "fenced resource", what);
            }
            accepted &= one;
        }
        accepted
    }

    /// A process noticed that revisions went backwards: from now on it grants nothing, unless that was accepted
    /// already, after another process had noticed.
    pub fn regression_noticed(&mut self, at: Duration, by: Pid) {
        if !self.accepted {
            self.noticed.insert(by.to_string(), at);
        }
    }

    /// A lease was lost: what is wrong with that, if anything.
    pub fn lost(
        &self,
        at: Duration,
        by: Pid,
        reason: &str,
        tokens: &[u64],
        ttl: Duration,
        renewed: bool,
    ) -> Option<String> {
        match reason {
            "broken" if tokens.iter().any(|token| self.broken.contains(token)) => None,
            "taken" if tokens.iter().any(|token| self.is_broken(*token)) => None,
            _ => self.causes.lost(at, by, reason, ttl, renewed),
        }
    }

    /// Whether somebody broke this grant by force.
    pub fn is_broken(&self, token: u64) -> bool {
        self.broken.contains(&token) || self.voided.contains_key(&token)
    }

    /// The bucket was deleted and made again.
    pub fn recreated(&mut self, first: u64) {
        self.first = first;
        // It knows no ids of the earlier one.
        self.made.clear();
        self.line.emptied(0);
        self.together.emptied(0);
    }

    /// The store lost its writes from this revision on.
    pub fn regressed(&mut self, at: Duration, from: u64) {
        self.amnesty = at + AMNESTY;
        self.accepted = false;
        self.line.emptied(from);
        self.together.emptied(from);
        self.tokens.forget();
    }
}
