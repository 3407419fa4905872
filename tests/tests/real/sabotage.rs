//! Bugs planted in real nodes: the checkers see them there as they do in the simulator.

use std::time::Instant;

use rs2p_sim::{Checker, Options, Outcome, Sabotage, Scenario, run};
use rs2p_tests::real::{Brisk, play};

use crate::{TRIES, scenarios, side_by_side};

/// A bug, a scenario that shows it, and the rules by one of which it is found.
type Planted = (Sabotage, &'static str, &'static [Checker]);

/// One for each of the ways in which a network can be wrong.
const BUGS: [Planted; 8] = [
    (Sabotage::NoDedupe, "halves", &[Checker::Once]),
    (Sabotage::OwnDelivered, "halves", &[Checker::Once]),
    (Sabotage::RelayAltersByte, "halves", &[Checker::Genuine]),
    (Sabotage::SenderReplaced, "halves", &[Checker::Sender]),
    (
        Sabotage::ReceiptForNothing,
        "private-and-crash",
        &[Checker::Accounts],
    ),
    (
        Sabotage::FailedAddressForgotten,
        "halves",
        &[Checker::Overlay, Checker::Owed],
    ),
    (Sabotage::BeaconsWithoutPause, "halves", &[Checker::Quiet]),
    (
        Sabotage::NeverPulls,
        "halves",
        &[Checker::Owed, Checker::Probe],
    ),
];

/// Returns whether a run broke one of these rules.
fn breaks(outcome: &Outcome, rules: &[Checker]) -> bool {
    let mut violations = outcome.report.violations.iter();
    violations.any(|violation| rules.contains(&violation.checker))
}

/// Plants a bug, in the simulator and in real nodes. With those it may take another try: what happens is another story
/// each time.
fn plant(all: &[(String, Scenario)], (bug, name, rules): &Planted) -> Result<(), String> {
    let (_, scenario) = all.iter().find(|(other, _)| other == name).unwrap();
    let brisk = Brisk::sabotaged(*bug);
    let simulated = run(&brisk, scenario, Options::default());
    if !breaks(&simulated, rules) {
        return Err(format!("{bug} is not found in the simulator\n"));
    }
    for _ in 0..TRIES {
        let began = Instant::now();
        let real = smol::block_on(play(brisk, scenario));
        let real = real.map_err(|error| format!("{name}: {error}\n"))?;
        let found = breaks(&real, rules);
        println!("{bug}: {:.1?}, found: {found}", began.elapsed());
        if found {
            return Ok(());
        }
    }
    Err(format!(
        "{bug} is not found in {TRIES} runs with real nodes\n"
    ))
}

#[test]
fn planted_bugs_are_found_in_real_nodes() {
    let all = scenarios();
    let failures = side_by_side(&BUGS, |planted| plant(&all, planted));
    assert!(failures.is_empty(), "{}", failures.concat());
}
