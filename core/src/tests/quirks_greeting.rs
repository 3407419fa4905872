//! The quirks of py2p and js2p, as far as they concern ids, handshakes and links. Each test is
//! named after the behaviour that it answers to.

use std::time::Duration;

use super::solo::*;
use crate::wire::control::Control;
use crate::*;

#[test]
fn node_ids_on_the_wire() {
    // Ours is a str to everyone; theirs are one name in both forms, and named to others as they
    // were spelt.
    let mut solo = Solo::new();
    let py2p = solo.py2p("Alpha");
    let link = solo.accept();
    solo.feed(link, &Legacy::py2p("Beta").at("10.0.0.8:1").handshake());
    let sent = solo.sent(link);
    let ours = handshake_in(&sent).expect("we shake hands");
    assert_eq!(ours.id_form, IdForm::Str);
    let Control::Peers(told) = &sent.last().expect("and tell of others").control else {
        panic!("peers come last");
    };
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].id.as_str(), told[0].id_form),
        ("Alpha", IdForm::Bin)
    );

    // A sender in the other form is the same node: nothing goes back to it.
    let mut alpha = Legacy::py2p("Alpha");
    alpha.id_form = IdForm::Str;
    solo.feed(link, &alpha.broadcast("hi"));
    assert_eq!(solo.texts(), ["hi"]);
    assert!(solo.sent(py2p).is_empty());
}

#[test]
fn protocol_id_in_handshake() {
    let mut solo = Solo::new();
    for peer in [Legacy::py2p("P"), Legacy::js2p("J").at("10.0.0.8:1")] {
        let link = solo.accept();
        solo.feed(link, &peer.handshake());
        let sent = solo.sent(link);
        let ours = handshake_in(&sent).expect("we shake hands");
        assert_eq!(ours.protocol_form, IdForm::Bin);
        assert!(solo.is_peer(&peer.id));
    }
}

#[test]
fn telling_flavours_apart() {
    let kind = |handshake: &[u8]| {
        let mut solo = Solo::new();
        let link = solo.accept();
        assert!(solo.sent(link).is_empty(), "nothing before the first frame");
        solo.feed(link, handshake);
        let peer = solo.state.peers().next();
        peer.expect("linked").kind
    };
    let mut py2p27 = Legacy::py2p("P");
    py2p27.host_form = IdForm::Bin;
    assert_eq!(kind(&Legacy::py2p("P").handshake()), PeerKind::Py2p);
    assert_eq!(kind(&py2p27.handshake()), PeerKind::Py2p27);
    assert_eq!(kind(&Legacy::js2p("J").handshake()), PeerKind::Js2p);
    assert_eq!(kind(&Legacy::native("N").handshake()), PeerKind::Other);
}

#[test]
fn telling_flavours_apart_the_wait_is_capped() {
    let mut solo = Solo::new();
    let link = solo.dial("10.0.0.9:4444");
    assert_eq!(
        hello_count(&solo.sent(link)),
        1,
        "a hello, and nothing else"
    );
    let wait = solo.state.config().silence_timeout;
    solo.pass(wait - Duration::from_micros(1));
    assert!(solo.sent(link).is_empty());
    solo.pass(Duration::from_micros(1));
    let sent = solo.sent(link);
    let ours = handshake_in(&sent).expect("a handshake unasked");
    assert!(ours.methods.is_empty(), "in the form that suits everyone");
    solo.feed(link, &Legacy::js2p("J").handshake());
    assert!(solo.is_peer("J"));
    assert!(handshake_in(&solo.sent(link)).is_none(), "once is enough");
}

#[test]
fn unknown_string_sub_flag_before_handshake() {
    // A hello goes first on every link that we dial; an answer to it is a native node, a
    // handshake a legacy one.
    for legacy in [Legacy::py2p("L"), Legacy::js2p("L")] {
        let mut solo = Solo::new();
        let link = solo.dial("10.0.0.9:4444");
        assert_eq!(hello_count(&solo.sent(link)), 1);
        solo.feed(link, &legacy.handshake());
        assert!(solo.is_peer("L"));
        assert!(handshake_in(&solo.sent(link)).is_some());
    }
    let mut solo = Solo::new();
    let link = solo.dial("10.0.0.9:4444");
    let native = Legacy::native("N");
    solo.feed(link, &[native.hello(), native.accept()].concat());
    let peer = solo.state.peers().next().expect("linked");
    assert_eq!(peer.kind, PeerKind::Native);
}

