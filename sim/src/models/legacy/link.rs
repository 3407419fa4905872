//! What a legacy node keeps: its links, the table of those that lead somewhere, and the messages of the last minute.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::models::Flavour;
use crate::models::wire::Value;
use crate::node::ConnId;

/// How much of what a py2p writes the kernels on both sides take before someone has to read it, as measured on
/// loopback. What does not fit into that is lost.
pub(super) const KERNEL: usize = 3_932_160;

/// The id of a node, as a table keeps it: `b"x"` and `"x"` are two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Text(Vec<u8>),
    Bin(Vec<u8>),
    /// What equals nothing but itself: a bin in js2p, and ids that are no text at all.
    Other(u64, Vec<u8>),
}

impl Key {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(bytes) | Self::Bin(bytes) | Self::Other(_, bytes) => bytes,
        }
    }

    pub(super) fn value(&self) -> Value {
        match self {
            Self::Text(bytes) => Value::Text(bytes.clone()),
            Self::Bin(bytes) | Self::Other(_, bytes) => Value::Bin(bytes.clone()),
        }
    }

    /// Returns whether a message with this sender comes from there, so that it is not sent back.
    pub(super) fn is_sender(&self, sender: &Value, flavour: Flavour) -> bool {
        match (flavour, self, sender) {
            (Flavour::Py2p, Self::Text(ours), Value::Text(theirs))
            | (Flavour::Py2p, Self::Bin(ours), Value::Bin(theirs)) => ours == theirs,
            (Flavour::Py2p, ..) => false,
            (Flavour::Js2p, ..) => sender.as_bytes() == Some(self.bytes()),
        }
    }
}

/// One connection, or a dial that js2p already counts as one.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) conn: Option<ConnId>,
    pub(super) is_dialed: bool,
    /// Whether the connection is closed already, and its thread has not come to see that.
    pub(super) is_gone: bool,
    /// The id that a peers list gave for it, if it was dialled for that.
    pub(super) known: Option<Key>,
    /// The id of its last handshake.
    pub(super) id: Option<Key>,
    pub(super) address: Value,
    /// The methods that the other side listed last.
    pub(super) methods: Vec<Value>,
    /// What has arrived, and was not read yet.
    pub(super) inbox: VecDeque<Bytes>,
    /// What was read, from the beginning of a frame on.
    pub(super) buffer: Vec<u8>,
    /// Whether the buffer is what was left behind a frame.
    pub(super) is_after_frame: bool,
    pub(super) last_read: Duration,
    pub(super) room: usize,
    pub(super) outbox: VecDeque<Bytes>,
    pub(super) queued: usize,
    /// The payload of the last message but for renegotiations, should someone ask for it again.
    pub(super) last_sent: Vec<Value>,
    /// Why it will be closed, once all frames are handled that have come: in py2p because it is of another network, in js2p
    /// whatever is wrong.
    pub(super) doomed: Option<&'static str>,
}

impl Link {
    pub(super) fn new(conn: Option<ConnId>, is_dialed: bool, now: Duration) -> Self {
        Self {
            conn,
            is_dialed,
            is_gone: false,
            known: None,
            id: None,
            address: Value::Nil,
            methods: Vec::new(),
            inbox: VecDeque::new(),
            buffer: Vec::new(),
            is_after_frame: false,
            last_read: now,
            room: 0,
            outbox: VecDeque::new(),
            queued: 0,
            last_sent: Vec::new(),
            doomed: None,
        }
    }

    /// Takes the next bytes that may be written now.
    pub(super) fn next_write(&mut self) -> Option<Bytes> {
        let len = self.outbox.front()?.len().min(self.room);
        if len == 0 {
            return None;
        }
        let front = self.outbox.front_mut()?;
        let bytes = front.split_to(len);
        if front.is_empty() {
            self.outbox.pop_front();
        }
        self.room -= len;
        self.queued -= len;
        Some(bytes)
    }
}

/// Whom a node knows by id, in the order in which they came; and which link leads there, if it still is one.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<(Key, u64)>);

impl Table {
    pub(super) fn get(&self, key: &Key) -> Option<u64> {
        let mut entries = self.0.iter();
        Some(entries.find(|(other, _)| other == key)?.1)
    }

    pub(super) fn set(&mut self, key: Key, link: u64) {
        match self.0.iter_mut().find(|(other, _)| *other == key) {
            Some(entry) => entry.1 = link,
            None => self.0.push((key, link)),
        }
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.0.retain(|(other, _)| other != key);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Key, u64)> {
        self.0.iter()
    }
}

/// The messages of the last minute, by the senders' clocks.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeSet<(u64, [u8; 32])>);

impl Seen {
    /// Remembers a message; returns whether it is new. One whose time is no number is always new.
    pub(super) fn insert(&mut self, time: f64, id: [u8; 32]) -> bool {
        time.is_nan() || self.0.insert((order(time), id))
    }

    /// Forgets what is as old as this, or older.
    pub(super) fn prune(&mut self, time: f64) {
        let end = order(time);
        while self.0.first().is_some_and(|(time, _)| *time <= end) {
            self.0.pop_first();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Returns a number that compares as the time does.
fn order(time: f64) -> u64 {
    // Adding zero makes one of the two zeros.
    let bits = (time + 0.0).to_bits();
    if bits >> 63 == 0 {
        bits | 1 << 63
    } else {
        !bits
    }
}
