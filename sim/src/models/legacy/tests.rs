//! The models against what the real packages did: the vectors, and what was seen of networks of them.

use std::fs;

use serde_json::Value as Json;

use super::*;
use crate::models::bench::{Bench, WALL, birth};

mod networks;

const CONN: ConnId = ConnId(1);

fn vectors(name: &str) -> Json {
    let path = format!("{}/../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).expect("the vectors are part of the sources");
    serde_json::from_str(&text).expect("valid JSON")
}

fn flavours() -> [(Flavour, &'static str); 2] {
    [(Flavour::Py2p, "py2p"), (Flavour::Js2p, "js2p")]
}

fn unhex(json: &Json) -> Vec<u8> {
    let text = json.as_str().expect("hex").as_bytes();
    let digit = |byte: u8| {
        let digit = (byte as char).to_digit(16).expect("a hex digit");
        u8::try_from(digit).expect("below 16")
    };
    let pairs = text.chunks_exact(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// One node alone, and what it did.
struct Solo {
    node: Legacy,
    actions: Vec<Action>,
}

impl Solo {
    fn accepting(flavour: Flavour) -> Self {
        let node = Legacy::new(&birth(0, &[]), flavour);
        let mut solo = Self {
            node,
            actions: Vec::new(),
        };
        solo.with(|node, io| node.on_accepted(CONN, Place(1), io));
        solo.with(|node, io| node.on_room(CONN, 1 << 30, io));
        solo
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Legacy, &mut Io<'_>) -> T) -> T {
        let mut io = Io::new(Duration::ZERO, WALL, &mut self.actions);
        act(&mut self.node, &mut io)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.with(|node, io| node.on_bytes(CONN, &bytes, io));
    }

    fn is_open(&self) -> bool {
        !self
            .actions
            .iter()
            .any(|it| matches!(it, Action::Close(..)))
    }

    fn delivered(&self) -> usize {
        let delivered = self.actions.iter();
        delivered
            .filter(|it| matches!(it, Action::Deliver(_)))
            .count()
    }

    /// The messages that it has written, taken apart. Forgets them.
    fn written(&mut self) -> Vec<Vec<Value>> {
        let mut stream = Vec::new();
        for action in &self.actions {
            if let Action::Write(_, bytes) = action {
                stream.extend_from_slice(bytes);
            }
        }
        self.actions.retain(|it| !matches!(it, Action::Write(..)));
        messages(&stream)
    }
}

fn messages(stream: &[u8]) -> Vec<Vec<Value>> {
    let (mut stream, mut messages) = (stream.to_vec(), Vec::new());
    let methods = [Value::Int(19), Value::Int(17)];
    while let Some(body) = next_body(&mut stream) {
        let packed = wire::open(&body, &methods, Flavour::Py2p).expect("a good frame");
        match wire::unpack(&packed, Flavour::Py2p) {
            Ok(Value::Array(items)) => messages.push(items),
            other => panic!("{other:?}"),
        }
    }
    assert!(stream.is_empty(), "half a frame");
    messages
}

/// A whisper from the vectors' own peer.
fn raw(main: i128, payload: &[Value]) -> Vec<u8> {
    let mut items = vec![
        Value::Int(main),
        Value::text("RawPeer1"),
        Value::Int(1_700_000_000),
    ];
    items.extend_from_slice(payload);
    let mut packed = Vec::new();
    wire::pack(&Value::Array(items), Flavour::Py2p, &mut packed);
    wire::seal(&packed, &[]).to_vec()
}

fn greeting(methods: &[Value]) -> Vec<u8> {
    let address = Value::Array(vec![Value::text("127.0.0.9"), Value::Int(9)]);
    let protocol = wire::protocol_id("mesh", "Plaintext").into_bytes();
    let id = Value::text("RawPeer1");
    let methods = Value::Array(methods.to_vec());
    raw(
        2,
        &[Value::Int(5), id, Value::Bin(protocol), address, methods],
    )
}

/// Returns the main type and the sub-flag of an answer in the vectors.
fn kind_of_vector(answer: &Json) -> (String, String) {
    let main = answer[0].as_str().expect("a main type").to_owned();
    let flag = answer[1]["v"].as_str().map(str::to_owned);
    (main, flag.unwrap_or_else(|| answer[1]["f"].to_string()))
}

fn kind_of(message: &[Value]) -> (String, String) {
    let number = |value: Option<&Value>| match value {
        Some(Value::Int(n)) => n.to_string(),
        Some(Value::Array(_)) => "\"fixarray\"".to_owned(),
        other => format!("{other:?}"),
    };
    (number(message.first()), number(message.get(3)))
}

/// What the models cannot do, by design.
const LEFT_OUT: [&str; 6] = [
    // Compression that the model has not.
    "compressed/bz2",
    "compressed/lzma",
    "compressed/bz2-plus-padding",
    "compressed/lzma-plus-padding",
    // The real one hangs, and the model ends the link.
    "compressed/plain-that-hangs-zlibjs",
    // Given by a recipe only.
    "msgpack/depth-20000",
];

#[test]
fn bad_input_does_to_the_models_what_it_did_to_the_packages() {
    let vectors = vectors("negative.json");
    let cases = vectors["cases"].as_array().expect("a list");
    let mut wrong = Vec::new();
    let mut held = 0;
    for (flavour, name) in flavours() {
        for case in cases {
            let title = case["name"].as_str().expect("a name");
            let expected = &case[name];
            if LEFT_OUT.contains(&title) || expected.is_null() || case["bytes"].is_null() {
                continue;
            }
            let mut solo = Solo::accepting(flavour);
            if case["sent"] != "instead of a handshake" {
                let methods = case["link_methods"].as_array().expect("a list");
                let methods = methods.iter().filter_map(Json::as_i64);
                let methods: Vec<Value> = methods.map(|n| Value::Int(i128::from(n))).collect();
                solo.bytes(&greeting(&methods));
            }
            solo.written();
            let bytes = unhex(&case["bytes"]);
            let comment = case["comment"].as_str().unwrap_or("");
            if comment.starts_with("sent as two writes") {
                let end = wire::first_end(&bytes).expect("a frame") + 4;
                solo.bytes(&bytes[..end]);
                solo.bytes(&bytes[end..]);
            } else {
                solo.bytes(&bytes);
            }
            let answers: Vec<_> = solo.written().iter().map(|it| kind_of(it)).collect();
            let got = (
                solo.is_open(),
                solo.delivered() as u64,
                !solo.node.status().peers.is_empty(),
                answers,
            );
            let answers = expected["answers"].as_array().cloned().unwrap_or_default();
            let answers = answers.iter().map(kind_of_vector).collect::<Vec<_>>();
            let want = (
                expected["link"] == "open",
                expected["delivered"].as_u64().unwrap_or(0),
                expected["established"] == true,
                answers,
            );
            held += 1;
            if got != want {
                wrong.push(format!("{name} {title}: got {got:?}, want {want:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "of {held}:\n{}", wrong.join("\n"));
    assert!(held > 250, "only {held} cases");
}

#[test]
fn ids_are_made_as_the_packages_make_them() {
    let vectors = vectors("identity.json");
    for (flavour, name) in flavours() {
        for it in vectors[name]["protocols"].as_array().expect("a list") {
            let text = |key: &str| it[key].as_str().expect("text").to_owned();
            let id = wire::protocol_id(&text("subnet"), &text("encryption"));
            assert_eq!(id, text("id"), "{it}");
        }
        for it in vectors[name]["node_ids"].as_array().expect("a list") {
            let key = if it["out_addr"].is_null() {
                "listen_addr"
            } else {
                "out_addr"
            };
            let host = it[key][0].as_str().expect("a host");
            let port = it[key][1].as_u64().expect("a port");
            let port = u16::try_from(port).expect("a port");
            let text = |key: &str| it[key].as_str().expect("text");
            let id = wire::node_id(host, port, text("protocol_id"), text("user_salt"), flavour);
            assert_eq!(id, text("id"), "{it}");
        }
    }
}

#[test]
fn messages_are_packed_as_the_packages_pack_them() {
    for (flavour, name) in flavours() {
        let vectors = vectors(&format!("frames-{name}.json"));
        let mut held = 0;
        for frame in vectors["frames"].as_array().expect("a list") {
            let title = &frame["name"];
            let Some(frames) = frame["frames"].as_object() else {
                continue;
            };
            for (method, bytes) in frames {
                if !bytes.is_string() || !["none", "17", "19"].contains(&method.as_str()) {
                    continue;
                }
                let bytes = unhex(bytes);
                let listed = method.parse().map_or(Vec::new(), |n| vec![Value::Int(n)]);
                let packed = wire::open(&bytes[4..], &listed, flavour).expect("a good frame");
                assert_eq!(
                    Json::from(hex(&wire::id_of(&packed))),
                    frame["id"],
                    "{title}"
                );
                let value = wire::unpack(&packed, flavour).expect("a good message");
                // What a model never says is not packed as the package does: ext types, and ints beyond 32 bits.
                let is_own = !format!("{title}").contains("package/") && !has_long(&value);
                if method == "none" && is_own {
                    let mut again = Vec::new();
                    wire::pack(&value, flavour, &mut again);
                    assert_eq!(again, packed, "{title}");
                    assert_eq!(wire::seal(&again, &[]), bytes, "{title}");
                    held += 1;
                }
            }
        }
        assert!(held > 50, "only {held} of {name}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn has_long(value: &Value) -> bool {
    match value {
        Value::Int(n) => i32::try_from(*n).is_err(),
        Value::Array(items) => items.iter().any(has_long),
        Value::Nil
        | Value::Bool(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bin(_)
        | Value::Map(_)
        | Value::Ext(..) => false,
    }
}
