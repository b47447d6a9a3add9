//! Chance from a seed: xoshiro256++ (Blackman, Vigna, 2019), seeded by SplitMix64 (Steele, Lea, Flood, 2014).
//!
//! Our own twenty lines, because a run must mean the same for as long as its seed stands in a bug report: no crate's
//! next release may deal other numbers.

use std::time::Duration;

/// A source of numbers. Each part of a run has its own, so that one that draws more does not shift the rest.
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
        // The multiplication maps 64 bits to the range; its bias is below 2^-40 for every range in use here.
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// `true` in `permille` of 1,000 cases.
    pub fn odds(&mut self, permille: u32) -> bool {
        self.below(1000) < u64::from(permille)
    }

    /// Whole milliseconds from `low` to `high`.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.range(low, high))
    }

    /// Milliseconds from `low` to `high`, short ones as likely as long ones by order of magnitude.
    pub fn spread(&mut self, low: u64, high: u64) -> Duration {
        let (from, to) = ((low.max(1) as f64).ln(), (high as f64).ln());
        let at = from + (to - from) * (self.below(1 << 20) as f64 / f64::from(1 << 20));
        // `ln` and `exp` may differ in the last bit between platforms; whole milliseconds hardly ever show that.
        Duration::from_millis((at.exp() as u64).clamp(low, high))
    }

    /// One of several things, by weight; `None` if all weights are 0.
    pub fn weighted<T: Copy>(&mut self, from: &[(u32, T)]) -> Option<T> {
        let total: u64 = from.iter().map(|(weight, _)| u64::from(*weight)).sum();
        if total == 0 {
            return None;
        }
        let mut at = self.below(total);
        for (weight, thing) in from {
            match at.checked_sub(u64::from(*weight)) {
                None => return Some(*thing),
                Some(rest) => at = rest,
            }
        }
        None
    }

    /// One of several things.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// One of several things; `None` of none.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }

    /// Puts things into a random order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
