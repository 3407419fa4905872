//! One state against peers that the test plays by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::encode::Encoder;
use crate::frame::FrameReader;
use crate::island::Beacon;
use crate::wire::control::{Control, Handshake, OutControl, sub_flag};
use crate::wire::message::{Packed, put_text};
use crate::wire::msgpack;
use crate::wire::native::{Hello, Native, encode_accept, encode_confirm, kind};
use crate::*;

/// When every test begins, by the calendar.
pub(crate) const EPOCH: u64 = 1_700_000_000;

/// Larger than any id that a state derives: 66 digits.
pub(crate) const HIGH: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";

/// Smaller than any id that a state derives.
pub(crate) const LOW: &str = "2";

/// A state, and what came out of it.
pub(crate) struct Solo {
    pub(crate) state: MeshState,
    pub(crate) now: Instant,
    readers: BTreeMap<LinkId, FrameReader>,
    sent: BTreeMap<LinkId, Vec<Sent>>,
    pub(crate) chunks: Vec<(LinkId, Bytes, Batching)>,
    pub(crate) closed: BTreeMap<LinkId, CloseReason>,
    pub(crate) dials: Vec<(DialId, Address)>,
    pub(crate) cancelled: Vec<DialId>,
    pub(crate) messages: Vec<Message>,
    pub(crate) events: Vec<Event>,
    pub(crate) saved: Vec<Bytes>,
}

/// A frame that the state sent, opened.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) packed: Packed,
    pub(crate) control: Control,
    pub(crate) frame_len: usize,
    pub(crate) method: Option<Method>,
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().expect("a test writes good addresses")
}

pub(crate) fn id(text: &str) -> NodeId {
    NodeId::new(text).expect("a test writes good ids")
}

pub(crate) fn config() -> Config {
    Config {
        advertised: Some(address("10.0.0.1:4444")),
        ..Config::default()
    }
}

