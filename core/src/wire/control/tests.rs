use super::*;
use crate::id::MessageId;
use crate::packets;
use crate::wire::message::Outgoing;
use crate::wire::message::tests::{JS2P, PY2P, TIME, parse};
use crate::wire::value::Value;

/// A third node, which the writers of the vectors were told of.
const OTHER: &str = "2KcuYLnrUQgTdZQ9ydBJ68s9yizvUcpoiwMYRCMVFi4S74S6B3v5ouxhShXQh5Ynbz";
const REQUEST_ID: &str = "7aer4eDWD14q7GjBowgtfXxkHs8CW2o6zAw3WbA3jxd57ru3tNXSHGrZGNnjn6Sdj6";
const MESH: &str = "EpAmyZWv9rZUKmjQgU3FTUD4GrJHvVEXizmghVBc8eGD";
const MAX_PEERS: usize = 3;

fn id(text: &str) -> NodeId {
    text.parse().unwrap()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn pack(sender: &str, form: IdForm, control: &OutControl) -> Bytes {
    let out = Outgoing {
        main: control.main,
        sender: &id(sender),
        form,
        time: TIME,
        sub_flag: control.sub_flag,
        packets: &control.packets,
    };
    out.pack().into()
}

fn read(message: Bytes) -> Result<Control, ControlFault> {
    Control::parse(&parse(message).unwrap(), MAX_PEERS)
}

/// Reads a message of these packets, said by anyone.
fn said(main: MainType, sub_flag: u64, packets: Payload) -> Result<Control, ControlFault> {
    let control = OutControl::new(main, sub_flag, packets);
    read(pack("N", IdForm::Str, &control))
}

fn whispered(sub_flag: u64, packets: Payload) -> Result<Control, ControlFault> {
    said(MainType::Whisper, sub_flag, packets)
}

fn rule(message: &'static str, rule: &'static str) -> Result<Control, ControlFault> {
    Err(ControlFault::Field { message, rule })
}

fn other(id_form: IdForm) -> PeerEntry {
    PeerEntry {
        address: address("203.0.113.9:4444"),
        id: id(OTHER),
        id_form,
    }
}

fn request_id() -> Bytes {
    [&b"\xd9\x42"[..], REQUEST_ID.as_bytes()].concat().into()
}

// From py2p; an equal id is an equal message.
#[test]
fn messages_are_what_py2p_would_have_written() {
    let peers = [other(IdForm::Bin)];
    let request = RequestNode {
        request_id: request_id(),
        wanted: id(OTHER),
        wanted_form: IdForm::Bin,
    };
    let response = Response {
        request_id: request_id(),
        found: other(IdForm::Bin),
    };
    let table = [
        (
            encode_peers(&peers),
            Control::Peers(peers.to_vec()),
            "4080ec13cd651e019b6b9d8c515bbb410acecf547ad56c583242dffc8ecfe6b8",
        ),
        (
            request.encode(),
            Control::RequestNode(request),
            "6557601d2e690a50c613de225d7f2e78cd9833923c9b85bf4502f47f05875f90",
        ),
        (
            response.encode(),
            Control::Response(response),
            "b5056258442bb07da335ed859f19b61c925109267a6e37bc420eceb2db53bc2b",
        ),
        (
            encode_renegotiation(&[19, 17]),
            Control::RenegotiateCompression(vec![19, 17]),
            "4d0e4aa3943b05ffbd88ebbc257db9b22c2b3b037cebea99d8605439eac15286",
        ),
    ];
    for (out, control, id) in table {
        let bytes = pack(PY2P, IdForm::Bin, &out);
        assert_eq!(MessageId::of(&bytes).to_string(), id, "{control:?}");
        assert_eq!(read(bytes), Ok(control));
    }
}

// py2p's and js2p's own, written out with their ids as the check.
#[test]
fn handshakes_of_both_libraries_are_read() {
    let table = [
        (
            (PY2P, IdForm::Bin, "\u{10}\u{12}"),
            "5232245550bbebf28d90dd78d9883574d65ae3b2de68f603f6b23cb41c93fc1d",
        ),
        (
            (JS2P, IdForm::Str, ""),
            "070c6b58747ad0ce404e2858c0d8a6860993613580ec78c94408ef7c8504355b",
        ),
    ];
    for ((node, form, more), golden) in table {
        let text = |text: &str| match form {
            IdForm::Str => Value::from(text),
            IdForm::Bin => Value::from(text.as_bytes()),
        };
        let methods = [&[19, 17], more.as_bytes()].concat();
        let packets = packets![
            text(node),
            text(MESH),
            Value::array([Value::from("198.51.100.7"), 44565.into()]),
            Value::array(methods.clone()),
        ];
        let out = OutControl::new(MainType::Whisper, sub_flag::HANDSHAKE, packets);
        let bytes = pack(node, form, &out);
        assert_eq!(MessageId::of(&bytes).to_string(), golden, "{form:?}");
        let handshake = Handshake {
            id: id(node),
            id_form: form,
            protocol: ProtocolId::from_text(MESH),
            protocol_form: form,
            address: Some(address("198.51.100.7:44565")),
            host_form: IdForm::Str,
            methods: methods.into_iter().map(u64::from).collect(),
        };
        assert_eq!(read(bytes), Ok(Control::Handshake(handshake)), "{form:?}");
    }
}

#[test]
fn our_handshake_has_the_one_form_that_suits_all() {
    let (me, protocol) = (id("N"), ProtocolId::from_text("P"));
    let here = address("[::1]:80");
    let handshake = |address, no_address| {
        let own = OwnHandshake {
            id: &me,
            protocol: &protocol,
            address,
            no_address,
            methods: &[32, 19],
        };
        own.encode()
    };
    let table = [
        (Some(&here), NoAddress::Nil, &b"\x92\xa3::1\x50"[..]),
        (None, NoAddress::Nil, b"\xc0"),
        (None, NoAddress::NilPair, b"\x92\xc0\xc0"),
    ];
    for (address, no_address, written) in table {
        let out = handshake(address, no_address);
        let expected = [b"\xa1N\xc4\x01P", written, b"\x92\x20\x13"].concat();
        assert_eq!(out.packets.body(), expected, "{address:?} {no_address:?}");
        let Ok(Control::Handshake(back)) = read(pack("N", IdForm::Str, &out)) else {
            panic!("a handshake");
        };
        assert_eq!(back.address.as_ref(), address);
        assert_eq!(
            (back.id_form, back.protocol_form),
            (IdForm::Str, IdForm::Bin)
        );
    }
}

fn handshake_with(address: Value, methods: Value) -> Result<Control, ControlFault> {
    whispered(sub_flag::HANDSHAKE, packets!["N", b"P", address, methods])
}

#[test]
fn whatever_stands_for_an_address_the_handshake_counts() {
    let pair = |host: Value, port: Value| Value::array([host, port]);
    let table = [
        (
            pair("a.example".into(), 80.into()),
            Some(("a.example:80", IdForm::Str)),
        ),
        (
            pair(b"a.example".into(), 80.into()),
            Some(("a.example:80", IdForm::Bin)),
        ),
        (
            pair("a".into(), 65535.into()),
            Some(("a:65535", IdForm::Str)),
        ),
        (pair("a".into(), 0.into()), None),
        (pair("a".into(), 65536.into()), None),
        (pair("a".into(), (-1).into()), None),
        (pair("a".into(), 80.0.into()), None),
        (pair("".into(), 80.into()), None),
        (pair("a b".into(), 80.into()), None),
        (pair(Value::Nil, Value::Nil), None),
        (pair(Value::Nil, 80.into()), None),
        (Value::array(["a"]), None),
        (Value::array(["a", "b", "c"]), None),
        (Value::Nil, None),
        ("a:80".into(), None),
    ];
    for (value, expected) in table {
        let Ok(Control::Handshake(read)) = handshake_with(value.clone(), Value::array([0; 0]))
        else {
            panic!("{value} must not matter");
        };
        let expected = expected.map(|(text, form)| (address(text), form));
        let form = expected.as_ref().map_or(IdForm::Str, |(_, form)| *form);
        assert_eq!(
            read.address,
            expected.map(|(address, _)| address),
            "{value}"
        );
        assert_eq!(read.host_form, form, "{value}");
    }
}

#[test]
fn methods_are_a_list_of_which_numbers_are_kept_up_to_a_limit() {
    let methods = |value| match handshake_with(Value::Nil, value) {
        Ok(Control::Handshake(handshake)) => Ok(handshake.methods),
        Ok(other) => panic!("{other:?}"),
        Err(fault) => Err(fault),
    };
    assert_eq!(methods(Value::array([0; 0])), Ok(vec![]));
    let odd = Value::array([Value::from(19), "zlib".into(), (-1).into(), u64::MAX.into()]);
    assert_eq!(methods(odd), Ok(vec![19, u64::MAX]));
    let many: Vec<u64> = (0..65).collect();
    assert_eq!(methods(Value::array(many.clone())), Ok(many[..64].to_vec()));
    for value in [Value::Nil, 19.into(), Value::map([(1, 2)])] {
        let fault = methods(value).unwrap_err();
        assert_eq!(fault.to_string(), "handshake: methods must be a list");
    }
}

#[test]
fn a_handshake_has_four_packets_of_the_right_types() {
    let none = || Value::array([0; 0]);
    let shape = |packets| {
        let message = "handshake";
        Err(ControlFault::Shape { message, packets })
    };
    let shake = |packets| whispered(sub_flag::HANDSHAKE, packets);
    assert_eq!(shake(packets![]), shape(0));
    assert_eq!(shake(packets!["N", b"P", Value::Nil]), shape(3));
    assert_eq!(shake(packets!["N", b"P", Value::Nil, none(), 1]), shape(5));

    let bad_id = rule("handshake", "id must be text of 1 to 256 bytes");
    for id in [Value::Nil, 7.into(), "".into(), "x".repeat(257).into()] {
        assert_eq!(shake(packets![id, b"P", Value::Nil, none()]), bad_id);
    }
    let bad_protocol = rule("handshake", "protocol must be text of at most 256 bytes");
    for protocol in [Value::Nil, b"\xff".into(), "x".repeat(257).into()] {
        assert_eq!(
            shake(packets!["N", protocol, Value::Nil, none()]),
            bad_protocol
        );
    }
}

#[test]
fn peers_that_cannot_be_dialled_are_passed_over_and_malformed_ones_are_a_fault() {
    let entry = |address: Value, id: Value| Value::array([address, id]);
    let place = |host: &str, port: i32| Value::array([Value::from(host), port.into()]);
    let peers = |entries: Vec<Value>| whispered(sub_flag::PEERS, packets![entries]);
    let good = || entry(place("203.0.113.9", 4444), OTHER.into());

    let skipped = [
        entry(Value::Nil, "N".into()),
        entry(Value::array([Value::Nil, Value::Nil]), "N".into()),
        entry(place("", 80), "N".into()),
        entry(place("a", 0), "N".into()),
        entry(place("a", 65536), "N".into()),
    ];
    for skipped in skipped {
        let shown = skipped.to_string();
        let read = peers(vec![skipped, good()]);
        assert_eq!(
            read,
            Ok(Control::Peers(vec![other(IdForm::Str)])),
            "{shown}"
        );
    }
    let malformed = [
        1.into(),
        Value::Nil,
        Value::array([place("a", 80)]),
        Value::array([place("a", 80), "N".into(), 1.into()]),
        entry(place("a", 80), Value::Nil),
        entry(place("a", 80), "".into()),
        entry(Value::array(["a"]), "N".into()),
        entry("a:80".into(), "N".into()),
    ];
    let fault = rule("peers", "entries must be a list of [[host, port], id]");
    for malformed in malformed {
        let shown = malformed.to_string();
        assert_eq!(peers(vec![good(), malformed]), fault, "{shown}");
    }
    for packets in [
        packets![],
        packets![Value::Nil],
        packets![Value::map([(1, 2)])],
    ] {
        assert_eq!(whispered(sub_flag::PEERS, packets), fault);
    }
}

#[test]
fn a_long_list_of_peers_is_cut() {
    for (sent, kept) in [(0, 0), (MAX_PEERS, MAX_PEERS), (MAX_PEERS + 1, MAX_PEERS)] {
        let list = encode_peers(&vec![other(IdForm::Str); sent]);
        let Ok(Control::Peers(peers)) = read(pack("N", IdForm::Str, &list)) else {
            panic!("a list");
        };
        assert_eq!(peers.len(), kept, "{sent} sent");
    }
}

#[test]
fn a_request_for_peers_is_understood_in_every_form() {
    for packets in [packets!["*"], packets![b"*"], packets!["*", Value::Nil]] {
        assert_eq!(
            whispered(sub_flag::REQUEST, packets),
            Ok(Control::RequestPeers)
        );
    }
    let out = encode_request_peers();
    assert_eq!(
        out.packets.body(),
        b"\xc4\x01*",
        "the form that py2p understands"
    );
    assert_eq!(
        read(pack("N", IdForm::Str, &out)),
        Ok(Control::RequestPeers)
    );
}

#[test]
fn requests_and_responses_echo_any_request_id_but_nil() {
    let ids: [Value; 4] = [7.into(), b"r".into(), Value::array([1, 2]), "".into()];
    for value in ids {
        let raw = Bytes::copy_from_slice(Payload::from(value.clone()).body());
        let asked = whispered(sub_flag::REQUEST, packets![value.clone(), b"N"]);
        let Ok(Control::RequestNode(request)) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(request.request_id, raw, "{value}");
        assert_eq!(
            (request.wanted, request.wanted_form),
            (id("N"), IdForm::Bin)
        );
    }
    let request = |packets| whispered(sub_flag::REQUEST, packets);
    let response = |packets| whispered(sub_flag::RESPONSE, packets);
    let no_id = rule("request", "wanted id must be text of 1 to 256 bytes");
    assert_eq!(
        request(packets![]),
        rule("request", "request id is missing")
    );
    assert_eq!(request(packets!["r"]), no_id);
    assert_eq!(request(packets!["r", Value::array(["N"])]), no_id);
    let nil = rule("request", "request id must not be nil");
    assert_eq!(request(packets![Value::Nil, "N"]), nil);

    assert_eq!(
        response(packets![]),
        rule("response", "request id is missing")
    );
    let no_answer = rule("response", "answer must be [[host, port], id]");
    assert_eq!(response(packets!["r"]), no_answer);
    let nowhere = Value::array([Value::Nil, "N".into()]);
    assert_eq!(response(packets!["r", nowhere]), no_answer);
}

#[test]
fn the_sub_flag_decides_and_only_renegotiation_goes_by_the_main_type() {
    use MainType::{Broadcast, Renegotiate, Whisper};
    let methods = || packets![Value::array([19])];
    for main in [Broadcast, Renegotiate, Whisper] {
        for number in [0, 2, 3, 4, 6, 11, 17, 48, u64::MAX] {
            assert_eq!(said(main, number, methods()), Ok(Control::User), "{number}");
        }
        assert_eq!(
            said(main, sub_flag::REQUEST, packets!["*"]),
            Ok(Control::RequestPeers)
        );
        let no_peers = packets![Value::array([0; 0])];
        assert_eq!(
            said(main, sub_flag::PEERS, no_peers),
            Ok(Control::Peers(vec![]))
        );
    }
    let compression = |main| said(main, sub_flag::COMPRESSION, methods());
    assert_eq!(
        compression(Renegotiate),
        Ok(Control::RenegotiateCompression(vec![19]))
    );
    assert_eq!(compression(Whisper), Ok(Control::User));
    assert_eq!(
        said(Renegotiate, sub_flag::RESEND, packets![]),
        Ok(Control::Resend)
    );
    assert_eq!(
        said(Broadcast, sub_flag::RESEND, packets![]),
        Ok(Control::User)
    );
    let absent = rule("renegotiation", "methods must be a list");
    assert_eq!(said(Renegotiate, sub_flag::COMPRESSION, packets![]), absent);
}
