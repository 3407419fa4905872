//! What was seen of pairs and networks of the real packages.

use super::*;
use crate::node::Delivery;

fn net(flavour: Flavour, seeds: &[&[u32]]) -> Bench<Legacy> {
    mixed(
        &seeds
            .iter()
            .map(|seeds| (flavour, *seeds))
            .collect::<Vec<_>>(),
    )
}

fn mixed(nodes: &[(Flavour, &[u32])]) -> Bench<Legacy> {
    let nodes = (0..).zip(nodes);
    Bench::new(
        nodes
            .map(|(n, (flavour, seeds))| Legacy::new(&birth(n, seeds), *flavour))
            .collect(),
    )
}

fn kinds(bench: &Bench<Legacy>, by: usize) -> Vec<(String, String)> {
    let written = bench.written.iter().filter(|(node, _)| *node == by);
    let stream: Vec<u8> = written.flat_map(|(_, bytes)| bytes.to_vec()).collect();
    messages(&stream)
        .iter()
        .map(|message| kind_of(message))
        .collect()
}

/// What the recorded sessions show each side to have sent, without what its user said.
fn session(name: &str, side: &str) -> Vec<(String, String)> {
    let vectors = vectors(&format!("sessions/{name}.json"));
    let frames = vectors["frames"][side].as_array().expect("a list").clone();
    let number = |node: &Json| node["v"].as_str().map(str::to_owned);
    let kinds = frames.iter().map(|frame| {
        let fields = frame["fields"]["v"].as_array().expect("an array");
        (
            number(&fields[0]).expect("a number"),
            number(&fields[3]).expect("a number"),
        )
    });
    kinds.collect()
}

#[test]
fn a_pair_says_what_recorded_pairs_say() {
    for (flavour, name) in flavours() {
        let mut bench = net(flavour, &[&[], &[0]]);
        assert_eq!(bench.peers(0), [1]);
        bench.publish(0, b"fire").expect("accepted");
        assert_eq!(bench.delivered(1), [&b"fire"[..]]);
        assert_eq!(bench.delivered(0), Vec::<Bytes>::new());
        let recorded = format!("{name}-plaintext");
        let greetings = if flavour == Flavour::Js2p { 3 } else { 2 };
        for (node, side) in [(0, "listener"), (1, "dialler")] {
            let kinds = kinds(&bench, node);
            assert_eq!(
                kinds[..greetings],
                session(&recorded, side)[..greetings],
                "{name} {side}"
            );
        }
    }
}

#[test]
fn a_py2p_that_loses_anybody_takes_its_links_to_py2p_with_it() {
    let mut bench = net(Flavour::Py2p, &[&[], &[0], &[0]]);
    assert_eq!(
        [bench.peers(0), bench.peers(1), bench.peers(2)],
        [[1, 2], [0, 2], [0, 1]]
    );
    bench.written.clear();
    bench.leave(2);
    assert_eq!([bench.peers(0), bench.peers(1)], [[0_usize; 0]; 2]);
}

#[test]
fn the_fall_of_a_py2p_pair_goes_as_recorded() {
    // The third is no peer of the other one: it dialled the second only, and leaves.
    let mut bench = net(Flavour::Py2p, &[&[], &[0]]);
    bench.written.clear();
    bench.with(1, |node, io| node.ask_everybody(io));
    bench.settle();
    let recorded = session("py2p-request-star", "listener");
    assert_eq!(kinds(&bench, 0), recorded[2..]);
    let recorded = session("py2p-request-star", "dialler");
    assert_eq!(kinds(&bench, 1), recorded[2..]);
    assert_eq!([bench.peers(0), bench.peers(1)], [[0_usize; 0]; 2]);
}

#[test]
fn js2p_does_not_mind_who_leaves() {
    let mut bench = net(Flavour::Js2p, &[&[], &[0], &[0]]);
    assert_eq!(bench.peers(0), [1, 2]);
    bench.leave(2);
    assert_eq!(bench.peers(0), [1]);
    bench.publish(1, b"still here").expect("accepted");
    assert_eq!(bench.delivered(0), [&b"still here"[..]]);
}

