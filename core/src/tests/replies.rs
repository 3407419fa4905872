//! Messages to one node: to neighbours, and to nodes that have to be found first.

use std::time::Duration;

use super::net::Net;
use super::solo::*;
use crate::wire::control::{Control, RequestNode, Response};
use crate::wire::fields::PeerEntry;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// A chain whose nodes stay one: nobody dials whom he is told of.
fn thin_chain(count: usize) -> Net {
    let mut net = Net::with(count, 1, |_, config| config.max_dialed = 0);
    for n in 1..count {
        net.connect(n, n - 1).unwrap();
    }
    net.run(SECOND * 3);
    net
}

fn outcomes(net: &Net, n: usize) -> Vec<SendOutcome> {
    let events = net.nodes[n].events.iter();
    let sent = events.filter_map(|event| match event {
        Event::Sent { outcome, .. } => Some(outcome.clone()),
        _ => None,
    });
    sent.collect()
}

#[test]
fn a_reply_goes_to_a_neighbour_directly() {
    let mut net = thin_chain(2);
    net.broadcast(0, "question");
    net.run(SECOND);
    let question = net.nodes[1].messages[0].clone();
    net.with_state(1, |state, now| state.reply(&question, "answer", now))
        .unwrap();
    net.run(SECOND);
    let answer = &net.nodes[0].messages[0];
    assert_eq!(answer.text().as_deref(), Some("answer"));
    assert_eq!(answer.kind(), MessageKind::Whisper);
    assert_eq!(outcomes(&net, 1), [SendOutcome::Delivered]);
}

#[test]
fn a_reply_to_a_distant_sender_finds_its_way() {
    let mut net = thin_chain(6);
    net.broadcast(0, "question");
    net.run(SECOND);
    let question = net.nodes[5].messages[0].clone();
    for text in ["one", "two"] {
        net.with_state(5, |state, now| state.reply(&question, text, now))
            .unwrap();
    }
    net.run(SECOND * 3);
    assert_eq!(net.texts(0), ["one", "two"]);
    assert_eq!(
        outcomes(&net, 5),
        [SendOutcome::Delivered, SendOutcome::Delivered]
    );
    assert!(
        !net.links().contains_key(&(5, 0)),
        "back the way that the question came"
    );
    for n in 1..5 {
        assert_eq!(net.texts(n), ["question"], "node {n} hears nothing of it");
    }
}

#[test]
fn what_cannot_be_found_or_reached_is_told() {
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    let peer = Legacy::py2p("P");
    let nobody = solo.state.send_to(&id("Nobody"), "x", solo.now).unwrap();
    let far = solo.state.send_to(&id("Far"), "x", solo.now).unwrap();
    solo.drain();
    let request = solo
        .controls(link)
        .into_iter()
        .find_map(|control| match control {
            Control::RequestNode(request) if request.wanted == id("Far") => Some(request),
            _ => None,
        });
    let answer = Response {
        request_id: request
            .expect("asked at once: no native node can help")
            .request_id,
        found: PeerEntry {
            address: address("10.0.0.7:1"),
            id: id("Far"),
            id_form: IdForm::Bin,
        },
    };
    solo.feed(link, &peer.frame(0, 10, &answer.encode().packets));
    let (dial, _) = solo.dials.pop().expect("the answer is dialled");
    solo.state
        .handle_dial_failed(dial, DialFailure::Refused, solo.now);
    solo.drain();
    solo.pass(SECOND * 11);
    let outcome = |send: SendId| {
        solo.events.iter().find_map(|event| match event {
            Event::Sent { send: of, outcome } if *of == send => Some(outcome.clone()),
            _ => None,
        })
    };
    let refused = ConnectError::Dial(DialFailure::Refused);
    assert_eq!(outcome(far), Some(SendOutcome::Unreachable(refused)));
    assert_eq!(outcome(nobody), Some(SendOutcome::NotFound));
}

