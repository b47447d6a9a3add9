//! What carries events and notes: some are late, some are lost, some come twice, and sometimes the wire breaks.

use std::sync::Arc;
use std::time::Duration;

use lease::store::{EVENT_BUFFER, Events};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::exec::WORLD;
use crate::fate::Delivery;
use crate::net::FaultyStore;
use crate::sim::Sim;

/// What can be carried.
pub trait Cargo: Clone + Send + 'static {
    const NOTE: bool;
}

impl Cargo for lease::store::Entry {
    const NOTE: bool = false;
}

impl Cargo for bytes::Bytes {
    const NOTE: bool = true;
}

impl FaultyStore {
    /// Carries events from the store to the process until either end has gone.
    pub fn carry<T: Cargo>(&self, mut from: Events<T>) -> Events<T> {
        let (to, events) = mpsc::channel(EVENT_BUFFER);
        let (sim, index) = (Arc::clone(&self.sim), self.pid.index);
        let mut open = self.open.subscribe();
        self.sim.exec.spawn(WORLD, async move {
            let mut cuts = sim.lock().weather.cuts(index);
            loop {
                let event = tokio::select! {
                    biased;
                    () = to.closed() => return,
                    // Never changed: it ends when the process's store is dropped.
                    _ = open.changed() => return,
                    _ = cuts.changed() => return,
                    event = from.recv() => event,
                };
                let Some(event) = event else { return };
                let delivery = {
                    let mut state = sim.lock();
                    let permille =
                        if T::NOTE { state.profile.note_permille } else { state.profile.event_permille };
                    state.delivery(index, permille, sim.at(), T::NOTE)
                };
                match delivery {
                    Delivery::Lost => {}
                    Delivery::Broken => return,
                    Delivery::After(soon, again) => {
                        deliver(&sim, &to, event.clone(), soon);
                        if let Some(late) = again {
                            deliver(&sim, &to, event, late);
                        }
                    }
                }
            }
        });
        events
    }
}

fn deliver<T: Cargo>(sim: &Arc<Sim>, to: &mpsc::Sender<T>, event: T, after: Duration) {
    let to = to.downgrade();
    sim.exec.spawn(WORLD, async move {
        sleep(after).await;
        // Full or closed: lost.
        if let Some(to) = to.upgrade() {
            let _ = to.try_send(event);
        }
    });
}
