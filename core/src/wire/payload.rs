//! The packets of a message: those to be sent, and those that came.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::control::sub_flag;
use super::fault::DecodeError;
use super::int::Int;
use super::message::{SubFlagOut, WireSubFlag};
use super::msgpack::Cursor;
use super::refusal::{self, PayloadFault};
use super::value::Value;

/// The kind of a message in the eyes of the application, which travels before its packets.
///
/// Legacy nodes put a message of the default kind into their inbox. One of another kind reaches only handlers that
/// their users have registered; it is relayed all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SubFlag {
    /// An ordinary message.
    #[default]
    Default,
    /// A number of the application's own. Those below [`SubFlag::FIRST_FREE`] belong to the protocol.
    Number(Int),
    /// A name of the application's own. Only `rs2p` is taken.
    Text(Arc<str>),
}

impl SubFlag {
    /// The first number that the protocol leaves to applications.
    pub const FIRST_FREE: u64 = 0x30;

    /// Whether only the protocol itself may send this.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        match self {
            Self::Default => false,
            Self::Number(number) => *number < Int::from(Self::FIRST_FREE),
            Self::Text(text) => &**text == NATIVE_SUB_FLAG,
        }
    }

    /// Returns what to write, which is `default` for an ordinary message.
    pub(crate) fn to_wire(&self, default: u64) -> SubFlagOut<'_> {
        match self {
            Self::Default => SubFlagOut::Number(default.into()),
            Self::Number(number) => SubFlagOut::Number(*number),
            Self::Text(text) => SubFlagOut::Text(text),
        }
    }

    /// Returns what the application sees of a sub-flag that came, or nothing if it can see none.
    pub(crate) fn from_wire(sub_flag: &WireSubFlag) -> Option<Self> {
        match sub_flag {
            WireSubFlag::Number(number) => Some(match number.as_u64() {
                Some(sub_flag::BROADCAST | sub_flag::WHISPER) => Self::Default,
                _ => Self::Number(*number),
            }),
            WireSubFlag::Text(text) => Some(Self::Text(Arc::clone(text))),
            WireSubFlag::Other => None,
        }
    }
}

/// The sub-flag of what rs2p nodes say to each other only. Legacy nodes know no such name and pass over it.
pub(crate) const NATIVE_SUB_FLAG: &str = "rs2p";

impl From<&str> for SubFlag {
    fn from(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }
}

impl From<String> for SubFlag {
    fn from(text: String) -> Self {
        Self::Text(Arc::from(text))
    }
}

impl From<u64> for SubFlag {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl fmt::Display for SubFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// How many packets a message can have, as the array around them counts its header too.
const MAX_COUNT: u32 = u32::MAX - 4;

/// Packets to be sent, already in msgpack.
///
/// ```
/// # use rs2p_core::{packets, Payload};
/// let payload = packets!["disk full", 97.5, b"\x00\x01"];
/// assert_eq!(payload, Payload::new().with("disk full").with(97.5).with(b"\x00\x01"));
/// let single: Payload = "disk full".into();
/// assert_eq!(single.len(), 1);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    count: u32,
    body: Vec<u8>,
    /// A packet, or the payload, was longer than msgpack can say, and something was left out.
    too_long: bool,
}

