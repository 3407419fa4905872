//! The sans-IO state machine of the rs2p alert and messaging network.
//!
//! A program that runs a node of rs2p is linked to a few others, and what any participant
//! broadcasts reaches every participant through them. The network speaks the wire protocol of py2p
//! 0.7 (Python) and js2p 0.7 (JavaScript), whose nodes join it unchanged, and are joined by it: to
//! each other alone they cannot even talk.
//!
//! This crate is one such node as a value, [`MeshState`]. It owns no socket, thread, lock, clock or
//! source of chance. Bytes, link changes, the application's wishes and the time go in; a queue of
//! things to do and one deadline come out. So it runs on any runtime or none, and the same inputs
//! give the same outputs, byte for byte, on every machine. Most programs will want an adapter instead:
//! `rs2p-smol` or `rs2p-tokio`.
//!
//! What that network guarantees, with each limit and the test that holds it, is in [`guarantees`].
//!
//! # The contract
//!
//! - Every input is a method that takes the time as its last argument: `handle_*` for what the world
//!   did ([`handle_accepted`](MeshState::handle_accepted),
//!   [`handle_dial_succeeded`](MeshState::handle_dial_succeeded),
//!   [`handle_dial_failed`](MeshState::handle_dial_failed),
//!   [`handle_bytes`](MeshState::handle_bytes), [`handle_credit`](MeshState::handle_credit),
//!   [`handle_closed`](MeshState::handle_closed), [`handle_timeout`](MeshState::handle_timeout)), and
//!   a plain verb for what the application asks ([`broadcast`](MeshState::broadcast),
//!   [`whisper`](MeshState::whisper), [`send_to`](MeshState::send_to), [`reply`](MeshState::reply),
//!   [`connect`](MeshState::connect), [`disconnect`](MeshState::disconnect),
//!   [`shutdown`](MeshState::shutdown)).
//! - After an input the driver carries out what [`poll_output`](MeshState::poll_output) returns, in
//!   that order, until it returns `None`; and calls `handle_timeout` when
//!   [`poll_timeout`](MeshState::poll_timeout) is due.
//! - A dial, a link and a peer are different things. The state asks for a dial; a dial that
//!   succeeds, or an accepted stream, becomes a link; a link whose greeting is complete leads to a
//!   peer. Ids of dials and links are given out by the state, and never used twice.
//! - Bytes may be cut anywhere. A deadline may fire early, late or twice. An input may name what is
//!   already gone. Each is ordinary, and none panics, whatever a peer sends.
//! - On a link the state writes only what the driver has granted by `handle_credit`, and what waits
//!   beyond that is bounded by [`Config::link_queue_limit`].
//! - What the caller does wrong is an error from the call, and the state is as before. What a peer does wrong
//!   closes its link with a [`CloseReason`] that names the rule, and is told as an [`Event`].
//!
//! # The driving loop
//!
//! Two nodes, and a driver that carries what they send from one to the other:
//!
//! ```
//! use rs2p_core::{Config, Instant, MeshState, Output, UnixTime};
//!
//! let now = Instant::ZERO;
//! let wall = UnixTime::from_secs(1_700_000_000);
//! let config = |port: u16| Config {
//!     advertised: Some(format!("192.0.2.1:{port}").parse().unwrap()),
//!     ..Config::default()
//! };
//! // A real driver draws 32 random bytes for each node.
//! let mut nodes = [
//!     MeshState::new(config(1), [1; 32], now, wall)?,
//!     MeshState::new(config(2), [2; 32], now, wall)?,
//! ];
//! let mut links = Vec::new();
//! let mut heard = Vec::new();
//!
//! nodes[0].connect("192.0.2.1:2".parse()?, now)?;
//! loop {
//!     let next = nodes.iter_mut().enumerate();
//!     let Some((n, output)) = next.filter_map(|(n, node)| Some((n, node.poll_output()?))).next()
//!     else {
//!         break;
//!     };
//!     let other = 1 - n;
//!     match output {
//!         Output::Dial(dial, _address) => {
//!             let ours = nodes[n].handle_dial_succeeded(dial, now).expect("just asked for");
//!             let theirs = nodes[other].handle_accepted("192.0.2.1:50000".parse()?, now)?;
//!             nodes[n].handle_credit(ours, 1 << 20, now);
//!             nodes[other].handle_credit(theirs, 1 << 20, now);
//!             links = if n == 0 { vec![ours, theirs] } else { vec![theirs, ours] };
//!         }
//!         Output::Send { bytes, .. } => nodes[other].handle_bytes(links[other], &bytes, now),
//!         Output::Close(..) => nodes[other].handle_closed(links[other], now),
//!         Output::Message(message) => heard.push((n, message.text())),
//!         Output::CancelDial(_) | Output::Event(_) | Output::Persist(_) => {}
//!     }
//!     if nodes[0].peers().count() == 1 && heard.is_empty() && nodes[1].peers().count() == 1 {
//!         nodes[0].broadcast("fire", now)?;
//!         heard.push((0, None));
//!     }
//! }
//! assert_eq!(heard, [(0, None), (1, Some("fire".to_owned()))]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A driver over real sockets, with a thread for whatever blocks and no runtime at all, is
//! `core/examples/threads.rs`.
//!
//! # What it promises
//!
//! Among native nodes, for each broadcast that is still in the log of a node which is linked, directly or through others, to
//! one that lacks it:
//!
//! - Every participant delivers it once, however it came, and each sender's in the order in which they were sent: across broken
//!   links, partitions of up to [`Config::log_age`], and restarts. No node's clock matters.
//! - What cannot be had any more is told as [`Event::Gap`], with its sender and sequences. There is no silent loss.
//! - A broadcast that was accepted is kept until a neighbour has it, however long there is none. One for which there is no
//!   room is refused at the call.
//! - A slow link costs its queue and a mark in the log, and nobody else's time.
//!
//! For legacy nodes it is what their protocol allows: a broadcast spreads while they are linked, a neighbour that was
//! lost gets what it missed of the last minute, equal broadcasts all arrive. A neighbour whose clock is wrong by a minute
//! drops what it hears; [`Event::ClockSkew`] tells.
//!
//! A message to one node ([`MeshState::send_to`], [`MeshState::reply`]) is carried by native nodes from link to link, to nodes that
//! cannot be dialled as well, delivered at most once, and acknowledged: [`SendOutcome`] says what became of it.
//!
//! With [`Config::save_interval`] a node gives out what its next life needs ([`Output::Persist`]), and
//! [`MeshState::restore`] goes on from it: with the same id, in an epoch of its own, and without delivering again what the application
//! had [acknowledged](MeshState::acknowledge).
//!
//! # What it does not do
//!
//! It proves nothing about who sent a message: ids and senders are claims. And it hides nothing from those who relay.
//!
//! # Features
//!
//! `zlib` and `snappy` (on by default), `gzip`, `bz2` and `lzma` add compression methods. `serde`
//! adds [`Payload`] packets from and to any type that serde knows.
//!
//! `marks` and `sabotage` are instruments for tests of whole networks, and belong into no program: marks tell which
//! branches a node reached, and sabotage plants a bug in it that the tests have to notice.

