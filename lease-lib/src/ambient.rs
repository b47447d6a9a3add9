//! Time, chance and tasks: the only module that reads a clock, draws a random number or starts a task.
//!
//! A lease's deadline is compared on `CLOCK_BOOTTIME`, which also runs while the machine is suspended: a laptop
//! that slept through its lease must not believe in it after waking. Timers (tokio's) only *wake*; whoever is woken
//! compares the clock again, so a late timer can never make a lease look longer than it is.

use std::fmt;
use std::future::Future;
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A moment on the clock that deadlines are compared on, in nanoseconds since an arbitrary start.
///
/// With [`System`] that is `CLOCK_BOOTTIME`, so the number means the same to every process of the host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The moment `nanos` nanoseconds after the clock's start.
    pub const fn from_nanos(nanos: u64) -> Moment {
        Moment(nanos)
    }

    /// Nanoseconds since the clock's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long until `later`; zero if that is in the past.
    pub fn until(self, later: Moment) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }

    /// How long since `earlier`; zero if that is in the future.
    pub fn since(self, earlier: Moment) -> Duration {
        earlier.until(self)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, by: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, by: Duration) -> Moment {
        Moment(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}s", Duration::from_nanos(self.0).as_secs_f64())
    }
}

/// Where time and chance come from. [`System`] in production; a simulation brings its own.
pub trait Ambient: fmt::Debug + Send + Sync {
    /// The present moment, on a clock that never steps and runs during suspend.
    fn now(&self) -> Moment;
    /// Microseconds of unix time by the host's wall clock. For display and estimates; nothing safe rests on it.
    fn wall_micros(&self) -> u64;
    /// 128 random bits, unguessable with [`System`].
    fn random(&self) -> u128;
    /// Runs a task in the background. A simulation stops a process by not polling its tasks any more.
    fn spawn(&self, task: Task) {
        // The handle is not needed: whoever must know when tasks end tracks them.
        drop(tokio::spawn(task));
    }
}

/// A background task.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A shared [`Ambient`].
pub type SharedAmbient = Arc<dyn Ambient>;

/// The host's own clocks and the operating system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

#[expect(clippy::disallowed_methods, reason = "this is the module that wraps them")]
impl Ambient for System {
    fn now(&self) -> Moment {
        let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(at.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(at.tv_nsec).unwrap_or_default();
        Moment(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    fn wall_micros(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn random(&self) -> u128 {
        uuid::Uuid::new_v4().as_u128()
    }
}

/// The longest a timer sleeps before the clock is compared again: tokio's timers stand still during suspend, so
/// after waking up a deadline may have passed that the timer knows nothing of.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// Waits until the clock has reached `at`. Cancel-safe: dropping it forgets the wait.
pub async fn sleep_until(ambient: &dyn Ambient, at: Moment) {
    loop {
        let left = ambient.now().until(at);
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LONGEST_NAP)).await;
    }
}

/// A short id (22 characters of base 62, 128 bits) for processes, attempts and places in line.
pub fn fresh_id(ambient: &dyn Ambient) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = ambient.random();
    let mut id = String::with_capacity(22);
    for _ in 0..22 {
        let digit = usize::try_from(rest % 62).unwrap_or_default();
        id.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'0')));
        rest /= 62;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_never_wrap() {
        assert_eq!(Moment::from_nanos(5) - Duration::from_secs(1), Moment::from_nanos(0));
        assert_eq!(Moment::from_nanos(u64::MAX) + Duration::from_secs(1), Moment::from_nanos(u64::MAX));
        assert_eq!(Moment::from_nanos(9).until(Moment::from_nanos(4)), Duration::ZERO);
    }

    #[test]
    fn ids_are_fit_for_subjects_and_differ() {
        let (a, b) = (fresh_id(&System), fresh_id(&System));
        assert_ne!(a, b);
        assert!(a.len() == 22 && a.bytes().all(|c| c.is_ascii_alphanumeric()), "{a}");
    }
}
