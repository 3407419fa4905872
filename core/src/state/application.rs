//! What the application asks for.

use super::{MeshState, Phase, Room};
use crate::encode::Encoder;
use crate::error::{CloseReason, SendError};
use crate::id::{IdForm, MessageId, NodeId};
use crate::link::Link;
use crate::message::Message;
use crate::output::{LinkId, SendId, Spread, Ticket};
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::control::sub_flag;
use crate::wire::message::{MainType, Packed};
use crate::wire::payload::{Payload, SubFlag};
use crate::wire::trailer::Name;

impl MeshState {
    /// Sends a message to every participant of the network. Those that cannot be reached now get it when they can.
    ///
    /// Once accepted, the message is kept until a neighbour has it, however long there is none; the ticket tells
    /// [how far it is](Self::spread). Equal messages are different messages: each arrives.
    ///
    /// # Errors
    ///
    /// The message is too long, or some peers could not read it; as many messages as the log may hold of this
    /// node's own have not reached a neighbour yet ([`SendError::Full`]); or the node is shut down. Nothing was sent.
    pub fn broadcast(
        &mut self,
        payload: impl Into<Payload>,
        now: Instant,
    ) -> Result<Ticket, SendError> {
        self.broadcast_as(SubFlag::Default, payload, now)
    }

    /// Sends a message with a sub-flag of the application's own to every participant. Legacy nodes relay it, and
    /// pass it to handlers that know it.
    ///
    /// # Errors
    ///
    /// As of [`broadcast`](Self::broadcast); or the sub-flag belongs to the protocol.
    pub fn broadcast_as(
        &mut self,
        sub_flag: SubFlag,
        payload: impl Into<Payload>,
        now: Instant,
    ) -> Result<Ticket, SendError> {
        let payload = payload.into();
        self.check_own(&sub_flag, &payload)?;
        let sequence = self.delivery.last_sequence
            + u64::from(!sabotaged!(self.config, Sabotage::EqualMessagesCollide));
        let name = Name::new(self.delivery.own.epoch, sequence.max(1));
        let packed = self.compose_own(
            MainType::Broadcast,
            &sub_flag,
            &payload,
            sub_flag::BROADCAST,
            name,
            now,
        )?;
        let len = packed.bytes().len();
        let limit = self.delivery.log.longest_own();
        if len > limit {
            // It would be full for ever.
            return Err(SendError::TooLong { len, limit });
        }
        if !self.delivery.log.has_room_for_own(len) {
            self.release_own(now);
            if !self.delivery.log.has_room_for_own(len) {
                self.awaited = Some(Room::Log(len));
                self.settle(now);
                return Err(SendError::Full);
            }
        }
        let sequence = self.publish(&packed, name, now);
        if sabotaged!(self.config, Sabotage::OwnDelivered) {
            self.deliver(LinkId(0), &packed, self.id.clone(), IdForm::Str, 0);
        }
        self.settle(now);
        Ok(Ticket {
            id: packed.id(),
            sequence,
        })
    }

    /// Returns how far a broadcast of this node has come, by what its neighbours have said.
    pub fn spread(&self, ticket: &Ticket) -> Spread {
        self.spread_of(ticket.sequence)
    }

    /// Sends a message to all neighbours, who do not pass it on.
    ///
    /// # Errors
    ///
    /// As of [`broadcast`](Self::broadcast).
    pub fn whisper(
        &mut self,
        payload: impl Into<Payload>,
        now: Instant,
    ) -> Result<MessageId, SendError> {
        self.whisper_as(SubFlag::Default, payload, now)
    }

    /// Sends a message with a sub-flag of the application's own to all neighbours.
    ///
    /// # Errors
    ///
    /// As of [`broadcast_as`](Self::broadcast_as).
    pub fn whisper_as(
        &mut self,
        sub_flag: SubFlag,
        payload: impl Into<Payload>,
        now: Instant,
    ) -> Result<MessageId, SendError> {
        let payload = payload.into();
        self.check_own(&sub_flag, &payload)?;
        self.check_room()?;
        let packed = self.compose_own(
            sabotaged!(self.config, Sabotage::WhisperRelayed => MainType::Broadcast, else MainType::Whisper),
            &sub_flag,
            &payload,
            sub_flag::BROADCAST,
            None,
            now,
        )?;
        let encoder = Encoder::new(packed.id(), packed.bytes().clone());
        self.send_to_peers(&packed, encoder, |_| true, now);
        self.settle(now);
        Ok(packed.id())
    }

    /// Sends a message to one node, wherever it is in the network, and whether or not it can be dialled.
    ///
    /// On the link to it if there is one; else by native nodes that pass it on, back the way on which the node was heard of, or
    /// on one that they find; else by the protocol's request and response, which lead to an address to dial. A native
    /// node acknowledges, and its application gets the message once, however often it had to be sent; that of a legacy node gets
    /// it from us or from a native neighbour of that node, and nothing is heard of it. [`Event::Sent`](crate::Event::Sent) tells what
    /// became of the message, within [`Config::send_timeout`](crate::Config::send_timeout).
    ///
    /// # Errors
    ///
    /// The message cannot be sent as of [`broadcast`](Self::broadcast), or is addressed to this node; or
    /// too many are on their way ([`SendError::Full`]), or too many nodes are being searched for. Nothing was sent.
    pub fn send_to(
        &mut self,
        node: &NodeId,
        payload: impl Into<Payload>,
        now: Instant,
    ) -> Result<SendId, SendError> {
        self.send_to_as(node, SubFlag::Default, payload, now)
    }

