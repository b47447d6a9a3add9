//! Where a waiter stands: following the place directly ahead, and passing over one whose process is gone.

use std::collections::BTreeSet;

use super::Waiter;
use super::place::{self, Removal};
use crate::presence::Here;
use crate::protocol::key;
use crate::protocol::line::{self, Note, Place};
use crate::store::{Entry, Events, Revision};

/// The place directly ahead, and what is heard of it.
pub(super) struct Ahead {
    pub place: Place,
    /// Writes to its key; `None` while it cannot be followed, then the regular look serves.
    pub events: Option<Events<Entry>>,
    /// How often in a row its process was late, or not to be seen.
    doubts: u32,
    /// It is followed since a moment only: not every server may know that yet, so an early second look is due.
    pub fresh: bool,
}

/// How many processes that were found to be gone a waiter remembers. Beyond that each is found out again.
const MOST_GONE: usize = 64;
/// How many places of such processes it removes before it reads the line again.
const MOST_PASSED: usize = 64;

/// Where a waiter stands in line.
#[expect(clippy::large_enum_variant, reason = "one for each waiter, and mostly the large one")]
pub(super) enum Position {
    /// Not known yet: the line could not be read, or what was read was too old to show our own place.
    Unknown,
    /// Behind somebody.
    Behind(Ahead),
    /// First.
    First,
}

/// What a look at the place ahead shows.
pub(super) enum Still {
    /// Nothing has changed.
    There,
    /// Its process is late, or not to be seen: look again soon.
    Doubtful,
    /// It is gone, or was removed.
    Gone,
    /// Its removal was refused: what was read of the line is old.
    Misread,
}

/// What was read of the line is old, or there is more to remove: to be read again.
struct Unsure;

/// This waiter may have no place any more.
pub(super) enum OutOfLine {
    /// Its place is not to be seen: it was passed over, or the bucket was made again, or what was read is old. With the
    /// revision to expect if it is to be taken again.
    Unseen(Revision),
    /// What the space rests on has changed, and with it, perhaps, the numbers of places.
    Upheaval,
    /// It had its turn and made nothing of it: it goes to the end of the line.
    Yield,
}

impl Waiter {
    /// Finds the place directly ahead of `order`, and follows it unless `was` does so already.
    pub(super) async fn locate(&mut self, order: Revision, was: Position) -> Result<Position, OutOfLine> {
        let mut was = Some(was);
        for _ in 0..MOST_PASSED {
            if let Some(position) = self.find(order, was.take().unwrap_or(Position::Unknown)).await? {
                return Ok(position);
            }
        }
        Ok(Position::Unknown)
    }

    /// As [`Self::locate`]; `None` if what the line shows directly ahead was found not to be there: to be read again.
    async fn find(&mut self, order: Revision, was: Position) -> Result<Option<Position>, OutOfLine> {
        let places = self.places().await;
        // The list may be old; one that shows our own place is new enough to show everything that came before it.
        let Some(index) = places.iter().position(|place| place.order == order) else {
            return match self.core.asked("read", self.core.store.read(&self.place_key())).await {
                Ok(Some(entry)) if entry.revision == order && line::place(&entry).is_some() => {
                    if !self.person.is_ready {
                        // Everybody who is ready comes before it.
                        let ready = places.len();
                        self.ahead.send_if_modified(|ahead| ahead.replace(ready) != Some(ready));
                    }
                    Ok(Some(Position::Unknown))
                }
                // A marker, or something else that is newer than our place, if it is not there; else too old to tell.
                Ok(entry) => {
                    let there = entry.map(|entry| entry.revision).filter(|revision| *revision > order);
                    Err(OutOfLine::Unseen(there.unwrap_or_default()))
                }
                Err(_) => Ok(Some(Position::Unknown)),
            };
        };
        self.ahead.send_if_modified(|ahead| ahead.replace(index) != Some(index));
        let nearest = match self.nearest(places.into_iter().take(index).collect()).await {
            Ok(None) => return Ok(Some(Position::First)),
            Err(Unsure) => return Ok(Some(Position::Unknown)),
            Ok(Some(nearest)) => nearest,
        };
        let ahead = match was {
            Position::Behind(ahead) if ahead.place.order == nearest.order && ahead.events.is_some() => ahead,
            _ => {
                let events = self.core.asked("follow", self.core.store.follow(&nearest.key)).await.ok();
                // It may have gone between the reading and the following: then there is nothing more to be heard.
                match self.core.asked("read", self.core.store.read(&nearest.key)).await {
                    Ok(Some(entry)) if entry.revision == nearest.order => {}
                    Ok(Some(entry))
                        if line::granted(&entry)
                            && !self.wanted.target.by_priority()
                            && self.is_first(order).await =>
                    {
                        return Ok(Some(Position::First));
                    }
                    // Left just now, or the line shows what is not there: then it will do so again.
                    Ok(_) => {
                        let again = self.unseen.replace(nearest.order) == Some(nearest.order);
                        let haunted = again || self.core.ghosts.are_about(self.core.now());
                        return match haunted && self.pass_over(&nearest).await {
                            true => Ok(None),
                            false => Ok(Some(Position::Unknown)),
                        };
                    }
                    // Unreadable says nothing; the next look asks again.
                    Err(_) => {}
                }
                Ahead { place: nearest, events, doubts: 0, fresh: true }
            }
        };
        self.tell_ahead(order, &ahead).await;
        Ok(Some(Position::Behind(ahead)))
    }

