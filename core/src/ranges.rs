//! Sets of sequence numbers that cost memory by the range, not by the number.

use std::fmt;

/// A set of numbers, kept as sorted ranges of consecutive ones.
///
/// No two ranges overlap or adjoin, so equal sets are equal values. Every operation takes time in
/// proportion to the ranges, or less; whoever keeps a set for a peer bounds how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns the set of all from `first` to `last`: the empty set if that is none.
    pub(crate) fn of(first: u64, last: u64) -> Self {
        let mut ranges = Self::new();
        ranges.insert(first, last);
        ranges
    }

    /// Adds all from `first` to `last`; none if `first` is greater.
    pub(crate) fn insert(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let (begin, end) = self.touched(first, last);
        if begin == end {
            self.0.insert(begin, (first, last));
            return;
        }
        let last = last.max(self.0[end - 1].1);
        let range = &mut self.0[begin];
        *range = (range.0.min(first), last);
        self.0.drain(begin + 1..end);
    }

    /// Takes out all from `first` to `last`; none if `first` is greater.
    pub(crate) fn remove(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let begin = self.0.partition_point(|range| range.1 < first);
        let end = self.0.partition_point(|range| range.0 <= last);
        if begin >= end {
            return;
        }
        let (low, high) = (self.0[begin].0, self.0[end - 1].1);
        let left = (low < first).then(|| (low, first - 1));
        let right = (high > last).then(|| (last + 1, high));
        self.0.splice(begin..end, left.into_iter().chain(right));
    }

    /// Takes out the highest ranges until there are no more than `max`.
    pub(crate) fn truncate(&mut self, max: usize) {
        self.0.truncate(max);
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.covers(number, number)
    }

    /// Returns whether all from `first` to `last` are in the set.
    pub(crate) fn covers(&self, first: u64, last: u64) -> bool {
        let at = self.0.partition_point(|range| range.1 < first);
        let range = self.0.get(at);
        first > last || range.is_some_and(|range| range.0 <= first && last <= range.1)
    }

    /// Returns whether any from `first` to `last` is in the set.
    #[cfg(test)]
    pub(crate) fn overlaps(&self, first: u64, last: u64) -> bool {
        let at = self.0.partition_point(|range| range.1 < first);
        first <= last && self.0.get(at).is_some_and(|range| range.0 <= last)
    }

    /// Returns whether adding all from `first` to `last` would not make one range more.
    pub(crate) fn adjoins(&self, first: u64, last: u64) -> bool {
        let (begin, end) = self.touched(first, last);
        begin < end
    }

    pub(crate) fn first(&self) -> Option<u64> {
        self.0.first().map(|range| range.0)
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.0.last().map(|range| range.1)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns of how many ranges the set consists.
    pub(crate) const fn range_count(&self) -> usize {
        self.0.len()
    }

    /// Returns how many numbers are in the set, or `u64::MAX` if that is too many to tell.
    pub(crate) fn count(&self) -> u64 {
        self.iter().fold(0, |count: u64, (first, last)| {
            count.saturating_add(last - first).saturating_add(1)
        })
    }

    /// Returns the first and the last number of each range, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    /// Returns the `count` lowest numbers of the set.
    pub(crate) fn lowest(&self, count: u64) -> Self {
        let mut left = count;
        let mut lowest = Vec::new();
        for (first, last) in self.iter() {
            let Some(more) = left.checked_sub(1) else {
                break;
            };
            let taken = more.min(last - first);
            lowest.push((first, first + taken));
            left = more - taken;
        }
        Self(lowest)
    }

    /// Returns what is in either set.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut merged: Vec<(u64, u64)> = Vec::new();
        let (mut mine, mut theirs) = (self.0.as_slice(), other.0.as_slice());
        loop {
            let next = match (mine.first(), theirs.first()) {
                (Some(a), Some(b)) if a.0 <= b.0 => &mut mine,
                (Some(_), None) => &mut mine,
                (_, Some(_)) => &mut theirs,
                (None, None) => return Self(merged),
            };
            let (range, rest) = (next[0], &next[1..]);
            *next = rest;
            match merged.last_mut() {
                Some(last) if range.0 <= last.1.saturating_add(1) => last.1 = last.1.max(range.1),
                _ => merged.push(range),
            }
        }
    }

    /// Returns what is in both sets.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let mut common = Vec::new();
        let (mut mine, mut theirs) = (self.0.as_slice(), other.0.as_slice());
        while let ([a, my_rest @ ..], [b, their_rest @ ..]) = (mine, theirs) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                common.push((first, last));
            }
            if a.1 < b.1 {
                mine = my_rest;
            } else {
                theirs = their_rest;
            }
        }
        Self(common)
    }

    /// Returns what is in this set and not in the other.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut theirs = other.0.as_slice();
        for (mut first, last) in self.iter() {
            // What ends before this range begins is of no use to the next ones either.
            while let [taken, rest @ ..] = theirs
                && taken.1 < first
            {
                theirs = rest;
            }
            let mut rest = Some(first);
            for taken in theirs.iter().take_while(|taken| taken.0 <= last) {
                if first < taken.0 {
                    left.push((first, taken.0 - 1));
                }
                rest = taken.1.checked_add(1).filter(|next| *next <= last);
                let Some(next) = rest else {
                    break;
                };
                first = next;
            }
            left.extend(rest.map(|first| (first, last)));
        }
        Self(left)
    }

    /// The indices of the ranges that overlap or adjoin `first` to `last`.
    fn touched(&self, first: u64, last: u64) -> (usize, usize) {
        let begin = self
            .0
            .partition_point(|range| range.1.saturating_add(1) < first);
        let end = self
            .0
            .partition_point(|range| range.0 <= last.saturating_add(1));
        (begin, end)
    }
}

