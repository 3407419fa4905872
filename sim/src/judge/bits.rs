//! A set of small numbers, one bit each.

/// A set of small numbers. It grows as needed; what is beyond its end is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Returns an empty set with room for the numbers below `bound`.
    pub(super) fn with_room(bound: usize) -> Self {
        Self(Vec::with_capacity(bound.div_ceil(64)))
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        let word = self.0.get(number as usize / 64);
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Adds a number, and returns whether it is new.
    pub(super) fn insert(&mut self, number: u32) -> bool {
        let place = number as usize / 64;
        if place >= self.0.len() {
            self.0.resize(place + 1, 0);
        }
        let bit = 1 << (number % 64);
        let is_new = self.0[place] & bit == 0;
        self.0[place] |= bit;
        is_new
    }

    #[cfg(test)]
    pub(super) fn remove(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// Returns how many numbers are in it.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Returns whether a number is in both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    /// Returns how many numbers are in both.
    pub(super) fn common(&self, other: &Self) -> u64 {
        let words = self.0.iter().zip(&other.0);
        words.map(|(a, b)| u64::from((a & b).count_ones())).sum()
    }

    /// Returns the numbers of this set that are in neither of the others, in order.
    pub(super) fn without<'a>(
        &'a self,
        a: &'a Self,
        b: &'a Self,
    ) -> impl Iterator<Item = u32> + 'a {
        let words = (0_u32..).zip(&self.0).map(|(place, word)| {
            let at = place as usize;
            let taken = a.0.get(at).unwrap_or(&0) | b.0.get(at).unwrap_or(&0);
            (place, word & !taken)
        });
        words.flat_map(|(place, word)| Ones(word).map(move |bit| place * 64 + bit))
    }

    /// Returns its numbers, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let words = (0_u32..).zip(&self.0);
        words.flat_map(|(place, word)| Ones(*word).map(move |bit| place * 64 + bit))
    }
}

/// The places of a word's bits.
struct Ones(u64);

impl Iterator for Ones {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(a: Vec<u8>, b: Vec<u8>, c: Vec<u8>) {
            let sets = [a, b, c].map(|list| {
                let mut bits = Bits::default();
                let mut set = BTreeSet::new();
                for number in list {
                    prop_assert_eq!(bits.insert(u32::from(number)), set.insert(u32::from(number)));
                }
                Ok((bits, set))
            });
            let [a, b, c] = sets;
            let ((a, set_a), (b, set_b), (c, set_c)) = (a?, b?, c?);
            prop_assert!(a.iter().eq(set_a.iter().copied()));
            prop_assert_eq!(a.count(), set_a.len() as u64);
            prop_assert_eq!(a.meets(&b), !set_a.is_disjoint(&set_b));
            prop_assert_eq!(a.common(&b), set_a.intersection(&set_b).count() as u64);
            let rest = set_a.iter().filter(|n| !set_b.contains(n) && !set_c.contains(n));
            prop_assert!(a.without(&b, &c).eq(rest.copied()));
            let mut less = a.clone();
            for number in b.iter() {
                less.remove(number);
            }
            prop_assert!(less.iter().eq(a.without(&b, &Bits::default())));
        }
    }
}
