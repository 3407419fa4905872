//! The sans-IO state machine of the rs2p alert and messaging network.

mod address;
mod id;
mod protocol;
mod wire;

pub use address::{Address, ParseAddressError};
pub use id::{MessageId, NodeId, NodeIdError, ProtocolId};
pub use protocol::{Encryption, Protocol};
