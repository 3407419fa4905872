//! Letters on their way: where they come, whom they are passed on to, and what they bring.

use super::MeshState;
use super::posting::seek_key;
use super::transmit::withheld;
use crate::encode::Encoder;
use crate::frontier::{Inserted, Stream};
use crate::id::{MessageId, NodeId};
use crate::link::Link;
use crate::output::{LinkId, PeerKind};
use crate::seen::Insert;
use crate::time::Instant;
use crate::wire::control::Control;
use crate::wire::letter::{Content, Letter, LetterName, MAX_HOPS, Obstacle, Receipt, Seek};
use crate::wire::message::{MainType, Packed, Sender, WireTime};
use bytes::Bytes;

impl MeshState {
    /// Notes that a link leads to a node, since something that it made came there.
    pub(super) fn note_way(&mut self, node: &NodeId, by: LinkId) {
        let link = self.links.get(&by);
        if *node != self.id && link.is_some_and(|link| link.carries_letters) {
            self.ways.note(node, by);
        }
    }

    /// Returns the link on which a letter to a node goes.
    pub(super) fn way_to(&self, node: &NodeId) -> Option<LinkId> {
        let neighbour = self.peers.get(node).copied();
        let way = neighbour.or_else(|| self.ways.get(node))?;
        let link = self.links.get(&way)?;
        (link.is_established() && link.carries_letters).then_some(way)
    }

    /// Returns the links to nodes that carry letters.
    pub(super) fn carriers(&self) -> Vec<LinkId> {
        let carriers = self.links.values();
        let carriers = carriers.filter(|link| link.is_established() && link.carries_letters);
        carriers.map(|link| link.id).collect()
    }

    /// Sends a letter on a link. What is too much for it is not queued.
    pub(super) fn send_letter(
        &mut self,
        id: LinkId,
        letter: &Letter,
        now: Instant,
    ) -> Result<(), Obstacle> {
        let packed = self.compose_control(&letter.encode(), now);
        let mut encoder = Encoder::new(packed.id(), packed.bytes().clone());
        let link = self.links.get(&id).ok_or(Obstacle::NoLink)?;
        if withheld(link, &packed, &encoder).is_some() {
            return Err(Obstacle::TooLong);
        }
        if !link.outbox.has_room() {
            return Err(Obstacle::Busy);
        }
        self.send_encoded(id, &mut encoder, None, now);
        Ok(())
    }

    pub(super) fn on_letter(&mut self, id: LinkId, letter: Letter, now: Instant) {
        let is_native = self
            .links
            .get(&id)
            .is_some_and(|link| link.kind == PeerKind::Native);
        if !is_native || letter.from == self.id {
            return;
        }
        self.note_way(&letter.from, id);
        if letter.to == self.id {
            self.open_letter(id, letter, now);
        } else {
            self.carry(id, letter, now);
        }
    }

    /// Passes a letter on.
    fn carry(&mut self, from: LinkId, mut letter: Letter, now: Instant) {
        if sabotaged!(self.config, Sabotage::LettersNotCarried) {
            return;
        }
        if let Content::NoWay { lost, .. } = &letter.content {
            self.ways.forget(lost, from);
        }
        let counted = u64::from(!sabotaged!(self.config, Sabotage::HopsNotCounted));
        let hops = letter.hops.checked_sub(counted);
        let way = self.way_to(&letter.to);
        // Back to where it came from leads nowhere.
        let way = way.filter(|way| *way != from || counted == 0);
        let sent = match (hops, way) {
            (Some(hops), Some(way)) => {
                letter.hops = hops;
                self.send_letter(way, &letter, now)
            }
            _ => Err(Obstacle::NoLink),
        };
        match (sent, letter.content) {
            (Ok(()), _) => reached!(self, Mark::LetterCarried),
            (Err(why), Content::Message { name, .. }) => {
                self.say_no_way(from, letter.from, letter.to, name, why, now);
            }
            // Of these no more is made: what waits for them has a time limit.
            (Err(_), Content::Receipt { .. } | Content::NoWay { .. } | Content::Found { .. }) => {}
        }
    }

    /// Tells the sender of a letter that it goes no further.
    fn say_no_way(
        &mut self,
        link: LinkId,
        to: NodeId,
        lost: NodeId,
        name: LetterName,
        why: Obstacle,
        now: Instant,
    ) {
        if sabotaged!(self.config, Sabotage::NoWayNotTold) {
            return;
        }
        reached!(self, Mark::LetterStuck);
        let content = Content::NoWay { name, lost, why };
        self.answer_letter(link, to, content, now);
    }

    /// Sends a letter back on the link on which one came.
    fn answer_letter(&mut self, link: LinkId, to: NodeId, content: Content, now: Instant) {
        let letter = Letter {
            to,
            from: self.id.clone(),
            hops: MAX_HOPS,
            content,
        };
        // It may be lost: then the other one comes again.
        let _ = self.send_letter(link, &letter, now);
    }