impl Solo {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self::at(config, EPOCH)
    }

    /// A state that begins at another time by the calendar, in seconds since 1970.
    pub(crate) fn at(config: Config, wall: u64) -> Self {
        let now = Instant::from_micros(1_000_000);
        let wall = UnixTime::from_secs(wall);
        let state = MeshState::new(config, [7; 32], now, wall).expect("a good configuration");
        let mut solo = Self {
            state,
            now,
            readers: BTreeMap::new(),
            sent: BTreeMap::new(),
            chunks: Vec::new(),
            closed: BTreeMap::new(),
            dials: Vec::new(),
            cancelled: Vec::new(),
            messages: Vec::new(),
            events: Vec::new(),
            saved: Vec::new(),
        };
        solo.drain();
        solo
    }

    /// Takes all outputs, and checks that none breaks the contract.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.state.poll_output() {
            match output {
                Output::Dial(dial, address) => self.dials.push((dial, address)),
                Output::CancelDial(dial) => self.cancelled.push(dial),
                Output::Send {
                    link,
                    bytes,
                    batching,
                } => {
                    assert!(!self.closed.contains_key(&link), "{link}: sent after close");
                    assert!(!bytes.is_empty(), "{link}: an empty chunk");
                    self.take_frames(link, &bytes);
                    self.chunks.push((link, bytes, batching));
                }
                Output::Close(link, reason) => {
                    let before = self.closed.insert(link, reason);
                    assert_eq!(before, None, "{link}: closed twice");
                }
                Output::Message(message) => self.messages.push(message),
                Output::Event(event) => self.events.push(event),
                Output::Persist(bytes) => self.saved.push(bytes),
            }
        }
        let due = self.state.poll_timeout();
        assert!(
            due.is_none_or(|due| due > self.now),
            "a deadline in the past: {due:?} at {:?}",
            self.now
        );
    }

    pub(crate) fn take_frames(&mut self, link: LinkId, mut bytes: &[u8]) {
        let reader = self.readers.entry(link);
        let reader = reader.or_insert_with(|| FrameReader::new(1 << 24));
        while let Some(frame) = reader.take(&mut bytes).expect("we send good frames") {
            let opened = frame.open(Some(Method::Snappy), 1 << 24);
            let opened = opened.expect("we send good bodies");
            let packed = Packed::parse(opened.id, opened.packed, 512).expect("good messages");
            let control = Control::parse(&packed, 1000).expect("good control messages");
            self.sent.entry(link).or_default().push(Sent {
                packed,
                control,
                frame_len: frame.into_bytes().len(),
                method: opened.method,
            });
        }
    }

    /// Moves the clock, stopping at every deadline on the way.
    pub(crate) fn pass(&mut self, length: Duration) {
        let end = self.now.saturating_add(length);
        while let Some(due) = self.state.poll_timeout().filter(|due| *due <= end) {
            self.now = due;
            self.state.handle_timeout(due);
            self.drain();
        }
        self.now = end;
    }

    /// A peer dials us. The link gets all the credit it can want.
    pub(crate) fn accept(&mut self) -> LinkId {
        let link = self.accept_without_credit();
        self.state.handle_credit(link, usize::MAX, self.now);
        self.drain();
        link
    }

    pub(crate) fn accept_without_credit(&mut self) -> LinkId {
        let from = address("10.0.0.9:50000");
        let link = self.state.handle_accepted(from, self.now);
        let link = link.expect("there is room for a link");
        self.drain();
        link
    }

    /// We dial an address, and a link comes of it.
    pub(crate) fn dial(&mut self, to: &str) -> LinkId {
        let dial = self.state.connect(address(to), self.now);
        let dial = dial.expect("the address can be dialled");
        self.drain();
        self.dialed(dial)
    }

    /// A dial gives a link.
    pub(crate) fn dialed(&mut self, dial: DialId) -> LinkId {
        let link = self.state.handle_dial_succeeded(dial, self.now);
        let link = link.expect("the dial is of interest");
        self.state.handle_credit(link, usize::MAX, self.now);
        self.drain();
        link
    }

    pub(crate) fn feed(&mut self, link: LinkId, bytes: &[u8]) {
        self.state.handle_bytes(link, bytes, self.now);
        self.drain();
    }

    pub(crate) fn close(&mut self, link: LinkId) {
        self.state.handle_closed(link, self.now);
        self.drain();
    }

    /// Takes what was sent on a link since the last call.
    pub(crate) fn sent(&mut self, link: LinkId) -> Vec<Sent> {
        self.sent.remove(&link).unwrap_or_default()
    }

    /// Returns the bytes that were written to a link.
    pub(crate) fn chunks_to(&self, link: LinkId) -> Vec<Bytes> {
        let chunks = self.chunks.iter().filter(|(to, ..)| *to == link);
        chunks.map(|(_, bytes, _)| bytes.clone()).collect()
    }

    /// Takes the control messages that were sent on a link since the last call.
    pub(crate) fn controls(&mut self, link: LinkId) -> Vec<Control> {
        self.sent(link)
            .into_iter()
            .map(|sent| sent.control)
            .collect()
    }

    /// A py2p dials us and is linked.
    pub(crate) fn py2p(&mut self, id: &str) -> LinkId {
        let link = self.accept();
        self.feed(link, &Legacy::py2p(id).handshake());
        assert!(self.is_peer(id), "{id} is linked");
        self.sent(link);
        link
    }

    /// A js2p dials us and is linked.
    pub(crate) fn js2p(&mut self, id: &str) -> LinkId {
        let link = self.accept();
        self.feed(link, &Legacy::js2p(id).handshake());
        assert!(self.is_peer(id), "{id} is linked");
        self.sent(link);
        link
    }

    /// A native node dials us and is linked.
    pub(crate) fn native(&mut self, id: &str) -> LinkId {
        self.native_peer(id, &Legacy::native(id))
    }

    /// A native node that carries letters dials us and is linked.
    pub(crate) fn carrier(&mut self, id: &str) -> LinkId {
        self.native_peer(id, &Legacy::carrier(id))
    }

    fn native_peer(&mut self, id: &str, peer: &Legacy) -> LinkId {
        let link = self.accept();
        self.feed(link, &peer.hello());
        self.feed(link, &peer.confirm());
        assert!(self.is_peer(id), "{id} is linked");
        self.agree(link, id);
        link
    }

    /// Says on a native link that its peer has all that the state has, by sending its own summary back.
    pub(crate) fn agree(&mut self, link: LinkId, id: &str) {
        let sent = self.sent(link);
        let summary = sent.iter().rev().find_map(|sent| match &sent.control {
            Control::Native(native) if native.kind == kind::SUMMARY => Some(native.body.clone()),
            _ => None,
        });
        let summary = summary.expect("it begins to compare");
        let back = OutControl::native(kind::SUMMARY, &Payload::of_packets(&summary));
        self.feed(
            link,
            &Legacy::native(id).text_frame(2, "rs2p", &back.packets),
        );
        self.sent(link);
    }

    pub(crate) fn is_peer(&self, id: &str) -> bool {
        self.state.peers().any(|peer| peer.id.as_str() == id)
    }

    /// Forgets what was sent on these links so far.
    pub(crate) fn forget_sent(&mut self, links: &[LinkId]) {
        for link in links {
            self.sent.remove(link);
        }
    }

    pub(crate) fn texts(&mut self) -> Vec<String> {
        let messages = std::mem::take(&mut self.messages);
        messages.iter().filter_map(Message::text).collect()
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

/// A peer played by hand: how it spells things, and the frames that it sends.
#[derive(Clone, Debug)]
pub(crate) struct Legacy {
    pub(crate) id: String,
    pub(crate) id_form: IdForm,
    pub(crate) protocol: String,
    pub(crate) protocol_form: IdForm,
    pub(crate) address: Option<Address>,
    pub(crate) host_form: IdForm,
    pub(crate) methods: Vec<u64>,
    pub(crate) time: u64,
    pub(crate) max_frame_len: Option<u64>,
    pub(crate) features: Vec<String>,
}

pub(crate) use crate::id::IdForm;

impl Legacy {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            id_form: IdForm::Bin,
            protocol: Protocol::default().id().to_string(),
            protocol_form: IdForm::Bin,
            address: Some(address("10.0.0.9:4444")),
            host_form: IdForm::Str,
            methods: vec![19, 17, 16, 18],
            time: EPOCH,
            max_frame_len: None,
            features: vec!["unheard-of".to_owned()],
        }
    }

    pub(crate) fn py2p(id: &str) -> Self {
        Self::new(id)
    }

    pub(crate) fn js2p(id: &str) -> Self {
        Self {
            id_form: IdForm::Str,
            protocol_form: IdForm::Str,
            methods: vec![19, 17],
            ..Self::new(id)
        }
    }

    pub(crate) fn native(id: &str) -> Self {
        Self {
            id_form: IdForm::Str,
            ..Self::new(id)
        }
    }

    /// A native node that carries letters.
    pub(crate) fn carrier(id: &str) -> Self {
        Self {
            features: vec![wire::letter::FEATURE.to_owned()],
            ..Self::native(id)
        }
    }

    pub(crate) fn at(self, text: &str) -> Self {
        Self {
            address: Some(address(text)),
            ..self
        }
    }

    pub(crate) fn handshake(&self) -> Vec<u8> {
        let mut packets = Payload::new();
        packets.push_with(|out| put_text(out, &self.id, self.id_form));
        packets.push_with(|out| put_text(out, &self.protocol, self.protocol_form));
        packets.push_with(|out| match &self.address {
            None => msgpack::put_nil(out),
            Some(address) => {
                msgpack::put_array_head(out, 2).unwrap();
                put_text(out, address.host(), self.host_form);
                msgpack::put_int(out, u64::from(address.port()).into());
            }
        });
        packets.push(Value::array(self.methods.iter().copied()));
        self.frame(2, sub_flag::HANDSHAKE, &packets)
    }

    pub(crate) fn hello(&self) -> Vec<u8> {
        self.hello_of(None)
    }

    /// A hello that tells of an island.
    pub(crate) fn hello_from(&self, island: Beacon) -> Vec<u8> {
        self.hello_of(Some(island))
    }

    fn hello_of(&self, island: Option<Beacon>) -> Vec<u8> {
        let hello = Hello {
            version: 1,
            id: id(&self.id),
            network: ProtocolId::from_text(&self.protocol),
            address: self.address.clone(),
            methods: vec![32, 19],
            features: self.features.clone(),
            max_frame_len: self.max_frame_len,
            key: None,
            island,
            is_probe: false,
        };
        let message = hello.encode();
        self.text_frame(2, "rs2p", &message.packets)
    }

    pub(crate) fn accept(&self) -> Vec<u8> {
        self.text_frame(2, "rs2p", &encode_accept().packets)
    }

    pub(crate) fn confirm(&self) -> Vec<u8> {
        self.text_frame(2, "rs2p", &encode_confirm().packets)
    }

    /// A plain frame with a number for its sub-flag.
    pub(crate) fn frame(&self, main: u64, sub_flag: u64, packets: &Payload) -> Vec<u8> {
        plain_frame(&self.pack(main, &Value::from(sub_flag), packets))
    }

    pub(crate) fn text_frame(&self, main: u64, sub_flag: &str, packets: &Payload) -> Vec<u8> {
        plain_frame(&self.pack(main, &Value::from(sub_flag), packets))
    }

    pub(crate) fn broadcast(&self, text: &str) -> Vec<u8> {
        self.frame(0, 0, &Payload::from(text))
    }

    pub(crate) fn whisper(&self, text: &str) -> Vec<u8> {
        self.frame(2, 2, &Payload::from(text))
    }

    pub(crate) fn pack(&self, main: u64, sub_flag: &Value, packets: &Payload) -> Vec<u8> {
        let sender = match self.id_form {
            IdForm::Bin => Value::from(self.id.as_bytes()),
            IdForm::Str => Value::from(self.id.as_str()),
        };
        pack_odd(&main.into(), &sender, &self.time.into(), sub_flag, packets)
    }
}

