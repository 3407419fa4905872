//! Many scenarios, on all cores: each run is one thread's own, and what comes of them all is the same whatever the threads do.

use std::num::NonZero;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::protocol::Protocol;
use crate::report::Report;
use crate::run::{Options, Outcome, run};
use crate::scenario::Scenario;

/// A scenario that failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What was run.
    pub scenario: Scenario,
    /// What came of it: at least one violation.
    pub report: Report,
}

impl Failure {
    /// Returns a failure that was found otherwise than by a sweep.
    pub const fn new(scenario: Scenario, report: Report) -> Self {
        Self { scenario, report }
    }
}

/// What came of many scenarios.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Sweep {
    /// How many were run.
    pub runs: u64,
    /// Those that failed, by number; at most as many as were asked for.
    pub failures: Vec<(u64, Failure)>,
    /// How many events there were in all.
    pub events: u64,
    /// How many deliveries were owed in all.
    pub owed: u64,
    /// How many faults there were of each kind, and how many of them did something.
    pub effects: Vec<(&'static str, u64, u64)>,
    /// The branches of the core that were reached.
    #[cfg(feature = "marks")]
    pub marks: rs2p_core::Marks,
}

impl Sweep {
    /// Returns the first failure, by number.
    pub fn first_failure(&self) -> Option<&Failure> {
        Some(&self.failures.first()?.1)
    }

    fn add(&mut self, number: u64, scenario: &Scenario, outcome: Outcome, effects: &[u64]) {
        self.runs += 1;
        let report = outcome.report;
        self.events += report.number("events").unwrap_or(0);
        self.owed += report.number("owed").unwrap_or(0);
        for (fault, effect) in scenario.faults.iter().zip(effects) {
            self.add_effect(fault.what.family().name(), *effect > 0);
        }
        #[cfg(feature = "marks")]
        {
            self.marks |= outcome.marks;
        }
        if !report.violations.is_empty() {
            let scenario = scenario.clone();
            self.failures.push((number, Failure { scenario, report }));
        }
    }

    fn add_effect(&mut self, family: &'static str, did_something: bool) {
        let place = self
            .effects
            .binary_search_by_key(&family, |(name, ..)| name);
        let place = place.unwrap_or_else(|place| {
            self.effects.insert(place, (family, 0, 0));
            place
        });
        self.effects[place].1 += 1;
        self.effects[place].2 += u64::from(did_something);
    }

    fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.events += other.events;
        self.owed += other.owed;
        self.failures.extend(other.failures);
        #[cfg(feature = "marks")]
        {
            self.marks |= other.marks;
        }
        for (family, count, effective) in other.effects {
            self.add_effect(family, false);
            let place = self
                .effects
                .binary_search_by_key(&family, |(name, ..)| name);
            if let Ok(place) = place {
                self.effects[place].1 += count - 1;
                self.effects[place].2 += effective;
            }
        }
    }
}

/// How scenarios are swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepOptions {
    /// How each is run.
    pub run: Options,
    /// After so many failures no more are begun.
    pub max_failures: usize,
    /// One scenario in so many is run twice, and has to be the same both times; zero is none.
    pub twice: u64,
}

impl Default for SweepOptions {
    /// As runs are by default, up to the first failure, one in 16 twice.
    fn default() -> Self {
        Self {
            run: Options::default(),
            max_failures: 1,
            twice: 16,
        }
    }
}

/// One of the runs of a sweep, as it is shown to whoever wants more than the sum of them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Ran<'a> {
    /// Its number.
    pub number: u64,
    /// What was run.
    pub scenario: &'a Scenario,
    /// What came of it.
    pub outcome: &'a Outcome,
}

/// Runs the scenarios of these numbers, on as many threads as the machine has cores.
///
/// With a `max_failures` of 1 the failure found is the one of the lowest number. `progress` is told after each how many were
/// run; it returns whether to go on.
pub fn sweep<P: Protocol>(
    protocol: &P,
    numbers: Range<u64>,
    scenario: impl Fn(u64) -> Scenario + Sync,
    options: SweepOptions,
    progress: impl Fn(u64) -> bool + Sync,
) -> Sweep {
    let done = AtomicU64::new(0);
    let each = |_: Ran<'_>| progress(done.fetch_add(1, Ordering::Relaxed) + 1);
    sweep_with(protocol, numbers, scenario, options, each)
}

/// As [`sweep`], and shows each run to `each` as soon as it is over: on its own thread, and not in the order of the numbers.
/// `each` returns whether to go on.
pub fn sweep_with<P: Protocol>(
    protocol: &P,
    numbers: Range<u64>,
    scenario: impl Fn(u64) -> Scenario + Sync,
    options: SweepOptions,
    each: impl Fn(Ran<'_>) -> bool + Sync,
) -> Sweep {
    let next = AtomicU64::new(numbers.start);
    // Nothing from here on is begun.
    let limit = AtomicU64::new(numbers.end);
    let whole = Mutex::new(Sweep::default());
    let work = || {
        let mut mine = Sweep::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= limit.load(Ordering::Relaxed) {
                break;
            }
            let scenario = scenario(number);
            let outcome = run_checked(protocol, &scenario, number, options);
            let ran = Ran {
                number,
                scenario: &scenario,
                outcome: &outcome,
            };
            let goes_on = each(ran);
            let effects = outcome.effects.clone();
            mine.add(number, &scenario, outcome, &effects);
            if mine.failures.len() >= options.max_failures {
                limit.fetch_min(number, Ordering::Relaxed);
            }
            if !goes_on {
                limit.store(0, Ordering::Relaxed);
            }
        }
        whole.lock().expect("no thread panics with it").merge(mine);
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut whole = whole.into_inner().expect("no thread panicked with it");
    whole.failures.sort_by_key(|(number, _)| *number);
    whole.failures.truncate(options.max_failures);
    whole
}

/// Runs a scenario, and now and then twice.
fn run_checked<P: Protocol>(
    protocol: &P,
    scenario: &Scenario,
    number: u64,
    options: SweepOptions,
) -> Outcome {
    let mut outcome = run(protocol, scenario, options.run);
    if options.twice > 0 && number.is_multiple_of(options.twice) {
        let again = run(protocol, scenario, options.run);
        outcome.compare(&again);
    }
    outcome
}
