//! Chance that repeats with its seed. Each purpose draws from a stream of its own, so that leaving something out of a run
//! changes as little as can be of the rest.

/// SplitMix64: small, and the same for ever.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of `purpose` under `seed`.
    pub fn new(seed: u64, purpose: &str) -> Random {
        let mut random = Random(seed);
        for byte in purpose.bytes() {
            random.0 = random.next() ^ u64::from(byte);
        }
        random
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit`, exclusive.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// A number from `least` to `most`, inclusive.
    pub fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// True so often of a thousand times.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// A number up to `most`, small ones far more often: every order of magnitude is equally likely.
    pub fn skewed(&mut self, most: u64) -> u64 {
        let bits = u64::from(64 - most.max(1).leading_zeros());
        let magnitude = self.below(bits + 1);
        self.below((1 << magnitude.min(62)).min(most) + 1)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}
