//! A small protocol that works, and broken versions of it: each breaks one rule, so that the checker of that rule can be seen
//! to notice. It also shows what it takes to put a protocol of one's own into a world.
//!
//! The protocol: whoever knows a place dials it, and again when the connection is lost. On a new connection both say who they
//! are, whom they know, and how many messages of each sender they have; each then sends what the other lacks, and from then on
//! what is new. A sender's messages come in their order on each connection, and so everywhere. Who hears nothing for a while hangs up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::chance::{hash_bytes, mix};
use crate::node::{
    Action, Birth, ConnId, Delivery, DialError, Io, MessageKey, Node, NodeStatus, Note, PeerKey,
    Place, Position, Receipt, Refusal, StreamKey,
};

/// How often a place is dialled that is not connected.
const REDIAL: Duration = Duration::from_secs(1);

/// How often something is said on each connection, and after what silence it is given up.
const PING: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(45);

/// How many bytes of messages a node keeps, and how many it may hold at all.
const MAX_KEPT: usize = 8 << 20;
const MEMORY: usize = 64 << 20;

/// Frames longer than this end the connection.
const MAX_FRAME: usize = 1 << 20;

const HELLO: u8 = 0;
const MESSAGE: u8 = 1;
const NOTHING: u8 = 2;

/// Read by one of the broken toys, which no node must: it is different in every run.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// In which way a toy is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Flaw {
    /// Delivers something else than was published: S1.
    Alters,
    /// Delivers everything twice: S2.
    DeliversTwice,
    /// Delivers every second message before the one that came first: S3.
    Reorders,
    /// Says that everything is from itself: S4.
    NamesWrongSender,
    /// Keeps far too much: S5.
    Hoards,
    /// Has a deadline that has always passed: S6.
    Spins,
    /// Writes whether there is room or not: S7.
    IgnoresRoom,
    /// Sends nothing again that was missed: L1.
    Forgets,
    /// Dials once: L2.
    NeverRedials,
    /// Talks on when there is nothing to say: L4.
    Chatters,
    /// Does not go on with a connection that was full once: L5.
    Stalls,
    /// Sends everything again on every new connection: E1.
    ResendsAll,
    /// Does something else in every run: D1.
    ReadsGlobals,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Alters,
        Self::DeliversTwice,
        Self::Reorders,
        Self::NamesWrongSender,
        Self::Hoards,
        Self::Spins,
        Self::IgnoresRoom,
        Self::Forgets,
        Self::NeverRedials,
        Self::Chatters,
        Self::Stalls,
        Self::ResendsAll,
        Self::ReadsGlobals,
    ];
}

/// A node of the small protocol.
#[derive(Debug)]
pub struct Toy {
    flaw: Option<Flaw>,
    id: u64,
    place: Place,
    places: BTreeSet<Place>,
    dials: BTreeMap<u64, Place>,
    last_dial: u64,
    conns: BTreeMap<ConnId, Conn>,
    /// How many messages of each sender have come.
    have: BTreeMap<u64, u64>,
    /// Messages by sender and number.
    kept: BTreeMap<(u64, u64), Bytes>,
    kept_len: usize,
    next_dial: Duration,
    next_ping: Duration,
    held_back: Option<Delivery>,
    hoard: Vec<Vec<u8>>,
    has_left: bool,
}

#[derive(Debug)]
struct Conn {
    is_dialed: bool,
    /// Who is at the other end, once it has said so.
    peer: Option<(u64, Place)>,
    read: BytesMut,
    room: usize,
    queue: VecDeque<Bytes>,
    was_full: bool,
    last_heard: Duration,
}

impl Toy {
    /// Returns a node that does everything right.
    pub fn new(birth: &Birth) -> Self {
        Self::build(birth, None)
    }

    /// Returns a node with a flaw.
    pub fn broken(birth: &Birth, flaw: Flaw) -> Self {
        Self::build(birth, Some(flaw))
    }

