//! Runs whose hashes are written down in `tests/sim/golden.txt`: the same in debug and release builds, on every machine, and
//! since the last change that was meant to change them.

use std::fmt::Write as _;

use rs2p_sim::{Options, Profile, Report, Rs2p, Scenario, run};

/// How many nodes the networks have, and how many of each are run.
const SIZES: [(u16, u64); 3] = [(8, 8), (64, 3), (200, 1)];

/// Returns one of the scenarios: of so many nodes.
fn scenario(nodes: u16, seed: u64) -> Scenario {
    let profile = Profile {
        min_nodes: nodes,
        max_nodes: nodes,
        max_messages: 40,
        max_len: 2000,
        min_storm_ms: 20_000,
        max_storm_ms: 40_000,
        mixed_percent: 25,
        ..Profile::default()
    };
    Scenario::from_seed_with(seed, &profile)
}

/// Runs one of the scenarios.
pub fn report(nodes: u16, seed: u64) -> Report {
    run(&Rs2p::default(), &scenario(nodes, seed), Options::default()).report
}

/// Runs all of them. Returns a line for each, with its hash.
pub fn hashes() -> String {
    let mut lines = String::new();
    for (nodes, count) in SIZES {
        for seed in 0..count {
            let hash = report(nodes, seed).hash;
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{nodes} nodes, seed {seed}: {hash:016x}");
        }
    }
    lines
}
