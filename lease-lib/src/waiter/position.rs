//! Where a waiter stands: following the place directly ahead, and passing over one whose process is gone.

use super::{Waiter, place};
use crate::protocol::key;
use crate::protocol::line::{self, Note, Place};
use crate::store::{Entry, Events, Revision};

/// The place directly ahead, and what is heard of it.
pub(super) struct Ahead {
    pub place: Place,
    /// Writes to its key; `None` while it cannot be followed, then the regular look serves.
    pub events: Option<Events<Entry>>,
    /// How often in a row its process was seen to be absent.
    absences: u32,
}

/// Where a waiter stands in line.
pub(super) enum Position {
    /// Not known yet: the line could not be read, or what was read was too old to show our own place.
    Unknown,
    /// Behind somebody.
    Behind(Ahead),
    /// First.
    First,
}

/// This waiter's place is not there any more: it was passed over, or the bucket was made again.
pub(super) struct NotInLine;

impl Waiter {
    /// Finds the place directly ahead of `order`, and follows it unless `was` does so already.
    pub(super) async fn locate(&mut self, order: Revision, was: Position) -> Result<Position, NotInLine> {
        let places = self.places().await;
        // The list may be old; one that shows our own place is new enough to show everything that came before it.
        let Some(index) = places.iter().position(|place| place.order == order) else {
            return match self.core.asked("read", self.core.store.read(&self.place_key())).await {
                Ok(Some(entry)) if entry.revision == order && line::place(&entry).is_some() => Ok(was),
                Ok(_) => Err(NotInLine),
                Err(_) => Ok(was),
            };
        };
        self.ahead.send_if_modified(|ahead| ahead.replace(index) != Some(index));
        let Some(nearest) = index.checked_sub(1).and_then(|before| places.into_iter().nth(before)) else {
            return Ok(Position::First);
        };
        let ahead = match was {
            Position::Behind(ahead) if ahead.place.order == nearest.order && ahead.events.is_some() => ahead,
            _ => {
                let events = self.core.asked("follow", self.core.store.follow(&nearest.key)).await.ok();
                Ahead { place: nearest, events, absences: 0 }
            }
        };
        self.tell_ahead(order, &ahead).await;
        Ok(Position::Behind(ahead))
    }

    /// Tells the process ahead who comes next. If nobody waits at that place any more, it says so.
    pub(super) async fn tell_ahead(&mut self, order: Revision, ahead: &Ahead) {
        let process = ahead.place.waiter.process.clone();
        let of = ahead.place.waiter.place.clone();
        let note = Note::Behind { name: self.wanted.name.clone(), of, order, waiter: self.person.clone() };
        self.core.tell(&process, note).await;
        self.told = Some(process);
    }

    /// Looks whether the place ahead is still there and its process alive. `false`: it is gone, or was removed.
    pub(super) async fn still_ahead(&self, ahead: &mut Ahead) -> bool {
        let core = &self.core;
        let here = key::here(&ahead.place.waiter.process);
        let (entry, presence) = tokio::join!(
            core.asked("read", core.store.read(&ahead.place.key)),
            core.asked("read", core.store.read(&here))
        );
        match entry {
            Ok(Some(entry)) if entry.revision == ahead.place.order => {}
            Ok(_) => return false,
            // Unreadable says nothing.
            Err(_) => return true,
        }
        match presence {
            Ok(None) if core.presence.may_judge(core.now()) => ahead.absences += 1,
            Ok(_) => ahead.absences = 0,
            Err(_) => {}
        }
        // Twice in a row, seconds apart: one read may have been answered by a server that was left behind. Passing
        // over a live waiter by mistake would cost it its place, never a lease.
        if ahead.absences < 2 {
            return true;
        }
        self.pass_over(ahead).await;
        false
    }

    /// Removes the place ahead.
    pub(super) async fn pass_over(&self, ahead: &Ahead) {
        let process = &ahead.place.waiter.process;
        tracing::info!(lock = self.wanted.name, process, "passing over a waiter that is gone");
        place::remove(&self.core, ahead.place.key.clone(), ahead.place.order, false, false).await;
    }
}
