//! Durations in buckets of fixed, logarithmic width: small, mergeable, and good for percentiles.
//!
//! Eight buckets to each doubling. Every duration below [`EXACT_BELOW_US`] has a bucket of its own;
//! above, a percentile is off by at most a sixteenth of itself (6.25 %), whatever was recorded. All
//! histograms have the same buckets, so merging loses nothing.

/// Durations below this many microseconds are told exactly.
pub const EXACT_BELOW_US: u32 = 16;
/// Buckets to each doubling, as a power of two.
const SPLIT_BITS: u32 = 3;
const SPLIT: u32 = 1 << SPLIT_BITS;
/// `EXACT_BELOW_US` as a power of two.
const EXACT_BITS: u32 = 4;

/// How often durations fell into each bucket. Only buckets that were hit take memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Ascending by bucket; no count is zero.
    counts: Vec<(u8, u64)>,
}

impl Histogram {
    pub fn record(&mut self, us: u32) {
        self.add(bucket_of(us), 1);
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        for &(bucket, count) in &other.counts {
            self.add(bucket, count);
        }
    }

    /// The buckets that were hit, ascending, each with its count: all there is to be kept.
    pub fn counts(&self) -> &[(u8, u64)] {
        &self.counts
    }

    /// Takes back what [`Self::counts`] gave. `None` for what it can't have given.
    pub fn from_counts(counts: Vec<(u8, u64)>) -> Option<Self> {
        let is_ascending = counts.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let is_known = |&(bucket, count): &(u8, u64)| bucket <= bucket_of(u32::MAX) && count > 0;
        (is_ascending && counts.iter().all(is_known)).then_some(Self { counts })
    }

    /// How many durations were recorded.
    pub fn len(&self) -> u64 {
        self.counts.iter().map(|&(_, count)| count).fold(0, u64::saturating_add)
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The duration that `percent` of the recorded ones don't exceed, by nearest rank, as the
    /// middle of its bucket. `None` when nothing was recorded.
    pub fn percentile_us(&self, percent: u8) -> Option<u32> {
        let wanted = u128::from(self.len()) * u128::from(percent.min(100));
        let mut passed = 0;
        let holder = self.counts.iter().find(|(_, count)| {
            passed += u128::from(*count) * 100;
            passed >= wanted
        });
        holder.map(|&(bucket, _)| middle_of(bucket))
    }

    fn add(&mut self, bucket: u8, count: u64) {
        match self.counts.binary_search_by_key(&bucket, |&(bucket, _)| bucket) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(count),
            Err(at) => self.counts.insert(at, (bucket, count)),
        }
    }
}

fn bucket_of(us: u32) -> u8 {
    let bucket = if us < EXACT_BELOW_US {
        us
    } else {
        let doubling = us.ilog2();
        let part = (us >> (doubling - SPLIT_BITS)) & (SPLIT - 1);
        EXACT_BELOW_US + (doubling - EXACT_BITS) * SPLIT + part
    };
    u8::try_from(bucket).expect("28 doublings of 8 buckets and 16 more are below 256")
}

fn middle_of(bucket: u8) -> u32 {
    let Some(above) = u32::from(bucket).checked_sub(EXACT_BELOW_US) else {
        return bucket.into();
    };
    let (doubling, part) = (EXACT_BITS + above / SPLIT, above % SPLIT);
    let width_bits = doubling - SPLIT_BITS;
    ((SPLIT + part) << width_bits) + (1 << (width_bits - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(durations: &[u32]) -> Histogram {
        let mut histogram = Histogram::default();
        for &us in durations {
            histogram.record(us);
        }
        histogram
    }

    #[test]
    fn an_empty_one_has_no_percentiles() {
        assert_eq!(Histogram::default().percentile_us(50), None);
        assert_eq!(Histogram::default().len(), 0);
    }

    #[test]
    fn small_durations_are_exact() {
        let histogram = of(&(0..EXACT_BELOW_US).collect::<Vec<_>>());
        assert_eq!(histogram.percentile_us(50), Some(7));
        assert_eq!(histogram.percentile_us(100), Some(15));
        assert_eq!(histogram.percentile_us(0), Some(0));
    }

    #[test]
    fn buckets_ascend_without_gaps_to_the_greatest_duration() {
        assert_eq!(bucket_of(u32::MAX), 239);
        for bucket in 0..=239 {
            assert_eq!(bucket_of(middle_of(bucket)), bucket);
        }
    }

    #[test]
    fn counts_that_no_histogram_has_are_refused() {
        for bad in [vec![(3, 0)], vec![(3, 1), (3, 1)], vec![(4, 1), (3, 1)], vec![(240, 1)]] {
            assert_eq!(Histogram::from_counts(bad.clone()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_percentile_is_off_by_a_sixteenth_at_most(
            durations in proptest::collection::vec(0u32..=u32::MAX, 1..300),
            shift in 0u32..28,
            percent in 1u8..=100,
        ) {
            let mut durations: Vec<u32> = durations.iter().map(|us| us >> shift).collect();
            let told = f64::from(of(&durations).percentile_us(percent).unwrap());
            durations.sort_unstable();
            let rank = (durations.len() * usize::from(percent)).div_ceil(100);
            let exact = f64::from(durations[rank - 1]);
            prop_assert!((told - exact).abs() <= exact / 16.0, "{told} for {exact}");
        }

        #[test]
        fn merging_is_the_same_as_recording_all_in_one(
            one in proptest::collection::vec(0u32..=u32::MAX, 0..50),
            other in proptest::collection::vec(0u32..=u32::MAX, 0..50),
        ) {
            let mut merged = of(&one);
            merged.merge(&of(&other));
            prop_assert_eq!(&merged, &of(&[one, other].concat()));
            let back = Histogram::from_counts(merged.counts().to_vec());
            prop_assert_eq!(back, Some(merged));
        }
    }
}