impl Payload {
    /// Makes a payload without packets, which is a message too.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: 0,
            body: Vec::new(),
            too_long: false,
        }
    }

    /// Appends a packet.
    pub fn push(&mut self, packet: impl Into<Value>) -> &mut Self {
        let packet = packet.into();
        self.push_encoded(|body| packet.encode(body).is_ok());
        self
    }

    /// Appends a packet and returns the whole.
    #[must_use]
    pub fn with(mut self, packet: impl Into<Value>) -> Self {
        self.push(packet);
        self
    }

    /// Appends as one packet whatever serde makes of the value. Structs become maps from the names of their fields.
    ///
    /// Beware that serde makes arrays of numbers from byte vectors; `serde_bytes` is the remedy.
    ///
    /// # Errors
    ///
    /// When the value's own serialization fails. The payload is as before.
    #[cfg(feature = "serde")]
    pub fn push_serde<T>(&mut self, packet: &T) -> Result<&mut Self, SerdeError>
    where
        T: serde::Serialize + ?Sized,
    {
        let encoded = rmp_serde::to_vec_named(packet).map_err(SerdeError::new)?;
        self.push_with(|body| body.extend_from_slice(&encoded));
        Ok(self)
    }

    /// Appends one packet by the closure, or nothing if that returns false.
    fn push_encoded(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> bool) {
        let before = self.body.len();
        if self.count < MAX_COUNT && encode(&mut self.body) {
            self.count += 1;
        } else {
            self.body.truncate(before);
            self.too_long = true;
        }
    }

    /// Returns how many packets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.count).expect("each packet takes a byte of memory")
    }

    /// Whether there are no packets.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns how many bytes the packets take in a message.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        self.body.len()
    }

    /// Checks that every node of the network can read this.
    ///
    /// py2p and js2p close the link on which they meet something that they cannot read, so rs2p does not send it: a
    /// send of a payload that fails here is refused with the same fault.
    ///
    /// # Errors
    ///
    /// The first thing found that py2p or js2p would refuse, or that was too long to be encoded.
    pub fn check(&self) -> Result<(), PayloadFault> {
        if self.too_long {
            return Err(PayloadFault::TooLong);
        }
        refusal::check(&self.body)
    }

    /// Returns the packets, one after the other.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Takes packets as they came.
    pub(crate) fn of_packets(packets: &Packets) -> Self {
        Self {
            count: packets.count,
            body: packets.body.to_vec(),
            too_long: false,
        }
    }

    /// Appends the one value in msgpack that the closure writes.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.push_encoded(|body| {
            write(body);
            true
        });
    }

    /// Appends the packets of another payload.
    pub(crate) fn append(&mut self, other: &Self) {
        match self.count.checked_add(other.count) {
            Some(count) if count <= MAX_COUNT => {
                self.count = count;
                self.body.extend_from_slice(&other.body);
                self.too_long |= other.too_long;
            }
            _ => self.too_long = true,
        }
    }
}

impl<T: Into<Value>> From<T> for Payload {
    fn from(packet: T) -> Self {
        Self::new().with(packet)
    }
}

impl<T: Into<Value>> Extend<T> for Payload {
    fn extend<I: IntoIterator<Item = T>>(&mut self, packets: I) {
        for packet in packets {
            self.push(packet);
        }
    }
}

impl<T: Into<Value>> FromIterator<T> for Payload {
    fn from_iter<I: IntoIterator<Item = T>>(packets: I) -> Self {
        let mut payload = Self::new();
        payload.extend(packets);
        payload
    }
}

/// Makes a [`Payload`] of packets of any types that become a [`Value`].
#[macro_export]
macro_rules! packets {
    ($($packet:expr),* $(,)?) => {
        $crate::Payload::new()$(.with($packet))*
    };
}

/// The packets of a message that came. A clone is cheap and shares the message's buffer.
///
/// They are well-formed msgpack and decoded only when asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Packets {
    count: u32,
    body: Bytes,
}

impl Packets {
    /// Takes `count` whole values, as a scan has found them.
    pub(crate) const fn new(count: u32, body: Bytes) -> Self {
        Self { count, body }
    }

