//! A model of the nodes that rs2p's network began with: py2p 0.7 and js2p 0.7, with their faults.
//!
//! It follows what was measured of the real packages: who says what when, what each takes for an error, how a py2p network
//! falls apart when somebody leaves, and which message goes round for a second. Scripts that are told to it and to them come to
//! the same: see `tests/tests/fidelity`. Where it is simpler than they are:
//!
//! - Compression is by zlib, and gzip is understood. Others are offered as the packages do, and would end the link.
//! - A py2p that waits for a full connection does not stand still for a second; it loses what the kernel does not take.
//! - All links get one broadcast with one time. The packages take the time anew for each, so that a broadcast on the turn of a
//!   second goes out with two ids, and reaches everybody twice.
//! - js2p's inflater, fed with what is not compressed but begins as if it were, ends the link. The real one may also hang.
//! - js2p's plain mode only: no TLS, no WebSocket.
//!
//! Both know a node by its id and skip addresses by their own rules: js2p dials nobody whose port is that of a peer, so that
//! among nodes of one port, as worlds usually have them, it is linked to its seeds and to those who dial it.

mod link;
mod messages;
mod user;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use self::link::{KERNEL, Key, Link, Seen, Table};
pub use self::user::LegacyRow;
use super::Flavour;
use super::wire::{self, Value};
use crate::chance::mix;
use crate::node::{
    Action, Birth, ConnId, DialError, Io, MessageKey, Node, NodeStatus, Note, PeerKey, Place,
    Receipt, Refusal,
};

/// The port at which nodes listen.
const PORT: u16 = 4444;

/// How long py2p waits for a dial, in which it reads nothing.
const DIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long py2p waits for the rest of a frame after its last byte.
const FRAME_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a py2p with a dead entry in its table asks everybody for peers. The real one does so 2000 to 4000 times a
/// second; this is enough to be a nuisance, and cheap enough to simulate.
const STORM: Duration = Duration::from_millis(10);

/// After how long the program around the package dials a seed again that was not there.
const AGAIN: Duration = Duration::from_secs(5);

/// How many senders js2p's application remembers, to answer them.
const MAX_KNOWN: usize = 1024;

/// A node of py2p or js2p.
///
/// Its program dials each seed, until it is there. The packages dial nobody after that but whom their peers name: neither
/// dials again what was lost. [`Birth::saved`] is of no use to it; each life has a new id.
#[derive(Debug)]
pub struct Legacy {
    flavour: Flavour,
    id: String,
    protocol: String,
    place: Place,
    /// Where others are told to dial it.
    advertised: Place,
    /// Whether every node of the world listens at a port of its own.
    has_own_port: bool,
    seeds: Vec<Place>,
    /// The methods of its handshake, in its order of preference.
    methods: Vec<Value>,
    chance: u64,
    links: BTreeMap<u64, Link>,
    conns: BTreeMap<ConnId, u64>,
    last_link: u64,
    /// What the user dialled, and where.
    dials: BTreeMap<u64, Place>,
    /// The seeds that were not there, and when the program tries them again.
    again: Option<(Duration, Vec<Place>)>,
    table: Table,
    /// The links that are gone, and are in the table all the same: whether it dialled, and whether their handshake came.
    dead: BTreeMap<u64, [bool; 2]>,
    seen: Seen,
    /// The dial that py2p's only thread waits for.
    waiting: Option<Waiting>,
    /// What happened meanwhile.
    held: VecDeque<Held>,
    /// The connections among that which are gone by now.
    gone: BTreeSet<ConnId>,
    /// What is closed once it is written.
    closing: BTreeMap<ConnId, Link>,
    /// Links that could not take what was written.
    failed: Vec<u64>,
    /// When it next asks for peers, if a dead entry makes it do so for ever.
    storm: Option<Duration>,
    /// Whether a message has made js2p's memory throw on every use.
    is_poisoned: bool,
    /// js2p's requests for a node, and the number of the message to it.
    requests: BTreeMap<String, u64>,
    /// Senders of broadcasts.
    known: BTreeMap<PeerKey, Vec<u8>>,
    has_left: bool,
}

