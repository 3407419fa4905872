//! Legacy peers get no more than they take in.

use std::time::Duration;

use super::solo::*;
use crate::wire::control::{Control, sub_flag};
use crate::wire::message::MainType;
use crate::*;

/// How many messages may be under way on a new link.
const WINDOW: usize = 64;

fn broadcast(solo: &mut Solo, count: usize) {
    for n in 0..count {
        let text = format!("message {n}");
        solo.state.broadcast(text, solo.now).expect("there is room");
    }
    solo.drain();
}

/// Answers what a peer was asked by these.
fn answer_all(solo: &mut Solo, link: LinkId, peer: &Legacy, sent: Vec<Sent>) {
    for sent in sent {
        let Control::RequestNode(request) = sent.control else {
            continue;
        };
        assert_eq!(&request.wanted, solo.state.id(), "it knows us");
        let mut answer = Payload::new();
        answer.push_with(|out| out.extend_from_slice(&request.request_id));
        // We told it no address.
        let wanted = Value::from(request.wanted.as_str());
        answer.push(Value::array([Value::Nil, wanted]));
        solo.feed(link, &peer.frame(0, sub_flag::RESPONSE, &answer));
    }
}

/// Answers what a peer was asked since the last call. Returns how many messages for its application came.
fn take_in(solo: &mut Solo, link: LinkId, peer: &Legacy) -> usize {
    let sent = solo.sent(link);
    let users = sent.iter().filter(|sent| sent.control == Control::User);
    let count = users.count();
    answer_all(solo, link, peer, sent);
    count
}

#[test]
fn no_more_is_sent_to_a_legacy_peer_than_it_says_it_has_taken_in() {
    for (peer, is_py2p) in [(Legacy::py2p("P"), true), (Legacy::js2p("J"), false)] {
        let mut solo = Solo::new();
        let link = if is_py2p {
            solo.py2p("P")
        } else {
            solo.js2p("J")
        };
        let other = solo.native("N");
        broadcast(&mut solo, 1000);
        let mut got = take_in(&mut solo, link, &peer);
        assert_eq!(got, WINDOW);
        while got < 1000 {
            let more = take_in(&mut solo, link, &peer);
            assert!(more > 0, "after {got}");
            got += more;
        }
        solo.pass(Duration::from_secs(10));
        assert_eq!(take_in(&mut solo, link, &peer), 0, "each once");
        let relayed = solo.controls(other).into_iter();
        let mut relayed = relayed.filter(|control| matches!(control, Control::Response(_)));
        assert_eq!(relayed.next(), None, "an answer is for nobody else");
        assert!(solo.closed.is_empty());
    }
}

#[test]
fn what_waits_for_a_legacy_peer_until_it_is_too_old_goes_out_as_a_whisper() {
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    let peer = Legacy::py2p("P");
    // It is known to answer.
    broadcast(&mut solo, WINDOW / 2);
    assert_eq!(take_in(&mut solo, link, &peer), WINDOW / 2);
    broadcast(&mut solo, 300);
    solo.pass(Duration::from_secs(59));
    // It was halted, and comes to what it was sent only now.
    let mut got = 0;
    loop {
        let sent = solo.sent(link);
        let users = sent.iter().filter(|sent| sent.control == Control::User);
        let mains: Vec<_> = users.map(|sent| sent.packed.main()).collect();
        let in_time = if got == 0 { mains.len() } else { 0 };
        let expected = |n| {
            if n < in_time {
                MainType::Broadcast
            } else {
                MainType::Whisper
            }
        };
        assert!(
            mains
                .iter()
                .enumerate()
                .all(|(n, main)| *main == expected(n))
        );
        got += mains.len();
        if got == 300 {
            break;
        }
        assert!(!mains.is_empty() && mains.len() < 300, "{got}");
        answer_all(&mut solo, link, &peer, sent);
    }
}

/// Found by a py2p that was halted before it had answered anything.
#[test]
pub(super) fn a_peer_that_was_taken_for_mute_and_answers_after_all_gets_what_follows() {
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    let peer = Legacy::py2p("P");
    broadcast(&mut solo, 600);
    solo.pass(Duration::from_secs(6));
    assert_eq!(take_in(&mut solo, link, &peer), 600);
    broadcast(&mut solo, 1);
    let mut got = 0;
    for _ in 0..3 {
        got += take_in(&mut solo, link, &peer);
    }
    assert_eq!(got, 1);
}
