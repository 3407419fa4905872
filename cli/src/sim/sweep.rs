//! `rs2p sim run`: many scenarios, what came of them all, and the first that failed.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rs2p_sim::view::{Gathered, human};
use rs2p_sim::{Family, Profile, Ran, Scenario, Sweep, SweepOptions, Unit, sweep_with};

use super::args::{Families, Kinds, Run};
use super::failure::Explain;
use super::output::{self, counted};
use super::progress::{Done, Progress};
use super::quiet::Quiet;
use super::report::{Asked, Baseline, Document, Effect, Failed, First};
use super::{replay_command, source, status};
use crate::exit::Failure;

/// How many scenarios are run if nothing limits them.
const SEEDS: u64 = 100;

/// How many failures are kept with `--keep-going`.
const MAX_FAILURES: usize = 1000;

/// How many of them are listed.
const MAX_LISTED: usize = 20;

/// Of so many faults of a kind one at least has to do something.
const MIN_FAULTS: u64 = 20;

/// How long the sentence of a failure in the list may be, in characters.
const MAX_SENTENCE: usize = 160;

pub(super) fn run(args: &Run) -> Result<(), Failure> {
    let baseline = args.baseline.as_deref().map(Baseline::read).transpose()?;
    let plan = Plan::new(args, baseline.as_ref())?;
    if let Some(baseline) = &baseline {
        baseline.check(&plan.asked)?;
    }
    let show = |text: &str| match args.json {
        true => Ok(()),
        false => output::show(text),
    };
    show(&plan.heading())?;
    let swept = plan.sweep();
    let mut document = swept.document(&plan);
    show(&swept.numbers())?;
    let mut worse = false;
    if let Some(baseline) = &baseline {
        let (text, is_worse) = baseline.compare(&document);
        worse = is_worse;
        show(&text)?;
    }
    show(&plan.failures(&swept.sweep))?;
    if let Some((number, failure)) = swept.sweep.failures.first() {
        let name = match plan.scenario {
            Some(_) => "scenario".to_owned(),
            None => format!("seed-{number}"),
        };
        let explain = plan.explain(&name);
        let shrunk = match args.no_shrink {
            true => None,
            false => explain.shrink(failure, !args.json),
        };
        let was = &failure.scenario;
        let explained = match &shrunk {
            Some(shrunk) => explain.tell_shrunk(was, shrunk, !args.json),
            None => explain.tell(was, was, 1),
        };
        let seed = plan
            .scenario
            .is_none()
            .then(|| format!(" of seed {number}"));
        let seed = seed.unwrap_or_default();
        let heading = match &shrunk {
            Some(shrunk) if shrunk.is_done => {
                format!("the failure{seed}, made as small as it gets")
            }
            Some(_) => format!("the failure{seed}, made smaller until time was up"),
            None => format!("the failure{seed}"),
        };
        show(&format!("\n{heading}:\n\n{}", explained.text))?;
        let command = replay_command(&explained.scenario.to_line(), args.bug);
        document.first = Some(First::new(&explained, command));
    }
    if args.json {
        output::show(&document.to_json())?;
    }
    if let Some(path) = &args.out {
        output::write(path, &document.to_json())?;
    }
    swept.verdict(worse)
}

/// What is to be run.
struct Plan<'a> {
    args: &'a Run,
    asked: Asked,
    profile: Profile,
    scenario: Option<Scenario>,
    numbers: Range<u64>,
    options: SweepOptions,
}

impl<'a> Plan<'a> {
    fn new(args: &'a Run, baseline: Option<&Baseline>) -> Result<Self, Failure> {
        let scenario = args.scenario.as_deref().map(source::scenario).transpose()?;
        let before = baseline.map(|baseline| &baseline.asked);
        let from = args.from.or_else(|| Some(before?.from));
        let default = match (args.time, before) {
            (_, Some(before)) => before.seeds,
            (Some(_), None) => None,
            (None, None) => Some(SEEDS),
        };
        let (from, seeds) = match &scenario {
            Some(_) => (0, Some(1)),
            None => (from.unwrap_or_else(drawn), args.seeds.or(default)),
        };
        let end = from.checked_add(seeds.unwrap_or(u64::MAX - from));
        let end = end.ok_or_else(|| {
            Failure::cannot_start(format!("there are fewer seeds than that after {from}"))
        })?;
        let profile = profile(args);
        let mut options = SweepOptions::default();
        if args.demand_effects {
            options.run = options.run.demanding_effects();
        }
        if args.keep_going {
            options.max_failures = MAX_FAILURES;
        }
        let families = profile.families.iter();
        let asked = Asked {
            from,
            seeds,
            nodes: args.nodes,
            families: families.map(|family| family.name().to_owned()).collect(),
            kinds: format!("{:?}", args.kinds).to_lowercase(),
            scenario: scenario.as_ref().map(Scenario::to_line),
        };
        Ok(Self {
            args,
            asked,
            profile,
            scenario,
            numbers: from..end,
            options,
        })
    }