#[test]
fn py2p_and_js2p_turn_each_other_away() {
    let mut bench = mixed(&[(Flavour::Py2p, &[]), (Flavour::Js2p, &[0])]);
    assert_eq!([bench.peers(0), bench.peers(1)], [[0_usize; 0]; 2]);
    bench.publish(0, b"nobody").expect("accepted");
    assert_eq!(bench.delivered(1), Vec::<Bytes>::new());
}

#[test]
fn another_network_is_turned_away() {
    let one = Legacy::new(&birth(0, &[]), Flavour::Py2p);
    let other = Legacy::with_subnet(&birth(1, &[0]), Flavour::Py2p, "other");
    let bench = Bench::new(vec![one, other]);
    assert_eq!([bench.peers(0), bench.peers(1)], [[0_usize; 0]; 2]);
    assert!(bench.nodes.iter().all(|node| node.status().conns == 0));
}

/// js2p takes the handshake of a py2p for a good one, and its answer may come together with its own handshake.
#[test]
fn py2p_goes_on_with_what_it_has_read_behind_a_foreign_handshake() {
    let mut foreign = greeting(&[]);
    let at = foreign.windows(4).position(|bytes| bytes == b"EpAm");
    foreign[at.expect("a protocol")] = b'F';
    // The checksum as well.
    let id = wire::id_of(&foreign[wire::PREFIX + wire::CHECKSUM..]);
    foreign[wire::PREFIX..][..wire::CHECKSUM].copy_from_slice(&id);
    let whisper = raw(2, &[Value::Int(2), Value::text("behind it")]);
    let mut damaged = whisper.clone();
    damaged[wire::PREFIX] ^= 1;
    for (end, is_asked) in [(Vec::new(), false), (damaged, true)] {
        let mut solo = Solo::accepting(Flavour::Py2p);
        solo.bytes(&greeting(&[]));
        solo.written();
        let new = ConnId(2);
        solo.with(|node, io| node.on_accepted(new, Place(2), io));
        solo.with(|node, io| node.on_room(new, 1 << 20, io));
        solo.written();
        let bytes = Bytes::from([&foreign[..], &whisper, &end].concat());
        solo.with(|node, io| node.on_bytes(new, &bytes, io));
        assert_eq!(solo.delivered(), 1);
        assert!(!solo.is_open(), "the new one is closed");
        // It asks its peers for peers, which costs it those that are py2p.
        let asks = solo.written().iter().any(|it| kind_of(it).1 == "8");
        assert_eq!(asks, is_asked);
    }
}

#[test]
fn a_peer_that_shook_hands_in_both_spellings_is_sent_what_it_said() {
    let mut solo = Solo::accepting(Flavour::Py2p);
    solo.bytes(&greeting(&[]));
    let echoes = |solo: &mut Solo, text| {
        let items = [
            Value::Int(0),
            Value::text("RawPeer1"),
            Value::Int(i128::from(WALL.as_secs())),
            Value::Int(0),
            Value::text(text),
        ];
        let mut packed = Vec::new();
        wire::pack(&Value::Array(items.to_vec()), Flavour::Py2p, &mut packed);
        solo.written();
        solo.bytes(&wire::seal(&packed, &[]));
        let written = solo.written();
        written.iter().filter(|it| kind_of(it).0 == "0").count()
    };
    assert_eq!(echoes(&mut solo, "one"), 0);
    let address = Value::Array(vec![Value::text("127.0.0.9"), Value::Int(9)]);
    let protocol = Value::Bin(wire::protocol_id("mesh", "Plaintext").into_bytes());
    let id = Value::Bin(b"RawPeer1".to_vec());
    let methods = Value::Array(Vec::new());
    solo.bytes(&raw(2, &[Value::Int(5), id, protocol, address, methods]));
    // It is in the table twice, and goes by its last spelling in both places.
    assert_eq!(echoes(&mut solo, "two"), 2);
}

#[test]
fn a_broadcast_reaches_everybody_once_over_relays() {
    for (flavour, _) in flavours() {
        let mut bench = net(flavour, &[&[], &[0], &[1], &[2]]);
        let receipt = bench.publish(3, b"fire").expect("accepted");
        for node in 0..3 {
            assert_eq!(bench.delivered(node), [&b"fire"[..]], "{flavour:?} {node}");
        }
        assert_eq!(bench.delivered(3), Vec::<Bytes>::new());
        let sender = bench.nodes[3].identity();
        let is_right = |it: &Delivery| {
            it.key == Some(receipt.key) && Some(it.sender) == sender && !it.is_private
        };
        assert!(bench.heard.iter().all(|(_, delivery)| is_right(delivery)));
    }
}

