//! How streams are cut on their way changes nothing of what is delivered.

use std::collections::BTreeMap;

use rs2p_sim::{
    Cutting, Family, Limits, Net, Options, PeerKey, Profile, Rs2p, Scenario, What, run,
};

use crate::settings::number;

/// What each node got from each sender, in order.
type Delivered = BTreeMap<(u32, PeerKey), Vec<u32>>;

fn delivered(scenario: &Scenario) -> Delivered {
    let outcome = run(&Rs2p::default(), scenario, Options::default().traced());
    let violations = outcome.report.violations;
    assert!(
        violations.is_empty(),
        "{}: {violations:?}",
        scenario.to_line()
    );
    let mut delivered = Delivered::new();
    for record in outcome.trace.unwrap().records {
        if let (
            Some(node),
            What::Delivered {
                message, sender, ..
            },
        ) = (record.node, record.what)
        {
            // Messages to one node have no number in a trace, and are judged by the run itself.
            let got = delivered.entry((node, sender)).or_default();
            got.extend(message);
        }
    }
    delivered
}

/// Faults after which everybody has everything: what is lost with a node is another story each time.
fn scenario(seed: u64) -> Scenario {
    let profile = Profile {
        max_nodes: 8,
        max_messages: 60,
        max_storm_ms: 60_000,
        max_faults: 6,
        limited_percent: 0,
        ..Profile::mesh_only().with_families(&[
            Family::Slow,
            Family::Delay,
            Family::Drip,
            Family::Reset,
            Family::Pause,
            Family::Split,
        ])
    };
    Scenario {
        limits: Limits::default(),
        ending: rs2p_sim::Ending::Heal,
        ..Scenario::from_seed_with(seed, &profile)
    }
}

#[test]
fn deliveries_are_the_same_however_streams_are_cut() {
    // The same ones each time, unless the environment asks for others; and as many as it takes to see enough delivered.
    let base = number("RS2P_SIM_BASE").unwrap_or(0);
    let cuttings = [Cutting::Segments, Cutting::Anywhere, Cutting::Together];
    let mut deliveries = 0;
    for seed in base..base.saturating_add(60) {
        if seed - base >= 12 && deliveries > 1000 {
            break;
        }
        let mut scenario = scenario(seed);
        let mut cut = |cutting| {
            scenario.net = Net {
                cutting,
                ..scenario.net
            };
            delivered(&scenario)
        };
        let whole = cut(Cutting::Whole);
        deliveries += whole.values().map(Vec::len).sum::<usize>();
        for cutting in cuttings {
            assert_eq!(whole, cut(cutting), "{cutting:?}, seed {seed}");
        }
    }
    assert!(deliveries > 1000, "{deliveries}");
}
