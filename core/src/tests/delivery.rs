//! Guaranteed delivery between native nodes, in virtual time.

use std::time::Duration;

use super::net::Net;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// The sequences of one sender's messages in the order in which a node got them.
fn sequences(net: &Net, at: usize, from: usize) -> Vec<u64> {
    let origin = net.nodes[from].state.id();
    let messages = net.nodes[at].messages.iter();
    let messages = messages.filter(|message| message.sender() == origin);
    messages.filter_map(Message::sequence).collect()
}

fn numbers(first: u64, last: u64) -> Vec<u64> {
    (first..=last).collect()
}

fn gaps(net: &Net, at: usize) -> Vec<(u64, u64, GapReason)> {
    let events = net.nodes[at].events.iter();
    let gap = |event: &Event| match event {
        Event::Gap {
            first, last, why, ..
        } => Some((*first, *last, *why)),
        _ => None,
    };
    events.filter_map(gap).collect()
}

fn chain(count: usize, seed: u8, adapt: impl Fn(&mut Config)) -> Net {
    let mut net = Net::with(count, seed, |_, config| adapt(config));
    for n in 1..count {
        net.connect(n, n - 1).unwrap();
    }
    net.run(SECOND * 3);
    net
}

#[test]
pub(super) fn what_is_sent_without_a_neighbour_arrives_when_there_is_one() {
    let mut net = Net::new(2, 1);
    for n in 0..10 {
        net.broadcast(0, &format!("early {n}"));
    }
    net.run(SECOND * 100);
    net.connect(1, 0).unwrap();
    net.run(SECOND * 3);
    assert_eq!(sequences(&net, 1, 0), numbers(1, 10));
}

#[test]
pub(super) fn what_no_log_could_hold_is_too_long_and_not_waited_for() {
    let mut net = Net::with(1, 1, |_, config| config.log_len = 1 << 16);
    let send = |net: &mut Net, len| {
        let payload = vec![7; len];
        net.with_state(0, |state, now| state.broadcast(payload, now))
    };
    let refused = send(&mut net, 32 << 10).unwrap_err();
    let SendError::TooLong { len, limit } = refused else {
        panic!("{refused:?}");
    };
    assert!(len > limit, "{refused}");
    // One that is as long as it may be is taken, and then there is no room for another.
    let over = len - limit;
    send(&mut net, (32 << 10) - over).unwrap();
    assert_eq!(send(&mut net, 1).unwrap_err(), SendError::Full);
}

#[test]
pub(super) fn what_a_node_asked_for_is_no_flood() {
    let mut net = Net::new(2, 1);
    let count = u64::from(Config::default().max_control_rate) * 2;
    for n in 0..count {
        net.broadcast(0, &format!("early {n}"));
    }
    net.connect(1, 0).unwrap();
    net.run(SECOND * 3);
    assert_eq!(sequences(&net, 1, 0), numbers(1, count));
    let events = net.nodes[1].events.iter();
    let floods = events.filter(|event| matches!(event, Event::ControlFlood { .. }));
    assert_eq!(floods.count(), 0);
}

/// More than a peer asks for at once are made while the logs of a new link are compared, and the node leaves at various
/// points of that.
#[test]
fn who_leaves_early_leaves_all_it_has_with_its_peer() {
    const COUNT: u64 = 300;
    for pause in [0, 40, 120, 200].map(Duration::from_millis) {
        let mut net = Net::new(2, 1);
        net.connect(0, 1).unwrap();
        while net.links().len() < 2 {
            net.run(Duration::from_millis(1));
        }
        for n in 0..COUNT {
            net.broadcast(0, &format!("{n}"));
        }
        net.run(pause);
        net.with_state(0, MeshState::shutdown);
        net.run(SECOND * 6);
        assert_eq!(sequences(&net, 1, 0), numbers(1, COUNT), "after {pause:?}");
    }
}

