//! Networks of native nodes in virtual time.

use std::time::Duration;

use super::net::Net;
use super::solo::address;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// A chain: each node dials the one before.
fn chain(count: usize, seed: u8) -> Net {
    let mut net = Net::new(count, seed);
    for n in 1..count {
        net.connect(n, n - 1).unwrap();
    }
    net.run(SECOND * 3);
    net
}

#[test]
pub(super) fn a_broadcast_reaches_every_participant_once() {
    let mut net = chain(12, 1);
    for from in 0..12 {
        net.broadcast(from, &format!("from {from}"));
    }
    net.run(SECOND * 3);
    for n in 0..12 {
        let mut texts = net.texts(n);
        texts.sort();
        let others = (0..12).filter(|from| *from != n);
        let mut expected: Vec<_> = others.map(|from| format!("from {from}")).collect();
        expected.sort();
        assert_eq!(texts, expected, "node {n}");
    }
}

#[test]
pub(super) fn what_is_sent_from_the_moment_that_a_node_has_joined_reaches_it() {
    for seed in 0..50 {
        let mut net = Net::new(3, seed);
        net.connect(1, 0).unwrap();
        net.run(SECOND);
        // Some dial each other: then the link that is established may be another than the one offered.
        net.connect(2, 0).unwrap();
        if seed % 2 == 0 {
            net.connect(0, 2).unwrap();
        }
        let is_up = |event: &Event| matches!(event, Event::PeerUp(_));
        while !net.nodes[2].events.iter().any(is_up) {
            net.run(Duration::from_millis(1));
        }
        // Only the node that dialled knows so far that the link is established.
        net.broadcast(0, "own");
        net.with_state(0, |state, now| state.whisper("whispered", now).unwrap());
        net.broadcast(1, "relayed");
        net.run(SECOND * 2);
        let mut texts = net.texts(2);
        texts.sort();
        assert_eq!(texts, ["own", "relayed", "whispered"], "seed {seed}");
    }
}

#[test]
pub(super) fn a_node_that_joins_by_one_other_finds_more() {
    let mut net = Net::new(6, 2);
    for n in 1..6 {
        net.connect(n, 0).unwrap();
        net.run(SECOND);
    }
    // Each later one was told of the earlier ones, and dialled up to four.
    let links = net.links();
    let count = |n: usize| links.keys().filter(|(from, _)| *from == n).count();
    assert_eq!(count(5), 4);
    assert!(links.values().all(|links| *links == 1), "{links:?}");
}

#[test]
pub(super) fn simultaneous_dials_leave_exactly_one_link() {
    for seed in 0..50 {
        let mut net = Net::new(2, seed);
        let dials = [net.connect(0, 1).unwrap(), net.connect(1, 0).unwrap()];
        net.run(SECOND * 2);
        let links = net.links();
        assert_eq!(links.len(), 2, "seed {seed}: {links:?}");
        assert!(
            links.values().all(|links| *links == 1),
            "seed {seed}: {links:?}"
        );
        for (n, dial) in dials.into_iter().enumerate() {
            // Both calls succeed, by whichever link; and nothing else is left open.
            let other = net.nodes[1 - n].state.id().clone();
            let connected = Event::Connected { dial, peer: other };
            let node = &net.nodes[n];
            assert!(
                node.events.contains(&connected),
                "seed {seed}: {:?}",
                node.events
            );
            assert_eq!(node.state.snapshot().links.len(), 1, "seed {seed}");
            let downs = node.events.iter();
            let downs = downs.filter(|event| matches!(event, Event::PeerDown { .. }));
            assert_eq!(downs.count(), 0, "seed {seed}");
        }
        net.broadcast(0, "a");
        net.broadcast(1, "b");
        net.run(SECOND);
        assert_eq!(
            (net.texts(0), net.texts(1)),
            (vec!["b".into()], vec!["a".into()])
        );
    }
}

#[test]
fn many_simultaneous_dials_leave_exactly_one_link_per_pair() {
    for seed in 0..10 {
        let mut net = Net::new(5, seed);
        for from in 0..5 {
            for to in 0..5 {
                if from != to {
                    net.connect(from, to).unwrap();
                }
            }
        }
        net.run(SECOND * 12);
        let links = net.links();
        assert_eq!(links.len(), 20, "seed {seed}: {links:?}");
        assert!(links.values().all(|links| *links == 1), "seed {seed}");
        for node in &net.nodes {
            assert_eq!(node.state.snapshot().links.len(), 4, "seed {seed}");
        }
    }
}