/// Takes ranges in any order, overlapping or not; one that ends before it begins is empty.
impl FromIterator<(u64, u64)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(ranges: I) -> Self {
        let mut sorted: Vec<_> = ranges
            .into_iter()
            .filter(|range| range.0 <= range.1)
            .collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if range.0 <= last.1.saturating_add(1) => last.1 = last.1.max(range.1),
                _ => merged.push(range),
            }
        }
        Self(merged)
    }
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = self.iter().map(|(first, last)| first..=last);
        f.debug_set().entries(ranges).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Ranges;

    const MAX: u64 = u64::MAX;

    fn ranges(pairs: &[(u64, u64)]) -> Ranges {
        pairs.iter().copied().collect()
    }

    #[test]
    fn what_adjoins_becomes_one_range() {
        let table = [
            ("apart", (7, 8), vec![(1, 2), (4, 5), (7, 8), (11, 12)]),
            ("adjoins below", (6, 7), vec![(1, 2), (4, 7), (11, 12)]),
            ("adjoins above", (9, 10), vec![(1, 2), (4, 5), (9, 12)]),
            ("bridges", (3, 3), vec![(1, 5), (11, 12)]),
            ("swallows", (0, 20), vec![(0, 20)]),
            ("is there", (4, 4), vec![(1, 2), (4, 5), (11, 12)]),
            ("is none", (9, 8), vec![(1, 2), (4, 5), (11, 12)]),
        ];
        for (why, (first, last), expected) in table {
            let mut set = ranges(&[(1, 2), (4, 5), (11, 12)]);
            let grows = !set.adjoins(first, last) && first <= last;
            set.insert(first, last);
            assert_eq!(set.iter().collect::<Vec<_>>(), expected, "{why}");
            assert_eq!(grows, why == "apart", "{why}");
        }
    }

    #[test]
    fn taking_out_nothing_leaves_a_range_whole() {
        let mut set = Ranges::of(5, 9);
        set.remove(9, 5);
        assert_eq!(set, Ranges::of(5, 9));
    }

    #[test]
    fn the_ends_of_the_numbers_are_ordinary() {
        let mut set = Ranges::of(0, MAX);
        assert_eq!(set.count(), MAX, "it saturates");
        assert_eq!(set.lowest(MAX), Ranges::of(0, MAX - 1));
        set.remove(MAX, MAX);
        set.remove(0, 0);
        assert_eq!(set, Ranges::of(1, MAX - 1));
        assert_eq!(set.count(), MAX - 1);
        set.insert(MAX, MAX);
        assert_eq!(set, Ranges::of(1, MAX));
        let ends = ranges(&[(0, 0), (MAX, MAX)]);
        assert_eq!(set.difference(&ends), Ranges::of(1, MAX - 1));
        assert_eq!(set.union(&ends), Ranges::of(0, MAX));
        assert_eq!(set.intersection(&ends), Ranges::of(MAX, MAX));
        assert_eq!(Ranges::of(0, MAX).difference(&set), Ranges::of(0, 0));
    }

    /// The numbers that the model tests use: some at each end.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..24u64, (MAX - 8)..=MAX]
    }

    fn numbers() -> impl Iterator<Item = u64> {
        (0..24).chain(MAX - 8..=MAX)
    }

    fn pair() -> impl Strategy<Value = (u64, u64)> {
        prop_oneof![
            9 => (0..24u64, 0..5u64).prop_map(|(first, more)| (first, (first + more).min(23))),
            1 => (MAX - 8..=MAX, 0..5u64).prop_map(|(first, more)| (first, first.saturating_add(more))),
            1 => (number(), number()).prop_filter("stays in the model", |(a, b)| a > b || (*a > 24) == (*b > 24)),
        ]
    }

    fn model(pairs: &[(u64, u64)]) -> BTreeSet<u64> {
        pairs
            .iter()
            .flat_map(|(first, last)| *first..=*last)
            .collect()
    }

    fn is_canonical(set: &Ranges) -> bool {
        let pairs: Vec<_> = set.iter().collect();
        pairs.iter().all(|(first, last)| first <= last)
            && pairs
                .windows(2)
                .all(|two| two[0].1 < MAX && two[0].1 + 1 < two[1].0)
    }

    fn agree(set: &Ranges, naive: &BTreeSet<u64>) -> Result<(), TestCaseError> {
        prop_assert!(is_canonical(set), "{:?}", set);
        let members: BTreeSet<u64> = set.iter().flat_map(|(first, last)| first..=last).collect();
        prop_assert_eq!(&members, naive);
        prop_assert_eq!(set.count(), naive.len() as u64);
        prop_assert_eq!(set.first(), naive.first().copied());
        prop_assert_eq!(set.last(), naive.last().copied());
        prop_assert_eq!(set.is_empty(), naive.is_empty());
        for number in numbers() {
            prop_assert_eq!(set.contains(number), naive.contains(&number));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_set_is_what_was_put_in_and_not_taken_out(
            steps in prop::collection::vec((any::<bool>(), pair()), 0..40)
        ) {
            let (mut set, mut naive) = (Ranges::new(), BTreeSet::new());
            for (is_insert, (first, last)) in steps {
                if is_insert {
                    set.insert(first, last);
                    naive.extend(first..=last);
                } else {
                    set.remove(first, last);
                    naive.retain(|number| !(first..=last).contains(number));
                }
                agree(&set, &naive)?;
            }
        }

        #[test]
        fn two_sets_combine_as_sets_do(
            a in prop::collection::vec(pair(), 0..10),
            b in prop::collection::vec(pair(), 0..10),
            count in 0..30u64,
            probe in pair(),
        ) {
            let (set, other) = (ranges(&a), ranges(&b));
            let (mine, theirs) = (model(&a), model(&b));
            agree(&set, &mine)?;
            agree(&set.union(&other), &(&mine | &theirs))?;
            agree(&set.intersection(&other), &(&mine & &theirs))?;
            agree(&set.difference(&other), &(&mine - &theirs))?;
            let lowest = mine.iter().copied().take(usize::try_from(count).unwrap()).collect();
            agree(&set.lowest(count), &lowest)?;
            let probed = model(&[probe]);
            prop_assert_eq!(set.covers(probe.0, probe.1), probed.is_subset(&mine));
            prop_assert_eq!(set.overlaps(probe.0, probe.1), !probed.is_disjoint(&mine));
        }
    }
}