#[macro_use]
mod instruments;

#[doc = include_str!("../GUARANTEES.md")]
pub mod guarantees {}

mod address;
mod book;
mod chance;
mod config;
mod delivery;
mod describe;
mod encode;
mod error;
mod feed;
mod flavour;
mod frame;
mod frontier;
mod id;
mod island;
mod link;
mod links;
mod log;
#[cfg(feature = "marks")]
mod marks;
mod message;
mod outbox;
mod output;
mod outputs;
mod post;
mod protocol;
mod ranges;
mod receipts;
#[cfg(feature = "sabotage")]
mod sabotage;
mod save;
mod search;
mod seen;
mod senders;
mod skew;
mod snapshot;
mod sorted;
mod state;
#[cfg(test)]
mod tests;
mod time;
mod timers;
mod tree;
mod ways;
mod wire;

pub use address::{Address, ParseAddressError};
pub use config::Config;
pub use describe::describe;
pub use error::{
    AcceptError, CloseReason, ConfigError, ConnectError, DialFailure, PeerFault, RestoreError,
    SendError,
};
pub use id::{MessageId, NodeId, NodeIdError, ProtocolId};
#[cfg(feature = "marks")]
pub use marks::{Mark, Marks};
pub use message::{Message, MessageKind};
pub use output::{
    Batching, DialId, Event, GapReason, LinkId, Output, PeerInfo, PeerKind, SendId, SendOutcome,
    Side, Spread, Ticket, WithheldReason,
};
pub use protocol::{Encryption, Protocol};
#[cfg(feature = "sabotage")]
pub use sabotage::Sabotage;
pub use save::SaveError;
pub use snapshot::{AddressInfo, LinkInfo, LinkState, LogInfo, Snapshot};
pub use state::MeshState;
pub use time::{Instant, UnixTime};
pub use wire::compress::Method;
pub use wire::fault::{ControlFault, DecodeError, MessageFault, MsgpackFault};
pub use wire::int::Int;
#[cfg(feature = "serde")]
pub use wire::payload::SerdeError;
pub use wire::payload::{Packets, Payload, SubFlag};
pub use wire::refusal::PayloadFault;
pub use wire::value::Value;
