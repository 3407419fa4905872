//! The protocol's own messages: what they say, read from a [`Packed`] and written as packets.
//!
//! Reading is strict where a legacy node would close the link and lenient where it would go on. Ids keep the form in
//! which they came, as legacy nodes tell the forms apart.

use bytes::Bytes;

use super::fault::ControlFault;
pub(crate) use super::fields::PeerEntry;
use super::fields::{
    Fields, Place, elements, is_nil, put_address, put_array_head, put_methods, text,
};
use super::message::{MainType, Packed, SubFlagOut, WireSubFlag, put_text};
use super::msgpack;
use super::native::Native;
use super::payload::{NATIVE_SUB_FLAG, Payload};
use crate::address::Address;
use crate::id::{IdForm, NodeId, ProtocolId};

/// Numbers of sub-flags, with the protocol's names.
pub(crate) mod sub_flag {
    /// Of broadcasts and of whispers to all.
    pub(crate) const BROADCAST: u64 = 0;
    /// Which compression methods the sender reads.
    pub(crate) const COMPRESSION: u64 = 1;
    /// Of whispers to one node, and replies.
    pub(crate) const WHISPER: u64 = 2;
    pub(crate) const HANDSHAKE: u64 = 5;
    pub(crate) const PEERS: u64 = 7;
    pub(crate) const REQUEST: u64 = 8;
    pub(crate) const RESEND: u64 = 9;
    pub(crate) const RESPONSE: u64 = 10;
}

/// What the wire says for "all" in a request.
const STAR: &str = "*";

/// What a message is to the protocol.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Control {
    /// Nothing of the protocol's own: for the application, if for anyone.
    User,
    Handshake(Handshake),
    Peers(Vec<PeerEntry>),
    RequestPeers,
    RequestNode(RequestNode),
    Response(Response),
    /// The sender now reads these compression methods.
    RenegotiateCompression(Vec<u64>),
    /// The sender could not read something.
    Resend,
    /// What only rs2p nodes say.
    Native(Native),
}

impl Control {
    /// Reads what a message says to the protocol. At most `max_peers` entries of a peers list are kept.
    ///
    /// The sub-flag decides, whatever the main type: whether such a message may come as a broadcast is the caller's to
    /// judge. Only renegotiation goes by the main type too, and what only rs2p nodes say is a whisper always.
    pub(crate) fn parse(message: &Packed, max_peers: usize) -> Result<Self, ControlFault> {
        let number = match message.sub_flag() {
            WireSubFlag::Number(number) => number.as_u64(),
            WireSubFlag::Text(text) if &**text == NATIVE_SUB_FLAG => {
                return match message.main() {
                    MainType::Whisper => Native::parse(message).map(Self::Native),
                    MainType::Broadcast | MainType::Renegotiate => Ok(Self::User),
                };
            }
            WireSubFlag::Text(_) | WireSubFlag::Other => None,
        };
        let renegotiates = message.main() == MainType::Renegotiate;
        match number {
            Some(sub_flag::HANDSHAKE) => Handshake::parse(message).map(Self::Handshake),
            Some(sub_flag::PEERS) => parse_peers(message, max_peers).map(Self::Peers),
            Some(sub_flag::REQUEST) => parse_request(message),
            Some(sub_flag::RESPONSE) => Response::parse(message).map(Self::Response),
            Some(sub_flag::COMPRESSION) if renegotiates => parse_renegotiation(message),
            Some(sub_flag::RESEND) if renegotiates => Ok(Self::Resend),
            _ => Ok(Self::User),
        }
    }
}

/// One of the protocol's own messages to be sent, short of sender and time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutControl {
    pub(crate) main: MainType,
    pub(crate) sub_flag: SubFlagOut<'static>,
    pub(crate) packets: Payload,
}

impl OutControl {
    fn new(main: MainType, sub_flag: u64, packets: Payload) -> Self {
        let sub_flag = SubFlagOut::Number(sub_flag.into());
        Self {
            main,
            sub_flag,
            packets,
        }
    }

    /// What only rs2p nodes say: the kind, then the packets that go with it.
    pub(crate) fn native(kind: u64, body: &Payload) -> Self {
        let mut packets = Payload::new().with(kind);
        packets.append(body);
        Self {
            main: MainType::Whisper,
            sub_flag: SubFlagOut::Text(NATIVE_SUB_FLAG),
            packets,
        }
    }
}

