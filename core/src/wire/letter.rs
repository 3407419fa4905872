//! Messages to one node that other native nodes carry: letters, which go from link to link, and the search for a way.

use bytes::Bytes;

use super::control::OutControl;
use super::fault::ControlFault;
use super::message::put_text;
use super::msgpack;
use super::native::{Native, kind};
use super::payload::Payload;
use crate::id::{IdForm, NodeId};

/// Over how many links a letter goes at most. The diameter of a network with four links per node is a dozen; a chain may
/// be longer.
pub(crate) const MAX_HOPS: u64 = 64;

/// What the hello of a node that carries letters lists among its features.
pub(crate) const FEATURE: &str = "letters";

/// What goes from one native node to another, by way of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) to: NodeId,
    pub(crate) from: NodeId,
    /// Over how many more links it may go.
    pub(crate) hops: u64,
    pub(crate) content: Content,
}

/// Which letter with a message it is, among those of its sender: `(epoch, sequence)`. An epoch belongs to one sender and
/// one receiver; sequences count from 1.
pub(crate) type LetterName = (u64, u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A message, in the form in which it would go to a neighbour. The receiver answers with a receipt.
    Message {
        name: LetterName,
        /// Whom the message is for: the receiver of the letter, or a legacy neighbour of it.
        whom: NodeId,
        packed: Bytes,
    },
    /// What became of a message.
    Receipt { name: LetterName, receipt: Receipt },
    /// A node on the way can carry a message no further.
    NoWay {
        name: LetterName,
        /// Whom it knows no way to.
        lost: NodeId,
        why: Obstacle,
    },
    /// Answers a search: this way leads to the wanted node, or to a neighbour of it.
    Found { wanted: NodeId, nonce: u64 },
}

/// What the receiver of a letter did with the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// Its application has it.
    Taken,
    /// It was sent to the legacy neighbour that it is for.
    HandedOver,
    /// It is no message, or one that comes too late to know whether it came before.
    Refused,
}

/// Why a letter goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// No link leads there.
    NoLink,
    /// The link that leads there is full.
    Busy,
    /// It is longer than a node on the way takes.
    TooLong,
}

impl Letter {
    pub(crate) fn encode(&self) -> OutControl {
        let mut body = Payload::new();
        push_id(&mut body, &self.to);
        push_id(&mut body, &self.from);
        body.push(self.hops);
        let name = |body: &mut Payload, what: u64, (epoch, sequence): LetterName| {
            body.push(what).push(epoch).push(sequence);
        };
        match &self.content {
            Content::Message {
                name: of,
                whom,
                packed,
            } => {
                name(&mut body, 0, *of);
                push_id(&mut body, whom);
                body.push_with(|out| {
                    msgpack::put_bin(out, packed).expect("messages are far below 4 GiB");
                });
            }
            Content::Receipt { name: of, receipt } => {
                name(&mut body, 1, *of);
                body.push(match receipt {
                    Receipt::Taken => 0_u64,
                    Receipt::HandedOver => 1,
                    Receipt::Refused => 2,
                });
            }
            Content::NoWay {
                name: of,
                lost,
                why,
            } => {
                name(&mut body, 2, *of);
                push_id(&mut body, lost);
                body.push(match why {
                    Obstacle::NoLink => 0_u64,
                    Obstacle::Busy => 1,
                    Obstacle::TooLong => 2,
                });
            }
            Content::Found { wanted, nonce } => {
                body.push(3_u64);
                push_id(&mut body, wanted);
                body.push(*nonce);
            }
        }
        OutControl::native(kind::LETTER, &body)
    }

    /// Reads a letter; `None` if it has a content of a later version. Whether a message is one is not looked at.
    pub(crate) fn parse(native: &Native) -> Result<Option<Self>, ControlFault> {
        let mut fields = native.fields("letter");
        let (to, _) = fields.id("receiver must be text of 1 to 256 bytes")?;
        let (from, _) = fields.id("sender must be text of 1 to 256 bytes")?;
        let hops = fields.number("hops must be a number")?;
        let what = fields.number("content must be a number")?;
        let name = |fields: &mut super::fields::Fields<'_>| {
            let rule = "name must be two numbers above 0";
            match (fields.number(rule)?, fields.number(rule)?) {
                (0, _) | (_, 0) => Err(fields.breaks(rule)),
                name => Ok(name),
            }
        };
        let content = match what {
            0 => {
                let name = name(&mut fields)?;
                let (whom, _) = fields.id("addressee must be text of 1 to 256 bytes")?;
                let packed = fields.bytes("message must be bytes")?;
                Content::Message {
                    name,
                    whom,
                    packed: native.body.as_bytes().slice_ref(packed),
                }
            }
            1 => Content::Receipt {
                name: name(&mut fields)?,
                receipt: match fields.number("receipt must be a number")? {
                    0 => Receipt::Taken,
                    1 => Receipt::HandedOver,
                    _ => Receipt::Refused,
                },
            },
            2 => {
                let name = name(&mut fields)?;
                let (lost, _) = fields.id("lost node must be text of 1 to 256 bytes")?;
                let why = match fields.number("obstacle must be a number")? {
                    1 => Obstacle::Busy,
                    2 => Obstacle::TooLong,
                    _ => Obstacle::NoLink,
                };
                Content::NoWay { name, lost, why }
            }
            3 => {
                let (wanted, _) = fields.id("wanted node must be text of 1 to 256 bytes")?;
                let nonce = fields.number("nonce must be a number")?;
                Content::Found { wanted, nonce }
            }
            _ => return Ok(None),
        };
        Ok(Some(Self {
            to,
            from,
            hops: hops.min(MAX_HOPS),
            content,
        }))
    }
}

