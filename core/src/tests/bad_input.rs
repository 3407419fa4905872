//! Bad input: each rule that a peer can break ends its own link with a reason that names the rule,
//! and touches nothing else.

use std::time::Duration;

use super::solo::*;
use crate::*;

/// Feeds bytes to a node with two peers; checks that the one they come from is cut, and returns
/// why.
fn reason_after(bytes: &[u8]) -> CloseReason {
    let mut solo = Solo::new();
    let culprit = solo.py2p("Culprit");
    let other = solo.native("Other");
    solo.take_events();
    solo.feed(culprit, bytes);
    assert!(solo.is_peer("Other") && !solo.is_peer("Culprit"));
    assert!(solo.messages.is_empty());
    let reason = solo.closed.remove(&culprit).expect("closed");
    assert!(solo.closed.is_empty());
    let told = solo.events.iter().any(
        |event| matches!(event, Event::PeerDown { peer, reason: why } if peer.link == culprit && *why == reason),
    );
    assert!(told, "{:?}", solo.events);
    // And the other still works.
    solo.feed(other, &Legacy::native("Other").broadcast("still here"));
    assert_eq!(solo.texts(), ["still here"]);
    reason
}

fn fault_after(bytes: &[u8]) -> PeerFault {
    match reason_after(bytes) {
        CloseReason::Fault(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
pub(super) fn a_length_prefix_over_the_limit() {
    let limit = Config::default().max_frame_len;
    let len = limit + 1;
    let prefix = u32::try_from(len).unwrap().to_be_bytes();
    assert_eq!(fault_after(&prefix), PeerFault::FrameTooLong { len, limit });
    let reason = CloseReason::Fault(PeerFault::FrameTooLong { len, limit });
    assert_eq!(
        reason.to_string(),
        "protocol fault: frame of 4194305 bytes is over the limit of 4194304"
    );
}

#[test]
pub(super) fn a_checksum_mismatch() {
    let mut frame = Legacy::py2p("Culprit").broadcast("hello");
    *frame.last_mut().unwrap() ^= 1;
    assert_eq!(fault_after(&frame), PeerFault::Checksum);
}

#[test]
pub(super) fn malformed_msgpack() {
    for (packed, fault) in [
        (&[0x94, 0, 1][..], MsgpackFault::Truncated),
        (&[0x95, 0, 1, 2, 0, 0xc1], MsgpackFault::Reserved),
        (&[0xdd, 255, 255, 255, 255, 0], MsgpackFault::Truncated),
    ] {
        let expected = PeerFault::Message(MessageFault::Msgpack(fault));
        assert_eq!(fault_after(&plain_frame(packed)), expected);
    }
    let not_an_array = PeerFault::Message(MessageFault::NotAnArray);
    assert_eq!(fault_after(&plain_frame(&[0x80])), not_an_array);
}

#[test]
fn wrong_field_types() {
    let peer = Legacy::py2p("Culprit");
    let cases: [(u64, Payload, &str); 5] = [
        (
            7,
            Payload::from(5),
            "peers: entries must be a list of [[host, port], id]",
        ),
        (
            7,
            Payload::from(Value::array([5])),
            "peers: entries must be a list of [[host, port], id]",
        ),
        (
            8,
            packets!["x", 5],
            "request: wanted id must be text of 1 to 256 bytes",
        ),
        (
            10,
            packets!["x", 5],
            "response: answer must be [[host, port], id]",
        ),
        (
            5,
            packets![5, "x", Value::Nil, Value::Array(vec![])],
            "handshake: id must be text of 1 to 256 bytes",
        ),
    ];
    for (sub_flag, payload, expected) in cases {
        let fault = fault_after(&peer.frame(2, sub_flag, &payload));
        assert_eq!(fault.to_string(), expected);
    }
}

#[test]
fn a_decompression_bomb() {
    let limit = Config::default().max_frame_len;
    let bomb = vec![0; limit + 1];
    for method in Method::built() {
        let frame = frame_by(Some(method), &bomb);
        if frame.len() > limit {
            continue;
        }
        let len = limit + 1;
        assert_eq!(
            fault_after(&frame),
            PeerFault::FrameTooLong { len, limit },
            "{method}"
        );
    }
}

#[test]
fn nesting_too_deep() {
    let nested = |depth: usize| {
        let mut payload = Payload::new();
        payload.push_with(|out| out.extend(std::iter::repeat_n(0x91, depth).chain([0xc0])));
        Legacy::py2p("Culprit").frame(2, 0, &payload)
    };
    let limit = Config::default().max_depth;
    // The message is an array around its packets.
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    solo.feed(link, &nested(limit - 1));
    assert_eq!(solo.messages.len(), 1);
    let fault = MessageFault::Msgpack(MsgpackFault::TooDeep { limit });
    assert_eq!(fault_after(&nested(limit)), PeerFault::Message(fault));
}

#[test]
fn a_handshake_for_another_network() {
    let mut solo = Solo::new();
    let mut peer = Legacy::js2p("J");
    peer.protocol = Protocol::new("elsewhere", Encryption::Plaintext)
        .id()
        .to_string();
    let theirs = Protocol::new("elsewhere", Encryption::Plaintext).id();
    let accepted = solo.accept();
    solo.feed(accepted, &peer.handshake());
    let reason = CloseReason::WrongNetwork {
        theirs: theirs.clone(),
    };
    assert_eq!(solo.closed[&accepted], reason);
    let rejected = Event::Rejected {
        address: address("10.0.0.9:50000"),
        side: Side::Accepted,
        reason,
    };
    assert_eq!(solo.take_events(), [rejected]);
    // And when we dial, the call says so.
    let dial = solo
        .state
        .connect(address("10.0.0.9:4444"), solo.now)
        .unwrap();
    solo.drain();
    let link = solo.dialed(dial);
    solo.feed(link, &peer.handshake());
    let failed = Event::ConnectFailed {
        dial,
        address: address("10.0.0.9:4444"),
        error: ConnectError::WrongNetwork { theirs },
    };
    assert!(solo.events.contains(&failed), "{:?}", solo.events);
}

#[test]
pub(super) fn no_handshake_in_time() {
    let mut solo = Solo::new();
    let accepted = solo.accept();
    let dialed = solo.dial("10.0.0.9:4444");
    solo.pass(Duration::from_secs(9));
    assert!(solo.closed.is_empty());
    solo.pass(Duration::from_secs(1));
    for link in [accepted, dialed] {
        assert_eq!(solo.closed[&link], CloseReason::HandshakeTimeout);
    }
    let failed = solo.events.iter().any(|event| {
        let timeout = ConnectError::Closed(CloseReason::HandshakeTimeout);
        matches!(event, Event::ConnectFailed { error, .. } if *error == timeout)
    });
    assert!(failed, "{:?}", solo.events);
}

#[test]
pub(super) fn half_a_frame_for_too_long() {
    // A byte now and then does not hold the link.
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    solo.feed(link, &[0, 0, 16, 0]);
    for n in 0..59u8 {
        solo.pass(Duration::from_secs(1));
        solo.feed(link, &[n]);
    }
    assert!(solo.is_peer("P"));
    solo.pass(Duration::from_secs(1));
    assert_eq!(solo.closed[&link], CloseReason::HalfFrameTimeout);
    // A large frame on a slow link gets its time.
    let link = solo.py2p("Q");
    let frame = Legacy::py2p("Q").frame(2, 0, &Payload::from(vec![7; 1 << 20]));
    for piece in frame.chunks(5000) {
        solo.feed(link, piece);
        solo.pass(Duration::from_secs(1));
    }
    assert_eq!(solo.messages.len(), 1);
    assert!(solo.is_peer("Q"));
}

#[test]
fn our_own_message_too_large_or_unencodable_or_a_bad_address() {
    let mut solo = Solo::new();
    let link = solo.native("N");
    let before = solo.state.snapshot();
    let limit = solo.state.config().max_message_len;
    let too_long = solo.state.broadcast(vec![0; limit], solo.now);
    assert!(matches!(too_long, Err(SendError::TooLong { len, .. }) if len > limit));
    let map_as_key = Value::map([(Value::map([(1, 2)]), 3)]);
    let refused = solo.state.whisper(map_as_key, solo.now);
    assert_eq!(refused, Err(SendError::Payload(PayloadFault::MapAsKey)));
    let portless = address("10.0.0.5:0");
    let refused = solo.state.connect(portless.clone(), solo.now);
    assert_eq!(refused, Err(ConnectError::BadAddress(portless)));
    let ours = solo.state.connect(address("10.0.0.1:4444"), solo.now);
    assert_eq!(ours, Err(ConnectError::Ourselves));
    assert_eq!(
        solo.state.send_to(&solo.state.id().clone(), "x", solo.now),
        Err(SendError::Ourselves)
    );
    let unknown = solo.state.disconnect(&id("Nobody"), solo.now);
    assert_eq!(unknown, Err(SendError::NotANeighbour(id("Nobody"))));
    solo.drain();
    assert_eq!(solo.state.snapshot(), before, "the state is unchanged");
    assert!(solo.sent(link).is_empty());
}

#[test]
fn a_peer_that_claims_our_own_id() {
    let mut solo = Solo::new();
    let ours = solo.state.id().to_string();
    for peer in [Legacy::py2p(&ours), Legacy::js2p(&ours)] {
        let link = solo.accept();
        solo.feed(link, &peer.handshake());
        assert_eq!(solo.closed[&link], CloseReason::Ourselves);
    }
    let link = solo.accept();
    solo.feed(link, &Legacy::native(&ours).hello());
    assert_eq!(solo.closed[&link], CloseReason::Ourselves);
    assert_eq!(solo.state.peers().count(), 0);
}

#[test]
fn a_peer_that_claims_another_links_id() {
    // The established link stays, whoever asks, and its messages go on.
    let claims: [fn(&str) -> Legacy; 3] = [Legacy::py2p, Legacy::js2p, Legacy::native];
    for claim in claims {
        let mut solo = Solo::new();
        let victim = solo.native("Victim");
        for _ in 0..3 {
            let thief = solo.accept();
            let peer = claim("Victim");
            if peer.id_form == IdForm::Str && peer.protocol_form == IdForm::Bin {
                solo.feed(thief, &peer.hello());
            }
            for claim in [peer.handshake(), peer.accept(), peer.confirm()] {
                solo.feed(thief, &claim);
            }
            solo.feed(thief, &peer.broadcast("stolen"));
        }
        solo.state.broadcast("for the victim", solo.now).unwrap();
        solo.drain();
        assert_eq!(user_texts(&solo.sent(victim)), ["for the victim"]);
        assert!(solo.messages.is_empty());
        let peer = solo.state.peers().next().expect("still linked");
        assert_eq!(peer.link, victim);
    }
}

#[test]
fn a_message_in_our_own_name() {
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    let mut echo = Legacy::py2p("P");
    echo.id = solo.state.id().as_str().to_owned();
    solo.feed(link, &echo.whisper("said by nobody"));
    solo.feed(link, &echo.broadcast("said by nobody"));
    assert!(solo.texts().is_empty());
    assert!(solo.is_peer("P"), "who relayed it may know no better");
}