/// Who a legacy node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handshake {
    pub(crate) id: NodeId,
    pub(crate) id_form: IdForm,
    pub(crate) protocol: ProtocolId,
    /// Tells py2p, which writes bin, from js2p, which writes str.
    pub(crate) protocol_form: IdForm,
    /// Where the node can be dialled. `None` when it says that it cannot, and when it says nothing that we can dial.
    pub(crate) address: Option<Address>,
    /// How the host was spelt: as bin by py2p on CPython 2.7.
    pub(crate) host_form: IdForm,
    /// The compression methods that the node reads, by preference.
    pub(crate) methods: Vec<u64>,
}

/// How a handshake says that the sender cannot be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAddress {
    /// `nil`, for py2p: it would list the other form in its peers messages.
    Nil,
    /// `[nil, nil]`, for js2p: the other form breaks it.
    NilPair,
}

/// Our own handshake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnHandshake<'a> {
    pub(crate) id: &'a NodeId,
    pub(crate) protocol: &'a ProtocolId,
    pub(crate) address: Option<&'a Address>,
    /// What to write when there is no address.
    pub(crate) no_address: NoAddress,
    /// The compression methods that we read, by preference.
    pub(crate) methods: &'a [u8],
}

impl OwnHandshake<'_> {
    /// Writes the one form that every flavour of legacy node takes: our id as str, the protocol id as bin.
    pub(crate) fn encode(&self) -> OutControl {
        let mut packets = Payload::new()
            .with(self.id.as_str())
            .with(self.protocol.as_str().as_bytes());
        packets.push_with(|out| match (self.address, self.no_address) {
            (Some(address), _) => put_address(out, address),
            (None, NoAddress::Nil) => msgpack::put_nil(out),
            (None, NoAddress::NilPair) => {
                put_array_head(out, 2);
                msgpack::put_nil(out);
                msgpack::put_nil(out);
            }
        });
        packets.push_with(|out| put_methods(out, self.methods));
        OutControl::new(MainType::Whisper, sub_flag::HANDSHAKE, packets)
    }
}

impl Handshake {
    fn parse(message: &Packed) -> Result<Self, ControlFault> {
        let mut fields = Fields::of("handshake", message);
        if message.packet_count() != 4 {
            return Err(fields.wrong_shape());
        }
        let (id, id_form) = fields.id("id must be text of 1 to 256 bytes")?;
        let rule = "protocol must be text of at most 256 bytes";
        let (protocol, protocol_form) = fields.text(rule)?;
        if protocol.len() > ProtocolId::MAX_LEN {
            return Err(fields.breaks(rule));
        }
        // Whatever stands for an address, legacy nodes link up all the same.
        let (address, host_form) = match Place::read(fields.raw("address is missing")?) {
            Place::At(address, form) => (Some(address), form),
            Place::Nowhere | Place::Malformed => (None, IdForm::Str),
        };
        let methods = fields.methods()?;
        Ok(Self {
            id,
            id_form,
            protocol: ProtocolId::from_text(protocol),
            protocol_form,
            address,
            host_form,
            methods,
        })
    }
}

/// Writes a peers message.
pub(crate) fn encode_peers(entries: &[PeerEntry]) -> OutControl {
    let mut packets = Payload::new();
    packets.push_with(|out| put_entries(out, entries));
    OutControl::new(MainType::Whisper, sub_flag::PEERS, packets)
}

pub(crate) fn put_entries(out: &mut Vec<u8>, entries: &[PeerEntry]) {
    put_array_head(out, entries.len());
    for entry in entries {
        entry.put(out);
    }
}

fn parse_peers(message: &Packed, max_peers: usize) -> Result<Vec<PeerEntry>, ControlFault> {
    read_entries(&mut Fields::of("peers", message), max_peers)
}

/// Reads a list of nodes. Entries that nobody can dial are passed over, as they cost no legacy node its link.
pub(crate) fn read_entries(
    fields: &mut Fields<'_>,
    max: usize,
) -> Result<Vec<PeerEntry>, ControlFault> {
    let rule = "entries must be a list of [[host, port], id]";
    let entries = elements(fields.raw(rule)?).ok_or_else(|| fields.breaks(rule))?;
    entries
        .filter_map(|entry| {
            PeerEntry::read(entry)
                .ok_or_else(|| fields.breaks(rule))
                .transpose()
        })
        .take(max)
        .collect()
}

