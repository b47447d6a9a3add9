//! How long to wait between two tries of one write.

use std::time::Duration;

/// The pause after a try of which nothing is known, or that nobody took: the first, and the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(800);
/// The first pause after "another write is in flight": that write is decided within a round trip or so. Not so before a leader
/// that was cut off, which says so of every write until it steps down; so this grows as well, up to 32 times as long.
const IN_FLIGHT: Duration = Duration::from_millis(5);
const MOST_DOUBLINGS: u8 = 5;

/// The pauses so far; how many there were counts up to where they stop growing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pauses {
    later: u8,
    in_flight: u8,
}

impl Pauses {
    /// After silence, or where nobody is there.
    pub(crate) fn later(&mut self) -> Duration {
        let pause = FIRST.saturating_mul(1 << self.later);
        if pause < LONGEST {
            self.later += 1;
        }
        pause.min(LONGEST)
    }

    /// After "another write is in flight".
    pub(crate) fn in_flight(&mut self) -> Duration {
        let pause = IN_FLIGHT.saturating_mul(1 << self.in_flight);
        if self.in_flight < MOST_DOUBLINGS {
            self.in_flight += 1;
        }
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_grows_by_itself_and_has_a_bound() {
        let mut pauses = Pauses::default();
        let in_flight: Vec<u128> = (0..8).map(|_| pauses.in_flight().as_millis()).collect();
        assert_eq!(in_flight, [5, 10, 20, 40, 80, 160, 160, 160]);
        let later: Vec<u128> = (0..6).map(|_| pauses.later().as_millis()).collect();
        assert_eq!(later, [100, 200, 400, 800, 800, 800]);
    }
}
