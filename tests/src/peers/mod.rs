//! Real py2p and js2p nodes, each a child process that a test commands and observes.
//!
//! ```no_run
//! use rs2p_tests::peers::{Flag, Peer, PeerOptions, value};
//!
//! # fn test() {
//! let Some(alice) = Peer::py2p(PeerOptions::new()).or_skip() else { return };
//! let Some(bob) = Peer::py2p(PeerOptions::new()).or_skip() else { return };
//!
//! bob.connect(alice.address()).expect("py2p dials");
//! alice.wait_routing(1);
//! bob.wait_routing(1);
//!
//! alice.send([value::str("fire")], Flag::Broadcast, None).expect("py2p sends");
//! let message = bob.wait_message(|message| message.user_packets() == [value::str("fire")]);
//! assert_eq!(message.sender_text(), alice.id());
//! # }
//! ```
//!
//! The packages are installed on first use, see [`provision`]. Whatever takes longer than the
//! peer's timeout ([`PeerOptions::timeout`]) panics with the tail of everything that was said to
//! the peer and that it said, its stderr included. Dropping a [`Peer`] kills its process.

mod address;
mod commands;
mod log;
mod options;
mod peer;
pub mod provision;
pub mod value;

pub use address::next_address;
pub use commands::{CommandError, Counts, Flag, Flood, RoutingRow};
pub use log::PeerMessage;
pub use options::{Encryption, PeerOptions};
pub use peer::{Package, Peer};
pub use provision::Availability;