#[test]
fn what_is_said_twice_in_a_second_is_heard_once() {
    for (flavour, _) in flavours() {
        let mut bench = net(flavour, &[&[], &[0]]);
        bench.publish(0, b"fire").expect("accepted");
        bench.publish(0, b"fire").expect("accepted");
        bench.advance(Duration::from_secs(1));
        bench.publish(0, b"fire").expect("accepted");
        assert_eq!(bench.delivered(1).len(), 2);
    }
}

#[test]
fn a_peer_is_answered_directly_and_others_are_not() {
    for (flavour, _) in flavours() {
        let mut bench = net(flavour, &[&[], &[0], &[1]]);
        let payload = Bytes::from_static(b"for you");
        let to = bench.nodes[0].identity().expect("an identity");
        bench
            .with(1, |node, io| node.send_to(to, &payload, 5, io))
            .expect("a peer");
        bench.settle();
        assert_eq!(bench.delivered(0), [&b"for you"[..]]);
        assert!(bench.heard[0].1.is_private && bench.heard[0].1.key.is_none());
    }
    let mut bench = net(Flavour::Js2p, &[&[], &[0], &[1]]);
    bench.publish(0, b"answer me").expect("accepted");
    let to = bench.nodes[0].identity().expect("an identity");
    assert_eq!(bench.peers(2), [1], "the sender is no peer");
    let payload = Bytes::from_static(b"for you");
    bench
        .with(2, |node, io| node.send_to(to, &payload, 6, io))
        .expect("it is searched for");
    bench.settle();
    assert_eq!(bench.delivered(0), Vec::<Bytes>::new());
    assert_eq!(
        bench.peers(2),
        [0_usize; 0],
        "the link that knew the answer is gone"
    );
    let failed = |note: &Note| matches!(note, Note::Outcome(6, false, _));
    assert!(bench.notes.iter().any(|(_, note)| failed(note)));
}

/// Frames of a broadcast whose sender's clock is off by so many seconds.
fn broadcast(age: u64, text: &str) -> Vec<u8> {
    let time = i128::from(WALL.as_secs() - age);
    let items = [
        Value::Int(0),
        Value::text("X"),
        Value::Int(time),
        Value::Int(0),
        Value::text(text),
    ];
    let mut packed = Vec::new();
    wire::pack(&Value::Array(items.to_vec()), Flavour::Py2p, &mut packed);
    wire::seal(&packed, &[]).to_vec()
}

#[test]
fn a_broadcast_may_be_a_minute_old_by_its_senders_clock() {
    for (flavour, _) in flavours() {
        let mut solo = Solo::accepting(flavour);
        solo.bytes(&broadcast(61, "old"));
        assert_eq!(solo.delivered(), 0);
        for _ in 0..3 {
            solo.bytes(&broadcast(59, "fresh"));
        }
        assert_eq!(solo.delivered(), 1);
        // Accepted, and forgotten at once.
        for _ in 0..3 {
            solo.bytes(&broadcast(60, "on the edge"));
        }
        assert_eq!(solo.delivered(), 4, "{flavour:?}");
        assert!(solo.is_open());
    }
}

#[test]
fn four_bytes_behind_a_frame_end_a_py2p_link() {
    let frame = broadcast(0, "a message of some length");
    for (left, is_open) in [(1, true), (3, true), (4, false), (5, true)] {
        let mut solo = Solo::accepting(Flavour::Py2p);
        solo.bytes(&[&frame[..], &frame[..left]].concat());
        solo.bytes(&frame[left..]);
        assert_eq!(solo.is_open(), is_open, "{left} left");
        let mut solo = Solo::accepting(Flavour::Js2p);
        solo.bytes(&[&frame[..], &frame[..left]].concat());
        assert!(solo.is_open());
    }
    // 1020 bytes and another frame: the package reads 1024 at once.
    for (len, is_open) in [(1019, true), (1020, false), (1021, true)] {
        let mut long = broadcast(0, &"x".repeat(900));
        let more = len - long.len();
        long = broadcast(0, &"x".repeat(900 + more));
        assert_eq!(long.len(), len);
        let mut solo = Solo::accepting(Flavour::Py2p);
        solo.bytes(&[&long[..], &frame[..]].concat());
        assert_eq!(solo.is_open(), is_open, "{len} bytes");
    }
}

