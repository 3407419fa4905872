//! Integers of msgpack's range.

use std::fmt;

/// An integer of msgpack's range, from -2^63 to 2^64 - 1.
///
/// js2p rounds integers beyond ±2^53 when it reads them; py2p and rs2p do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Int(Repr);

// The derived order is the order of the numbers: every negative one comes before every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    /// Less than zero.
    Negative(i64),
    NonNegative(u64),
}

impl Int {
    /// Returns the number if it is at most `i64::MAX`.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self.0 {
            Repr::Negative(number) => Some(number),
            Repr::NonNegative(number) => i64::try_from(number).ok(),
        }
    }

    /// Returns the number if it is not negative.
    #[must_use]
    pub const fn as_u64(self) -> Option<u64> {
        match self.0 {
            Repr::Negative(_) => None,
            Repr::NonNegative(number) => Some(number),
        }
    }

    /// Returns the number that a float is, if it is integral and in range.
    pub(crate) fn from_float(float: f64) -> Option<Self> {
        // Both bounds are exact as f64. The upper one is out of range itself.
        const LOW: f64 = -9_223_372_036_854_775_808.0;
        const END: f64 = 18_446_744_073_709_551_616.0;
        if float.fract() != 0.0 || !(LOW..END).contains(&float) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "integral and in range, as just checked"
        )]
        let int = if float < 0.0 {
            Self::from(float as i64)
        } else {
            Self::from(float as u64)
        };
        Some(int)
    }
}

impl From<i64> for Int {
    fn from(number: i64) -> Self {
        Self(u64::try_from(number).map_or(Repr::Negative(number), Repr::NonNegative))
    }
}

impl From<u64> for Int {
    fn from(number: u64) -> Self {
        Self(Repr::NonNegative(number))
    }
}

macro_rules! from_smaller {
    ($wide:ty: $($small:ty),+) => {$(
        impl From<$small> for Int {
            fn from(number: $small) -> Self {
                Self::from(<$wide>::from(number))
            }
        }
    )+};
}

from_smaller!(i64: i8, i16, i32);
from_smaller!(u64: u8, u16, u32);

impl From<isize> for Int {
    fn from(number: isize) -> Self {
        Self::from(i64::try_from(number).expect("no isize is wider than 64 bits"))
    }
}

impl From<usize> for Int {
    fn from(number: usize) -> Self {
        Self::from(u64::try_from(number).expect("no usize is wider than 64 bits"))
    }
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Repr::Negative(number) => fmt::Display::fmt(&number, f),
            Repr::NonNegative(number) => fmt::Display::fmt(&number, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Int;

    #[test]
    fn integers_are_ordered_as_numbers_whatever_they_were_made_of() {
        let ascending = [
            Int::from(i64::MIN),
            Int::from(-33_i8),
            Int::from(-1_isize),
            Int::from(0_u8),
            Int::from(1_i32),
            Int::from(i64::MAX),
            Int::from(u64::MAX),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
        assert_eq!(Int::from(7_i64), Int::from(7_u64));
    }

    #[test]
    fn a_number_comes_back_in_the_widths_that_hold_it() {
        let table = [
            (Int::from(i64::MIN), Some(i64::MIN), None),
            (Int::from(-1), Some(-1), None),
            (Int::from(0), Some(0), Some(0)),
            (Int::from(i64::MAX), Some(i64::MAX), Some(i64::MAX as u64)),
            (Int::from(1_u64 << 63), None, Some(1 << 63)),
            (Int::from(u64::MAX), None, Some(u64::MAX)),
        ];
        for (int, signed, unsigned) in table {
            assert_eq!((int.as_i64(), int.as_u64()), (signed, unsigned), "{int}");
        }
    }

    #[test]
    fn only_integral_floats_in_range_are_integers() {
        let two_63 = 9_223_372_036_854_775_808.0_f64;
        let table = [
            (0.0, Some(Int::from(0))),
            (-0.0, Some(Int::from(0))),
            (-1.0, Some(Int::from(-1))),
            (1.5, None),
            (f64::MIN_POSITIVE, None),
            (-two_63, Some(Int::from(i64::MIN))),
            ((-two_63).next_down(), None),
            (two_63, Some(Int::from(1_u64 << 63))),
            (2.0 * two_63, None),
            ((2.0 * two_63).next_down(), Some(Int::from(u64::MAX - 2047))),
            (f64::INFINITY, None),
            (f64::NEG_INFINITY, None),
            (f64::NAN, None),
        ];
        for (float, int) in table {
            assert_eq!(Int::from_float(float), int, "{float}");
        }
    }
}
