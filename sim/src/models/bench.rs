//! A few nodes joined by queues without any time or fault in between, for tests of the models by themselves.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::node::{
    Action, Birth, ConnId, Delivery, DialError, Io, Node, Note, PeerKey, Place, Receipt, Refusal,
};

/// What the calendars of a bench show at its beginning.
pub(crate) const WALL: Duration = Duration::from_secs(1_700_000_000);

/// Returns what a node's life begins with, at a place of that number.
pub(crate) fn birth(node: u32, seeds: &[u32]) -> Birth {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&node.to_be_bytes());
    seed[28..].copy_from_slice(&node.to_be_bytes());
    Birth {
        node,
        life: 1,
        place: Place(node),
        seeds: seeds.iter().map(|node| Place(*node)).collect(),
        seed,
        saved: None,
        now: Duration::ZERO,
        wall: WALL,
    }
}

enum Input {
    Start,
    Accepted(ConnId, Place),
    Dialed(u64, ConnId),
    Failed(u64),
    Bytes(ConnId, Bytes),
    Room(ConnId, usize),
    Closed(ConnId),
}

pub(crate) struct Bench<N> {
    pub(crate) nodes: Vec<N>,
    pub(crate) now: Duration,
    queue: VecDeque<(usize, Input)>,
    /// The other end of each open connection, and whose it is.
    ends: BTreeMap<ConnId, (usize, ConnId)>,
    last_conn: u64,
    /// Dials that nobody answers.
    pub(crate) is_deaf: Vec<bool>,
    pub(crate) heard: Vec<(usize, Delivery)>,
    pub(crate) notes: Vec<(usize, Note)>,
    /// What was written, by whom.
    pub(crate) written: Vec<(usize, Bytes)>,
    pub(crate) room: usize,
}

impl<N: Node> Bench<N> {
    pub(crate) fn new(nodes: Vec<N>) -> Self {
        let mut bench = Self {
            now: Duration::ZERO,
            queue: VecDeque::new(),
            ends: BTreeMap::new(),
            last_conn: 0,
            is_deaf: vec![false; nodes.len()],
            nodes,
            heard: Vec::new(),
            notes: Vec::new(),
            written: Vec::new(),
            room: 1 << 30,
        };
        // One after the other, as people start programs.
        for node in 0..bench.nodes.len() {
            bench.queue.push_back((node, Input::Start));
            bench.settle();
        }
        bench
    }

