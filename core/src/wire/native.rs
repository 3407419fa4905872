//! What only rs2p nodes say to each other: whispers whose sub-flag no legacy node knows.

use bytes::Bytes;

use super::control::{OutControl, put_entries, read_entries};
use super::fault::ControlFault;
use super::fields::{Fields, PeerEntry};
use super::message::Packed;
use super::payload::{Packets, Payload};
use super::value::Value;
use crate::address::Address;
use crate::id::{NodeId, ProtocolId};
use crate::island::Beacon;

/// Kinds of native messages. Unknown ones are to be ignored, so that the protocol can grow.
pub(crate) mod kind {
    pub(crate) const HELLO: u64 = 0;
    pub(crate) const PING: u64 = 1;
    pub(crate) const PONG: u64 = 2;
    pub(crate) const ACCEPT: u64 = 3;
    pub(crate) const CONFIRM: u64 = 4;
    pub(crate) const GOODBYE: u64 = 5;
    // What keeps logs alike: see the module `sync`.
    pub(crate) const SUMMARY: u64 = 6;
    pub(crate) const HAVE: u64 = 7;
    pub(crate) const WANT: u64 = 8;
    pub(crate) const REPAIR: u64 = 9;
    pub(crate) const GONE: u64 = 10;
    pub(crate) const IDS: u64 = 11;
    pub(crate) const WANT_IDS: u64 = 12;
    // What makes islands known to each other.
    pub(crate) const BEACON: u64 = 13;
    // Messages to one node by way of others: see the module `letter`.
    pub(crate) const LETTER: u64 = 14;
    pub(crate) const SEEK: u64 = 15;
    // Who pushes which streams: see the module `sync`.
    pub(crate) const PRUNE: u64 = 16;
    pub(crate) const GRAFT: u64 = 17;

    /// Returns whether messages of this kind are as many as there are messages of applications.
    pub(crate) const fn is_bulk(kind: u64) -> bool {
        matches!(kind, SUMMARY..=WANT_IDS | LETTER | PRUNE | GRAFT)
    }
}

/// A native message: a kind, and packets that depend on it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Native {
    pub(crate) kind: u64,
    pub(crate) body: Packets,
}

impl Native {
    pub(crate) fn parse(message: &Packed) -> Result<Self, ControlFault> {
        let mut fields = Fields::of("native", message);
        let kind = fields.number("kind must be a number")?;
        let (left, start) = fields.rest();
        let body = message.packets().as_bytes().slice(start..);
        Ok(Self {
            kind,
            body: Packets::new(left, body),
        })
    }

    /// Reads the number of a ping or a pong.
    pub(crate) fn nonce(&self) -> Result<u64, ControlFault> {
        self.fields("ping").number("nonce must be a number")
    }

    /// Begins reading the packets after the kind.
    pub(crate) fn fields(&self, name: &'static str) -> Fields<'_> {
        Fields::new(name, self.body.as_bytes(), self.body.count())
    }
}

/// Asks the other side of a native link to send the number back.
pub(crate) fn encode_ping(nonce: u64) -> OutControl {
    OutControl::native(kind::PING, &Payload::from(nonce))
}

/// Answers a ping.
pub(crate) fn encode_pong(nonce: u64) -> OutControl {
    OutControl::native(kind::PONG, &Payload::from(nonce))
}

/// Tells the side that dialled that its link may be used, once it confirms.
pub(crate) fn encode_accept() -> OutControl {
    OutControl::native(kind::ACCEPT, &Payload::new())
}

/// Tells the side that accepted that the link is used from now on.
pub(crate) fn encode_confirm() -> OutControl {
    OutControl::native(kind::CONFIRM, &Payload::new())
}

/// Why a side closes a link in good order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Goodbye {
    /// It leaves the network, and may come back.
    Leaving,
    /// It does not want this link; nor, then, to be dialled for it again.
    Unwanted,
    /// It has no place for another link, or gives this one up for another; here are some that may have one. Also said before
    /// any hello.
    Full(Vec<PeerEntry>),
}

