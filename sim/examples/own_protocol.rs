//! How to test a protocol of your own: a few lines for the protocol, a few for the simulator, and a bug is found and told.
//!
//! The protocol is a relay. All dial the first node; it passes on what each says. Who has lost its connection does not dial again:
//! that is its bug. Run it with `cargo run -p rs2p-sim --example own_protocol`.

use std::collections::{BTreeMap, VecDeque};
use std::panic::catch_unwind;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rs2p_sim::{
    Action, Birth, ConnId, Delivery, DialError, Io, MessageKey, Node, NodeStatus, Note, PeerKey,
    Place, Promise, Protocol, Receipt, Refusal, Role, Scenario, Sim, isolate, publish, s,
};

/// How many bytes of a frame come before its payload: length, sender, number.
const HEADER: usize = 20;

/// A participant. It has no clock, socket or thread: all that happens comes as a call, all that it does goes through [`Io`].
struct Relay {
    id: u64,
    seeds: Vec<Place>,
    said: u64,
    links: BTreeMap<ConnId, Link>,
}

#[derive(Default)]
struct Link {
    peer: Option<u64>,
    read: BytesMut,
    /// How many bytes may be written, and what waits for that.
    room: usize,
    queue: VecDeque<Bytes>,
}

impl Relay {
    fn frame(sender: u64, number: u64, payload: &[u8]) -> Bytes {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let (sender, number) = (sender.to_be_bytes(), number.to_be_bytes());
        [&len.to_be_bytes(), &sender[..], &number, payload]
            .concat()
            .into()
    }

    /// A connection begins with a frame that says who is there: message number 0.
    fn open(&mut self, conn: ConnId, io: &mut Io<'_>) {
        self.links.insert(conn, Link::default());
        self.send(conn, Self::frame(self.id, 0, b""), io);
    }

    /// Queues a frame, and writes what there is room for. To write more than that would be a violation.
    fn send(&mut self, conn: ConnId, frame: Bytes, io: &mut Io<'_>) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.queue.push_back(frame);
        }
        self.on_room(conn, 0, io);
    }

    fn send_to_all_but(&mut self, from: Option<ConnId>, frame: &Bytes, io: &mut Io<'_>) {
        let conns: Vec<ConnId> = self.links.keys().copied().collect();
        for conn in conns.into_iter().filter(|conn| Some(*conn) != from) {
            self.send(conn, frame.clone(), io);
        }
    }

    fn next_frame(&mut self, conn: ConnId) -> Option<(u64, u64, Bytes)> {
        let read = &mut self.links.get_mut(&conn)?.read;
        let (len, rest) = read.split_first_chunk()?;
        let (sender, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        if rest.len() < len {
            return None;
        }
        let (sender, number) = (u64::from_be_bytes(*sender), u64::from_be_bytes(*number));
        let payload = read.split_to(HEADER + len).split_off(HEADER).freeze();
        Some((sender, number, payload))
    }

    fn on_frame(&mut self, conn: ConnId, frame: (u64, u64, Bytes), io: &mut Io<'_>) {
        let (sender, number, payload) = frame;
        if number == 0 {
            if let Some(link) = self.links.get_mut(&conn) {
                link.peer = Some(sender);
            }
            return io.act(Action::Tell(Note::PeerUp(conn, PeerKey(sender))));
        }
        self.send_to_all_but(Some(conn), &Self::frame(sender, number, &payload), io);
        io.act(Action::Deliver(Delivery {
            key: Some(key(sender, number)),
            sender: PeerKey(sender),
            // It does not promise any order. A protocol that does gives each message its place here.
            position: None,
            payload,
            from: Some(conn),
            is_private: false,
        }));
    }
}

/// What tells messages apart.
fn key(sender: u64, number: u64) -> MessageKey {
    MessageKey(sender.wrapping_add(number))
}

impl Node for Relay {
    fn on_start(&mut self, io: &mut Io<'_>) {
        for (number, place) in (0..).zip(&self.seeds) {
            io.act(Action::Dial(number, *place));
        }
    }

    fn on_accepted(&mut self, conn: ConnId, _from: Place, io: &mut Io<'_>) {
        self.open(conn, io);
    }