    fn build(birth: &Birth, flaw: Option<Flaw>) -> Self {
        let mut places: BTreeSet<Place> = birth.seeds.iter().copied().collect();
        places.remove(&birth.place);
        let mut toy = Self {
            flaw,
            id: hash_bytes(&birth.seed),
            place: birth.place,
            places,
            dials: BTreeMap::new(),
            last_dial: 0,
            conns: BTreeMap::new(),
            have: BTreeMap::new(),
            kept: BTreeMap::new(),
            kept_len: 0,
            next_dial: birth.now,
            next_ping: birth.now + ping_interval(flaw),
            held_back: None,
            hoard: Vec::new(),
            has_left: false,
        };
        // What it has delivered in an earlier life is not delivered again.
        let mut saved = birth.saved.clone().unwrap_or_default();
        while saved.remaining() >= 16 {
            toy.have.insert(saved.get_u64(), saved.get_u64());
        }
        toy
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn stream(origin: u64) -> StreamKey {
        StreamKey(mix(origin))
    }

    fn position(origin: u64, sequence: u64) -> Position {
        Position {
            stream: Self::stream(origin),
            sequence,
        }
    }

    fn key(origin: u64, sequence: u64) -> MessageKey {
        MessageKey(mix(origin ^ mix(sequence)))
    }

    /// Queues a frame, and writes what there is room for.
    fn send(&mut self, conn: ConnId, frame: Bytes, io: &mut Io<'_>) {
        if let Some(it) = self.conns.get_mut(&conn) {
            it.queue.push_back(frame);
        }
        self.flush(conn, io);
    }

    fn flush(&mut self, conn: ConnId, io: &mut Io<'_>) {
        let (ignores, stalls) = (self.has(Flaw::IgnoresRoom), self.has(Flaw::Stalls));
        let Some(it) = self.conns.get_mut(&conn) else {
            return;
        };
        while let Some(front) = it.queue.front_mut() {
            let len = if ignores {
                front.len()
            } else {
                front.len().min(it.room)
            };
            if len == 0 || stalls && it.was_full {
                // A connection has no room before it has any; that is not what this flaw is about.
                it.was_full = it.peer.is_some();
                return;
            }
            it.room = it.room.saturating_sub(len);
            io.act(Action::Write(conn, front.split_to(len)));
            if front.is_empty() {
                it.queue.pop_front();
            }
        }
    }

    fn greet(&mut self, conn: ConnId, is_dialed: bool, io: &mut Io<'_>) {
        let new = Conn {
            is_dialed,
            peer: None,
            read: BytesMut::new(),
            room: 0,
            queue: VecDeque::new(),
            was_full: false,
            last_heard: io.now(),
        };
        self.conns.insert(conn, new);
        let mut body = BytesMut::new();
        body.put_u64(self.id);
        body.put_u32(self.place.0);
        body.put_u32(u32::try_from(self.places.len()).unwrap_or(u32::MAX));
        for place in &self.places {
            body.put_u32(place.0);
        }
        body.put_slice(&self.counts());
        self.send(conn, frame(HELLO, &body), io);
    }

    /// How many messages of each sender it has, as bytes.
    fn counts(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        for (origin, count) in &self.have {
            bytes.put_u64(*origin);
            bytes.put_u64(*count);
        }
        bytes.freeze()
    }

    /// Handles a frame; returns nothing if it is nonsense.
    fn on_frame(&mut self, conn: ConnId, kind: u8, mut body: Bytes, io: &mut Io<'_>) -> Option<()> {
        match kind {
            HELLO => {
                let (id, place) = (body.try_get_u64().ok()?, Place(body.try_get_u32().ok()?));
                let count = body.try_get_u32().ok()?;
                for _ in 0..count {
                    self.places.insert(Place(body.try_get_u32().ok()?));
                }
                self.places.insert(place);
                self.places.remove(&self.place);
                let mut theirs = BTreeMap::new();
                while body.remaining() >= 16 {
                    theirs.insert(body.get_u64(), body.get_u64());
                }
                self.on_hello(conn, id, place, &theirs, io);
            }
            MESSAGE => {
                let (origin, sequence) = (body.try_get_u64().ok()?, body.try_get_u64().ok()?);
                self.on_message(conn, origin, sequence, &body, io);
            }
            _ => {}
        }
        Some(())
    }

    fn on_hello(
        &mut self,
        conn: ConnId,
        id: u64,
        place: Place,
        theirs: &BTreeMap<u64, u64>,
        io: &mut Io<'_>,
    ) {
        let Some(it) = self.conns.get_mut(&conn) else {
            return;
        };
        it.peer = Some((id, place));
        let is_dialed = it.is_dialed;
        let mut conns = self.conns.iter();
        let old = conns.find(|(other, it)| **other != conn && it.peer == Some((id, place)));
        let old = old.map(|(other, it)| (*other, it.is_dialed));
        io.act(Action::Tell(Note::PeerUp(conn, PeerKey(id))));
        if let Some((old, was_dialed)) = old {
            // Of two that were dialled from both sides the one stays that the larger id dialled; else the later one.
            let keeps_old = was_dialed != is_dialed && was_dialed == (self.id > id);
            let spare = if keeps_old { conn } else { old };
            self.hang_up(spare, "there are two", io);
            if keeps_old {
                return;
            }
        }
        if self.has(Flaw::Forgets) {
            return;
        }
        let lacks = |(origin, sequence): (u64, u64)| {
            *theirs.get(&origin).unwrap_or(&0) < sequence || self.has(Flaw::ResendsAll)
        };
        let missing: Vec<(u64, u64)> = self
            .kept
            .keys()
            .copied()
            .filter(|key| lacks(*key))
            .collect();
        for (origin, sequence) in missing {
            let frame = message(origin, sequence, &self.kept[&(origin, sequence)]);
            self.send(conn, frame, io);
        }
    }

    fn on_message(
        &mut self,
        conn: ConnId,
        origin: u64,
        sequence: u64,
        payload: &Bytes,
        io: &mut Io<'_>,
    ) {
        // Known already; or too early, and then somebody else has what is before it.
        let expected = self.have.get(&origin).unwrap_or(&0) + 1;
        if sequence != expected && !(self.has(Flaw::Forgets) && sequence > expected) {
            return;
        }
        self.keep(origin, sequence, payload);
        io.act(Action::Persist(self.counts()));
        self.deliver(conn, origin, sequence, payload, io);
        self.spread(Some(conn), origin, sequence, payload, io);
    }

    fn keep(&mut self, origin: u64, sequence: u64, payload: &Bytes) {
        self.have.insert(origin, sequence);
        self.kept_len += payload.len();
        self.kept.insert((origin, sequence), payload.clone());
        while self.kept_len > MAX_KEPT {
            let Some((_, oldest)) = self.kept.pop_first() else {
                return;
            };
            self.kept_len -= oldest.len();
        }
    }

    fn deliver(
        &mut self,
        conn: ConnId,
        origin: u64,
        sequence: u64,
        payload: &Bytes,
        io: &mut Io<'_>,
    ) {
        let mut delivery = Delivery {
            key: Some(Self::key(origin, sequence)),
            sender: PeerKey(origin),
            position: Some(Self::position(origin, sequence)),
            payload: payload.clone(),
            from: Some(conn),
            is_private: false,
        };
        match self.flaw {
            Some(Flaw::Alters) => {
                let changed = payload.iter().map(|byte| byte ^ 1);
                delivery.payload = changed.chain(payload.is_empty().then_some(0)).collect();
            }
            Some(Flaw::NamesWrongSender) => delivery.sender = PeerKey(self.id),
            Some(Flaw::DeliversTwice) => io.act(Action::Deliver(delivery.clone())),
            Some(Flaw::Reorders) => match self.held_back.take() {
                None => {
                    self.held_back = Some(delivery);
                    return;
                }
                Some(held) => {
                    io.act(Action::Deliver(delivery));
                    delivery = held;
                }
            },
            _ => {}
        }
        io.act(Action::Deliver(delivery));
    }

    /// Sends a message to all peers but the one that it came from.
    fn spread(
        &mut self,
        from: Option<ConnId>,
        origin: u64,
        sequence: u64,
        payload: &Bytes,
        io: &mut Io<'_>,
    ) {
        let frame = message(origin, sequence, payload);
        let peers = self.conns.iter().filter(|(_, it)| it.peer.is_some());
        let peers: Vec<ConnId> = peers.map(|(conn, _)| *conn).collect();
        for conn in peers {
            if Some(conn) != from {
                self.send(conn, frame.clone(), io);
            }
        }
    }

    fn hang_up(&mut self, conn: ConnId, why: &str, io: &mut Io<'_>) {
        let Some(it) = self.conns.remove(&conn) else {
            return;
        };
        if let Some((id, _)) = it.peer {
            io.act(Action::Tell(Note::PeerDown(conn, PeerKey(id))));
        }
        io.act(Action::Close(conn, why.to_owned()));
    }

    /// Dials every place that is known and not connected.
    fn dial(&mut self, io: &mut Io<'_>) {
        let peers = self.conns.values().filter_map(|it| it.peer);
        let mut busy: BTreeSet<Place> = peers.map(|(_, place)| place).collect();
        busy.extend(self.dials.values());
        let free: Vec<Place> = self.places.difference(&busy).copied().collect();
        for place in free {
            self.last_dial += 1;
            self.dials.insert(self.last_dial, place);
            io.act(Action::Dial(self.last_dial, place));
        }
    }

    fn ping(&mut self, io: &mut Io<'_>) {
        let now = io.now();
        let body: &[u8] = if self.has(Flaw::Chatters) {
            &[0; 1000]
        } else {
            &[]
        };
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in conns {
            if self.conns[&conn].last_heard + SILENCE <= now {
                self.hang_up(conn, "it is silent", io);
            } else if self.conns[&conn].queue.is_empty() {
                self.send(conn, frame(NOTHING, body), io);
            }
        }
    }
}

/// How often a node says something.
fn ping_interval(flaw: Option<Flaw>) -> Duration {
    match flaw {
        Some(Flaw::Chatters) => Duration::from_millis(100),
        _ => PING,
    }
}

fn frame(kind: u8, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + body.len());
    frame.put_u32(u32::try_from(body.len() + 1).unwrap_or(u32::MAX));
    frame.put_u8(kind);
    frame.put_slice(body);
    frame.freeze()
}