    /// Returns how many packets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.count).expect("each packet takes a byte of memory")
    }

    /// Whether there are no packets.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// Returns the packets in msgpack, one after the other.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.body
    }

    /// Goes through the packets, each in msgpack.
    pub fn raw(&self) -> impl Iterator<Item = Bytes> {
        let mut cursor = Cursor::new(&self.body);
        // The values were scanned when the message came, so none fails here.
        (0..self.count)
            .map_while(move |_| cursor.value().ok())
            .map(|packet| self.body.slice_ref(packet))
    }

    /// Goes through the packets, decoding each.
    ///
    /// An item fails when the packet holds a str that is not UTF-8; the others are not affected.
    pub fn iter(&self) -> impl Iterator<Item = Result<Value, DecodeError>> {
        self.raw().map(Value::decode)
    }

    /// Decodes all packets.
    ///
    /// # Errors
    ///
    /// When one of them holds a str that is not UTF-8.
    pub fn to_values(&self) -> Result<Vec<Value>, DecodeError> {
        self.iter().collect()
    }

    /// Decodes one packet, counted from 0, into any type that serde can make.
    ///
    /// # Errors
    ///
    /// When there is no such packet, or when it does not look like the type asked for.
    #[cfg(feature = "serde")]
    pub fn get_serde<T>(&self, index: usize) -> Result<T, SerdeError>
    where
        T: serde::de::DeserializeOwned,
    {
        let Some(packet) = self.raw().nth(index) else {
            let len = self.len();
            return Err(SerdeError::new(format_args!(
                "packet {index} of a message of {len}"
            )));
        };
        rmp_serde::from_slice(&packet).map_err(SerdeError::new)
    }
}

/// Shows the packets as [`Value`] does, an undecodable one as its error.
impl fmt::Debug for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for packet in self.iter() {
            match packet {
                Ok(value) => list.entry(&format_args!("{value}")),
                Err(error) => list.entry(&format_args!("<{error}>")),
            };
        }
        list.finish()
    }
}

/// What was sent, as it will arrive.
impl From<Payload> for Packets {
    fn from(payload: Payload) -> Self {
        Self::new(payload.count, payload.body.into())
    }
}

/// Sends on what came, byte for byte.
impl From<&Packets> for Payload {
    fn from(packets: &Packets) -> Self {
        Self {
            count: packets.count,
            body: packets.body.to_vec(),
            too_long: false,
        }
    }
}

/// Why serde could not make a packet of a value, or a value of a packet.
#[cfg(feature = "serde")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerdeError {
    why: Box<str>,
}

#[cfg(feature = "serde")]
impl SerdeError {
    fn new(why: impl fmt::Display) -> Self {
        let why = why.to_string().into();
        Self { why }
    }
}

#[cfg(feature = "serde")]
impl fmt::Display for SerdeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

