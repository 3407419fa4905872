//! What a world tells those who judge it: few and small things, cheap enough to be told in every run.

use crate::chance::hash_bytes;
use crate::node::{Delivery, MessageKey, PeerKey, Place, Position, StreamKey};
use crate::report::Checker;
use crate::scenario::{Kind, Stop};

/// A life: which node, and which life of it, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a name is its parts")]
pub struct Life {
    /// The node, counted from 0.
    pub node: u32,
    /// Which life of it.
    pub life: u32,
}

/// A message that an application published and its node accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) by: Life,
    pub(crate) key: MessageKey,
    pub(crate) position: Option<Position>,
    pub(crate) len: usize,
    /// A hash of the payload.
    pub(crate) content: u64,
    /// For all, or for one node only, with the number of its [`Fact::SentTo`].
    pub(crate) to: Option<(u64, u32)>,
}

impl Published {
    /// Returns the account of a message to one node. It has no key of its own, so its content is its key.
    pub(crate) fn to_one(by: Life, number: u64, to: u32, payload: &[u8]) -> Self {
        let content = hash_bytes(payload);
        Self {
            by,
            key: MessageKey(content),
            position: None,
            len: payload.len(),
            content,
            to: Some((number, to)),
        }
    }
}

/// A connection between two nodes, by a number that no other has in a world.
pub(crate) type ConnNumber = u64;

/// Something that those who judge have to know. The time is told with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A life began.
    Born {
        life: Life,
        place: Place,
        identity: Option<PeerKey>,
        kind: Kind,
        /// Whether it means harm: nothing that it does is judged, and it is owed nothing.
        is_hostile: bool,
        /// Whether it came with what an earlier life saved.
        is_restored: bool,
    },
    /// A life ended.
    Died { life: Life, how: Stop },
    /// The node does nothing from now on, or goes on.
    Paused { life: Life, is_paused: bool },
    /// An application's message was accepted. Messages are counted from 0, in this order.
    Published(Published),
    /// An application's message was refused for good, or until its node died. It was not published.
    Refused { life: Life, why: String },
    /// A message was delivered. `content` is a hash of the payload.
    Delivered {
        life: Life,
        delivery: Delivery,
        content: u64,
    },
    /// A node told that messages are missing.
    Gap {
        life: Life,
        stream: StreamKey,
        first: u64,
        last: u64,
    },
    /// A node told what became of a private message.
    Outcome {
        life: Life,
        number: u64,
        is_delivered: bool,
    },
    /// A connection was made, and both ends have it.
    Connected { conn: ConnNumber, ends: [Life; 2] },
    /// It is gone, for one end at least.
    Disconnected { conn: ConnNumber },
    /// A fault holds what the first or the second end sends on it, or no more.
    Held {
        conn: ConnNumber,
        is_held: [bool; 2],
    },
    /// One end says that it leads to a peer by now, or no more. Messages flow between two that both say so.
    Peer {
        conn: ConnNumber,
        life: Life,
        peer: PeerKey,
        is_up: bool,
    },
    /// The world itself saw a rule broken.
    Breach {
        life: Life,
        checker: Checker,
        kind: &'static str,
        sentence: String,
    },
}
