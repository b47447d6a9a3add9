//! The post office of a process: notes from other processes, handed to whom they concern.
//!
//! Every note may be lost, late or out of date; all that hangs on one is speed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::ambient::Moment;
use crate::core::{Core, locked};
use crate::protocol::line::{Note, Waiter};
use crate::protocol::{Previous, Slot};
use crate::store::Revision;

/// How long "I am first in line" is believed: whoever is first says it again every second or two.
const FRESH: Duration = Duration::from_secs(5);
/// How long "I come directly after it" is believed: it is said again every 4 to 16 seconds.
const STILL_BEHIND: Duration = Duration::from_secs(20);
/// How many successors are remembered, over all names. Beyond that handovers are a round trip slower.
const MOST_SUCCESSORS: usize = 65_536;
/// How often in a row a process may take a name again that it has just released without looking who waits: it might not
/// have been told.
const MOST_TURNS: u32 = 4;
/// How many markers are remembered. Beyond that using a key again is a round trip slower.
const MOST_MARKERS: usize = 4_096;

/// What a waiter is told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// The record of this key is kept free for it, as this revision.
    Handed { key: String, revision: Revision, previous: Option<Previous> },
    /// Nobody waits at this place any more.
    Empty(String),
}

/// What a release left.
#[derive(Debug)]
pub(crate) struct Marker {
    pub revision: Revision,
    pub previous: Previous,
}

#[derive(Debug)]
struct Successor {
    waiter: Waiter,
    /// The attempt it stands directly behind; `None` if it said that it is first.
    after: Option<String>,
    heard: Moment,
}

#[derive(Debug)]
struct Waiting {
    attempt: String,
    told: mpsc::Sender<Told>,
}

/// An attempt needs not be told what is kept free for it.
#[derive(Debug)]
pub(crate) struct Expecting<'a> {
    post: &'a Post,
    attempt: &'a str,
}