#[cfg(feature = "serde")]
impl std::error::Error for SerdeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_back_as_they_were_pushed() {
        let payload = packets!["text", 5, b"bytes", None::<i32>, Value::array([1, 2])];
        assert_eq!(payload.len(), 5);
        assert_eq!(payload.encoded_len(), 5 + 1 + 7 + 1 + 3);
        let received = Packets::from(payload.clone());
        let expected = [
            "text".into(),
            5.into(),
            b"bytes".into(),
            Value::Nil,
            Value::array([1, 2]),
        ];
        assert_eq!(received.to_values(), Ok(expected.to_vec()));
        assert_eq!(
            format!("{received:?}"),
            r#"["text", 5, h'6279746573', null, [1, 2]]"#
        );
        assert_eq!(Payload::from(&received), payload);
    }

    #[test]
    fn a_payload_is_made_in_any_way_that_reads_well() {
        let expected = Payload::new().with("a").with("b");
        let mut pushed = Payload::default();
        pushed.push("a").push("b");
        assert_eq!(pushed, expected);
        assert_eq!(["a", "b"].into_iter().collect::<Payload>(), expected);
        assert_eq!(packets!["a", "b",], expected);
        assert_eq!(Payload::from("a"), packets!["a"]);
        assert_eq!(packets![], Payload::new());
        assert!(Payload::new().is_empty() && !expected.is_empty());
        let mut joined = packets!["a"];
        joined.append(&packets!["b"]);
        assert_eq!(joined, expected);
    }

    #[test]
    fn a_packet_that_is_too_long_is_left_out_and_reported() {
        let mut payload = packets!["a"];
        payload.push_encoded(|body| {
            body.push(0xd9);
            false
        });
        assert_eq!((payload.len(), payload.encoded_len()), (1, 2));
        assert_eq!(payload.check(), Err(PayloadFault::TooLong));
        let mut joined = packets!["b"];
        joined.append(&payload);
        assert_eq!(joined.check(), Err(PayloadFault::TooLong));
    }

    #[test]
    fn what_no_legacy_peer_could_read_is_found() {
        assert_eq!(packets!["a", Value::map([(1, 2)])].check(), Ok(()));
        let repeated = packets!["a", Value::map([("k", 1), ("k", 2)])];
        assert_eq!(repeated.check(), Err(PayloadFault::RepeatedKey));
        let kind = -1;
        let time = packets![Value::Ext(kind, Bytes::new())];
        assert_eq!(time.check(), Err(PayloadFault::BadExt { kind }));
    }

    #[test]
    fn one_undecodable_packet_does_not_hide_the_others() {
        let packets = Packets::new(3, b"\x01\xa1\xff\x02"[..].into());
        let values: Vec<_> = packets.iter().collect();
        assert_eq!(
            values,
            [Ok(1.into()), Err(DecodeError::NotUtf8), Ok(2.into())]
        );
        assert_eq!(packets.to_values(), Err(DecodeError::NotUtf8));
        assert_eq!(format!("{packets:?}"), "[1, <a str is not UTF-8>, 2]");
        assert_eq!(packets.raw().count(), packets.len());
    }

    #[test]
    fn numbers_below_0x30_and_one_name_are_the_protocols() {
        let table = [
            (SubFlag::Default, false),
            (SubFlag::from(0), true),
            (SubFlag::from(0x2f), true),
            (SubFlag::from(0x30), false),
            (SubFlag::from(u64::MAX), false),
            (SubFlag::Number((-1).into()), true),
            (SubFlag::from("rs2p"), true),
            (SubFlag::from("rs2p.example"), false),
            (SubFlag::from(String::new()), false),
        ];
        for (sub_flag, reserved) in table {
            assert_eq!(sub_flag.is_reserved(), reserved, "{sub_flag:?}");
        }
    }

    #[test]
    fn sub_flags_arrive_as_they_were_sent() {
        let text = |text: &str| WireSubFlag::Text(Arc::from(text));
        let table = [
            (
                SubFlag::Default,
                SubFlagOut::Number(2.into()),
                WireSubFlag::Number(2.into()),
            ),
            (
                SubFlag::from(99),
                SubFlagOut::Number(99.into()),
                WireSubFlag::Number(99.into()),
            ),
            (SubFlag::from("x"), SubFlagOut::Text("x"), text("x")),
        ];
        for (sub_flag, written, read) in table {
            assert_eq!(sub_flag.to_wire(sub_flag::WHISPER), written);
            assert_eq!(SubFlag::from_wire(&read), Some(sub_flag));
        }
        let broadcast = WireSubFlag::Number(sub_flag::BROADCAST.into());
        assert_eq!(SubFlag::from_wire(&broadcast), Some(SubFlag::Default));
        assert_eq!(SubFlag::from_wire(&WireSubFlag::Other), None);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn types_that_serde_knows_travel_as_maps() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct Alert {
            level: u8,
            what: String,
        }
        let alert = Alert {
            level: 3,
            what: "disk full".to_owned(),
        };
        let mut payload = packets![1];
        payload.push_serde(&alert).unwrap().push(2);
        assert_eq!(payload.len(), 3);
        let received = Packets::from(payload);
        let map = Value::map([("level", Value::from(3)), ("what", "disk full".into())]);
        assert_eq!(received.iter().nth(1), Some(Ok(map)));
        assert_eq!(received.get_serde(1), Ok(alert));
        let wrong = received.get_serde::<Alert>(0).unwrap_err();
        assert!(wrong.to_string().contains("invalid type"), "{wrong}");
        let missing = received.get_serde::<Alert>(3).unwrap_err();
        assert_eq!(missing.to_string(), "packet 3 of a message of 3");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_value_that_cannot_be_serialized_leaves_the_payload_alone() {
        struct Unwilling;
        impl serde::Serialize for Unwilling {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("unwilling"))
            }
        }
        let mut payload = packets!["a"];
        let error = payload.push_serde(&Unwilling).unwrap_err();
        assert_eq!(error.to_string(), "unwilling");
        assert_eq!(payload, packets!["a"]);
        assert_eq!(payload.check(), Ok(()));
    }
}
