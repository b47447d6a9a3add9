//! A history, read and joined. Whatever the lines are, it can be read; what makes no sense is counted.

use std::collections::BTreeMap;

use super::audit::{Audit, Revision};
use super::fault::Band;
use super::operation::{Grant, Mark, Operation, Read, Use, Used};
use crate::history::{ACCEPTANCE, GIVEN_UP, Line, Op, Phase, STOPPED, What};

/// How long after its end a pause may still be felt by whoever was paused: it has to be scheduled again.
const WAKING_NS: u64 = 1_000_000_000;

/// What whoever is refused is told, where the store lost what it had acknowledged.
const NOTICED: &str = "lost acknowledged writes";

/// What the first line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Began {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The servers' release.
    pub release: String,
    /// The one command that repeats the run.
    pub command: String,
    /// The slack in milliseconds.
    pub slack_ms: u64,
    /// By how much the wall clock was ahead of `CLOCK_BOOTTIME`, in nanoseconds, if that is said.
    pub wall_ahead_ns: Option<u64>,
}

/// A process of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Which worker.
    pub worker: String,
    /// Its start.
    pub started: Mark,
    /// Its end.
    pub gone: Option<Mark>,
    /// `library` or `socket`.
    pub via: String,
    /// What it does.
    pub workload: String,
}

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// What the first line says, if it says that.
    pub began: Option<Began>,
    /// What was still missing of the servers when it was healed, though nothing was broken any more.
    pub unready: Option<(Mark, String)>,
    /// From when it was healed.
    pub healed: Option<Mark>,
    /// The last line, if it is the runner's.
    pub ended: Option<Mark>,
    /// The last line, if the runner was told to end before its time.
    pub interrupted: Option<Mark>,
    /// How many lines there are.
    pub lines: usize,
    /// The lines that cannot be read.
    pub unreadable: Vec<usize>,
    /// The lines that belong to nothing said before.
    pub strays: Vec<usize>,
    /// The earliest and the latest moment.
    pub span: (u64, u64),
    /// In the order in which they were asked for.
    pub operations: Vec<Operation>,
    /// In the order in which they began.
    pub faults: Vec<Band>,
    /// The workers' processes.
    pub lives: Vec<Life>,
    /// What the auditor read.
    pub audit: Audit,
    /// When the runner was woken late, and by how many nanoseconds.
    pub stalls: Vec<(u64, u64)>,
    /// How many messages came from a worker's host within a second: when, whose, and how many. Not of quiet seconds.
    pub traffic: Vec<(Mark, String, u64)>,
    /// What was tried most often within two seconds.
    pub tries: Vec<Tries>,
    /// Locks that somebody broke by force, without waiting for their holders: name, token, and when it was begun.
    pub broken_at_once: BTreeMap<(String, u64), Mark>,
    /// Who was refused as the store had lost writes.
    pub noticed: Vec<Mark>,
    /// Leaders as they were shown to others: when, the office, the token, and until when.
    pub shown: Vec<(Mark, String, u64, u64)>,
    /// Nemeses that could not be had, and why.
    pub untried: Vec<(String, String)>,
    /// Known weaknesses of NATS that were tried.
    pub weaknesses: Vec<Tried>,
}

/// How often the same was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tries {
    /// When the two seconds were over.
    pub at: Mark,
    /// The key.
    pub key: String,
    /// What was to be there.
    pub revision: u64,
    /// By which attempt; nothing for a place in line, by whomever.
    pub attempt: String,
    /// In how many different writes.
    pub writes: u64,
}

/// How often something went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Who says so.
    pub at: Mark,
    /// Of which weakness.
    pub weakness: String,
    /// Whether the library's way.
    pub is_library: bool,
    /// How often it was tried.
    pub tries: u64,
    /// How often it went wrong.
    pub wrong: u64,
    /// What of.
    pub sort: String,
}

impl Run {
    /// Reads the lines of a `history.jsonl`.
    pub fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Run {
        let mut reading = Reading::default();
        for (index, text) in lines.enumerate() {
            reading.run.lines = index + 1;
            match serde_json::from_str::<Line>(text) {
                Ok(line) => reading.take(index + 1, line),
                Err(_) => reading.run.unreadable.push(index + 1),
            }
        }
        reading.finish()
    }

