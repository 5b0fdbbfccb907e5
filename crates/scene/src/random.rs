/// Spreads a number over all 64 bits (the output function of splitmix64).
#[must_use]
pub fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Numbers that look random and are the same for the same seed on every machine (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence of a case under a seed, different for every case and every `stream` of it.
    pub(crate) fn of_case(seed: u64, scene: &str, case: &str, stream: u64) -> Self {
        let name = [scene, "/", case].into_iter().flat_map(str::bytes);
        let hash = name.fold(mix(seed), |hash, byte| mix(hash.wrapping_add(u64::from(byte)).wrapping_add(1)));
        Self(mix(hash.wrapping_add(stream)))
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// The next number of [0, 1).
    pub fn next_f32(&mut self) -> f32 {
        // As many bits as a float holds exactly.
        (self.next_u64() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// `count` numbers of [low, high).
    pub fn f32s(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count).map(|_| low + (high - low) * self.next_f32()).collect()
    }

    /// `count` numbers.
    pub fn u64s(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.next_u64()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn seeds_scenes_cases_and_streams_have_sequences_of_their_own() {
        let first = |seed, scene, case, stream| Random::of_case(seed, scene, case, stream).next_u64();
        let all = [
            first(0, "a", "b", 0),
            first(1, "a", "b", 0),
            first(0, "b", "b", 0),
            first(0, "a", "c", 0),
            first(0, "a", "b", 1),
        ];
        for (index, value) in all.iter().enumerate() {
            assert!(!all[..index].contains(value), "{all:?}");
        }
        assert_eq!(first(0, "a", "b", 0), all[0]);
    }

    #[test]
    fn floats_stay_in_their_range() {
        let values = Random::new(7).f32s(1000, -2.0, 3.0);
        assert!(values.iter().all(|value| (-2.0..3.0).contains(value)));
        assert!(values.iter().any(|value| *value < -1.0) && values.iter().any(|value| *value > 2.0));
    }
}