#[test]
fn a_partition_of_an_hour_heals_without_a_loss() {
    for seed in 0..2 {
        let mut net = chain(8, seed, |_| {});
        net.broadcast(0, "before");
        net.broadcast(7, "before");
        net.run(SECOND * 2);
        net.cut_between(0..4, 4..8);
        for _ in 0..60 {
            net.broadcast(0, "one side");
            net.broadcast(7, "other side");
            net.run(SECOND * 60);
        }
        net.heal();
        net.run(SECOND * 60);
        for at in 0..8 {
            for from in [0, 7] {
                if at != from {
                    assert_eq!(sequences(&net, at, from), numbers(1, 61), "{from} at {at}");
                }
            }
            assert_eq!(gaps(&net, at), [], "at {at}");
        }
    }
}

#[test]
pub(super) fn each_senders_order_holds_across_cuts() {
    for seed in 0..10 {
        let mut net = chain(6, seed, |_| {});
        for round in 0..30 {
            for from in 0..6 {
                net.broadcast(from, &format!("{round}"));
            }
            let a = (round * 7 + usize::from(seed)) % 5;
            net.cut(a, a + 1);
            net.run(Duration::from_millis(700));
            if round % 3 == 0 {
                net.heal();
            }
        }
        net.heal();
        net.run(SECOND * 90);
        for at in 0..6 {
            for from in 0..6 {
                if at != from {
                    assert_eq!(
                        sequences(&net, at, from),
                        numbers(1, 30),
                        "seed {seed}: {from} at {at}"
                    );
                }
            }
        }
    }
}

#[test]
pub(super) fn a_node_that_joins_gets_what_is_sent_from_then_on() {
    let mut net = chain(3, 3, |_| {});
    for n in 0..20 {
        net.broadcast(0, &format!("{n}"));
    }
    net.run(SECOND * 10);
    let late = net.add(|_| {});
    net.connect(late, 2).unwrap();
    net.run(SECOND * 3);
    assert_eq!(sequences(&net, late, 0), [0; 0], "it was not there");
    for n in 0..5 {
        net.broadcast(0, &format!("late {n}"));
    }
    net.run(SECOND * 2);
    assert_eq!(sequences(&net, late, 0), numbers(21, 25));
    assert_eq!(gaps(&net, late), []);
}

#[test]
fn a_node_can_catch_up_with_what_was_before_it() {
    let mut net = chain(3, 3, |_| {});
    for n in 0..20 {
        net.broadcast(0, &format!("{n}"));
        net.run(SECOND);
    }
    let late = net.add(|config| config.catch_up = Duration::from_millis(9_500));
    net.connect(late, 2).unwrap();
    net.run(SECOND * 3);
    assert_eq!(sequences(&net, late, 0), numbers(12, 20));
}

#[test]
fn a_node_that_is_newer_than_a_message_carries_it_to_those_that_lack_it() {
    let mut net = chain(3, 5, |_| {});
    net.cut_between(0..2, 2..3);
    net.broadcast(0, "while 2 was away");
    net.run(SECOND * 30);
    // It knows of the message only by hearsay, and is the only way to node 2.
    let bridge = net.add(|_| {});
    net.connect(bridge, 1).unwrap();
    net.run(SECOND * 5);
    net.connect(bridge, 2).unwrap();
    net.run(SECOND * 5);
    assert_eq!(sequences(&net, 2, 0), [1]);
    assert_eq!(sequences(&net, bridge, 0), [0; 0]);
}

#[test]
pub(super) fn what_nobody_has_any_more_is_a_gap_that_says_so() {
    let mut net = chain(2, 1, |config| config.log_count = 64);
    net.broadcast(0, "first");
    net.run(SECOND * 2);
    net.cut(0, 1);
    // A third node takes them, so that node 0 may let go of them.
    let third = net.add(|config| config.log_count = 64);
    net.connect(third, 0).unwrap();
    net.run(SECOND * 2);
    for n in 0..200 {
        net.broadcast(0, &format!("{n}"));
        net.run(SECOND / 10);
    }
    net.heal();
    net.run(SECOND * 60);
    let got = sequences(&net, 1, 0);
    let told = gaps(&net, 1);
    assert_eq!(told.len(), 1, "{told:?}");
    let (first, last, why) = told[0];
    assert_eq!((first, why), (2, GapReason::Evicted));
    let mut expected = vec![1];
    expected.extend(numbers(last + 1, 201));
    assert_eq!(got, expected);
    assert!(got.len() > 32, "{}", got.len());
    net.broadcast(0, "after");
    net.run(SECOND * 2);
    assert_eq!(sequences(&net, 1, 0).last(), Some(&202));
}