    fn on_dialed(&mut self, _dial: u64, conn: ConnId, io: &mut Io<'_>) {
        self.open(conn, io);
    }

    fn on_dial_failed(&mut self, dial: u64, _why: DialError, io: &mut Io<'_>) {
        // The other may just not be up yet.
        if let Some(place) = usize::try_from(dial)
            .ok()
            .and_then(|dial| self.seeds.get(dial))
        {
            io.act(Action::Dial(dial, *place));
        }
    }

    fn on_bytes(&mut self, conn: ConnId, bytes: &Bytes, io: &mut Io<'_>) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.read.extend_from_slice(bytes);
        }
        while let Some(frame) = self.next_frame(conn) {
            self.on_frame(conn, frame, io);
        }
    }

    fn on_room(&mut self, conn: ConnId, more: usize, io: &mut Io<'_>) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        link.room += more;
        while let Some(front) = link.queue.front_mut().filter(|_| link.room > 0) {
            let part = front.split_to(front.len().min(link.room));
            link.room -= part.len();
            io.act(Action::Write(conn, part));
            if front.is_empty() {
                link.queue.pop_front();
            }
        }
    }

    fn on_closed(&mut self, conn: ConnId, io: &mut Io<'_>) {
        let link = self.links.remove(&conn);
        if let Some(peer) = link.and_then(|link| link.peer) {
            io.act(Action::Tell(Note::PeerDown(conn, PeerKey(peer))));
        }
    }

    fn on_deadline(&mut self, _io: &mut Io<'_>) {}

    fn deadline(&self) -> Option<Duration> {
        None
    }

    fn publish(&mut self, payload: &Bytes, io: &mut Io<'_>) -> Result<Receipt, Refusal> {
        self.said += 1;
        self.send_to_all_but(None, &Self::frame(self.id, self.said, payload), io);
        Ok(Receipt {
            key: key(self.id, self.said),
            position: None,
        })
    }

    fn leave(&mut self, io: &mut Io<'_>) {
        for conn in std::mem::take(&mut self.links).into_keys() {
            io.act(Action::Close(conn, "it leaves".to_owned()));
        }
        io.act(Action::Ended);
    }

    fn identity(&self) -> Option<PeerKey> {
        Some(PeerKey(self.id))
    }

    fn status(&self) -> NodeStatus {
        let peers = self.links.iter();
        let waiting = self.links.iter().filter(|(_, link)| !link.queue.is_empty());
        NodeStatus {
            peers: peers
                .filter_map(|(conn, link)| Some((*conn, PeerKey(link.peer?))))
                .collect(),
            conns: self.links.len(),
            waiting: waiting.map(|(conn, _)| *conn).collect(),
            ..NodeStatus::default()
        }
    }
}

/// The maker of the nodes, and what they promise.
#[derive(Clone)]
struct Relays;

impl Protocol for Relays {
    type Node = Relay;

    fn make(&self, _scenario: &Scenario, birth: &Birth, role: Role) -> Option<Relay> {
        let mut seed = [0; 8];
        seed.copy_from_slice(&birth.seed[..8]);
        matches!(role, Role::Honest(_)).then(|| Relay {
            id: u64::from_be_bytes(seed),
            // One connection for each pair: the first node waits for the others.
            seeds: birth
                .seeds
                .iter()
                .copied()
                .filter(|it| *it < birth.place)
                .collect(),
            said: 0,
            links: BTreeMap::new(),
        })
    }

    fn promise(&self, _scenario: &Scenario) -> Promise {
        Promise {
            is_ordered: false,
            ..Promise::ALL
        }
    }
}

fn main() {
    // While nothing goes wrong, it does what it promises.
    let calm = Sim::of(Relays, 5).load(s(30), publish(2).times(10));
    calm.check();
    println!("20 seeds without faults: nothing is wrong.\n\nNow a node is alone for 20 s:");
    // In a test of your own this is the last line, and the failure is the test's.
    let split = calm.fault(s(25), isolate(2).lasts(s(20)));
    let found = catch_unwind(|| split.check());
    assert!(found.is_err(), "the bug was not found");
}
