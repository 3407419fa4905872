//! What happened, record by record: what the views for people and scripts are made from.

use crate::node::{ConnId, MessageKey, PeerKey, Place, Position, StreamKey};
use crate::time::Time;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Record {
    /// Its number: the place in the trace. Records are in the order in which things happened.
    pub number: u64,
    /// When it happened.
    pub at: Time,
    /// To which node; `None` is the world itself.
    pub node: Option<u32>,
    /// In which life of it, counted from 1.
    pub life: u32,
    /// The record that this one follows from, besides the one before it at the same node: what was sent for what
    /// arrived, the fault for what it broke.
    pub cause: Option<u64>,
    /// What it was.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum What {
    /// A life began, at a place.
    Started {
        /// Where.
        place: Place,
        /// What it is, in a word.
        kind: String,
        /// Whether it has its memory.
        is_restored: bool,
    },
    /// A life ended, in words: left, crashed, lost power.
    Stopped(String),
    /// The node does nothing from now on.
    Paused,
    /// The node goes on.
    Resumed,
    /// It dials.
    Dialed {
        /// Its own name for the dial.
        dial: u64,
        /// The place that it dials.
        to: Place,
    },
    /// A dial failed, in words.
    DialFailed {
        /// Its own name for the dial.
        dial: u64,
        /// The place that it dialled.
        to: Place,
        /// Why.
        why: String,
    },
    /// It has a connection.
    Connected {
        /// Its end.
        conn: ConnId,
        /// The node at the other end.
        peer: u32,
        /// Whether this node dialled.
        dialed: bool,
    },
    /// It wrote bytes.
    Sent {
        /// Its end.
        conn: ConnId,
        /// The node at the other end.
        peer: u32,
        /// How many bytes.
        len: usize,
        /// What they say, a line for each frame that ends in them. Where a frame goes on, nothing.
        says: Vec<String>,
    },
    /// Bytes arrived. The cause is the last record of sending that they came from.
    Received {
        /// Its end.
        conn: ConnId,
        /// The node at the other end.
        peer: u32,
        /// How many bytes.
        len: usize,
        /// What they say, a line for each frame that ends in them.
        says: Vec<String>,
    },
    /// It closed a connection, and why.
    Closed {
        /// Its end.
        conn: ConnId,
        /// The node at the other end.
        peer: u32,
        /// Why, in its own words.
        why: String,
    },
    /// It learned that a connection is closed.
    Lost {
        /// Its end.
        conn: ConnId,
        /// The node at the other end.
        peer: u32,
        /// In a word: closed, reset.
        how: String,
    },
    /// The connection leads to a peer by now.
    PeerUp {
        /// Its end.
        conn: ConnId,
        /// The node at the other end.
        peer: u32,
    },
    /// The connection leads to a peer no more.
    PeerDown {
        /// Its end.
        conn: ConnId,
        /// The node at the other end.
        peer: u32,
    },
    /// Its application published a message.
    Published {
        /// Which message of the scenario, counted from 0 in order of publishing.
        message: u32,
        /// Its identity.
        key: MessageKey,
        /// Its place among its sender's.
        position: Option<Position>,
        /// How many bytes it is long.
        len: usize,
    },
    /// Its application's message was not accepted, and why.
    Refused(String),
    /// Its application sent a message to one node.
    SentTo {
        /// The number of the message.
        number: u64,
        /// The node that it is for.
        peer: u32,
    },
    /// A message was delivered to its application. The cause is the record of the bytes that it came in.
    Delivered {
        /// Which message of the scenario; `None` if nobody published it.
        message: Option<u32>,
        /// Who is said to have sent it.
        sender: PeerKey,
        /// The node that it came from, if that is known.
        from: Option<u32>,
    },
    /// It told its application that messages are missing.
    Gap {
        /// Of which stream.
        stream: StreamKey,
        /// The first.
        first: u64,
        /// The last.
        last: u64,
        /// Why, in its own words.
        why: String,
    },
    /// Something else that it told, in words.
    Told(String),
    /// A fault of the scenario began: its place in the list, and in words.
    FaultBegan(u32, String),
    /// A fault ended.
    FaultEnded(u32),
    /// A phase of the run began: form, storm, converge, probe, quiet.
    Phase(String),
    /// A checker found something.
    Violated {
        /// Which checker.
        checker: String,
        /// In a sentence.
        sentence: String,
    },
}

impl What {
    /// A connection leads to a peer, or does no more.
    pub(crate) const fn peer(conn: ConnId, peer: u32, is_up: bool) -> Self {
        if is_up {
            Self::PeerUp { conn, peer }
        } else {
            Self::PeerDown { conn, peer }
        }
    }
}

/// All that happened in a run, with what is needed to read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Trace {
    /// The records, in order.
    pub records: Vec<Record>,
    /// How many nodes there are.
    pub nodes: u32,
    /// The faults in words, with when they began and ended, in milliseconds of world time.
    pub faults: Vec<FaultSpan>,
}

/// A fault as it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct FaultSpan {
    /// In words.
    pub what: String,
    /// When it began.
    pub began: Time,
    /// When it ended, if it did.
    pub ended: Option<Time>,
    /// The nodes that it is about; none means all.
    pub nodes: Vec<u32>,
    /// What it did, in numbers: bytes held or dropped, connections hit, dials refused. Zero is a fault without effect.
    pub effect: u64,
}