#[test]
fn uncompressed_frame_on_zlib_link() {
    let mut solo = Solo::new();
    let link = solo.accept();
    solo.feed(link, &Legacy::js2p("J").handshake());
    let sent = solo.sent(link);
    let ours = handshake_in(&sent).expect("we shake hands");
    assert!(ours.methods.is_empty(), "js2p must not try to inflate");
    solo.state.broadcast("x".repeat(5000), solo.now).unwrap();
    solo.drain();
    assert!(solo.sent(link).iter().all(|sent| sent.method.is_none()));
}

#[test]
fn compressed_frame_with_wrong_method() {
    // Only what the peer listed goes to it; what comes is tried whatever was listed.
    let mut solo = Solo::new();
    let link = solo.accept();
    let mut peer = Legacy::py2p("P");
    peer.methods = vec![17, 99];
    solo.feed(link, &peer.handshake());
    solo.sent(link);
    solo.state.broadcast("x".repeat(500), solo.now).unwrap();
    solo.drain();
    let allowed = [None, Some(Method::Gzip)];
    assert!(
        solo.sent(link)
            .iter()
            .all(|sent| allowed.contains(&sent.method))
    );
    for method in Method::built() {
        let packed = peer.pack(0, &0.into(), &Payload::from(method.to_string()));
        solo.feed(link, &frame_by(Some(method), &packed));
    }
    let expected: Vec<_> = Method::built().map(|method| method.to_string()).collect();
    assert_eq!(solo.texts(), expected);
}

#[test]
fn second_handshake_on_a_link() {
    let mut solo = Solo::new();
    let link = solo.js2p("J");
    solo.take_events();
    solo.feed(link, &Legacy::js2p("J").at("10.0.0.7:7").handshake());
    assert!(solo.events.is_empty(), "{:?}", solo.events);
    assert!(solo.sent(link).is_empty());
    let peer = solo.state.peers().next().expect("still linked");
    assert_eq!(peer.address, Some(address("10.0.0.7:7")), "refreshed");
    // Of another node, it ends the link.
    solo.feed(link, &Legacy::js2p("K").handshake());
    let fault = PeerFault::IdChanged {
        from: id("J"),
        to: id("K"),
    };
    assert_eq!(solo.closed[&link], CloseReason::Fault(fault));
}

#[cfg(feature = "zlib")]
#[test]
fn renegotiate_1() {
    let renegotiation = |methods: &[u64]| {
        let list = Value::array(methods.iter().copied());
        Legacy::py2p("P").frame(1, 1, &Payload::from(list))
    };
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    solo.feed(link, &renegotiation(&[19, 17, 16, 18]));
    assert!(solo.sent(link).is_empty(), "no change, no answer");
    solo.feed(link, &renegotiation(&[]));
    assert_eq!(
        solo.controls(link),
        [Control::RenegotiateCompression(vec![])]
    );
    solo.state.broadcast("x".repeat(500), solo.now).unwrap();
    solo.drain();
    assert_eq!(solo.sent(link)[0].method, None, "the new list is followed");
    solo.feed(link, &renegotiation(&[19]));
    assert_eq!(
        solo.controls(link),
        [Control::RenegotiateCompression(vec![19])]
    );
    // js2p closes the link over it.
    let js2p = solo.accept();
    solo.feed(js2p, &Legacy::js2p("J").at("10.0.0.8:1").handshake());
    solo.sent(js2p);
    solo.feed(js2p, &renegotiation(&[17]));
    solo.feed(js2p, &plain_frame(&[0x93, 1, 2, 3]));
    assert!(solo.sent(js2p).is_empty());
}