    /// The slack in nanoseconds; 2 s if nobody says.
    pub fn slack_ns(&self) -> u64 {
        self.began.as_ref().map_or(2_000, |began| began.slack_ms).saturating_mul(1_000_000)
    }

    /// Whether this worker, or the daemon it works through, was paused on purpose from `from` to `to`.
    pub fn was_paused(&self, worker: &str, from: u64, to: u64) -> bool {
        self.pauses_of(worker).any(|band| band.touches(from, to, WAKING_NS))
    }

    /// For how long of the time from `from` to `to` this worker, or the daemon it works through, was paused on purpose, or
    /// had yet to be scheduled after that.
    pub fn paused_ns(&self, worker: &str, from: u64, to: u64) -> u64 {
        let paused = self.pauses_of(worker).filter(|band| band.touches(from, to, WAKING_NS));
        let mut spans: Vec<_> = paused
            .map(|band| {
                let end = band.to.map_or(u64::MAX, |to| to.at_ns.saturating_add(WAKING_NS));
                (band.from.at_ns.max(from), end.min(to))
            })
            .collect();
        spans.sort_unstable();
        let (mut counted, mut sum) = (from, 0);
        for (begin, end) in spans {
            sum += end.saturating_sub(begin.max(counted));
            counted = counted.max(end);
        }
        sum
    }

    fn pauses_of(&self, worker: &str) -> impl Iterator<Item = &Band> {
        let by_socket = self.lives.iter().any(|life| life.worker == worker && life.via == "socket");
        let paused =
            move |band: &&Band| band.pauses() && (band.befalls(worker) || by_socket && band.names(worker));
        self.faults.iter().filter(paused)
    }

    /// For how long, from `from` to `to`, the machine kept even the runner from running.
    pub fn stalled_ns(&self, from: u64, to: u64) -> u64 {
        let within = |(woken, late): &(u64, u64)| {
            (*woken).min(to).saturating_sub(woken.saturating_sub(*late).max(from))
        };
        self.stalls.iter().map(within).sum()
    }

    /// How often an operator had accepted by then that the store had lost writes.
    pub fn acceptances(&self, at_ns: u64) -> usize {
        self.faults.iter().filter(|band| band.target == ACCEPTANCE && band.from.at_ns <= at_ns).count()
    }

    /// When an operator accepts what was lost by `at_ns`.
    pub fn next_acceptance(&self, at_ns: u64) -> Option<u64> {
        let accepted = self.faults.iter().filter(|band| band.target == ACCEPTANCE);
        accepted.map(|band| band.from.at_ns).filter(|at| *at > at_ns).min()
    }

    /// Whether an operator accepted that the store had lost writes at some moment that may lie between these two grants. Each
    /// may have been made long before its worker, which stood still, was told of it.
    pub fn accepted_between(&self, one: &Held<'_>, other: &Held<'_>) -> bool {
        let asks = one.operation.asks.at_ns.min(other.operation.asks.at_ns);
        let told = one.grant.at.at_ns.max(other.grant.at.at_ns);
        self.acceptances(told) > self.acceptances(asks)
    }

    /// When the bucket that there is at `at_ns` was made again after a deletion; 0 if it never was.
    pub fn made_anew(&self, at_ns: u64) -> u64 {
        let buckets = self.faults.iter().filter(|band| band.nemesis == "bucket");
        let made_anew = buckets.map(|band| band.to.unwrap_or(band.from).at_ns);
        made_anew.filter(|made| *made <= at_ns).max().unwrap_or_default()
    }

    /// Whether what the contract assumes was broken on purpose between these two moments, whichever is the earlier, or up to
    /// `after` nanoseconds before.
    pub fn is_beyond(&self, one: u64, other: u64, after: u64) -> bool {
        let (from, to) = (one.min(other), one.max(other));
        self.faults.iter().any(|band| band.is_beyond() && band.touches(from, to, after))
    }

