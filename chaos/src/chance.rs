//! Chance from a seed: xoshiro256++ (Blackman, Vigna, 2019), seeded by SplitMix64 (Steele, Lea, Flood, 2014).
//!
//! A seed gives the same schedule of the same faults at the same times. It does not give the same run: real processes
//! on real clocks never do the same twice.

use std::time::Duration;

/// A source of numbers.
#[derive(Clone, Debug)]
pub struct Chance([u64; 4]);

impl Chance {
    /// The source of a seed.
    pub fn new(seed: u64) -> Chance {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Chance([next(), next(), next(), next()])
    }

    /// Another source, which depends on this one's past only.
    pub fn fork(&mut self) -> Chance {
        Chance::new(self.bits())
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.0;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// A number below `n`; 0 for 0.
    pub fn below(&mut self, n: u64) -> u64 {
        // Its bias is below 2^-40 for every range in use here.
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// `true` in `permille` of 1,000 cases.
    pub fn odds(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// Whole milliseconds from `low` to `high`.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(low + self.below(high.saturating_sub(low) + 1))
    }

    /// One of several things; the first of none is `None`.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }

    /// Puts things into a random order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
