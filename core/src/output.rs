//! What comes out of the state: things for the driver to do, in the order in which to do them.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::address::Address;
use crate::error::{CloseReason, ConnectError};
use crate::id::{MessageId, NodeId};
use crate::message::Message;
use crate::wire::refusal::PayloadFault;

/// A byte stream to another node. Given out by the state, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) u64);

impl LinkId {
    /// Returns the number behind the id, for logs and maps.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// An attempt to reach an address. Given out by the state, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub(crate) u64);

impl DialId {
    /// Returns the number behind the id, for logs and maps.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A message to one node on its way. Given out by the state, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendId(pub(crate) u64);

impl SendId {
    /// Returns the number behind the id, for logs and maps.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// What [`broadcast`](crate::MeshState::broadcast) returns: the message is accepted. See
/// [`MeshState::spread`](crate::MeshState::spread) for what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub(crate) id: MessageId,
    pub(crate) sequence: u64,
}

impl Ticket {
    /// Returns the id of the message.
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// Returns which broadcast of this node it is, counted from 1: receivers see it as
    /// [`Message::sequence`].
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// How far a broadcast has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spread {
    /// How many neighbours there are.
    pub neighbours: usize,
    /// To how many of them it was sent, or need not be sent any more.
    pub sent: usize,
    /// How many of them have said that they have it, and pass it on to others. Legacy nodes say nothing.
    pub held: usize,
    /// Whether this node still has it, for those who lack it.
    pub is_kept: bool,
}

/// Which end of a link this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a link has two ends")]
pub enum Side {
    /// This node dialled.
    Dialed,
    /// The other node dialled.
    Accepted,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dialed => "dialed",
            Self::Accepted => "accepted",
        })
    }
}

/// What kind of node a peer is, as its handshake shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PeerKind {
    /// An rs2p node: it sent the hello of native links.
    Native,
    /// py2p on CPython 3: ids and protocol id in binary.
    Py2p,
    /// py2p on CPython 2.7: the same, and hosts in binary too.
    Py2p27,
    /// js2p: ids and protocol id as text.
    Js2p,
    /// None of these; it gets what every kind of peer can stand.
    Other,
}

impl fmt::Display for PeerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "rs2p",
            Self::Py2p => "py2p",
            Self::Py2p27 => "py2p on CPython 2.7",
            Self::Js2p => "js2p",
            Self::Other => "unknown",
        })
    }
}

/// Whether bytes may share a TLS record with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "drivers handle both")]
pub enum Batching {
    /// They may: the more in one write, the better.
    Free,
    /// They must not: over TLS these bytes begin a record, and are flushed before others follow. py2p does
    /// not see what a record holds after the end of a frame until more data comes.
    OwnRecord,
}

/// One thing that the driver has to do. Carry them out in the order in which they come.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "drivers handle all of them")]
pub enum Output {
    /// Open a byte stream to this address, then call
    /// [`handle_dial_succeeded`](crate::MeshState::handle_dial_succeeded) or
    /// [`handle_dial_failed`](crate::MeshState::handle_dial_failed).
    Dial(DialId, Address),
    /// The outcome of this dial is of no interest any more: stop it, and drop the stream if there
    /// is one. Telling the outcome all the same does no harm.
    CancelDial(DialId),
    /// Write these bytes to the link, after everything already written to it. Never more than the
    /// link's credit, which they use up.
    Send {
        /// The link to write to.
        link: LinkId,
        /// What to write; never empty.
        bytes: Bytes,
        /// Whether they may share a TLS record with what follows.
        batching: Batching,
    },
    /// Flush what was written, then close the link. No later output names it, and inputs that do
    /// are ignored.
    Close(LinkId, CloseReason),
    /// A message for the application.
    Message(Message),
    /// Store these bytes in the place of the last ones, so that one of the two is whole whatever happens. The next life of
    /// the node goes on from them: see [`MeshState::restore`](crate::MeshState::restore). Only with
    /// [`Config::save_interval`](crate::Config::save_interval). They need not be stored at once, and of several the last is enough.
    Persist(Bytes),
    /// Something that the application may want to know. It may be ignored.
    Event(Event),
}

