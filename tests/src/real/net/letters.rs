//! Messages to one node, and what their senders were told of them.
//!
//! What a node acknowledges it has handed to its application, and that may end before it has looked at it. So a message that is said
//! to be delivered, and was not by the end of the life that it went to, is neither: nobody could see it. Which life that
//! was is known in the end only, and until then such a claim is kept back.

use bytes::Bytes;
use rs2p_core::{MessageKind, SendOutcome, Value};
use rs2p_driver::Message;
use rs2p_sim::Life;

/// A message to one node.
#[derive(Debug)]
struct Letter {
    sender: Life,
    number: u64,
    /// The life that was there when it was sent.
    to: Life,
    payload: Bytes,
    is_delivered: bool,
    /// Whether the sender was told that it was delivered, before anybody saw that.
    is_claimed: bool,
    is_resolved: bool,
}

/// All of them, by their numbers from 1.
#[derive(Debug, Default)]
pub(super) struct Letters(Vec<Letter>);

impl Letters {
    /// Takes a new one in. Returns its number.
    pub(super) fn add(&mut self, sender: Life, to: Life, payload: Bytes) -> u64 {
        let number = self.0.len() as u64 + 1;
        self.0.push(Letter {
            sender,
            number,
            to,
            payload,
            is_delivered: false,
            is_claimed: false,
            is_resolved: false,
        });
        number
    }

    /// Returns the sender and the number of one of which its sender was not told anything.
    pub(super) fn unresolved(&self) -> Option<(Life, u64)> {
        let mut open = self.0.iter().filter(|letter| !letter.is_resolved);
        open.next().map(|letter| (letter.sender, letter.number))
    }

    /// Notes that a life is over: it is told nothing any more.
    pub(super) fn end_sender(&mut self, life: Life) {
        let own = self.0.iter_mut().filter(|letter| letter.sender == life);
        own.for_each(|letter| letter.is_resolved = true);
    }

    /// Notes what a sender was told. Returns whether that can be judged now.
    pub(super) fn resolve(&mut self, sender: Life, number: u64, outcome: &SendOutcome) -> bool {
        let mut letters = self.0.iter_mut();
        let letter = letters.find(|letter| (letter.sender, letter.number) == (sender, number));
        let Some(letter) = letter.filter(|letter| !letter.is_resolved) else {
            return false;
        };
        letter.is_resolved = true;
        letter.is_claimed = *outcome == SendOutcome::Delivered && !letter.is_delivered;
        !letter.is_claimed
    }

    /// Notes that a message was delivered. Returns the senders and the numbers of the claims that are true by that.
    pub(super) fn deliver(&mut self, life: Life, message: &Message) -> Vec<(Life, u64)> {
        let Some(Ok(Value::Bin(bytes))) = message.packets().iter().next() else {
            return Vec::new();
        };
        if message.kind() != MessageKind::Whisper {
            return Vec::new();
        }
        let is_it = |letter: &&mut Letter| letter.to.node == life.node && letter.payload == bytes;
        let mut claims = Vec::new();
        for letter in self.0.iter_mut().filter(is_it) {
            letter.is_delivered = true;
            if std::mem::take(&mut letter.is_claimed) {
                claims.push((letter.sender, letter.number));
            }
        }
        claims
    }

    /// Returns the claims of which nobody saw that they are true, though the life that the message went to is there.
    pub(super) fn false_claims(&self, is_up: impl Fn(Life) -> bool) -> Vec<(Life, u64)> {
        let claimed = self.0.iter().filter(|letter| letter.is_claimed);
        let judged = claimed.filter(|letter| is_up(letter.to));
        judged
            .map(|letter| (letter.sender, letter.number))
            .collect()
    }
}
