//! One run's shared state: the store, the weather, what was seen, and the trace.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use lease::Space;
use lease::store::{Ack, Batch, BatchAck, BatchWrite, Body, Entry, MemoryStore, Store, Write, WriteError};
use tokio::time::Instant;

use crate::checks::{Checks, Wrote, records};
use crate::clock::{START_MICROS, StoreClock};
use crate::exec::{Exec, Group};
use crate::grant::Grant;
use crate::history::History;
use crate::profile::Profile;
use crate::weather::Weather;
use support::chance::Chance;

/// A process: its seat, how often it was started, and its tasks' group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid {
    pub index: usize,
    pub life: u32,
    pub group: Group,
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}.{}", self.index, self.life)
    }
}

/// What is counted over all runs.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub faults: BTreeMap<&'static str, u64>,
    pub grants: u64,
    pub losses: BTreeMap<&'static str, u64>,
    pub refusals: BTreeMap<&'static str, u64>,
    pub writes: u64,
    pub fence_accepted: u64,
    pub fence_refused: u64,
}

/// Everything behind the one lock of a run.
pub struct State {
    pub chance: Chance,
    pub profile: Profile,
    pub weather: Weather,
    pub history: History,
    pub checks: Checks,
    pub counts: Counts,
    pub seats: Vec<Option<(Pid, Option<Space>)>>,
    /// No new attempts, and holds come to an end.
    pub winding_down: bool,
    /// Records that go as early as the slack allows, by when.
    pub early: BTreeSet<(Duration, String, u64)>,
    pub trace: Option<String>,
}

/// One run.
pub struct Sim {
    pub start: Instant,
    pub exec: Exec,
    pub store: Arc<MemoryStore>,
    pub clock: Arc<StoreClock>,
    state: Mutex<State>,
}

impl Sim {
    pub fn new(profile: Profile, chance: Chance, exec: Exec, traced: bool) -> Arc<Sim> {
        let start = Instant::now();
        let clock = Arc::new(StoreClock::new(start, &exec));
        let store = MemoryStore::new(clock.clone());
        store.revisions_first(profile.revisions_first);
        let weather = Weather::new(profile.processes + 1);
        let mut checks = Checks::default();
        checks.causes.told_by_revision = profile.revisions_first;
        let state = State {
            chance,
            profile,
            weather,
            history: History::default(),
            checks,
            counts: Counts::default(),
            seats: Vec::new(),
            winding_down: false,
            early: BTreeSet::new(),
            trace: traced.then(String::new),
        };
        Arc::new(Sim { start, exec, store, clock, state: Mutex::new(state) })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Real time since the run began.
    pub fn at(&self) -> Duration {
        Instant::now() - self.start
    }

    /// A line of the trace.
    pub fn note(&self, who: impl fmt::Display, what: fmt::Arguments<'_>) {
        let at = self.at();
        self.lock().note(at, who, what);
    }

    /// Applies a write to the store, and looks at what it did.
    pub fn apply(&self, by: Pid, write: &Write) -> Result<Ack, WriteError> {
        let at = self.at();
        let mut state = self.lock();
        self.expire(&mut state, at);
        let before = state.history.current(&write.key).cloned();
        let answer = self.store.write(write).now_or_never().unwrap_or(Err(WriteError::Unknown("slow")));
        if let Ok(Ack { revision, duplicate: false }) = answer {
            self.applied(&mut state, at, by, before.as_ref(), write, revision);
        } else if state.trace.is_some() {
            let text = format!("{answer:?}");
            state.note(at, by, format_args!("· {} not #{}: {text}", write.key, tail(write.expect)));
        }
        if answer.is_err() {
            state.checks.refused(at, by, &write.key);
        }
        answer
    }

    /// Applies a batch.
    pub fn apply_all(&self, by: Pid, batch: &Batch) -> Result<BatchAck, WriteError> {
        let at = self.at();
        let mut state = self.lock();
        self.expire(&mut state, at);
        let answer = self.store.write_all(batch).now_or_never().unwrap_or(Err(WriteError::Unknown("slow")));
        let compared = batch.writes.first().map(|write| write.compared());
        match &answer {
            Ok(ack @ BatchAck::Applied { .. }) => {
                state.checks.batch = batch.writes.iter().map(|write| write.key.clone()).collect();
                for (index, write) in batch.writes.iter().enumerate() {
                    let before = state.history.current(&write.key).cloned();
                    let BatchWrite { key, body, ttl_secs, .. } = write.clone();
                    let single = Write { key, expect: 0, body, ttl_secs, id: String::new() };
                    let revision = ack.revision(index).unwrap_or_default();
                    self.applied(&mut state, at, by, before.as_ref(), &single, revision);
                }
                state.checks.batch.clear();
            }
            answer => {
                if state.trace.is_some() {
                    let text = format!("{answer:?}");
                    let keys: Vec<&str> = batch.writes.iter().map(|write| write.key.as_str()).collect();
                    state.note(at, by, format_args!("· {} not: {text}", keys.join("+")));
                }
                if let (Err(_), Some((key, _))) = (answer, compared) {
                    state.checks.refused(at, by, key);
                }
            }
        }
        answer
    }

    fn applied(
        &self,
        state: &mut State,
        at: Duration,
        by: Pid,
        before: Option<&Entry>,
        write: &Write,
        revision: u64,
    ) {
        let shows = self.clock.shows();
        let entry = Entry {
            key: write.key.clone(),
            revision,
            body: write.body.clone(),
            ttl_secs: write.ttl_secs,
            written_micros: START_MICROS + shows.as_micros() as u64,
        };
        state.history.wrote(&entry, shows, at);
        state.counts.writes += 1;
        if state.profile.eager && records::is_record(&entry.key) && entry.ttl_secs > 2 {
            let due = at + Duration::from_secs(entry.ttl_secs - 2);
            state.early.insert((due, entry.key.clone(), revision));
        }
        if state.trace.is_some() {
            let text = shown(&entry);
            state.note(at, by, format_args!("· {} #{} {text}", entry.key, tail(revision)));
        }
        state.checks.wrote(&Wrote { at, by, before, entry: &entry });
    }

    /// Removes what has reached its time by the store's clock.
    pub fn expire(&self, state: &mut State, at: Duration) {
        for entry in state.history.expire(self.clock.shows(), at) {
            state.gone(at, &entry);
        }
    }

    /// Lets the store remove what has expired, which it does when it is asked for anything.
    pub fn touch(&self) {
        let _ = self.store.read("nothing").now_or_never();
    }

    /// Removes what goes as early as the slack allows.
    pub fn expire_early(&self) {
        let at = self.at();
        let mut state = self.lock();
        self.expire(&mut state, at);
        while state.early.first().is_some_and(|(due, ..)| *due <= at) {
            let Some((_, key, revision)) = state.early.pop_first() else { return };
            let Some(entry) = state.history.current(&key).filter(|entry| entry.revision == revision).cloned()
            else {
                continue;
            };
            self.store.expire_early(&key);
            state.history.remove(&key, at);
            state.fault(at, "early-expiry", None, Duration::ZERO);
            state.gone(at, &entry);
        }
    }

    /// A lease reached its user. Where its record is gone by now, `space` says what that was called.
    pub fn told(&self, by: Pid, attempt: &str, lease: &Arc<Grant>, space: &str) {
        let at = self.at();
        let mut state = self.lock();
        self.expire(&mut state, at);
        state.counts.grants += 1;
        state.note(
            at,
            by,
            format_args!(
                "{attempt} HOLDS {} token {}",
                lease.shown(),
                lease.parts().iter().map(|(_, token)| tail(*token).to_string()).collect::<Vec<_>>().join("+")
            ),
        );
        let state = &mut *state;
        // Its records: the names that their keys are for, and the keys.
        let own = |entry: &&Entry| records::owner(entry).is_some_and(|owner| owner == attempt);
        let found: Vec<String> = state.history.all().filter(own).map(|entry| entry.key.clone()).collect();
        state.checks.told(at, by, attempt, lease, &found, space);
    }

    /// After every poll: nobody may believe what another believes.
    pub fn looked(&self) {
        let at = self.at();
        let mut state = self.lock();
        state.checks.looked(at);
    }
}

impl State {
    pub fn note(&mut self, at: Duration, who: impl fmt::Display, what: fmt::Arguments<'_>) {
        if let Some(trace) = &mut self.trace {
            use fmt::Write;
            let _ = writeln!(trace, "{:>10.3}  {who:<6} {what}", at.as_secs_f64());
        }
    }

