//! What a contender does with its [`Hold`](lease::protocol::Hold): as `keeper.rs`.

use std::sync::Arc;

use lease::protocol::{Command, End, Ending, Event, Record, Released, Request, Status};

use crate::bounds::Bounds;
use crate::contender::Phase;
use crate::store::{Foul, Kept};
use crate::world::World;

impl World {
    /// Does what a hold asks for; `there` is what stood in the way of its write.
    pub(crate) fn drive(&mut self, bounds: &Bounds, i: usize, there: Option<Arc<Kept>>) {
        let now = bounds.now(self.tick);
        let Phase::Holding(hold) = &mut self.at(i).phase else { return };
        let (command, token) = (hold.next(now), hold.token());
        match command {
            Command::Send(Request::One(write)) => self.send(i, write),
            // Nothing goes with a renewal here.
            Command::Send(Request::Batch { .. }) => {}
            Command::Look(revision) => self.look(i, revision, there),
            Command::Done(released) => {
                let nonce = self.contenders[i].nonce();
                // Another granting write of the attempt, which the network kept back, may be applied any time later: its
                // TTL ends it, and a broken grant may be left to its own.
                let left = self.store.record().is_some_and(|there| {
                    there.attempt == nonce
                        && there.token_at(self.store.revision()) == token
                        && there.broken.is_none()
                });
                if left && released != Released::Unknown {
                    self.note(Some(Foul::LeftBehind));
                }
                self.next_attempt(bounds, i);
            }
            Command::Wait(_) | Command::Rest => {}
        }
    }

    /// What is over must stay so.
    pub(crate) fn check_return(&mut self, bounds: &Bounds, i: usize, before: &Status) {
        let over = matches!(before, Status::Lost(_) | Status::Released);
        let back = over && self.contenders[i].believes(bounds.now(self.tick));
        self.note(back.then_some(Foul::Resurrected));
    }

    /// Gives it back. A request that is under way is dropped; it may still be applied.
    pub(crate) fn end(&mut self, bounds: &Bounds, i: usize, reserve_for: Option<Record>) {
        let now = bounds.now(self.tick);
        self.stray(i);
        let contender = self.at(i);
        contender.request = None;
        contender.ending = true;
        if let Phase::Holding(hold) = &mut contender.phase {
            hold.take(now, Event::End(Ending { why: End::Released, at: String::new(), reserve_for }));
        }
        self.drive(bounds, i, None);
    }
}
