//! The same scenario is the same run: twice in a process, in debug and release builds, on every machine, and since the last
//! change that was meant to change it.

use std::path::Path;
use std::{env, fs};

use rs2p_sim::{Checker, Rs2p, Scenario, SweepOptions, sweep};
use rs2p_tests::golden::{hashes, report};

use crate::settings::base;
use crate::sweeps::mixed_profile;

/// This is the test in a debug build; the release build's `golden` is compared with the same file by `.ci/run`.
///
/// To accept runs that have changed, and were meant to: `RS2P_SIM_ACCEPT=1 cargo test -p rs2p-tests --all-features --test sim
/// golden`, and commit the file.
#[test]
fn runs_are_as_they_were() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/golden.txt");
    let now = hashes();
    if env::var_os("RS2P_SIM_ACCEPT").is_some() {
        fs::write(&file, &now).unwrap();
    }
    assert_eq!(
        now,
        fs::read_to_string(&file).unwrap(),
        "runs differ from {}; if they are meant to, run this with RS2P_SIM_ACCEPT=1",
        file.display()
    );
}

#[test]
fn a_scenario_runs_the_same_way_twice() {
    let base = base();
    let mut options = SweepOptions::default();
    options.twice = 1;
    // What else is wrong is for others to find.
    options.max_failures = usize::MAX;
    let swept = sweep(
        &Rs2p::default(),
        base..base.saturating_add(40),
        |seed| Scenario::from_seed_with(seed, &mixed_profile()),
        options,
        |_| true,
    );
    let differ = swept.failures.iter().find(|(_, failure)| {
        let mut violations = failure.report.violations.iter();
        violations.any(|violation| violation.checker == Checker::Determinism)
    });
    assert!(differ.is_none(), "{differ:?}");
}

#[test]
fn another_seed_is_another_run() {
    assert_ne!(report(8, 0).hash, report(8, 1).hash);
}
