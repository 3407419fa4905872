//! A node of rs2p: the real [`MeshState`], as a [`Node`].

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rs2p_core::{
    Address, Config, DialFailure, DialId, Event, Instant, LinkId, MeshState, Message, MessageId,
    MessageKind, NodeId, Output, Payload, SendError, SendId, SendOutcome, UnixTime, Value,
    describe,
};

use crate::chance::mix;
use crate::node::{
    Action, Birth, ConnId, Delivery, DialError, Io, MessageKey, Node, NodeStatus, Note, PeerKey,
    Place, Position, Receipt, Refusal, StreamKey,
};
use crate::scenario::Limits;

/// The port at which nodes listen.
const PORT: u16 = 4444;

/// The port that connections come from.
const FROM_PORT: u16 = 50_000;

/// What a node costs besides what it counts itself, in bytes.
const OWN_COST: usize = 64 << 10;

/// A node of rs2p.
#[derive(Debug)]
pub struct Mesh {
    state: MeshState,
    /// The links, each with its connection. They are few.
    links: Vec<(LinkId, ConnId)>,
    /// The dials under way. They are few.
    dials: Vec<DialId>,
    /// The numbers of private messages under way.
    sends: BTreeMap<SendId, u64>,
    /// Peers, to send to by key.
    known: BTreeMap<PeerKey, NodeId>,
}

/// Returns the address of a place, as nodes of rs2p and its elders write it.
pub(crate) fn address_of(place: Place, port: u16) -> Address {
    let address = format!("{place}:{port}").parse();
    address.expect("a place is an address")
}

/// Returns the place of an address, if it is one.
pub(crate) fn place_of(address: &Address) -> Option<Place> {
    let mut parts = address.host().split('.').map(str::parse::<u32>);
    let mut next = || parts.next()?.ok().filter(|part| *part < 256);
    let (ten, a, b, c) = (next()?, next()?, next()?, next()?);
    let host = a << 16 | b << 8 | c;
    (ten == 10).then(|| host.checked_sub(1).map(Place))?
}

/// Returns the key of a message id: its first eight bytes.
pub(crate) fn message_key(id: &MessageId) -> MessageKey {
    let first = id.as_bytes().first_chunk::<8>();
    MessageKey(first.map_or(0, |bytes| u64::from_be_bytes(*bytes)))
}

/// Returns the key of a node's id.
pub(crate) fn peer_key(id: &NodeId) -> PeerKey {
    PeerKey::of_id(id.as_str().as_bytes())
}

/// Returns the key of what a node publishes in one life.
pub(crate) fn stream_key(origin: &NodeId, epoch: u64) -> StreamKey {
    StreamKey(mix(peer_key(origin).0 ^ mix(epoch)))
}

/// Returns what an application gets, in the words of a world.
pub(crate) fn delivery(message: &Message, from: Option<ConnId>) -> Delivery {
    let payload = match message.packets().iter().next() {
        Some(Ok(Value::Bin(bytes))) => bytes,
        Some(Ok(other)) => Bytes::from(format!("{other:?}")),
        Some(Err(error)) => Bytes::from(error.to_string()),
        None => Bytes::new(),
    };
    let is_private = message.kind() == MessageKind::Whisper;
    let position = match (message.epoch(), message.sequence()) {
        (Some(epoch), Some(sequence)) => Some(Position {
            stream: stream_key(message.sender(), epoch),
            sequence,
        }),
        _ => None,
    };
    Delivery {
        key: (!is_private).then(|| message_key(&message.id())),
        sender: peer_key(message.sender()),
        position,
        payload,
        from,
        is_private,
    }
}

impl Mesh {
    /// Returns a node that begins its life, with the protocol's defaults but for some limits.
    pub fn new(birth: &Birth, limits: &Limits) -> Self {
        Self::with_config(birth, config(limits))
    }

