//! Thousands of scenarios, of which none may fail.

use std::sync::OnceLock;

use rs2p_sim::{Bootstrap, Family, Options, Profile, Rs2p, Scenario, Sweep, run};

use crate::sabotage::named::few_places;
use crate::settings::{base, count, families, sweep_clean};

/// How many scenarios are swept that are always the same.
const MESH: u64 = 300;
const MIXED: u64 = 150;
const HOSTILE: u64 = 100;

/// How many of each kind are swept that are others for each commit, unless the environment asks for more.
const FURTHER: u64 = 5;

/// The scenarios whose nodes are all of rs2p, and mean well.
pub(crate) fn mesh_profile() -> Profile {
    Profile::mesh_only().with_families(&families(|family| family != Family::Hostile))
}

/// Scenarios in which nodes of rs2p, py2p and js2p are one network.
pub(crate) fn mixed_profile() -> Profile {
    Profile {
        mixed_percent: 100,
        max_nodes: 12,
        max_messages: 100,
        ..mesh_profile()
    }
}

/// Scenarios in which some nodes mean harm.
pub(crate) fn hostile_profile() -> Profile {
    Profile {
        max_nodes: 12,
        max_messages: 100,
        max_faults: 8,
        ..Profile::mesh_only().with_families(&[
            Family::Hostile,
            Family::Split,
            Family::Reset,
            Family::Slow,
        ])
    }
}

/// Sweeps the scenarios of a profile that are always swept, for a test: those of the first seeds there are.
fn swept(test: &str, profile: &Profile, fixed: u64) -> Sweep {
    let scenario = |seed| Scenario::from_seed_with(seed, profile);
    sweep_clean(&Rs2p::default(), test, 0..fixed, scenario)
}

/// Returns what came of the sweep of networks of rs2p alone. It is done once, whoever asks.
pub(crate) fn mesh() -> &'static Sweep {
    static SWEPT: OnceLock<Sweep> = OnceLock::new();
    SWEPT.get_or_init(|| {
        swept(
            "nothing_is_wrong_in_networks_of_rs2p",
            &mesh_profile(),
            MESH,
        )
    })
}

/// The same of mixed networks.
pub(crate) fn mixed() -> &'static Sweep {
    static SWEPT: OnceLock<Sweep> = OnceLock::new();
    SWEPT.get_or_init(|| {
        swept(
            "nothing_is_wrong_in_mixed_networks",
            &mixed_profile(),
            MIXED,
        )
    })
}

/// The same of networks with nodes that mean harm.
pub(crate) fn hostile() -> &'static Sweep {
    static SWEPT: OnceLock<Sweep> = OnceLock::new();
    SWEPT.get_or_init(|| {
        swept(
            "nothing_is_wrong_where_some_mean_harm",
            &hostile_profile(),
            HOSTILE,
        )
    })
}

#[test]
fn nothing_is_wrong_in_networks_of_rs2p() {
    assert!(mesh().owed > 0);
}

#[test]
fn nothing_is_wrong_in_mixed_networks() {
    assert!(mixed().owed > 0);
}

#[test]
fn nothing_is_wrong_where_some_mean_harm() {
    assert!(hostile().owed > 0);
}

#[test]
fn nothing_is_wrong_in_further_scenarios() {
    let (base, count) = (base(), count(FURTHER));
    println!("RS2P_SIM_SEEDS={count} scenarios of each kind from RS2P_SIM_BASE={base} on");
    for profile in [mesh_profile(), mixed_profile(), hostile_profile()] {
        let scenario = |seed| Scenario::from_seed_with(seed, &profile);
        let test = "nothing_is_wrong_in_further_scenarios";
        sweep_clean(
            &Rs2p::default(),
            test,
            base..base.saturating_add(count),
            scenario,
        );
    }
}

#[test]
fn twelve_that_know_one_with_four_places_become_one_network() {
    for seed in 0..20 {
        let scenario = few_places(12, 4, 2, Bootstrap::One, seed);
        let report = run(&Rs2p::default(), &scenario, Options::default()).report;
        assert_eq!(report.violations, [], "seed {seed}");
    }
}

#[test]
fn nobody_stays_outside_for_want_of_room() {
    for (nodes, links, dialed, bootstrap) in [
        (30, 4, 2, Bootstrap::One),
        (30, 4, 2, Bootstrap::Chain),
        // All places may be taken by dials of one's own.
        (12, 4, 4, Bootstrap::One),
        (20, 3, 2, Bootstrap::Few),
        (8, 2, 1, Bootstrap::One),
        // Those that come first may close a ring.
        (12, 2, 2, Bootstrap::Chain),
        (16, 3, 3, Bootstrap::Chain),
        (60, 6, 4, Bootstrap::One),
    ] {
        for seed in 0..6 {
            let scenario = few_places(nodes, links, dialed, bootstrap, seed);
            let report = run(&Rs2p::default(), &scenario, Options::default()).report;
            assert_eq!(
                report.violations,
                [],
                "{nodes} nodes, {links} links, {dialed} dialled, {bootstrap:?}, seed {seed}"
            );
        }
    }
}