impl Goodbye {
    /// How many others are named at most; those beyond are passed over.
    pub(crate) const MAX_NAMED: usize = 16;

    pub(crate) fn encode(&self) -> OutControl {
        let body = match self {
            Self::Leaving => Payload::from(0),
            Self::Unwanted => Payload::from(1),
            Self::Full(others) => {
                let mut body = Payload::from(2);
                body.push_with(|out| put_entries(out, others));
                body
            }
        };
        OutControl::native(kind::GOODBYE, &body)
    }

    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let mut fields = native.fields("goodbye");
        let why = fields.number("reason must be a number")?;
        Ok(match why {
            1 => Self::Unwanted,
            2 if fields.rest().0 > 0 => Self::Full(read_entries(&mut fields, Self::MAX_NAMED)?),
            2 => Self::Full(Vec::new()),
            _ => Self::Leaving,
        })
    }
}

/// Passes a beacon on.
pub(crate) fn encode_beacon(beacon: &Beacon) -> OutControl {
    let mut body = Payload::from(beacon.leader.as_str());
    body.push(beacon.count);
    OutControl::native(kind::BEACON, &body)
}

impl Native {
    /// Reads a beacon.
    pub(crate) fn beacon(&self) -> Result<Beacon, ControlFault> {
        let mut fields = self.fields("beacon");
        let (leader, _) = fields.id("leader must be text of 1 to 256 bytes")?;
        let count = fields.number("count must be a number")?;
        Ok(Beacon { leader, count })
    }
}

/// The first thing that an rs2p node says on a link: who it is, and that it is one.
///
/// On the wire it is a map with short names. Names that are not known are passed over, and so are features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Version of the native protocol; [`Hello::VERSION`] is ours. A higher one can still be talked to.
    pub(crate) version: u64,
    pub(crate) id: NodeId,
    pub(crate) network: ProtocolId,
    /// Where the sender can be dialled.
    pub(crate) address: Option<Address>,
    /// The compression methods that the sender reads, by preference.
    pub(crate) methods: Vec<u64>,
    pub(crate) features: Vec<String>,
    /// The longest frame that the sender takes, in bytes, if it says so.
    pub(crate) max_frame_len: Option<u64>,
    /// Room for a public key.
    pub(crate) key: Option<Bytes>,
    /// The beacon of the sender's island.
    pub(crate) island: Option<Beacon>,
    /// Whether the link is of use to the sender only if it leads to another island.
    pub(crate) is_probe: bool,
}

impl Hello {
    pub(crate) const VERSION: u64 = 1;

    /// How many features of a peer are kept. A guess: there is no use for a tenth of it yet.
    const MAX_FEATURES: usize = 64;

    /// How many methods of a peer are kept. Twelve have a number.
    const MAX_METHODS: usize = 64;

