//! When a command must be told to stop, so that it has stopped before the lease ends. Pure: no clock, no signals.
//!
//! ```text
//!    alive ─────────────── no news ───────────────────────► deadline
//!                            │◄───── kill-after ─────►│◄ RESERVE ►│
//!                           TERM                     KILL         the lease ends here, if nothing comes
//! ```
//!
//! News of a later deadline move all of it, until TERM has been sent. A loss that is told early means TERM at once.

use std::time::Duration;

use lease::Moment;

use super::args::OnLost;

/// From the latest KILL to the deadline: for the timer that wakes late and for the kernel that does the killing.
pub(super) const RESERVE: Duration = Duration::from_millis(250);

/// What the group must get now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
    /// Nothing, but somebody should know that it goes on without the lease.
    Tell,
}

/// What is known of the lease, and how far the command has been told.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    on_lost: OnLost,
    kill_after: Duration,
    deadline: Moment,
    lost: bool,
    termed: Option<Moment>,
    /// The last act was given.
    done: bool,
}

impl Notice {
    /// A lease that was just granted until `deadline`.
    pub(super) fn new(on_lost: OnLost, kill_after: Duration, deadline: Moment) -> Notice {
        Notice { on_lost, kill_after, deadline, lost: false, termed: None, done: false }
    }

    /// A renewal was confirmed.
    pub(super) fn alive(&mut self, deadline: Moment) {
        self.deadline = self.deadline.max(deadline);
    }

    /// The lease is lost, said by whoever renews it. (A daemon that is stopping keeps it from others until the deadline.)
    pub(super) fn lost(&mut self) {
        self.lost = true;
    }

    /// The last moment at which the lease is known to hold.
    pub(super) fn deadline(&self) -> Moment {
        self.deadline
    }

    /// Whether it has come to an act, or the lease is over: what exit code 79 says.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.termed.is_some() || self.done || self.lost || now >= self.deadline
    }

    /// When [`Notice::due`] must be asked next, unless there are news.
    pub(super) fn wake(&self) -> Option<Moment> {
        let last = self.deadline - RESERVE;
        match self.on_lost {
            _ if self.done => None,
            OnLost::Ignore => Some(if self.lost { Moment::default() } else { self.deadline }),
            OnLost::Kill => Some(if self.lost { Moment::default() } else { last }),
            OnLost::Term => Some(match self.termed {
                Some(at) => last.min(at + self.kill_after),
                None if self.lost => Moment::default(),
                None => last - self.kill_after,
            }),
        }
    }

    /// What the group must get at `now`, if anything; it counts as sent.
    pub(super) fn due(&mut self, now: Moment) -> Option<Act> {
        if self.wake().is_none_or(|wake| now < wake) {
            return None;
        }
        if self.on_lost == OnLost::Term && self.termed.is_none() {
            self.termed = Some(now);
            return Some(Act::Term);
        }
        self.done = true;
        Some(if self.on_lost == OnLost::Ignore { Act::Tell } else { Act::Kill })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn without_news_it_is_term_and_then_kill_before_the_deadline() {
        let mut notice = Notice::new(OnLost::Term, ms(3_000), at(20_000));
        assert_eq!(notice.wake(), Some(at(16_750)));
        assert_eq!(notice.due(at(16_749)), None);
        assert!(!notice.is_over(at(16_749)));
        assert_eq!(notice.due(at(16_760)), Some(Act::Term));
        assert!(notice.is_over(at(16_760)));
        // A timer that came late does not move the end.
        assert_eq!(notice.wake(), Some(at(19_750)));
        assert_eq!(notice.due(at(19_750)), Some(Act::Kill));
        assert_eq!((notice.wake(), notice.due(at(30_000))), (None, None));
    }

    #[test]
    fn a_renewal_cancels_a_term_that_was_not_sent() {
        let mut notice = Notice::new(OnLost::Term, ms(3_000), at(20_000));
        notice.alive(at(24_000));
        notice.alive(at(23_000));
        assert_eq!(notice.due(at(16_800)), None);
        assert_eq!(notice.wake(), Some(at(20_750)));
    }

    #[test]
    fn a_renewal_after_term_changes_nothing_but_the_last_moment() {
        let mut notice = Notice::new(OnLost::Term, ms(3_000), at(20_000));
        assert_eq!(notice.due(at(17_000)), Some(Act::Term));
        notice.alive(at(40_000));
        assert_eq!(notice.wake(), Some(at(20_000)));
        assert!(notice.is_over(at(18_000)));
    }

    #[test]
    fn an_early_loss_is_told_at_once() {
        let mut notice = Notice::new(OnLost::Term, ms(3_000), at(20_000));
        notice.lost();
        assert_eq!(notice.due(at(1_000)), Some(Act::Term));
        assert_eq!(notice.due(at(3_999)), None);
        assert_eq!(notice.due(at(4_000)), Some(Act::Kill));
    }

    #[test]
    fn an_early_loss_near_the_deadline_leaves_less() {
        let mut notice = Notice::new(OnLost::Term, ms(30_000), at(20_000));
        notice.lost();
        assert_eq!(notice.due(at(1_000)), Some(Act::Term));
        assert_eq!(notice.wake(), Some(at(19_750)));
    }

    #[test]
    fn after_a_pause_beyond_the_deadline_both_follow_at_once() {
        let mut notice = Notice::new(OnLost::Term, ms(3_000), at(20_000));
        assert_eq!(notice.due(at(99_000)), Some(Act::Term));
        assert_eq!(notice.due(at(99_000)), Some(Act::Kill));
    }

    #[test]
    fn kill_and_ignore() {
        let mut kill = Notice::new(OnLost::Kill, ms(3_000), at(20_000));
        assert_eq!(kill.wake(), Some(at(19_750)));
        kill.lost();
        assert_eq!(kill.due(at(5)), Some(Act::Kill));
        let mut ignore = Notice::new(OnLost::Ignore, ms(3_000), at(20_000));
        assert_eq!(ignore.wake(), Some(at(20_000)));
        ignore.lost();
        assert_eq!((ignore.due(at(1)), ignore.due(at(99_000))), (Some(Act::Tell), None));
        assert!(ignore.is_over(at(1)));
    }
}
