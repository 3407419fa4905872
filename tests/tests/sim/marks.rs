//! Whether the sweeps try what there is to try: the branches that matter, and the faults.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use rs2p_core::{Mark, Marks};
use rs2p_sim::{Options, Profile, Rs2p, Scenario, Sweep, SweepOptions, run, sweep};

use crate::sabotage::named;
use crate::sweeps::{hostile_profile, mesh, mixed_profile};

/// The branches that no scenario reaches, and why.
const NOT_HIT: &[(Mark, &str)] = &[];

/// How many mixed scenarios are run for what they reach, and how many with nodes that mean harm. Whether all is well in them
/// is for others to judge.
const MORE: u64 = 150;

/// How many faults of each kind have to do something, in all sweeps together.
const EFFECTS: u64 = 100;

fn looked_at(profile: &Profile) -> Sweep {
    let mut options = SweepOptions::default();
    options.max_failures = usize::MAX;
    options.twice = 0;
    let scenario = |seed| Scenario::from_seed_with(seed, profile);
    sweep(&Rs2p::default(), 0..MORE, scenario, options, |_| true)
}

/// Returns what comes of mixed networks, and of those with nodes that mean harm.
fn others() -> &'static [Sweep; 2] {
    static SWEPT: OnceLock<[Sweep; 2]> = OnceLock::new();
    SWEPT.get_or_init(|| [looked_at(&mixed_profile()), looked_at(&hostile_profile())])
}

/// Returns the branches that scenarios reach which are made for one purpose.
fn by_name() -> Marks {
    let mut marks = Marks::NONE;
    for named in named::all() {
        let protocol = Rs2p::with(named.adapt);
        marks |= run(&protocol, &named.scenario, Options::default()).marks;
    }
    marks
}

#[test]
#[ignore = "it takes minutes"]
fn every_branch_that_matters_is_reached() {
    let [mixed, hostile] = others();
    let by = [
        ("mesh", mesh().marks),
        ("mixed", mixed.marks),
        ("hostile", hostile.marks),
        ("named", by_name()),
    ];
    let mut missing = Vec::new();
    for mark in Mark::ALL.iter().copied() {
        let those = by.iter().filter(|(_, marks)| marks.contains(mark));
        let those: Vec<&str> = those.map(|(name, _)| *name).collect();
        let known = NOT_HIT.iter().find(|(other, _)| *other == mark);
        match (those.is_empty(), known) {
            (false, None) => println!("{:22}{}", mark.name(), those.join(" ")),
            (false, Some(_)) => println!(
                "{:22}{} (listed as not reached)",
                mark.name(),
                those.join(" ")
            ),
            (true, Some((_, why))) => println!("{:22}not reached: {why}", mark.name()),
            (true, None) => missing.push(mark),
        }
    }
    println!(
        "{} of {} reached",
        Mark::ALL.len() - NOT_HIT.len(),
        Mark::ALL.len()
    );
    assert!(missing.is_empty(), "not reached any more: {missing:?}");
}

#[test]
#[ignore = "it takes minutes"]
fn faults_do_something() {
    let mut effects: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let [mixed, hostile] = others();
    for swept in [mesh(), mixed, hostile] {
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