fn message(origin: u64, sequence: u64, payload: &Bytes) -> Bytes {
    let mut body = BytesMut::with_capacity(16 + payload.len());
    body.put_u64(origin);
    body.put_u64(sequence);
    body.put_slice(payload);
    frame(MESSAGE, &body)
}

/// Takes the first frame off what was read: its kind and its body. `None` if it is not complete.
///
/// # Errors
///
/// It has a length that no frame has.
fn next_frame(read: &mut BytesMut) -> Result<Option<(u8, Bytes)>, ()> {
    let Some(prefix) = read.first_chunk::<4>() else {
        return Ok(None);
    };
    let len = usize::try_from(u32::from_be_bytes(*prefix)).or(Err(()))?;
    if len == 0 || len > MAX_FRAME {
        return Err(());
    }
    if read.len() < 4 + len {
        return Ok(None);
    }
    let mut frame = read.split_to(4 + len).freeze();
    frame.advance(4);
    Ok(Some((frame.get_u8(), frame)))
}

impl Node for Toy {
    fn on_start(&mut self, io: &mut Io<'_>) {
        self.dial(io);
        self.next_dial = io.now() + REDIAL;
    }

    fn on_accepted(&mut self, conn: ConnId, _from: Place, io: &mut Io<'_>) {
        self.greet(conn, false, io);
    }

