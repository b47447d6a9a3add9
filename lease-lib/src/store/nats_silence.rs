//! When to leave a server that is there, and by whose way nothing is written.
//!
//! A server that was cut off from the others, or one whose connection to another one stands still, goes on answering its clients'
//! pings. Whoever stays with it has no answer to any write until that heals, and loses what it holds, while the other
//! servers grant. So it is left for another one after a while; and after ever longer whiles if that does not help, as while
//! nobody leads.
//!
//! Leaving is safe whatever the reason was: what is unanswered stays unknown, and is asked again by the next connection.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::ambient::Moment;

/// How long writes may be in vain: first, and at most. Shorter than a lease of 20 s is believed after a renewal that is not
/// answered, by what it takes to connect and to write; longer than most elections of a leader take.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(48));

/// What came of the writes by way of some servers, one after the other.
#[derive(Debug)]
pub(super) struct Silence {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the first of those was sent that came to nothing since one was answered.
    since: Option<Moment>,
    patience: Duration,
}

impl Default for Silence {
    fn default() -> Silence {
        Silence { state: Mutex::new(State { since: None, patience: PATIENCE.0 }) }
    }
}

impl Silence {
    /// The stream answered a write, whatever it said.
    pub(super) fn broken(&self) {
        *self.state() = State { since: None, patience: PATIENCE.0 };
    }

    /// A write that was sent then came to nothing by now. Whether it is time to leave; then it begins anew, with another
    /// server and twice the patience.
    pub(super) fn lasts(&self, sent: Moment, now: Moment) -> bool {
        let mut state = self.state();
        let since = *state.since.get_or_insert(sent);
        if now.since(since) < state.patience {
            return false;
        }
        *state = State { since: None, patience: (state.patience * 2).min(PATIENCE.1) };
        true
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing panics while it is held, so poison is no reason to fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_left_later_each_time_until_a_write_is_answered() {
        let (silence, at) = (Silence::default(), |secs| Moment::default() + Duration::from_secs(secs));
        // An answer may just have been lost.
        assert!(!silence.lasts(at(1), at(3)) && !silence.lasts(at(3), at(6)));
        assert!(silence.lasts(at(6), at(7)), "6 s since the first was sent");
        assert!(!silence.lasts(at(8), at(10)) && !silence.lasts(at(18), at(19)));
        assert!(silence.lasts(at(19), at(20)), "12 s by the next one");
        silence.broken();
        assert!(!silence.lasts(at(30), at(32)) && silence.lasts(at(35), at(36)));
        silence.broken();
        let mut left = Vec::new();
        for now in 100..400 {
            if silence.lasts(at(now - 1), at(now)) {
                left.push(now);
            }
        }
        assert_eq!(left, [105, 117, 141, 189, 237, 285, 333, 381]);
    }
}