/// A dial that the thread waits for, on behalf of a peers list.
#[derive(Debug)]
struct Waiting {
    dial: u64,
    known: Key,
    until: Duration,
    /// The link that the list came in on, and the rest of it.
    link: u64,
    rest: VecDeque<Value>,
}

/// Something that happened while the thread waited.
#[derive(Debug)]
enum Held {
    Accepted(ConnId),
    Bytes(ConnId, Bytes),
    Room(ConnId, usize),
    Closed(ConnId),
}

/// Why a message ends its link, or nearly.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// Something is missing that py2p reached for: it renegotiates.
    Short,
    /// The handler failed.
    Broken(&'static str),
    /// The other side is of another network.
    Mismatch,
}

impl Legacy {
    /// Returns a node that begins its life, in the network that nodes are in by default.
    pub fn new(birth: &Birth, flavour: Flavour) -> Self {
        Self::with_subnet(birth, flavour, "mesh")
    }

    /// Returns a node that begins its life in a network of this name.
    pub fn with_subnet(birth: &Birth, flavour: Flavour, subnet: &str) -> Self {
        let protocol = wire::protocol_id(subnet, "Plaintext");
        let salt = uuid(&birth.seed);
        let host = birth.place.to_string();
        let methods: &[i128] = match flavour {
            Flavour::Py2p => &[19, 17, 16, 18],
            Flavour::Js2p => &[19, 17],
        };
        let first = birth.seed.last_chunk::<8>();
        Self {
            flavour,
            id: wire::node_id(&host, PORT, &protocol, &salt, flavour),
            protocol,
            place: birth.place,
            advertised: birth.place,
            has_own_port: false,
            seeds: birth.seeds.clone(),
            methods: methods.iter().map(|n| Value::Int(*n)).collect(),
            chance: mix(first.map_or(0, |bytes| u64::from_be_bytes(*bytes))),
            links: BTreeMap::new(),
            conns: BTreeMap::new(),
            last_link: 0,
            dials: BTreeMap::new(),
            again: None,
            gone: BTreeSet::new(),
            table: Table::default(),
            dead: BTreeMap::new(),
            seen: Seen::default(),
            waiting: None,
            held: VecDeque::new(),
            closing: BTreeMap::new(),
            failed: Vec::new(),
            storm: None,
            is_poisoned: false,
            requests: BTreeMap::new(),
            known: BTreeMap::new(),
            has_left: false,
        }
    }