    fn on_dialed(&mut self, dial: u64, conn: ConnId, io: &mut Io<'_>) {
        self.dials.remove(&dial);
        self.greet(conn, true, io);
    }

    fn on_dial_failed(&mut self, dial: u64, _why: DialError, _io: &mut Io<'_>) {
        self.dials.remove(&dial);
    }

    fn on_bytes(&mut self, conn: ConnId, bytes: &Bytes, io: &mut Io<'_>) {
        if self.has(Flaw::Hoards) && self.hoard.len() < 100 {
            self.hoard.push(vec![0; 1 << 20]);
        }
        // Looked up for each frame, because a frame may end the connection.
        if let Some(it) = self.conns.get_mut(&conn) {
            it.read.extend_from_slice(bytes);
            it.last_heard = io.now();
        }
        while let Some(it) = self.conns.get_mut(&conn) {
            let handled = match next_frame(&mut it.read) {
                Ok(None) => return,
                Ok(Some((kind, body))) => self.on_frame(conn, kind, body, io),
                Err(()) => None,
            };
            if handled.is_none() {
                self.hang_up(conn, "it talks nonsense", io);
            }
        }
    }

    fn on_room(&mut self, conn: ConnId, more: usize, io: &mut Io<'_>) {
        if let Some(it) = self.conns.get_mut(&conn) {
            it.room += more;
        }
        self.flush(conn, io);
    }