/// Asks all native nodes for a way to one node. Each passes it on once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seek {
    pub(crate) wanted: NodeId,
    pub(crate) seeker: NodeId,
    /// Another one for each search of the seeker.
    pub(crate) nonce: u64,
    /// Over how many more links it may go.
    pub(crate) hops: u64,
}

impl Seek {
    pub(crate) fn encode(&self) -> OutControl {
        let mut body = Payload::new();
        push_id(&mut body, &self.wanted);
        push_id(&mut body, &self.seeker);
        body.push(self.nonce).push(self.hops);
        OutControl::native(kind::SEEK, &body)
    }

    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let mut fields = native.fields("seek");
        let (wanted, _) = fields.id("wanted node must be text of 1 to 256 bytes")?;
        let (seeker, _) = fields.id("seeker must be text of 1 to 256 bytes")?;
        Ok(Self {
            wanted,
            seeker,
            nonce: fields.number("nonce must be a number")?,
            hops: fields.number("hops must be a number")?.min(MAX_HOPS),
        })
    }
}

fn push_id(body: &mut Payload, id: &NodeId) {
    body.push_with(|out| put_text(out, id.as_str(), IdForm::Str));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packets;
    use crate::wire::native::tests::native;

    fn id(text: &str) -> NodeId {
        NodeId::new(text).unwrap()
    }

    fn letter(content: Content) -> Letter {
        Letter {
            to: id("T"),
            from: id("F"),
            hops: 7,
            content,
        }
    }

    #[test]
    fn letters_arrive_as_they_were_sent() {
        let name = (u64::MAX, 1);
        let mut contents = vec![
            Content::Message {
                name,
                whom: id("W"),
                packed: Bytes::from_static(b"message"),
            },
            Content::Found {
                wanted: id("W"),
                nonce: u64::MAX,
            },
        ];
        for receipt in [Receipt::Taken, Receipt::HandedOver, Receipt::Refused] {
            contents.push(Content::Receipt { name, receipt });
        }
        for why in [Obstacle::NoLink, Obstacle::Busy, Obstacle::TooLong] {
            let lost = id("L");
            contents.push(Content::NoWay { name, lost, why });
        }
        for content in contents {
            let letter = letter(content);
            let native = native(&letter.encode());
            assert_eq!(native.kind, kind::LETTER);
            assert_eq!(Letter::parse(&native), Ok(Some(letter)));
        }
        let seek = Seek {
            wanted: id("W"),
            seeker: id("S"),
            nonce: 9,
            hops: 64,
        };
        assert_eq!(Seek::parse(&native(&seek.encode())), Ok(seek));
    }

    #[test]
    fn what_a_letter_must_say_is_checked() {
        let of = |body: &Payload| Letter::parse(&native(&OutControl::native(kind::LETTER, body)));
        assert_eq!(of(&packets!["T", "F", 1, 99, "later"]), Ok(None));
        let hops = of(&packets!["T", "F", u64::MAX, 3, "W", 1])
            .unwrap()
            .unwrap();
        assert_eq!(hops.hops, MAX_HOPS, "a peer does not set our limits");
        for (body, rule) in [
            (packets![], "receiver must be text of 1 to 256 bytes"),
            (packets!["T", 1], "sender must be text of 1 to 256 bytes"),
            (packets!["T", "F", "x"], "hops must be a number"),
            (packets!["T", "F", 1], "content must be a number"),
            (
                packets!["T", "F", 1, 0, 0, 1],
                "name must be two numbers above 0",
            ),
            (
                packets!["T", "F", 1, 1, 1, 0],
                "name must be two numbers above 0",
            ),
            (
                packets!["T", "F", 1, 0, 1, 1, "W", "x"],
                "message must be bytes",
            ),
            (
                packets!["T", "F", 1, 2, 1, 1, 5],
                "lost node must be text of 1 to 256 bytes",
            ),
        ] {
            let message = "letter";
            assert_eq!(of(&body), Err(ControlFault::Field { message, rule }));
        }
    }
}
