//! When a failure became unavoidable.

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
/// Returns `None` if the scenario does not fail.
pub fn date(
    scenario: &Scenario,
    end: Time,
    variants: u32,
    mut fails: impl FnMut(&Scenario, Option<(Time, u64)>) -> Option<Fingerprint>,
) -> Option<Dated> {
    let variants = variants.max(1);
    let fingerprint = fails(scenario, None)?;
    let mut runs = 1;
    let mut ppm_from = |from: Time| {
        let seeds = (1..=u64::from(variants)).map(|n| mix(scenario.seed ^ mix(n)));
        let failed = seeds.filter(|seed| {
            runs += 1;
            fails(scenario, Some((from, *seed))).as_ref() == Some(&fingerprint)
        });
        let share = failed.count() as u64 * 1_000_000 / u64::from(variants);
        u32::try_from(share).unwrap_or(1_000_000)
    };
    let half = 500_000;
    let (mut after, mut after_ppm) = (Time::ZERO, ppm_from(Time::ZERO));
    // With nothing left to chance it fails: that was the first run.
    let (mut by, mut by_ppm) = (end, 1_000_000);
    if after_ppm >= half {
        (by, by_ppm) = (after, after_ppm);
    }
    let precision = end.as_nanos() / 256;
    while by.as_nanos() - after.as_nanos() > precision.max(1) {
        let middle = Time::from_nanos(after.as_nanos() + (by.as_nanos() - after.as_nanos()) / 2);
        let ppm = ppm_from(middle);
        if ppm >= half {
            (by, by_ppm) = (middle, ppm);
        } else {
            (after, after_ppm) = (middle, ppm);
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
        let dated = date(&from_seed(1), Time::from_millis(60_000), 32, |_, chance| {
            // One draw in ten goes wrong, at that moment; in the run itself it did.
            let is_wrong = match chance {
                Some((from, seed)) if from < decided => seed % 10 == 0,
                _ => true,
            };
            if is_wrong { failure() } else { None }
        });
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
        let dated = date(&from_seed(1), Time::from_millis(60_000), 8, |_, _| {
            failure()
        });
        let dated = dated.expect("it fails");
        assert_eq!((dated.after, dated.by), (Time::ZERO, Time::ZERO));
        assert_eq!(dated.by_ppm, 1_000_000);
    }

    #[test]
    fn what_does_not_fail_has_no_date() {
        let end = Time::from_millis(1000);
        assert_eq!(date(&from_seed(1), end, 8, |_, _| None), None);
    }
}