#[test]
fn py2p_waits_a_minute_for_the_rest_of_a_frame() {
    let mut bench = net(Flavour::Py2p, &[&[], &[0]]);
    let conn = bench.nodes[0].status().peers[0].0;
    let half = Bytes::from(broadcast(0, "half")).slice(..20);
    bench.with(0, |node, io| node.on_bytes(conn, &half, io));
    bench.advance(Duration::from_secs(60));
    assert_eq!(bench.peers(0), [1]);
    bench.advance(Duration::from_secs(1));
    assert_eq!([bench.peers(0), bench.peers(1)], [[0_usize; 0]; 2]);
}

#[test]
fn an_accept_and_close_makes_py2p_storm_if_it_knew_the_id() {
    for says_who_it_is in [false, true] {
        let mut solo = Solo::accepting(Flavour::Py2p);
        solo.bytes(&greeting(&[]));
        let address = Value::Array(vec![Value::text("10.0.0.3"), Value::Int(4444)]);
        let other = Value::Bin(b"who".to_vec());
        let entry = Value::Array(vec![address.clone(), other.clone()]);
        solo.bytes(&raw(2, &[Value::Int(7), Value::Array(vec![entry])]));
        let Some(Action::Dial(dial, Place(2))) = solo.actions.last().cloned() else {
            panic!("it dials whom it is told of");
        };
        let new = ConnId(2);
        solo.with(|node, io| node.on_dialed(dial, new, io));
        if says_who_it_is {
            let protocol = Value::Bin(wire::protocol_id("mesh", "Plaintext").into_bytes());
            let methods = Value::Array(Vec::new());
            let hello = raw(2, &[Value::Int(5), other, protocol, address, methods]);
            solo.with(|node, io| node.on_bytes(new, &hello.into(), io));
        }
        solo.actions.clear();
        solo.with(|node, io| node.on_closed(new, io));
        let asks = |solo: &mut Solo| {
            let written = solo.written();
            written.iter().filter(|it| kind_of(it).1 == "8").count()
        };
        assert_eq!(asks(&mut solo), 1, "as after every link");
        let mut count = 0;
        while count < 5
            && let Some(due) = solo.node.deadline()
        {
            let mut io = Io::new(due, WALL, &mut solo.actions);
            solo.node.on_deadline(&mut io);
            count += asks(&mut solo);
        }
        assert_eq!(count, if says_who_it_is { 0 } else { 5 });
    }
}

#[test]
fn py2p_reads_nothing_while_it_dials() {
    let mut bench = net(Flavour::Py2p, &[&[], &[0]]);
    bench.is_deaf.push(true);
    let conn = bench.nodes[0].status().peers[0].0;
    let entry = Value::Array(vec![
        Value::Array(vec![Value::text("10.0.0.3"), Value::Int(4444)]),
        Value::Bin(b"who".to_vec()),
    ]);
    let list = raw(2, &[Value::Int(7), Value::Array(vec![entry])]);
    bench.with(0, |node, io| node.on_bytes(conn, &list.into(), io));
    bench.publish(1, b"hello").expect("accepted");
    bench.advance(Duration::from_millis(990));
    assert_eq!(bench.delivered(0), Vec::<Bytes>::new());
    bench.advance(Duration::from_millis(20));
    assert_eq!(bench.delivered(0), [&b"hello"[..]]);
    assert_eq!(bench.peers(0), [1]);
}

#[test]
fn a_second_link_of_py2p_ends_both_or_the_old_one() {
    let mut outcomes = Vec::new();
    for (dialer, other) in [(0, 1), (1, 0)] {
        let mut bench = net(Flavour::Py2p, &[&[], &[0]]);
        let place = Place(u32::try_from(other).expect("small"));
        bench.with(dialer, |node, io| node.connect(place, io));
        bench.settle();
        let number = |node: usize| wire::base58_number(bench.nodes[node].id().as_bytes());
        let is_larger = number(dialer) > number(other);
        assert_eq!(bench.peers(0), if is_larger { vec![1] } else { vec![] });
        outcomes.push(is_larger);
    }
    assert_ne!(outcomes[0], outcomes[1]);
}