    /// Returns what is going to be run, in a line.
    fn heading(&self) -> String {
        if let Some(scenario) = &self.scenario {
            return format!("{}\n\n", scenario.describe());
        }
        let Asked { from, seeds, .. } = self.asked;
        let (min, max) = self.asked.nodes;
        let count = match seeds {
            Some(seeds) => counted(seeds, "scenario"),
            None => "scenarios".to_owned(),
        };
        let time = self.args.time;
        let time = time.map(|time| format!(" for {:.0} s", time.as_secs_f64()));
        let faults = match self.asked.families.as_slice() {
            [] => "no faults".to_owned(),
            all if all.len() == Family::ALL.len() => "faults of all kinds".to_owned(),
            some => format!("these kinds of faults: {}", some.join(", ")),
        };
        format!(
            "base seed {from}: {count} of {min} to {max} nodes, with {faults}{}\n",
            time.unwrap_or_default()
        )
    }

    fn scenario(&self, number: u64) -> Scenario {
        match &self.scenario {
            Some(scenario) => scenario.clone(),
            None => Scenario::from_seed_with(number, &self.profile),
        }
    }

    fn sweep(&self) -> Swept {
        let began = Instant::now();
        let limit = self.args.time;
        let line = Progress::new(!self.args.json);
        let seen = Mutex::new(Seen::default());
        let _quiet = Quiet::new();
        let each = |ran: Ran<'_>| {
            let mut seen = seen.lock().expect("no thread panics with it");
            seen.add(ran);
            let (runs, failures) = (seen.runs, seen.failures);
            drop(seen);
            let elapsed = began.elapsed();
            let of = self.asked.seeds;
            line.show(|| {
                let done = Done {
                    runs,
                    of,
                    failures,
                    elapsed,
                    limit,
                };
                done.line()
            });
            limit.is_none_or(|limit| elapsed < limit)
        };
        let sweep = sweep_with(
            &self.args.bug.protocol(),
            self.numbers.clone(),
            |number| self.scenario(number),
            self.options,
            each,
        );
        Swept {
            sweep,
            seen: seen.into_inner().expect("no thread panicked with it"),
            took: began.elapsed(),
        }
    }

    /// Returns which scenarios failed.
    fn failures(&self, sweep: &Sweep) -> String {
        if sweep.failures.is_empty() {
            return "\nno rule was broken\n".to_owned();
        }
        let mut text = format!(
            "\n{} failed:\n",
            counted(sweep.failures.len() as u64, "scenario")
        );
        // Writing to a string does not fail.
        for (number, failure) in sweep.failures.iter().take(MAX_LISTED) {
            let Some(first) = failure.report.violations.first() else {
                continue;
            };
            let place = match &self.scenario {
                Some(_) => String::new(),
                None => format!("seed {number}: "),
            };
            let (code, kind) = (first.checker, &first.kind);
            let sentence: String = first.sentence.chars().take(MAX_SENTENCE).collect();
            let _ = writeln!(text, "    {place}{code} ({kind}): {sentence}");
        }
        if sweep.failures.len() > MAX_LISTED {
            let _ = writeln!(text, "    and {} more", sweep.failures.len() - MAX_LISTED);
        }
        text
    }

    fn explain<'b>(&'b self, name: &'b str) -> Explain<'b> {
        Explain {
            options: self.options.run,
            bug: self.args.bug,
            folder: self.args.trace.as_deref(),
            name,
            writes: true,
        }
    }
}

