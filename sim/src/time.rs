//! The one clock of a world, and the clocks that its nodes see.

use std::fmt;
use std::time::Duration;

/// A moment of world time: nanoseconds since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Time(u64);

impl Time {
    /// The beginning of the world.
    pub const ZERO: Self = Self(0);

    /// The end of all time.
    pub const MAX: Self = Self(u64::MAX);

    /// Returns the moment so many nanoseconds after the beginning.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the moment so many milliseconds after the beginning.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Returns the nanoseconds since the beginning.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the whole milliseconds since the beginning.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Returns how long before `self` the moment `earlier` lies, or zero if it does not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the moment that much later, or the end of all time.
    #[must_use]
    pub const fn after(self, length: Duration) -> Self {
        Self(self.0.saturating_add(nanos(length)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0 / 1000;
        write!(f, "{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

/// Returns a length in nanoseconds; what is longer than 584 years counts as that.
pub(crate) const fn nanos(length: Duration) -> u64 {
    length
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(length.subsec_nanos() as u64)
}

/// Returns a length in seconds, for short scenarios: `s(30)`.
pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns a length in milliseconds, for short scenarios: `ms(50)`.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How a node's clocks run beside the world's.
///
/// Its monotonic clock may be too fast or too slow, and never goes back. Its calendar may be set to anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// The monotonic clock's moment, in nanoseconds, at `anchor`.
    base: u64,
    anchor: Time,
    /// How many nanoseconds too many it counts in a second, divided by 1000.
    ppm: i32,
    /// By how many microseconds the calendar is ahead of the true one.
    wall_offset: i64,
}

/// The calendar's moment at the beginning of every world: a day in November 2023, in microseconds since 1970.
const EPOCH: u64 = 1_700_000_000_000_000;

/// Keeps rates within what still is a clock: at least a tenth of the true speed.
const MAX_PPM: i32 = 900_000;

impl Clock {
    /// Returns a clock that stands at `start` when the world begins.
    pub(crate) const fn new(start: Duration) -> Self {
        Self {
            base: nanos(start),
            anchor: Time::ZERO,
            ppm: 0,
            wall_offset: 0,
        }
    }

    /// Returns what the monotonic clock shows, in nanoseconds.
    pub(crate) fn local(&self, now: Time) -> u64 {
        let passed = now.0.saturating_sub(self.anchor.0);
        self.base.saturating_add(scaled(passed, self.ppm))
    }

    /// Returns the first moment at which the monotonic clock shows so many nanoseconds.
    pub(crate) fn when(&self, local: u64) -> Time {
        let wanted = local.saturating_sub(self.base);
        let rate = (1_000_000 + i64::from(self.ppm)).unsigned_abs();
        let passed = (u128::from(wanted) * 1_000_000).div_ceil(u128::from(rate));
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let mut at = Time(self.anchor.0.saturating_add(passed));
        // Rounding may fall one short.
        if at < Time::MAX && self.local(at) < local {
            at = Time(at.0 + 1);
        }
        at
    }

    /// Returns what the calendar shows, in microseconds since 1970.
    pub(crate) fn wall(&self, now: Time) -> u64 {
        let local = (EPOCH + now.0 / 1000).saturating_add_signed(self.wall_offset);
        let drift = scaled(now.0, self.ppm) / 1000;
        local.saturating_add(drift).saturating_sub(now.0 / 1000)
    }

    /// Changes the rate from now on.
    pub(crate) fn set_rate(&mut self, ppm: i32, now: Time) {
        self.base = self.local(now);
        self.anchor = now;
        self.ppm = ppm.clamp(-MAX_PPM, MAX_PPM);
    }

    /// Sets the calendar forward or back.
    pub(crate) const fn step(&mut self, millis: i64) {
        self.wall_offset = self.wall_offset.saturating_add(millis.saturating_mul(1000));
    }
}

/// Returns so many nanoseconds as a clock counts them that is off by so many parts in a million.
fn scaled(passed: u64, ppm: i32) -> u64 {
    if ppm == 0 {
        return passed;
    }
    let rate = u128::from((1_000_000 + i64::from(ppm)).unsigned_abs());
    u64::try_from(u128::from(passed) * rate / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_the_first_moment_at_which_the_clock_shows_it() {
        for ppm in [0, 1, -1, 500, -500, 100_000, -100_000, 900_000, -900_000] {
            let mut clock = Clock::new(s(5));
            clock.set_rate(ppm, Time::from_millis(1234));
            for local in [0, 5_000_000_001, 6_234_000_000, 7_000_000_003, 1 << 50] {
                let at = clock.when(local);
                assert!(clock.local(at) >= local, "{ppm} {local}");
                if at > clock.anchor {
                    assert!(clock.local(Time(at.0 - 1)) < local, "{ppm} {local}");
                }
            }
        }
    }

    #[test]
    fn a_clock_goes_on_from_where_it_was_when_its_rate_changes() {
        let mut clock = Clock::new(s(0));
        let before = clock.local(Time::from_millis(700));
        clock.set_rate(100_000, Time::from_millis(700));
        assert_eq!(clock.local(Time::from_millis(700)), before);
        assert_eq!(clock.local(Time::from_millis(1700)), before + 1_100_000_000);
    }

    #[test]
    fn the_calendar_can_be_set() {
        let mut clock = Clock::new(s(0));
        assert_eq!(clock.wall(Time::from_millis(2)), EPOCH + 2000);
        clock.step(-86_400_000);
        assert_eq!(
            clock.wall(Time::from_millis(2)),
            EPOCH + 2000 - 86_400_000_000
        );
    }
}
