//! For a program: one JSON object for each line, on standard output.
//!
//! Packets are written as the JSON that they look like. What JSON lacks is an object with a key that
//! begins with `$`, and so that the two cannot be mixed up, a map with such a key is written as
//! `$map`:
//!
//! | packet | JSON |
//! |---|---|
//! | bytes | `{"$hex": "00ff"}` |
//! | an extension type | `{"$ext": 5, "$hex": "00ff"}` |
//! | not a number, infinite | `{"$float": "NaN"}` |
//! | a map with keys that are not text, or twice the same | `{"$map": [[1, "one"], [2, "two"]]}` |
//! | text that is not UTF-8 | `{"$unreadable": "why"}` |

use std::collections::BTreeSet;
use std::time::Duration;

use rs2p_smol::{Event, Message, MessageKind, PeerInfo, Side, Value};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

use super::Notice;

/// One line, by the name of what happened.
#[derive(serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Started {
        id: &'a str,
        subnet: &'a str,
        encryption: &'a str,
    },
    Listening {
        address: String,
        id: &'a str,
    },
    Message {
        kind: &'static str,
        sender: &'a str,
        time: i64,
        id: String,
        text: Option<String>,
        packets: Vec<Packet>,
    },
    Joined {
        again: bool,
    },
    Isolated,
    PeerUp(Peer<'a>),
    PeerDown {
        #[serde(flatten)]
        peer: Peer<'a>,
        reason: String,
    },
    Rejected {
        address: String,
        side: String,
        reason: String,
    },
    DialFailed {
        address: String,
        reason: String,
        retry_in_ms: u64,
    },
    Withheld {
        id: String,
        peer: &'a str,
        reason: String,
    },
    Expired {
        sender: &'a str,
        seconds: u64,
    },
    ControlFlood {
        limit: u32,
    },
    SeenOverflow {
        forgotten: usize,
    },
    Lagged {
        what: &'static str,
        missed: u64,
    },
    Waiting,
    WaitingOver,
    #[serde(rename = "line_refused")]
    Refused {
        line: u64,
        reason: &'a str,
    },
    InputEnded,
    Leaving,
}

#[derive(serde::Serialize)]
struct Peer<'a> {
    id: &'a str,
    kind: String,
    side: String,
    remote: String,
    address: Option<String>,
    round_trip_ms: Option<f64>,
}

impl<'a> Peer<'a> {
    fn of(peer: &'a PeerInfo) -> Self {
        Self {
            id: peer.id.as_str(),
            kind: peer.kind.to_string(),
            side: peer.side.to_string(),
            remote: peer.remote.to_string(),
            address: peer.address.as_ref().map(ToString::to_string),
            round_trip_ms: peer.round_trip.map(as_millis),
        }
    }
}

pub(super) fn message(message: &Message) -> String {
    let packets = message.packets().iter().map(|packet| match packet {
        Ok(value) => Packet::Value(value),
        Err(fault) => Packet::Unreadable(fault.to_string()),
    });
    to_line(&Line::Message {
        kind: match message.kind() {
            MessageKind::Broadcast => "broadcast",
            MessageKind::Whisper => "whisper",
        },
        sender: message.sender().as_str(),
        time: message.time(),
        id: message.id().to_base58(),
        text: message.text(),
        packets: packets.collect(),
    })
}

pub(super) fn event(event: &Event) -> Option<String> {
    let line = match event {
        Event::Joined => Line::Joined { again: false },
        Event::JoinedAgain => Line::Joined { again: true },
        Event::Isolated => Line::Isolated,
        Event::PeerUp(peer) => Line::PeerUp(Peer::of(peer)),
        Event::PeerDown { peer, reason } => Line::PeerDown {
            peer: Peer::of(peer),
            reason: reason.to_string(),
        },
        Event::Rejected {
            address,
            side: side @ Side::Accepted,
            reason,
        } => Line::Rejected {
            address: address.to_string(),
            side: side.to_string(),
            reason: reason.to_string(),
        },
        Event::DialFailed {
            address,
            error,
            retry_in,
        } => Line::DialFailed {
            address: address.to_string(),
            reason: error.to_string(),
            retry_in_ms: u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX),
        },
        Event::Withheld { id, peer, why } => Line::Withheld {
            id: id.to_base58(),
            peer: peer.as_str(),
            reason: why.to_string(),
        },
        Event::Expired { sender, seconds } => Line::Expired {
            sender: sender.as_str(),
            seconds: *seconds,
        },
        Event::ControlFlood { limit, .. } => Line::ControlFlood { limit: *limit },
        Event::SeenOverflow { forgotten } => Line::SeenOverflow {
            forgotten: *forgotten,
        },
        // A link that we dialled and that was rejected is told of as a failed dial; the others
        // cannot happen here, or are told by a notice.
        Event::Rejected { .. }
        | Event::Connected { .. }
        | Event::ConnectFailed { .. }
        | Event::Sent { .. }
        | Event::Room
        | Event::ShutDown
        | _ => return None,
    };
    Some(to_line(&line))
}

