//! Bugs planted in the nodes, each of which a test has to find: the test of the tests.
//!
//! How each is found is written down in [`table`], so that the gate runs one scenario or a few for each. A change of the
//! nodes may make a scenario drawn from a seed find something else: then the next ones are tried, up to a limit.
//! `RS2P_SIM_SEEDS=400 cargo test -p rs2p-tests --test sim bugs_are_sought_anew -- --ignored --nocapture` seeks all of them
//! anew, and prints the table.

use std::collections::BTreeMap;
use std::env;
use std::sync::Mutex;
use std::time::Instant;

use rs2p_core::{Config, Sabotage};
use rs2p_sim::{
    Checker, Family, Options, Outcome, Profile, Rs2p, Scenario, SweepOptions, run, sweep,
};

use crate::settings::{count, families};
use named::Named;
use table::{How, TABLE};

pub(crate) mod named;
mod table;

/// How many scenarios are tried where the one that is written down does not find its bug any more.
const BUDGET: u64 = 80;

/// How many bugs have to be found by simulation.
const AT_LEAST: usize = 36;

/// How a bug was found.
struct Catch {
    checker: Checker,
    kind: String,
    scenarios: u64,
}

/// Returns one of the scenarios in which bugs are sought: in turns of rs2p alone, with narrow limits, mixed, and with nodes
/// that mean harm. They are small, so that there can be many.
fn scenario(number: u64) -> Scenario {
    let profile = Profile {
        max_nodes: 8,
        max_faults: 12,
        min_storm_ms: 20_000,
        max_storm_ms: 60_000,
        max_messages: 60,
        ..Profile::mesh_only().with_families(&families(|family| family != Family::Hostile))
    };
    let profile = match number % 4 {
        0 => profile,
        1 => Profile {
            limited_percent: 100,
            max_messages: 300,
            ..profile
        },
        2 => Profile {
            mixed_percent: 100,
            ..profile
        },
        _ => profile.with_families(&families(|_| true)),
    };
    Scenario::from_seed_with(number, &profile)
}

/// Runs a scenario until something is wrong, with a bug or without.
fn played(bug: Option<Sabotage>, scenario: &Scenario, adapt: fn(&mut Config)) -> Outcome {
    let protocol = Rs2p::with(move |config| {
        adapt(config);
        config.sabotage = bug;
    });
    run(&protocol, scenario, Options::default().stopping())
}

/// Returns how a scenario fails with a bug, if it does not without.
fn catch_in(bug: Sabotage, scenario: &Scenario) -> Option<(Checker, String)> {
    let report = played(Some(bug), scenario, |_| {}).report;
    let first = report.violations.first()?;
    let sound = played(None, scenario, |_| {}).report;
    sound
        .violations
        .is_empty()
        .then(|| (first.checker, first.kind.clone()))
}

fn catch_named(bug: Sabotage, named: &Named) -> Option<Catch> {
    let report = played(Some(bug), &named.scenario, named.adapt).report;
    let first = report.violations.first()?;
    sound(named).report.violations.is_empty().then(|| Catch {
        checker: first.checker,
        kind: first.kind.clone(),
        scenarios: 1,
    })
}

/// Returns what comes of a scenario that has a name, without a bug. Each is run once, whoever asks.
pub(crate) fn sound(named: &Named) -> Outcome {
    static PLAYED: Mutex<BTreeMap<&str, Outcome>> = Mutex::new(BTreeMap::new());
    let played_before = || PLAYED.lock().unwrap().get(named.name).cloned();
    played_before().unwrap_or_else(|| {
        // Not under the lock: others may ask for other ones.
        let outcome = played(None, &named.scenario, named.adapt);
        PLAYED.lock().unwrap().insert(named.name, outcome.clone());
        outcome
    })
}

/// Seeks a bug in drawn scenarios, from the first on; returns in which it was found as well.
fn seek(bug: Sabotage, budget: u64) -> Option<(u64, Catch)> {
    let mut options = SweepOptions::default();
    options.run = options.run.stopping();
    options.twice = 0;
    let protocol = Rs2p::sabotaged(bug);
    let mut from = 0;
    while from < budget {
        let swept = sweep(&protocol, from..budget, scenario, options, |_| true);
        let (number, failure) = swept.failures.first()?;
        from = number + 1;
        if let Some((checker, kind)) = catch_in(bug, &failure.scenario) {
            let found = Catch {
                checker,
                kind,
                scenarios: from,
            };
            return Some((*number, found));
        }
    }
    None
}

