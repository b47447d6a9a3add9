//! Chance from a seed: the same seed throws the same dice.

use std::sync::Mutex;
use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
pub struct Dice(Mutex<u64>);

impl Dice {
    /// Dice of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(Mutex::new(seed))
    }

    /// 64 random bits.
    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `from` to below `to`.
    pub fn range(&self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    /// True this often in a thousand.
    pub fn per_mille(&self, chance: u64) -> bool {
        self.next() % 1_000 < chance
    }

    /// So many milliseconds, from `from` to below `to`.
    pub fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_micros(self.range(from * 1_000, to * 1_000))
    }
}
