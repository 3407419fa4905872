//! A look inside a node.

use crate::address::Address;
use crate::id::NodeId;
use crate::link::{Link, Stage};
use crate::output::{LinkId, PeerInfo, PeerKind, Side};

/// What a node knows and holds, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its id.
    pub id: NodeId,
    /// The peers with an established link, by id.
    pub peers: Vec<PeerInfo>,
    /// All links, established or not, the oldest first.
    pub links: Vec<LinkInfo>,
    /// The addresses it knows.
    pub addresses: Vec<AddressInfo>,
    /// How many dials are under way that have no link yet.
    pub dials: usize,
    /// How many message ids are remembered.
    pub seen: usize,
    /// The recent broadcasts that are kept.
    pub log: LogInfo,
    /// How many messages wait for a link to their receiver.
    pub waiting_for_route: usize,
    /// How many outputs wait to be drained.
    pub undrained: usize,
}

/// What is in a node's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogInfo {
    /// How many broadcasts are kept.
    pub messages: usize,
    /// The bytes that they take.
    pub bytes: usize,
    /// How many of them are this node's own and not known to be anywhere else.
    pub unheld: usize,
    /// Of how many streams it is known what came.
    pub streams: usize,
}

/// A link, established or not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkInfo {
    /// Its id.
    pub link: LinkId,
    /// Which end we are.
    pub side: Side,
    /// The address that was dialled, or that it was accepted from.
    pub remote: Address,
    /// Who is at the other end, if that is known.
    pub peer: Option<NodeId>,
    /// What kind of node that is, as far as it is known.
    pub kind: PeerKind,
    /// How far it has come.
    pub state: LinkState,
    /// How many bytes wait to be sent.
    pub queued: usize,
    /// Whether broadcasts wait for it in the log.
    pub is_behind: bool,
    /// How many bytes are held of an unfinished frame.
    pub partial: usize,
    /// How many messages that this node lacks it has asked for there, and they have not come yet.
    pub asked: u64,
}

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LinkState {
    /// Its handshakes are not complete.
    Greeting,
    /// Its handshake is held back, because another link to the same node is preferred.
    Held,
    /// Its handshakes were exchanged.
    Established,
    /// It sends what waits, then closes.
    Closing,
}

/// An address in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressInfo {
    /// The address.
    pub address: Address,
    /// Who was there, or is said to be there.
    pub id: Option<NodeId>,
    /// How many dials failed since the last good one.
    pub failures: u32,
}

impl LinkInfo {
    pub(crate) fn of(link: &Link) -> Self {
        Self {
            link: link.id,
            side: link.side,
            remote: link.remote.clone(),
            peer: link.peer_id().cloned(),
            kind: link.kind,
            state: match link.stage {
                Stage::Greeting | Stage::Offered | Stage::Awaiting => LinkState::Greeting,
                Stage::Held => LinkState::Held,
                Stage::Established => LinkState::Established,
                Stage::Closing => LinkState::Closing,
            },
            queued: link.outbox.len(),
            is_behind: link.feed.behind.is_some(),
            partial: link.reader.partial_len(),
            asked: link.feed.asked(),
        }
    }
}

impl AddressInfo {
    pub(crate) fn of((address, id, failures): (&Address, Option<&NodeId>, u32)) -> Self {
        Self {
            address: address.clone(),
            id: id.cloned(),
            failures,
        }
    }
}
