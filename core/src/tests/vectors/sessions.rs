//! Recorded sessions: a state takes the place of one of the two nodes, and gets what the other
//! one sent then. What it sends itself is its own affair.

use std::time::Duration;

use super::super::solo::{IdForm, Solo};
use super::frames::assert_read;
use super::notation::{address, assert_agrees, elements, node, spelt, value, whole};
use super::{Json, LIMIT, Package, count, hex, list, load, parse, text};
use crate::frame::FrameReader;
use crate::*;

/// The sessions, and how many messages for users the dialler and the listener sent.
const SESSIONS: [(&str, usize, usize); 9] = [
    ("py2p-plaintext", 3, 3),
    ("js2p-plaintext", 3, 3),
    ("js2p-ws", 3, 3),
    ("py2p-request-star", 0, 0),
    ("py2p-third-leaves", 0, 0),
    ("js2p-request-star", 0, 1),
    ("js2p-third-leaves", 0, 1),
    // The reply does not get out: js2p asks for a node instead, by an id that it spells otherwise.
    ("py2p27-listener-js2p-dialler", 2, 3),
    ("js2p-listener-py2p27-dialler", 3, 3),
];

struct Session {
    name: &'static str,
    json: Json,
}

impl Session {
    fn load(name: &'static str) -> Self {
        let json = load(&format!("sessions/{name}.json"));
        Self { name, json }
    }

    fn protocol(&self) -> Protocol {
        let encryption = match text(&self.json["encryption"]) {
            "Plaintext" => Encryption::Plaintext,
            "ws" => Encryption::WebSocket,
            other => panic!("unheard-of encryption {other}"),
        };
        Protocol::new("mesh", encryption)
    }

    /// Returns the frames that one of the two sent.
    fn frames(&self, who: &str) -> &[Json] {
        list(&self.json["frames"][who])
    }

    /// Returns when the session began, in seconds since 1970: when the first message was made.
    fn began(&self) -> u64 {
        let first = elements(&self.frames("dialler")[0]["fields"]);
        whole(&first[2]).as_u64().unwrap()
    }

    /// Returns what one of the two sent, chunk by chunk, and when after the beginning.
    fn chunks(&self, who: &str) -> Vec<(Duration, Vec<u8>)> {
        let timeline = list(&self.json["timeline"]).iter();
        let chunks =
            timeline.filter(|entry| text(&entry["what"]) == "bytes" && text(&entry["who"]) == who);
        let chunks = chunks.map(|entry| {
            let at = Duration::from_secs_f64(entry["ms"].as_f64().unwrap() / 1000.0);
            (at, hex(&entry["data"]))
        });
        if self.protocol().encryption() == Encryption::WebSocket {
            let mut socket = WebSocket::default();
            chunks
                .map(|(at, bytes)| (at, socket.unwrap(&bytes)))
                .collect()
        } else {
            chunks.collect()
        }
    }

    /// Returns the address that the dialler dialled.
    fn target(&self) -> String {
        let mut timeline = list(&self.json["timeline"]).iter();
        let connect = timeline.find(|entry| entry["data"]["cmd"] == "connect");
        let connect = &connect.expect("the dialler was told to connect")["data"];
        format!("{}:{}", text(&connect["host"]), count(&connect["port"]))
    }
}

/// What is inside a WebSocket connection.
#[derive(Default)]
struct WebSocket {
    is_upgraded: bool,
    rest: Vec<u8>,
}

impl WebSocket {
    /// Takes a chunk of the connection, and returns the content of its binary messages.
    fn unwrap(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        if !self.is_upgraded {
            let head = self.rest.windows(4).position(|end| end == b"\r\n\r\n");
            let Some(head) = head else {
                return Vec::new();
            };
            self.rest.drain(..head + 4);
            self.is_upgraded = true;
        }
        let mut content = Vec::new();
        while let Some(message) = self.message() {
            content.extend(message);
        }
        content
    }

    fn message(&mut self) -> Option<Vec<u8>> {
        let [opcode, len, ..] = *self.rest.as_slice() else {
            return None;
        };
        let (start, len) = match len & 0x7f {
            126 => (
                4,
                usize::from(self.rest[2]) << 8 | usize::from(self.rest[3]),
            ),
            127 => panic!("the sessions have no messages so long"),
            short => (2, usize::from(short)),
        };
        let mask = match self.rest[1] & 0x80 {
            0 => None,
            _ => Some(<[u8; 4]>::try_from(&self.rest[start..start + 4]).unwrap()),
        };
        let start = start + mask.map_or(0, |mask| mask.len());
        if self.rest.len() < start + len {
            return None;
        }
        let message: Vec<u8> = self.rest.drain(..start + len).skip(start).collect();
        let mask = mask.unwrap_or_default().into_iter().cycle();
        let message = message
            .into_iter()
            .zip(mask)
            .map(|(byte, mask)| byte ^ mask);
        match opcode {
            0x82 => Some(message.collect()),
            0x88 => None,
            other => panic!("message with the opcode {other:#x}"),
        }
    }
}

/// Who one of the two is.
struct Node<'a>(&'a Json);

impl Node<'_> {
    fn kind(&self) -> PeerKind {
        let host = value(&self.0["out_addr"]);
        let host = spelt(&host.as_array().unwrap()[0]).1;
        match (Package::of(text(&self.0["impl"])), host) {
            (Package::Js2p, _) => PeerKind::Js2p,
            (Package::Py2p, IdForm::Str) => PeerKind::Py2p,
            (Package::Py2p, IdForm::Bin) => PeerKind::Py2p27,
        }
    }

    fn id(&self) -> NodeId {
        node(&value(&self.0["id"])).0
    }

    fn address(&self) -> Address {
        address(&value(&self.0["out_addr"]))
    }
}