#[test]
fn renegotiate_1_and_9_from_py2p() {
    // Both still compressed by the old list.
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    let peer = Legacy::py2p("P");
    let empty = peer.pack(1, &1.into(), &Payload::from(Value::Array(vec![])));
    let resend = peer.pack(1, &9.into(), &Payload::new());
    solo.feed(link, &frame_by(Some(Method::Zlib), &empty));
    solo.feed(link, &frame_by(Some(Method::Zlib), &resend));
    assert_eq!(
        solo.controls(link),
        [Control::RenegotiateCompression(vec![])]
    );
    assert!(solo.is_peer("P"));
}

#[test]
fn request_for_peers() {
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    let peer = Legacy::py2p("P");
    let star = |value: Value| peer.frame(2, 8, &Payload::from(value));
    for form in [Value::from("*"), Value::from(b"*")] {
        solo.pass(Duration::from_secs(1));
        solo.feed(link, &star(form));
        assert_eq!(solo.controls(link), [Control::Peers(vec![])]);
    }
    // The storm of a dead table entry.
    for _ in 0..3000 {
        solo.feed(link, &star("*".into()));
    }
    assert!(solo.sent(link).is_empty());
    assert!(solo.is_peer("P"));
    let floods = solo.events.iter();
    let floods = floods.filter(|event| matches!(event, Event::ControlFlood { .. }));
    assert_eq!(floods.count(), 1);
    // After a loss we ask in the form that all understand.
    let other = solo.native("N");
    solo.sent(link);
    solo.close(other);
    let sent = solo.sent(link);
    assert_eq!(sent[0].control, Control::RequestPeers);
    assert_eq!(sent[0].packed.packet_bytes(), [0xc4, 1, b'*']);
}

#[test]
pub(super) fn peers_to_py2p_and_peers_to_js2p() {
    let mut solo = Solo::new();
    for (n, peer) in ["P", "J", "N"].into_iter().enumerate() {
        let link = solo.accept();
        let place = format!("10.0.1.{n}:1");
        match peer {
            "P" => solo.feed(link, &Legacy::py2p(peer).at(&place).handshake()),
            "J" => solo.feed(link, &Legacy::js2p(peer).at(&place).handshake()),
            _ => {
                let native = Legacy::native(peer).at(&place);
                solo.feed(link, &[native.hello(), native.confirm()].concat());
            }
        }
    }
    let mut told = |handshake: &[u8], hello: &[u8]| {
        let link = solo.accept();
        solo.feed(link, hello);
        solo.feed(link, handshake);
        let Some(Control::Peers(told)) = solo.controls(link).pop() else {
            panic!("peers come last");
        };
        told.into_iter()
            .map(|entry| entry.id.to_string())
            .collect::<Vec<_>>()
    };
    let py2p = Legacy::py2p("P2").at("10.0.2.1:1");
    assert_eq!(told(&py2p.handshake(), &[]), ["P", "N"], "no js2p to py2p");
    let js2p = Legacy::js2p("J2").at("10.0.2.2:1");
    assert_eq!(told(&js2p.handshake(), &[]), [""; 0], "nobody to js2p");
    let native = Legacy::native("N2").at("10.0.2.3:1");
    assert_eq!(told(&native.confirm(), &native.hello()), ["N"]);
}

#[test]
pub(super) fn closing_a_link_that_py2p_dialled() {
    // It always gets our handshake first, whatever the reason.
    let mut solo = Solo::new();
    let silent = solo.accept();
    solo.pass(Duration::from_secs(10));
    assert_eq!(solo.closed[&silent], CloseReason::HandshakeTimeout);
    let stranger = solo.accept();
    let mut peer = Legacy::py2p("P");
    peer.protocol = "elsewhere".to_owned();
    solo.feed(stranger, &peer.handshake());
    assert!(matches!(
        solo.closed[&stranger],
        CloseReason::WrongNetwork { .. }
    ));
    let garbled = solo.accept();
    solo.feed(garbled, &[0, 0, 0, 1]);
    let late = solo.accept();
    solo.state.shutdown(solo.now);
    solo.drain();
    for link in [silent, stranger, garbled, late] {
        assert!(solo.closed.contains_key(&link), "{link}");
        assert!(handshake_in(&solo.sent(link)).is_some(), "{link}");
    }
}