pub(super) fn notice(notice: Notice<'_>) -> Option<String> {
    let line = match notice {
        Notice::Started {
            id,
            protocol,
            listening,
        } => {
            let id = id.as_str();
            let started = Line::Started {
                id,
                subnet: protocol.subnet(),
                encryption: protocol.encryption().wire_name(),
            };
            let listening = listening.iter().map(|address| {
                let address = address.to_string();
                to_line(&Line::Listening { address, id })
            });
            return Some(
                std::iter::once(to_line(&started))
                    .chain(listening)
                    .collect(),
            );
        }
        Notice::Typing | Notice::Joining { .. } => return None,
        Notice::Waiting => Line::Waiting,
        Notice::WaitingOver => Line::WaitingOver,
        Notice::Refused { line, reason } => Line::Refused { line, reason },
        Notice::InputEnded => Line::InputEnded,
        Notice::Leaving => Line::Leaving,
        Notice::Missed { what, count } => Line::Lagged {
            what,
            missed: count,
        },
    };
    Some(to_line(&line))
}

/// Writes an object as a line.
pub(crate) fn to_line(object: &impl Serialize) -> String {
    let json = serde_json::to_string(object);
    json.expect("all keys are text, and writing to memory does not fail") + "\n"
}

/// Returns a time in milliseconds, to the microsecond.
pub(crate) fn as_millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// A packet, to be written as JSON.
enum Packet {
    Value(Value),
    Unreadable(String),
}

impl Serialize for Packet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => Json(value).serialize(to),
            Self::Unreadable(why) => single(to, "$unreadable", why),
        }
    }
}

/// A value, to be written as JSON. As deep as the value, which is bounded by what nodes accept.
struct Json<'a>(&'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Nil => to.serialize_unit(),
            Value::Bool(value) => to.serialize_bool(*value),
            Value::Int(int) => match (int.as_i64(), int.as_u64()) {
                (Some(int), _) => to.serialize_i64(int),
                (None, int) => to.serialize_u64(int.unwrap_or(u64::MAX)),
            },
            Value::Float(float) if float.is_finite() => to.serialize_f64(*float),
            Value::Float(float) => single(to, "$float", &float.to_string()),
            Value::Str(text) => to.serialize_str(text),
            Value::Bin(bytes) => single(to, "$hex", &hex(bytes)),
            Value::Ext(kind, bytes) => {
                let mut object = to.serialize_map(Some(2))?;
                object.serialize_entry("$ext", kind)?;
                object.serialize_entry("$hex", &hex(bytes))?;
                object.end()
            }
            Value::Array(items) => to.collect_seq(items.iter().map(Json)),
            Value::Map(pairs) => serialize_map(pairs, to),
            // A kind of a later version of the library.
            other => single(to, "$unreadable", &other.to_string()),
        }
    }
}

fn serialize_map<S: Serializer>(pairs: &[(Value, Value)], to: S) -> Result<S::Ok, S::Error> {
    let mut keys = BTreeSet::new();
    let is_plain = pairs.iter().all(|(key, _)| {
        key.as_str()
            .is_some_and(|key| !key.starts_with('$') && keys.insert(key))
    });
    if is_plain {
        let pairs = pairs.iter().map(|(key, value)| (key.as_str(), Json(value)));
        return to.collect_map(pairs);
    }
    single(to, "$map", &Pairs(pairs))
}

struct Pairs<'a>(&'a [(Value, Value)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for (key, value) in self.0 {
            list.serialize_element(&[Json(key), Json(value)])?;
        }
        list.end()
    }
}