#[test]
pub(super) fn a_ticket_tells_how_far_a_message_is() {
    let mut net = Net::new(3, 1);
    let ticket = net.with_state(0, |state, now| state.broadcast("news", now).unwrap());
    let spread = |net: &Net| net.nodes[0].state.spread(&ticket);
    assert_eq!(spread(&net).neighbours, 0);
    assert!(spread(&net).is_kept);
    net.connect(1, 0).unwrap();
    net.connect(2, 0).unwrap();
    net.run(SECOND * 3);
    let told = spread(&net);
    assert_eq!((told.neighbours, told.sent, told.held), (2, 2, 2));
    let message = &net.nodes[1].messages[0];
    assert_eq!((message.id(), message.sequence()), (ticket.id(), Some(1)));
}

/// A link is made while a message comes round by another: then one end may find the logs alike, and the other not.
#[test]
pub(super) fn who_finds_the_logs_alike_still_says_what_it_has() {
    let step = Duration::from_millis(5);
    for steps in 0..60 {
        let mut net = Net::new(3, 1);
        net.connect(1, 0).unwrap();
        net.connect(2, 1).unwrap();
        net.run(step * steps);
        let ticket = net.with_state(0, |state, now| state.broadcast("news", now).unwrap());
        net.run(SECOND * 10);
        let told = net.nodes[0].state.spread(&ticket);
        assert_eq!((told.neighbours, told.held), (2, 2), "after {steps} steps");
    }
}

/// Should something not have been told, it is found when nothing has come for a while, beacons or not.
#[cfg(feature = "sabotage")]
#[test]
fn logs_are_compared_again_when_it_is_quiet() {
    let mut net = Net::with(3, 1, |_, config| {
        config.sabotage = Some(Sabotage::NewsNotTold);
    });
    net.connect(1, 0).unwrap();
    net.connect(2, 1).unwrap();
    net.run(SECOND * 10);
    let ticket = net.with_state(0, |state, now| state.broadcast("news", now).unwrap());
    let held = |net: &Net| net.nodes[0].state.spread(&ticket).held;
    net.run(SECOND * 3);
    assert_eq!(held(&net), 0);
    net.run(SECOND * 100);
    assert_eq!(held(&net), 2);
}

#[test]
pub(super) fn nothing_is_said_when_there_is_nothing_to_say() {
    let mut net = chain(4, 1, |_| {});
    for n in 0..50 {
        net.broadcast(n % 4, "busy");
        net.run(SECOND / 10);
    }
    net.run(SECOND * 20);
    let links: Vec<_> = net
        .nodes
        .iter()
        .flat_map(|node| node.state.snapshot().links)
        .collect();
    assert!(links.iter().all(|link| link.queued == 0));
    let before: usize = net.sent;
    net.run(SECOND * 60);
    let spent = net.sent - before;
    // Pings, summaries, beacons and probes.
    assert!(spent < 25_000, "{spent} bytes in a minute");
}

#[test]
fn a_long_backlog_is_repaired_at_the_speed_of_the_link() {
    let mut net = chain(2, 1, |_| {});
    net.cut(0, 1);
    for n in 0..1000 {
        net.broadcast(0, &format!("{n}"));
    }
    net.run(SECOND * 10);
    net.heal();
    net.run(SECOND * 20);
    assert_eq!(sequences(&net, 1, 0).len(), 1000);
    let is_flood = |event: &Event| matches!(event, Event::ControlFlood { .. });
    assert!(
        !net.nodes
            .iter()
            .any(|node| node.events.iter().any(is_flood))
    );
}
