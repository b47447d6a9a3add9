//! What is told of many measured durations.

use std::time::Duration;

use serde::Serialize;

/// The figures of one part of the measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    /// What was measured.
    pub what: &'static str,
    /// By so many clients at a time.
    pub clients: usize,
    /// How often.
    pub count: usize,
    /// How often a second, over all clients.
    pub per_second: f64,
    /// The median, in milliseconds.
    pub p50_ms: f64,
    /// What 99 of 100 stay below, in milliseconds.
    pub p99_ms: f64,
    /// The slowest, in milliseconds.
    pub max_ms: f64,
}

impl Figures {
    /// The figures of `taken`, which `clients` measured within `elapsed`.
    pub(super) fn of(
        what: &'static str,
        clients: usize,
        elapsed: Duration,
        mut taken: Vec<Duration>,
    ) -> Figures {
        taken.sort_unstable();
        let count = taken.len();
        // The smallest that so many of a hundred do not exceed.
        let rank = |percent: usize| {
            let at = (count * percent).div_ceil(100).saturating_sub(1);
            taken.get(at).map_or(0.0, |took| took.as_secs_f64() * 1e3)
        };
        let seconds = elapsed.as_secs_f64();
        let per_second = if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        Figures { what, clients, count, per_second, p50_ms: rank(50), p99_ms: rank(99), max_ms: rank(100) }
    }

    /// The same, as a row for people.
    pub(super) fn row(&self) -> Vec<String> {
        let millis = |millis: f64| format!("{millis:.2} ms");
        vec![
            self.what.to_owned(),
            self.clients.to_string(),
            format!("{:.0}", self.per_second),
            millis(self.p50_ms),
            millis(self.p99_ms),
            millis(self.max_ms),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_sorted_durations() {
        let taken: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let figures = Figures::of("x", 2, Duration::from_secs(4), taken);
        assert_eq!((figures.p50_ms, figures.p99_ms, figures.max_ms), (100.0, 198.0, 200.0));
        assert_eq!((figures.count, figures.per_second), (200, 50.0));
        let none = Figures::of("x", 1, Duration::ZERO, Vec::new());
        assert_eq!((none.count, none.per_second, none.max_ms), (0, 0.0, 0.0));
        let one = Figures::of("x", 1, Duration::from_secs(1), vec![Duration::from_millis(7)]);
        assert_eq!((one.p50_ms, one.p99_ms, one.max_ms), (7.0, 7.0, 7.0));
    }
}