    /// Whether the store was made to lose writes at some moment between these two, or so shortly before that what it had
    /// acknowledged may still be known to some of its servers, or be lost only now.
    pub fn may_have_forked(&self, one: u64, other: u64) -> bool {
        let (from, to) = (one.min(other), one.max(other));
        let loses = |band: &&Band| band.is_beyond() && !band.nemesis.contains("clock");
        self.faults.iter().filter(loses).any(|band| band.touches(from, to, FORKED_NS))
    }

    /// Each name of each grant.
    pub fn grants(&self) -> impl Iterator<Item = Held<'_>> {
        let granted = self.operations.iter().filter_map(|it| Some((it, it.granted.as_ref()?)));
        granted.flat_map(|(operation, grant)| {
            grant.tokens.iter().map(move |(name, token)| Held { operation, grant, name, token: *token })
        })
    }

    /// The grants of each name, in the order in which they were told; not those of groups, which exclude nobody.
    pub fn by_name(&self) -> BTreeMap<(&'static str, &str), Vec<Held<'_>>> {
        let mut names: BTreeMap<_, Vec<Held<'_>>> = BTreeMap::new();
        for held in self.grants().filter(|held| held.operation.space() != "group") {
            names.entry((held.operation.space(), held.name)).or_default().push(held);
        }
        for held in names.values_mut() {
            held.sort_by_key(|held| held.grant.at);
        }
        names
    }
}

/// How long after a store was made to lose writes that may show.
pub const FORKED_NS: u64 = 20_000_000_000;

/// One name of a grant.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The acquire.
    pub operation: &'a Operation,
    /// Its grant.
    pub grant: &'a Grant,
    /// The name.
    pub name: &'a str,
    /// The name's token.
    pub token: u64,
}

#[derive(Default)]
struct Reading {
    run: Run,
    /// The operations that their workers still speak of.
    open: BTreeMap<(String, Op), usize>,
    gone: Vec<(String, Mark)>,
}

impl Reading {
    fn take(&mut self, number: usize, line: Line) {
        let at = Mark { at_ns: line.at_ns, line: number };
        let span = &mut self.run.span;
        *span = if number == 1 || span.1 == 0 {
            (at.at_ns, at.at_ns)
        } else {
            (span.0.min(at.at_ns), span.1.max(at.at_ns))
        };
        (self.run.ended, self.run.interrupted) = (None, None);
        match line.what {
            What::Began { scenario, seed, release, command, slack_ms, wall_ns } if number == 1 => {
                let wall_ahead_ns = wall_ns.and_then(|wall| wall.checked_sub(line.at_ns));
                self.run.began = Some(Began { scenario, seed, release, command, slack_ms, wall_ahead_ns });
            }
            What::Began { .. } => self.run.strays.push(number),
            What::Untried { nemesis, reason } => self.run.untried.push((nemesis, reason)),
            What::Weakness { weakness, is_library, tries, wrong, sort } => {
                self.run.weaknesses.push(Tried { at, weakness, is_library, tries, wrong, sort });
            }
            What::Breaks { name, token, at_once } => {
                if at_once {
                    // Who says so may stand still before it is read: what counts is when it was begun.
                    let begun = self.run.broken_at_once.entry((name, token)).or_insert(at);
                    *begun = at.min(*begun);
                }
            }
            What::Shown { name, token, until_ns } => self.run.shown.push((at, name, token, until_ns)),
            What::Stalled { late_ms } => {
                self.run.stalls.push((at.at_ns, late_ms.saturating_mul(1_000_000)));
            }
            What::Traffic { host, messages } => self.run.traffic.push((at, host, messages)),
            What::Tries { key, revision, attempt, writes } => {
                self.run.tries.push(Tries { at, key, revision, attempt, writes });
            }
            What::Unready { missing } => self.run.unready = Some((at, missing)),
            What::Healed => self.run.healed = Some(at),
            What::Ended => self.run.ended = Some(at),
            What::Interrupted => self.run.interrupted = Some(at),
            What::Fault { fault, nemesis, target, phase } => self.fault(at, fault, nemesis, target, phase),
            What::Started { worker, via, workload, .. } => {
                self.run.lives.push(Life { worker, started: at, gone: None, via, workload });
            }
            What::Gone { worker } => {
                if let Some(life) = self.run.lives.iter_mut().rev().find(|life| life.worker == worker) {
                    life.gone.get_or_insert(at);
                }
                self.gone.push((worker, at));
            }
            What::Gap { from } => self.run.audit.gaps.push((from, u64::MAX)),
            What::Remains { keys } => self.run.audit.remains = Some((at, keys)),
            What::Revision { revision, key, written_us, is_deletion, ttl_secs, value } => {
                self.run.audit.read(Revision { at, revision, key, written_us, is_deletion, ttl_secs, value });
            }
            What::Asks { op, kind, names, limit, ttl_ms, waits } => {
                self.open.insert((line.who.clone(), op), self.run.operations.len());
                self.run.operations.push(Operation {
                    worker: line.who,
                    op,
                    kind,
                    names,
                    limit,
                    ttl_ms,
                    waits,
                    asks: at,
                    granted: None,
                    refused: None,
                    withdrawn: false,
                    renewed: Vec::new(),
                    lost: None,
                    releases: None,
                    released: None,
                    uses: Vec::new(),
                    reads: Vec::new(),
                    gone: None,
                });
            }
            what => {
                if self.of_operation(line.who, at, what).is_none() {
                    self.run.strays.push(number);
                }
            }
        }
    }