fn profile(args: &Run) -> Profile {
    let mut profile = Profile {
        min_nodes: args.nodes.0,
        max_nodes: args.nodes.1,
        ..Profile::default()
    };
    match args.kinds {
        Kinds::Mesh => profile.mixed_percent = 0,
        Kinds::Mixed => profile.mixed_percent = 100,
        Kinds::Any => {}
    }
    if let Some(Families(families)) = &args.families {
        profile.families.clone_from(families);
    }
    profile
}

/// Returns a seed for those who do not care: short enough to be told to somebody.
fn drawn() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_nanos();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    // An odd factor spreads the low bits, and the rest is cut off.
    now.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 34
}

/// What was seen of the runs so far.
#[derive(Default)]
struct Seen {
    gathered: Gathered,
    runs: u64,
    failures: u64,
    /// The same for the same runs, in whichever order they end.
    hash: u64,
}

impl Seen {
    fn add(&mut self, ran: Ran<'_>) {
        let report = &ran.outcome.report;
        self.gathered.add(ran.number, report);
        self.runs += 1;
        self.failures += u64::from(!report.violations.is_empty());
        let odd = ran.number.wrapping_mul(2) | 1;
        self.hash = self.hash.wrapping_add(report.hash.wrapping_mul(odd));
    }
}

/// What came of all runs.
struct Swept {
    sweep: Sweep,
    seen: Seen,
    took: Duration,
}

impl Swept {
    fn document(&self, plan: &Plan<'_>) -> Document {
        let mut document = Document::new(plan.asked.clone(), &self.seen.gathered);
        document.runs = self.sweep.runs;
        document.hash = format!("{:016x}", self.seen.hash);
        let effects = self.sweep.effects.iter();
        document.effects = effects
            .map(|(family, faults, effective)| Effect {
                family,
                faults: *faults,
                effective: *effective,
            })
            .collect();
        let failures = self.sweep.failures.iter();
        document.failures = failures
            .map(|(number, failure)| Failed {
                seed: *number,
                line: failure.scenario.to_line(),
                violations: failure.report.violations.clone(),
            })
            .collect();
        document
    }

    /// Returns the numbers of all runs, and what the faults did.
    fn numbers(&self) -> String {
        let seconds = self.took.as_secs_f64().max(0.001);
        let count = |value| human(value, Unit::Count);
        let mut text = format!(
            "{} in {seconds:.1} s ({:.1} a second): {} events, {} deliveries owed, hash {:016x}\n\n",
            counted(self.sweep.runs, "run"),
            self.sweep.runs as f64 / seconds,
            count(self.sweep.events),
            count(self.sweep.owed),
            self.seen.hash
        );
        text.push_str(&self.seen.gathered.text());
        // Writing to a string does not fail.
        if !self.sweep.effects.is_empty() {
            let _ = writeln!(
                text,
                "\n{:<12}{:>8}{:>16}",
                "fault", "drawn", "did something"
            );
        }
        for (family, faults, effective) in &self.sweep.effects {
            let percent = effective * 100 / faults.max(&1);
            let _ = writeln!(
                text,
                "{family:<12}{faults:>8}{effective:>8} = {percent:>3} %"
            );
        }
        text
    }

    fn verdict(&self, is_worse: bool) -> Result<(), Failure> {
        let failed = self.sweep.failures.len() as u64;
        let first = self.sweep.failures.first();
        if let Some(first) = first.and_then(|(_, failure)| failure.report.violations.first()) {
            let (checker, rule) = (first.checker, first.checker.rule());
            let reason = format!(
                "{failed} of {} failed; the first broke rule {checker}: {rule}",
                counted(self.sweep.runs, "run")
            );
            return Err(Failure::found(status(checker), reason));
        }
        let effects = self.sweep.effects.iter();
        let inert =
            effects.filter(|(_, faults, effective)| *faults >= MIN_FAULTS && *effective == 0);
        let inert: Vec<&str> = inert.map(|(family, ..)| *family).collect();
        if !inert.is_empty() {
            let kinds = inert.join(", ");
            let reason = format!("faults that never did anything, and so tested nothing: {kinds}");
            return Err(Failure::found(14, reason));
        }
        if is_worse {
            return Err(Failure::failed("a number got worse than in the baseline"));
        }
        Ok(())
    }
}
