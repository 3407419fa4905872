//! Replies to senders that are no neighbours, by the protocol's request and response.

use rs2p_smol::{Config, Event, SendOutcome};

use super::node::{Mode, Node, wait};

/// Two nodes of ours that know each other only through a peer: the answer of one makes its way by
/// the peer's response.
fn by_response_of(mode: Mode) {
    let Some(peer) = mode.peer() else { return };
    // Else they would dial each other as soon as the peer tells them of one another.
    let config = || Config {
        max_dialed: 0,
        ..Config::default()
    };
    let mut asker = Node::with(mode, "mesh", config());
    let answerer = Node::with(mode, "mesh", config());
    for node in [&asker, &answerer] {
        node.connect(&peer);
        peer.wait_linked(node.id());
    }
    asker.socket.broadcast("question").unwrap();
    let question = answerer.recv();
    assert_eq!(question.sender().as_str(), asker.id());
    let delivery = answerer.socket.reply(&question, "answer").unwrap();
    assert_eq!(asker.recv_text(), "answer");
    let outcome = wait("the outcome", delivery);
    assert_eq!(outcome, SendOutcome::Delivered);
    // It came by a link of its own.
    asker.wait_event("the new link", |event| match event {
        Event::PeerUp(peer) if peer.id.as_str() == answerer.id() => Some(()),
        _ => None,
    });
}

#[test]
fn py2p_answers_where_a_sender_is() {
    by_response_of(Mode::PY2P);
}

#[test]
fn js2p_answers_where_a_sender_is() {
    by_response_of(Mode::JS2P);
}

#[test]
fn we_answer_where_a_sender_is_and_a_py2p_gets_the_reply() {
    let Some(peer) = Mode::PY2P.peer() else {
        return;
    };
    let config = || Config {
        max_dialed: 0,
        ..Config::default()
    };
    let middle = Node::with(Mode::PY2P, "mesh", config());
    let far = Node::with(Mode::PY2P, "mesh", config());
    middle.connect(&peer);
    peer.wait_linked(middle.id());
    far.connect_to(&middle);
    // The py2p is told of nobody new, so it dials nobody; its question crosses the middle.
    let text = rs2p_tests::peers::value::str("question");
    peer.send([text], rs2p_tests::peers::Flag::Broadcast, None)
        .unwrap();
    let question = far.recv();
    assert_eq!(question.sender().as_str(), peer.id());
    let delivery = far.socket.reply(&question, "answer").unwrap();
    let answer = rs2p_tests::peers::value::str("answer");
    peer.wait_message(|message| message.user_packets() == [answer.clone()]);
    // By the node that is linked to it, or on a link of its own: neither is acknowledged.
    let outcome = wait("the outcome", delivery);
    let is_sent = matches!(
        outcome,
        SendOutcome::Sent { .. } | SendOutcome::HandedOver { .. }
    );
    assert!(is_sent, "{outcome}");
}

#[test]
fn a_reply_to_a_sender_that_is_gone_fails_in_words() {
    let Some((node, peer)) = Mode::PY2P.pair() else {
        return;
    };
    let text = rs2p_tests::peers::value::str("question");
    peer.send([text], rs2p_tests::peers::Flag::Broadcast, None)
        .unwrap();
    let question = node.recv();
    peer.kill();
    node.wait_no_peer(peer.id());
    let delivery = node.socket.reply(&question, "too late").unwrap();
    let outcome = wait("the outcome", delivery);
    assert_eq!(outcome, SendOutcome::NotFound);
}