    /// Who is directly ahead, if anybody. A process has many places, often one behind the other: those of one that is known to be gone
    /// are passed over at once, where waiting to be sure would cost nearly a second for each.
    async fn nearest(&mut self, ahead: Vec<Place>) -> Result<Option<Place>, Unsure> {
        let mut absent = BTreeSet::new();
        for (passed, place) in ahead.into_iter().rev().enumerate() {
            let process = &place.waiter.process;
            if !self.gone.contains(process) {
                return Ok(Some(place));
            }
            if passed >= MOST_PASSED {
                return Err(Unsure);
            }
            if !absent.contains(process) {
                // Back again: it had only been late. Unreadable says nothing, and then it is waited for.
                if !matches!(self.is_here(process).await, Some(Here::No)) {
                    self.gone.remove(process);
                    return Ok(Some(place));
                }
                absent.insert(process.clone());
            }
            if !self.pass_over(&place).await {
                return Err(Unsure);
            }
        }
        Ok(None)
    }

    /// Whether a process is here; `None` if that cannot be read.
    async fn is_here(&self, process: &str) -> Option<Here> {
        let core = &self.core;
        let read = core.asked("read", core.store.read(&key::here(process))).await.ok()?;
        Some(core.presence.judge(process, read.map(|entry| entry.revision), core.now()))
    }

    /// Whether somebody who waits for it is to be seen, ahead of `order`: for whoever is not there for long enough to find out that
    /// all of them have gone. `true` if that cannot be read. Seen by mistake as gone, somebody is overtaken, and nothing worse.
    pub(super) async fn is_waited_for(&self, order: Revision) -> bool {
        let Ok(places) = crate::line::read(&self.core, &self.scope).await else { return true };
        let ahead = places.into_iter().filter(|place| place.order < order);
        let processes: BTreeSet<String> = ahead.map(|place| place.waiter.process).collect();
        if processes.len() > MOST_GONE {
            return true;
        }
        for process in &processes {
            if !matches!(self.is_here(process).await, Some(Here::No | Here::NotSeen)) {
                return true;
            }
        }
        false
    }

    /// Whether nobody stands ahead, now that the place directly ahead was granted. Mostly so; but where waiters died,
    /// it may have been granted before its turn. Where one question does not tell, it is taken for granted: the line
    /// only decides who tries.
    pub(super) async fn is_first(&self, order: Revision) -> bool {
        let filter = key::line(&self.scope);
        let first = self.core.asked("first", self.core.store.first(&filter)).await.ok().flatten();
        !first.is_some_and(|entry| entry.revision < order && line::place(&entry).is_some())
    }

    /// Tells the process ahead who comes next. If nobody waits at that place any more, it says so.
    pub(super) async fn tell_ahead(&mut self, order: Revision, ahead: &Ahead) {
        let process = ahead.place.waiter.process.clone();
        let of = ahead.place.waiter.place.clone();
        let after = ahead.place.waiter.attempt.clone();
        let line = self.scope.clone();
        let note = Note::Behind { line, of, after, order, waiter: self.person.clone() };
        self.core.tell(&process, note).await;
        self.told = [process].into();
    }

    /// Looks whether the process ahead is alive and, with `place_too`, whether the place is still there; its going is
    /// announced, but announcements may be lost.
    pub(super) async fn still_ahead(&mut self, ahead: &mut Ahead, place_too: bool) -> Still {
        let core = &self.core;
        if place_too {
            match core.asked("read", core.store.read(&ahead.place.key)).await {
                Ok(Some(entry)) if entry.revision == ahead.place.order => {}
                Ok(_) => return Still::Gone,
                // Unreadable says nothing.
                Err(_) => return Still::There,
            }
        }
        match self.is_here(&ahead.place.waiter.process).await {
            Some(Here::Yes) => ahead.doubts = 0,
            Some(Here::Late | Here::NotSeen) => ahead.doubts = 1,
            Some(Here::No) => ahead.doubts += 1,
            None => return Still::There,
        }
        // Twice in a row: one read may have been answered by a server that was left behind. Passing over a live waiter by
        // mistake would cost it its place, never a lease.
        match ahead.doubts {
            0 => Still::There,
            1 => Still::Doubtful,
            _ => {
                if self.gone.len() >= MOST_GONE {
                    self.gone.clear();
                }
                self.gone.insert(ahead.place.waiter.process.clone());
                if self.pass_over(&ahead.place).await { Still::Gone } else { Still::Misread }
            }
        }
    }

    /// Removes a place ahead; `false` if it may still be there.
    ///
    /// Reading again would show it again, where it is shown by mistake ([`crate::ghosts`]); a refused write has told that it
    /// is not there, and that is remembered. Should a leader that was cut off have refused it, somebody is overtaken, and
    /// nothing worse: the line only decides who tries.
    pub(super) async fn pass_over(&mut self, ahead: &Place) -> bool {
        let process = &ahead.waiter.process;
        tracing::info!(line = self.scope, process, "passing over a waiter that is gone");
        match place::remove_ghost(&self.core, ahead.key.clone(), ahead.order).await {
            Removal::Done(_) => true,
            Removal::NotThere => {
                self.core.ghosts.refute(ahead.order, self.core.now());
                true
            }
            Removal::Undecided => false,
        }
    }
}