    pub(crate) fn encode(&self) -> OutControl {
        let mut map: Vec<(Value, Value)> = vec![
            ("v".into(), self.version.into()),
            ("id".into(), self.id.as_str().into()),
            ("net".into(), self.network.as_str().into()),
            (
                "feat".into(),
                Value::array(self.features.iter().map(String::as_str)),
            ),
        ];
        if let Some(address) = &self.address {
            let pair: [Value; 2] = [address.host().into(), address.port().into()];
            map.push(("addr".into(), Value::array(pair)));
        }
        if !self.methods.is_empty() {
            let methods = self.methods.iter().copied();
            map.push(("comp".into(), Value::array(methods)));
        }
        if let Some(len) = self.max_frame_len {
            map.push(("lim".into(), Value::map([("frame", len)])));
        }
        if let Some(key) = &self.key {
            map.push(("key".into(), key.clone().into()));
        }
        if let Some(Beacon { leader, count }) = &self.island {
            let pair: [Value; 2] = [leader.as_str().into(), (*count).into()];
            map.push(("isl".into(), Value::array(pair)));
        }
        if self.is_probe {
            map.push(("probe".into(), true.into()));
        }
        OutControl::native(kind::HELLO, &Payload::from(Value::Map(map)))
    }

    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let mut fields = native.fields("hello");
        let rule = "content must be a map";
        let packet = native.body.as_bytes().slice_ref(fields.raw(rule)?);
        let map = Value::decode(packet).map_err(|_not_utf8| fields.breaks(rule))?;
        if map.as_map().is_none() {
            return Err(fields.breaks(rule));
        }
        let version = map.get("v").and_then(Value::as_u64);
        let id = map.get("id").and_then(Value::as_str);
        let id = id.and_then(|text| NodeId::new(text).ok());
        let network = map.get("net").and_then(Value::as_str);
        let network = network.filter(|text| text.len() <= ProtocolId::MAX_LEN);
        Ok(Self {
            version: version.ok_or_else(|| fields.breaks("v must be a number"))?,
            id: id.ok_or_else(|| fields.breaks("id must be text of 1 to 256 bytes"))?,
            network: network
                .map(ProtocolId::from_text)
                .ok_or_else(|| fields.breaks("net must be text of at most 256 bytes"))?,
            address: address(&map),
            methods: methods(&map),
            features: features(&map).ok_or_else(|| fields.breaks("feat must be a list"))?,
            max_frame_len: optional(
                map.get("lim").and_then(|lim| lim.get("frame")),
                Value::as_u64,
            )
            .ok_or_else(|| fields.breaks("lim.frame must be a number"))?,
            key: optional(map.get("key"), |key| key.as_bytes().cloned())
                .ok_or_else(|| fields.breaks("key must be bytes"))?,
            island: optional(map.get("isl"), island)
                .ok_or_else(|| fields.breaks("isl must be an id and a number"))?,
            is_probe: map.get("probe").and_then(Value::as_bool) == Some(true),
        })
    }
}

/// Returns `Some(None)` for what is not there, and `None` for what is not as it should be.
fn optional<T>(value: Option<&Value>, read: impl FnOnce(&Value) -> Option<T>) -> Option<Option<T>> {
    match value {
        None | Some(Value::Nil) => Some(None),
        Some(value) => read(value).map(Some),
    }
}

/// Returns the address, if there is one that can be dialled.
fn address(map: &Value) -> Option<Address> {
    let [host, port] = map.get("addr")?.as_array()? else {
        return None;
    };
    let port = u16::try_from(port.as_u64()?).ok()?;
    Address::new(host.as_str()?, port).ok()
}

fn island(pair: &Value) -> Option<Beacon> {
    let [leader, count] = pair.as_array()? else {
        return None;
    };
    let leader = NodeId::new(leader.as_str()?).ok()?;
    let count = count.as_u64()?;
    Some(Beacon { leader, count })
}

fn methods(map: &Value) -> Vec<u64> {
    let list = map
        .get("comp")
        .and_then(Value::as_array)
        .unwrap_or_default();
    let numbers = list.iter().filter_map(Value::as_u64);
    numbers.take(Hello::MAX_METHODS).collect()
}

