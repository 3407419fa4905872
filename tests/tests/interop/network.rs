//! Several peers and nodes in one network.

use std::collections::BTreeSet;

use rs2p_smol::{Config, PeerKind};
use rs2p_tests::peers::{Flag, Peer, PeerOptions, next_address, value};

use super::node::{Mode, Node};

/// A py2p that nobody can dial: it tells others an address where nobody listens.
fn undiallable(mode: Mode) -> Option<Peer> {
    let nobody = next_address();
    let options = PeerOptions::new().out_address(&nobody.ip().to_string(), nobody.port());
    mode.peer_with(options)
}

fn hears(peer: &Peer, text: &str) {
    peer.wait_message(|message| message.user_packets() == [value::str(text)]);
}

fn says(peer: &Peer, text: &str) {
    peer.send([value::str(text)], Flag::Broadcast, None)
        .unwrap();
}

/// Returns whether a text arrives soon.
pub(super) fn has_heard(peer: &Peer, text: &str) -> bool {
    (0..50).any(|_| {
        // A foreign process: all that can be done is to look again a little later.
        std::thread::sleep(std::time::Duration::from_millis(20));
        peer.ping().unwrap();
        let messages = peer.messages();
        let mut texts = messages.iter().map(|message| message.user_packets());
        texts.any(|packets| packets == [value::str(text)])
    })
}

/// How often each text was delivered to a peer, where it was more than once.
fn duplicates(peer: &Peer) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let messages = peer.messages().into_iter();
    let again = messages.filter(|message| !seen.insert(message.id.clone()));
    again.map(|message| message.id.clone()).collect()
}

#[test]
fn two_py2p_that_are_not_connected_talk_through_us() {
    let (Some(alice), Some(bob)) = (undiallable(Mode::PY2P), undiallable(Mode::PY2P)) else {
        return;
    };
    let node = Node::start(Mode::PY2P);
    for peer in [&alice, &bob] {
        node.connect(peer);
        peer.wait_linked(node.id());
    }
    says(&alice, "from alice");
    hears(&bob, "from alice");
    says(&bob, "from bob");
    hears(&alice, "from bob");
    let heard = BTreeSet::from([node.recv_text(), node.recv_text()]);
    assert_eq!(
        heard,
        BTreeSet::from(["from alice".into(), "from bob".into()])
    );
    for peer in [&alice, &bob] {
        assert_eq!(duplicates(peer), [""; 0]);
    }
}

#[test]
fn py2p_and_js2p_are_one_network_joined_by_us() {
    let (Some(py), Some(js)) = (Mode::PY2P.peer(), Mode::JS2P.peer()) else {
        return;
    };
    let node = Node::start(Mode::PY2P);
    // One dials us, the other is dialled.
    py.connect(node.address).unwrap();
    node.wait_peer(py.id());
    node.connect(&js);
    py.wait_linked(node.id());
    js.wait_linked(node.id());
    says(&py, "from python");
    hears(&js, "from python");
    assert_eq!(node.recv_text(), "from python");
    says(&js, "from javascript");
    hears(&py, "from javascript");
    assert_eq!(node.recv_text(), "from javascript");
    node.socket.broadcast("from rust").unwrap();
    hears(&py, "from rust");
    hears(&js, "from rust");
    let kinds: BTreeSet<_> = node
        .socket
        .peers()
        .into_iter()
        .map(|peer| peer.kind)
        .collect();
    assert_eq!(kinds, BTreeSet::from([PeerKind::Py2p, PeerKind::Js2p]));
}

#[test]
fn a_network_of_all_three_with_several_of_each() {
    let py: Vec<_> = (0..2).map_while(|_| Mode::PY2P.peer()).collect();
    let js: Vec<_> = (0..2).map_while(|_| Mode::JS2P.peer()).collect();
    if py.len() + js.len() < 4 {
        return;
    }
    let nodes = [(); 2].map(|()| Node::start(Mode::PY2P));
    nodes[0].connect_to(&nodes[1]);
    for (n, node) in nodes.iter().enumerate() {
        for peer in [&py[n], &js[n]] {
            peer.connect(node.address).unwrap();
            node.wait_peer(peer.id());
            peer.wait_linked(node.id());
        }
    }
    let peers: Vec<&Peer> = py.iter().chain(&js).collect();
    for (n, peer) in peers.iter().enumerate() {
        says(peer, &format!("from peer {n}"));
    }
    nodes[0].socket.broadcast("from node 0").unwrap();
    nodes[1].socket.broadcast("from node 1").unwrap();
    for (n, peer) in peers.iter().enumerate() {
        for other in (0..peers.len()).filter(|other| *other != n) {
            hears(peer, &format!("from peer {other}"));
        }
        hears(peer, "from node 0");
        hears(peer, "from node 1");
        assert_eq!(duplicates(peer), [""; 0]);
    }
    for node in &nodes {
        let heard: BTreeSet<_> = (0..5).map(|_| node.recv_text()).collect();
        assert_eq!(heard.len(), 5, "{heard:?}");
    }
}

#[test]
fn py2p_is_told_of_those_it_can_live_with_and_dials_them() {
    let (Some(first), Some(js)) = (Mode::PY2P.peer(), Mode::JS2P.peer()) else {
        return;
    };
    let node = Node::start(Mode::PY2P);
    let other = Node::start(Mode::PY2P);
    other.connect_to(&node);
    node.connect(&first);
    node.connect(&js);
    let Some(late) = Mode::PY2P.peer() else {
        return;
    };
    late.connect(node.address).unwrap();
    // The node that it dialled, the py2p and the other node that this one told it of.
    let rows = late.wait_routing(3);
    let ids: BTreeSet<_> = rows.iter().map(|row| row.id_text()).collect();
    let expected = [node.id(), other.id(), first.id()];
    assert_eq!(ids, expected.into_iter().map(str::to_owned).collect());
    assert_eq!(other.wait_peer(late.id()).kind, PeerKind::Py2p);
    says(&late, "hello all");
    for peer in [&first, &js] {
        hears(peer, "hello all");
        assert_eq!(duplicates(peer), [""; 0]);
    }
}

#[test]
fn we_dial_those_that_a_peer_tells_of() {
    let (Some(first), Some(second)) = (Mode::PY2P.peer(), Mode::PY2P.peer()) else {
        return;
    };
    second.connect(first.address()).unwrap();
    first.wait_routing(1);
    let node = Node::start(Mode::PY2P);
    node.connect(&first);
    node.wait_peer(second.id());
}

#[test]
fn when_one_py2p_leaves_the_others_still_hear_each_other() {
    let peers: Vec<_> = (0..3).map_while(|_| Mode::PY2P.peer()).collect();
    let [leaver, stayers @ ..] = &peers[..] else {
        return;
    };
    if stayers.len() < 2 {
        return;
    }
    let node = Node::with(
        Mode::PY2P,
        "mesh",
        Config {
            redial_min: std::time::Duration::from_millis(300),
            ..Config::default()
        },
    );
    for peer in &peers {
        peer.connect(node.address).unwrap();
        node.wait_peer(peer.id());
    }
    leaver.close();
    node.wait_no_peer(leaver.id());
    // Their links to each other break over it, and what they send meanwhile is lost; those to us
    // stay, or are made again, and by them they hear each other.
    for (n, peer) in stayers.iter().enumerate() {
        let is_heard = (0..30).any(|attempt| {
            node.wait_peer(peer.id());
            let text = format!("still here {n} {attempt}");
            says(peer, &text);
            has_heard(&stayers[1 - n], &text)
        });
        assert!(is_heard, "{n} is cut off");
    }
}
