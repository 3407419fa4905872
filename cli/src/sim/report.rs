//! The report of many runs as JSON, to be kept and compared with.

use std::fs;
use std::path::Path;

use rs2p_sim::view::{Gathered, Summary, Thresholds, Verdict, compare};
use rs2p_sim::{Number, Report, Unit, Violation};
use serde::{Deserialize, Serialize};

use super::failure::Explained;
use crate::exit::Failure;

/// The schema that this version writes and reads.
const SCHEMA: u32 = 1;

/// What was asked for: reports of different questions are not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// The first seed.
    pub(super) from: u64,
    /// How many seeds, unless only the time was limited.
    pub(super) seeds: Option<u64>,
    pub(super) nodes: (u16, u16),
    pub(super) families: Vec<String>,
    pub(super) kinds: String,
    /// The one scenario that was run instead.
    pub(super) scenario: Option<String>,
}

/// What came of the faults of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Effect {
    pub(super) family: &'static str,
    pub(super) faults: u64,
    pub(super) effective: u64,
}

/// A scenario that failed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Failed {
    pub(super) seed: u64,
    pub(super) line: String,
    pub(super) violations: Vec<Violation>,
}

/// The first failure, made small.
#[derive(Clone, Debug, Serialize)]
pub(super) struct First {
    line: String,
    runs: u32,
    violations: Vec<Violation>,
    replay: String,
    /// Between which moments it became unavoidable, in microseconds of world time; `null` if that could not be told.
    unavoidable_us: Option<[u64; 2]>,
    files: Vec<String>,
}

impl First {
    pub(super) fn new(explained: &Explained, replay: String) -> Self {
        let files = explained.files.iter();
        Self {
            line: explained.scenario.to_line(),
            runs: explained.runs,
            violations: explained.report.violations.clone(),
            replay,
            unavoidable_us: explained
                .dated
                .map(|dated| [dated.after, dated.by].map(|time| time.as_nanos() / 1000)),
            files: files.map(|file| file.display().to_string()).collect(),
        }
    }
}

/// A number over all runs.
#[derive(Clone, Debug, Serialize)]
struct Statistic {
    name: String,
    unit: Unit,
    runs: usize,
    min: u64,
    median: u64,
    mean: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

impl From<Summary> for Statistic {
    fn from(summary: Summary) -> Self {
        let stats = summary.stats;
        Self {
            name: summary.name,
            unit: summary.unit,
            runs: stats.count,
            min: stats.min,
            median: stats.median,
            mean: stats.mean,
            p90: stats.p90,
            p99: stats.p99,
            max: stats.max,
        }
    }
}

/// All that came of the runs.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    schema: u32,
    pub(super) asked: Asked,
    pub(super) runs: u64,
    pub(super) hash: String,
    pub(super) effects: Vec<Effect>,
    pub(super) failures: Vec<Failed>,
    pub(super) first: Option<First>,
    statistics: Vec<Statistic>,
    /// What is compared: the mean and the 99th of a hundred of each number.
    numbers: Vec<Number>,
}

impl Document {
    pub(super) fn new(asked: Asked, gathered: &Gathered) -> Self {
        let summaries = gathered.summaries();
        Self {
            schema: SCHEMA,
            asked,
            runs: 0,
            hash: String::new(),
            effects: Vec::new(),
            failures: Vec::new(),
            first: None,
            numbers: summaries.iter().flat_map(compared).collect(),
            statistics: summaries.into_iter().map(Statistic::from).collect(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("numbers, names and lists can be written") + "\n"
    }
}

fn compared(summary: &Summary) -> [Number; 2] {
    let number = |what: &str, value| Number {
        name: format!("{}, {what}", summary.name),
        value,
        unit: summary.unit,
        better: summary.better,
    };
    let stats = &summary.stats;
    [number("mean", stats.mean), number("p99", stats.p99)]
}

/// What is read of an earlier report.
#[derive(Debug, Deserialize)]
pub(super) struct Baseline {
    schema: u32,
    pub(super) asked: Asked,
    runs: u64,
    numbers: Vec<Number>,
}

impl Baseline {
    /// Reads a report that `--out` has written.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let place = path.display();
        let text = fs::read_to_string(path);
        let text =
            text.map_err(|error| Failure::cannot_start(format!("cannot read {place}: {error}")))?;
        let parsed: Result<Self, _> = serde_json::from_str(&text);
        let baseline = parsed.map_err(|error| {
            Failure::cannot_start(format!(
                "{place} is no report of rs2p sim run --out: {error}"
            ))
        })?;
        if baseline.schema != SCHEMA {
            let found = baseline.schema;
            return Err(Failure::cannot_start(format!(
                "{place} has schema {found}, and this version reads schema {SCHEMA}"
            )));
        }
        Ok(baseline)
    }

    /// Refuses to be compared with runs of anything else.
    pub(super) fn check(&self, asked: &Asked) -> Result<(), Failure> {
        if self.asked == *asked {
            return Ok(());
        }
        let words = |asked: &Asked| serde_json::to_string(asked).unwrap_or_default();
        Err(Failure::cannot_start(format!(
            "the baseline is of other scenarios, so that its numbers cannot be compared:\n  then {}\n  now  {}",
            words(&self.asked),
            words(asked)
        )))
    }

    /// Returns what has changed as a table, and whether anything got worse by too much.
    pub(super) fn compare(&self, now: &Document) -> (String, bool) {
        let report = |numbers: &[Number]| Report {
            numbers: numbers.to_vec(),
            ..Report::default()
        };
        let (old, new) = (report(&self.numbers), report(&now.numbers));
        let mut comparison = compare(&old, &new, &Thresholds::default());
        let is_worse = comparison.is_worse();
        let all = comparison.changes.len();
        comparison
            .changes
            .retain(|change| change.verdict != Verdict::Same);
        let changed = comparison.changes.len();
        let mut text =
            format!("\ncompared with the baseline, {changed} of {all} numbers changed\n");
        if self.runs != now.runs {
            let then = self.runs;
            text += &format!(
                "(its numbers are of {then} runs, and these of {})\n",
                now.runs
            );
        }
        if changed > 0 {
            text += &comparison.text();
        }
        (text, is_worse)
    }
}
