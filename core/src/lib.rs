//! The sans-IO state machine of the rs2p alert and messaging network.

mod address;
mod id;
mod protocol;
mod wire;

pub use address::{Address, ParseAddressError};
pub use id::{MessageId, NodeId, NodeIdError, ProtocolId};
pub use protocol::{Encryption, Protocol};
pub use wire::compress::Method;
pub use wire::fault::{ControlFault, DecodeError, MessageFault, MsgpackFault};
pub use wire::int::Int;
#[cfg(feature = "serde")]
pub use wire::payload::SerdeError;
pub use wire::payload::{Packets, Payload, SubFlag};
pub use wire::refusal::PayloadFault;
pub use wire::value::Value;