#[test]
#[cfg_attr(
    not(feature = "zlib"),
    ignore = "the sessions are compressed with zlib"
)]
fn a_state_in_the_place_of_either_node_takes_all_that_the_other_sent() {
    for (name, by_dialler, by_listener) in SESSIONS {
        let session = Session::load(name);
        for piece in [usize::MAX, 1] {
            replay(&session, Side::Accepted, by_dialler, piece);
            replay(&session, Side::Dialed, by_listener, piece);
        }
    }
}

/// Replays a session from one side, each recorded chunk cut into pieces of that length. The other
/// node is known to have sent so many messages for users.
fn replay(session: &Session, side: Side, expected: usize, piece: usize) {
    let (we, they) = match side {
        Side::Accepted => ("listener", "dialler"),
        Side::Dialed => ("dialler", "listener"),
    };
    let why = format!("{} without its {we}", session.name);
    let peer = Node(&session.json[they]);
    let config = Config {
        protocol: session.protocol(),
        advertised: Some(Node(&session.json[we]).address()),
        ..Config::default()
    };
    let mut solo = Solo::at(config, session.began());
    let link = match side {
        Side::Accepted => solo.accept(),
        Side::Dialed => solo.dial(&session.target()),
    };
    let dials = solo.dials.len();
    let began = solo.now;
    for (at, bytes) in session.chunks(they) {
        solo.pass(at.saturating_sub(solo.now.saturating_duration_since(began)));
        for piece in bytes.chunks(piece) {
            solo.feed(link, piece);
        }
        assert!(solo.closed.is_empty(), "{why}: {:?}", solo.closed);
    }

    let peers: Vec<PeerInfo> = solo.state.peers().collect();
    let [up] = &peers[..] else {
        panic!("{why}: {peers:?}");
    };
    assert_eq!((up.link, up.side), (link, side), "{why}");
    assert_eq!((&up.id, up.kind), (&peer.id(), peer.kind()), "{why}");
    assert_eq!(up.address, Some(peer.address()), "{why}");
    // It was told of nobody but ourselves, under the id of the node whose place we take.
    assert_eq!(solo.dials.len(), dials, "{why}: {:?}", solo.dials);

    let sent = session.frames(they).iter().filter(|f| is_for_users(f));
    let sent: Vec<&Json> = sent.collect();
    assert_eq!(sent.len(), expected, "{why}");
    assert_eq!(solo.messages.len(), expected, "{why}: {:?}", solo.messages);
    for (frame, message) in sent.iter().zip(&solo.messages) {
        assert_delivered(&why, frame, message);
    }

    solo.take_events();
    solo.close(link);
    let down = solo.take_events();
    let is_down = |event: &Event| matches!(event, Event::PeerDown { reason, .. } if *reason == CloseReason::PeerClosed);
    assert!(down.iter().any(is_down), "{why}: {down:?}");
}

fn is_for_users(frame: &Json) -> bool {
    let header = elements(&frame["fields"]);
    matches!(whole(&header[3]).as_u64(), Some(0 | 2))
}

fn assert_delivered(why: &str, frame: &Json, message: &Message) {
    let [main, sender, time, _, packets @ ..] = elements(&frame["fields"]) else {
        panic!("{why}: {frame}");
    };
    let kind = match whole(main).as_u64() {
        Some(0) => MessageKind::Broadcast,
        _ => MessageKind::Whisper,
    };
    assert_eq!(message.id().to_string(), text(&frame["id"]), "{why}");
    assert_eq!(message.kind(), kind, "{why}");
    assert_eq!(*message.sender(), node(&whole(sender)).0, "{why}");
    assert_eq!(Some(message.time()), whole(time).as_i64(), "{why}");
    assert_eq!(*message.sub_flag(), SubFlag::Default, "{why}");
    let values = message.packets().to_values().unwrap();
    assert_eq!(values.len(), packets.len(), "{why}");
    for (field, value) in packets.iter().zip(&values) {
        assert_agrees(why, field, value);
    }
}

#[test]
fn the_recorded_streams_are_the_frames_that_were_listed() {
    for (name, ..) in SESSIONS {
        let session = Session::load(name);
        for who in ["dialler", "listener"] {
            let stream: Vec<u8> = session.chunks(who).into_iter().flat_map(|c| c.1).collect();
            let mut reader = FrameReader::new(LIMIT);
            let mut rest = &stream[..];
            for frame in session.frames(who) {
                let offset = stream.len() - rest.len();
                assert_eq!(offset, count(&frame["offset"]), "{name}, {who}");
                let came = reader.take(&mut rest).unwrap().expect("a frame");
                assert_eq!(came.body().len(), count(&frame["length"]), "{name}, {who}");
                let method = match text(&frame["compression"]) {
                    "none" => None,
                    "zlib" => Some(Method::Zlib),
                    other => panic!("unheard-of compression {other}"),
                };
                if !method.is_none_or(Method::is_built) {
                    continue;
                }
                let opened = came.open(None, LIMIT).expect("a good body");
                assert_eq!(opened.id.to_string(), text(&frame["id"]), "{name}, {who}");
                assert_eq!(opened.method, method, "{name}, {who}");
                let message = parse(name, opened.id, &opened.packed);
                assert_read(name, &frame["fields"], &message);
            }
            assert!(rest.is_empty(), "{name}, {who}: {} bytes left", rest.len());
        }
    }
}
