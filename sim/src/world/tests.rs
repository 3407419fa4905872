//! Worlds of real nodes, small.

use bytes::Bytes;

use super::*;
use crate::scenario::{Cut, Fault, Manner, Timed, Ways};
use crate::time::{ms, s};
use crate::{DialManner, Mesh};

pub(super) fn scenario(nodes: u16, seed: u64) -> Scenario {
    Scenario {
        seed,
        nodes,
        kinds: Vec::new(),
        net: crate::Net::default(),
        bootstrap: crate::Bootstrap::One,
        limits: crate::Limits::default(),
        load: Vec::new(),
        faults: Vec::new(),
        ending: crate::Ending::Heal,
    }
}

fn world(scenario: Scenario) -> World<Mesh> {
    let limits = scenario.limits;
    World::new(
        scenario,
        Box::new(move |birth, _| Some(Mesh::new(birth, &limits))),
    )
}

fn deliveries(world: &mut World<Mesh>) -> usize {
    let facts = world.take_facts();
    let delivered = facts.iter();
    delivered
        .filter(|(_, fact)| matches!(fact, Fact::Delivered { .. }))
        .count()
}

fn breaches(world: &mut World<Mesh>) -> Vec<String> {
    let facts = world.take_facts().into_iter();
    facts
        .filter_map(|(_, fact)| {
            let Fact::Breach { sentence, .. } = fact else {
                return None;
            };
            Some(sentence)
        })
        .collect()
}

#[test]
fn what_one_says_reaches_all() {
    let mut world = world(scenario(8, 1));
    world.run_for(s(10));
    assert_eq!(breaches(&mut world), Vec::<String>::new());
    assert!(world.publish(3, Bytes::from_static(b"fire")));
    world.run_for(s(5));
    assert_eq!(deliveries(&mut world), 7);
}

