//! From a failure to what a person needs of it: the smallest scenario that still fails, what is wrong in a sentence, how to
//! run it again, and pictures.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, io};

use crate::protocol::Protocol;
use crate::report::{Report, Violation};
use crate::run::{Options, Outcome, run};
use crate::scenario::Scenario;
use crate::shrink::{Dated, MAX_SHRINK_RUNS, Progress, Shrunk, date, shrink};
use crate::sweep::Failure;
use crate::time::Time;
use crate::view::{Filter, PageOptions, timeline};

/// How long a failure may be shrunk, and dated after that: a minute in all.
const SHRINK_TIME: Duration = Duration::from_secs(45);
const DATE_TIME: Duration = Duration::from_secs(15);

/// By how many seeds each moment is judged when a failure is dated.
const VARIANTS: u32 = 32;

/// Where the pictures go, if that is set; otherwise into `target/rs2p-sim`.
const DIRECTORY: &str = "RS2P_SIM_TRACE";

/// A failure, made as small as it gets, and all that was written down of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The smallest scenario that still fails in the same way.
    pub scenario: Scenario,
    /// What came of it.
    pub report: Report,
    /// How many scenarios were run to find it.
    pub runs: u32,
    /// The files that were written: the page first.
    pub files: Vec<PathBuf>,
    /// All of it in words.
    pub text: String,
}

/// Makes a failing scenario as small as it gets within 45 s, or 2,000 runs. `None` if it does not fail.
///
/// `progress` is told how far it is before each run.
pub fn shrink_failure<P: Protocol>(
    protocol: &P,
    failure: &Failure,
    options: Options,
    mut progress: impl FnMut(&Progress),
) -> Option<Shrunk> {
    let began = Instant::now();
    let first = failure.report.violations.first()?;
    let formed = failure.report.number("time to form").unwrap_or(0) / 1000;
    let violated = first.at.as_millis().saturating_sub(formed);
    // Nobody looks at what a panic prints that is expected by now.
    shrink(
        &failure.scenario,
        u32::try_from(violated).ok(),
        |now| {
            progress(now);
            now.runs < MAX_SHRINK_RUNS && began.elapsed() < SHRINK_TIME
        },
        |scenario| run(protocol, scenario, options).report.fingerprint(),
    )
}

/// Finds when a failure became unavoidable, as well as that can be told within 15 s. `None` if it does not fail, or takes too
/// long to run.
///
/// `progress` is told how many runs there were, before each.
pub fn date_failure<P: Protocol>(
    protocol: &P,
    failure: &Failure,
    options: Options,
    mut progress: impl FnMut(u32),
) -> Option<Dated> {
    let began = Instant::now();
    let first = failure.report.violations.first()?;
    date(
        &failure.scenario,
        first.at,
        VARIANTS,
        |runs| {
            progress(runs);
            began.elapsed() < DATE_TIME
        },
        |scenario, chance| {
            let mut options = options.stopping();
            options.turn = chance;
            run(protocol, scenario, options).report.fingerprint()
        },
    )
}

/// Returns the Rust that runs a scenario with this protocol, and checks that nothing is wrong: the body of a test.
pub fn check_in_rust<P: Protocol>(protocol: &P, options: Options) -> String {
    let demanding = match options.is_effect_demanded {
        true => ".demanding_effects()",
        false => "",
    };
    format!(
        "let options = Options::default(){demanding};\n\
         let outcome = run(&{}, &scenario, options);\n\
         assert_eq!(outcome.report.violations, []);",
        protocol.in_rust()
    )
}

/// Shrinks a failure, dates it, runs it once more with everything on, and writes down what a person needs.
///
/// `name` is that of the files and of the test.
pub fn explain<P: Protocol>(
    protocol: &P,
    failure: &Failure,
    options: Options,
    name: &str,
    progress: impl FnMut(&Progress),
) -> Explanation {
    let shrunk = shrink_failure(protocol, failure, options, progress);
    let (scenario, runs) = match shrunk {
        Some(shrunk) => (shrunk.scenario, shrunk.runs),
        None => (failure.scenario.clone(), 0),
    };
    let outcome = run(protocol, &scenario, options.traced());
    let files = write_down(&scenario, &outcome, name);
    let report = outcome.report;
    let mut text = in_words(&failure.scenario, &scenario, &report, runs);
    let small = Failure::new(scenario.clone(), report.clone());
    if let Some(dated) = date_failure(protocol, &small, options, |_| ()) {
        let _ = writeln!(text, "\n{dated}");
    }
    let _ = writeln!(
        text,
        "\nrun it again:\n    RS2P_SIM_REPLAY={} cargo test {name}",
        scenario.to_line()
    );
    let _ = writeln!(
        text,
        "\nas a test:\n{}",
        indented(&scenario.to_rust(&format!("{name}_again"), &check_in_rust(protocol, options),))
    );
    match &files {
        Ok(files) => {
            text.push_str("\nto look at:\n");
            for file in files {
                let _ = writeln!(text, "    {}", file.display());
            }
        }
        Err(error) => {
            let _ = writeln!(text, "\nnothing could be written to look at: {error}");
        }
    }
    Explanation {
        scenario,
        report,
        runs,
        files: files.unwrap_or_default(),
        text,
    }
}

