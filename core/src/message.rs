//! A message as the application gets it.

use crate::id::{IdForm, MessageId, NodeId};
use crate::output::LinkId;
use crate::wire::payload::{Packets, SubFlag};
use crate::wire::value::Value;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol knows these two")]
pub enum MessageKind {
    /// To every participant.
    Broadcast,
    /// To one node, or to all neighbours, and no further.
    Whisper,
}

/// A message from another node.
///
/// Its packets stay encoded until they are asked for: a node that only relays never decodes them.
/// A clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub(crate) id: MessageId,
    pub(crate) kind: MessageKind,
    pub(crate) sender: NodeId,
    pub(crate) sender_form: IdForm,
    pub(crate) time: i64,
    pub(crate) sub_flag: SubFlag,
    pub(crate) packets: Packets,
    pub(crate) place: Option<(u64, u64)>,
    pub(crate) link: LinkId,
}

impl Message {
    /// Returns the message's id: the SHA-256 of its packed form.
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// Returns how the message travels.
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Returns who sent it. Nothing proves it: the protocol has no signatures.
    pub const fn sender(&self) -> &NodeId {
        &self.sender
    }

    /// Returns when it was sent, in seconds since 1970 by the sender's clock.
    pub const fn time(&self) -> i64 {
        self.time
    }

    /// Returns which life of its sender a broadcast is of: a random number, drawn when that node was made. `None` for
    /// whispers, and for messages of legacy nodes.
    pub const fn epoch(&self) -> Option<u64> {
        match self.place {
            Some((epoch, _)) => Some(epoch),
            None => None,
        }
    }

    /// Returns which broadcast of that life it is, counted from 1. Those of one sender and epoch are delivered in this
    /// order, each once; [`Event::Gap`](crate::Event::Gap) tells of those that are not.
    pub const fn sequence(&self) -> Option<u64> {
        match self.place {
            Some((_, sequence)) => Some(sequence),
            None => None,
        }
    }

    /// Returns its sub-flag. [`SubFlag::Default`] is an ordinary message; others are meant for
    /// handlers that know them.
    pub const fn sub_flag(&self) -> &SubFlag {
        &self.sub_flag
    }

    /// Returns the link that it came in on.
    pub const fn link(&self) -> LinkId {
        self.link
    }

    /// Returns its packets: what the sender sent, one value after the other.
    pub const fn packets(&self) -> &Packets {
        &self.packets
    }

    /// Returns the first packet if it is text, as it is in most messages.
    pub fn text(&self) -> Option<String> {
        let first = self.packets.iter().next()?.ok()?;
        if let Value::Str(text) = first {
            Some(text)
        } else {
            None
        }
    }
}
