//! What can go wrong. What the caller did wrong is an error from the call, and the state is as it
//! was before. What a peer did wrong is protocol: a [`CloseReason`] and an event.

use std::fmt;

use crate::address::Address;
use crate::id::{NodeId, ProtocolId};
use crate::output::LinkId;
use crate::save::SaveError;
use crate::wire::fault::{ControlFault, MessageFault};
use crate::wire::payload::SubFlag;
use crate::wire::refusal::PayloadFault;

/// A [`Config`](crate::Config) that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The field at fault.
    pub field: &'static str,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.rule)
    }
}

impl std::error::Error for ConfigError {}

/// Why a node cannot go on from what was saved. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// The configuration cannot work.
    Config(ConfigError),
    /// The bytes are not what a node of this network saves, or not all of it.
    Save(SaveError),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Save(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RestoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            Self::Config(error) => error,
            Self::Save(error) => error,
        })
    }
}

impl From<ConfigError> for RestoreError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<SaveError> for RestoreError {
    fn from(error: SaveError) -> Self {
        Self::Save(error)
    }
}

/// Why a message was not accepted. Nothing was sent, and nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The packed message would be longer than [`Config::max_message_len`](crate::Config::max_message_len); or, of a
    /// broadcast, than this node's half of [`Config::log_len`](crate::Config::log_len).
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Some peers would break on these packets; the fault says why.
    Payload(PayloadFault),
    /// Integers below 0x30 and the text `rs2p` are the protocol's own sub-flags.
    ReservedSubFlag(SubFlag),
    /// A link's queue is half full. [`Event::Room`](crate::Event::Room) tells when it is worth
    /// trying again.
    Full,
    /// There is no established link to this node, and the call asks for one.
    NotANeighbour(NodeId),
    /// The link is not established, or not any more.
    NoLink(LinkId),
    /// The message is addressed to this node itself.
    Ourselves,
    /// As many messages wait for a search for their receiver as
    /// [`Config::max_searches`](crate::Config::max_searches) allows.
    TooManySearches {
        /// The limit.
        limit: usize,
    },
    /// [`MeshState::shutdown`](crate::MeshState::shutdown) was called.
    ShutDown,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, limit } => {
                write!(f, "message of {len} bytes is over the limit of {limit}")
            }
            Self::Payload(fault) => fault.fmt(f),
            Self::ReservedSubFlag(sub_flag) => write!(
                f,
                "sub-flag {sub_flag} is reserved: use text, or integers from 48 on"
            ),
            Self::Full => f.write_str("a link's queue is full"),
            Self::NotANeighbour(id) => write!(f, "no link to node {id}"),
            Self::NoLink(link) => write!(f, "{link} is not established"),
            Self::Ourselves => f.write_str("the message is addressed to this node itself"),
            Self::TooManySearches { limit } => {
                write!(f, "too many messages wait for a search; {limit} may")
            }
            Self::ShutDown => f.write_str("this node is shut down"),
        }
    }
}

impl std::error::Error for SendError {}

impl From<PayloadFault> for SendError {
    fn from(fault: PayloadFault) -> Self {
        Self::Payload(fault)
    }
}

/// Why a dial did not give a byte stream, as the driver reports it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DialFailure {
    /// The other host said that nobody listens there.
    Refused,
    /// No answer came in time.
    TimedOut,
    /// No way leads to that host.
    Unreachable,
    /// The name of the host has no address.
    UnknownHost,
    /// A stream was had, but its encryption or upgrade failed; the text is the library's.
    Upgrade(String),
    /// Anything else; the text is the system's.
    Other(String),
}

impl fmt::Display for DialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Unreachable => f.write_str("host unreachable"),
            Self::UnknownHost => f.write_str("unknown host"),
            Self::Upgrade(why) => write!(f, "no secure or upgraded stream: {why}"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// Why [`MeshState::connect`](crate::MeshState::connect), or a dial of the node's own, gave no peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// No byte stream was had.
    Dial(DialFailure),
    /// The node there belongs to another network: another subnet, or another encryption.
    WrongNetwork {
        /// Its protocol id.
        theirs: ProtocolId,
    },
    /// The address is our own.
    Ourselves,
    /// There is a link to the node at this address already.
    Duplicate(NodeId),
    /// The stream was had, and closed before the handshakes were exchanged; or never shook hands.
    Closed(CloseReason),
    /// As many links are open as [`Config::max_links`](crate::Config::max_links) allows.
    TooManyLinks {
        /// The limit.
        limit: usize,
    },
    /// An address that cannot be dialled: port 0, or an unspecified host.
    BadAddress(Address),
    /// [`MeshState::shutdown`](crate::MeshState::shutdown) was called.
    ShutDown,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(failure) => failure.fmt(f),
            Self::WrongNetwork { theirs } => {
                write!(f, "wrong network: the node there has protocol id {theirs}")
            }
            Self::Ourselves => f.write_str("that address is this node's own"),
            Self::Duplicate(id) => write!(f, "already linked to that node, {id}"),
            Self::Closed(reason) => write!(f, "no handshake: {reason}"),
            Self::TooManyLinks { limit } => write!(f, "all {limit} links are in use"),
            Self::BadAddress(address) => write!(f, "{address} cannot be dialled"),
            Self::ShutDown => f.write_str("this node is shut down"),
        }
    }
}

impl std::error::Error for ConnectError {}