fn features(map: &Value) -> Option<Vec<String>> {
    let Some(list) = map.get("feat") else {
        return Some(Vec::new());
    };
    let names = list.as_array()?.iter().filter_map(Value::as_str);
    Some(names.take(Hello::MAX_FEATURES).map(str::to_owned).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::id::IdForm;
    use crate::packets;
    use crate::wire::control::Control;
    use crate::wire::message::tests::parse;
    use crate::wire::message::{MainType, Outgoing, SubFlagOut};

    fn carry(out: &OutControl) -> Result<Control, ControlFault> {
        let message = Outgoing {
            main: out.main,
            sender: &NodeId::new("N").unwrap(),
            form: IdForm::Str,
            time: 1,
            sub_flag: out.sub_flag,
            packets: &out.packets,
        };
        Control::parse(&parse(message.pack()).unwrap(), 0)
    }

    /// Sends a native message and reads what comes.
    pub(crate) fn native(out: &OutControl) -> Native {
        match carry(out) {
            Ok(Control::Native(native)) => native,
            other => panic!("{other:?}"),
        }
    }

    fn hello() -> Hello {
        Hello {
            version: Hello::VERSION,
            id: NodeId::new("node").unwrap(),
            network: ProtocolId::from_text("net"),
            address: None,
            methods: Vec::new(),
            features: vec!["log".to_owned()],
            max_frame_len: Some(1 << 20),
            key: Some(Bytes::from_static(b"key")),
            island: None,
            is_probe: false,
        }
    }

    /// Reads a hello of these pairs.
    fn hello_of<const N: usize>(pairs: [(&str, Value); N]) -> Result<Hello, ControlFault> {
        let out = OutControl::native(kind::HELLO, &packets![Value::map(pairs)]);
        Hello::parse(&native(&out))
    }

    #[test]
    fn a_hello_arrives_as_it_was_sent() {
        let bare = Hello {
            features: Vec::new(),
            max_frame_len: None,
            key: None,
            ..hello()
        };
        let full = Hello {
            address: Some(Address::new("::1", 4444).unwrap()),
            methods: vec![32, 19],
            island: Some(Beacon {
                leader: NodeId::new("leader").unwrap(),
                count: 7,
            }),
            is_probe: true,
            ..hello()
        };
        for hello in [hello(), bare, full] {
            let native = native(&hello.encode());
            assert_eq!(native.kind, kind::HELLO);
            assert_eq!(Hello::parse(&native), Ok(hello));
        }
    }

    #[test]
    fn a_hello_looks_the_same_for_ever() {
        let out = hello().encode();
        assert_eq!(
            (out.main, out.sub_flag),
            (MainType::Whisper, SubFlagOut::Text("rs2p"))
        );
        let body = b"\0\x86\xa1v\x01\xa2id\xa4node\xa3net\xa3net\xa4feat\x91\xa3log\
            \xa3lim\x81\xa5frame\xce\0\x10\0\0\xa3key\xc4\x03key";
        assert_eq!(out.packets.body(), body);
    }

    #[test]
    fn a_goodbye_names_others_and_may_say_more() {
        let entry = |n: usize| PeerEntry {
            address: Address::new("10.0.0.1", 4444).unwrap(),
            id: NodeId::new(format!("node{n}")).unwrap(),
            id_form: IdForm::Str,
        };
        let others: Vec<PeerEntry> = (0..Goodbye::MAX_NAMED + 1).map(entry).collect();
        let named = others[..Goodbye::MAX_NAMED].to_vec();
        let mut later = Goodbye::Leaving.encode();
        later.packets.push("why");
        let table = [
            (Goodbye::Full(others).encode(), Goodbye::Full(named)),
            (Goodbye::Unwanted.encode(), Goodbye::Unwanted),
            (
                OutControl::native(kind::GOODBYE, &packets![2]),
                Goodbye::Full(Vec::new()),
            ),
            (later, Goodbye::Leaving),
            (
                OutControl::native(kind::GOODBYE, &packets![77, "new"]),
                Goodbye::Leaving,
            ),
        ];
        for (out, expected) in table {
            assert_eq!(Goodbye::parse(&native(&out)), Ok(expected));
        }
        let bad = OutControl::native(kind::GOODBYE, &packets![2, "nobody"]);
        let fault = Goodbye::parse(&native(&bad)).unwrap_err();
        assert!(fault.to_string().contains("entries must be a list"));
    }

    #[test]
    fn what_later_versions_may_add_is_passed_over() {
        let later = hello_of([
            ("new", Value::array([1, 2])),
            ("v", 77.into()),
            ("id", "node".into()),
            ("net", "net".into()),
            (
                "feat",
                Value::array([Value::from(5), "log".into(), "new".into()]),
            ),
            ("lim", Value::map([("other", 1)])),
            ("key", Value::Nil),
        ]);
        let expected = Hello {
            version: 77,
            features: vec!["log".to_owned(), "new".to_owned()],
            max_frame_len: None,
            key: None,
            ..hello()
        };
        assert_eq!(later, Ok(expected.clone()));

        let mut more = expected.encode();
        more.packets.push("a packet more");
        assert_eq!(Hello::parse(&native(&more)), Ok(expected));
    }

    #[test]
    fn what_a_hello_must_say_is_checked() {
        let (v, id, net) = (("v", 1.into()), ("id", "n".into()), ("net", "n".into()));
        let (v, id, net): (_, (_, Value), (_, Value)) = (v, id, net);
        let long = Value::from("x".repeat(257));
        let table = [
            (hello_of([id.clone(), net.clone()]), "v must be a number"),
            (
                hello_of([("v", (-1).into()), id.clone(), net.clone()]),
                "v must be a number",
            ),
            (
                hello_of([v.clone(), net.clone()]),
                "id must be text of 1 to 256 bytes",
            ),
            (
                hello_of([v.clone(), ("id", b"n".into()), net.clone()]),
                "id must be text of 1 to 256 bytes",
            ),
            (
                hello_of([v.clone(), id.clone()]),
                "net must be text of at most 256 bytes",
            ),
            (
                hello_of([v.clone(), id.clone(), ("net", long)]),
                "net must be text of at most 256 bytes",
            ),
            (
                hello_of([v.clone(), id.clone(), net.clone(), ("feat", 1.into())]),
                "feat must be a list",
            ),
            (
                hello_of([
                    v.clone(),
                    id.clone(),
                    net.clone(),
                    ("lim", Value::map([("frame", "1")])),
                ]),
                "lim.frame must be a number",
            ),
            (
                hello_of([v, id, net, ("key", "text".into())]),
                "key must be bytes",
            ),
        ];
        for (read, rule) in table {
            let message = "hello";
            assert_eq!(read, Err(ControlFault::Field { message, rule }));
        }
        for body in [packets![], packets![1], packets![Value::array(["v"])]] {
            let read = Hello::parse(&native(&OutControl::native(kind::HELLO, &body)));
            assert_eq!(
                read.unwrap_err().to_string(),
                "hello: content must be a map"
            );
        }
    }

    #[test]
    fn features_are_kept_up_to_a_limit() {
        let features: Vec<String> = (0..65).map(|n| n.to_string()).collect();
        let many = Hello {
            features,
            ..hello()
        };
        let read = Hello::parse(&native(&many.encode())).unwrap();
        assert_eq!(read.features, many.features[..64]);
    }

    #[test]
    fn pings_and_pongs_carry_their_number() {
        for nonce in [0, u64::MAX] {
            let (ping, pong) = (native(&encode_ping(nonce)), native(&encode_pong(nonce)));
            assert_eq!((ping.kind, ping.nonce()), (kind::PING, Ok(nonce)));
            assert_eq!((pong.kind, pong.nonce()), (kind::PONG, Ok(nonce)));
        }
        for body in [packets![], packets!["1"], packets![-1]] {
            let fault = native(&OutControl::native(kind::PING, &body)).nonce();
            assert_eq!(
                fault.unwrap_err().to_string(),
                "ping: nonce must be a number"
            );
        }
    }

    #[test]
    fn native_messages_are_whispers_with_a_kind() {
        let unknown = native(&OutControl::native(999, &packets!["x"]));
        assert_eq!(unknown.kind, 999);
        assert_eq!(unknown.body, Packets::from(packets!["x"]));

        let mut broadcast = encode_ping(1);
        broadcast.main = MainType::Broadcast;
        assert_eq!(
            carry(&broadcast),
            Ok(Control::User),
            "only a legacy user's own"
        );

        let mut kindless = encode_ping(1);
        kindless.packets = packets!["ping"];
        let fault = carry(&kindless).unwrap_err();
        assert_eq!(fault.to_string(), "native: kind must be a number");
    }
}
