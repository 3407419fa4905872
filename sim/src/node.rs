//! What a world needs of a protocol: [`Node`], and what a node may do: [`Io`].

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::chance::hash_bytes;

/// Where a node can be dialled. A place outlives who lives there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Place(pub u32);

impl fmt::Display for Place {
    /// As an address: `10.0.0.1` is the first place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.saturating_add(1);
        write!(
            f,
            "10.{}.{}.{}",
            host >> 16 & 255,
            host >> 8 & 255,
            host & 255
        )
    }
}

/// One end of a connection, as its node knows it. Given out by the world, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct ConnId(pub(crate) u64);

impl ConnId {
    /// Returns the number behind the id, for maps and logs.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A message by its identity: the same at its publisher and at all who get it. A hash of whatever the protocol has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct MessageKey(pub u64);

/// A node by the identity that it shows to others. A hash of whatever the protocol has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct PeerKey(pub u64);

impl PeerKey {
    /// Returns the key of a node by the bytes of its id: the same for everyone who names it, of whatever kind.
    pub fn of_id(id: &[u8]) -> Self {
        Self(hash_bytes(id))
    }
}

/// A sender's messages that are in order, of which it is told when some are missing: one life of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct StreamKey(pub u64);

/// The place of a message among those of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Position {
    /// Whose messages, and of which life.
    pub stream: StreamKey,
    /// Which of them, counted from 1.
    pub sequence: u64,
}

/// What a node says of a message that it accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which message it is.
    pub key: MessageKey,
    /// Its place, in a protocol that keeps an order.
    pub position: Option<Position>,
}

/// A message for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which message it is; `None` if the protocol gave it another identity on its way.
    pub key: Option<MessageKey>,
    /// Who is said to have sent it.
    pub sender: PeerKey,
    /// Its place, in a protocol that keeps an order.
    pub position: Option<Position>,
    /// What was published.
    pub payload: Bytes,
    /// The connection that it came in on, if that is known.
    pub from: Option<ConnId>,
    /// Whether it was for this node alone.
    pub is_private: bool,
}

/// Something else that a node tells its application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The connection leads to a peer by now, and messages flow.
    PeerUp(ConnId, PeerKey),
    /// It leads to one no more.
    PeerDown(ConnId, PeerKey),
    /// Messages of a stream that will not be delivered, from the first to the last.
    Gap(StreamKey, u64, u64, String),
    /// What became of a message to one node: whether it was delivered, as far as that can be known, and in words.
    Outcome(u64, bool, String),
    /// What was refused before may be tried again.
    Room,
    /// Anything else, in words.
    Told(String),
}

/// One thing that a node wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Open a connection to a place; the number is the node's own name for it.
    Dial(u64, Place),
    /// The dial is of no interest any more. Its outcome may be told all the same.
    CancelDial(u64),
    /// Write to a connection, no more than there is room.
    Write(ConnId, Bytes),
    /// Close a connection once what was written has gone out.
    Close(ConnId, String),
    /// A message for the application.
    Deliver(Delivery),
    /// Something else for the application.
    Tell(Note),
    /// To be there again when the node comes back with its memory.
    Persist(Bytes),
    /// The node has ended of its own accord.
    Ended,
}

/// Why a dial failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DialError {
    /// Nobody listens there, or the listener has no room.
    Refused,
    /// Nothing came back.
    TimedOut,
}

/// Why a node did not accept a message of its application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no room now; [`Note::Room`] says when to try again, and the world does.
    Full,
    /// It cannot be sent, and why.
    Never(String),
}

/// What a node may do while it handles an input, and what its clocks show.
#[derive(Debug)]
pub struct Io<'a> {
    pub(crate) now: Duration,
    pub(crate) wall: Duration,
    pub(crate) actions: &'a mut Vec<Action>,
}

