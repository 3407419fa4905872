//! Every message, once: to real legacy nodes that are slow, that halt, and whose links break.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rs2p_smol::{Config, Event};
use rs2p_tests::peers::{Flood, Peer, PeerOptions, next_address, value};
use smol::stream::StreamExt as _;

use super::bare::BareNode;
use super::node::{Mode, Node, wait};
use super::proxy::Proxy;

/// How long a peer may take for what it is slow at. A py2p looks at all messages of the last minute for each that comes.
const PATIENCE: Duration = Duration::from_secs(180);

/// A peer that counts what it gets, and tells others an address where nobody listens, so that links are made only by
/// the test.
fn counting(mode: Mode) -> Option<Peer> {
    let nobody = next_address();
    let options = PeerOptions::new()
        .quiet()
        .timeout(PATIENCE)
        .out_address(&nobody.ip().to_string(), nobody.port());
    mode.peer_with(options)
}

fn quick() -> Config {
    Config {
        redial_min: Duration::from_millis(200),
        redial_max: Duration::from_secs(1),
        ..Config::default()
    }
}

/// A message of 64 bytes.
fn numbered(tag: &str, n: u32) -> String {
    format!("{:.<64}", format!("{tag}-{n}-"))
}

/// Broadcasts as fast as it is accepted.
fn burst(node: &Node, tag: &str, count: u32) {
    for n in 0..count {
        let sent = node.socket.broadcast_when_ready(numbered(tag, n));
        wait("room", sent).unwrap();
    }
}

/// Waits until a peer has got so many messages, and checks that each of them came once.
#[track_caller]
fn got(peer: &Peer, count: u64) {
    let counts = peer.wait_counts(count);
    let all = (
        counts.total,
        counts.distinct_bodies,
        counts.duplicate_bodies,
    );
    assert_eq!(all, (count, count, 0), "{peer:?}");
}

/// Sends one more message, and checks that nothing came before it but what was counted.
#[track_caller]
fn got_no_more(node: &Node, peer: &Peer, count: u64) {
    node.socket.broadcast("the last").unwrap();
    got(peer, count + 1);
}

fn a_burst_of_5000_arrives_whole(mode: Mode) {
    let Some(peer) = counting(mode) else { return };
    let node = Node::with(mode, "mesh", quick());
    node.connect(&peer);
    peer.wait_linked(node.id());
    let begun = Instant::now();
    burst(&node, "burst", 5000);
    got(&peer, 5000);
    eprintln!("5000 to {peer:?} took {:.1?}", begun.elapsed());
    got_no_more(&node, &peer, 5000);
}

#[test]
fn a_burst_of_5000_to_py2p_arrives_whole() {
    a_burst_of_5000_arrives_whole(Mode::PY2P);
}

#[test]
fn a_burst_of_5000_to_js2p_arrives_whole() {
    a_burst_of_5000_arrives_whole(Mode::JS2P);
}

/// Two legacy nodes, each at a node of ours, which are linked: each gets all that the other says.
fn two_ends_of_a_chain_hear_each_other(left: Mode, right: Mode) {
    const COUNT: u32 = 500;
    let (Some(alice), Some(bob)) = (counting(left), counting(right)) else {
        return;
    };
    let nodes = [(); 2].map(|()| Node::with(Mode::PY2P, "mesh", quick()));
    // In this order, so that nobody is told of the node at the other end.
    for (node, peer) in nodes.iter().zip([&alice, &bob]) {
        node.connect(peer);
        peer.wait_linked(node.id());
    }
    nodes[0].connect_to(&nodes[1]);
    nodes[1].wait_peer(nodes[0].id());
    // One after the other: a py2p breaks its own link when it sends while it forgets old messages, and that is what it
    // does for each that comes.
    for (tag, peer, other) in [("alice", &alice, &bob), ("bob", &bob, &alice)] {
        let flood = Flood::new(COUNT).tag(tag).gap(Duration::from_millis(2));
        peer.flood(&flood).unwrap();
        for node in &nodes {
            hears_all(node, tag, COUNT);
        }
        got(other, u64::from(COUNT));
    }
    got_no_more(&nodes[0], &alice, u64::from(COUNT));
    got(&bob, u64::from(COUNT) + 1);
    for node in &nodes {
        let links = node.socket.peers();
        assert_eq!(links.len(), 2, "a chain still: {links:?}");
    }
}

/// Receives until so many messages with a tag have come, and no other.
fn hears_all(node: &Node, tag: &str, count: u32) {
    let mut texts = BTreeSet::new();
    for _ in 0..count {
        let packets = node.recv().packets().as_bytes().clone();
        let is_tagged = packets
            .windows(tag.len())
            .any(|window| window == tag.as_bytes());
        assert!(is_tagged, "from the other end: {packets:?}");
        assert!(texts.insert(packets), "twice");
    }
}

#[test]
fn two_py2p_at_the_ends_of_a_chain_hear_each_other() {
    two_ends_of_a_chain_hear_each_other(Mode::PY2P, Mode::PY2P);
}

#[test]
fn two_js2p_at_the_ends_of_a_chain_hear_each_other() {
    two_ends_of_a_chain_hear_each_other(Mode::JS2P, Mode::JS2P);
}

