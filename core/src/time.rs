//! Moments and deadlines. The core never asks what time it is: every input says so.

use std::fmt;
use std::time::Duration;

/// A moment on the driver's monotonic clock: microseconds since an origin the driver chooses.
///
/// A type of our own, because `std::time::Instant` can be neither written down nor made up: not in
/// a test, not in a recorded scenario, not the same twice. An adapter converts with one line.
/// Arithmetic saturates, so that no number from a peer can become a panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin of the driver's clock.
    pub const ZERO: Self = Self(0);

    /// Returns the moment `micros` microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns how long before `self` the moment `earlier` lies, or zero if it does not.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Returns the moment `length` after this one, or the last representable one.
    #[must_use]
    pub const fn saturating_add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(saturating_micros(length)))
    }
}

/// A moment of the calendar: microseconds since 1970-01-01 00:00 UTC.
///
/// Messages carry it in whole seconds. It is given to the state once, as an anchor, and moved on by
/// the time that passes on the monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// Returns the moment `secs` seconds after the epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Returns the moment `micros` microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns the whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Returns the microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the moment `length` after this one, or the last representable one.
    #[must_use]
    pub const fn saturating_add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(saturating_micros(length)))
    }

    /// Returns how many whole seconds this moment is after another; negative if it is before.
    pub(crate) fn seconds_since(self, other: Self) -> i64 {
        let seconds = |micros: u64| i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX);
        if self >= other {
            seconds(self.0 - other.0)
        } else {
            -seconds(other.0 - self.0)
        }
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.as_secs(), self.0 % 1_000_000)
    }
}

/// The calendar, as far as the state knows it: one anchor, moved on by monotonic time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock {
    anchor: Instant,
    wall: UnixTime,
}

impl WallClock {
    pub(crate) const fn new(anchor: Instant, wall: UnixTime) -> Self {
        Self { anchor, wall }
    }

    pub(crate) const fn at(self, now: Instant) -> UnixTime {
        self.wall
            .saturating_add(now.saturating_duration_since(self.anchor))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "checked against the largest u64 first"
)]
const fn saturating_micros(length: Duration) -> u64 {
    let micros = length.as_micros();
    if micros > u64::MAX as u128 {
        u64::MAX
    } else {
        micros as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let late = Instant::from_micros(u64::MAX - 1);
        assert_eq!(
            late.saturating_add(Duration::MAX).as_micros(),
            u64::MAX,
            "past the end"
        );
        assert_eq!(
            Instant::ZERO.saturating_duration_since(late),
            Duration::ZERO,
            "before the origin"
        );
    }

    #[test]
    fn the_wall_clock_moves_with_the_monotonic_one() {
        let anchor = Instant::from_micros(5_000_000);
        let clock = WallClock::new(anchor, UnixTime::from_secs(1_700_000_000));
        let later = anchor.saturating_add(Duration::from_millis(61_999));
        assert_eq!(clock.at(later).as_secs(), 1_700_000_061);
        assert_eq!(clock.at(Instant::ZERO).as_secs(), 1_700_000_000);
    }
}
