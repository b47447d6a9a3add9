//! The numbers of the time rules, all derived from one TTL.

use std::time::Duration;

use crate::ambient::Moment;
use crate::error::Error;

/// The shortest TTL: below it, the store's whole seconds and a network's ordinary delays leave no room.
pub const MIN_TTL: Duration = Duration::from_secs(2);
/// The longest TTL: a crashed holder blocks its name for this long.
pub const MAX_TTL: Duration = Duration::from_secs(24 * 3600);
/// The TTL of whoever names none: outlives a leader failover of NATS (4 to 9 s without writes) with room to spare.
pub const DEFAULT_TTL: Duration = Duration::from_secs(20);

/// How long a lease lasts, and what follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Times {
    ttl: Duration,
    slack: Duration,
    grace: Duration,
}

impl Times {
    /// The times that follow from a TTL, with `slack` for steps and offsets of the servers' wall clocks.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if the TTL is below [`MIN_TTL`] or above [`MAX_TTL`].
    pub fn new(ttl: Duration, slack: Duration) -> Result<Times, Error> {
        if ttl < MIN_TTL || ttl > MAX_TTL {
            Err(Error::ttl(ttl))
        } else {
            Ok(Times { ttl, slack, grace: Duration::ZERO })
        }
    }

    /// With a time for which the name stays free after a grant that was not given back in order.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] if it is above [`MAX_TTL`].
    pub fn with_grace(self, grace: Duration) -> Result<Times, Error> {
        if grace > MAX_TTL {
            return Err(Error::InvalidSetting {
                setting: "grace",
                value: humantime::format_duration(grace).to_string(),
                allowed: format!("allowed are 0 s to {}", humantime::format_duration(MAX_TTL)),
            });
        }
        Ok(Times { grace, ..self })
    }

    /// For how long the name stays free after a grant that was not given back in order, in whole seconds.
    pub fn grace_secs(&self) -> u64 {
        self.grace.as_secs().saturating_add(u64::from(self.grace.subsec_nanos() > 0))
    }

    /// The logical TTL, T.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// T in milliseconds, as the record shows it.
    pub fn ttl_ms(&self) -> u64 {
        u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX)
    }

    /// What the store is told: T rounded up to its whole seconds, plus the slack. The store removes an entry by its
    /// own wall clock, so a step of it by up to the slack still comes after the holder's deadline. A holder that dies
    /// gives nothing back: its record outlives it by the grace as well.
    pub fn store_secs(&self) -> u64 {
        let up = |d: Duration| d.as_secs().saturating_add(u64::from(d.subsec_nanos() > 0));
        up(self.ttl).saturating_add(up(self.slack)).saturating_add(self.grace_secs())
    }

    /// How much earlier than T the holder stops believing: the allowed difference in clock *rates* (1 %).
    pub fn margin(&self) -> Duration {
        (self.ttl / 100).max(Duration::from_millis(50))
    }

    /// Until when a holder may believe in a write that was first sent at `sent`.
    ///
    /// Counted from *before the first send*, never from the answer: the store took the write no earlier than that,
    /// so it removes it no earlier than `sent + T + slack`, however late the answer comes.
    pub fn deadline(&self, sent: Moment) -> Moment {
        sent + (self.ttl - self.margin())
    }

    /// How long after a confirmed renewal (or grant) was first sent the next one is due: T/5.
    pub fn renew_every(&self) -> Duration {
        self.ttl / 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLACK: Duration = Duration::from_secs(2);

    #[test]
    fn the_store_always_outlasts_the_holder() {
        for ms in [2_000, 2_001, 2_999, 15_500, 20_000, 86_400_000] {
            let times = Times::new(Duration::from_millis(ms), SLACK).unwrap();
            let sent = Moment::from_nanos(7);
            let earliest_expiry = sent + Duration::from_secs(times.store_secs()) - SLACK;
            assert!(times.deadline(sent) < earliest_expiry, "{ms}");
            assert!(times.margin() >= Duration::from_millis(50));
        }
    }

    #[test]
    fn ttls_outside_the_range_are_refused() {
        for ms in [0, 1, 500, 1_000, 1_999, 86_400_001] {
            assert!(Times::new(Duration::from_millis(ms), SLACK).is_err(), "{ms}");
        }
    }
}
