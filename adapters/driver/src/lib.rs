//! Runs a node of rs2p over the byte streams of any async runtime.
//!
//! rs2p is a network for alerts and messages: every participant that is linked to the network, through
//! whichever others, gets what any of them broadcasts. The protocol is in [`rs2p_core`], which knows neither
//! sockets nor clocks. This crate is the loop around it, and [`MeshSocket`] is what a program
//! holds. Neither knows any runtime: that is a [`Runtime`], of which `rs2p-smol` and `rs2p-tokio` have one each.
//!
//! ```no_run
//! # async fn run<R: rs2p_driver::Runtime>(runtime: R) -> Result<(), Box<dyn std::error::Error>> {
//! use rs2p_driver::Builder;
//!
//! let socket = Builder::new(runtime).listen("127.0.0.1:4444").bind().await?;
//! socket.connect("127.0.0.1:5555").await?;
//! socket.broadcast("the disk is full")?;
//!
//! let message = socket.recv().await?;
//! println!("{}: {:?}", message.sender(), message.text());
//! socket.reply(&message, "I will see to it")?.await;
//! socket.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! One lock holds the state. Whoever has an input (bytes, a deadline, a call of the program's) takes it, feeds
//! the state, carries its outputs into the queues of links, receivers and waiting calls, and lets
//! go; nothing waits with the lock held, and no code of the program's runs under it. One task for each link
//! reads and writes, many messages to a system call; one more keeps the deadlines and starts dials. A
//! [`broadcast`](MeshSocket::broadcast) thus is in the queues of all links when it returns.
//!
//! # Under pressure
//!
//! - A slow link holds at most 256 KiB here and
//!   [`Config::link_queue_limit`] in the state; [`SendError::Full`] says when a program is faster
//!   than that, and [`MeshSocket::ready`] when it may go on. Other links are not affected.
//! - A program that does not read loses messages beyond
//!   [`receive_limit`](Builder::receive_limit), and is told at the place which:
//!   [`RecvError::Lagged`]. The node goes on.
//!
//! # After a restart
//!
//! With a [`store`](Builder::store), a node that was closed, or that crashed, is the same one when it comes back: it goes on
//! receiving where the program was, and gets what it missed. What the program had not dealt with is received
//! again; see [`acknowledge`](MeshSocket::acknowledge).
//!
//! # Features
//!
//! `tls` adds [`Encryption::Tls`], `ws` adds [`Encryption::WebSocket`]. Without them, binding a socket of such
//! a network fails.

mod address;
mod builder;
mod calendar;
mod callback;
mod carrier;
mod dial;
mod dispatch;
mod error;
mod event;
mod inbox;
mod keeper;
mod link;
mod listen;
mod missed;
mod outcome;
mod pool;
mod queue;
mod runtime;
mod shared;
mod socket;
mod status;
mod store;
#[cfg(test)]
mod testing;
#[cfg(feature = "tls")]
mod tls;
mod wait;
mod writer;
#[cfg(feature = "ws")]
mod ws;

pub use address::{AddressError, ToAddress};
pub use builder::Builder;
pub use callback::{CallbackId, Handled, HandlerContext, Occasion, On};
pub use error::{BindError, ConnectError, Lagged, Missed, RecvError};
pub use event::Events;
pub use inbox::Messages;
pub use outcome::Delivery;
pub use runtime::Runtime;
pub use socket::MeshSocket;
pub use status::{Problem, SocketState, Status};

pub use rs2p_core as core;
pub use rs2p_core::ConnectError as ConnectFailure;
pub use rs2p_core::{
    AcceptError, Address, AddressInfo, CloseReason, Config, ConfigError, DialFailure, Encryption,
    Event, GapReason, Int, LinkId, LinkInfo, LinkState, LogInfo, Message, MessageId, MessageKind,
    Method, NodeId, Packets, ParseAddressError, Payload, PayloadFault, PeerFault, PeerInfo,
    PeerKind, Protocol, ProtocolId, SaveError, SendError, SendOutcome, Side, Snapshot, Spread,
    SubFlag, Ticket, Value, WithheldReason, packets,
};
