//! The message: an array of type, sender, time and sub-flag, and the packets after them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::fault::{MessageFault, MsgpackFault};
use super::int::Int;
use super::msgpack::{self, Cursor, Head, Scan};
use super::payload::{Packets, Payload};
use super::refusal::{self, PayloadFault};
use crate::id::{IdForm, MessageId, NodeId};

/// Elements of the array before the packets.
const HEADER_LEN: u32 = 4;

/// How a message is treated before anyone looks at what it says. The wire calls it the main type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MainType {
    /// 0: passed on to everyone.
    Broadcast,
    /// 1: about the link it came by.
    Renegotiate,
    /// 2, and whatever else a peer may write there: for the receiver only.
    Whisper,
}

impl MainType {
    const fn number(self) -> u64 {
        match self {
            Self::Broadcast => 0,
            Self::Renegotiate => 1,
            Self::Whisper => 2,
        }
    }

    fn of(head: Head) -> Self {
        match head.as_integer().and_then(Int::as_u64) {
            Some(0) => Self::Broadcast,
            Some(1) => Self::Renegotiate,
            // `false` is here as well, which js2p takes for a whisper and py2p for a broadcast.
            _ => Self::Whisper,
        }
    }
}

/// Who made a message, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sender {
    Node(NodeId, IdForm),
    /// Not an id: nil, a number, text that is empty, too long or not UTF-8.
    ///
    /// A js2p that has to relay such a message closes the link it came by.
    Unusable,
}

/// When a message was made, by its sender's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireTime {
    /// Whole seconds since 1970.
    Seconds(i64),
    /// Not a time, or one that legacy nodes cannot live with: NaN circles among them for ever, and a js2p that
    /// remembers a fraction or an infinity is broken for good.
    Unusable,
}

impl WireTime {
    fn of(head: Head) -> Self {
        let seconds = head.as_integer().and_then(Int::as_i64);
        seconds.map_or(Self::Unusable, Self::Seconds)
    }
}

/// The sub-flag of a message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WireSubFlag {
    /// An integer, or a float with an integral value.
    Number(Int),
    /// A str. Legacy nodes do not take a bin for the same.
    Text(Arc<str>),
    /// Anything else. No legacy node puts such a message into its inbox.
    Other,
}

/// A message in its packed form, with its header read.
///
/// The bytes are those of the frame, shared and never copied, and are what is relayed: encoding the message again
/// could change its id.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    id: MessageId,
    bytes: Bytes,
    main: MainType,
    sender: Sender,
    time: WireTime,
    sub_flag: WireSubFlag,
    packets: Range<usize>,
    packet_count: u32,
    scan: Scan,
}

impl Packed {
    /// Reads the header and checks that the whole message is msgpack nested at most `max_depth` deep.
    ///
    /// The id is taken as given: the reader of frames has checked it. Bytes after the array belong to the message, as
    /// they do for legacy nodes: the id covers them and relays keep them. Only a [`Name`](super::trailer::Name) means
    /// anything there.
    pub(crate) fn parse(
        id: MessageId,
        bytes: Bytes,
        max_depth: usize,
    ) -> Result<Self, MessageFault> {
        Self::parse_with(id, bytes, max_depth, |text| NodeId::new(text).ok())
    }

    /// Does the same, where `node` makes the sender's id of its text: ids that are known already need not be made.
    pub(crate) fn parse_with(
        id: MessageId,
        bytes: Bytes,
        max_depth: usize,
        node: impl FnOnce(&str) -> Option<NodeId>,
    ) -> Result<Self, MessageFault> {
        let scan = msgpack::scan(&bytes, max_depth)?;
        let mut cursor = Cursor::new(&bytes);
        let Head::Array(have) = cursor.head()? else {
            return Err(MessageFault::NotAnArray);
        };
        if have < HEADER_LEN {
            return Err(MessageFault::TooFewFields { have });
        }
        let main = MainType::of(scalar(&mut cursor)?);
        let sender = read_sender(&mut cursor, node)?;
        let time = WireTime::of(scalar(&mut cursor)?);
        let sub_flag = read_sub_flag(&mut cursor)?;
        let packets = cursor.position()..scan.len;
        Ok(Self {
            id,
            bytes,
            main,
            sender,
            time,
            sub_flag,
            packets,
            packet_count: have - HEADER_LEN,
            scan,
        })
    }

