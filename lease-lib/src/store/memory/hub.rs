//! Who listens to what: bounded channels by literal subject or by filter.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::name::matches;
use crate::store::{EVENT_BUFFER, Events};

/// Below this many listeners the closed ones are not worth looking for.
const SWEEP_FROM: usize = 64;

/// Listeners, each with a buffer of its own. A full buffer drops the newest, a closed one its listener.
pub(super) struct Hub<T> {
    /// Literal subjects are looked up, so a write costs the same with a thousand waiters as with one.
    literal: BTreeMap<String, Vec<mpsc::Sender<T>>>,
    wild: Vec<(String, mpsc::Sender<T>)>,
    count: usize,
    sweep_at: usize,
}

impl<T> Default for Hub<T> {
    fn default() -> Hub<T> {
        Hub { literal: BTreeMap::new(), wild: Vec::new(), count: 0, sweep_at: SWEEP_FROM }
    }
}

impl<T: Clone> Hub<T> {
    pub(super) fn subscribe(&mut self, filter: &str) -> Events<T> {
        if self.count >= self.sweep_at {
            self.sweep();
        }
        let (sender, receiver) = mpsc::channel(EVENT_BUFFER);
        if filter.split('.').any(|token| token == "*" || token == ">") {
            self.wild.push((filter.to_owned(), sender));
        } else {
            self.literal.entry(filter.to_owned()).or_default().push(sender);
        }
        self.count += 1;
        receiver
    }

    pub(super) fn publish(&mut self, subject: &str, item: &T) {
        let mut closed = 0;
        if let Some(listeners) = self.literal.get_mut(subject) {
            listeners.retain(|listener| still_open(listener, item, &mut closed));
            if listeners.is_empty() {
                self.literal.remove(subject);
            }
        }
        self.wild.retain(|(filter, listener)| {
            !matches(filter, subject) || still_open(listener, item, &mut closed)
        });
        self.count -= closed;
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Forgets closed listeners of subjects that nobody publishes to. Doubling the distance to the next sweep
    /// keeps its cost per subscription constant.
    fn sweep(&mut self) {
        self.literal.retain(|_, listeners| {
            listeners.retain(|listener| !listener.is_closed());
            !listeners.is_empty()
        });
        self.wild.retain(|(_, listener)| !listener.is_closed());
        self.count = self.wild.len() + self.literal.values().map(Vec::len).sum::<usize>();
        self.sweep_at = SWEEP_FROM.max(self.count * 2);
    }
}

fn still_open<T: Clone>(listener: &mpsc::Sender<T>, item: &T, closed: &mut usize) -> bool {
    let open = !matches!(listener.try_send(item.clone()), Err(TrySendError::Closed(_)));
    *closed += usize::from(!open);
    open
}
