//! Buckets of time: what retention drops whole.

use postrider_core::id::{Key, UnixMs};

/// A day: a 30-day retention keeps 31 buckets, few enough to look into each.
pub const BUCKET_MS_DEFAULT: i64 = 24 * 60 * 60 * 1_000;

/// The number of a bucket: its start divided by the width.
pub(crate) type Bucket = i64;

/// How time is cut into buckets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buckets {
    width_ms: i64,
}

impl Buckets {
    /// Buckets of `width_ms`, at least one millisecond.
    pub(crate) fn of_width(width_ms: i64) -> Self {
        Self { width_ms: width_ms.max(1) }
    }

    /// The bucket that a key belongs to, by when it was made.
    pub(crate) fn of(self, key: impl Key) -> Bucket {
        key.made_at().div_euclid(self.width_ms)
    }

    /// The first bucket that has not ended at `time`; all before it have.
    pub(crate) fn first_not_ended(self, time: UnixMs) -> Bucket {
        time.div_euclid(self.width_ms)
    }

    /// The smallest key that belongs to a bucket or a later one.
    pub(crate) fn first_key<K: Key>(self, bucket: Bucket) -> K {
        K::first_at(bucket.saturating_mul(self.width_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::id::{EventKey, KeyMaker};

    #[test]
    fn a_bucket_begins_at_its_first_key_and_ends_with_its_width() {
        let buckets = Buckets::of_width(1_000);
        let key: EventKey = KeyMaker::new(0, 0).next(1_795_000_000_999);
        let bucket = buckets.of(key);
        assert_eq!(bucket, 1_795_000_000);
        assert!(buckets.first_key::<EventKey>(bucket) <= key);
        assert!(buckets.first_key::<EventKey>(bucket + 1) > key);
        assert_eq!(buckets.first_not_ended(1_795_000_000_999), bucket);
        assert_eq!(buckets.first_not_ended(1_795_000_001_000), bucket + 1);
    }
}