#[test]
pub(super) fn dialling_ourselves_by_another_name_is_found_out() {
    let mut net = Net::with(1, 3, |_, config| {
        config.advertised = Some(address("10.9.9.9:1"))
    });
    let dial = net.connect(0, 0).unwrap();
    net.run(SECOND);
    let failed = Event::ConnectFailed {
        dial,
        address: net.nodes[0].address.clone(),
        error: ConnectError::Ourselves,
    };
    assert!(
        net.nodes[0].events.contains(&failed),
        "{:?}",
        net.nodes[0].events
    );
    assert_eq!(
        net.connect(0, 0),
        Err(ConnectError::Ourselves),
        "and remembered"
    );
}

#[test]
pub(super) fn dialling_a_neighbour_again_says_duplicate() {
    let mut net = chain(2, 4);
    let peer = net.nodes[0].state.id().clone();
    assert_eq!(net.connect(1, 0), Err(ConnectError::Duplicate(peer)));
    // By another name it is found out in the greeting, and the first link is untouched.
    net.nodes[0].address = address("10.9.9.9:1");
    let dial = net.connect(1, 0).unwrap();
    net.run(SECOND);
    let error = ConnectError::Duplicate(net.nodes[0].state.id().clone());
    let failed = Event::ConnectFailed {
        dial,
        address: address("10.9.9.9:1"),
        error,
    };
    assert!(
        net.nodes[1].events.contains(&failed),
        "{:?}",
        net.nodes[1].events
    );
    net.run(SECOND * 15);
    for node in &net.nodes {
        assert_eq!(node.state.snapshot().links.len(), 1);
        let downs = node.events.iter();
        assert!(
            !downs
                .into_iter()
                .any(|event| matches!(event, Event::PeerDown { .. }))
        );
    }
}

#[test]
pub(super) fn another_subnet_is_turned_away_on_both_sides() {
    let mut net = Net::with(2, 5, |n, config| {
        config.protocol = Protocol::new(format!("net {n}"), Encryption::Plaintext);
    });
    let dial = net.connect(0, 1).unwrap();
    net.run(SECOND);
    let theirs = net.nodes[1].state.protocol_id().clone();
    let failed = Event::ConnectFailed {
        dial,
        address: net.nodes[1].address.clone(),
        error: ConnectError::WrongNetwork { theirs },
    };
    assert!(
        net.nodes[0].events.contains(&failed),
        "{:?}",
        net.nodes[0].events
    );
    let reason = CloseReason::WrongNetwork {
        theirs: net.nodes[0].state.protocol_id().clone(),
    };
    let events = &net.nodes[1].events;
    let rejected =
        |event: &Event| matches!(event, Event::Rejected { reason: why, .. } if *why == reason);
    assert!(events.iter().any(rejected), "{events:?}");
}

#[test]
pub(super) fn a_lost_link_is_made_again_and_the_events_tell() {
    let mut net = chain(2, 6);
    for _ in 0..3 {
        net.nodes[1].events.clear();
        net.cut(0, 1);
        net.run(SECOND * 100);
        assert_eq!(net.links().len(), 0);
        net.heal();
        net.run(SECOND * 100);
        assert_eq!(net.links().len(), 2);
        let names: Vec<_> = net.nodes[1]
            .events
            .iter()
            .filter_map(|event| match event {
                Event::PeerDown { .. } => Some("down"),
                Event::Isolated => Some("isolated"),
                Event::JoinedAgain => Some("joined again"),
                Event::PeerUp(_) => Some("up"),
                Event::Joined => panic!("only once"),
                _ => None,
            })
            .collect();
        assert_eq!(names, ["down", "isolated", "joined again", "up"]);
    }
    net.broadcast(0, "after all");
    net.run(SECOND);
    assert_eq!(net.texts(1), ["after all"]);
}

#[test]
pub(super) fn a_seed_that_is_down_at_first_is_joined_when_it_comes_up() {
    let place = address("10.1.0.2:4444");
    let mut net = Net::with(1, 7, |_, config| {
        config.seeds = vec![address("10.1.0.2:4444")]
    });
    net.run(SECOND * 300);
    let failures = net.nodes[0].events.iter();
    let failures = failures
        .filter(|event| matches!(event, Event::DialFailed { .. }))
        .count();
    assert!((8..20).contains(&failures), "with backoff: {failures}");
    let late = net.add(|_| {});
    assert_eq!(net.nodes[late].address, place);
    net.run(SECOND * 91);
    assert_eq!(net.links().len(), 2);
}

#[test]
fn the_death_of_the_node_in_the_middle_is_survived() {
    let mut net = Net::new(5, 8);
    for n in 1..5 {
        net.connect(n, 0).unwrap();
    }
    net.run(SECOND * 5);
    for n in 1..5 {
        net.cut(0, n);
    }
    net.run(SECOND * 5);
    net.broadcast(1, "without the middle");
    net.run(SECOND * 2);
    for n in 2..5 {
        assert_eq!(net.texts(n), ["without the middle"], "node {n}");
    }
}

