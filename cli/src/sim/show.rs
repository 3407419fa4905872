//! `rs2p sim show`: what a scenario is, and what happens in it.

use rs2p_sim as sim;
use rs2p_sim::view::{self, Filter, PageOptions, Spread, Story};
use rs2p_sim::{Options, Outcome, Scenario, Time, Trace};

use super::args::Show;
use super::one::verdict;
use super::output;
use super::quiet::Quiet;
use super::source;
use crate::exit::Failure;

/// How many records of a run without failure a sequence diagram is chosen from.
const MERMAID_RECORDS: usize = view::MAX_MERMAID_EVENTS;

/// How many records around the failure are shown at its node whether they matter or not.
const AROUND: usize = 3;

pub(super) fn run(args: &Show) -> Result<(), Failure> {
    let scenario = source::scenario(&args.scenario)?;
    if args.words {
        output::show(&format!("{}\n", scenario.describe()))?;
    }
    if let Some(name) = &args.rust {
        let check = sim::check_in_rust(&args.bug.protocol(), Options::default());
        output::show(&scenario.to_rust(name, &check))?;
    }
    if !needs_run(args) {
        return Ok(());
    }
    let mut outcome = {
        let _quiet = Quiet::new();
        sim::run(&args.bug.protocol(), &scenario, Options::default().traced())
    };
    let trace = outcome.trace.take().unwrap_or_default();
    if wants_timeline(args) {
        output::show(&timeline(args, &trace)?)?;
    }
    spread(args, &trace)?;
    files(args, &scenario, &outcome, &trace)?;
    if args.mermaid {
        output::show(&view::mermaid(&story(&outcome, &trace)))?;
    }
    if is_bare(args) {
        let numbers = view::numbers(&outcome.report);
        output::show(&format!("{}\n{numbers}", verdict(&scenario, &outcome)))?;
    }
    Ok(())
}

/// Returns whether any of what was asked for is about what happened.
fn needs_run(args: &Show) -> bool {
    !(args.words || args.rust.is_some()) || !is_bare(args)
}

/// Returns whether nothing of the run in particular was asked for.
fn is_bare(args: &Show) -> bool {
    let files = [&args.html, &args.dot, &args.chrome];
    !wants_timeline(args)
        && args.spread.is_none()
        && !args.mermaid
        && files.iter().all(|file| file.is_none())
}

/// Returns whether a timeline is wanted: who chooses some of it wants it.
fn wants_timeline(args: &Show) -> bool {
    args.timeline
        || !args.nodes.is_empty()
        || !args.kinds.is_empty()
        || args.from.is_some()
        || args.until.is_some()
        || args.limit.is_some()
}

fn timeline(args: &Show, trace: &Trace) -> Result<String, Failure> {
    if let Some(node) = args.nodes.iter().find(|node| **node >= trace.nodes) {
        let nodes = trace.nodes;
        return Err(Failure::cannot_start(format!(
            "there is no node {node} in this scenario: they are 0 to {}",
            nodes.saturating_sub(1)
        )));
    }
    let filter = Filter {
        nodes: args.nodes.clone(),
        from: args.from.map_or(Time::ZERO, |from| Time::ZERO.after(from)),
        until: args
            .until
            .map_or(Time::MAX, |until| Time::ZERO.after(until)),
        kinds: args.kinds.clone(),
        limit: args.limit.unwrap_or(usize::MAX),
    };
    let text = view::timeline(trace, &filter);
    Ok(match text.as_str() {
        "" => "nothing happened that was chosen\n".to_owned(),
        _ => text,
    })
}

fn spread(args: &Show, trace: &Trace) -> Result<(), Failure> {
    let Some(message) = args.spread else {
        return Ok(());
    };
    let spread = Spread::of(trace, message).ok_or_else(|| {
        let published = trace
            .records
            .iter()
            .filter(|record| matches!(record.what, sim::What::Published { .. }));
        let published = published.count();
        Failure::cannot_start(format!(
            "there is no message {message}: {published} were published, and are counted from 0"
        ))
    })?;
    output::show(&spread.text())?;
    match &args.dot {
        Some(path) => output::write(path, &spread.dot()),
        None => Ok(()),
    }
}

fn files(
    args: &Show,
    scenario: &Scenario,
    outcome: &Outcome,
    trace: &Trace,
) -> Result<(), Failure> {
    if let Some(path) = &args.html {
        let options = PageOptions {
            replay: Some(super::replay_command(&scenario.to_line(), args.bug)),
            scenario: Some(scenario.describe()),
            ..PageOptions::default()
        };
        output::write(path, &view::page(trace, &outcome.report, &options))?;
    }
    if let Some(path) = &args.chrome {
        output::write(path, &view::chrome_trace(trace))?;
    }
    Ok(())
}

fn story<'a>(outcome: &'a Outcome, trace: &'a Trace) -> Story<'a> {
    match outcome.report.violations.first() {
        Some(violation) => Story::of_violation(trace, violation, AROUND),
        None => Story::of_run(trace, MERMAID_RECORDS),
    }
}