impl Drop for Expecting<'_> {
    fn drop(&mut self) {
        locked(&self.post.state).expecting.remove(self.attempt);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Post {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Waiters of this process, by the name they wait for and their place.
    waiting: BTreeMap<String, BTreeMap<String, Waiting>>,
    /// Who comes next, by name and order. Of any process, this one's too.
    next: BTreeMap<String, BTreeMap<Revision, Successor>>,
    successors: usize,
    /// The markers that releases of this process left, by name: taking such a name again needs no look first.
    freed: BTreeMap<String, Marker>,
    /// How often in a row such a name was taken again.
    turns: BTreeMap<String, u32>,
    /// The markers that leaving a place left, by name and place.
    vacated: BTreeMap<String, Revision>,
    /// Until when a number is not used again, by name and place: a write that was to take this place may yet arrive.
    resting: BTreeMap<String, Moment>,
    /// Attempts of this process that know that something is kept free for them, and need not be told.
    expecting: BTreeSet<String>,
    /// Holders of this process that want to hear when their grant is broken.
    holding: BTreeMap<String, mpsc::Sender<()>>,
}

impl Post {
    /// Takes a waiter of this process off the register; `marker` is what its leaving left under the place's key. Before `rests_until`
    /// nobody else is to use its number: who left that again would shorten the life of what stands there.
    pub(crate) fn unwait(
        &self,
        name: &str,
        place: &str,
        marker: Option<Revision>,
        rests_until: Option<Moment>,
    ) {
        let mut state = locked(&self.state);
        if let Some(places) = state.waiting.get_mut(name) {
            places.remove(place);
            if places.is_empty() {
                state.waiting.remove(name);
            }
        }
        if let Some(marker) = marker {
            remember(&mut state.vacated, place_in(name, place), marker);
        }
        if let Some(until) = rests_until {
            remember(&mut state.resting, place_in(name, place), until);
        }
    }

    /// The marker that was left under a place's key when it was last used, or 0. A hint: it may have expired.
    pub(crate) fn take_vacated(&self, name: &str, place: &str) -> Revision {
        locked(&self.state).vacated.remove(&place_in(name, place)).unwrap_or_default()
    }

    /// Registers a waiter of this process under the lowest number that none of its waiters uses in this line, and that does not
    /// rest.
    ///
    /// Numbers are used again, so that a line's keys, and with them the markers that leaving makes, stay as few as
    /// its waiters.
    pub(crate) fn take_place(
        &self,
        name: &str,
        process: &str,
        attempt: &str,
        now: Moment,
    ) -> (String, mpsc::Receiver<Told>) {
        let (sender, receiver) = mpsc::channel(8);
        let mut state = locked(&self.state);
        let State { waiting, resting, .. } = &mut *state;
        let taken = waiting.entry(name.to_owned()).or_default();
        let mut number = 0_u32;
        let place = loop {
            let place = format!("{process}-{number}");
            let rests = resting.get(&place_in(name, &place)).is_some_and(|until| now < *until);
            if !rests && !taken.contains_key(&place) {
                resting.remove(&place_in(name, &place));
                break place;
            }
            number += 1;
        };
        taken.insert(place.clone(), Waiting { attempt: attempt.to_owned(), told: sender });
        (place, receiver)
    }

    /// The attempt knows what is going to be kept free for it, until this is dropped.
    pub(crate) fn expect<'a>(&'a self, attempt: &'a str) -> Expecting<'a> {
        locked(&self.state).expecting.insert(attempt.to_owned());
        Expecting { post: self, attempt }
    }

    /// Registers a holder of this process.
    pub(crate) fn hold(&self, name: &str) -> mpsc::Receiver<()> {
        let (sender, receiver) = mpsc::channel(1);
        locked(&self.state).holding.insert(name.to_owned(), sender);
        receiver
    }

    /// Takes a holder off the register, unless another took its place.
    pub(crate) fn unhold(&self, name: &str) {
        let mut state = locked(&self.state);
        if state.holding.get(name).is_some_and(mpsc::Sender::is_closed) {
            state.holding.remove(name);
        }
    }

    /// Whether somebody is known to wait: then a newcomer of this process joins the line without trying.
    pub(crate) fn has_line(&self, name: &str, now: Moment) -> bool {
        let state = locked(&self.state);
        state.waiting.contains_key(name)
            || state
                .next
                .get(name)
                .is_some_and(|next| next.values().any(|s| s.after.is_none() && now.since(s.heard) < FRESH))
    }

    /// Who comes directly after the attempt that was granted; taken off the register.
    pub(crate) fn take_next(&self, name: &str, attempt: &str, now: Moment) -> Option<Waiter> {
        let mut state = locked(&self.state);
        let next = state.next.get_mut(name)?;
        let order = next.iter().find_map(|(order, successor)| {
            let directly = match &successor.after {
                Some(after) => after == attempt && now.since(successor.heard) < STILL_BEHIND,
                None => now.since(successor.heard) < FRESH,
            };
            directly.then_some(*order)
        })?;
        let taken = next.remove(&order).map(|successor| successor.waiter);
        if next.is_empty() {
            state.next.remove(name);
        }
        state.successors = state.successors.saturating_sub(1);
        taken
    }

    /// Remembers the marker that a release of this process left.
    pub(crate) fn freed(&self, name: &str, marker: Marker) {
        remember(&mut locked(&self.state).freed, name.to_owned(), marker);
    }

    /// The store is not what it was: what revisions of before it stand for now, nobody knows.
    pub(crate) fn distrust_markers(&self) {
        let mut state = locked(&self.state);
        (state.freed, state.vacated) = Default::default();
    }

    /// The marker that this process's last release of `name` left, unless somebody is known to wait for it. Whether
    /// it is still the newest only the CAS that expects it can tell.
    pub(crate) fn take_freed(&self, name: &str, now: Moment) -> Option<Marker> {
        let waited_for = self.has_line(name, now);
        let mut state = locked(&self.state);
        let marker = state.freed.remove(name);
        let turns = state.turns.get(name).copied().unwrap_or_default() + 1;
        if waited_for || turns > MOST_TURNS {
            return None;
        }
        remember(&mut state.turns, name.to_owned(), turns);
        marker
    }

    /// The line of `name` was looked at, and nobody was in it.
    pub(crate) fn nobody_waits(&self, name: &str) {
        locked(&self.state).turns.remove(name);
    }

    /// Hands a note to whom it concerns.
    pub(crate) fn deliver(&self, core: &Arc<Core>, note: Note) {
        let now = core.now();
        match note {
            Note::Behind { line: name, of, after, order, waiter } => {
                let here = locked(&self.state)
                    .waiting
                    .get(&name)
                    .is_some_and(|places| places.get(&of).is_some_and(|waiting| waiting.attempt == after));
                if here {
                    self.follows(name, Some(after), order, waiter, now);
                } else {
                    let note = Note::NotHere { line: name, place: of, attempt: waiter.attempt };
                    let shared = Arc::clone(core);
                    core.spawn(async move { shared.tell(&waiter.process, note).await });
                }
            }
            Note::First { line: name, order, waiter } => self.follows(name, None, order, waiter, now),
            Note::Gone { line: name, place } => self.gone(&name, &place),
            Note::NotHere { line: name, place, attempt } => {
                self.pass_on(&name, &attempt, Told::Empty(place));
            }
            Note::Handed { line: name, key, attempt, revision, previous } => {
                let expected = locked(&self.state).expecting.contains(&attempt);
                let told = Told::Handed { key: key.clone(), revision, previous };
                if !expected && !self.pass_on(&name, &attempt, told) {
                    decline(core, key, attempt, revision);
                }
            }
            Note::Broken { key } => {
                if let Some(holder) = locked(&self.state).holding.get(&key) {
                    // Full means that it was told already.
                    let _ = holder.try_send(());
                }
            }
        }
    }

    /// `false` if the attempt does not wait any more.
    fn pass_on(&self, name: &str, attempt: &str, told: Told) -> bool {
        locked(&self.state).waiting.get(name).is_some_and(|places| {
            // It may have left one place and stand in another: there it listens.
            let mut its = places.values().filter(|waiting| waiting.attempt == attempt);
            its.any(|waiter| waiter.told.try_send(told.clone()).is_ok())
        })
    }

    fn follows(&self, name: String, after: Option<String>, order: Revision, waiter: Waiter, now: Moment) {
        let mut state = locked(&self.state);
        if state.successors >= MOST_SUCCESSORS {
            state.next.clear();
            state.successors = 0;
        }
        let next = state.next.entry(name).or_default();
        // A waiter has one order at a time: what it said under an earlier one is out of date. And whoever joined later and
        // stands directly behind the same attempt has seen that who stood between them is gone.
        let before = next.len();
        next.retain(|earlier, successor| {
            let between = after.is_some() && successor.after == after && *earlier < order;
            successor.waiter.place != waiter.place && !between
        });
        next.insert(order, Successor { waiter, after, heard: now });
        let change = (before, next.len());
        state.successors = (state.successors + change.1).saturating_sub(change.0);
    }

    fn gone(&self, name: &str, place: &str) {
        self.strike_out(name, |waiter| waiter.place == place);
    }

    /// Forgets who of this process comes next: what was kept free for it was not taken. Those who live say so again.
    pub(crate) fn presume_gone(&self, name: &str, process: &str) {
        self.strike_out(name, |waiter| waiter.process == process);
    }

    fn strike_out(&self, name: &str, who: impl Fn(&Waiter) -> bool) {
        let mut state = locked(&self.state);
        let Some(next) = state.next.get_mut(name) else { return };
        let before = next.len();
        next.retain(|_, successor| !who(&successor.waiter));
        let removed = before - next.len();
        if next.is_empty() {
            state.next.remove(name);
        }
        state.successors = state.successors.saturating_sub(removed);
    }
}

/// A waiter hears nothing more: of what was kept free for it, `handed` and what it has yet to hear of, all is free again but what it
/// `took`. (Of a semaphore, each process that gives back keeps a permit free for whoever is first.)
///
/// It waits for no more than another thread that is about to say something.
pub(crate) async fn hang_up(
    core: &Arc<Core>,
    attempt: &str,
    mut told: mpsc::Receiver<Told>,
    mut handed: BTreeMap<String, Revision>,
    took: Option<&str>,
) {
    // Closed first: whatever comes now finds nobody, and is declined where it is delivered.
    told.close();
    // Not `try_recv`: what was admitted before the close and is not there yet would be seen by nobody.
    while let Some(told) = told.recv().await {
        if let Told::Handed { key, revision, .. } = told {
            handed.insert(key, revision);
        }
    }
    for (key, revision) in handed.into_iter().filter(|(key, _)| took != Some(key)) {
        decline(core, key, attempt.to_owned(), revision);
    }
}

/// It waits no more: frees what was kept for it, so that nobody has to wait for its TTL.
fn decline(core: &Arc<Core>, key: String, attempt: String, revision: Revision) {
    let shared = Arc::clone(core);
    core.spawn(async move { unreserve(&shared, &key, &attempt, revision).await });
}

/// Frees a reservation. Anybody may send notes, so what is freed is looked at first: what a revision says is true for
/// ever, and nobody believes to hold a reservation.
async fn unreserve(core: &Core, key: &str, attempt: &str, revision: Revision) {
    let found = core.asked("read-revision", core.store.read_revision(revision)).await.ok().flatten();
    if let Slot::Taken { record, .. } = Slot::of(found.as_ref())
        && record.reserved
        && record.attempt == attempt
        && found.is_some_and(|entry| entry.key == key)
    {
        core.forget(key.to_owned(), revision).await;
    }
}

fn place_in(name: &str, place: &str) -> String {
    format!("{name} {place}")
}

fn remember<T>(markers: &mut BTreeMap<String, T>, key: String, marker: T) {
    if markers.len() >= MOST_MARKERS {
        markers.clear();
    }
    markers.insert(key, marker);
}

#[cfg(test)]
#[path = "post_tests.rs"]
mod tests;