#[test]
pub(super) fn a_link_that_an_application_ends_stays_ended_on_both_sides() {
    let mut net = chain(2, 13);
    let other = net.nodes[0].state.id().clone();
    net.with_state(1, |state, now| state.disconnect(&other, now))
        .unwrap();
    net.run(SECOND * 600);
    assert_eq!(net.links().len(), 0);
    let left = |event: &Event| {
        let reason = CloseReason::PeerLeft;
        matches!(event, Event::PeerDown { reason: why, .. } if *why == reason)
    };
    assert!(
        net.nodes[0].events.iter().any(left),
        "{:?}",
        net.nodes[0].events
    );
    // Until one of the applications wants it again.
    net.connect(0, 1).unwrap();
    net.run(SECOND);
    assert_eq!(net.links().len(), 2);
}

#[test]
pub(super) fn a_node_that_leaves_is_looked_for_in_case_it_comes_back() {
    let mut net = chain(2, 14);
    net.with_state(0, MeshState::shutdown);
    net.run(SECOND * 5);
    let events = &net.nodes[1].events;
    let left = |event: &Event| {
        let reason = CloseReason::PeerLeft;
        matches!(event, Event::PeerDown { reason: why, .. } if *why == reason)
    };
    assert!(events.iter().any(left), "{events:?}");
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::DialFailed { .. }))
    );
}

/// Two groups of ten, each with all the links that its nodes want. One node knows an address of the other group.
fn two_islands(seed: u8) -> Net {
    let seeds = |n: usize| {
        if n == 3 {
            vec![13, 0]
        } else {
            vec![n / 10 * 10]
        }
    };
    let mut net = Net::with(20, seed, |n, config| {
        config.seeds = seeds(n).into_iter().map(Net::place).collect();
    });
    net.cut_between(0..10, 10..20);
    net.run(SECOND * 30);
    net
}

#[test]
pub(super) fn islands_that_are_content_find_each_other() {
    for seed in 0..5 {
        let mut net = two_islands(seed);
        assert!(net.links().keys().all(|(a, b)| (*a < 10) == (*b < 10)));
        net.heal();
        // A probe every 20 s or so, and every other one of the seed.
        net.run(SECOND * 200);
        net.broadcast(17, "over there");
        net.run(SECOND * 2);
        for n in 0..17 {
            assert_eq!(net.texts(n), ["over there"], "seed {seed}, node {n}");
        }
    }
}

#[test]
pub(super) fn probes_within_an_island_leave_no_trace() {
    let mut net = two_islands(7);
    let links = net.links();
    for node in &mut net.nodes {
        node.events.clear();
    }
    let dials = net.dials;
    net.run(SECOND * 300);
    assert!(net.dials > dials + 100, "there were probes");
    assert_eq!(net.links(), links);
    // Node 3 fails to dial its seed on the other side; nobody else has anything to tell.
    for (n, node) in net.nodes.iter().enumerate() {
        assert!(n == 3 || node.events.is_empty(), "{n}: {:?}", node.events);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let record = |seed| {
        let mut net = chain(6, seed);
        net.broadcast(3, "x");
        net.run(SECOND);
        let nodes = net.nodes.into_iter();
        nodes
            .map(|node| format!("{:?} {:?}", node.events, node.state))
            .collect::<Vec<_>>()
    };
    assert_eq!(record(9), record(9));
    assert_ne!(record(9), record(10));
}

#[test]
pub(super) fn an_end_that_is_gone_without_a_word_is_noticed_and_a_quiet_one_stays() {
    let mut net = chain(3, 12);
    net.run(SECOND * 600);
    assert_eq!(net.links().len(), 6, "a ping now and then is enough");
    let is_down = |event: &Event| matches!(event, Event::PeerDown { .. });
    let mut nodes = net.nodes.iter();
    assert!(nodes.all(|node| !node.events.iter().any(is_down)));
    net.swallow(0, 1);
    net.run(SECOND * 91);
    let is_silent = |event: &Event| {
        let reason = CloseReason::Silent;
        matches!(event, Event::PeerDown { reason: why, .. } if *why == reason)
    };
    // One end finds out, and its end of the connection tells the other.
    let noticed = net.nodes[..2]
        .iter()
        .filter(|node| node.events.iter().any(is_silent));
    assert!(noticed.count() > 0);
    assert!(!net.links().contains_key(&(0, 1)) && !net.links().contains_key(&(1, 0)));
    assert!(net.links().contains_key(&(1, 2)), "the others stay");
}

#[test]
fn the_round_trip_is_measured() {
    let net = chain(2, 11);
    for node in &net.nodes {
        let peer = node.state.peers().next().expect("linked");
        let round_trip = peer.round_trip.expect("measured");
        assert!(round_trip > Duration::ZERO && round_trip <= Duration::from_millis(100));
    }
}
