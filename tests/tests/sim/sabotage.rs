//! Bugs planted in the nodes, each of which the simulator has to find: the test of the tests.

use std::env;
use std::time::Instant;

use rs2p_core::Sabotage;
use rs2p_sim::{Checker, Family, Options, Profile, Rs2p, Scenario, SweepOptions, run, sweep};

use crate::settings::{count, families};

mod named;
mod unseen;

/// How many scenarios a bug may survive.
const BUDGET: u64 = 400;

/// How few bugs have to be found by simulation.
const AT_LEAST: usize = 40;

/// A bug that was found.
struct Catch {
    checker: Checker,
    kind: String,
    scenarios: u64,
    is_named: bool,
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

/// Returns how a scenario fails with a bug, if it does not without.
fn catch_in(bug: Sabotage, scenario: &Scenario) -> Option<(Checker, String)> {
    let report = run(&Rs2p::sabotaged(bug), scenario, Options::default()).report;
    let first = report.violations.first()?;
    let sound = run(&Rs2p::default(), scenario, Options::default()).report;
    sound
        .violations
        .is_empty()
        .then(|| (first.checker, first.kind.clone()))
}

/// Seeks a bug, in the scenario that is made for it if there is one, and then in others.
fn seek(bug: Sabotage) -> Option<Catch> {
    let mut scenarios = 0;
    if let Some(scenario) = named::scenario(bug) {
        scenarios += 1;
        if let Some((checker, kind)) = catch_in(bug, &scenario) {
            return Some(Catch {
                checker,
                kind,
                scenarios,
                is_named: true,
            });
        }
    }
    let budget = count(BUDGET);
    let mut from = 0;
    while from < budget {
        let options = SweepOptions::default();
        let swept = sweep(
            &Rs2p::sabotaged(bug),
            from..budget,
            scenario,
            options,
            |_| true,
        );
        let (number, failure) = swept.failures.first()?;
        from = number + 1;
        if let Some((checker, kind)) = catch_in(bug, &failure.scenario) {
            return Some(Catch {
                checker,
                kind,
                scenarios: scenarios + from,
                is_named: false,
            });
        }
    }
    None
}

/// Returns the bugs to plant: all that a simulation can see, or those that the environment names.
fn wanted() -> Vec<Sabotage> {
    let all = Sabotage::ALL.iter().copied();
    let names = env::var("RS2P_SIM_BUGS").ok();
    match names.as_deref() {
        None => all
            .filter(|bug| unseen::UNSEEN.iter().all(|(other, ..)| other != bug))
            .collect(),
        Some("all") => all.collect(),
        Some(names) => names
            .split(',')
            .map(|name| {
                Sabotage::from_name(name.trim())
                    .unwrap_or_else(|| panic!("RS2P_SIM_BUGS: there is no bug {name:?}"))
            })
            .collect(),
    }
}

#[test]
#[ignore = "it takes many minutes, and some bugs are not found yet"]
fn planted_bugs_are_found() {
    let bugs = wanted();
    let mut caught = Vec::new();
    let mut survived = Vec::new();
    println!("bug                      found by               scenarios");
    for bug in bugs.iter().copied() {
        let began = Instant::now();
        let name = bug.name();
        match seek(bug) {
            Some(found) => {
                let kind = found.kind.lines().next().unwrap_or_default();
                let by = format!("{} {kind}", found.checker.code());
                let how = if found.is_named { " (its own)" } else { "" };
                let (scenarios, took) = (found.scenarios, began.elapsed());
                println!("{name:25}{by:32}{scenarios:>5}{how} {took:.1?}");
                caught.push(found);
            }
            None => {
                println!("{name:25}SURVIVED {:.1?}", began.elapsed());
                survived.push(bug);
            }
        }
    }
    let mut counts: Vec<u64> = caught.iter().map(|found| found.scenarios).collect();
    counts.sort_unstable();
    let median = counts.get(counts.len() / 2);
    println!(
        "{} of {} found, half of them within {median:?} scenarios",
        caught.len(),
        bugs.len()
    );
    assert!(survived.is_empty(), "not found: {survived:?}");
    let is_all = env::var_os("RS2P_SIM_BUGS").is_none();
    assert!(
        !is_all || caught.len() >= AT_LEAST,
        "{} found",
        caught.len()
    );
}
