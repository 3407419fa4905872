//! What the driver has still to be told to do, in its order.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::message::Message;
use crate::output::{Batching, LinkId, Output};

/// Room for so many is kept when all are drained: about as many as a message leads to.
const KEPT: usize = 16;

/// A queue of outputs.
///
/// Nearly all are chunks for links, and an [`Output`] is several times as long as one of those. So what is rare, or long,
/// is in queues of its own, and the main one says only whose turn it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outputs {
    turns: VecDeque<Turn>,
    messages: VecDeque<Message>,
    others: VecDeque<Output>,
}

#[derive(Clone, Debug)]
enum Turn {
    Send {
        link: LinkId,
        bytes: Bytes,
        batching: Batching,
    },
    /// The first of `messages`.
    Message,
    /// The first of `others`.
    Other,
}

impl Outputs {
    pub(crate) fn push(&mut self, output: Output) {
        match output {
            Output::Send {
                link,
                bytes,
                batching,
            } => self.push_send(link, bytes, batching),
            Output::Message(message) => self.push_message(message),
            Output::Dial(..)
            | Output::CancelDial(_)
            | Output::Close(..)
            | Output::Persist(_)
            | Output::Event(_) => {
                self.turns.push_back(Turn::Other);
                self.others.push_back(output);
            }
        }
    }

    pub(crate) fn push_send(&mut self, link: LinkId, bytes: Bytes, batching: Batching) {
        self.turns.push_back(Turn::Send {
            link,
            bytes,
            batching,
        });
    }

    pub(crate) fn push_message(&mut self, message: Message) {
        self.turns.push_back(Turn::Message);
        self.messages.push_back(message);
    }

    /// Takes the next one. With the last of a long queue goes the room for it.
    pub(crate) fn pop(&mut self) -> Option<Output> {
        let Some(turn) = self.turns.pop_front() else {
            self.turns.shrink_to(KEPT);
            self.messages.shrink_to(1);
            self.others.shrink_to(0);
            return None;
        };
        match turn {
            Turn::Send {
                link,
                bytes,
                batching,
            } => Some(Output::Send {
                link,
                bytes,
                batching,
            }),
            Turn::Message => self.messages.pop_front().map(Output::Message),
            Turn::Other => self.others.pop_front(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.turns.len()
    }

    /// Returns about how many bytes all this takes.
    pub(crate) fn memory(&self) -> usize {
        self.turns.len() * size_of::<Turn>()
            + self.messages.len() * size_of::<Message>()
            + self.others.len() * size_of::<Output>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{IdForm, MessageId, NodeId};
    use crate::message::MessageKind;
    use crate::wire::payload::{Packets, SubFlag};

    fn message(time: i64) -> Message {
        Message {
            id: MessageId::of(b""),
            kind: MessageKind::Whisper,
            sender: NodeId::new("A").unwrap(),
            sender_form: IdForm::Str,
            time,
            sub_flag: SubFlag::Default,
            packets: Packets::new(0, Bytes::new()),
            place: None,
            link: LinkId(1),
        }
    }

    #[test]
    fn what_comes_first_goes_first_whatever_it_is() {
        let mut pushed = Vec::new();
        let mut outputs = Outputs::default();
        for n in 0..200_u64 {
            let output = match n % 7 % 3 {
                0 => Output::Send {
                    link: LinkId(n),
                    bytes: Bytes::from_static(b"x"),
                    batching: Batching::Free,
                },
                1 => Output::Message(message(i64::try_from(n).unwrap())),
                _ => Output::Close(LinkId(n), crate::CloseReason::Requested),
            };
            pushed.push(output.clone());
            outputs.push(output);
        }
        assert_eq!(outputs.len(), 200);
        let popped: Vec<Output> = std::iter::from_fn(|| outputs.pop()).collect();
        assert_eq!(popped, pushed);
        assert_eq!(outputs.memory(), 0);
        assert!(outputs.turns.capacity() <= 2 * KEPT, "room is given back");
        assert_eq!(outputs.others.capacity(), 0);
    }
}
