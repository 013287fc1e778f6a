//! Chance from a seed: the same seed, the same history.

use std::fmt::Write as _;

/// `SplitMix64`: small, and good enough to look like life.
#[derive(Debug)]
pub(crate) struct Dice(u64);

/// Of many durations, in percent of the middle one: what each further twentieth takes. Receivers
/// are mostly quick and now and then slow.
const SPREAD_PERCENT: [u64; 21] =
    [52, 60, 66, 71, 76, 80, 84, 88, 92, 96, 100, 104, 109, 115, 122, 130, 141, 156, 180, 235, 480];

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end` without it.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// True so often in ten thousand.
    pub(crate) fn hits(&mut self, of_ten_thousand: u64) -> bool {
        self.below(10_000) < of_ten_thousand
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len() as u64);
        &from[usize::try_from(at).unwrap_or(0)]
    }

    /// One of several by their weights.
    pub(crate) fn weighed(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (at, &weight) in weights.iter().enumerate() {
            if left < weight {
                return at;
            }
            left -= weight;
        }
        0
    }

    /// A duration around a middle one.
    pub(crate) fn around(&mut self, middle_us: u64) -> u64 {
        let at = self.below(2_000);
        let (step, part) = (usize::try_from(at / 100).unwrap_or(0), at % 100);
        let percent = SPREAD_PERCENT[step] * (100 - part) + SPREAD_PERCENT[step + 1] * part;
        middle_us * percent / 10_000
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    pub(crate) fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            let _ = write!(text, "{:016x}", self.next());
        }
        text.truncate(digits);
        text
    }
}
