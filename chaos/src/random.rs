//! Chance that a seed repeats: SplitMix64 (Steele, Lea, Flood 2014). Small, and the same in every release of every crate.

use std::time::Duration;

/// A stream of numbers from a seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of this seed, and of this part of the run: parts do not follow each other's numbers.
    pub fn new(seed: u64, part: &str) -> Random {
        // FNV-1a.
        let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let start = part.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
        let mut random = Random(seed ^ start);
        random.draw();
        random
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    /// From 0 to `bound - 1`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.draw() % bound }
    }

    /// From `low` to `high` milliseconds.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(low + self.below(high.saturating_sub(low) + 1))
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(from.len() as u64)).unwrap_or_default();
        from.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_and_a_part_say_it_all() {
        let take = |seed, part| {
            let mut random = Random::new(seed, part);
            [random.draw(), random.draw(), random.draw()]
        };
        assert_eq!(take(7, "w1"), take(7, "w1"));
        assert_ne!(take(7, "w1"), take(7, "w2"));
        assert_ne!(take(7, "w1"), take(8, "w1"));
        assert!((0..1_000).all(|seed| Random::new(seed, "").below(5) < 5));
    }
}
