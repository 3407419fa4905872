//! When a failure became unavoidable.

use std::fmt;

use crate::chance::mix;
use crate::report::Fingerprint;
use crate::scenario::Scenario;
use crate::time::Time;

/// Between which moments a failure became unavoidable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dated {
    /// If all is left to chance from here on, fewer than half of all runs fail.
    pub after: Time,
    /// If all is left to chance from here on, half of them fail or more.
    pub by: Time,
    /// Of a million runs, how many fail with chance from `after` on.
    pub after_ppm: u32,
    /// Of a million runs, how many fail with chance from `by` on.
    pub by_ppm: u32,
    /// How many runs that took.
    pub runs: u32,
}

impl fmt::Display for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |ppm: u32| ppm / 10_000;
        let (after, by) = (percent(self.after_ppm), percent(self.by_ppm));
        if self.after == self.by {
            return write!(
                f,
                "it was unavoidable from the start: whatever happens by chance, {by} % of all runs fail"
            );
        }
        let seconds = |time: Time| {
            let millis = time.as_millis();
            format!("{}.{:03} s", millis / 1000, millis % 1000)
        };
        let (first, second) = (seconds(self.after), seconds(self.by));
        write!(
            f,
            "it became unavoidable between {first} and {second}: with other chance from the first moment on, {after} % of \
             all runs fail, and from the second, {by} %"
        )
    }
}

/// Finds when a failure became unavoidable: the moment from which on everything may happen otherwise, and it fails still.
///
/// `fails` runs the scenario, and tells how it fails, if it does. With `Some((t, seed))` the runner has to do all as
/// without up to the moment `t` of world time, and to draw everything after it from `seed` in the place of the
/// scenario's own: latencies, cuts, jitter, lateness, and the seeds of nodes that begin to live after `t`. Load and
/// faults stay what they are. What nodes draw themselves that live at `t` comes from the seed that they were born with, so
/// a failure that only such a draw decides is dated too early.
///
/// `end` is when the rule was broken. Each moment is judged by `variants` seeds, and the search ends when it is known to
/// within `end / 256`: that takes 10 moments at most. 32 variants tell a half from all and from none well.
///
/// `go_on` is asked before each run, with how many there were: once it says no, what is known by then is the answer.
///
/// Returns `None` if the scenario does not fail, or if there was no time for a single moment.
pub fn date(
    scenario: &Scenario,
    end: Time,
    variants: u32,
    mut go_on: impl FnMut(u32) -> bool,
    mut fails: impl FnMut(&Scenario, Option<(Time, u64)>) -> Option<Fingerprint>,
) -> Option<Dated> {
    let variants = variants.max(1);
    let fingerprint = fails(scenario, None)?;
    let mut runs = 1;
    // Of a million runs with chance from a moment on, how many fail; `None` once time is up.
    let mut ppm_from = |from: Time| {
        let mut failed = 0;
        for n in 1..=u64::from(variants) {
            if !go_on(runs) {
                return None;
            }
            runs += 1;
            let seed = mix(scenario.seed ^ mix(n));
            failed += u64::from(fails(scenario, Some((from, seed))).as_ref() == Some(&fingerprint));
        }
        let share = failed * 1_000_000 / u64::from(variants);
        Some(u32::try_from(share).unwrap_or(1_000_000))
    };
    let half = 500_000;
    let (mut after, mut after_ppm) = (Time::ZERO, ppm_from(Time::ZERO)?);
    // With nothing left to chance it fails: that was the first run.
    let (mut by, mut by_ppm) = (end, 1_000_000);
    if after_ppm >= half {
        (by, by_ppm) = (after, after_ppm);
    }
    let precision = end.as_nanos() / 256;
    while by.as_nanos() - after.as_nanos() > precision.max(1) {
        let middle = Time::from_nanos(after.as_nanos() + (by.as_nanos() - after.as_nanos()) / 2);
        match ppm_from(middle) {
            None => break,
            Some(ppm) if ppm >= half => (by, by_ppm) = (middle, ppm),
            Some(ppm) => (after, after_ppm) = (middle, ppm),
        }
    }
    Some(Dated {
        after,
        by,
        after_ppm,
        by_ppm,
        runs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::from_seed;
    use crate::report::Checker;

    fn failure() -> Option<Fingerprint> {
        Some(Fingerprint {
            checker: Checker::Owed,
            kind: "lost".to_owned(),
        })
    }

    #[test]
    fn a_failure_is_dated_to_the_draw_that_decides_it() {
        let decided = Time::from_millis(12_600);
        let dated = date(
            &from_seed(1),
            Time::from_millis(60_000),
            32,
            |_| true,
            |_, chance| {
                // One draw in ten goes wrong, at that moment; in the run itself it did.
                let is_wrong = match chance {
                    Some((from, seed)) if from < decided => seed % 10 == 0,
                    _ => true,
                };
                if is_wrong { failure() } else { None }
            },
        );
        let dated = dated.expect("it fails");
        assert!(dated.after < decided && decided <= dated.by, "{dated:?}");
        assert!(dated.by.since(dated.after).as_millis() < 250, "{dated:?}");
        assert!(
            dated.after_ppm < 400_000 && dated.by_ppm == 1_000_000,
            "{dated:?}"
        );
        assert!(dated.runs <= 1 + 10 * 32, "{dated:?}");
    }

    #[test]
    fn what_fails_by_its_schedule_alone_was_unavoidable_from_the_start() {
        let dated = date(
            &from_seed(1),
            Time::from_millis(60_000),
            8,
            |_| true,
            |_, _| failure(),
        );
        let dated = dated.expect("it fails");
        assert_eq!((dated.after, dated.by), (Time::ZERO, Time::ZERO));
        assert_eq!(dated.by_ppm, 1_000_000);
    }

    #[test]
    fn what_does_not_fail_has_no_date() {
        let end = Time::from_millis(1000);
        assert_eq!(date(&from_seed(1), end, 8, |_| true, |_, _| None), None);
    }

    #[test]
    fn when_time_is_up_what_is_known_by_then_is_the_answer() {
        let decided = Time::from_millis(40_000);
        let end = Time::from_millis(60_000);
        let date_in = |most: u32| {
            date(
                &from_seed(1),
                end,
                8,
                |runs| runs < most,
                |_, chance| {
                    chance
                        .is_none_or(|(from, _)| from >= decided)
                        .then(failure)
                        .flatten()
                },
            )
        };
        // One run without chance, and eight for each moment: no moment, the start alone, and the middle as well.
        assert_eq!(date_in(8), None);
        let start = date_in(12).expect("it fails");
        assert_eq!((start.after, start.by, start.runs), (Time::ZERO, end, 12));
        let middle = date_in(17).expect("it fails");
        assert_eq!((middle.after, middle.by), (Time::from_millis(30_000), end));
    }
}
