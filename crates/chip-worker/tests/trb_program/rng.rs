//! Random numbers that are the same everywhere.

/// Steele, Lea and Flood's `splitmix64`.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        finish(self.0)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// A number from `from` to `to`, both included.
    pub(crate) fn range(&mut self, from: u32, to: u32) -> u32 {
        u32::try_from(u64::from(from) + self.next() % u64::from(to - from + 1)).unwrap()
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Mixes two words; order matters.
pub(crate) fn mix(left: u64, right: u64) -> u64 {
    finish(left.rotate_left(23) ^ right.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x2545_f491))
}

fn finish(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