/// Why an accepted byte stream was turned away; the driver drops it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptError {
    /// As many streams are open as [`Config::max_links`](crate::Config::max_links) and
    /// [`Config::max_pending`](crate::Config::max_pending) allow together.
    TooManyLinks {
        /// Their sum.
        limit: usize,
    },
    /// [`Config::max_pending`](crate::Config::max_pending) is reached.
    TooManyPending {
        /// The limit.
        limit: usize,
    },
    /// [`MeshState::shutdown`](crate::MeshState::shutdown) was called.
    ShutDown,
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyLinks { limit } => write!(f, "all {limit} links are in use"),
            Self::TooManyPending { limit } => {
                write!(f, "{limit} links are waiting for their handshake already")
            }
            Self::ShutDown => f.write_str("this node is shut down"),
        }
    }
}

impl std::error::Error for AcceptError {}

/// Why a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer broke a rule of the protocol; the fault says which.
    Fault(PeerFault),
    /// The peer belongs to another network.
    WrongNetwork {
        /// Its protocol id.
        theirs: ProtocolId,
    },
    /// The peer has our own id: we dialled ourselves, or it lies.
    Ourselves,
    /// Another link to the same node is kept instead.
    Duplicate(NodeId),
    /// No handshake was complete within [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    HandshakeTimeout,
    /// A frame stayed unfinished for longer than
    /// [`Config::half_frame_timeout`](crate::Config::half_frame_timeout) allows.
    HalfFrameTimeout,
    /// Bytes waited, and the link took none for [`Config::stall_timeout`](crate::Config::stall_timeout).
    Stalled,
    /// A native link on which nothing came, not even the answer to a ping, for twice
    /// [`Config::ping_interval`](crate::Config::ping_interval).
    Silent,
    /// More would have waited than [`Config::link_queue_limit`](crate::Config::link_queue_limit).
    Overflow {
        /// The limit in bytes.
        limit: usize,
    },
    /// The application asked for it.
    Requested,
    /// This node is shutting down.
    ShutDown,
    /// The other side closed it, or the connection broke.
    PeerClosed,
    /// The other side closed it, and said before that it would: it leaves, or does not want the link.
    PeerLeft,
    /// The other side has no place for another link, or gave this one up for another. It has told of others, and those are
    /// dialled.
    TurnedAway,
    /// This node has no place for another link, or gave this one up for another: see
    /// [`Config::max_links`](crate::Config::max_links).
    NoPlace,
    /// A probe ([`Config::probe_interval`](crate::Config::probe_interval)) found a node that is reached by other links.
    Redundant,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "protocol fault: {fault}"),
            Self::WrongNetwork { theirs } => write!(f, "wrong network, protocol id {theirs}"),
            Self::Ourselves => f.write_str("the node at the other end has our own id"),
            Self::Duplicate(id) => write!(f, "another link to node {id} is kept"),
            Self::HandshakeTimeout => f.write_str("no handshake in time"),
            Self::HalfFrameTimeout => f.write_str("an unfinished frame in all the time allowed"),
            Self::Stalled => f.write_str("it takes no bytes"),
            Self::Silent => f.write_str("nothing comes from it, not even the answer to a ping"),
            Self::Overflow { limit } => write!(f, "over {limit} bytes waited to be sent"),
            Self::Requested => f.write_str("the application asked for it"),
            Self::ShutDown => f.write_str("this node is shutting down"),
            Self::PeerClosed => f.write_str("the other side closed it, or the connection broke"),
            Self::PeerLeft => f.write_str("the other side took its leave"),
            Self::TurnedAway => f.write_str("the other side has no place for another link"),
            Self::NoPlace => f.write_str("this node has no place for another link"),
            Self::Redundant => f.write_str("the node is reached by other links"),
        }
    }
}

/// Which rule of the protocol a peer broke.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerFault {
    /// A frame longer than [`Config::max_frame_len`](crate::Config::max_frame_len) was announced, or came out of
    /// decompression.
    FrameTooLong {
        /// Its announced length in bytes; for a decompressed frame, the limit plus one.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A frame too short to hold a checksum and a message.
    FrameTooShort {
        /// Its length in bytes.
        len: usize,
    },
    /// The checksum does not fit the message, by any compression method known here.
    Checksum,
    /// The message is not what a message has to be.
    Message(MessageFault),
    /// A message of the protocol's own has a field of the wrong type.
    Control(ControlFault),
    /// A second handshake on the link named another node.
    IdChanged {
        /// The id that the link was established with.
        from: NodeId,
        /// The new one.
        to: NodeId,
    },
}

impl fmt::Display for PeerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrameTooLong { len, limit } => {
                write!(f, "frame of {len} bytes is over the limit of {limit}")
            }
            Self::FrameTooShort { len } => write!(f, "frame of {len} bytes is too short"),
            Self::Checksum => f.write_str("checksum mismatch"),
            Self::Message(fault) => fault.fmt(f),
            Self::Control(fault) => fault.fmt(f),
            Self::IdChanged { from, to } => {
                write!(f, "handshake of node {to} on the link of node {from}")
            }
        }
    }
}

impl std::error::Error for PeerFault {}

impl From<MessageFault> for PeerFault {
    fn from(fault: MessageFault) -> Self {
        Self::Message(fault)
    }
}

impl From<ControlFault> for PeerFault {
    fn from(fault: ControlFault) -> Self {
        Self::Control(fault)
    }
}