/// Finds a bug as it is written down, or else by seeking it.
fn find(bug: Sabotage, how: How) -> Option<Catch> {
    match how {
        How::Named(name) => catch_named(bug, &named::named(name)),
        How::Seed(seed) => {
            if let Some((checker, kind)) = catch_in(bug, &scenario(seed)) {
                let scenarios = 1;
                return Some(Catch {
                    checker,
                    kind,
                    scenarios,
                });
            }
            let (_, mut found) = seek(bug, BUDGET)?;
            found.scenarios += 1;
            Some(found)
        }
        How::CoreTest(_) => None,
    }
}

/// Returns the bugs to plant: all, or those that the environment names.
fn wanted() -> Vec<Sabotage> {
    match env::var("RS2P_SIM_BUGS").ok().as_deref() {
        None | Some("all") => Sabotage::ALL.to_vec(),
        Some(names) => names
            .split(',')
            .map(|name| {
                Sabotage::from_name(name.trim())
                    .unwrap_or_else(|| panic!("RS2P_SIM_BUGS: there is no bug {name:?}"))
            })
            .collect(),
    }
}

fn line(bug: Sabotage, found: &Catch, how: &str) -> String {
    let kind: String = found
        .kind
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(24)
        .collect();
    let by = format!("{} {kind}", found.checker.code());
    format!("{:25}{by:28}{:>9}  {how}", bug.name(), found.scenarios)
}

#[test]
fn planted_bugs_are_found() {
    let wanted = wanted();
    let mut caught = Vec::new();
    let mut survived = Vec::new();
    println!("bug                      found by                    scenarios  in");
    for (bug, how) in TABLE.iter().filter(|(bug, _)| wanted.contains(bug)) {
        match (find(*bug, *how), how) {
            (Some(found), _) => {
                println!("{}", line(*bug, &found, &how.to_string()));
                caught.push(found.scenarios);
            }
            (None, How::CoreTest(_)) => println!("{:25}{how}", bug.name()),
            (None, _) => {
                println!("{:25}SURVIVED  {how}", bug.name());
                survived.push(*bug);
            }
        }
    }
    let all: u64 = caught.iter().sum();
    let held = |how: &How| matches!(how, How::CoreTest(_));
    let held = TABLE.iter().filter(|(_, how)| held(how)).count();
    let (found, bugs) = (caught.len(), TABLE.len());
    println!(
        "of {bugs} bugs {found} are found in {all} scenarios, and {held} by the core's own tests"
    );
    assert!(survived.is_empty(), "not found: {survived:?}");
    let is_all = env::var_os("RS2P_SIM_BUGS").is_none();
    assert!(
        !is_all || caught.len() >= AT_LEAST,
        "{} found",
        caught.len()
    );
}

#[test]
#[ignore = "it takes many minutes"]
fn bugs_are_sought_anew() {
    let sound: Vec<Named> = named::all()
        .into_iter()
        .filter(|named| {
            let began = Instant::now();
            let report = sound(named).report;
            let violation = report.violations.first();
            println!(
                "{}: {:.1?} {}",
                named.name,
                began.elapsed(),
                violation.map_or_else(String::new, ToString::to_string)
            );
            violation.is_none()
        })
        .collect();
    for bug in wanted() {
        let mut is_found = false;
        for named in &sound {
            let report = played(Some(bug), &named.scenario, named.adapt).report;
            if let Some(first) = report.violations.first() {
                is_found = true;
                println!(
                    "    (Sabotage::{bug}, How::Named({:?})), // {}",
                    named.name, first.checker
                );
            }
        }
        match seek(bug, count(BUDGET)) {
            Some((seed, found)) => println!(
                "    (Sabotage::{bug}, How::Seed({seed})), // {}",
                found.checker
            ),
            None if is_found => {}
            None => println!("{bug} SURVIVED"),
        }
    }
}