/// Something that happened to the node.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The first link of this node was established: it is part of a network.
    Joined,
    /// A link was established after there had been none for a while.
    JoinedAgain,
    /// The last link is gone. The node goes on trying.
    Isolated,
    /// A link was established. It is in the table of peers by now.
    PeerUp(PeerInfo),
    /// An established link ended.
    PeerDown {
        /// The peer as it was.
        peer: PeerInfo,
        /// Why.
        reason: CloseReason,
    },
    /// A link ended before it was established.
    Rejected {
        /// The address that was dialled, or that the link was accepted from.
        address: Address,
        /// Which end we were.
        side: Side,
        /// Why.
        reason: CloseReason,
    },
    /// What [`connect`](crate::MeshState::connect) asked for was done.
    Connected {
        /// The dial that `connect` returned.
        dial: DialId,
        /// Who is there.
        peer: NodeId,
    },
    /// What [`connect`](crate::MeshState::connect) asked for cannot be done.
    ConnectFailed {
        /// The dial that `connect` returned.
        dial: DialId,
        /// The address.
        address: Address,
        /// Why.
        error: ConnectError,
    },
    /// A dial of the node's own accord failed.
    DialFailed {
        /// The address.
        address: Address,
        /// Why.
        error: ConnectError,
        /// How long it will be left alone, unless something else makes it worth a dial.
        retry_in: Duration,
    },
    /// What became of a message to one node.
    Sent {
        /// What [`send_to`](crate::MeshState::send_to) or [`reply`](crate::MeshState::reply) returned.
        send: SendId,
        /// What became of it.
        outcome: SendOutcome,
    },
    /// Every link's queue is below half again, after a message was refused as
    /// [`SendError::Full`](crate::SendError::Full).
    Room,
    /// A message was not sent to a peer that could not live with it.
    Withheld {
        /// The message.
        id: MessageId,
        /// The peer that does not get it.
        peer: NodeId,
        /// What would break the peer.
        why: WithheldReason,
    },
    /// A broadcast was dropped: it is older than the 60 s of the legacy protocol, by its sender's
    /// clock and ours.
    Expired {
        /// Who sent it.
        sender: NodeId,
        /// By how many seconds it is too old.
        seconds: u64,
    },
    /// The clock of a legacy neighbour and ours differ by so much that it drops what this node broadcasts, or this node
    /// what it broadcasts: legacy nodes drop what is a minute old by their own clock. Native nodes do not mind.
    ///
    /// Told once for each neighbour, within a second of the first message that shows it, again when the difference has changed by half
    /// a minute, and when all is well again. While the neighbour's clock is ahead, what is broadcast reaches it as whispers.
    ClockSkew {
        /// The neighbour.
        peer: NodeId,
        /// By how many seconds its clock is ahead of ours; behind, if negative. 55 or more on either side are
        /// too many.
        seconds: i64,
    },
    /// A peer sends more control messages than
    /// [`Config::max_control_rate`](crate::Config::max_control_rate); for the rest of this second they
    /// are ignored.
    ControlFlood {
        /// The link it comes in on.
        link: LinkId,
        /// The limit.
        limit: u32,
    },
    /// Broadcasts of a node that this one cannot have any more. They are none of what was delivered, and none of them
    /// will be.
    Gap {
        /// Whose they were.
        origin: NodeId,
        /// In which life of it: see [`Message::epoch`].
        epoch: u64,
        /// The first that is missing.
        first: u64,
        /// The last that is missing: all between are, too.
        last: u64,
        /// Why they are given up.
        why: GapReason,
    },
    /// More nodes broadcast than [`Config::max_streams`](crate::Config::max_streams): what is known of the messages of the
    /// one that was silent longest was forgotten. If one of them comes again it is taken for new.
    StreamForgotten {
        /// Whose messages they were.
        origin: NodeId,
    },
    /// More ids came than [`Config::max_seen`](crate::Config::max_seen): the oldest were forgotten
    /// early, and a late copy of their messages would be taken for new.
    SeenOverflow {
        /// How many were forgotten.
        forgotten: usize,
    },
    /// Broadcasts of an earlier life of this node, accepted and in no neighbour's log by its end, are lost: too many waited to be
    /// saved.
    OwnLost {
        /// Of which life.
        epoch: u64,
        /// The first that is lost.
        first: u64,
        /// The last that is lost: all between are, too.
        last: u64,
    },
    /// The node has shut down: every link is closed, and no output follows.
    ShutDown,
}

