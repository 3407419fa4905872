//! `rs2p sim replay` and `rs2p sim shrink`: one scenario.

use rs2p_sim as sim;
use rs2p_sim::{Options, Outcome, Report, Scenario, check_in_rust, in_words, view};
use serde::Serialize;

use super::args::{Bug, Replay, Shrink};
use super::failure::{Explain, list};
use super::quiet::Quiet;
use super::{judged, output, replay_command, source};
use crate::exit::Failure;

/// What the files are called.
const NAME: &str = "scenario";

fn options(demand_effects: bool) -> Options {
    match demand_effects {
        true => Options::default().demanding_effects(),
        false => Options::default(),
    }
}

/// What a run came to, for programs.
#[derive(Serialize)]
struct Replayed<'a> {
    schema: u32,
    line: String,
    files: Vec<String>,
    #[serde(flatten)]
    report: &'a Report,
    /// As text: not all programs read numbers of 64 bits whole.
    hash: String,
}

pub(super) fn replay(args: &Replay) -> Result<(), Failure> {
    let scenario = source::scenario(&args.scenario)?;
    let mut options = options(args.demand_effects);
    // A panic is shown once, as the system does it: that is what somebody looks for who replays it.
    let again = quietly(&scenario, options, args.bug);
    if args.trace.is_some() {
        options = options.traced();
    }
    let outcome = sim::run(&args.bug.protocol(), &scenario, options);
    let folder = args.trace.as_ref();
    let command = replay_command(&scenario.to_line(), args.bug);
    let files =
        folder.map(|folder| sim::write_down_in(folder, &scenario, &outcome, NAME, &command));
    if args.json {
        let written = files.iter().flatten().flatten();
        let replayed = Replayed {
            schema: 1,
            line: scenario.to_line(),
            files: written.map(|file| file.display().to_string()).collect(),
            report: &outcome.report,
            hash: format!("{:016x}", outcome.report.hash),
        };
        let json = serde_json::to_string_pretty(&replayed);
        let json = json.expect("numbers, names and lists can be written");
        output::show(&format!("{json}\n"))?;
    } else {
        let mut text = verdict(&scenario, &outcome);
        text += &format!("\n{}", view::numbers(&outcome.report));
        if let Some(files) = &files {
            text += &list(files);
        }
        output::show(&text)?;
    }
    if let (Some(folder), Some(Err(error))) = (folder, files) {
        let folder = folder.display();
        return Err(Failure::failed(format!(
            "cannot write to {folder}: {error}"
        )));
    }
    if again.report.hash != outcome.report.hash {
        let (one, other) = (again.report.hash, outcome.report.hash);
        return Err(Failure::found(
            13,
            format!("two runs of the same scenario differ: {one:016x} and {other:016x}"),
        ));
    }
    judged(&outcome.report)
}

fn quietly(scenario: &Scenario, options: Options, bug: Bug) -> Outcome {
    let _quiet = Quiet::new();
    sim::run(&bug.protocol(), scenario, options)
}

/// Returns what a scenario is and what came of it, in words.
pub(super) fn verdict(scenario: &Scenario, outcome: &Outcome) -> String {
    if !outcome.report.violations.is_empty() {
        return in_words(scenario, scenario, &outcome.report, 1);
    }
    let mut text = format!("{}\n\nno rule was broken\n", scenario.describe());
    let nodes = scenario.nodes.into();
    for (fault, effect) in scenario.faults.iter().zip(&outcome.effects) {
        if *effect == 0 {
            text += &format!("this fault did nothing: {}\n", fault.describe(nodes));
        }
    }
    text
}

pub(super) fn shrink(args: &Shrink) -> Result<(), Failure> {
    let scenario = source::scenario(&args.scenario)?;
    let options = options(args.demand_effects);
    let outcome = quietly(&scenario, options, args.bug);
    if outcome.report.violations.is_empty() {
        return Err(Failure::failed(
            "no rule is broken in this scenario, so there is nothing to make smaller",
        ));
    }
    let explain = Explain {
        options,
        bug: args.bug,
        folder: args.trace.as_deref(),
        name: NAME,
        writes: args.trace.is_some(),
    };
    let failure = sim::Failure::new(scenario.clone(), outcome.report);
    let shrunk = explain.shrink(&failure, true);
    let shrunk = shrunk.ok_or_else(|| {
        Failure::found(
            13,
            "it failed once, and not when it was run again: it is not deterministic",
        )
    })?;
    let explained = explain.tell_shrunk(&scenario, &shrunk, true);
    let is_done = match shrunk.is_done {
        true => "nothing more can be taken away\n",
        false => "there was no time to take away more\n",
    };
    let small = &shrunk.scenario;
    let line = small.to_line();
    let test = small.to_rust(
        "found_by_shrinking",
        &check_in_rust(&args.bug.protocol(), options),
    );
    let text = format!(
        "{}\n{is_done}\nas a line:\n{line}\n\nas JSON:\n{}\n\nas a test:\n{test}",
        explained.text,
        small.to_json()
    );
    output::show(&text)?;
    judged(&explained.report)
}