    fn fault(&mut self, at: Mark, fault: u64, nemesis: String, target: String, phase: Phase) {
        match phase {
            Phase::Begins => self.run.faults.push(Band { fault, nemesis, target, from: at, to: None }),
            Phase::Ends => match self.run.faults.iter_mut().find(|it| it.fault == fault && it.to.is_none()) {
                Some(band) => band.to = Some(at),
                None => self.run.strays.push(at.line),
            },
        }
    }

    /// `None` if there is no such operation.
    fn of_operation(&mut self, who: String, at: Mark, what: What) -> Option<()> {
        let op = match &what {
            What::Granted { op, .. }
            | What::Refused { op, .. }
            | What::Renewed { op, .. }
            | What::Lost { op, .. }
            | What::Releases { op }
            | What::Released { op, .. }
            | What::Uses { op, .. }
            | What::Used { op, .. }
            | What::Reads { op, .. }
            | What::Saw { op, .. } => *op,
            _ => return None,
        };
        let index = *self.open.get(&(who, op))?;
        let it = self.run.operations.get_mut(index)?;
        match what {
            What::Granted { tokens, deadline_ns, .. } if it.granted.is_none() => {
                it.granted = Some(Grant { at, tokens, deadline_ns });
            }
            What::Refused { outcome, detail, .. } => {
                it.refused = Some((at, outcome));
                if detail.contains(NOTICED) {
                    self.run.noticed.push(at);
                }
                it.withdrawn = [GIVEN_UP, STOPPED].contains(&detail.as_str());
            }
            What::Renewed { deadline_ns, .. } => it.renewed.push((at, deadline_ns)),
            What::Lost { reason, .. } if it.lost.is_none() => it.lost = Some((at, reason)),
            What::Releases { .. } if it.releases.is_none() => it.releases = Some(at),
            What::Released { outcome, .. } => it.released = Some((at, outcome)),
            What::Uses { resource, token, value, .. } => {
                it.uses.push(Use { at, resource, token, value, used: None });
            }
            What::Used { value, answer, before, .. } => {
                let it = it.uses.iter_mut().rev().find(|it| it.value == value && it.used.is_none())?;
                it.used = Some(Used { at, answer, before });
            }
            What::Reads { resource, .. } => it.reads.push(Read { at, resource, saw: None }),
            What::Saw { resource, value, .. } => {
                let it = it.reads.iter_mut().find(|it| it.resource == resource && it.saw.is_none())?;
                it.saw = Some((at, value));
            }
            // Granted or lost a second time.
            _ => return None,
        }
        Some(())
    }

    fn finish(mut self) -> Run {
        for operation in &mut self.run.operations {
            let mine = self.gone.iter().filter(|(who, at)| {
                *who == operation.worker && (at.at_ns, at.line) >= (operation.asks.at_ns, operation.asks.line)
            });
            operation.gone = mine.map(|(_, at)| *at).min();
        }
        self.run.audit.finish();
        self.run
    }
}
