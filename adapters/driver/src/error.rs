//! What can go wrong with a socket.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rs2p_core::{Address, ConfigError, Encryption, NodeId, SaveError};

use crate::ConnectFailure;
use crate::address::AddressError;

/// Why a socket was not made. Nothing listens, nothing runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// An address given to the builder is none.
    Address(AddressError),
    /// It cannot listen there: the port is in use, say.
    Listen {
        /// Where.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration cannot work.
    Config(ConfigError),
    /// The crate was built without the feature for such links.
    Unsupported {
        /// The encryption asked for.
        encryption: Encryption,
    },
    /// No certificate could be made; the text is the library's.
    Certificate(String),
    /// The file that the node's state is kept in cannot be opened, or another node uses it.
    Store {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is in that file is nothing that the node can go on from. The file is as it was: move it away to begin
    /// anew.
    Restore {
        /// The file.
        path: PathBuf,
        /// The rule that it breaks.
        source: SaveError,
    },
    /// The system gave no random bytes, without which a node has no id.
    Random(getrandom::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "cannot listen on {address}: the port is in use")
            }
            Self::Listen { address, source } => write!(f, "cannot listen on {address}: {source}"),
            Self::Config(error) => write!(f, "configuration: {error}"),
            Self::Unsupported { encryption } => {
                write!(f, "this build has no support for {encryption}")
            }
            Self::Store { path, source } => {
                write!(f, "cannot keep the state in {}: {source}", path.display())
            }
            Self::Restore { path, source } => {
                write!(f, "cannot go on from {}: {source}", path.display())
            }
            Self::Certificate(text) => write!(f, "cannot make a certificate: {text}"),
            Self::Random(error) => write!(f, "no random bytes: {error}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address(error) => Some(error),
            Self::Listen { source, .. } => Some(source),
            Self::Config(error) => Some(error),
            Self::Random(error) => Some(error),
            Self::Store { source, .. } => Some(source),
            Self::Restore { source, .. } => Some(source),
            Self::Unsupported { .. } | Self::Certificate(_) => None,
        }
    }
}

impl From<AddressError> for BindError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

/// Why [`MeshSocket::connect`](crate::MeshSocket::connect) did not lead to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text is no address.
    Address(AddressError),
    /// It could not be dialled, or what was there is no peer for us.
    Failed(ConnectFailure),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address(error) => Some(error),
            Self::Failed(failure) => Some(failure),
        }
    }
}

impl From<AddressError> for ConnectError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

impl From<ConnectFailure> for ConnectError {
    fn from(failure: ConnectFailure) -> Self {
        Self::Failed(failure)
    }
}

/// Why there is no message to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// At this place messages are missing: they came while the queue was full. Told once; what came
    /// after them follows.
    Lagged(Lagged),
    /// The socket is closed, and everything that came before was received.
    Closed,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lagged(lagged) => lagged.fmt(f),
            Self::Closed => f.write_str("the socket is closed"),
        }
    }
}

impl std::error::Error for RecvError {}

/// At this place of a stream items are missing: they came while its queue was full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lagged {
    /// How many.
    pub missed: u64,
    /// Which of them are broadcasts of native nodes, by sender, epoch and sequence. The rest has no names: whispers,
    /// messages of legacy nodes, events. Up to 1,024 ranges are kept for a queue, and what is beyond is only in the count.
    pub ranges: Vec<Missed>,
}

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} were missed: the queue was full", self.missed)
    }
}

impl std::error::Error for Lagged {}

/// Broadcasts of one node that were missed, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missed {
    /// Whose they were.
    pub origin: NodeId,
    /// In which life of it: see [`Message::epoch`](crate::Message::epoch).
    pub epoch: u64,
    /// The [sequence](crate::Message::sequence) of the first.
    pub first: u64,
    /// That of the last. None between them was received.
    pub last: u64,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            origin,
            first,
            last,
            ..
        } = self;
        write!(f, "{first} to {last} of node {origin}")
    }
}
