//! What has to hold at the end of a phase.

use super::*;
use crate::node::{ConnId, NodeStatus};

/// Judges a network of three given by its connections, after a change to what the nodes say of them.
fn overlay(links: &[(u32, u32)], change: impl FnOnce(&mut Vec<NodeStatus>)) -> Vec<String> {
    let mut rules = rules();
    rules.links_max = 2;
    let mut story = Story::with(3, rules);
    let mut statuses = vec![NodeStatus::default(); 3];
    let mut pairs = Vec::new();
    for (conn, (a, b)) in (0..).zip(links) {
        let ids = [ConnId(conn << 1), ConnId(conn << 1 | 1)];
        statuses[*a as usize].peers.push((ids[0], identity(*b)));
        statuses[*b as usize].peers.push((ids[1], identity(*a)));
        let ends = [(story.life(*a), ids[0]), (story.life(*b), ids[1])];
        pairs.push(Pair { conn, ends });
    }
    change(&mut statuses);
    let statuses: Vec<(Life, NodeStatus)> = (0..)
        .zip(statuses)
        .map(|(node, status)| (story.life(node), status))
        .collect();
    story.judge.check_overlay(story.now, &statuses, &pairs);
    let found = story.judge.violations().iter();
    found
        .map(|found| {
            assert_eq!(found.checker, Checker::Overlay);
            found.kind.clone()
        })
        .collect()
}

#[test]
fn the_whole_must_be_one_network_with_one_connection_for_each_pair() {
    let nothing = |_: &mut Vec<NodeStatus>| {};
    for (why, links, expected) in [
        ("a row", vec![(0, 1), (1, 2)], vec![]),
        ("a ring", vec![(0, 1), (2, 1), (0, 2)], vec![]),
        ("one is alone", vec![(0, 1)], vec!["apart"]),
        ("all are alone", vec![], vec!["apart"]),
        (
            "a double connection",
            vec![(0, 1), (1, 0), (0, 2)],
            vec!["too many links", "two connections", "two connections"],
        ),
    ] {
        assert_eq!(overlay(&links, nothing), expected, "{why}");
    }
}

#[test]
fn both_ends_must_agree() {
    let row = [(0, 1), (1, 2)];
    let forgets = |statuses: &mut Vec<NodeStatus>| statuses[2].peers.clear();
    assert_eq!(overlay(&row, forgets), ["disagreement", "apart"]);
    let mistakes = |statuses: &mut Vec<NodeStatus>| statuses[2].peers[0].1 = identity(0);
    assert_eq!(overlay(&row, mistakes), ["wrong peer"]);
    let imagines = |statuses: &mut Vec<NodeStatus>| {
        statuses[2].peers.push((ConnId(99), identity(0)));
    };
    assert_eq!(overlay(&row, imagines), ["peer without connection"]);
}

#[test]
fn what_the_core_says_in_the_end_must_reach_all_of_it() {
    let mut story = Story::of(4);
    story.publish(3);
    story.wait(s(1));
    story.core(&[0, 1, 2]);
    let since = story.now;
    let probes = [0, 1, 2].map(|node| story.publish(node));
    for (probe, by) in probes.into_iter().zip(0..) {
        for node in (0..3).filter(|node| *node != by) {
            if (probe, node) != (probes[2], 1) {
                story.deliver(probe, node);
            }
        }
    }
    story.judge.check_probe(story.now, since);
    assert_eq!(story.found()[0], ("L3", "not reached"));
    assert_eq!(story.judge.violations()[0].node, Some(1));
    assert_eq!(story.found().len(), 1);

    story.deliver(probes[2], 1);
    story.judge.check_probe(story.now, since);
    assert_eq!(story.found().len(), 1);

    let later = story.now.after(s(1));
    story.judge.check_probe(later, later);
    assert_eq!(story.found()[1..], [("L3", "silent"); 3]);
}

#[test]
fn to_declare_a_probe_missing_does_not_do() {
    let mut story = Story::of(2);
    story.core(&[0, 1]);
    let since = story.now;
    story.publish(0);
    let other = story.publish(1);
    story.deliver(other, 0);
    story.gap(1, 0, 1, 1);
    story.judge.check_probe(story.now, since);
    assert_eq!(story.found(), [("L3", "not reached")]);
}

#[test]
fn a_quiet_link_carries_no_messages_and_little_control() {
    for (payload, control, expected) in [
        (0, 200, vec![]),
        (0, 201, vec![("L4", "control")]),
        (1, 0, vec![("L4", "messages")]),
    ] {
        let mut story = Story::of(2);
        let ends = [story.life(0), story.life(1)];
        let traffic = LinkTraffic {
            ends,
            payload,
            control,
        };
        story.judge.check_quiet(story.now, s(10), &[traffic]);
        assert_eq!(story.found(), expected);
    }
}

#[test]
fn recovery_must_not_cost_much_more_than_what_is_missing() {
    for (spent, expected) in [(5000, vec![]), (5001, vec![("E1", "recovery")])] {
        let mut story = Story::of(1);
        story.judge.check_thrift(story.now, spent, 2000);
        assert_eq!(story.found(), expected);
    }
}
