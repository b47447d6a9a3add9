//! When to leave a server that is there, and by whose way nothing is written.
//!
//! A server that was cut off from the others, or one whose connection to another one stands still, goes on answering its clients'
//! pings. Whoever stays with it has no answer to any write until that heals, or none but that it is under way, and loses what
//! it holds, while the other servers grant. So it is left for another one after a while; and after ever longer whiles if that does not help, as while
//! nobody leads.
//!
//! Leaving is safe whatever the reason was: what is unanswered stays unknown, and is asked again by the next connection.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ambient::Moment;

/// How long writes may be in vain: first, and at most. A lease of 20 s is believed for another 12 s when a renewal is sent that is
/// not answered: so there is time for two servers that are no better.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(40));
/// How many servers are left after the shorter time. During an election those who leave may well meet the server that was cut
/// off, and must not stay there for long.
const QUICK: u32 = 3;

/// What came of the writes by way of some servers, one after the other.
#[derive(Debug, Default)]
pub(super) struct Silence {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since one was decided: when the first was sent that came to nothing by this connection, and when the last did.
    vain: Option<Vain>,
    /// How many servers were left since then.
    left: u32,
}

#[derive(Clone, Copy, Debug)]
struct Vain {
    connection: u64,
    since: Moment,
    last: Moment,
}

impl State {
    fn patience(&self) -> Duration {
        let doublings = (self.left + 1).saturating_sub(QUICK).min(8);
        (PATIENCE.0 * (1 << doublings)).min(PATIENCE.1)
    }
}

impl Silence {
    /// The stream decided over a write, whatever it decided.
    pub(super) fn broken(&self) {
        *self.state() = State::default();
    }

    /// A write that was sent then, by this connection, came to nothing by now. Whether it is time to leave; then it begins anew,
    /// with another server. What an earlier connection did, or this one long ago, says nothing of it.
    pub(super) fn lasts(&self, connection: u64, sent: Moment, now: Moment) -> bool {
        let mut state = self.state();
        let goes_on = |vain: &Vain| vain.connection == connection && now.since(vain.last) < PATIENCE.0;
        let since = state.vain.filter(goes_on).map_or(sent, |vain| vain.since);
        state.vain = Some(Vain { connection, since, last: now });
        if now.since(since) < state.patience() {
            return false;
        }
        *state = State { vain: None, left: state.left.saturating_add(1) };
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, so poison is no reason to fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_left_later_each_time_until_a_write_is_decided() {
        let (silence, at) = (Silence::default(), |secs| Moment::default() + Duration::from_secs(secs));
        // An answer may just have been lost.
        assert!(!silence.lasts(1, at(1), at(3)) && !silence.lasts(1, at(3), at(5)));
        assert!(silence.lasts(1, at(5), at(6)), "5 s since the first was sent");
        assert!(!silence.lasts(2, at(7), at(9)) && !silence.lasts(2, at(10), at(11)));
        silence.broken();
        assert!(!silence.lasts(2, at(20), at(22)) && silence.lasts(2, at(24), at(25)));
        silence.broken();
        let mut left = Vec::new();
        for now in 100..250 {
            if silence.lasts(3, at(now - 1), at(now)) {
                left.push(now);
            }
        }
        assert_eq!(left, [104, 109, 114, 124, 144, 184, 224]);
    }

    #[test]
    fn what_another_connection_did_or_this_one_long_ago_says_nothing() {
        let (silence, at) = (Silence::default(), |secs| Moment::default() + Duration::from_secs(secs));
        assert!(!silence.lasts(1, at(0), at(2)) && !silence.lasts(1, at(2), at(4)));
        assert!(!silence.lasts(2, at(6), at(6)), "it is by another one now");
        assert!(!silence.lasts(2, at(10), at(10)));
        assert!(!silence.lasts(2, at(3_600), at(3_600)), "an hour of nothing in between");
        assert!(!silence.lasts(2, at(3_604), at(3_604)) && silence.lasts(2, at(3_605), at(3_605)));
    }
}