#[test]
fn a_search_begun_without_neighbours_goes_on_when_there_is_one() {
    let mut net = thin_chain(3);
    let late = net.add(|config| config.max_dialed = 0);
    let far = net.nodes[0].state.id().clone();
    net.with_state(late, |state, now| state.send_to(&far, "at last", now))
        .unwrap();
    net.run(SECOND);
    net.connect(late, 2).unwrap();
    net.run(SECOND * 3);
    assert_eq!(net.texts(0), ["at last"]);
}

#[test]
fn a_link_that_ends_before_a_message_is_out_is_told() {
    let mut solo = Solo::new();
    let link = solo.accept_without_credit();
    solo.feed(link, &Legacy::js2p("J").handshake());
    let send = solo.state.send_to(&id("J"), "x", solo.now).unwrap();
    solo.close(link);
    let lost = Event::Sent {
        send,
        outcome: SendOutcome::LinkLost(CloseReason::PeerClosed),
    };
    assert!(solo.events.contains(&lost), "{:?}", solo.events);
}

fn request(wanted: &str, form: IdForm) -> RequestNode {
    RequestNode {
        request_id: bytes::Bytes::from_static(b"\xa3req"),
        wanted: id(wanted),
        wanted_form: form,
    }
}

#[test]
pub(super) fn reply_to_a_distant_sender_of_py2p_on_2_7_is_answered() {
    // The answer names the node as the question did, and goes back on the link it came from.
    let mut solo = Solo::new();
    let wanted = solo.js2p("Wanted");
    let asker = solo.accept();
    let mut peer = Legacy::py2p("Asker").at("10.0.0.8:1");
    peer.host_form = IdForm::Bin;
    solo.feed(asker, &peer.handshake());
    solo.forget_sent(&[wanted, asker]);
    let question = request("Wanted", IdForm::Bin);
    solo.feed(asker, &peer.frame(0, 8, &question.encode().packets));
    let answer = Response {
        request_id: question.request_id.clone(),
        found: PeerEntry {
            address: address("10.0.0.9:4444"),
            id: id("Wanted"),
            id_form: IdForm::Bin,
        },
    };
    assert_eq!(solo.controls(asker), [Control::Response(answer)]);
    assert_eq!(
        solo.controls(wanted),
        [Control::RequestNode(question)],
        "and is relayed"
    );
}

#[test]
fn reply_to_a_distant_sender_of_js2p_gets_no_response() {
    let mut solo = Solo::new();
    let asker = solo.js2p("Asker");
    let other = solo.accept();
    let peer = Legacy::py2p("Other").at("10.0.0.8:1");
    solo.feed(other, &peer.handshake());
    solo.forget_sent(&[asker, other]);
    let question = request("Other", IdForm::Str);
    solo.feed(
        asker,
        &Legacy::js2p("Asker").frame(0, 8, &question.encode().packets),
    );
    assert!(solo.sent(asker).is_empty(), "we know, and do not answer");
    // Nor do the answers of others pass.
    let answer = Response {
        request_id: question.request_id.clone(),
        found: PeerEntry {
            address: address("10.0.0.7:1"),
            id: id("Other"),
            id_form: IdForm::Str,
        },
    };
    solo.feed(other, &peer.frame(0, 10, &answer.encode().packets));
    assert!(solo.sent(asker).is_empty());
    // Another asker's answer does.
    let elsewhere = Response {
        request_id: bytes::Bytes::from_static(b"\xa5other"),
        ..answer
    };
    solo.feed(other, &peer.frame(0, 10, &elsewhere.encode().packets));
    assert_eq!(solo.controls(asker).len(), 1);
}

#[test]
fn a_handler_can_answer_on_the_link_that_brought_the_message() {
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    solo.feed(
        link,
        &Legacy::py2p("Far").text_frame(0, "my-work", &Payload::from("job")),
    );
    let message = solo.messages.pop().expect("delivered");
    let flag = SubFlag::from("my-work");
    solo.state
        .whisper_on_link(message.link(), flag, "done", solo.now)
        .unwrap();
    solo.drain();
    assert_eq!(user_texts(&solo.sent(link)), ["done"]);
    solo.close(link);
    let gone = solo
        .state
        .whisper_on_link(link, SubFlag::Default, "x", solo.now);
    assert_eq!(gone, Err(SendError::NoLink(link)));
}
