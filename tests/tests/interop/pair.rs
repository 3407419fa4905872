//! One node of ours and one peer, in every mode that a peer has.

use std::collections::BTreeSet;

use rs2p_smol::{
    CloseReason, Config, ConnectError, ConnectFailure, Encryption, Event, Handled, MessageKind,
    Payload, Side, SubFlag, Value,
};
use rs2p_tests::peers::{Flag, Flood, Package, PeerOptions, value};
use serde_json::Value as Json;

use super::network::has_heard;
use super::node::{Mode, Node, as_ours, wait};

macro_rules! in_every_mode {
    ($($mode:ident = $value:expr;)*) => {
        in_every_mode! { @tests [$($mode = $value;)*]
            we_dial_it it_dials_us it_finds_us_by_the_silence_of_neither
            every_type_of_packet_both_ways whispers_both_ways replies_both_ways
            the_wrong_subnet_is_told_on_both_dials
            it_leaves_and_comes_back we_leave_and_come_back
            a_link_that_it_ends_is_made_again
            equal_alerts_all_arrive a_mebibyte_both_ways
            sub_flags_of_the_application_both_ways a_burst_of_ours_arrives_whole
            a_crossed_dial_leaves_one_link
        }
    };
    (@tests [$($mode:ident = $value:expr;)*] $($tests:tt)*) => {
        in_every_mode! { @each [$($mode = $value;)*] [$($tests)*] }
    };
    (@each [] [$($test:ident)*]) => {};
    (@each [$mode:ident = $value:expr; $($rest:tt)*] [$($test:ident)*]) => {
        mod $mode {
            use super::super::node::Mode;
            $(#[test] fn $test() { super::$test($value); })*
        }
        in_every_mode! { @each [$($rest)*] [$($test)*] }
    };
}

in_every_mode! {
    py2p_plaintext = Mode::PY2P;
    py2p_ssl = Mode::PY2P_SSL;
    js2p_plaintext = Mode::JS2P;
    js2p_ssl = Mode::JS2P_SSL;
    js2p_ws = Mode::JS2P_WS;
}

fn we_dial_it(mode: Mode) {
    let Some((node, peer)) = mode.pair() else {
        return;
    };
    let info = node.wait_peer(peer.id());
    assert_eq!((info.kind, info.side), (mode.kind, Side::Dialed));
    assert_eq!(info.address, Some(as_ours(peer.address())));
    let rows = peer.wait_routing(1);
    assert_eq!(rows[0].id_text(), node.id());
}

fn it_dials_us(mode: Mode) {
    let Some(peer) = mode.peer() else { return };
    let node = Node::start(mode);
    peer.connect(node.address).unwrap();
    let info = node.wait_peer(peer.id());
    assert_eq!((info.kind, info.side), (mode.kind, Side::Accepted));
    let rows = peer.wait_routing(1);
    assert_eq!(rows[0].id_text(), node.id());
}

/// Its events: it is told that it is connected once, and we that we have joined.
fn it_finds_us_by_the_silence_of_neither(mode: Mode) {
    let Some(peer) = mode.peer() else { return };
    let mut node = Node::start(mode);
    peer.connect(node.address).unwrap();
    peer.wait_event("connect", |_| true);
    node.wait_event("joining", |event| {
        matches!(event, Event::Joined).then_some(())
    });
    peer.wait_routing(1);
    let connects = peer.events().into_iter();
    let connects = connects.filter(|event| event["event"] == "connect");
    assert_eq!(connects.count(), 1);
}

/// Values that mean the same to all three, as ours and as the drivers of the peers spell them.
fn common_values() -> Vec<(Value, Json)> {
    let long = "x".repeat(70_000);
    vec![
        (Value::Nil, value::nil()),
        (true.into(), value::boolean(true)),
        (false.into(), value::boolean(false)),
        (0.into(), value::int(0)),
        ((-1).into(), value::int(-1)),
        (127.into(), value::int(127)),
        (128.into(), value::int(128)),
        (65_536.into(), value::int(65_536)),
        (i32::MAX.into(), value::int(i32::MAX)),
        (i32::MIN.into(), value::int(i32::MIN)),
        (1.5.into(), value::float(1.5)),
        ("".into(), value::str("")),
        ("h\u{e9}\u{1f600}".into(), value::str("h\u{e9}\u{1f600}")),
        (long.as_str().into(), value::str(&long)),
        (b"".into(), value::bin(b"")),
        (vec![7u8; 255].into(), value::bin(&[7; 255])),
        (b"\x00\xff".into(), value::bin(b"\x00\xff")),
        (Value::Array(vec![]), value::array([])),
        (
            Value::array([Value::from(1), Value::array(["x"])]),
            value::array([value::int(1), value::array([value::str("x")])]),
        ),
        (
            Value::map([("k", Value::map([("n", Value::Nil)]))]),
            value::map([(
                value::str("k"),
                value::map([(value::str("n"), value::nil())]),
            )]),
        ),
    ]
}

/// Values that js2p has no exact form for.
fn values_for_py2p() -> Vec<(Value, Json)> {
    vec![
        (u64::MAX.into(), value::int(u64::MAX)),
        (i64::MIN.into(), value::int(i64::MIN)),
        (3.0.into(), value::float(3.0)),
        (
            Value::map([(1, "one")]),
            value::map([(value::int(1), value::str("one"))]),
        ),
    ]
}

fn every_type_of_packet_both_ways(mode: Mode) {
    let Some((node, peer)) = mode.pair() else {
        return;
    };
    let mut values = common_values();
    if peer.package() == Package::Py2p {
        values.extend(values_for_py2p());
    }
    let (ours, theirs): (Vec<Value>, Vec<Json>) = values.into_iter().unzip();

    node.socket
        .broadcast(Payload::from_iter(ours.clone()))
        .unwrap();
    let message = peer.wait_message(|_| true);
    assert_eq!(message.user_packets(), theirs);
    assert_eq!(message.sender_text(), node.id());

    peer.send(theirs, Flag::Broadcast, None).unwrap();
    let message = node.recv();
    assert_eq!(message.packets().to_values().unwrap(), ours);
    assert_eq!(message.sender().as_str(), peer.id());
    assert_eq!(message.kind(), MessageKind::Broadcast);

    // And a message of nothing.
    node.socket.broadcast(Payload::new()).unwrap();
    peer.wait_message(|message| message.user_packets().is_empty());
    peer.send([], Flag::Broadcast, None).unwrap();
    assert!(node.recv().packets().is_empty());
}

fn whispers_both_ways(mode: Mode) {
    let Some((node, peer)) = mode.pair() else {
        return;
    };
    node.socket.whisper("psst").unwrap();
    let message = peer.wait_message(|_| true);
    assert_eq!(message.user_packets(), [value::str("psst")]);
    assert_eq!(message.main_type, value::int(2));
    peer.send([value::str("psst yourself")], Flag::Whisper, None)
        .unwrap();
    let message = node.recv();
    assert_eq!(message.text().as_deref(), Some("psst yourself"));
    assert_eq!(message.kind(), MessageKind::Whisper);
}

fn replies_both_ways(mode: Mode) {
    let Some((node, peer)) = mode.pair() else {
        return;
    };
    peer.send([value::str("question")], Flag::Broadcast, None)
        .unwrap();
    let question = node.recv();
    let delivery = node.socket.reply(&question, "answer").unwrap();
    let message = peer.wait_message(|_| true);
    assert_eq!(message.user_packets(), [value::str("answer")]);
    let outcome = wait("the outcome", delivery);
    assert!(
        matches!(outcome, rs2p_smol::SendOutcome::Sent { .. }),
        "{outcome}"
    );
    // Its reply to ours finds us: our sender and our handshake spell our id alike.
    node.socket.broadcast("your turn").unwrap();
    let message = peer.wait_message(|message| message.user_packets() == [value::str("your turn")]);
    peer.reply(message.n, [value::str("mine")]).unwrap();
    let message = node.recv();
    assert_eq!(message.text().as_deref(), Some("mine"));
    assert_eq!(message.kind(), MessageKind::Whisper);
}

fn the_wrong_subnet_is_told_on_both_dials(mode: Mode) {
    let Some(peer) = mode.peer_with(PeerOptions::new().subnet("elsewhere")) else {
        return;
    };
    let mut node = Node::start(mode);
    let refused = wait("connect", node.socket.connect(peer.address().to_string()));
    let is_told = |theirs: &rs2p_smol::ProtocolId| theirs.as_str() == peer.protocol_id();
    match refused {
        Err(ConnectError::Failed(ConnectFailure::WrongNetwork { theirs })) => {
            assert!(is_told(&theirs));
        }
        // A listener that hears our handshake first goes without a word.
        Err(ConnectError::Failed(ConnectFailure::Closed(CloseReason::PeerClosed)))
            if mode.ours == Encryption::WebSocket => {}
        other => panic!("{other:?}"),
    }
    peer.connect(node.address).unwrap();
    node.wait_event("the rejection of its dial", |event| match event {
        Event::Rejected {
            side: Side::Accepted,
            reason: CloseReason::WrongNetwork { theirs },
            ..
        } if is_told(&theirs) => Some(()),
        _ => None,
    });
    assert!(node.socket.peers().is_empty());
}

fn it_leaves_and_comes_back(mode: Mode) {
    let Some((mut node, peer)) = mode.pair() else {
        return;
    };
    let place = peer.address();
    peer.close();
    node.wait_event("isolation", |event| {
        matches!(event, Event::Isolated).then_some(())
    });
    // js2p can start again at the same place, where we find it. The system does not give a py2p
    // its port back so soon: it comes from elsewhere, and dials.
    let options = match peer.package() {
        Package::Js2p => PeerOptions::new().address(place),
        _ => PeerOptions::new().connect(node.address),
    };
    let Some(peer) = mode.peer_with(options) else {
        return;
    };
    node.wait_event("joining again", |event| {
        matches!(event, Event::JoinedAgain).then_some(())
    });
    peer.wait_linked(node.id());
    node.socket.broadcast("welcome back").unwrap();
    peer.wait_message(|message| message.user_packets() == [value::str("welcome back")]);
}

/// The peer ends the link: we make it again.
fn a_link_that_it_ends_is_made_again(mode: Mode) {
    let Some(peer) = mode.peer() else { return };
    let mut node = Node::start(mode);
    peer.connect(node.address).unwrap();
    node.wait_peer(peer.id());
    let row = peer.wait_linked(node.id());
    peer.disconnect(&row.key).unwrap();
    node.wait_event("isolation", |event| {
        matches!(event, Event::Isolated).then_some(())
    });
    node.wait_event("joining again", |event| {
        matches!(event, Event::JoinedAgain).then_some(())
    });
    assert_eq!(node.wait_peer(peer.id()).side, Side::Dialed);
    peer.wait_linked(node.id());
    peer.send([value::str("again")], Flag::Broadcast, None)
        .unwrap();
    assert_eq!(node.recv_text(), "again");
}

fn we_leave_and_come_back(mode: Mode) {
    let Some((node, peer)) = mode.pair() else {
        return;
    };
    wait("closing", node.socket.close());
    drop(node);
    let node = Node::start(mode);
    node.connect(&peer);
    peer.wait_linked(node.id());
    peer.send([value::str("welcome back")], Flag::Broadcast, None)
        .unwrap();
    assert_eq!(node.recv_text(), "welcome back");
    node.socket.broadcast("thank you").unwrap();
    peer.wait_message(|message| message.user_packets() == [value::str("thank you")]);
}

fn equal_alerts_all_arrive(mode: Mode) {
    let Some((node, peer)) = mode.pair() else {
        return;
    };
    for _ in 0..5 {
        node.socket.broadcast("fire").unwrap();
    }
    node.socket.broadcast("end").unwrap();
    peer.wait_message(|message| message.user_packets() == [value::str("end")]);
    let alerts = peer.messages().into_iter();
    let alerts = alerts.filter(|message| message.user_packets() == [value::str("fire")]);
    let ids: Vec<_> = alerts.map(|message| message.id.clone()).collect();
    assert_eq!(ids.len(), 5);
    let distinct: BTreeSet<_> = ids.into_iter().collect();
    assert_eq!(distinct.len(), 5);
}

fn a_mebibyte_both_ways(mode: Mode) {
    let Some((node, peer)) = mode.pair() else {
        return;
    };
    // Does not compress.
    let noise: Vec<u8> = (0..1u32 << 18)
        .flat_map(|n| {
            n.wrapping_mul(2_654_435_761)
                .rotate_left(n % 31)
                .to_be_bytes()
        })
        .collect();
    node.socket.broadcast(noise.clone()).unwrap();
    let message = peer.wait_message(|_| true);
    assert_eq!(message.user_packets(), [value::bin(&noise)]);
    peer.send([value::bin(&noise)], Flag::Broadcast, None)
        .unwrap();
    let message = node.recv();
    assert_eq!(message.packets().to_values().unwrap(), [Value::from(noise)]);
}

fn sub_flags_of_the_application_both_ways(mode: Mode) {
    let Some(peer) = mode.peer_with(PeerOptions::new().trace_handlers()) else {
        return;
    };
    let node = Node::start(mode);
    let (sender, handled) = smol::channel::unbounded();
    node.socket.register_handler(move |message, context| {
        if *message.sub_flag() != SubFlag::from("my-work") {
            return Handled::No;
        }
        sender.try_send(message.text()).expect("unbounded");
        context.whisper("done").expect("the link is there");
        Handled::Yes
    });
    node.connect(&peer);
    peer.wait_linked(node.id());
    // Ours reaches its handlers.
    let flag = SubFlag::from("my-news");
    node.socket.broadcast_as(flag, "extra").unwrap();
    let seen = peer.wait_event("handler", |event| {
        event["packets"][0] == value::str("my-news")
    });
    assert_eq!(seen["packets"][1], value::str("extra"));
    // Its reaches ours, and is answered on the link it came by.
    let flag = value::str("my-work");
    peer.send([value::str("job")], Flag::Broadcast, Some(flag))
        .unwrap();
    assert_eq!(
        wait("the handler", handled.recv()).unwrap().as_deref(),
        Some("job")
    );
    peer.wait_message(|message| message.user_packets() == [value::str("done")]);
    assert_eq!(
        node.socket.try_recv().unwrap(),
        None,
        "a handled message is not queued"
    );
}

/// A burst without a pause: py2p breaks its own links over such, unless frames have a length that
/// suits it.
fn a_burst_of_ours_arrives_whole(mode: Mode) {
    let Some((node, peer)) = mode.pair() else {
        return;
    };
    peer.quiet(true).unwrap();
    for n in 0..1000 {
        let text = format!("burst {n} {}", "x".repeat(n % 70));
        wait("room", node.socket.broadcast_when_ready(text)).unwrap();
    }
    let counts = peer.wait_counts(1000);
    assert_eq!((counts.distinct_bodies, counts.duplicates), (1000, 0));
    assert_eq!(node.socket.peers().len(), 1);
    // And back, at a pace that its own reader stands.
    let flood = Flood::new(50)
        .size(64)
        .gap(std::time::Duration::from_millis(2));
    peer.flood(&flood).unwrap();
    let mut texts = BTreeSet::new();
    while texts.len() < 50 {
        let message = node.recv();
        texts.insert(message.packets().as_bytes().clone());
    }
}

/// Both dial at once. The result is one link, after a redial if need be.
fn a_crossed_dial_leaves_one_link(mode: Mode) {
    let Some(peer) = mode.peer() else { return };
    let node = Node::with(
        mode,
        "mesh",
        Config {
            redial_min: std::time::Duration::from_millis(200),
            ..Config::default()
        },
    );
    let dial = {
        let socket = node.socket.clone();
        let to = peer.address().to_string();
        smol::spawn(async move { socket.connect(to).await })
    };
    peer.connect(node.address).unwrap();
    // Whatever the first attempt came to, they are linked in the end, and can talk.
    let _ = wait("the dial", dial);
    for n in 0.. {
        node.wait_peer(peer.id());
        let text = format!("over {n}");
        node.socket.broadcast(text.as_str()).unwrap();
        if has_heard(&peer, &text) {
            break;
        }
        assert!(n < 20, "never linked for good");
    }
    // What the peer sends on a link that is just given up is lost, as its protocol has it.
    let heard = (0..20).find_map(|n| {
        let text = format!("and out {n}");
        peer.send([value::str(&text)], Flag::Broadcast, None)
            .unwrap();
        node.next_text(std::time::Duration::from_secs(3))
    });
    assert!(heard.is_some_and(|text| text.starts_with("and out")));
    let links = node.socket.peers();
    assert_eq!(links.len(), 1, "{links:?}");
}