#[test]
fn a_py2p_and_a_js2p_at_the_ends_of_a_chain_hear_each_other() {
    two_ends_of_a_chain_hear_each_other(Mode::PY2P, Mode::JS2P);
}

#[test]
fn those_that_halt_for_half_a_minute_miss_nothing() {
    const COUNT: u32 = 600;
    let (Some(py), Some(js)) = (counting(Mode::PY2P), counting(Mode::JS2P)) else {
        return;
    };
    let peers = [&py, &js];
    let node = Node::with(Mode::PY2P, "mesh", quick());
    for peer in peers {
        node.connect(peer);
        peer.wait_linked(node.id());
        peer.stop();
    }
    // It is the clock of a real process that is waited for.
    smol::block_on(async {
        let mut ticks = smol::Timer::interval(Duration::from_millis(50));
        for n in 0..COUNT {
            ticks.next().await;
            node.socket.broadcast(numbered("meanwhile", n)).unwrap();
        }
    });
    for peer in peers {
        peer.cont();
    }
    for peer in peers {
        got(peer, u64::from(COUNT));
    }
    got_no_more(&node, &py, u64::from(COUNT));
    got(&js, u64::from(COUNT) + 1);
}

/// Cuts the link in the middle of a burst, broadcasts on, and mends it: several times.
fn what_a_cut_link_missed_comes_when_it_is_back(mode: Mode) {
    const ROUNDS: u32 = 4;
    let Some(peer) = counting(mode) else { return };
    let node = Node::with(mode, "mesh", quick());
    let proxy = Proxy::to(peer.address());
    wait("connect", node.socket.connect(proxy.address.to_string())).unwrap();
    peer.wait_linked(node.id());
    for round in 0..ROUNDS {
        burst(&node, &format!("before {round}"), 100);
        proxy.cut();
        burst(&node, &format!("after {round}"), 100);
        node.wait_no_peer(peer.id());
        burst(&node, &format!("without {round}"), 100);
        proxy.mend();
        node.wait_peer(peer.id());
        burst(&node, &format!("again {round}"), 100);
    }
    let count = u64::from(ROUNDS) * 400;
    got(&peer, count);
    got_no_more(&node, &peer, count);
}

#[test]
fn what_a_cut_link_to_py2p_missed_comes_when_it_is_back() {
    what_a_cut_link_missed_comes_when_it_is_back(Mode::PY2P);
}

#[test]
fn what_a_cut_link_to_js2p_missed_comes_when_it_is_back() {
    what_a_cut_link_missed_comes_when_it_is_back(Mode::JS2P);
}

/// py2p ends a link when it finds exactly four bytes behind a frame.
#[test]
fn a_py2p_that_breaks_its_own_link_gets_all_in_the_end() {
    const COUNT: u64 = 1000;
    let Some(peer) = counting(Mode::PY2P) else {
        return;
    };
    let mut node = Node::with(Mode::PY2P, "mesh", quick());
    let proxy = Proxy::with_traps(peer.address(), 3);
    wait("connect", node.socket.connect(proxy.address.to_string())).unwrap();
    peer.wait_linked(node.id());
    burst(&node, "burst", 1000);
    for _ in 0..3 {
        node.wait_event("the end of the link", |event| {
            matches!(event, Event::PeerDown { .. }).then_some(())
        });
    }
    assert_eq!(proxy.traps_left(), 0);
    got(&peer, COUNT);
    got_no_more(&node, &peer, COUNT);
}

/// What is recovered when it is a minute old is too old for legacy nodes to take as a broadcast.
#[test]
fn what_is_recovered_late_reaches_the_applications_of_legacy_nodes_once() {
    const COUNT: usize = 20;
    let (Some(py), Some(js)) = (Mode::PY2P.peer(), Mode::JS2P.peer()) else {
        return;
    };
    let peers = [&py, &js];
    let node = Node::start(Mode::PY2P);
    for peer in peers {
        node.connect(peer);
        peer.wait_linked(node.id());
    }
    // It was alone when it broadcast these, 70 seconds ago by all calendars but its own.
    let mut lonely = BareNode::behind(Config::default(), Duration::from_secs(70));
    for n in 0..COUNT {
        let now = lonely.now();
        lonely.state.broadcast(format!("late {n}"), now).unwrap();
    }
    let sender = lonely.state.id().as_str().to_owned();
    let came = |peer: &Peer| {
        let messages = peer.messages().into_iter();
        messages
            .filter(|message| message.sender_text() == sender)
            .collect::<Vec<_>>()
    };
    lonely.run_to(node.address, |_| {
        peers.iter().all(|peer| came(peer).len() >= COUNT)
    });
    // What is sent now comes after all that there was to send.
    node.socket.broadcast("the last").unwrap();
    for peer in peers {
        peer.wait_message(|message| message.user_packets() == [value::str("the last")]);
        let late = came(peer);
        let texts = late.iter().map(|message| message.user_packets());
        let expected: Vec<_> = (0..COUNT)
            .map(|n| [value::str(&format!("late {n}"))])
            .collect();
        assert_eq!(texts.collect::<Vec<_>>(), expected, "{peer:?}");
        assert!(
            late.iter()
                .all(|message| message.main_type == value::int(2)),
            "whispers"
        );
    }
    for n in 0..COUNT {
        assert_eq!(node.recv_text(), format!("late {n}"));
    }
}
