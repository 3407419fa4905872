//! The protocol's own messages as py2p and js2p wrote them: read, and written again.
//!
//! What we write is what py2p writes, byte for byte, and js2p the same with its form of ids. The
//! exceptions are the handshake, in which our form of the two ids suits every flavour, and the
//! request for peers, of which we send the form that every flavour understands.

use bytes::Bytes;

use super::Package::{Js2p, Py2p};
use super::frames::assert_read;
use super::notation::{address, elements, node, spelt, whole};
use super::packing::recorded;
use super::{File, Json, parse, text};
use crate::id::{IdForm, ProtocolId};
use crate::wire::control::{
    Control, Handshake, NoAddress, OutControl, OwnHandshake, PeerEntry, RequestNode, Response,
    encode_peers, encode_renegotiation, encode_request_peers,
};
use crate::wire::message::{Outgoing, Packed, put_text};
use crate::{Config, MessageId, Payload};

/// Returns the packets of a message, after the sub-flag, as they were taken apart.
fn packets(case: &Json) -> &[Json] {
    &elements(&case["fields"])[4..]
}

fn read(file: &File, name: &str, case: &Json) -> (Packed, Control) {
    let bytes = recorded(file, name, case);
    let message = parse(name, MessageId::of(&bytes), &bytes);
    assert_read(name, &case["fields"], &message);
    let control = Control::parse(&message, Config::default().max_peers_entries);
    let control = control.unwrap_or_else(|fault| panic!("{name}: {fault}"));
    (message, control)
}

/// Packs a control message as the node that wrote the file would have.
fn write(file: &File, case: &Json, control: &OutControl) -> Bytes {
    let outgoing = Outgoing {
        main: control.main,
        sender: &file.sender,
        form: file.package.form(),
        time: text(&case["time"]).parse().unwrap(),
        sub_flag: control.sub_flag,
        packets: &control.packets,
    };
    outgoing.pack().into()
}

/// Calls `check` for every case of a kind in every file, and returns their names.
fn for_each(kind: &str, mut check: impl FnMut(&File, &str, &Json)) -> Vec<String> {
    let mut names = Vec::new();
    for file in File::all() {
        for (name, case) in file.cases() {
            if text(&case["kind"]) == kind {
                check(&file, name, case);
                names.push(name.to_owned());
            }
        }
    }
    names
}

fn entry(json: &Json) -> PeerEntry {
    let [place, name] = elements(json) else {
        panic!("peers entry expected: {json}");
    };
    let (id, id_form) = node(&whole(name));
    PeerEntry {
        address: address(&whole(place)),
        id,
        id_form,
    }
}

fn methods(json: &Json) -> Vec<u8> {
    let numbers = elements(json).iter().map(whole);
    numbers
        .map(|number| u8::try_from(number.as_u64().unwrap()).unwrap())
        .collect()
}

#[test]
fn handshakes() {
    let names = for_each("handshake", |file, name, case| {
        let [id, protocol, place, list] = packets(case) else {
            panic!("{name}: not a handshake");
        };
        let form = file.package.form();
        let expected = Handshake {
            id: file.sender.clone(),
            id_form: form,
            protocol: ProtocolId::from_text(spelt(&whole(protocol)).0),
            protocol_form: form,
            address: Some(address(&whole(place))),
            host_form: IdForm::Str,
            methods: methods(list).into_iter().map(u64::from).collect(),
        };
        assert_eq!(node(&whole(id)), (file.sender.clone(), form), "{name}");
        let (message, control) = read(file, name, case);
        assert_eq!(control, Control::Handshake(expected.clone()), "{name}");

        // Ours says the same, with the id as text and the protocol in binary.
        let ours = OwnHandshake {
            id: &expected.id,
            protocol: &expected.protocol,
            address: expected.address.as_ref(),
            no_address: NoAddress::Nil,
            methods: &methods(list),
        };
        let raw: Vec<Bytes> = message.packets().raw().collect();
        let mut respelt = Payload::new();
        respelt.push_with(|out| put_text(out, expected.id.as_str(), IdForm::Str));
        respelt.push_with(|out| put_text(out, expected.protocol.as_str(), IdForm::Bin));
        respelt.push_with(|out| out.extend_from_slice(&raw[2]));
        respelt.push_with(|out| out.extend_from_slice(&raw[3]));
        assert_eq!(ours.encode().packets, respelt, "{name}");
    });
    assert_eq!(names.len(), 3 + 3 + 1);
}