/// Asks a node for its peers, in the form that every flavour understands.
pub(crate) fn encode_request_peers() -> OutControl {
    let packets = Payload::new().with(STAR.as_bytes());
    OutControl::new(MainType::Whisper, sub_flag::REQUEST, packets)
}

/// Asks everyone where a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestNode {
    /// Any value in msgpack, to be echoed as it is.
    pub(crate) request_id: Bytes,
    pub(crate) wanted: NodeId,
    /// Legacy nodes find the wanted one only in the form in which it spells itself.
    pub(crate) wanted_form: IdForm,
}

impl RequestNode {
    pub(crate) fn encode(&self) -> OutControl {
        let mut packets = Payload::new();
        packets.push_with(|out| out.extend_from_slice(&self.request_id));
        packets.push_with(|out| put_text(out, self.wanted.as_str(), self.wanted_form));
        OutControl::new(MainType::Broadcast, sub_flag::REQUEST, packets)
    }
}

/// What the request ids begin with that ask a legacy peer for a receipt.
const RECEIPT: &str = "rs2p receipt ";

/// Asks one legacy peer for what it answers at once if the asker is in its table: where the asker is.
pub(crate) fn ask_for_receipt(number: u64, asker: &NodeId) -> OutControl {
    let mut packets = Payload::new();
    let request_id = format!("{RECEIPT}{number}");
    packets.push_with(|out| put_text(out, &request_id, IdForm::Str));
    packets.push_with(|out| put_text(out, asker.as_str(), IdForm::Str));
    OutControl::new(MainType::Whisper, sub_flag::REQUEST, packets)
}

/// Returns the number of the question that a message answers, if it is a receipt.
pub(crate) fn receipt(message: &Packed) -> Option<u64> {
    let WireSubFlag::Number(number) = message.sub_flag() else {
        return None;
    };
    if number.as_u64() != Some(sub_flag::RESPONSE) {
        return None;
    }
    let mut fields = Fields::of("response", message);
    let (text, _) = fields.text("request id is missing").ok()?;
    text.strip_prefix(RECEIPT)?.parse().ok()
}

fn parse_request(message: &Packed) -> Result<Control, ControlFault> {
    let mut fields = Fields::of("request", message);
    let request_id = fields.raw("request id is missing")?;
    // Str or bin. A nil may follow, or anything: it would be no use as a request id.
    if text(request_id).is_some_and(|(text, _)| text == STAR) {
        return Ok(Control::RequestPeers);
    }
    if is_nil(request_id) {
        // js2p closes the link on it, so it must not pass for a request that can be relayed.
        return Err(fields.breaks("request id must not be nil"));
    }
    let (wanted, wanted_form) = fields.id("wanted id must be text of 1 to 256 bytes")?;
    Ok(Control::RequestNode(RequestNode {
        request_id: message.bytes().slice_ref(request_id),
        wanted,
        wanted_form,
    }))
}

/// Tells the asker where a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    /// As it came in the request, in msgpack.
    pub(crate) request_id: Bytes,
    pub(crate) found: PeerEntry,
}

impl Response {
    pub(crate) fn encode(&self) -> OutControl {
        let mut packets = Payload::new();
        packets.push_with(|out| out.extend_from_slice(&self.request_id));
        packets.push_with(|out| self.found.put(out));
        OutControl::new(MainType::Broadcast, sub_flag::RESPONSE, packets)
    }

    fn parse(message: &Packed) -> Result<Self, ControlFault> {
        let mut fields = Fields::of("response", message);
        let request_id = fields.raw("request id is missing")?;
        let rule = "answer must be [[host, port], id]";
        let found = PeerEntry::read(fields.raw(rule)?).flatten();
        Ok(Self {
            request_id: message.bytes().slice_ref(request_id),
            found: found.ok_or_else(|| fields.breaks(rule))?,
        })
    }
}

/// Tells the other side of a link which compression methods we read from now on.
pub(crate) fn encode_renegotiation(methods: &[u8]) -> OutControl {
    let mut packets = Payload::new();
    packets.push_with(|out| put_methods(out, methods));
    OutControl::new(MainType::Renegotiate, sub_flag::COMPRESSION, packets)
}

fn parse_renegotiation(message: &Packed) -> Result<Control, ControlFault> {
    let mut fields = Fields::of("renegotiation", message);
    Ok(Control::RenegotiateCompression(fields.methods()?))
}

#[cfg(test)]
mod tests;
