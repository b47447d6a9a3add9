//! Places that a server shows and that are not there.
//!
//! A server that came back from a crash may show places in line for as long as a day that were given up long ago, and that
//! the others have forgotten (measured on 2.12.8 and 2.15.1). Each is found out by a write that the store refuses, which
//! costs a round trip or two; so what one waiter has found out, the others of its process need not.
//!
//! For a while only: should a leader that was cut off have refused the write, the place is there, and whoever waits in it is
//! overtaken until this is forgotten.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::ambient::Moment;
use crate::core::locked;
use crate::store::Revision;

/// How long it is remembered that a place is not there.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many are. Beyond that each is found out again.
const MOST: usize = 4_096;

/// What a process knows of such places, by their order.
#[derive(Debug, Default)]
pub(crate) struct Ghosts {
    refuted: Mutex<BTreeMap<Revision, Moment>>,
}

impl Ghosts {
    /// The store has said that this place is not there.
    pub(crate) fn refute(&self, order: Revision, now: Moment) {
        let mut refuted = locked(&self.refuted);
        refuted.retain(|_, at| now.since(*at) < REMEMBERED);
        if refuted.len() >= MOST {
            refuted.clear();
        }
        refuted.insert(order, now);
    }

    /// Whether this place is not there.
    pub(crate) fn has(&self, order: Revision, now: Moment) -> bool {
        locked(&self.refuted).get(&order).is_some_and(|at| now.since(*at) < REMEMBERED)
    }

    /// Whether any such place is known, so that there may be more.
    pub(crate) fn are_about(&self, now: Moment) -> bool {
        locked(&self.refuted).values().any(|at| now.since(*at) < REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refuted_is_forgotten_after_a_while() {
        let (ghosts, at) = (Ghosts::default(), |secs| Moment::default() + Duration::from_secs(secs));
        assert!(!ghosts.are_about(at(1)));
        ghosts.refute(7, at(1));
        ghosts.refute(9, at(50));
        assert!(ghosts.has(7, at(60)) && ghosts.has(9, at(60)) && !ghosts.has(8, at(60)));
        assert!(!ghosts.has(7, at(61)) && ghosts.are_about(at(61)));
        assert!(!ghosts.are_about(at(110)));
        for order in 0..=MOST as u64 {
            ghosts.refute(order, at(200));
        }
        assert!(!ghosts.has(0, at(200)) && ghosts.has(MOST as u64, at(200)), "bounded");
    }
}