    /// Reads a message that [`Outgoing::pack`] has made.
    pub(crate) fn of_our_own(bytes: Bytes) -> Self {
        let id = MessageId::of(&bytes);
        Self::parse(id, bytes, msgpack::MAX_DEPTH).expect("payloads are checked before")
    }

    pub(crate) const fn id(&self) -> MessageId {
        self.id
    }

    /// Returns all bytes, those after the array as well.
    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) const fn main(&self) -> MainType {
        self.main
    }

    pub(crate) const fn sender(&self) -> &Sender {
        &self.sender
    }

    pub(crate) const fn time(&self) -> WireTime {
        self.time
    }

    pub(crate) const fn sub_flag(&self) -> &WireSubFlag {
        &self.sub_flag
    }

    pub(crate) const fn packet_count(&self) -> u32 {
        self.packet_count
    }

    /// Returns the packets, which share the message's buffer.
    pub(crate) fn packets(&self) -> Packets {
        Packets::new(self.packet_count, self.bytes.slice(self.packets.clone()))
    }

    /// Returns the packets in msgpack, one after the other.
    pub(crate) fn packet_bytes(&self) -> &[u8] {
        &self.bytes[self.packets.clone()]
    }

    /// Returns the bytes after the array, which no legacy node reads.
    pub(crate) fn trailer(&self) -> &[u8] {
        &self.bytes[self.scan.len..]
    }

    /// Returns why a py2p would close the link if it were sent this.
    ///
    /// Free for messages without maps, exts and bad text; otherwise a pass over the message.
    pub(crate) fn py2p_refuses(&self) -> Option<PayloadFault> {
        // One deeper than packets may be, for the array around them.
        let max_depth = refusal::MAX_LEGACY_DEPTH + 1;
        refusal::py2p(self.value(), self.scan, max_depth).err()
    }

    /// Returns why a js2p would close the link if it were sent this. Free for messages without exts.
    pub(crate) fn js2p_refuses(&self) -> Option<PayloadFault> {
        refusal::js2p(self.value(), self.scan).err()
    }

    fn value(&self) -> &[u8] {
        &self.bytes[..self.scan.len]
    }
}

/// Reads a whole value of which only the head matters: a number, or else something of no use.
fn scalar(cursor: &mut Cursor<'_>) -> Result<Head, MsgpackFault> {
    let start = cursor.position();
    let head = cursor.head()?;
    cursor.finish(start, head)?;
    Ok(head)
}

fn read_sender(
    cursor: &mut Cursor<'_>,
    node: impl FnOnce(&str) -> Option<NodeId>,
) -> Result<Sender, MsgpackFault> {
    let text = read_text(cursor)?;
    let sender = text.and_then(|(text, form)| Some(Sender::Node(node(text)?, form)));
    Ok(sender.unwrap_or(Sender::Unusable))
}

/// Reads a value that should be a node's id. `None` when it is not, whatever it is.
pub(crate) fn read_id(cursor: &mut Cursor<'_>) -> Result<Option<(NodeId, IdForm)>, MsgpackFault> {
    let Some((text, form)) = read_text(cursor)? else {
        return Ok(None);
    };
    Ok(NodeId::new(text).ok().map(|id| (id, form)))
}

/// Reads a value that should be text in either form. `None` when it is not, or not UTF-8.
pub(crate) fn read_text<'a>(
    cursor: &mut Cursor<'a>,
) -> Result<Option<(&'a str, IdForm)>, MsgpackFault> {
    let start = cursor.position();
    let head = cursor.head()?;
    let (len, form) = match head {
        Head::Str(len) => (len, IdForm::Str),
        Head::Bin(len) => (len, IdForm::Bin),
        Head::Nil
        | Head::Bool(_)
        | Head::Int(_)
        | Head::Float(_)
        | Head::Ext(..)
        | Head::Array(_)
        | Head::Map(_) => {
            cursor.finish(start, head)?;
            return Ok(None);
        }
    };
    let text = str::from_utf8(cursor.content(len)?);
    Ok(text.ok().map(|text| (text, form)))
}