    /// Returns its id, as text.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn below(&mut self, end: usize) -> usize {
        self.chance = mix(self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15));
        usize::try_from(self.chance >> 33).unwrap_or(0) % end.max(1)
    }

    /// Its id, as the package spells it.
    fn own_id(&self) -> Value {
        self.spelled(&self.id)
    }

    fn spelled(&self, id: &str) -> Value {
        match self.flavour {
            Flavour::Py2p => Value::Bin(id.as_bytes().to_vec()),
            Flavour::Js2p => Value::text(id),
        }
    }

    /// Returns the key of an id in a message, unless py2p cannot have it in a table.
    fn key(&mut self, id: &Value) -> Result<Key, Fault> {
        match (self.flavour, id) {
            (_, Value::Text(bytes)) => Ok(Key::Text(bytes.clone())),
            (Flavour::Py2p, Value::Bin(bytes)) => Ok(Key::Bin(bytes.clone())),
            (Flavour::Py2p, Value::Array(_) | Value::Map(_)) => {
                Err(Fault::Broken("an id that is a list"))
            }
            _ => {
                let mut text = Vec::new();
                wire::pack(id, self.flavour, &mut text);
                let bytes = id.as_bytes().map_or(text, <[u8]>::to_vec);
                // To py2p equal numbers are equal; to js2p no two buffers are.
                let fresh = match self.flavour {
                    Flavour::Py2p => 0,
                    Flavour::Js2p => self.next_number(),
                };
                Ok(Key::Other(fresh, bytes))
            }
        }
    }

    fn next_number(&mut self) -> u64 {
        self.last_link += 1;
        self.last_link
    }

    fn add_link(&mut self, conn: Option<ConnId>, is_dialed: bool, now: Duration) -> u64 {
        let number = self.next_number();
        let mut link = Link::new(conn, is_dialed, now);
        link.is_gone = conn.is_some_and(|conn| self.gone.contains(&conn));
        self.links.insert(number, link);
        if let Some(conn) = conn {
            self.conns.insert(conn, number);
        }
        number
    }

    /// The links of the table, in its order; one that is there under two ids comes twice.
    fn table_links(&self) -> Vec<u64> {
        let links = self.table.iter().map(|(_, link)| *link);
        links.filter(|link| self.links.contains_key(link)).collect()
    }

    /// Writes a packed message to a link.
    fn transmit(&mut self, number: u64, packed: &[u8], io: &mut Io<'_>) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        let mut frame = wire::seal(packed, &link.methods);
        if self.flavour == Flavour::Py2p {
            // It has shut it down.
            if link.doomed.is_some() {
                return;
            }
            let space = KERNEL.saturating_sub(link.queued);
            if space == 0 {
                self.failed.push(number);
                return;
            }
            // One write, and no second one for what it did not take.
            frame.truncate(space);
        }
        link.queued += frame.len();
        link.outbox.push_back(frame);
        Self::flush(link, io);
    }

    fn flush(link: &mut Link, io: &mut Io<'_>) {
        let Some(conn) = link.conn.filter(|_| !link.is_gone) else {
            return;
        };
        while let Some(bytes) = link.next_write() {
            io.act(Action::Write(conn, bytes));
        }
    }

    /// Dials for the user: without a known id.
    fn dial(&mut self, place: Place, io: &mut Io<'_>) {
        if self.skips(place.to_string().as_bytes(), self.port_of(place)) != Ok(false) {
            return;
        }
        let number = self.next_number();
        self.dials.insert(number, place);
        io.act(Action::Dial(number, place));
    }

    /// A dial of the user's, the one that py2p's thread waits for, or a link of js2p that is in the table already.
    fn dialed(&mut self, dial: u64, conn: ConnId, io: &mut Io<'_>) {
        if self.dials.remove(&dial).is_some() {
            let number = self.add_link(Some(conn), true, io.now());
            self.greet(number, io);
        } else if let Some(waiting) = self.waiting.take_if(|waiting| waiting.dial == dial) {
            let number = self.add_link(Some(conn), true, io.now());
            self.table.set(waiting.known.clone(), number);
            if let Some(link) = self.links.get_mut(&number) {
                link.known = Some(waiting.known.clone());
            }
            self.greet(number, io);
            self.go_on(waiting, io);
        } else if let Some(link) = self.links.get_mut(&dial) {
            link.conn = Some(conn);
            self.conns.insert(conn, dial);
        } else {
            io.act(Action::Close(conn, "it was given up".to_owned()));
        }
    }

    fn dial_failed(&mut self, dial: u64, io: &mut Io<'_>) {
        if let Some(place) = self.dials.remove(&dial) {
            let at = io.now() + AGAIN;
            self.again.get_or_insert((at, Vec::new())).1.push(place);
        }
        if let Some(waiting) = self.waiting.take_if(|waiting| waiting.dial == dial) {
            self.go_on(waiting, io);
        } else if self.flavour == Flavour::Js2p {
            self.end(dial, End::Lost, "it could not be dialled", io);
        }
    }

    /// The thread is free again.
    fn go_on(&mut self, waiting: Waiting, io: &mut Io<'_>) {
        if let Err(fault) = self.dial_peers(waiting.link, waiting.rest, io) {
            self.fail(waiting.link, &fault, io);
        }
        self.read(waiting.link, io);
        while self.waiting.is_none()
            && let Some(held) = self.held.pop_front()
        {
            match held {
                Held::Accepted(conn) => self.accepted(conn, io),
                Held::Bytes(conn, bytes) => self.arrived(conn, bytes, io),
                Held::Room(conn, more) => self.has_room(conn, more, io),
                Held::Closed(conn) => self.closed(conn, io),
            }
        }
    }

    fn accepted(&mut self, conn: ConnId, io: &mut Io<'_>) {
        // Somebody who came and went while nobody looked was closed already.
        let number = self.add_link(Some(conn), false, io.now());
        self.greet(number, io);
    }

    fn arrived(&mut self, conn: ConnId, bytes: Bytes, io: &mut Io<'_>) {
        let Some(number) = self.conns.get(&conn).copied() else {
            return;
        };
        if let Some(link) = self.links.get_mut(&number) {
            link.inbox.push_back(bytes);
        }
        self.read(number, io);
    }

    fn has_room(&mut self, conn: ConnId, more: usize, io: &mut Io<'_>) {
        let number = self.conns.get(&conn);
        if let Some(link) = number.and_then(|number| self.links.get_mut(number)) {
            link.room += more;
            Self::flush(link, io);
        }
    }

    fn closed(&mut self, conn: ConnId, io: &mut Io<'_>) {
        self.gone.remove(&conn);
        let Some(number) = self.conns.remove(&conn) else {
            return;
        };
        if let Some(link) = self.links.get_mut(&number) {
            link.conn = None;
        }
        self.end(number, End::Lost, "it was closed", io);
    }

    /// Reads what has arrived on a link, as far as it goes.
    fn read(&mut self, number: u64, io: &mut Io<'_>) {
        match self.flavour {
            Flavour::Py2p => self.read_as_py2p(number, io),
            Flavour::Js2p => self.read_as_js2p(number, io),
        }
    }

    /// Reads 1024 bytes at a time until one frame is complete, and takes what is complete. Four bytes that are left behind
    /// a frame are taken for one.
    fn read_as_py2p(&mut self, number: u64, io: &mut Io<'_>) {
        while self.waiting.is_none()
            && let Some(link) = self.links.get_mut(&number)
        {
            if let Some(body) = next_body(&mut link.buffer) {
                link.is_after_frame = true;
                if let Err(fault) = self.frame(number, &body, io) {
                    self.fail(number, &fault, io);
                }
            } else if let Some(why) = link.doomed {
                self.end(number, End::Closed, why, io);
            } else if link.is_after_frame && link.buffer.len() == wire::PREFIX {
                self.fail(number, &Fault::Broken("four bytes are left"), io);
            } else if let Some(front) = link.inbox.front_mut() {
                let bytes = front.split_to(front.len().min(1024));
                if front.is_empty() {
                    link.inbox.pop_front();
                }
                link.buffer.extend_from_slice(&bytes);
                link.is_after_frame = false;
                link.last_read = io.now();
            } else {
                return;
            }
        }
    }

    /// Takes every frame that is complete, and closes the link after the last if one of them was bad.
    fn read_as_js2p(&mut self, number: u64, io: &mut Io<'_>) {
        while let Some(link) = self.links.get_mut(&number) {
            if let Some(bytes) = link.inbox.pop_front() {
                link.buffer.extend_from_slice(&bytes);
            } else if let Some(body) = next_body(&mut link.buffer) {
                if let Err(fault) = self.frame(number, &body, io)
                    && let Some(link) = self.links.get_mut(&number)
                {
                    link.doomed = Some(reason(&fault));
                }
            } else {
                break;
            }
        }
        if let Some(why) = self.links.get(&number).and_then(|link| link.doomed) {
            self.end(number, End::Closed, why, io);
        }
    }

    /// A message could not be handled.
    fn fail(&mut self, number: u64, fault: &Fault, io: &mut Io<'_>) {
        match fault {
            Fault::Short => {
                self.whisper(number, 1, vec![Value::Int(1), Value::Array(Vec::new())], io);
                self.whisper(number, 1, vec![Value::Int(9)], io);
            }
            Fault::Broken(why) => self.end(number, End::Failed, why, io),
            // It still handles what it has read.
            Fault::Mismatch => {
                if let Some(link) = self.links.get_mut(&number) {
                    link.doomed = Some(reason(fault));
                }
            }
        }
    }

    /// A link is no more. py2p asks everybody else for peers if that comes as a surprise.
    fn end(&mut self, number: u64, how: End, why: &str, io: &mut Io<'_>) {
        let Some(mut link) = self.links.remove(&number) else {
            return;
        };
        let known = link.known.clone();
        let looks = [link.is_dialed, link.id.is_some()];
        let id = match self.flavour {
            Flavour::Py2p => link.id.clone(),
            Flavour::Js2p => link.id.clone().or(known),
        };
        match link.conn {
            Some(conn) => {
                self.conns.remove(&conn);
                if let Some(id) = &link.id {
                    io.act(Action::Tell(Note::PeerDown(conn, peer_key(id.bytes()))));
                }
                // js2p destroys its sockets, with all that was not written yet.
                if link.is_gone {
                    // What it writes and closes then is nothing any more.
                } else if self.flavour == Flavour::Py2p && !link.outbox.is_empty() {
                    link.inbox.clear();
                    self.closing.insert(conn, link);
                } else {
                    io.act(Action::Close(conn, why.to_owned()));
                }
            }
            None if how != End::Lost => io.act(Action::CancelDial(number)),
            None => {}
        }
        self.forget(number, id, io);
        if self.table.iter().any(|(_, link)| *link == number) {
            self.dead.insert(number, looks);
        }
        if how != End::Closed && self.flavour == Flavour::Py2p {
            self.ask_everybody(io);
        }
    }

    /// Takes a link out of the table, as far as the package does. Entries of it that stay make py2p storm.
    fn forget(&mut self, number: u64, id: Option<Key>, io: &Io<'_>) {
        match (self.flavour, id) {
            (Flavour::Py2p, Some(id)) if self.table.get(&id) == Some(number) => {
                self.table.remove(&id);
            }
            // Whichever link it points to.
            (Flavour::Js2p, Some(id)) => self.table.remove(&id),
            _ => {}
        }
        let is_dead = self.table.iter().any(|(_, link)| *link == number);
        if is_dead && self.storm.is_none() && self.flavour == Flavour::Py2p {
            self.storm = Some(io.now() + STORM);
        }
    }

    /// The port at which a node listens.
    fn port_of(&self, place: Place) -> u16 {
        let more = if self.has_own_port { place.0 } else { 0 };
        u16::try_from(more).map_or(PORT, |more| PORT.wrapping_add(more))
    }

    fn ask_everybody(&mut self, io: &mut Io<'_>) {
        for number in self.table_links() {
            self.whisper(number, 2, vec![Value::Int(8), Value::text("*")], io);
        }
    }

    /// Ends the links that failed on the way.
    fn settle(&mut self, io: &mut Io<'_>) {
        while let Some(number) = self.failed.pop() {
            self.end(number, End::Failed, "it takes no more", io);
        }
    }

    /// Returns whether it would not dial an address of a host and a port.
    fn skips(&self, host: &[u8], port: u16) -> Result<bool, Fault> {
        let is_ours =
            |ours: Place| host == ours.to_string().as_bytes() && port == self.port_of(ours);
        // js2p knows where it listens as well.
        let listens_there = self.flavour == Flavour::Js2p && is_ours(self.place);
        if is_ours(self.advertised) || listens_there {
            return Ok(true);
        }
        if self.flavour == Flavour::Py2p {
            return Ok(false);
        }
        for (_, number) in self.table.iter() {
            let Some(link) = self.links.get(number) else {
                continue;
            };
            let Some([other, at]) = link.address.as_array() else {
                return Err(Fault::Broken("a peer without an address"));
            };
            if other.as_bytes() == Some(host) || *at == Value::Int(i128::from(port)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// How a link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other side closed it, or it broke.
    Lost,
    /// Something that came in on it was wrong.
    Failed,
    /// This node wanted it so.
    Closed,
}

fn reason(fault: &Fault) -> &'static str {
    match fault {
        Fault::Short => "something is missing",
        Fault::Broken(why) => why,
        Fault::Mismatch => "it is of another network",
    }
}

/// Takes the body of the first frame off a buffer, if it is complete.
fn next_body(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = wire::first_end(buffer).filter(|end| *end <= buffer.len())?;
    let rest = buffer.split_off(end);
    let mut frame = std::mem::replace(buffer, rest);
    frame.drain(..wire::PREFIX);
    Some(frame)
}

/// Returns the key of a node by the text of its id.
fn peer_key(id: &[u8]) -> PeerKey {
    PeerKey::of_id(id)
}

fn message_key(id: &[u8; 32]) -> MessageKey {
    let first = id.first_chunk::<8>();
    MessageKey(first.map_or(0, |bytes| u64::from_be_bytes(*bytes)))
}

/// Returns a UUID made of random bytes, as the packages salt their ids.
fn uuid(seed: &[u8; 32]) -> String {
    let hex: Vec<String> = seed[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    [
        hex[..4].concat(),
        hex[4..6].concat(),
        hex[6..8].concat(),
        hex[8..10].concat(),
        hex[10..].concat(),
    ]
    .join("-")
}

impl Node for Legacy {
    fn on_start(&mut self, io: &mut Io<'_>) {
        for place in self.seeds.clone() {
            self.dial(place, io);
        }
    }

    fn on_accepted(&mut self, conn: ConnId, _from: Place, io: &mut Io<'_>) {
        if self.has_left {
            io.act(Action::Close(conn, "it has left".to_owned()));
        } else if self.waiting.is_some() {
            self.held.push_back(Held::Accepted(conn));
        } else {
            self.accepted(conn, io);
            self.settle(io);
        }
    }

    fn on_dialed(&mut self, dial: u64, conn: ConnId, io: &mut Io<'_>) {
        if self.has_left {
            io.act(Action::Close(conn, "it has left".to_owned()));
            return;
        }
        self.dialed(dial, conn, io);
        self.settle(io);
    }

    fn on_dial_failed(&mut self, dial: u64, _why: DialError, io: &mut Io<'_>) {
        self.dial_failed(dial, io);
        self.settle(io);
    }

    fn on_bytes(&mut self, conn: ConnId, bytes: &Bytes, io: &mut Io<'_>) {
        if self.waiting.is_some() {
            self.held.push_back(Held::Bytes(conn, bytes.clone()));
        } else {
            self.arrived(conn, bytes.clone(), io);
            self.settle(io);
        }
    }

    fn on_room(&mut self, conn: ConnId, more: usize, io: &mut Io<'_>) {
        if let Some(link) = self.closing.get_mut(&conn) {
            link.room += more;
            Self::flush(link, io);
            if link.outbox.is_empty() {
                self.closing.remove(&conn);
                io.act(Action::Close(conn, "it has been written".to_owned()));
            }
        } else if self.waiting.is_some() && !self.conns.contains_key(&conn) {
            self.held.push_back(Held::Room(conn, more));
        } else {
            self.has_room(conn, more, io);
        }
    }

    fn on_closed(&mut self, conn: ConnId, io: &mut Io<'_>) {
        if self.closing.remove(&conn).is_some() {
            return;
        }
        if self.waiting.is_some() {
            self.gone.insert(conn);
            let number = self.conns.get(&conn);
            if let Some(link) = number.and_then(|number| self.links.get_mut(number)) {
                link.is_gone = true;
            }
            self.held.push_back(Held::Closed(conn));
        } else {
            self.closed(conn, io);
            self.settle(io);
        }
    }

    fn on_deadline(&mut self, io: &mut Io<'_>) {
        let now = io.now();
        if let Some(waiting) = self.waiting.take_if(|waiting| waiting.until <= now) {
            io.act(Action::CancelDial(waiting.dial));
            self.go_on(waiting, io);
        }
        let due: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| self.frame_due(link).is_some_and(|due| due <= now))
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            self.end(number, End::Closed, "the rest of a frame is missing", io);
        }
        if let Some((_, places)) = self.again.take_if(|(at, _)| *at <= now) {
            for place in places {
                self.dial(place, io);
            }
        }
        if self.storm.is_some_and(|due| due <= now) {
            self.storm = Some(now + STORM);
            self.ask_everybody(io);
        }
        self.settle(io);
    }

    fn deadline(&self) -> Option<Duration> {
        let frames = self.links.values().filter_map(|link| self.frame_due(link));
        let dial = self.waiting.as_ref().map(|waiting| waiting.until);
        let again = self.again.as_ref().map(|(at, _)| *at);
        frames.chain(dial).chain(again).chain(self.storm).min()
    }

    fn publish(&mut self, payload: &Bytes, io: &mut Io<'_>) -> Result<Receipt, Refusal> {
        if self.is_poisoned || self.has_left {
            return Err(Refusal::Never("it throws".to_owned()));
        }
        let fields = vec![Value::Int(0), Value::Bin(payload.to_vec())];
        let (packed, id) = self.packed(0, &fields, io);
        for number in self.table_links() {
            if let Some(link) = self.links.get_mut(&number) {
                link.last_sent.clone_from(&fields);
            }
            self.transmit(number, &packed, io);
        }
        self.settle(io);
        Ok(Receipt {
            key: message_key(&id),
            position: None,
        })
    }

    fn send_to(
        &mut self,
        peer: PeerKey,
        payload: &Bytes,
        number: u64,
        io: &mut Io<'_>,
    ) -> Result<(), Refusal> {
        let result = self.reply(peer, payload, number, io);
        self.settle(io);
        result
    }

    fn leave(&mut self, io: &mut Io<'_>) {
        self.has_left = true;
        self.waiting = None;
        self.storm = None;
        self.again = None;
        for held in std::mem::take(&mut self.held) {
            if let Held::Accepted(conn) = held
                && !self.gone.contains(&conn)
            {
                io.act(Action::Close(conn, "it has left".to_owned()));
            }
        }
        let links: Vec<u64> = self.links.keys().copied().collect();
        for number in links {
            self.end(number, End::Closed, "it leaves", io);
        }
        for conn in std::mem::take(&mut self.closing).into_keys() {
            io.act(Action::Close(conn, "it leaves".to_owned()));
        }
        io.act(Action::Ended);
    }

    fn identity(&self) -> Option<PeerKey> {
        Some(peer_key(self.id.as_bytes()))
    }

    fn status(&self) -> NodeStatus {
        let peers = self.table.iter().filter_map(|(key, number)| {
            let link = self.links.get(number)?;
            link.id.as_ref()?;
            Some((link.conn?, peer_key(key.bytes())))
        });
        let links = self.links.values().chain(self.closing.values());
        let buffers = links.clone().map(|link| {
            let inbox: usize = link.inbox.iter().map(Bytes::len).sum();
            link.queued + link.buffer.len() + inbox + 1024
        });
        let waiting = links.clone().filter(|link| link.queued > 0);
        let waiting = waiting.filter_map(|link| link.conn);
        NodeStatus {
            peers: peers.collect(),
            conns: self.conns.len() + self.closing.len(),
            dials: self.dials.len() + usize::from(self.waiting.is_some()),
            longest_queue: links.clone().map(|link| link.queued).max().unwrap_or(0),
            waiting: waiting.collect(),
            memory: buffers.sum::<usize>() + self.seen.len() * 64,
            // The packages have no limits.
            memory_limit: usize::MAX,
            kept: 0,
            is_busy: self.links.values().any(|link| link.queued > 0),
        }
    }

    fn describe(&self, bytes: &[u8]) -> (Vec<String>, usize) {
        let mut complete = 0;
        while let Some(end) = wire::first_end(&bytes[complete..])
            && let Some(end) = complete.checked_add(end)
            && end <= bytes.len()
        {
            complete = end;
        }
        (rs2p_core::describe(&bytes[..complete]), complete)
    }
}

impl Legacy {
    /// When py2p gives up on the rest of a frame.
    fn frame_due(&self, link: &Link) -> Option<Duration> {
        let has_begun = link.buffer.len() >= wire::PREFIX;
        (self.flavour == Flavour::Py2p && has_begun).then(|| {
            link.last_read
                .saturating_add(FRAME_TIMEOUT)
                .saturating_add(Duration::from_millis(1))
        })
    }
}

#[cfg(test)]
mod tests;