    /// What the server that this process reads from shows besides what is there.
    pub fn ghosts(&self, index: usize, filter: &str) -> Vec<Entry> {
        if self.profile.haunted != Some(index) {
            return Vec::new();
        }
        self.history.ghosts(filter)
    }

    /// A fault, by its name, and how long it may be felt.
    pub fn fault(&mut self, at: Duration, name: &'static str, who: Option<usize>, felt: Duration) {
        *self.counts.faults.entry(name).or_default() += 1;
        self.checks.causes.disturbed(name, who, at, at + felt);
        match who {
            Some(who) => self.note(at, "FAULT", format_args!("{name} p{who} ({:.3} s)", felt.as_secs_f64())),
            None => self.note(at, "FAULT", format_args!("{name} ({:.3} s)", felt.as_secs_f64())),
        }
    }

    /// A process is told that its batch was applied earlier, and not as which revision: that must be read, and where it
    /// reads from a server that was left behind, it cannot renew until that is over.
    pub fn unseen(&mut self, who: usize, at: Duration) {
        if let Some(until) = self.weather.stale_until(who, at) {
            self.checks.causes.disturbed("applied-unseen", Some(who), at, until);
        }
    }

    /// An entry went without a write.
    pub fn gone(&mut self, at: Duration, entry: &Entry) {
        self.note(at, "store", format_args!("· {} #{} expires", entry.key, tail(entry.revision)));
        self.checks.expired(at, entry);
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sim")
    }
}

/// Revisions are long; what they have in common is left out in the trace.
pub fn tail(revision: u64) -> u64 {
    if revision >= START_MICROS { revision - START_MICROS } else { revision }
}

fn shown(entry: &Entry) -> String {
    let ttl = entry.ttl_secs;
    match &entry.body {
        Body::Delete(_) if records::is_record(&entry.key) => format!("freed ttl {ttl}"),
        Body::Delete(note) => format!("deleted {} ttl {ttl}", String::from_utf8_lossy(note)),
        Body::Put(_) if records::is_record(&entry.key) => match lease::protocol::Slot::of(Some(entry)) {
            lease::protocol::Slot::Taken { record, .. } => {
                let how = match (record.reserved, record.token) {
                    (true, _) => "reserved for",
                    (false, None) => "granted to",
                    (false, Some(_)) => "renewed for",
                };
                format!("{how} {} ttl {ttl}", record.owner)
            }
            lease::protocol::Slot::Shared { record, .. } => format!("shared by {}", record.readers.join(" ")),
            _ => format!("{:?} ttl {ttl}", entry.value()),
        },
        Body::Put(value) if entry.key.starts_with("line.") => {
            let owner = serde_json::from_slice::<lease::Waiter>(value).map(|waiter| waiter.owner);
            format!("place of {}", owner.unwrap_or_default())
        }
        Body::Put(value) => format!("{} ttl {ttl}", String::from_utf8_lossy(value)),
    }
}