fn read_sub_flag(cursor: &mut Cursor<'_>) -> Result<WireSubFlag, MsgpackFault> {
    let start = cursor.position();
    let head = cursor.head()?;
    if let Some(number) = head.as_integer() {
        return Ok(WireSubFlag::Number(number));
    }
    let value = cursor.finish(start, head)?;
    Ok(match read_text(&mut Cursor::new(value))? {
        Some((text, IdForm::Str)) => WireSubFlag::Text(Arc::from(text)),
        Some((_, IdForm::Bin)) | None => WireSubFlag::Other,
    })
}

/// A sub-flag to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubFlagOut<'a> {
    Number(Int),
    Text(&'a str),
}

/// A message to be packed.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing<'a> {
    pub(crate) main: MainType,
    pub(crate) sender: &'a NodeId,
    /// How the sender's id is written: as str, by rs2p.
    pub(crate) form: IdForm,
    /// Seconds since 1970.
    pub(crate) time: u64,
    pub(crate) sub_flag: SubFlagOut<'a>,
    pub(crate) packets: &'a Payload,
}

impl Outgoing<'_> {
    /// Packs the message in msgpack's shortest forms: byte for byte what py2p would write, form of the id aside.
    ///
    /// There is room for a trailer after the array, which every node keeps and no legacy node reads.
    pub(crate) fn pack(&self) -> Vec<u8> {
        // Marks and lengths of the header, padding and a name take less than this.
        const HEADS: usize = 72;
        const SHORT: &str = "ids, names and counts of packets are below 2^32";

        let sub_flag_len = match self.sub_flag {
            SubFlagOut::Number(_) => 0,
            SubFlagOut::Text(text) => text.len(),
        };
        let body = self.packets.body();
        let len = self.sender.as_str().len() + sub_flag_len + body.len();
        let mut out = Vec::with_capacity(HEADS + len);
        // Cannot overflow: a payload stops counting before.
        let count = self.packets.len() + 4;
        msgpack::put_array_head(&mut out, count).expect(SHORT);
        msgpack::put_int(&mut out, self.main.number().into());
        put_text(&mut out, self.sender.as_str(), self.form);
        msgpack::put_int(&mut out, self.time.into());
        match self.sub_flag {
            SubFlagOut::Number(number) => msgpack::put_int(&mut out, number),
            SubFlagOut::Text(text) => msgpack::put_str(&mut out, text).expect(SHORT),
        }
        out.extend_from_slice(body);
        out
    }
}