    /// Returns a node that begins its life with a configuration; its address and its seeds are those of the birth.
    pub fn with_config(birth: &Birth, mut config: Config) -> Self {
        config.advertised = Some(address_of(birth.place, PORT));
        config.seeds = birth
            .seeds
            .iter()
            .map(|place| address_of(*place, PORT))
            .collect();
        let wall = UnixTime::from_secs(0).saturating_add(birth.wall);
        let now = instant(birth.now);
        let restored = birth
            .saved
            .as_ref()
            .map(|saved| MeshState::restore(config.clone(), birth.seed, saved, now, wall));
        let state = match restored {
            Some(restored) => restored.expect("what a node has saved is whole"),
            None => MeshState::new(config, birth.seed, now, wall)
                .expect("limits of a scenario fit together"),
        };
        Self {
            state,
            links: Vec::new(),
            dials: Vec::new(),
            sends: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    /// Returns the state inside.
    pub const fn state(&self) -> &MeshState {
        &self.state
    }

    fn drain(&mut self, io: &mut Io<'_>) {
        while let Some(output) = self.state.poll_output() {
            match output {
                Output::Dial(dial, address) => self.dial(dial, &address, io),
                Output::CancelDial(dial) => {
                    self.take_dial(dial.as_u64());
                    io.act(Action::CancelDial(dial.as_u64()));
                }
                Output::Send { link, bytes, .. } => {
                    if let Some(conn) = self.conn_of(link) {
                        io.act(Action::Write(conn, bytes));
                    }
                }
                Output::Close(link, reason) => {
                    if let Some(conn) = self.forget(link) {
                        io.act(Action::Close(conn, reason.to_string()));
                    }
                }
                Output::Message(message) => {
                    let delivery = delivery(&message, self.conn_of(message.link()));
                    self.known.insert(delivery.sender, message.sender().clone());
                    io.act(Action::Deliver(delivery));
                    // Its application is done with it at once.
                    self.state.acknowledge(&message, instant(io.now()));
                }
                Output::Persist(bytes) => io.act(Action::Persist(bytes)),
                Output::Event(event) => self.event(event, io),
            }
        }
    }

    fn dial(&mut self, dial: DialId, address: &Address, io: &mut Io<'_>) {
        let number = dial.as_u64();
        self.dials.push(dial);
        match place_of(address) {
            Some(place) => io.act(Action::Dial(number, place)),
            // An address that is nowhere: somebody told it to us.
            None => io.act(Action::Dial(number, Place(u32::MAX))),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is not judged is told in words"
    )]
    fn event(&mut self, event: Event, io: &mut Io<'_>) {
        let note = match event {
            Event::PeerUp(peer) => {
                let key = peer_key(&peer.id);
                self.known.insert(key, peer.id.clone());
                let Some(conn) = self.conn_of(peer.link) else {
                    return;
                };
                Note::PeerUp(conn, key)
            }
            Event::PeerDown { peer, reason } => {
                let key = peer_key(&peer.id);
                io.act(Action::Tell(Note::Told(format!("peer down: {reason}"))));
                match self.conn_of(peer.link) {
                    Some(conn) => Note::PeerDown(conn, key),
                    None => return,
                }
            }
            Event::Gap {
                origin,
                epoch,
                first,
                last,
                why,
            } => Note::Gap(stream_key(&origin, epoch), first, last, why.to_string()),
            Event::Sent { send, outcome } => {
                let Some(number) = self.sends.remove(&send) else {
                    return;
                };
                let is_delivered = outcome == SendOutcome::Delivered;
                Note::Outcome(number, is_delivered, outcome.to_string())
            }
            Event::Room => Note::Room,
            Event::ShutDown => return io.act(Action::Ended),
            other => Note::Told(format!("{other:?}")),
        };
        io.act(Action::Tell(note));
    }

    fn forget(&mut self, link: LinkId) -> Option<ConnId> {
        let place = self.links.iter().position(|(other, _)| *other == link)?;
        Some(self.links.remove(place).1)
    }

    fn keep(&mut self, link: LinkId, conn: ConnId) {
        self.links.push((link, conn));
    }

    fn take_dial(&mut self, number: u64) -> Option<DialId> {
        let mut dials = self.dials.iter();
        let place = dials.position(|dial| dial.as_u64() == number)?;
        Some(self.dials.swap_remove(place))
    }

    fn conn_of(&self, link: LinkId) -> Option<ConnId> {
        let mut links = self.links.iter();
        links
            .find(|(other, _)| *other == link)
            .map(|(_, conn)| *conn)
    }

    fn link_of(&self, conn: ConnId) -> Option<LinkId> {
        let mut links = self.links.iter();
        links
            .find(|(_, other)| *other == conn)
            .map(|(link, _)| *link)
    }
}

impl Node for Mesh {
    fn on_start(&mut self, io: &mut Io<'_>) {
        self.drain(io);
    }

    fn on_accepted(&mut self, conn: ConnId, from: Place, io: &mut Io<'_>) {
        let now = instant(io.now());
        match self.state.handle_accepted(address_of(from, FROM_PORT), now) {
            Ok(link) => self.keep(link, conn),
            Err(error) => {
                let farewell = self.state.farewell(now);
                if !farewell.is_empty() {
                    io.act(Action::Write(conn, farewell));
                }
                io.act(Action::Close(conn, error.to_string()));
            }
        }
        self.drain(io);
    }

    fn on_dialed(&mut self, dial: u64, conn: ConnId, io: &mut Io<'_>) {
        let now = instant(io.now());
        let known = self.take_dial(dial);
        match known.and_then(|dial| self.state.handle_dial_succeeded(dial, now)) {
            Some(link) => self.keep(link, conn),
            None => io.act(Action::Close(conn, "dialled for nothing".to_owned())),
        }
        self.drain(io);
    }

    fn on_dial_failed(&mut self, dial: u64, why: DialError, io: &mut Io<'_>) {
        if let Some(dial) = self.take_dial(dial) {
            let failure = match why {
                DialError::Refused => DialFailure::Refused,
                DialError::TimedOut => DialFailure::TimedOut,
            };
            self.state
                .handle_dial_failed(dial, failure, instant(io.now()));
        }
        self.drain(io);
    }

    fn on_bytes(&mut self, conn: ConnId, bytes: &Bytes, io: &mut Io<'_>) {
        if let Some(link) = self.link_of(conn) {
            self.state.handle_bytes(link, bytes, instant(io.now()));
        }
        self.drain(io);
    }

    fn on_room(&mut self, conn: ConnId, more: usize, io: &mut Io<'_>) {
        if let Some(link) = self.link_of(conn) {
            self.state.handle_credit(link, more, instant(io.now()));
        }
        self.drain(io);
    }

    fn on_closed(&mut self, conn: ConnId, io: &mut Io<'_>) {
        if let Some(link) = self.link_of(conn) {
            self.forget(link);
            self.state.handle_closed(link, instant(io.now()));
        }
        self.drain(io);
    }

    fn on_deadline(&mut self, io: &mut Io<'_>) {
        self.state.handle_timeout(instant(io.now()));
        self.drain(io);
    }

    fn on_wall_clock(&mut self, io: &mut Io<'_>) {
        let wall = UnixTime::from_secs(0).saturating_add(io.wall());
        self.state.handle_wall_clock(wall, instant(io.now()));
        self.drain(io);
    }

    fn deadline(&self) -> Option<Duration> {
        let due = self.state.poll_timeout()?;
        Some(Duration::from_micros(due.as_micros()))
    }

    fn publish(&mut self, payload: &Bytes, io: &mut Io<'_>) -> Result<Receipt, Refusal> {
        let value = Payload::from(payload.clone());
        let ticket = self.state.broadcast(value, instant(io.now()));
        self.drain(io);
        let ticket = ticket.map_err(|error| refusal(&error))?;
        Ok(Receipt {
            key: message_key(&ticket.id()),
            position: Some(Position {
                stream: stream_key(self.state.id(), self.state.epoch()),
                sequence: ticket.sequence(),
            }),
        })
    }

    fn send_to(
        &mut self,
        peer: PeerKey,
        payload: &Bytes,
        number: u64,
        io: &mut Io<'_>,
    ) -> Result<(), Refusal> {
        let Some(id) = self.known.get(&peer).cloned() else {
            return Err(Refusal::Never("it has never met that node".to_owned()));
        };
        let send = self
            .state
            .send_to(&id, Payload::from(payload.clone()), instant(io.now()));
        let send = send.map_err(|error| refusal(&error));
        if let Ok(send) = send {
            self.sends.insert(send, number);
        }
        self.drain(io);
        send.map(|_| ())
    }

    fn leave(&mut self, io: &mut Io<'_>) {
        self.state.shutdown(instant(io.now()));
        self.drain(io);
    }

    fn identity(&self) -> Option<PeerKey> {
        Some(peer_key(self.state.id()))
    }

    fn status(&self) -> NodeStatus {
        let snapshot = self.state.snapshot();
        let peers = self.state.peers().filter_map(|peer| {
            let conn = self.conn_of(peer.link)?;
            Some((conn, peer_key(&peer.id)))
        });
        let waiting = snapshot.links.iter().filter(|link| link.queued > 0);
        let queues = snapshot.links.iter().map(|link| link.queued);
        NodeStatus {
            peers: peers.collect(),
            conns: snapshot.links.len(),
            dials: snapshot.dials,
            longest_queue: queues.max().unwrap_or(0),
            waiting: waiting.filter_map(|link| self.conn_of(link.link)).collect(),
            memory: self.state.memory(),
            memory_limit: memory_limit(self.state.config()),
            kept: snapshot.log.messages,
            is_busy: snapshot
                .links
                .iter()
                .any(|link| link.queued > 0 || link.is_behind || link.asked > 0),
        }
    }

    fn describe(&self, bytes: &[u8]) -> (Vec<String>, usize) {
        let mut complete = 0;
        while let Some(prefix) = bytes[complete..].first_chunk::<4>() {
            let len = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
            match complete
                .checked_add(4)
                .and_then(|start| start.checked_add(len))
            {
                Some(end) if end <= bytes.len() => complete = end,
                _ => break,
            }
        }
        if complete == 0 && bytes.len() > self.state.config().max_frame_len {
            complete = bytes.len();
        }
        (describe(&bytes[..complete]), complete)
    }

    #[cfg(feature = "marks")]
    fn marks(&self) -> rs2p_core::Marks {
        self.state.marks()
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all but one are for good")]
fn refusal(error: &SendError) -> Refusal {
    match error {
        SendError::Full => Refusal::Full,
        other => Refusal::Never(other.to_string()),
    }
}

fn instant(now: Duration) -> Instant {
    Instant::from_micros(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

/// Returns the configuration of a node with these limits.
pub(crate) fn config(limits: &Limits) -> Config {
    let mut config = Config {
        // A simulated network carries less than a real one, and is to have trees all the same.
        prune_after: 2,
        ..Config::default()
    };
    let kib = |kib: u32| usize::try_from(kib).unwrap_or(usize::MAX) << 10;
    if limits.log_kib > 0 {
        config.log_len = kib(limits.log_kib).clamp(1 << 16, 1 << 30);
    }
    if limits.log_count > 0 {
        config.log_count = usize::try_from(limits.log_count)
            .unwrap_or(usize::MAX)
            .max(64);
    }
    if limits.log_age_s > 0 {
        config.log_age = Duration::from_secs(u64::from(limits.log_age_s.max(75)));
    }
    if limits.queue_kib > 0 {
        config.link_queue_limit = kib(limits.queue_kib).clamp(4096, 1 << 30);
    }
    if limits.links > 0 {
        config.max_links = usize::from(limits.links);
    }
    if limits.dialed > 0 {
        config.max_dialed = usize::from(limits.dialed);
    }
    config.max_dialed = config.max_dialed.min(config.max_links);
    if limits.addresses > 0 {
        config.max_addresses = usize::from(limits.addresses.max(8));
    }
    config
}

/// Returns how many bytes a node may hold by its configuration.
pub(crate) fn memory_limit(config: &Config) -> usize {
    let link = 2 * config.link_queue_limit + config.max_frame_len + (16 << 10);
    let links = (config.max_links + config.max_pending + 1).saturating_mul(link);
    let tables = config.max_addresses * 300 + config.max_seen * 140 + config.max_streams * 1024;
    links + tables + config.log_len * 2 + config.max_searches * 1024 + OWN_COST
}
