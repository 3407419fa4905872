//! The same scenario files in the simulator and with real nodes; see [`rs2p_tests::real`] for how to add one.
//!
//! - `RS2P_REAL=halves,delay` plays these only, by the names of their files.

#![expect(
    clippy::unwrap_used,
    reason = "the bodies of these tests are functions, and a failure fails the test"
)]

mod sabotage;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;
use std::{env, fs, thread};

use rs2p_sim::{Options, Outcome, Scenario, folder, run, write_down_in};
use rs2p_tests::real::{Brisk, check, play};

/// How many scenarios are played side by side: nodes mostly wait.
const SIDE_BY_SIDE: usize = 9;

/// How often a scenario is played if a fault strikes nothing: which connections there are is another story each time.
const TRIES: usize = 3;

/// Returns all scenarios, by name.
fn scenarios() -> Vec<(String, Scenario)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/scenarios");
    let files = fs::read_dir(&directory).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let scenario = Scenario::from_json(&text);
        let scenario = scenario.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().unwrap().to_str().unwrap();
        (name.to_owned(), scenario)
    };
    files.iter().map(read).collect()
}

/// Returns the scenarios that the environment names, or all.
fn wanted() -> Vec<(String, Scenario)> {
    let mut all = scenarios();
    if let Ok(wanted) = env::var("RS2P_REAL") {
        let names: BTreeSet<&str> = wanted.split(',').map(str::trim).collect();
        for name in &names {
            let is_there = all.iter().any(|(other, _)| other == name);
            assert!(is_there, "RS2P_REAL: there is no scenario {name:?}");
        }
        all.retain(|(name, _)| names.contains(name.as_str()));
    }
    all
}

/// Returns what is wrong, and where it is written down.
fn failure(name: &str, scenario: &Scenario, outcome: &Outcome) -> String {
    let again = format!("RS2P_REAL={name} cargo test -p rs2p-tests --test real");
    let files = write_down_in(
        &folder(),
        scenario,
        outcome,
        &format!("real-{name}"),
        &again,
    );
    let violations = outcome.report.violations.iter();
    let sentences: Vec<String> = violations
        .map(|violation| format!("    {violation}\n"))
        .collect();
    format!("{name}:\n{}    to look at: {files:?}\n", sentences.concat())
}

/// Does this with each of these, many side by side, and returns what failed.
fn side_by_side<T: Sync>(all: &[T], act: impl Fn(&T) -> Result<(), String> + Sync) -> Vec<String> {
    let todo = Mutex::new(all.iter());
    let failures = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = todo.lock().unwrap().next();
            let Some(next) = next else {
                return;
            };
            if let Err(failure) = act(next) {
                failures.lock().unwrap().push(failure);
            }
        }
    };
    thread::scope(|scope| (0..SIDE_BY_SIDE).for_each(|_| _ = scope.spawn(work)));
    failures.into_inner().unwrap()
}

/// Plays a scenario, again if a fault struck nothing. Returns what is wrong.
fn play_well(name: &str, scenario: &Scenario) -> Result<(), String> {
    let mut inert = Vec::new();
    for _ in 0..TRIES {
        let began = Instant::now();
        let outcome = smol::block_on(play(Brisk::default(), scenario));
        let outcome = outcome.map_err(|error| format!("{name}: {error}\n"))?;
        println!(
            "{name}: {:.1?}, faults came to {:?}",
            began.elapsed(),
            outcome.effects
        );
        if !outcome.report.violations.is_empty() {
            return Err(failure(name, scenario, &outcome));
        }
        let faults = scenario.faults.iter().zip(&outcome.effects);
        inert = faults
            .filter(|(_, effect)| **effect == 0)
            .map(|(fault, _)| *fault)
            .collect();
        if inert.is_empty() {
            return Ok(());
        }
    }
    Err(format!("{name}: did nothing in {TRIES} runs: {inert:?}\n"))
}

#[test]
fn every_scenario_holds_with_real_nodes() {
    let failures = side_by_side(&wanted(), |(name, scenario)| play_well(name, scenario));
    assert!(failures.is_empty(), "{}", failures.concat());
}

#[test]
fn every_scenario_holds_in_the_simulator() {
    for (name, scenario) in wanted() {
        let options = Options::default().traced().demanding_effects();
        let outcome = run(&Brisk::default(), &scenario, options);
        let is_clean = outcome.report.violations.is_empty();
        assert!(
            is_clean,
            "{}",
            failure(&format!("{name}-simulated"), &scenario, &outcome)
        );
    }
}

#[test]
fn every_scenario_can_be_played_with_real_nodes() {
    let all = scenarios();
    for (name, scenario) in &all {
        assert_eq!(check(scenario), Ok(()), "{name}");
    }
    assert!(
        all.len() >= 15 || env::var_os("RS2P_REAL").is_some(),
        "{}",
        all.len()
    );
}
