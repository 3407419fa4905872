use super::*;
use crate::generate::from_seed;
use crate::report::Checker;
use crate::scenario::{
    Back, Bootstrap, Cut, Cutting, DialManner, Ending, Fault, Jitter, Limits, Load, Manner, Net,
    PairPick, Pick, Stop, Timed, Ways,
};

fn failure(kind: &str) -> Option<Fingerprint> {
    Some(Fingerprint {
        checker: Checker::Owed,
        kind: kind.to_owned(),
    })
}

fn calm() -> Net {
    Net {
        spread_ppm: 0,
        jitter: Jitter::None,
        jitter_us: 0,
        cutting: Cutting::Whole,
        lateness_us: 0,
        drift_ppm: 0,
        ..Net::default()
    }
}

fn empty() -> Scenario {
    Scenario {
        seed: 0,
        nodes: 1,
        kinds: Vec::new(),
        net: calm(),
        bootstrap: Bootstrap::One,
        limits: Limits::default(),
        load: Vec::new(),
        faults: Vec::new(),
        ending: Ending::Heal,
    }
}

fn first_seed_that(fails: impl Fn(&Scenario) -> bool) -> Scenario {
    let mut all = (0..20_000).map(from_seed);
    all.find(fails).expect("one of these scenarios fails")
}

/// Fails if a split lasts ten seconds or more, and node 2 publishes something in its time.
fn node_2_speaks_in_a_long_split(scenario: &Scenario) -> bool {
    let nodes = scenario.nodes.into();
    scenario.faults.iter().any(|fault| {
        let is_long = matches!(fault.what, Fault::Split { .. }) && fault.lasts_ms >= 10_000;
        let during = fault.at_ms..fault.at_ms + fault.lasts_ms;
        let speaks = |load: &Timed<Load>| {
            let is_node_2 =
                matches!(load.what, Load::Publish { by, count: 1.., .. } if by.of(nodes) == 2);
            is_node_2 && during.contains(&load.at_ms)
        };
        is_long && scenario.load.iter().any(speaks)
    })
}

#[test]
fn a_split_and_a_message_in_it_are_all_that_is_left() {
    let smallest = Scenario {
        nodes: 3,
        load: vec![Timed {
            at_ms: 0,
            lasts_ms: 0,
            what: Load::Publish {
                by: Pick(2),
                count: 1,
                len: 12,
                equal: false,
            },
        }],
        faults: vec![Timed {
            at_ms: 0,
            lasts_ms: 10_000,
            what: Fault::Split {
                cut: Cut::Isolate(Pick(0)),
                ways: Ways::Both,
                live: Manner::Freeze,
                dial: DialManner::Refused,
            },
        }],
        ..empty()
    };
    let failing = (0..3000)
        .map(from_seed)
        .filter(node_2_speaks_in_a_long_split);
    let mut count = 0;
    for scenario in failing {
        let shrunk = scenario
            .shrink(|s| {
                node_2_speaks_in_a_long_split(s)
                    .then(|| failure("lost"))
                    .flatten()
            })
            .expect("it fails");
        assert!(shrunk.is_done && shrunk.runs < 1000, "{} runs", shrunk.runs);
        assert_eq!(shrunk.scenario, smallest, "of seed {}", scenario.seed);
        count += 1;
    }
    assert!(count >= 20, "{count}");
}

#[test]
fn faults_become_as_weak_as_the_failure_allows() {
    // Whatever stops a node and does not let it leave in good order.
    let fails = |scenario: &Scenario| {
        let mut faults = scenario.faults.iter();
        faults.any(|fault| {
            matches!(
                fault.what,
                Fault::Stop {
                    kind: Stop::Crash | Stop::PowerLoss,
                    ..
                }
            )
        })
    };
    let scenario = first_seed_that(|s| fails(s) && s.faults.len() > 8 && s.nodes > 10);
    let shrunk = scenario
        .shrink(|s| if fails(s) { failure("gone") } else { None })
        .expect("it fails");
    let stop = Fault::Stop {
        node: Pick(0),
        kind: Stop::Crash,
        back: Some(Back::Restored),
    };
    let smallest = Scenario {
        faults: vec![Timed {
            at_ms: 0,
            lasts_ms: 0,
            what: stop,
        }],
        ..empty()
    };
    assert_eq!(shrunk.scenario, smallest);
}

