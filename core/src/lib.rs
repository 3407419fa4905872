//! rs2p-core

mod address;
mod book;
mod chance;
mod config;
mod encode;
mod error;
mod flavour;
mod frame;
mod id;
mod link;
mod message;
mod outbox;
mod output;
mod protocol;
mod search;
mod seen;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod time;
mod timers;
mod wire;

pub use address::{Address, ParseAddressError};
pub use config::Config;
pub use error::{
    AcceptError, CloseReason, ConfigError, ConnectError, DialFailure, PeerFault, SendError,
};
pub use id::{MessageId, NodeId, NodeIdError, ProtocolId};
pub use message::{Message, MessageKind};
pub use output::{
    Batching, DialId, Event, LinkId, Output, PeerInfo, PeerKind, SendId, SendOutcome, Side,
    WithheldReason,
};
pub use protocol::{Encryption, Protocol};
pub use snapshot::{AddressInfo, LinkInfo, LinkState, Snapshot};
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
