use std::collections::BTreeMap;

use super::*;
use crate::scenario::Fault;

#[test]
fn scenarios_stay_within_their_profile() {
    let mut profile = Profile::mesh_only().with_families(&[Family::Split, Family::Pause]);
    profile.max_nodes = 5;
    profile.max_messages = 20;
    profile.max_len = 100;
    profile.max_faults = 3;
    profile.limited_percent = 0;
    for seed in 0..500 {
        let scenario = Scenario::from_seed_with(seed, &profile);
        assert!((3..=5).contains(&scenario.nodes));
        assert!(scenario.kinds.is_empty() && scenario.limits == Limits::default());
        assert!(scenario.messages() <= 20);
        assert!(scenario.faults.len() <= 3);
        let families = scenario.faults.iter().map(|fault| fault.what.family());
        assert!(families.into_iter().all(|f| profile.families.contains(&f)));
        assert!(scenario.load.iter().all(|load| match load.what {
            Load::Publish { len, .. } | Load::Send { len, .. } => (12..=100).contains(&len),
        }));
    }
}

#[test]
fn a_run_is_never_dear() {
    for seed in 0..2000 {
        let scenario = Scenario::from_seed(seed);
        assert!((3..=32).contains(&scenario.nodes));
        assert!(scenario.messages() <= 300 && scenario.faults.len() <= 24);
        let bytes = scenario.load.iter().map(|load| match load.what {
            Load::Publish { count, len, .. } => u64::from(count) * u64::from(len),
            Load::Send { len, .. } => len.into(),
        });
        assert!(bytes.sum::<u64>() <= 2 << 20);
        let ends = |at_ms: u32, lasts_ms: u32| at_ms.saturating_add(lasts_ms);
        assert!(
            scenario
                .load
                .iter()
                .all(|l| ends(l.at_ms, l.lasts_ms) <= 120_000)
        );
        assert!(
            scenario
                .faults
                .iter()
                .all(|f| ends(f.at_ms, f.lasts_ms) <= 240_000)
        );
    }
}

#[test]
fn each_kind_of_fault_comes_up_and_is_left_out() {
    let mut faults = BTreeMap::new();
    let mut scenarios = BTreeMap::new();
    let mut calm = 0;
    for seed in 0..2000 {
        let scenario = Scenario::from_seed(seed);
        let mut families: Vec<_> = scenario.faults.iter().map(|f| f.what.family()).collect();
        calm += u32::from(families.is_empty());
        for family in &families {
            *faults.entry(*family).or_insert(0) += 1;
        }
        families.sort_unstable();
        families.dedup();
        for family in families {
            *scenarios.entry(family).or_insert(0) += 1;
        }
    }
    assert!((20..600).contains(&calm), "{calm}");
    for family in Family::ALL {
        assert!(faults.get(&family) >= Some(&300), "{faults:?}");
        assert!(scenarios.get(&family) >= Some(&200), "{scenarios:?}");
        assert!(scenarios.get(&family) <= Some(&1100), "{scenarios:?}");
    }
}

#[test]
fn faults_that_need_bytes_come_when_there_are_some() {
    let (mut hit, mut all) = (0, 0);
    for seed in 0..1000 {
        let scenario = Scenario::from_seed(seed);
        for fault in &scenario.faults {
            if let Fault::Drip { .. } | Fault::Flip { .. } | Fault::Stall { .. } = fault.what {
                let during = fault.at_ms..=fault.at_ms + 200;
                let near = |load: &Timed<Load>| {
                    let (first, last) = (load.at_ms, load.at_ms + load.lasts_ms);
                    first <= *during.end() && last >= *during.start()
                };
                all += 1;
                hit += u32::from(scenario.load.iter().any(near));
            }
        }
    }
    assert!(all > 500 && hit * 100 >= all * 95, "{hit} of {all}");
}

#[test]
fn a_profile_without_anything_gives_an_empty_scenario() {
    let profile = Profile {
        min_nodes: 0,
        max_nodes: 0,
        families: Vec::new(),
        max_faults: 0,
        min_storm_ms: 0,
        max_storm_ms: 0,
        max_messages: 0,
        max_len: 0,
        ..Profile::default()
    };
    for seed in 0..100 {
        let scenario = Scenario::from_seed_with(seed, &profile);
        assert!(scenario.load.is_empty() && scenario.faults.is_empty());
        assert_eq!(scenario.nodes, 1);
    }
}

#[test]
fn extreme_profiles_do_not_panic() {
    let profile = Profile {
        min_nodes: 1,
        max_nodes: u16::MAX,
        max_faults: u16::MAX,
        min_storm_ms: 0,
        max_storm_ms: u32::MAX,
        max_messages: u16::MAX,
        max_len: u32::MAX,
        ..Profile::default()
    };
    for seed in 0..5 {
        let scenario = Scenario::from_seed_with(seed, &profile);
        assert_eq!(Scenario::from_line(&scenario.to_line()), Ok(scenario));
    }
}