/// Returns what is wrong, when, and in which scenario, in words: `scenario` is the smallest of so many that came of `was`, and
/// `report` what came of running it.
pub fn in_words(was: &Scenario, scenario: &Scenario, report: &Report, runs: u32) -> String {
    // Writing to a string does not fail.
    let mut text = String::new();
    match report.violations.first() {
        Some(first) => {
            let _ = writeln!(text, "{first}");
            let _ = writeln!(text, "found {}", moment(first, report));
        }
        None => text.push_str("it did not fail when it was run again\n"),
    }
    let others = report.violations.len().saturating_sub(1);
    if others > 0 {
        let _ = writeln!(text, "(and {others} more after that)");
    }
    let was = [
        counted(was.nodes.max(1).into(), "node"),
        counted(was.faults.len() as u64, "fault"),
        counted(was.messages(), "message"),
    ];
    let [nodes, faults, messages] = was;
    let _ = if runs > 1 {
        writeln!(
            text,
            "\nthe smallest of {runs} scenarios in which this happens, from one of {nodes}, {faults} and {messages}:"
        )
    } else {
        writeln!(text, "\nthe scenario:")
    };
    text.push_str(&indented(&scenario.describe()));
    text
}

/// Returns when a violation was found: by the clock of the world, which traces and pages show, and by that of the scenario.
fn moment(violation: &Violation, report: &Report) -> String {
    let at = violation.at;
    let Some(formed) = report.number("time to form") else {
        return format!("at {at} s");
    };
    let since = at.as_millis().saturating_sub(formed / 1000);
    let since = Time::from_millis(since);
    format!(
        "at {at} s, that is {since} s after the network had formed, which is where the times below begin"
    )
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {line}\n"));
    lines.collect()
}

/// Writes the page, the timeline, the scenario and the trace of a run to the folder that `RS2P_SIM_TRACE` names, or to
/// `rs2p-sim` in the target folder, or in the one for temporary files. Returns their places.
///
/// # Errors
///
/// A folder or a file cannot be written.
pub fn write_down(scenario: &Scenario, outcome: &Outcome, name: &str) -> io::Result<Vec<PathBuf>> {
    let again = format!("RS2P_SIM_REPLAY={} cargo test {name}", scenario.to_line());
    write_down_in(&folder(), scenario, outcome, name, &again)
}

/// As [`write_down`], to another folder, which is made if it is not there; `again` is the command that the page names to run
/// the scenario again.
///
/// # Errors
///
/// A folder or a file cannot be written.
pub fn write_down_in(
    directory: &Path,
    scenario: &Scenario,
    outcome: &Outcome,
    name: &str,
    again: &str,
) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(directory)?;
    let mut files = Vec::new();
    let mut write = |ending: &str, text: &str| {
        let path = directory.join(format!("{name}.{ending}"));
        fs::write(&path, text)?;
        files.push(path);
        io::Result::Ok(())
    };
    if let Some(trace) = &outcome.trace {
        let options = PageOptions {
            replay: Some(again.to_owned()),
            scenario: Some(scenario.describe()),
            ..PageOptions::default()
        };
        write("html", &crate::view::page(trace, &outcome.report, &options))?;
        write("txt", &timeline(trace, &Filter::default()))?;
        #[cfg(feature = "json")]
        write("jsonl", &crate::view::json_lines(trace))?;
    }
    #[cfg(feature = "json")]
    write("json", &scenario.to_json())?;
    write("line", &scenario.to_line())?;
    Ok(files)
}

/// Returns the folder for what people look at: what `RS2P_SIM_TRACE` names, or `rs2p-sim` in the target folder that is nearest
/// above the package under test, or a folder for temporary files.
pub fn folder() -> PathBuf {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return PathBuf::from(directory);
    }
    let here = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = here.or_else(|| env::current_dir().ok());
    let targets = here.iter().flat_map(|here| here.ancestors());
    let mut targets = targets.map(|folder| folder.join("target"));
    let target = targets.find(|target| Path::is_dir(target));
    target.unwrap_or_else(env::temp_dir).join("rs2p-sim")
}