    /// Sends a message with a sub-flag of the application's own to one node.
    ///
    /// # Errors
    ///
    /// As of [`send_to`](Self::send_to); or the sub-flag belongs to the protocol.
    pub fn send_to_as(
        &mut self,
        node: &NodeId,
        sub_flag: SubFlag,
        payload: impl Into<Payload>,
        now: Instant,
    ) -> Result<SendId, SendError> {
        self.send_privately(node, None, sub_flag, payload.into(), now)
    }

    /// Answers the sender of a message, wherever it is; see [`send_to`](Self::send_to).
    ///
    /// # Errors
    ///
    /// As of [`send_to`](Self::send_to).
    pub fn reply(
        &mut self,
        to: &Message,
        payload: impl Into<Payload>,
        now: Instant,
    ) -> Result<SendId, SendError> {
        let form = Some(to.sender_form);
        self.send_privately(&to.sender, form, SubFlag::Default, payload.into(), now)
    }

    /// Sends a message on one link, such as the one that a message came in on.
    ///
    /// # Errors
    ///
    /// As of [`broadcast_as`](Self::broadcast_as); or the link is not established, or no more.
    pub fn whisper_on_link(
        &mut self,
        link: LinkId,
        sub_flag: SubFlag,
        payload: impl Into<Payload>,
        now: Instant,
    ) -> Result<SendId, SendError> {
        let payload = payload.into();
        self.check_own(&sub_flag, &payload)?;
        let open = self.links.get(&link).filter(|open| open.is_established());
        let Some(open) = open else {
            return Err(SendError::NoLink(link));
        };
        if !open.outbox.has_room() {
            self.awaited = Some(Room::Links);
            return Err(SendError::Full);
        }
        let packed = self.compose_own(
            MainType::Whisper,
            &sub_flag,
            &payload,
            sub_flag::WHISPER,
            None,
            now,
        )?;
        let send = SendId(self.number());
        self.whisper_on(link, &packed, send, now);
        self.settle(now);
        Ok(send)
    }

    /// Closes the link to a neighbour once what waits for it is out, and does not dial it again.
    ///
    /// # Errors
    ///
    /// There is no link to it.
    pub fn disconnect(&mut self, node: &NodeId, now: Instant) -> Result<(), SendError> {
        let Some(&link) = self.peers.get(node) else {
            return Err(SendError::NotANeighbour(node.clone()));
        };
        self.close(link, CloseReason::Requested, now);
        self.settle(now);
        Ok(())
    }

    /// Ends the node: what waits is sent, within [`Config::linger_timeout`](crate::Config::linger_timeout), then
    /// every link is closed. [`Event::ShutDown`](crate::Event::ShutDown) is the last output.
    pub fn shutdown(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        self.phase = Phase::ShuttingDown;
        self.timers.cancel(Timer::Probe);
        self.timers.cancel(Timer::Beacon);
        self.cancel_dials();
        self.end_posts();
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        let spared = usize::from(sabotaged!(self.config, Sabotage::ShutdownLeavesLink));
        for link in links.into_iter().skip(spared) {
            self.leave(link, now);
        }
        for timer in [
            Timer::Have,
            Timer::Decide,
            Timer::Gap,
            Timer::Log,
            Timer::Room,
        ] {
            self.timers.cancel(timer);
        }
        self.should_dial = true;
        self.settle(now);
    }

    /// Closes a link as soon as all is sent that it is to get.
    fn leave(&mut self, id: LinkId, now: Instant) {
        let link = self.links.get(&id);
        if !link.is_some_and(Link::is_established) {
            return self.close(id, CloseReason::ShutDown, now);
        }
        self.feed_unasked(id);
        let deadline = now.saturating_add(self.config.linger_timeout);
        self.timers.set(Timer::Linger(id), deadline);
        self.pump(id, now);
    }

    pub(super) fn check_own(&self, sub_flag: &SubFlag, payload: &Payload) -> Result<(), SendError> {
        if self.phase != Phase::Running {
            return Err(SendError::ShutDown);
        }
        if sub_flag.is_reserved() {
            return Err(SendError::ReservedSubFlag(sub_flag.clone()));
        }
        // Before packing: what is far too long is not worth a copy.
        let (len, limit) = (payload.encoded_len(), self.config.max_message_len);
        if len > limit {
            return Err(SendError::TooLong { len, limit });
        }
        payload.check()?;
        Ok(())
    }

    pub(super) fn check_room(&mut self) -> Result<(), SendError> {
        if self.has_room() {
            return Ok(());
        }
        self.awaited = Some(Room::Links);
        Err(SendError::Full)
    }

    pub(super) fn compose_own(
        &mut self,
        main: MainType,
        sub_flag: &SubFlag,
        payload: &Payload,
        default: u64,
        name: Option<Name>,
        now: Instant,
    ) -> Result<Packed, SendError> {
        let packed = self.compose(main, sub_flag.to_wire(default), payload, name, now);
        let (len, limit) = (packed.bytes().len(), self.config.max_message_len);
        if len > limit {
            return Err(SendError::TooLong { len, limit });
        }
        Ok(packed)
    }
}
