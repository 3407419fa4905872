//! Whether the sweeps try what there is to try: the branches that matter, and the faults.

use std::collections::BTreeMap;

use rs2p_core::{Mark, Marks};

use crate::sweeps::{hostile, mesh, mixed};

/// The branches that the sweeps do not reach, and why.
const NOT_HIT: &[(Mark, &str)] = &[];

/// How many faults of each kind have to do something, in all sweeps together.
const EFFECTS: u64 = 100;

#[test]
#[ignore = "it needs the sweeps of mixed and of hostile networks"]
fn every_branch_that_matters_is_reached() {
    let reached: Marks = mesh().marks | mixed().marks | hostile().marks;
    let missing: Vec<Mark> = reached
        .missing()
        .filter(|mark| NOT_HIT.iter().all(|(other, _)| other != mark))
        .collect();
    println!("{} of {} reached", reached.len(), Mark::ALL.len());
    for (mark, why) in NOT_HIT {
        let now = if reached.contains(*mark) {
            " (it is now)"
        } else {
            ""
        };
        println!("not reached{now}: {mark}: {why}");
    }
    assert!(missing.is_empty(), "not reached any more: {missing:?}");
}

#[test]
#[ignore = "it needs the sweeps of mixed and of hostile networks"]
fn faults_do_something() {
    let mut effects: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for swept in [mesh(), mixed(), hostile()] {
        for (family, count, effective) in &swept.effects {
            let sum = effects.entry(family).or_default();
            sum.0 += count;
            sum.1 += effective;
        }
    }
    let (mut all, mut effective) = (0, 0);
    for (family, (count, did)) in &effects {
        println!("{family}: {did} of {count} did something");
        all += count;
        effective += did;
    }
    for (family, (_, did)) in &effects {
        assert!(*did >= EFFECTS, "{family}: only {did} faults did something");
    }
    assert!(
        effective * 100 >= all * 95,
        "only {effective} of {all} faults did something"
    );
}