    /// Does something with a node, and carries out what comes of it.
    pub(crate) fn with<T>(&mut self, node: usize, act: impl FnOnce(&mut N, &mut Io<'_>) -> T) -> T {
        let mut actions = Vec::new();
        let mut io = Io::new(self.now, WALL + self.now, &mut actions);
        let result = act(&mut self.nodes[node], &mut io);
        for action in actions {
            self.carry_out(node, action);
        }
        result
    }

    pub(crate) fn publish(&mut self, node: usize, payload: &[u8]) -> Result<Receipt, Refusal> {
        let payload = Bytes::copy_from_slice(payload);
        let result = self.with(node, |it, io| it.publish(&payload, io));
        self.settle();
        result
    }

    pub(crate) fn leave(&mut self, node: usize) {
        self.with(node, |it, io| it.leave(io));
        self.settle();
    }

    /// Handles inputs until there are none.
    pub(crate) fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let Some((node, input)) = self.queue.pop_front() else {
                return;
            };
            self.with(node, |it, io| match input {
                Input::Start => it.on_start(io),
                Input::Accepted(conn, place) => it.on_accepted(conn, place, io),
                Input::Dialed(dial, conn) => it.on_dialed(dial, conn, io),
                Input::Failed(dial) => it.on_dial_failed(dial, DialError::Refused, io),
                Input::Bytes(conn, bytes) => it.on_bytes(conn, &bytes, io),
                Input::Room(conn, more) => it.on_room(conn, more, io),
                Input::Closed(conn) => it.on_closed(conn, io),
            });
        }
        panic!("it goes on and on");
    }

    /// Lets time pass, and calls every deadline in it.
    pub(crate) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        for _ in 0..100_000 {
            let deadlines = self.nodes.iter().enumerate();
            let due = deadlines.filter_map(|(node, it)| Some((it.deadline()?, node)));
            let Some((at, node)) = due.min().filter(|(at, _)| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            self.with(node, |it, io| it.on_deadline(io));
            self.settle();
        }
        panic!("no end of deadlines");
    }

    /// Breaks every connection between two nodes.
    pub(crate) fn part(&mut self, a: usize, b: usize) {
        let between: Vec<ConnId> = self
            .ends
            .iter()
            .filter(|(conn, (to, other))| {
                let from = self.ends.get(other).map(|(from, _)| *from);
                conn < &other && [(Some(a), b), (Some(b), a)].contains(&(from, *to))
            })
            .map(|(conn, _)| *conn)
            .collect();
        for conn in between {
            let Some((node, other)) = self.ends.remove(&conn) else {
                continue;
            };
            if let Some((back, _)) = self.ends.remove(&other) {
                self.queue.push_back((back, Input::Closed(conn)));
            }
            self.queue.push_back((node, Input::Closed(other)));
        }
        self.settle();
    }

    /// The peers of a node, by number and sorted.
    pub(crate) fn peers(&self, node: usize) -> Vec<usize> {
        let keys: Vec<Option<PeerKey>> = self.nodes.iter().map(Node::identity).collect();
        let peers = self.nodes[node].status().peers.into_iter();
        let mut peers: Vec<usize> = peers
            .filter_map(|(_, key)| keys.iter().position(|other| *other == Some(key)))
            .collect();
        peers.sort_unstable();
        peers
    }

    /// What a node has delivered.
    pub(crate) fn delivered(&self, node: usize) -> Vec<Bytes> {
        let heard = self.heard.iter().filter(|(by, _)| *by == node);
        heard
            .map(|(_, delivery)| delivery.payload.clone())
            .collect()
    }

    fn carry_out(&mut self, node: usize, action: Action) {
        match action {
            Action::Dial(dial, place) => {
                let to = usize::try_from(place.0).expect("few nodes");
                if self.is_deaf.get(to) == Some(&true) {
                    return;
                }
                if to >= self.nodes.len() {
                    self.queue.push_back((node, Input::Failed(dial)));
                    return;
                }
                let (ours, theirs) = (ConnId(self.last_conn + 1), ConnId(self.last_conn + 2));
                self.last_conn += 2;
                self.ends.insert(ours, (to, theirs));
                self.ends.insert(theirs, (node, ours));
                let from = Place(u32::try_from(node).expect("few nodes"));
                self.queue.push_back((to, Input::Accepted(theirs, from)));
                self.queue.push_back((node, Input::Dialed(dial, ours)));
                self.queue.push_back((to, Input::Room(theirs, self.room)));
                self.queue.push_back((node, Input::Room(ours, self.room)));
            }
            Action::Write(conn, bytes) => {
                self.written.push((node, bytes.clone()));
                // Closed by the other side, which is not known yet.
                let Some((to, other)) = self.ends.get(&conn).copied() else {
                    return;
                };
                self.queue.push_back((node, Input::Room(conn, bytes.len())));
                self.queue.push_back((to, Input::Bytes(other, bytes)));
            }
            Action::Close(conn, _) => {
                if let Some((to, other)) = self.ends.remove(&conn)
                    && self.ends.contains_key(&other)
                {
                    self.queue.push_back((to, Input::Closed(other)));
                    self.ends.remove(&other);
                }
            }
            Action::Deliver(delivery) => self.heard.push((node, delivery)),
            Action::Tell(note) => self.notes.push((node, note)),
            Action::CancelDial(_) | Action::Persist(_) | Action::Ended => {}
        }
    }
}
