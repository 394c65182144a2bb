//! Randomness that is no randomness: everything follows from the seed.

use sha2::{Digest as _, Sha256};

/// A small generator (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same for a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice for one purpose: what they show does not depend on what else was rolled, so that a step that is left out
    /// changes nothing for the others.
    #[must_use]
    pub fn of(seed: u64, purpose: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_be_bytes());
        hash.update(purpose.as_bytes());
        let hash = hash.finalize();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        Self(u64::from_be_bytes(bytes))
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `sides`; 0 when that is 0.
    pub fn below(&mut self, sides: usize) -> usize {
        let sides = sides.max(1) as u64;
        usize::try_from(self.roll() % sides).unwrap_or(0)
    }

    /// A number from `from` to `to`, both included.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = u64::try_from(to - from).unwrap_or(0) + 1;
        from + i64::try_from(self.roll() % span).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    /// One of several; the slice must not be empty.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }

    /// One of several, if there is any.
    pub fn any<T: Clone>(&mut self, among: impl IntoIterator<Item = T>) -> Option<T> {
        let all: Vec<T> = among.into_iter().collect();
        (!all.is_empty()).then(|| all[self.below(all.len())].clone())
    }

    /// One of several by weight.
    pub fn weighted<T: Copy>(&mut self, among: &[(u32, T)]) -> T {
        let total: u32 = among.iter().map(|(weight, _)| weight).sum();
        let mut at = u32::try_from(self.roll() % u64::from(total.max(1))).unwrap_or(0);
        for (weight, value) in among {
            if at < *weight {
                return *value;
            }
            at -= weight;
        }
        among[among.len() - 1].1
    }
}