#[test]
fn address_nil() {
    let handshake = |peer: &Legacy| {
        let mut solo = Solo::with(Config::default());
        let link = solo.accept();
        solo.feed(link, &peer.handshake());
        let sent = solo.sent(link);
        let handshake = sent
            .iter()
            .find(|s| matches!(s.control, Control::Handshake(_)));
        handshake
            .expect("sent")
            .packed
            .packets()
            .to_values()
            .unwrap()
    };
    assert_eq!(handshake(&Legacy::py2p("P"))[2], Value::Nil);
    let pair = Value::array([Value::Nil, Value::Nil]);
    assert_eq!(handshake(&Legacy::js2p("J"))[2], pair);
    // And from others both are taken.
    let mut solo = Solo::new();
    let mut peer = Legacy::js2p("J");
    peer.address = None;
    let link = solo.accept();
    solo.feed(link, &peer.handshake());
    assert_eq!(solo.state.peers().next().expect("linked").address, None);
}

#[test]
pub(super) fn any_closed_connection_leaving_node() {
    // A lost py2p is dialled again; the others keep their links, and hear no more of it than one
    // request for peers.
    let mut solo = Solo::new();
    let leaver = solo.py2p("P");
    let stayer = solo.accept();
    solo.feed(stayer, &Legacy::py2p("Q").at("10.0.0.8:1").handshake());
    solo.sent(stayer);
    solo.close(leaver);
    assert_eq!(solo.controls(stayer), [Control::RequestPeers]);
    assert!(solo.dials.is_empty(), "not at once");
    solo.pass(Duration::from_secs(3));
    assert_eq!(
        solo.dials.pop().map(|(_, to)| to),
        Some(address("10.0.0.9:4444"))
    );
    assert!(solo.is_peer("Q"));
}

#[test]
fn four_outgoing() {
    // Our own limit holds for the dials that we make of our own accord, not for others' to us.
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    let entries = (0..20u16).map(|n| {
        let place = Value::array([Value::from("10.0.3.1"), Value::from(1000 + n)]);
        Value::array([place, Value::from(format!("Node{n}").as_bytes())])
    });
    let list = Payload::from(Value::Array(entries.collect()));
    solo.feed(link, &Legacy::py2p("P").frame(2, 7, &list));
    assert_eq!(solo.dials.len(), 4);
    for n in 0..4 {
        let link = solo.accept();
        let peer = Legacy::py2p(&format!("In{n}")).at(&format!("10.0.4.{n}:1"));
        solo.feed(link, &peer.handshake());
    }
    assert_eq!(solo.state.peers().count(), 5);
}

#[test]
fn keepalive() {
    // Legacy peers have no ping, but all of them answer a request for peers: who does not is gone.
    let minute = Duration::from_secs(60);
    let legacy = [Legacy::py2p("P"), Legacy::js2p("J").at("10.0.0.8:1")];
    for peer in legacy {
        let mut solo = Solo::new();
        let link = solo.accept();
        solo.feed(link, &peer.handshake());
        solo.forget_sent(&[link]);
        for _ in 0..60 {
            solo.pass(minute + Duration::from_secs(1));
            assert_eq!(solo.controls(link), [Control::RequestPeers], "one a minute");
            let none = Payload::from(Value::Array(Vec::new()));
            solo.feed(link, &peer.frame(2, 7, &none));
            assert!(!solo.closed.contains_key(&link));
        }
        solo.pass(2 * minute + Duration::from_secs(1));
        let why = solo.closed.get(&link);
        assert!(matches!(why, Some(CloseReason::Silent)), "{why:?}");
    }
}

#[test]
fn a_peer_of_unknown_kind_may_be_silent() {
    let mut solo = Solo::new();
    let link = solo.accept();
    solo.feed(link, &Legacy::native("X").handshake());
    solo.forget_sent(&[link]);
    solo.pass(Duration::from_secs(24 * 3600));
    assert!(solo.sent(link).is_empty());
    assert!(!solo.closed.contains_key(&link));
}
