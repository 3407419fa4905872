//! Whether the sweeps try what there is to try: the branches that matter, and the faults.

use std::collections::BTreeMap;

use rs2p_core::{Mark, Marks};

use crate::sabotage::{named, sound};
use crate::sweeps::{hostile, mesh, mixed};

/// The branches that no scenario reaches, and why.
///
/// A change of the nodes may let one be reached after all: that is no failure.
const NOT_HIT: &[(Mark, &str)] = &[
    (
        Mark::EndBadMessage,
        "hostile nodes break frames and the order of the protocol, and send no message that is wrong inside",
    ),
    (
        Mark::EndWrongNetwork,
        "all nodes of a scenario are of one network",
    ),
    (
        Mark::EndRequested,
        "the applications of a scenario end no links",
    ),
    (
        Mark::DialsCrossed,
        "a dial has to be under way just when a second link to its node is refused: seldom",
    ),
    (
        Mark::DialTooLate,
        "the world gives no stream to a dial that was cancelled",
    ),
    (
        Mark::Paced,
        "only plain frames of an odd length to py2p are, and its model takes compressed ones",
    ),
    (
        Mark::Renegotiated,
        "the models of old nodes do not change their methods",
    ),
    (
        Mark::HeldBackMoved,
        "a message has to be sent just while a second link to the same peer is being chosen: seldom",
    ),
    (Mark::SeenOverflow, "no scenario has so many messages"),
    (
        Mark::Withheld,
        "no message of a scenario is too long for a peer",
    ),
];

/// How many faults of each kind have to do something, in all sweeps together, and of a hundred faults how many.
///
/// Not all can: one may strike a node that is down, or two that have no connection at that moment, or no bytes to be hit. Which
/// do is known only once the scenario has run.
const EFFECTS: u64 = 50;
const EFFECTIVE_OF_A_KIND: u64 = 75;
const EFFECTIVE: u64 = 88;

/// Returns the branches that scenarios reach which are made for one purpose.
fn by_name() -> Marks {
    let marks = named::all().into_iter().map(|named| sound(&named).marks);
    marks.fold(Marks::NONE, |all, marks| all | marks)
}

#[test]
fn every_branch_that_matters_is_reached() {
    let by = [
        ("mesh", mesh().marks),
        ("mixed", mixed().marks),
        ("hostile", hostile().marks),
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
    assert!(missing.is_empty(), "not reached any more: {missing:?}");
}

#[test]
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
    let mut idle = Vec::new();
    for (family, (count, did)) in &effects {
        println!("{family}: {did} of {count} did something");
        all += count;
        effective += did;
        if *did < EFFECTS || did * 100 < count * EFFECTIVE_OF_A_KIND {
            idle.push(family);
        }
    }
    println!("all: {effective} of {all} did something");
    assert!(
        idle.is_empty(),
        "too few faults of these kinds do anything: {idle:?}"
    );
    assert!(
        effective * 100 >= all * EFFECTIVE,
        "only {effective} of {all} faults did something"
    );
}