#[test]
fn a_fractional_time_poisons_js2p_for_good() {
    let item = |time: f64| {
        let items = [
            Value::Int(0),
            Value::text("X"),
            Value::Float(time),
            Value::Int(0),
        ];
        let mut packed = Vec::new();
        wire::pack(&Value::Array(items.to_vec()), Flavour::Py2p, &mut packed);
        wire::seal(&packed, &[])
    };
    for (flavour, _) in flavours() {
        let mut solo = Solo::accepting(flavour);
        solo.bytes(&item(1_700_000_000.0));
        solo.bytes(&item(1_700_000_000.5));
        assert_eq!(solo.delivered(), usize::from(flavour == Flavour::Py2p) + 1);
        assert_eq!(solo.is_open(), flavour == Flavour::Py2p);
        let payload = Bytes::from_static(b"x");
        let published = solo.with(|node, io| node.publish(&payload, io));
        assert_eq!(published.is_ok(), flavour == Flavour::Py2p);
    }
}

#[test]
fn py2p_loses_what_the_kernel_does_not_take() {
    let nodes = [birth(0, &[]), birth(1, &[0])];
    let nodes = nodes.map(|birth| Legacy::new(&birth, Flavour::Py2p)).into();
    let mut bench = Bench::new(nodes);
    let conn = bench.nodes[0].status().peers[0].0;
    // What is written stays where it is, as with a reader that stalls.
    if let Some(link) = bench.nodes[0].links.values_mut().next() {
        link.room = 0;
        link.methods.clear();
    }
    for _ in 0..3 {
        bench.publish(0, &vec![7; 3 << 20]).expect("accepted");
    }
    assert_eq!(
        bench.peers(0),
        [0_usize; 0],
        "the third finds no room at all"
    );
    bench.with(0, |node, io| node.on_room(conn, 1 << 30, io));
    bench.settle();
    assert_eq!(bench.delivered(1).len(), 1, "the second was cut short");
    assert_eq!(bench.peers(1), [0_usize; 0]);
}

#[test]
fn a_link_that_ends_is_not_made_again() {
    for (flavour, _) in flavours() {
        let mut bench = net(flavour, &[&[], &[0]]);
        bench.part(0, 1);
        bench.advance(Duration::from_secs(600));
        assert_eq!([bench.peers(0), bench.peers(1)], [[0_usize; 0]; 2]);
        assert_eq!([0, 1].map(|n| bench.nodes[n].status().conns), [0, 0]);
    }
}

#[test]
fn the_four_links_of_a_full_mesh() {
    let mut bench = net(Flavour::Py2p, &[&[], &[0], &[0], &[0], &[0], &[0], &[0]]);
    let dialed = |node: &Legacy| node.links.values().filter(|link| link.is_dialed).count();
    assert!(bench.nodes.iter().all(|node| dialed(node) <= 5));
    bench.publish(6, b"fire").expect("accepted");
    for node in 0..6 {
        assert_eq!(bench.delivered(node), [&b"fire"[..]], "{node}");
    }
}

#[test]
fn rs2p_joins_what_cannot_talk_to_each_other() {
    use crate::mesh::Mesh;
    use crate::scenario::Limits;
    let nodes: Vec<Box<dyn Node>> = vec![
        Box::new(Mesh::new(&birth(0, &[]), &Limits::default())),
        Box::new(Legacy::new(&birth(1, &[0]), Flavour::Py2p)),
        Box::new(Legacy::new(&birth(2, &[0]), Flavour::Js2p)),
        Box::new(Mesh::new(&birth(3, &[0]), &Limits::default())),
    ];
    let mut bench = Bench::new(nodes);
    bench.advance(Duration::from_secs(10));
    for node in [1, 2] {
        assert!(bench.peers(0).contains(&node), "{node}");
    }
    for node in 0..4 {
        let text = format!("from {node}");
        let receipt = bench.publish(node, text.as_bytes()).expect("accepted");
        bench.advance(Duration::from_secs(2));
        for other in (0..4).filter(|other| *other != node) {
            let heard = bench
                .heard
                .iter()
                .filter(|(by, it)| *by == other && it.payload == text);
            let keys: Vec<_> = heard.map(|(_, it)| (it.key, it.sender)).collect();
            let sender = bench.nodes[node].identity().expect("an identity");
            assert_eq!(keys, [(Some(receipt.key), sender)], "{node} to {other}");
        }
    }
}