impl<'a> Io<'a> {
    /// Returns what stands between a node and its world: its monotonic clock, its calendar (since 1970), and a list
    /// to which its actions are added. For tests of a node by itself; a world makes its own.
    pub const fn new(now: Duration, wall: Duration, actions: &'a mut Vec<Action>) -> Self {
        Self { now, wall, actions }
    }

    /// Returns what the node's monotonic clock shows.
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// Returns what the node's calendar shows: the time since 1970.
    pub const fn wall(&self) -> Duration {
        self.wall
    }

    /// Wants something done, after all that was wanted before.
    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }
}

/// A participant of the protocol under test, as a value: all that happens to it comes as a call, and all that it does
/// goes through [`Io`].
///
/// After each call the world carries out the actions in order, and calls [`deadline`](Self::deadline). A call may name
/// what is already gone: that is for the node to ignore. A deadline may be called early, late or twice.
pub trait Node: Send {
    /// Life begins.
    fn on_start(&mut self, io: &mut Io<'_>);

    /// A connection was accepted, from someone at that place. Closing it at once turns it away.
    fn on_accepted(&mut self, conn: ConnId, from: Place, io: &mut Io<'_>);

    /// A dial succeeded. Closing the connection at once drops it.
    fn on_dialed(&mut self, dial: u64, conn: ConnId, io: &mut Io<'_>);

    /// A dial failed.
    fn on_dial_failed(&mut self, dial: u64, why: DialError, io: &mut Io<'_>);

    /// Bytes arrived, cut anywhere.
    fn on_bytes(&mut self, conn: ConnId, bytes: &Bytes, io: &mut Io<'_>);

    /// A connection can take so many more bytes. Each begins with none.
    fn on_room(&mut self, conn: ConnId, more: usize, io: &mut Io<'_>);

    /// A connection was closed by the other side, or broke.
    fn on_closed(&mut self, conn: ConnId, io: &mut Io<'_>);

    /// The deadline has come, or not quite.
    fn on_deadline(&mut self, io: &mut Io<'_>);

    /// The calendar was set.
    fn on_wall_clock(&mut self, _io: &mut Io<'_>) {}

    /// Returns when [`on_deadline`](Self::on_deadline) is to be called, by the node's monotonic clock.
    fn deadline(&self) -> Option<Duration>;

    /// Sends a message to all.
    ///
    /// # Errors
    ///
    /// The node does not accept it, and says whether it will later.
    fn publish(&mut self, payload: &Bytes, io: &mut Io<'_>) -> Result<Receipt, Refusal>;

    /// Sends a message to one node; [`Note::Outcome`] with this number tells what became of it.
    ///
    /// # Errors
    ///
    /// The node does not accept it, and says whether it will later.
    fn send_to(
        &mut self,
        _peer: PeerKey,
        _payload: &Bytes,
        _number: u64,
        _io: &mut Io<'_>,
    ) -> Result<(), Refusal> {
        Err(Refusal::Never(
            "this protocol has no private messages".to_owned(),
        ))
    }

    /// Leaves, in good order. [`Action::Ended`] tells when that is done.
    fn leave(&mut self, io: &mut Io<'_>);

    /// Returns the identity that it shows to others, if it has one.
    fn identity(&self) -> Option<PeerKey>;

    /// Returns what can be seen from outside.
    fn status(&self) -> NodeStatus;

    /// Whether it reads what arrives. While it does not, bytes wait on their way, and those who send have no more room.
    fn reads(&self) -> bool {
        true
    }

    /// Returns what bytes of a connection say, a line for each frame that is complete, and how many bytes those are; the rest
    /// is shown again with what follows it. For people.
    fn describe(&self, bytes: &[u8]) -> (Vec<String>, usize) {
        (vec![format!("{} bytes", bytes.len())], bytes.len())
    }

    /// Returns the branches of the core that this node has reached, for tests of the tests.
    #[cfg(feature = "marks")]
    fn marks(&self) -> rs2p_core::Marks {
        rs2p_core::Marks::NONE
    }
}

impl<N: Node + ?Sized> Node for Box<N> {
    fn on_start(&mut self, io: &mut Io<'_>) {
        (**self).on_start(io);
    }

    fn on_accepted(&mut self, conn: ConnId, from: Place, io: &mut Io<'_>) {
        (**self).on_accepted(conn, from, io);
    }

    fn on_dialed(&mut self, dial: u64, conn: ConnId, io: &mut Io<'_>) {
        (**self).on_dialed(dial, conn, io);
    }

    fn on_dial_failed(&mut self, dial: u64, why: DialError, io: &mut Io<'_>) {
        (**self).on_dial_failed(dial, why, io);
    }

    fn on_bytes(&mut self, conn: ConnId, bytes: &Bytes, io: &mut Io<'_>) {
        (**self).on_bytes(conn, bytes, io);
    }

    fn on_room(&mut self, conn: ConnId, more: usize, io: &mut Io<'_>) {
        (**self).on_room(conn, more, io);
    }

    fn on_closed(&mut self, conn: ConnId, io: &mut Io<'_>) {
        (**self).on_closed(conn, io);
    }

    fn on_deadline(&mut self, io: &mut Io<'_>) {
        (**self).on_deadline(io);
    }

    fn on_wall_clock(&mut self, io: &mut Io<'_>) {
        (**self).on_wall_clock(io);
    }

    fn deadline(&self) -> Option<Duration> {
        (**self).deadline()
    }

    fn publish(&mut self, payload: &Bytes, io: &mut Io<'_>) -> Result<Receipt, Refusal> {
        (**self).publish(payload, io)
    }

    fn send_to(
        &mut self,
        peer: PeerKey,
        payload: &Bytes,
        number: u64,
        io: &mut Io<'_>,
    ) -> Result<(), Refusal> {
        (**self).send_to(peer, payload, number, io)
    }

    fn leave(&mut self, io: &mut Io<'_>) {
        (**self).leave(io);
    }

    fn identity(&self) -> Option<PeerKey> {
        (**self).identity()
    }

    fn status(&self) -> NodeStatus {
        (**self).status()
    }

    fn reads(&self) -> bool {
        (**self).reads()
    }

    fn describe(&self, bytes: &[u8]) -> (Vec<String>, usize) {
        (**self).describe(bytes)
    }

    #[cfg(feature = "marks")]
    fn marks(&self) -> rs2p_core::Marks {
        (**self).marks()
    }
}

/// What can be seen of a node from outside, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// The peers that it is linked to, and over which connection.
    pub peers: Vec<(ConnId, PeerKey)>,
    /// Connections that it has, peers or not.
    pub conns: usize,
    /// Dials under way.
    pub dials: usize,
    /// The most bytes that wait at one connection.
    pub longest_queue: usize,
    /// The connections at which bytes wait that could be written if there were room.
    pub waiting: Vec<ConnId>,
    /// About how many bytes it holds, by its own account.
    pub memory: usize,
    /// How many it may hold, computed from its limits.
    pub memory_limit: usize,
    /// How many messages it keeps for others.
    pub kept: usize,
    /// Whether anything that it has to send still waits.
    pub is_busy: bool,
}

/// All that a life begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Birth {
    /// Which node of the scenario it is.
    pub node: u32,
    /// Which life of it, counted from 1.
    pub life: u32,
    /// Where it listens.
    pub place: Place,
    /// Where it may find others.
    pub seeds: Vec<Place>,
    /// 32 random bytes: the same for the same node and life in every run of a scenario.
    pub seed: [u8; 32],
    /// What it asked to be kept, if it comes back with its memory.
    pub saved: Option<Bytes>,
    /// What its monotonic clock shows.
    pub now: Duration,
    /// What its calendar shows: the time since 1970.
    pub wall: Duration,
}