fn single<S, T>(to: S, key: &str, value: &T) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    T: Serialize + ?Sized,
{
    let mut object = to.serialize_map(Some(1))?;
    object.serialize_entry(key, value)?;
    object.end()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use rs2p_smol::{Address, ConnectFailure, DialFailure, NodeId, Protocol};

    use super::*;

    #[test]
    fn every_value_has_a_json_of_its_own() {
        let dollar = Value::map([("$hex", "00")]);
        let numbers = Value::map([(1, "one")]);
        let twice = Value::map([("a", 1), ("a", 2)]);
        let table: [(Value, &str); 19] = [
            (Value::Nil, "null"),
            (true.into(), "true"),
            ((-5).into(), "-5"),
            (i64::MIN.into(), "-9223372036854775808"),
            (u64::MAX.into(), "18446744073709551615"),
            (1.0.into(), "1.0"),
            (1.5.into(), "1.5"),
            (f64::NAN.into(), r#"{"$float":"NaN"}"#),
            (f64::NEG_INFINITY.into(), r#"{"$float":"-inf"}"#),
            ("quo\"te\n\x1b é".into(), r#""quo\"te\n\u001b é""#),
            (b"\x00\xff".into(), r#"{"$hex":"00ff"}"#),
            (Value::Ext(-5, vec![1].into()), r#"{"$ext":-5,"$hex":"01"}"#),
            (Value::array([1, 2]), "[1,2]"),
            (Value::array([] as [i32; 0]), "[]"),
            (Value::map([("b", 1), ("a", 2)]), r#"{"b":1,"a":2}"#),
            (Value::map([] as [(&str, i32); 0]), "{}"),
            (dollar, r#"{"$map":[["$hex","00"]]}"#),
            (numbers, r#"{"$map":[[1,"one"]]}"#),
            (twice, r#"{"$map":[["a",1],["a",2]]}"#),
        ];
        for (value, expected) in table {
            assert_eq!(to_line(&Json(&value)), format!("{expected}\n"), "{value}");
        }
    }

    #[test]
    fn the_deepest_value_that_nodes_accept_is_written_on_a_small_stack() {
        let in_keys = [vec![0x81; 512], vec![0xc0; 513]].concat();
        let on_small_stack = move || {
            let value = Value::decode(in_keys).unwrap();
            assert_eq!(to_line(&Json(&value)).matches("$map").count(), 512);
        };
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        thread.spawn(on_small_stack).unwrap().join().unwrap();
    }

    #[test]
    fn events_are_lines_that_begin_with_their_name() {
        let address: Address = "127.0.0.1:1".parse().unwrap();
        let sender = NodeId::new("ada").unwrap();
        let failed = Event::DialFailed {
            address,
            error: ConnectFailure::Dial(DialFailure::Refused),
            retry_in: Duration::from_millis(1500),
        };
        let table = [
            (Event::Joined, r#"{"event":"joined","again":false}"#),
            (Event::JoinedAgain, r#"{"event":"joined","again":true}"#),
            (Event::Isolated, r#"{"event":"isolated"}"#),
            (
                failed,
                r#"{"event":"dial_failed","address":"127.0.0.1:1","reason":"connection refused","retry_in_ms":1500}"#,
            ),
            (
                Event::Expired { sender, seconds: 3 },
                r#"{"event":"expired","sender":"ada","seconds":3}"#,
            ),
        ];
        for (happened, expected) in table {
            assert_eq!(event(&happened), Some(format!("{expected}\n")));
        }
        assert_eq!(event(&Event::ShutDown), None);
    }

    #[test]
    fn a_start_is_told_once_and_then_each_place() {
        let shown = notice(Notice::Started {
            id: &NodeId::new("ada").unwrap(),
            protocol: &Protocol::default(),
            listening: &["127.0.0.1:1".parse().unwrap()],
        });
        let expected = concat!(
            r#"{"event":"started","id":"ada","subnet":"mesh","encryption":"Plaintext"}"#,
            "\n",
            r#"{"event":"listening","address":"127.0.0.1:1","id":"ada"}"#,
            "\n",
        );
        assert_eq!(shown.as_deref(), Some(expected));
    }
}