/// Writes an id or another short text in the form asked for.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str, form: IdForm) {
    let put = match form {
        IdForm::Str => msgpack::put_str(out, text),
        IdForm::Bin => msgpack::put_bin(out, text.as_bytes()),
    };
    put.expect("ids and hosts are short");
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packets;
    use crate::wire::msgpack::MAX_DEPTH;
    use crate::wire::value::Value;

    /// The ids of the nodes that wrote the vectors.
    pub(crate) const PY2P: &str =
        "8tLG1Kb6VmK6hPW4KTzVP5xxjrcmzAt7F9hW1kuAGSXEfnpGLNxyQxFpon6d9UTZf8";
    pub(crate) const JS2P: &str =
        "92tpaoQGSkBgfWdmNQzBc3M7gK6JKE9ZNMH31cuyj7FCY9f1aDKcGkmmgDrfE4etfC";
    pub(crate) const TIME: u64 = 1_700_000_000;

    pub(crate) fn parse(bytes: impl Into<Bytes>) -> Result<Packed, MessageFault> {
        let bytes = bytes.into();
        Packed::parse(MessageId::of(&bytes), bytes, MAX_DEPTH)
    }

    /// `[main, "N", 1, 0, "p"]` with some of the fields in other words.
    fn with(main: &[u8], sender: &[u8], time: &[u8], sub_flag: &[u8]) -> Packed {
        let bytes = [b"\x95", main, sender, time, sub_flag, b"\xa1p"].concat();
        parse(bytes).expect("a well-formed message")
    }

    fn node(id: &str, form: IdForm) -> Sender {
        Sender::Node(NodeId::new(id).unwrap(), form)
    }

    fn mixed() -> Payload {
        packets![
            "text",
            b"bytes",
            12,
            Value::map([("a", 1.5)]),
            Value::Nil,
            Value::array([false]),
        ]
    }

    // From py2p (bin) and js2p (str); an equal id is an equal message.
    #[test]
    fn messages_are_packed_as_the_older_libraries_pack_them() {
        let extension = packets![Value::map([
            ("v", Value::from(1)),
            ("caps", Value::array(["a", "b"]))
        ])];
        let broadcast = (MainType::Broadcast, SubFlagOut::Number(0.into()));
        let named = (MainType::Whisper, SubFlagOut::Text("rs2p.example"));
        let table = [
            (
                (PY2P, IdForm::Bin),
                broadcast,
                mixed(),
                "1200bc5a4f12b78a0717da587974a96e292d0400688bd892afadad96ac13d878",
            ),
            (
                (JS2P, IdForm::Str),
                broadcast,
                mixed(),
                "f3ca95d8aa3d4d0ca0f54c44b0aa290dc20bdef0a099e7123d09567a0ea521c0",
            ),
            (
                (PY2P, IdForm::Bin),
                named,
                extension.clone(),
                "230844727204d33e7a3fa77b5e7a82ddbbcc6e4f37b3db92c0b7dffa6b1bf924",
            ),
            (
                (JS2P, IdForm::Str),
                named,
                extension,
                "3f5c8957e4fa9028feac14ab88cde37930bbbdbe2af8a9f39fd792ae7f3a794b",
            ),
        ];
        for ((sender, form), (main, sub_flag), packets, id) in table {
            let out = Outgoing {
                main,
                sender: &NodeId::new(sender).unwrap(),
                form,
                time: TIME,
                sub_flag,
                packets: &packets,
            };
            let bytes = out.pack();
            assert_eq!(MessageId::of(&bytes).to_string(), id);

            let message = parse(bytes).unwrap();
            assert_eq!(message.main(), main);
            assert_eq!(*message.sender(), node(sender, form));
            assert_eq!(message.time(), WireTime::Seconds(1_700_000_000));
            assert_eq!(message.packets(), Packets::from(packets));
            assert_eq!(message.packet_bytes(), message.packets().as_bytes());
        }
    }

    #[test]
    fn a_trailer_changes_the_id_and_nothing_else() {
        let pack = |trailer: &[u8]| {
            let sender = &NodeId::new("N").unwrap();
            let out = Outgoing {
                main: MainType::Broadcast,
                sender,
                form: IdForm::Str,
                time: TIME,
                sub_flag: SubFlagOut::Number(0.into()),
                packets: &packets!["p"],
            };
            parse([&out.pack(), trailer].concat()).unwrap()
        };
        let (plain, marked) = (pack(&[]), pack(b"\xc1JUNK"));
        assert_ne!(plain.id(), marked.id());
        assert_eq!(plain.packets(), marked.packets());
        assert_eq!(
            (plain.trailer(), marked.trailer()),
            (&b""[..], &b"\xc1JUNK"[..])
        );
        assert!(marked.bytes().ends_with(b"JUNK"), "relays keep it");
    }

    #[test]
    fn long_messages_get_longer_array_heads() {
        for (packets, head) in [
            (11, &b"\x9f"[..]),
            (12, b"\xdc\0\x10"),
            (65532, b"\xdd\0\x01\0\0"),
        ] {
            let payload: Payload = std::iter::repeat_n(0, packets).collect();
            let out = Outgoing {
                main: MainType::Whisper,
                sender: &NodeId::new("N").unwrap(),
                form: IdForm::Str,
                time: 0,
                sub_flag: SubFlagOut::Number(2.into()),
                packets: &payload,
            };
            let bytes = out.pack();
            assert!(bytes.starts_with(head), "{packets} packets");
            assert_eq!(parse(bytes).unwrap().packets().len(), packets);
        }
    }

    #[test]
    fn the_main_type_is_a_number_or_means_whisper() {
        let table: [(&[u8], MainType); 12] = [
            (b"\0", MainType::Broadcast),
            (b"\xd3\0\0\0\0\0\0\0\0", MainType::Broadcast),
            (b"\xca\0\0\0\0", MainType::Broadcast),
            (b"\x01", MainType::Renegotiate),
            (b"\xcb\x3f\xf0\0\0\0\0\0\0", MainType::Renegotiate),
            (b"\x02", MainType::Whisper),
            (b"\x63", MainType::Whisper),
            (b"\xff", MainType::Whisper),
            (b"\xc2", MainType::Whisper),
            (b"\xc0", MainType::Whisper),
            (b"\xa4text", MainType::Whisper),
            (b"\x91\0", MainType::Whisper),
        ];
        for (bytes, main) in table {
            assert_eq!(
                with(bytes, b"\xa1N", b"\x01", b"\0").main(),
                main,
                "{bytes:02x?}"
            );
        }
    }

    #[test]
    fn a_sender_is_an_id_in_either_form() {
        let long = [&b"\xda\x01\x01"[..], &[b'x'; 257]].concat();
        let table: [(&[u8], Sender); 9] = [
            (b"\xa1N", node("N", IdForm::Str)),
            (b"\xdb\0\0\0\x01N", node("N", IdForm::Str)),
            (b"\xc4\x01N", node("N", IdForm::Bin)),
            (b"\xc0", Sender::Unusable),
            (b"\x07", Sender::Unusable),
            (b"\xa0", Sender::Unusable),
            (b"\xa1\xff", Sender::Unusable),
            (b"\x92\xa1N\xa1N", Sender::Unusable),
            (&long, Sender::Unusable),
        ];
        for (bytes, sender) in table {
            assert_eq!(
                *with(b"\0", bytes, b"\x01", b"\0").sender(),
                sender,
                "{bytes:02x?}"
            );
        }
    }

    #[test]
    fn a_time_is_a_whole_number_of_seconds() {
        let float = |float: f64| [&b"\xcb"[..], &float.to_be_bytes()].concat();
        let table = [
            (b"\x01".to_vec(), WireTime::Seconds(1)),
            (b"\xff".to_vec(), WireTime::Seconds(-1)),
            // js2p from 2038 on.
            (float(4_294_967_296.0), WireTime::Seconds(1 << 32)),
            (b"\xca\x4f\x80\0\0".to_vec(), WireTime::Seconds(1 << 32)),
            (
                b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff".to_vec(),
                WireTime::Seconds(i64::MAX),
            ),
            (b"\xcf\x80\0\0\0\0\0\0\0".to_vec(), WireTime::Unusable),
            (float(9_223_372_036_854_775_808.0), WireTime::Unusable),
            (float(1.5), WireTime::Unusable),
            (float(f64::NAN), WireTime::Unusable),
            (float(f64::INFINITY), WireTime::Unusable),
            (b"\xc0".to_vec(), WireTime::Unusable),
            (b"\xc3".to_vec(), WireTime::Unusable),
            (b"\xa11".to_vec(), WireTime::Unusable),
            (b"\x91\x01".to_vec(), WireTime::Unusable),
        ];
        for (bytes, time) in table {
            assert_eq!(
                with(b"\0", b"\xa1N", &bytes, b"\0").time(),
                time,
                "{bytes:02x?}"
            );
        }
    }

    #[test]
    fn a_sub_flag_is_a_number_or_text() {
        let table: [(&[u8], WireSubFlag); 8] = [
            (b"\0", WireSubFlag::Number(0.into())),
            (b"\xff", WireSubFlag::Number((-1).into())),
            (b"\xca\x40\0\0\0", WireSubFlag::Number(2.into())),
            (b"\xa3abc", WireSubFlag::Text(Arc::from("abc"))),
            (b"\xc4\x03abc", WireSubFlag::Other),
            (b"\xa1\xff", WireSubFlag::Other),
            (b"\xc3", WireSubFlag::Other),
            (b"\x81\x01\x02", WireSubFlag::Other),
        ];
        for (bytes, sub_flag) in table {
            let message = with(b"\x02", b"\xa1N", b"\x01", bytes);
            assert_eq!(*message.sub_flag(), sub_flag, "{bytes:02x?}");
            assert_eq!(message.packet_bytes(), b"\xa1p", "{bytes:02x?}");
        }
    }

    #[test]
    fn what_is_no_message_says_why() {
        let table: [(&[u8], MessageFault); 9] = [
            (b"", MsgpackFault::Truncated.into()),
            (b"\x95\0\xa1N\x01\0", MsgpackFault::Truncated.into()),
            (b"\x95\0\xa1N\x01\0\xc1", MsgpackFault::Reserved.into()),
            (b"\x80", MessageFault::NotAnArray),
            (b"\xabhello world", MessageFault::NotAnArray),
            (b"\xc0", MessageFault::NotAnArray),
            (b"\x90", MessageFault::TooFewFields { have: 0 }),
            (b"\x92\0\xa1N", MessageFault::TooFewFields { have: 2 }),
            (b"\x93\0\xa1N\x01", MessageFault::TooFewFields { have: 3 }),
        ];
        for (bytes, fault) in table {
            assert_eq!(parse(bytes.to_vec()).err(), Some(fault), "{bytes:02x?}");
        }
        assert!(
            parse(&b"\x94\0\xa1N\x01\0"[..]).is_ok(),
            "no packets are enough"
        );
    }

    #[test]
    fn the_limit_of_depth_counts_the_messages_own_array() {
        let bytes = Bytes::from_static(b"\x95\0\xa1N\x01\0\x91\x90");
        let id = MessageId::of(&bytes);
        assert!(Packed::parse(id, bytes.clone(), 3).is_ok());
        let fault = MsgpackFault::TooDeep { limit: 2 }.into();
        assert_eq!(Packed::parse(id, bytes, 2).err(), Some(fault));
    }

    #[test]
    fn packets_share_the_messages_buffer() {
        let bytes = Bytes::from_static(b"\x95\0\xa1N\x01\0\xa1p");
        let message = parse(bytes.clone()).unwrap();
        assert_eq!(message.bytes().as_ptr(), bytes.as_ptr());
        assert_eq!(message.packets().as_bytes().as_ptr(), bytes[6..].as_ptr());
    }

    #[test]
    fn the_header_counts_when_legacy_nodes_refuse_content() {
        let bad_sender = with(b"\x02", b"\xa1\xff", b"\x01", b"\0");
        assert_eq!(bad_sender.py2p_refuses(), Some(PayloadFault::NotUtf8));
        assert_eq!(bad_sender.js2p_refuses(), None);
        let pattern = with(b"\x02", b"\xa1N", b"\x01", b"\xd4\x0a\x01");
        assert_eq!(pattern.py2p_refuses(), None);
        assert_eq!(
            pattern.js2p_refuses(),
            Some(PayloadFault::BadExt { kind: 10 })
        );
        let repeated = with(b"\x02", b"\xa1N", b"\x01", b"\x82\x01\x01\xc3\x01");
        assert_eq!(repeated.py2p_refuses(), Some(PayloadFault::RepeatedKey));
    }

    #[test]
    fn a_packet_may_be_as_deep_in_a_message_as_when_sent() {
        let deepest = [vec![0x91; 300], vec![0]].concat();
        let message = |packet: &[u8]| parse([b"\x95\0\xa1N\x01\0", packet].concat()).unwrap();
        assert_eq!(message(&deepest).py2p_refuses(), None);
        let deeper = message(&[b"\x91", &deepest[..]].concat());
        let (depth, limit) = (302, 301);
        assert_eq!(
            deeper.py2p_refuses(),
            Some(PayloadFault::TooDeep { depth, limit })
        );
    }

    proptest! {
        #[test]
        fn parsing_never_fails_on_its_own(bytes: Vec<u8>, fields in 0..6_u8) {
            // As they are, and as the inside of an array, which gets further.
            let _ = parse(bytes.clone());
            let _ = parse([&[0x90 + fields], &bytes[..]].concat());
        }

        #[test]
        fn every_message_cut_short_is_truncated(at in 0..77_usize) {
            let sender = &NodeId::new(PY2P).unwrap();
            let out = Outgoing {
                main: MainType::Broadcast,
                sender,
                form: IdForm::Str,
                time: TIME,
                sub_flag: SubFlagOut::Number(0.into()),
                packets: &packets![1],
            };
            let bytes = out.pack();
            prop_assert_eq!(bytes.len(), 77);
            let fault = MsgpackFault::Truncated.into();
            prop_assert_eq!(parse(bytes[..at].to_vec()).err(), Some(fault));
        }
    }
}
