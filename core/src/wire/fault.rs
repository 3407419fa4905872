//! What can be wrong with bytes that a peer sent.

use std::fmt;

/// Why bytes are not msgpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MsgpackFault {
    /// The bytes end inside a value.
    Truncated,
    /// The code `0xc1`, which msgpack never uses.
    Reserved,
    /// Arrays and maps are nested deeper than this node follows them.
    TooDeep {
        /// The depth that is still taken.
        limit: usize,
    },
}

impl fmt::Display for MsgpackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("msgpack ends inside a value"),
            Self::Reserved => f.write_str("msgpack contains the reserved code 0xc1"),
            Self::TooDeep { limit } => write!(f, "msgpack is nested deeper than {limit}"),
        }
    }
}

impl std::error::Error for MsgpackFault {}

/// Why the packed bytes of a frame are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageFault {
    /// The bytes are not msgpack.
    Msgpack(MsgpackFault),
    /// The bytes are msgpack, but not an array.
    NotAnArray,
    /// The array lacks the type, the sender, the time or the sub-flag.
    TooFewFields {
        /// How many elements it has.
        have: u32,
    },
}

impl MessageFault {
    /// Whether fields are missing, as opposed to unreadable.
    pub(crate) const fn is_short(self) -> bool {
        matches!(self, Self::TooFewFields { .. })
    }
}

impl fmt::Display for MessageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Msgpack(fault) => fault.fmt(f),
            Self::NotAnArray => f.write_str("a message must be an array"),
            Self::TooFewFields { have } => {
                write!(f, "a message of {have} elements lacks some of its header")
            }
        }
    }
}

impl std::error::Error for MessageFault {}

impl From<MsgpackFault> for MessageFault {
    fn from(fault: MsgpackFault) -> Self {
        Self::Msgpack(fault)
    }
}

/// Why one of the protocol's own messages cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlFault {
    /// The message has not the number of elements that its kind has.
    ///
    /// py2p and js2p pass over such a handshake as if it had not come.
    Shape {
        /// The kind of message.
        message: &'static str,
        /// How many packets it has.
        packets: u32,
    },
    /// A field breaks a rule.
    Field {
        /// The kind of message.
        message: &'static str,
        /// The rule, in words that start with the field.
        rule: &'static str,
    },
}

impl ControlFault {
    /// Whether the message has the wrong number of elements, which legacy nodes pass over.
    pub(crate) const fn is_shape(self) -> bool {
        matches!(self, Self::Shape { .. })
    }
}

impl fmt::Display for ControlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { message, packets } => {
                write!(f, "{message}: cannot have {packets} packets")
            }
            Self::Field { message, rule } => write!(f, "{message}: {rule}"),
        }
    }
}

impl std::error::Error for ControlFault {}

/// Why a packet cannot be read as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are not msgpack.
    Msgpack(MsgpackFault),
    /// A str is not UTF-8.
    ///
    /// Nodes do not look into the packets that they pass on, so such a message can arrive.
    NotUtf8,
    /// Bytes follow the value.
    TrailingBytes {
        /// How many.
        len: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Msgpack(fault) => fault.fmt(f),
            Self::NotUtf8 => f.write_str("a str is not UTF-8"),
            Self::TrailingBytes { len } => write!(f, "{len} bytes follow the value"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl From<MsgpackFault> for DecodeError {
    fn from(fault: MsgpackFault) -> Self {
        Self::Msgpack(fault)
    }
}
