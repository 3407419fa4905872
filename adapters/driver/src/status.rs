//! How a socket is doing.

use std::fmt;
use std::time::SystemTime;

use rs2p_core::{LinkInfo, PeerInfo, Snapshot};

/// Whether a socket is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SocketState {
    /// It takes part in its network, or tries to.
    Open,
    /// It sends what it has accepted, and closes its links.
    Closing,
    /// It is closed for good.
    Closed,
}

impl fmt::Display for SocketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Closed => "closed",
        })
    }
}

/// A look at a socket at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Whether it is in use.
    pub state: SocketState,
    /// What its node knows and holds: peers, links, addresses.
    pub node: Snapshot,
    /// About how many bytes the node holds, without its fixed size: queues, unfinished frames, the log, tables. What was
    /// handed to links and what waits to be received is not in it.
    pub memory: usize,
    /// How many bytes were handed to links and not written yet.
    pub unwritten: usize,
    /// How many messages wait to be received.
    pub received: usize,
    /// How many bytes the packets of those have.
    pub received_bytes: usize,
    /// How many messages were lost in all, because they came while the queue was full.
    pub missed: u64,
    /// What went wrong lately, the oldest first: up to 64.
    pub problems: Vec<Problem>,
}

impl Status {
    /// Returns the peers with an established link, by id.
    pub fn peers(&self) -> &[PeerInfo] {
        &self.node.peers
    }

    /// Returns all links, established or not, the oldest first.
    pub fn links(&self) -> &[LinkInfo] {
        &self.node.links
    }
}

/// Something that went wrong, and that the node has dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// When.
    pub time: SystemTime,
    /// What.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.what)
    }
}
