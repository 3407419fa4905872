//! By how much the clock of a legacy peer differs from ours, as the times in its own messages show.
//!
//! A legacy node drops broadcasts that are a minute old by its clock. If its clock is ahead of a sender's by that much,
//! the sender is mute to it, and neither is told.

use std::time::Duration;

use crate::time::Instant;

/// A difference of so many seconds is told. At 60 legacy nodes drop everything; a little less is too little to
/// be sure of anything that is under way for a while.
const TOLERANCE: i64 = 55;

/// A difference that was told is told again when it has changed by so many seconds.
const CHANGE: i64 = 30;

/// A message may have been under way for long, and then its time is behind. So the largest difference counts of those
/// seen within one to two periods.
const PERIOD: Duration = Duration::from_secs(60);

/// What the messages of one peer tell of its clock. Positive is ahead of ours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Skew {
    /// When the period began, and the largest difference in it.
    current: Option<(Instant, i64)>,
    /// The largest difference in the period before.
    before: Option<i64>,
}

impl Skew {
    /// Notes the time of a message that has just come, as seconds ahead of our clock.
    pub(crate) fn note(&mut self, ahead: i64, now: Instant) {
        match &mut self.current {
            Some((began, most)) if now.saturating_duration_since(*began) < PERIOD => {
                *most = ahead.max(*most);
            }
            current => {
                let last = current.filter(|(began, _)| {
                    now.saturating_duration_since(*began) < PERIOD.saturating_mul(2)
                });
                self.before = last.map(|(_, most)| most);
                *current = Some((now, ahead));
            }
        }
    }

    /// Notes that our own clock was set forward by so many seconds.
    pub(crate) fn shift(&mut self, forward: i64) {
        if let Some((_, most)) = &mut self.current {
            *most = most.saturating_sub(forward);
        }
        self.before = self.before.map(|most| most.saturating_sub(forward));
    }

    /// Returns by how many seconds the peer's clock is ahead of ours, if anything is known.
    pub(crate) fn ahead(&self) -> Option<i64> {
        self.current.map(|(_, most)| most).max(self.before)
    }

    /// Returns whether the difference is worth telling, after what was told before. What is told last is that all is
    /// well again.
    pub(crate) fn is_news(ahead: i64, told: Option<i64>) -> bool {
        match told {
            None => !Self::is_harmless(ahead),
            Some(told) => Self::is_harmless(ahead) || told.saturating_sub(ahead).abs() >= CHANGE,
        }
    }

    /// Returns whether legacy nodes would not mind such a difference.
    pub(crate) const fn is_harmless(ahead: i64) -> bool {
        -TOLERANCE < ahead && ahead < TOLERANCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_message_that_was_under_way_for_long_says_nothing_of_the_clock() {
        let mut skew = Skew::default();
        assert_eq!(skew.ahead(), None);
        skew.note(-3, at(1));
        skew.note(-90, at(2));
        assert_eq!(skew.ahead(), Some(-3));
        // Nor does one in the next period, at first.
        skew.note(-90, at(62));
        assert_eq!(skew.ahead(), Some(-3));
        skew.note(-90, at(123));
        assert_eq!(skew.ahead(), Some(-90), "now it is the clock");
    }

    #[test]
    fn what_was_seen_long_ago_is_not_of_the_period_before() {
        let mut skew = Skew::default();
        skew.note(100, at(1));
        skew.note(0, at(500));
        assert_eq!(skew.ahead(), Some(0));
    }

    #[test]
    fn each_change_is_told_once() {
        let table = [
            (None, 54, false),
            (None, 55, true),
            (None, -55, true),
            (None, i64::MIN, true),
            (Some(60), 60, false),
            (Some(60), 89, false),
            (Some(60), 90, true),
            (Some(60), 3, true),
            (Some(i64::MAX), i64::MIN, true),
        ];
        for (told, ahead, expected) in table {
            assert_eq!(Skew::is_news(ahead, told), expected, "{told:?} {ahead}");
        }
    }

    #[test]
    fn a_clock_of_our_own_that_is_set_shifts_what_is_known() {
        let mut skew = Skew::default();
        skew.note(10, at(1));
        skew.shift(100);
        assert_eq!(skew.ahead(), Some(-90));
        skew.note(i64::MIN, at(70));
        skew.shift(i64::MAX);
        assert!(skew.ahead() <= Some(-90), "it saturates");
    }
}