#[test]
fn the_same_scenario_gives_the_same_run() {
    let run = |seed| {
        let mut world = world(scenario(6, seed));
        world.run_for(s(5));
        world.publish(2, Bytes::from_static(b"fire"));
        world.run_for(s(60));
        (world.hash(), world.events())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn what_is_said_across_a_cut_arrives_when_it_heals() {
    for live in [Manner::Freeze, Manner::Reset, Manner::Silent] {
        for dial in [DialManner::Refused, DialManner::Silent, DialManner::Dropped] {
            let mut scenario = scenario(8, 3);
            scenario.faults.push(Timed {
                at_ms: 0,
                lasts_ms: 60_000,
                what: Fault::Split {
                    cut: Cut::Halves,
                    ways: Ways::Both,
                    live,
                    dial,
                },
            });
            let mut world = world(scenario);
            world.run_for(s(10));
            world.begin_storm();
            world.run_for(s(20));
            world.take_facts();
            world.publish(0, Bytes::from_static(b"fire"));
            world.run_for(s(39));
            assert_eq!(deliveries(&mut world), 3, "{live:?} {dial:?}");
            world.run_for(s(120));
            assert_eq!(deliveries(&mut world), 4, "{live:?} {dial:?}");
            assert!(world.effects()[0] > 0);
        }
    }
}

#[test]
fn nodes_pause_crash_and_come_back() {
    use crate::scenario::{Back, Pick, Stop};
    let mut scenario = scenario(5, 4);
    let stop = |node, kind, back| Fault::Stop {
        node: Pick(node),
        kind,
        back,
    };
    let faults = [
        stop(1, Stop::Crash, Some(Back::New)),
        stop(2, Stop::PowerLoss, Some(Back::New)),
        stop(3, Stop::Leave, Some(Back::Moved)),
        Fault::Pause { node: Pick(4) },
        Fault::Clock {
            node: Pick(0),
            ppm: 100_000,
            step_ms: 3_600_000,
        },
    ];
    for (n, what) in (0..).zip(faults) {
        scenario.faults.push(Timed {
            at_ms: n * 1000,
            lasts_ms: 20_000,
            what,
        });
    }
    let mut world = world(scenario);
    world.run_for(s(10));
    let end = world.begin_storm();
    world.run_until(end);
    world.run_for(s(100));
    assert_eq!(breaches(&mut world), Vec::<String>::new());
    assert!(
        world.effects().iter().all(|effect| *effect > 0),
        "{:?}",
        world.effects()
    );
    world.publish(1, Bytes::from_static(b"fire"));
    world.run_for(s(5));
    assert_eq!(deliveries(&mut world), 4);
}

/// What a node has sent before it ends comes at its usual speed when nothing makes it slow any more, although that node has left
/// the connection.
#[test]
fn what_a_dead_node_has_sent_is_slow_no_longer_than_the_fault() {
    use crate::scenario::{PairPick, Pick, Stop};
    let mut scenario = scenario(2, 1);
    let slow = Fault::Slow {
        who: PairPick::between(0, 1, 2),
        bytes_per_s: 50,
    };
    let crash = Fault::Stop {
        node: Pick(0),
        kind: Stop::Crash,
        back: None,
    };
    for (at_ms, what) in [(0, slow), (5_000, crash)] {
        scenario.faults.push(Timed {
            at_ms,
            lasts_ms: 20_000,
            what,
        });
    }
    let mut world = world(scenario);
    world.run_for(s(10));
    world.begin_storm();
    world.run_for(s(1));
    world.publish(0, Bytes::from(vec![7; 20_000]));
    world.run_for(s(18));
    assert_eq!(deliveries(&mut world), 0);
    world.run_for(s(2));
    assert_eq!(deliveries(&mut world), 1);
}

#[test]
fn bytes_count_when_they_are_written_and_not_when_they_arrive() {
    let mut scenario = scenario(2, 5);
    scenario.net.latency_us = 1_000_000;
    let mut world = world(scenario);
    world.run_for(s(20));
    let written = |world: &World<Mesh>| -> u64 {
        let views = world.conn_views();
        views.iter().map(|view| view.written).sum()
    };
    let (before, carried) = (written(&world), world.carried());
    // Such as no method makes shorter than a fifth of it.
    let payload = (0..50_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
    world.publish(0, payload.collect());
    let after = written(&world);
    assert!(after > before + 10_000, "{before} {after}");
    assert_eq!(world.carried(), carried);
    world.run_for(s(4));
    assert!(world.carried() > carried + 10_000);
    assert!(written(&world) < after + 5000);
}

/// Who dials and ends before the dial is done has no connection, and neither has its next life: who accepted is told, unless
/// there is no machine any more that could tell it.
#[test]
fn a_dial_that_is_done_after_its_node_has_ended_leaves_no_connection() {
    use crate::scenario::{Back, Pick, Stop};
    for (kind, accepted) in [(Stop::Crash, 0), (Stop::PowerLoss, 1)] {
        let mut scenario = scenario(2, 1);
        scenario.net.latency_us = 500_000;
        // The first lets it begin a life with a dial, and the second ends that one before the dial arrives.
        for (at_ms, lasts_ms, kind) in [(0, 1_000, Stop::Crash), (1_200, 5_000, kind)] {
            let what = Fault::Stop {
                node: Pick(1),
                kind,
                back: Some(Back::New),
            };
            scenario.faults.push(Timed {
                at_ms,
                lasts_ms,
                what,
            });
        }
        let mut world = world(scenario);
        world.run_for(s(10));
        world.begin_storm();
        world.run_for(ms(1_900));
        assert_eq!(world.conn_count(0), 1, "{kind:?}: accepted");
        world.run_for(ms(2_500));
        assert_eq!(
            [world.conn_count(1), world.conn_count(0)],
            [0, accepted],
            "{kind:?}"
        );
        // Nor is there one when nobody is left who could end it.
        world.stop(0, Stop::PowerLoss, None);
        world.run_for(s(10));
        assert_eq!(world.lives().len(), 1);
        assert_eq!(world.conn_count(1), 0, "{kind:?}");
    }
}