/// Why messages are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// The neighbours that had them have dropped them from their logs, and no other has them, for
    /// [`Config::gap_grace`](crate::Config::gap_grace).
    Evicted,
    /// A later message of the same sender had to leave the log, for want of room, before they came.
    Room,
    /// A later message of the same sender was as old as [`Config::log_age`](crate::Config::log_age) before they came.
    Age,
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evicted => "those who had them have dropped them",
            Self::Room => "there was no room to wait for them any longer",
            Self::Age => "they did not come while what followed them was kept",
        })
    }
}

/// Why a message was not sent to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WithheldReason {
    /// Its frame is longer than the peer takes, or, of a legacy peer, than it relays without damage.
    TooLong {
        /// The limit in bytes, of the frame's body.
        limit: usize,
    },
    /// The peer would end the link on such content.
    Content(PayloadFault),
}

impl fmt::Display for WithheldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "frames for it end at {limit} bytes"),
            Self::Content(fault) => fault.fmt(f),
        }
    }
}

/// What became of a message to one node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendOutcome {
    /// The node has it, and has said so: it was handed to the application there, once. Should that crash before it comes
    /// to read the message, it is lost: unlike a broadcast it is not handed over again after a restart.
    Delivered,
    /// A native neighbour of the node, which is a legacy one, has sent it there. The legacy protocol has no
    /// acknowledgement, so this is all that can be known.
    HandedOver {
        /// The neighbour.
        by: NodeId,
    },
    /// It was sent, more than once if there was time, and nothing was heard of it within
    /// [`Config::send_timeout`](crate::Config::send_timeout): whether it arrived is not known.
    Unacknowledged,
    /// It got there, and was not taken: the node could not tell any more whether it had it before.
    Refused,
    /// A native node on the only way found takes no messages that long.
    TooLong,
    /// All its bytes were handed to the driver, on a link to that node, which does not acknowledge. Legacy nodes do
    /// not, so this is all that can be known there.
    Sent {
        /// The link.
        link: LinkId,
    },
    /// The link ended before all its bytes were handed to the driver.
    LinkLost(CloseReason),
    /// Nobody answered the search for the node within [`Config::search_timeout`](crate::Config::search_timeout).
    NotFound,
    /// The node's address was found, and dialling it failed.
    Unreachable(ConnectError),
    /// The node was shut down first.
    ShutDown,
}

impl fmt::Display for SendOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered => f.write_str("delivered"),
            Self::HandedOver { by } => write!(f, "handed over by node {by}"),
            Self::Unacknowledged => f.write_str("sent, and not acknowledged in time"),
            Self::Refused => f.write_str("refused by the other node"),
            Self::TooLong => f.write_str("too long for a node on the way"),
            Self::Sent { link } => write!(f, "sent on {link}"),
            Self::LinkLost(reason) => write!(f, "the link was lost: {reason}"),
            Self::NotFound => f.write_str("nobody knows a way to that node"),
            Self::Unreachable(error) => write!(f, "found, but out of reach: {error}"),
            Self::ShutDown => f.write_str("this node was shut down"),
        }
    }
}

/// A peer with an established link.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// Its id.
    pub id: NodeId,
    /// What kind of node it is.
    pub kind: PeerKind,
    /// The link to it.
    pub link: LinkId,
    /// Which end we are.
    pub side: Side,
    /// The address that was dialled, or that the link was accepted from.
    pub remote: Address,
    /// The address at which it says it can be reached.
    pub address: Option<Address>,
    /// How long it took to answer our greeting, if it has: an upper bound of the round trip.
    pub round_trip: Option<Duration>,
}