#[test]
fn two_faults_that_need_each_other_stay_together() {
    // A pause and a reset at the same node, no more than two seconds apart.
    let fails = |scenario: &Scenario| {
        let nodes = scenario.nodes.into();
        let meet = |a: &Timed<Fault>, b: &Timed<Fault>| {
            let (Fault::Pause { node }, Fault::Reset { who }) = (a.what, b.what) else {
                return false;
            };
            who.of(nodes).0 == node.of(nodes) && a.at_ms.abs_diff(b.at_ms) <= 2000
        };
        let faults = &scenario.faults;
        nodes >= 2 && faults.iter().any(|a| faults.iter().any(|b| meet(a, b)))
    };
    let mut scenario = from_seed(9);
    let at = |at_ms, what| Timed {
        at_ms,
        lasts_ms: 777,
        what,
    };
    let who = PairPick(5, 3);
    scenario.nodes = 12;
    scenario.faults.push(at(41_234, Fault::Reset { who }));
    scenario
        .faults
        .push(at(42_001, Fault::Pause { node: Pick(17) }));
    let shrunk = scenario
        .shrink(|s| if fails(s) { failure("stuck") } else { None })
        .expect("it fails");
    let small = shrunk.scenario;
    assert_eq!(
        (small.nodes, small.load.len(), small.faults.len()),
        (2, 0, 2)
    );
    assert!(
        small.faults.iter().all(|f| f.at_ms == 0 && f.lasts_ms == 0),
        "{small:?}"
    );
}

#[test]
fn another_failure_does_not_count() {
    // With less than four faults it fails, and in another way.
    let scenario = first_seed_that(|s| s.faults.len() >= 8);
    let shrunk = scenario
        .shrink(|s| failure(if s.faults.len() < 4 { "other" } else { "lost" }))
        .expect("it fails");
    assert_eq!(shrunk.scenario.faults.len(), 4);
    assert_eq!(shrunk.fingerprint.kind, "lost");
}

#[test]
fn what_comes_after_the_violation_goes_first() {
    let scenario = first_seed_that(|s| s.faults.len() >= 10 && s.load.len() >= 10);
    let mut tried = Vec::new();
    let _ = shrink(
        &scenario,
        Some(20_000),
        |p| p.runs < 2,
        |s| {
            tried.push(s.clone());
            failure("lost")
        },
    );
    let cut = &tried[1];
    assert!(cut.faults.iter().all(|f| f.at_ms + f.lasts_ms <= 20_000));
    assert!(cut.load.iter().all(|l| l.at_ms + l.lasts_ms <= 20_000));
    assert_eq!(tried.len(), 2);
}

#[test]
fn no_scenario_is_run_twice_and_all_runs_are_the_same() {
    let scenario = first_seed_that(|s| s.faults.len() >= 10 && node_2_speaks_in_a_long_split(s));
    let run = || {
        let mut tried = Vec::new();
        let shrunk = shrink(
            &scenario,
            None,
            |_| true,
            |s| {
                tried.push(s.to_line());
                node_2_speaks_in_a_long_split(s)
                    .then(|| failure("lost"))
                    .flatten()
            },
        );
        (tried, shrunk.expect("it fails"))
    };
    let (tried, shrunk) = run();
    assert_eq!(run(), (tried.clone(), shrunk.clone()));
    assert_eq!(tried.len() as u64, u64::from(shrunk.runs));
    let distinct: BTreeSet<_> = tried.iter().collect();
    assert_eq!(distinct.len(), tried.len());
}

#[test]
fn it_stops_when_it_is_told_to_and_keeps_what_it_has() {
    let scenario = first_seed_that(|s| s.faults.len() >= 10 && node_2_speaks_in_a_long_split(s));
    let mut last = 0;
    let go_on = |progress: &Progress| {
        assert!(progress.runs >= last);
        last = progress.runs;
        progress.runs < 25
    };
    let fails = |s: &Scenario| {
        node_2_speaks_in_a_long_split(s)
            .then(|| failure("lost"))
            .flatten()
    };
    let shrunk = shrink(&scenario, None, go_on, fails).expect("it fails");
    assert_eq!((shrunk.runs, shrunk.is_done), (25, false));
    assert!(shrunk.scenario.faults.len() < scenario.faults.len());
    assert!(node_2_speaks_in_a_long_split(&shrunk.scenario));
    assert_eq!(shrink(&scenario, None, |_| false, fails), None);
}

#[test]
fn what_does_not_fail_is_not_shrunk() {
    assert_eq!(from_seed(1).shrink(|_| None), None);
}

#[test]
fn what_always_fails_shrinks_to_nothing() {
    for seed in 0..20 {
        let shrunk = from_seed(seed)
            .shrink(|_| failure("always"))
            .expect("it fails");
        assert_eq!(shrunk.scenario, empty(), "seed {seed}");
        assert!(shrunk.runs < 80, "{} runs", shrunk.runs);
    }
}