    /// Takes a letter that is for this node.
    fn open_letter(&mut self, id: LinkId, letter: Letter, now: Instant) {
        match letter.content {
            Content::Message { name, whom, packed } => {
                let sender = letter.from;
                let taken = if whom == self.id {
                    Ok(self.take_letter(id, &sender, name, packed))
                } else {
                    self.hand_over(&sender, name, &whom, packed, now)
                };
                let content = match taken {
                    Ok(receipt) => Content::Receipt { name, receipt },
                    Err(why) => return self.say_no_way(id, sender, whom, name, why, now),
                };
                if !sabotaged!(self.config, Sabotage::ReceiptNotSent) {
                    self.answer_letter(id, sender, content, now);
                }
            }
            Content::Receipt { name, receipt } => self.on_receipt(&letter.from, name, receipt),
            Content::NoWay { name, lost, why } => {
                self.ways.forget(&lost, id);
                self.on_no_way(&letter.from, name, why, now);
            }
            Content::Found { wanted, .. } => self.on_found(&wanted, &letter.from, now),
        }
    }

    /// Delivers the message of a letter, unless it was here before.
    fn take_letter(
        &mut self,
        id: LinkId,
        sender: &NodeId,
        name: LetterName,
        packed: Bytes,
    ) -> Receipt {
        let Ok(packed) = Packed::parse(MessageId::of(&packed), packed, self.config.max_depth)
        else {
            return Receipt::Refused;
        };
        let is_of_an_application = packed.main() == MainType::Whisper
            && matches!(
                Control::parse(&packed, self.config.max_peers_entries),
                Ok(Control::User)
            );
        let (Sender::Node(author, form), WireTime::Seconds(time)) =
            (packed.sender(), packed.time())
        else {
            return Receipt::Refused;
        };
        if author != sender || !is_of_an_application {
            return Receipt::Refused;
        }
        match self.note_letter(sender, name) {
            Inserted::New { .. } => {
                reached!(self, Mark::LetterTaken);
                let form = *form;
                if !sabotaged!(self.config, Sabotage::ReceiptForNothing) {
                    self.deliver(id, &packed, sender.clone(), form, time);
                }
                Receipt::Taken
            }
            Inserted::Duplicate => Receipt::Taken,
            Inserted::Refused => Receipt::Refused,
        }
    }

    /// Sends the message of a letter to the legacy neighbour that it is for, unless that was done before.
    fn hand_over(
        &mut self,
        sender: &NodeId,
        name: LetterName,
        whom: &NodeId,
        packed: Bytes,
        now: Instant,
    ) -> Result<Receipt, Obstacle> {
        let id = MessageId::of(&packed);
        let Ok(packed) = Packed::parse(id, packed, self.config.max_depth) else {
            return Ok(Receipt::Refused);
        };
        let is_of_an_application = packed.main() == MainType::Whisper
            && matches!(
                Control::parse(&packed, self.config.max_peers_entries),
                Ok(Control::User)
            );
        let stream = Stream {
            origin: sender.clone(),
            epoch: name.0,
        };
        let was_here = self
            .letters
            .get(&stream)
            .is_some_and(|known| known.contains(name.1));
        if was_here {
            reached!(self, Mark::LetterRepeated);
            return Ok(Receipt::HandedOver);
        }
        let link = self.peers.get(whom).and_then(|link| self.links.get(link));
        let link = link
            .filter(|link| !link.carries_letters)
            .ok_or(Obstacle::NoLink)?;
        let mut encoder = Encoder::new(id, packed.bytes().clone());
        if !is_of_an_application || withheld(link, &packed, &encoder).is_some() {
            return Ok(Receipt::Refused);
        }
        if !link.outbox.has_room() {
            return Err(Obstacle::Busy);
        }
        let link = link.id;
        if self.note_letter(sender, name) == Inserted::Refused {
            return Ok(Receipt::Refused);
        }
        reached!(self, Mark::LetterHandedOver);
        self.send_encoded(link, &mut encoder, None, now);
        Ok(Receipt::HandedOver)
    }

    /// Notes that a letter was here.
    fn note_letter(&mut self, sender: &NodeId, (epoch, sequence): LetterName) -> Inserted {
        let stream = Stream {
            origin: sender.clone(),
            epoch,
        };
        let inserted = self.letters.insert(&stream, sequence);
        if inserted == Inserted::Duplicate {
            reached!(self, Mark::LetterRepeated);
            if sabotaged!(self.config, Sabotage::LetterTakenTwice) {
                return Inserted::New { forgotten: None };
            }
        } else {
            self.note_to_save();
        }
        inserted
    }

    /// Passes a search on, or answers it.
    pub(super) fn on_seek(&mut self, id: LinkId, mut seek: Seek, now: Instant) {
        let is_carrier = |link: &Link| link.carries_letters;
        if !self.links.get(&id).is_some_and(is_carrier) || seek.seeker == self.id {
            return;
        }
        let was_here = self.note_seen(seek_key(&seek), self.config.seen_ttl, now);
        if was_here == Insert::Duplicate {
            return;
        }
        self.note_way(&seek.seeker, id);
        let neighbour = self.peers.get(&seek.wanted);
        let neighbour = neighbour.and_then(|link| self.links.get(link));
        if seek.wanted == self.id || neighbour.is_some_and(|link| !link.carries_letters) {
            reached!(self, Mark::SeekAnswered);
            let (wanted, nonce) = (seek.wanted, seek.nonce);
            return self.answer_letter(id, seek.seeker, Content::Found { wanted, nonce }, now);
        }
        let Some(hops) = seek.hops.checked_sub(1) else {
            return;
        };
        seek.hops = hops;
        let message = seek.encode();
        for link in self.carriers().into_iter().filter(|link| *link != id) {
            self.send_control(link, &message, now);
        }
    }
}