/// Packs a message whose fields can be anything.
pub(crate) fn pack_odd(
    main: &Value,
    sender: &Value,
    time: &Value,
    sub_flag: &Value,
    packets: &Payload,
) -> Vec<u8> {
    let mut out = Vec::new();
    msgpack::put_array_head(&mut out, 4 + packets.len()).unwrap();
    for field in [main, sender, time, sub_flag] {
        field.encode(&mut out).unwrap();
    }
    out.extend_from_slice(packets.body());
    out
}

pub(crate) fn plain_frame(packed: &[u8]) -> Vec<u8> {
    frame_by(None, packed)
}

pub(crate) fn frame_by(method: Option<Method>, packed: &[u8]) -> Vec<u8> {
    let id = MessageId::of(packed);
    let mut encoder = Encoder::new(id, Bytes::copy_from_slice(packed));
    encoder.frame(method).to_vec()
}

/// Returns the handshake among what was sent.
pub(crate) fn handshake_in(sent: &[Sent]) -> Option<&Handshake> {
    sent.iter().find_map(|sent| match &sent.control {
        Control::Handshake(handshake) => Some(handshake),
        _ => None,
    })
}

/// Returns how many hellos are among what was sent.
pub(crate) fn hello_count(sent: &[Sent]) -> usize {
    let is_hello = |sent: &&Sent| matches!(&sent.control, Control::Native(Native { kind: 0, .. }));
    sent.iter().filter(is_hello).count()
}

/// Returns the texts of the user messages among what was sent.
pub(crate) fn user_texts(sent: &[Sent]) -> Vec<String> {
    let user = sent.iter().filter(|sent| sent.control == Control::User);
    let first = user.filter_map(|sent| sent.packed.packets().iter().next()?.ok());
    first
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}