#[test]
fn peers() {
    let names = for_each("peers", |file, name, case| {
        let [list] = packets(case) else {
            panic!("{name}: not a peers message");
        };
        let entries: Vec<PeerEntry> = elements(list).iter().map(entry).collect();
        let (message, control) = read(file, name, case);
        assert_eq!(control, Control::Peers(entries.clone()), "{name}");
        let ours = write(file, case, &encode_peers(&entries));
        assert_eq!(ours, message.bytes(), "{name}");
    });
    assert_eq!(names.len(), 3 + 3);
}

#[test]
fn requests() {
    let mut ours_too = Vec::new();
    let names = for_each("request", |file, name, case| {
        let (message, control) = read(file, name, case);
        let raw: Vec<Bytes> = message.packets().raw().collect();
        let (expected, ours) = match packets(case) {
            [star] => {
                assert_eq!(spelt(&whole(star)).0, "*", "{name}");
                (Control::RequestPeers, encode_request_peers())
            }
            [_, wanted] => {
                let (wanted, wanted_form) = node(&whole(wanted));
                let request = RequestNode {
                    request_id: raw[0].clone(),
                    wanted,
                    wanted_form,
                };
                (Control::RequestNode(request.clone()), request.encode())
            }
            _ => panic!("{name}: not a request"),
        };
        assert_eq!(control, expected, "{name}");
        if write(file, case, &ours) == message.bytes() {
            ours_too.push((file.package, name.to_owned()));
        }
    });
    // The star as text, which both packages send, is understood and never sent.
    let expected = [
        (Py2p, "request/star-as-the-package-accepts-it"),
        (Py2p, "request/node"),
        (Js2p, "request/node"),
    ];
    assert_eq!(ours_too, expected.map(|(p, name)| (p, name.to_owned())));
    assert_eq!(names.len(), 3 + 2);
}

#[test]
fn responses() {
    let names = for_each("response", |file, name, case| {
        let (message, control) = read(file, name, case);
        let [_, found] = packets(case) else {
            panic!("{name}: not a response");
        };
        let response = Response {
            request_id: message.packets().raw().next().unwrap(),
            found: entry(found),
        };
        assert_eq!(control, Control::Response(response.clone()), "{name}");
        let ours = write(file, case, &response.encode());
        assert_eq!(ours, message.bytes(), "{name}");
    });
    assert_eq!(names.len(), 1 + 1);
}

#[test]
fn renegotiations() {
    let mut resends = 0;
    let names = for_each("renegotiate", |file, name, case| {
        let (message, control) = read(file, name, case);
        let [list] = packets(case) else {
            // Never sent by us.
            assert_eq!(control, Control::Resend, "{name}");
            resends += 1;
            return;
        };
        let list = methods(list);
        let numbers = list.iter().copied().map(u64::from).collect();
        assert_eq!(control, Control::RenegotiateCompression(numbers), "{name}");
        let ours = write(file, case, &encode_renegotiation(&list));
        assert_eq!(ours, message.bytes(), "{name}");
    });
    assert_eq!((names.len(), resends), (4 + 3, 2));
}

#[test]
fn all_else_is_for_the_application() {
    let mut count = 0;
    for kind in ["broadcast", "whisper"] {
        for_each(kind, |file, name, case| {
            assert_eq!(read(file, name, case).1, Control::User, "{name}");
            count += 1;
        });
    }
    assert_eq!(count, 73 + 78 + 4);
}
