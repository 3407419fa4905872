//! How lengths of time are spread: counts in buckets that grow with what they count. Integers only.

use std::time::Duration;

use crate::time::nanos;

/// Each doubling is cut into so many buckets, a power of two: a percentile is at most 1/32 too high.
const PARTS: u64 = 32;
const PARTS_LOG2: u32 = PARTS.trailing_zeros();

/// Counts of lengths, in microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    /// Grows up to the highest bucket in use.
    buckets: Vec<u64>,
    count: u64,
    most: u64,
}

impl Histogram {
    pub(super) fn add(&mut self, length: Duration) {
        let micros = nanos(length) / 1000;
        let bucket = bucket(micros);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.most = self.most.max(micros);
    }

    /// Returns the longest, in microseconds; zero if there is none.
    pub(super) const fn most(&self) -> u64 {
        self.most
    }

    /// Returns what so many of a hundred are no longer than, in microseconds; zero if there is none.
    pub(super) fn percentile(&self, percent: u64) -> u64 {
        let wanted = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (place, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return ceiling(place).min(self.most);
            }
        }
        self.most
    }
}

/// Returns the bucket of a number. Those below `PARTS` have one each.
fn bucket(number: u64) -> usize {
    let octave = (u64::BITS - number.leading_zeros()).saturating_sub(PARTS_LOG2 + 1);
    let bucket = u64::from(octave) * PARTS + (number >> octave);
    usize::try_from(bucket).expect("fewer than 64 octaves of 32")
}

/// Returns the highest number of a bucket.
fn ceiling(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let octave = (bucket / PARTS).saturating_sub(1);
    let part = bucket - octave * PARTS;
    (((u128::from(part) + 1) << octave) - 1)
        .try_into()
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_anything_all_is_zero() {
        let none = Histogram::default();
        assert_eq!((none.percentile(50), none.most()), (0, 0));
    }

    #[test]
    fn small_numbers_are_exact() {
        let mut histogram = Histogram::default();
        for micros in 1..=10 {
            histogram.add(Duration::from_micros(micros));
        }
        let got = [1, 10, 11, 50, 90, 91, 99, 100].map(|p| histogram.percentile(p));
        assert_eq!(got, [1, 1, 2, 5, 9, 10, 10, 10]);
    }

    proptest! {
        #[test]
        fn a_bucket_holds_what_belongs_to_it(number: u64) {
            let top = ceiling(bucket(number));
            prop_assert!(top >= number);
            prop_assert!(top - number <= number / PARTS);
            prop_assert_eq!(bucket(top), bucket(number));
        }

        #[test]
        fn percentiles_are_those_of_the_sorted_list(
            mut list in prop::collection::vec(0_u64..1 << 40, 1..200),
            percent in 1_u64..=100,
        ) {
            let mut histogram = Histogram::default();
            for micros in &list {
                histogram.add(Duration::from_micros(*micros));
            }
            list.sort_unstable();
            let place = (list.len() as u64 * percent).div_ceil(100) - 1;
            let exact = list[usize::try_from(place).expect("small")];
            let got = histogram.percentile(percent);
            prop_assert!(got >= exact && got - exact <= exact / PARTS, "{} {}", got, exact);
            prop_assert_eq!(histogram.most(), *list.last().expect("not empty"));
        }
    }
}