    fn on_closed(&mut self, conn: ConnId, io: &mut Io<'_>) {
        let closed = self.conns.remove(&conn);
        if let Some((id, _)) = closed.and_then(|it| it.peer) {
            io.act(Action::Tell(Note::PeerDown(conn, PeerKey(id))));
        }
    }

    fn on_deadline(&mut self, io: &mut Io<'_>) {
        let now = io.now();
        if self.next_dial <= now && !self.has_left {
            self.next_dial = now + REDIAL;
            if self.has(Flaw::ReadsGlobals) {
                let odd = RUNS.fetch_add(1, Ordering::Relaxed) * 7 % 1000;
                self.next_dial += Duration::from_micros(odd);
            }
            if !self.has(Flaw::NeverRedials) {
                self.dial(io);
            }
            if let Some(held) = self.held_back.take() {
                io.act(Action::Deliver(held));
            }
        }
        if self.next_ping <= now && !self.has_left {
            self.next_ping = now + ping_interval(self.flaw);
            self.ping(io);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        if self.has(Flaw::Spins) {
            return Some(Duration::ZERO);
        }
        (!self.has_left).then(|| self.next_dial.min(self.next_ping))
    }

    fn publish(&mut self, payload: &Bytes, io: &mut Io<'_>) -> Result<Receipt, Refusal> {
        if payload.len() > MAX_FRAME / 2 {
            return Err(Refusal::Never("it is too long".to_owned()));
        }
        let sequence = self.have.get(&self.id).unwrap_or(&0) + 1;
        self.keep(self.id, sequence, payload);
        self.spread(None, self.id, sequence, payload, io);
        Ok(Receipt {
            key: Self::key(self.id, sequence),
            position: Some(Self::position(self.id, sequence)),
        })
    }

    fn leave(&mut self, io: &mut Io<'_>) {
        self.has_left = true;
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in conns {
            self.hang_up(conn, "it leaves", io);
        }
        io.act(Action::Ended);
    }

    fn identity(&self) -> Option<PeerKey> {
        Some(PeerKey(self.id))
    }

    fn status(&self) -> NodeStatus {
        let peers = self.conns.iter();
        let peers = peers.filter_map(|(conn, it)| Some((*conn, PeerKey(it.peer?.0))));
        let queued = |it: &Conn| it.queue.iter().map(Bytes::len).sum::<usize>();
        let queues = self.conns.values().map(|it| queued(it) + it.read.len());
        let waiting = self.conns.iter().filter(|(_, it)| !it.queue.is_empty());
        NodeStatus {
            peers: peers.collect(),
            conns: self.conns.len(),
            dials: self.dials.len(),
            longest_queue: self.conns.values().map(queued).max().unwrap_or(0),
            waiting: waiting.map(|(conn, _)| *conn).collect(),
            memory: self.kept_len + (self.hoard.len() << 20) + queues.sum::<usize>(),
            memory_limit: MEMORY,
            kept: self.kept.len(),
            is_busy: self.conns.values().any(|it| !it.queue.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::bench::{Bench, birth};

    fn net(flaw: Option<Flaw>, seeds: &[&[u32]]) -> Bench<Toy> {
        let nodes = (0..).zip(seeds);
        Bench::new(
            nodes
                .map(|(n, seeds)| Toy::build(&birth(n, seeds), flaw))
                .collect(),
        )
    }

    #[test]
    fn a_toy_without_a_flaw_becomes_one_network_and_delivers_in_order() {
        let mut bench = net(None, &[&[], &[0], &[0], &[2]]);
        bench.advance(REDIAL * 3);
        for node in 0..4 {
            let others: Vec<usize> = (0..4).filter(|other| *other != node).collect();
            assert_eq!(bench.peers(node), others);
            assert_eq!(bench.nodes[node].status().conns, 3);
        }
        let said = ["one", "two", "three"];
        for text in said {
            bench.publish(1, text.as_bytes()).expect("accepted");
        }
        assert_eq!(bench.delivered(3), said);
        assert_eq!(bench.delivered(1), [""; 0]);
    }

    #[test]
    fn what_was_missed_is_sent_once_when_a_connection_is_made_again() {
        let mut bench = net(None, &[&[], &[0]]);
        bench.publish(0, b"before").expect("accepted");
        bench.part(0, 1);
        for text in ["one", "two"] {
            bench.publish(0, text.as_bytes()).expect("accepted");
        }
        assert_eq!(bench.delivered(1), ["before"]);
        bench.written.clear();
        bench.advance(REDIAL * 2);
        assert_eq!(bench.delivered(1), ["before", "one", "two"]);
        let written: usize = bench.written.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(written < 200, "{written} bytes");
        assert_eq!([bench.peers(0), bench.peers(1)], [[1], [0]]);
    }

    #[test]
    fn a_silent_toy_is_given_up_and_an_idle_one_is_not() {
        let mut bench = net(None, &[&[], &[0]]);
        bench.advance(SILENCE * 4);
        assert_eq!(bench.peers(0), [1]);
        let written: usize = bench.written.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(written < 400, "{written} bytes in 180 s");
    }

    /// What two toys with a flaw did: the deliveries of the second, and the bytes that were written.
    fn run(flaw: Option<Flaw>) -> (Vec<Delivery>, usize, Bench<Toy>) {
        let mut bench = net(flaw, &[&[], &[0]]);
        for text in ["one", "two", "three", "four"] {
            bench.publish(0, text.as_bytes()).expect("accepted");
        }
        bench.part(0, 1);
        bench.publish(0, b"five").expect("accepted");
        bench.advance(REDIAL * 5);
        let heard = bench.heard.iter().filter(|(node, _)| *node == 1);
        let heard = heard.map(|(_, delivery)| delivery.clone()).collect();
        let written = bench.written.iter().map(|(_, bytes)| bytes.len()).sum();
        (heard, written, bench)
    }

    #[test]
    fn every_flaw_shows() {
        let (good, bytes, bench) = run(None);
        assert_eq!(good.len(), 5);
        let sender = bench.nodes[0].identity();
        let payloads = |of: &[Delivery]| of.iter().map(|it| it.payload.clone()).collect::<Vec<_>>();
        for flaw in Flaw::ALL {
            if flaw == Flaw::Spins {
                let toy = Toy::broken(&birth(0, &[]), flaw);
                assert_eq!(toy.deadline(), Some(Duration::ZERO));
                continue;
            }
            let (heard, written, bench) = run(Some(flaw));
            let is_seen = match flaw {
                Flaw::Alters => heard.len() == 5 && heard[0].payload != "one",
                Flaw::DeliversTwice => heard.len() == 10,
                Flaw::Reorders => heard.len() == 5 && payloads(&heard)[..2] == ["two", "one"],
                Flaw::NamesWrongSender => heard.iter().all(|it| Some(it.sender) != sender),
                Flaw::Hoards => bench.nodes[1].status().memory > 1 << 20,
                Flaw::Forgets => heard.len() == 4,
                Flaw::NeverRedials => bench.peers(0).is_empty(),
                Flaw::Chatters => written > bytes + 50_000,
                Flaw::ResendsAll => written > bytes + 50,
                // Nothing to see where there is room for all, and nobody looks at the time.
                Flaw::Spins | Flaw::IgnoresRoom | Flaw::Stalls | Flaw::ReadsGlobals => {
                    payloads(&heard) == payloads(&good)
                }
            };
            assert!(is_seen, "{flaw:?}: {:?}", payloads(&heard));
        }
    }

    #[test]
    fn what_concerns_room_shows_where_there_is_little() {
        for flaw in [None, Some(Flaw::IgnoresRoom), Some(Flaw::Stalls)] {
            let mut bench = net(flaw, &[&[], &[0]]);
            let conn = bench.nodes[0].status().peers[0].0;
            if let Some(it) = bench.nodes[0].conns.get_mut(&conn) {
                it.room = 10;
            }
            bench.written.clear();
            bench
                .with(0, |node, io| {
                    node.publish(&Bytes::from_static(&[0; 100]), io)
                })
                .expect("ok");
            let written: usize = bench.written.iter().map(|(_, bytes)| bytes.len()).sum();
            assert_eq!(written > 10, flaw == Some(Flaw::IgnoresRoom), "{flaw:?}");
            bench.with(0, |node, io| node.on_room(conn, 1000, io));
            bench.settle();
            let is_stuck = bench.delivered(1).is_empty();
            assert_eq!(is_stuck, flaw == Some(Flaw::Stalls), "{flaw:?}");
        }
    }
}
