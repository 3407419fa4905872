//! What a message that came in leads to.

use std::time::Duration;

use super::MeshState;
use super::delivery::Arriving;
use super::greeting::known;
use crate::book::Standing;
use crate::encode::Encoder;
use crate::error::PeerFault;
use crate::frame::{self, Frame, Opened};
use crate::id::{IdForm, MessageId, NodeId};
use crate::link::{Admission, Stage};
use crate::message::{Message, MessageKind};
use crate::output::{Event, LinkId, PeerKind};
use crate::seen::Insert;
use crate::time::Instant;
use crate::wire::control::{Control, RequestNode, Response, sub_flag};
use crate::wire::fields::PeerEntry;
use crate::wire::letter::{Letter, Seek};
use crate::wire::message::{MainType, Packed, Sender, WireSubFlag, WireTime};
use crate::wire::native::{Goodbye, Native, encode_pong, kind};
use crate::wire::payload::SubFlag;
use crate::wire::trailer::Name;

/// For how long legacy nodes take a broadcast, by its own time, in seconds.
const WINDOW: i64 = 60;

impl MeshState {
    pub(super) fn on_frame(&mut self, id: LinkId, frame: Frame, now: Instant) {
        let last = self.links.get(&id).and_then(|link| link.last_method);
        let opened = frame.open(last, self.config.max_frame_len);
        let opened = sabotaged!(self.config, Sabotage::ChecksumIgnored
            => opened.or_else(|_| Ok(frame.open_unchecked())), else opened);
        let Opened {
            id: message,
            packed,
            method,
        } = match opened {
            Ok(opened) => opened,
            Err(fault) => return self.fault(id, fault, now),
        };
        reached!(self, Mark::CameCompressed if method.is_some());
        let (depth, senders) = (self.config.max_depth, &mut self.senders);
        let packed = Packed::parse_with(message, packed, depth, |text| senders.id(text));
        let packed = match packed {
            Ok(packed) => packed,
            Err(fault) => return self.on_malformed(id, fault.into(), now),
        };
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.last_method = method;
        tracing::trace!(
            link = id.as_u64(), message = ?packed.id(), main = ?packed.main(),
            sub_flag = ?packed.sub_flag(), bytes = packed.bytes().len(), "message in"
        );
        match link.stage {
            Stage::Established => {}
            Stage::Closing => return,
            Stage::Greeting | Stage::Held | Stage::Offered | Stage::Awaiting => {
                self.on_greeting(id, &packed, now);
                return self.note_clock(id, &packed, now);
            }
        }
        self.note_clock(id, &packed, now);
        match packed.main() {
            MainType::Broadcast if self.on_echo(id, &packed, now) => {}
            MainType::Broadcast => {
                let encoder = Encoder::relayed(message, packed.bytes(), method, frame);
                self.on_broadcast(id, &packed, encoder, now);
            }
            MainType::Renegotiate | MainType::Whisper => self.on_whisper(id, &packed, now),
        }
    }

    /// Returns whether a body carries the id of a broadcast that was here: then there is no
    /// need to hash it, since nothing would come of it, whatever it is.
    pub(super) fn is_repetition(&mut self, id: LinkId, body: &[u8], now: Instant) -> bool {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.is_established()) else {
            return false;
        };
        let is_repetition = frame::carried_ids(body).any(|id| self.seen.contains(&id))
            && !sabotaged!(self.config, Sabotage::NoDedupe);
        if is_repetition {
            link.repeats.note(body.len(), self.config.prune_after, now);
            reached!(self, Mark::Repetition);
        }
        is_repetition
    }

    /// Takes a message whose checksum fits and whose content is no message.
    fn on_malformed(&mut self, id: LinkId, fault: PeerFault, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let is_short = matches!(&fault, PeerFault::Message(fault) if fault.is_short());
        if is_short && link.is_established() && link.traits().renegotiates && !link.renegotiated {
            // py2p asks for another encoding when a message lacks fields. So do we, once; it
            // takes a list that has not changed without an answer.
            link.renegotiated = true;
            let methods = link.traits().offered(&self.config);
            return self.send_renegotiation(id, &methods, now);
        }
        self.fault(id, fault, now);
    }

    fn on_broadcast(&mut self, id: LinkId, packed: &Packed, encoder: Encoder, now: Instant) {
        let (Sender::Node(sender, _), WireTime::Seconds(time)) = (packed.sender(), packed.time())
        else {
            // Relayed, these would break js2p nodes for good or go round for ever.
            tracing::debug!(
                link = id.as_u64(),
                "broadcast without a sender or a time dropped"
            );
            return;
        };
        if let WireSubFlag::Number(number) = packed.sub_flag()
            && matches!(number.as_u64(), Some(sub_flag::HANDSHAKE | sub_flag::PEERS))
        {
            // Every legacy node would act on it as if its neighbour had said it.
            tracing::debug!(
                link = id.as_u64(),
                "broadcast of a link's own message dropped"
            );
            return;
        }
        if let Some(seconds) = self.age_over_window(id, time, now) {
            reached!(self, Mark::Expired);
            let sender = sender.clone();
            return self.event(Event::Expired { sender, seconds });
        }
        let control = match Control::parse(packed, self.config.max_peers_entries) {
            Ok(control) => control,
            // Not relayed: whoever passes it on loses its links to legacy nodes.
            Err(fault) => return self.fault(id, fault, now),
        };
        if control == Control::User {
            return self.on_user_broadcast(id, packed, encoder, now);
        }
        let key = sabotaged!(self.config, Sabotage::DedupeByLink
            => crate::sabotage::id_on_link(packed.id(), id), else packed.id());
        if self.note_seen(key, self.time_to_keep(time, now), now) == Insert::Duplicate {
            return;
        }
        let response = if let Control::Response(response) = &control {
            Some(response)
        } else {
            None
        };
        if let Control::RequestNode(request) = &control {
            self.note_request(id, sender, request);
        }
        self.relay(id, sender, packed, encoder, response, now);
        if !self.admit_control(id, now) {
            return;
        }
        match control {
            Control::RequestNode(request) => self.answer(id, &request, now),
            Control::RequestPeers => self.answer_request_for_peers(id, now),
            Control::Response(response) => self.on_response(&response, now),
            Control::User
            | Control::Handshake(_)
            | Control::Peers(_)
            | Control::RenegotiateCompression(_)
            | Control::Resend
            | Control::Native(_) => {}
        }
    }

    /// Takes a broadcast of an application.
    fn on_user_broadcast(&mut self, id: LinkId, packed: &Packed, encoder: Encoder, now: Instant) {
        let arriving = Arriving {
            from: id,
            packed,
            encoder,
            age: Duration::ZERO,
        };
        if let Some(name) = Name::parse(packed.trailer()) {
            return self.on_named(arriving, name, now);
        }
        let (Sender::Node(sender, form), WireTime::Seconds(time)) =
            (packed.sender(), packed.time())
        else {
            return;
        };
        let key = sabotaged!(self.config, Sabotage::DedupeByLink
            => crate::sabotage::id_on_link(packed.id(), id), else packed.id());
        if self.is_new_id(key, time, now) {
            self.on_nameless(arriving, sender, *form, time, now);
        }
    }

    /// Notes the id of a broadcast for the short time in which it may go round.
    pub(super) fn note_seen(&mut self, id: MessageId, keep: Duration, now: Instant) -> Insert {
        let inserted = self.seen.insert(id, keep, now);
        match inserted {
            Insert::Duplicate if sabotaged!(self.config, Sabotage::NoDedupe) => {
                return Insert::New { forgotten: 0 };
            }
            Insert::Duplicate => reached!(self, Mark::Duplicate),
            Insert::New { forgotten: 0 } => {}
            Insert::New { forgotten } => {
                reached!(self, Mark::SeenOverflow);
                self.event(Event::SeenOverflow { forgotten });
            }
        }
        inserted
    }

    fn on_whisper(&mut self, id: LinkId, packed: &Packed, now: Instant) {
        let control = match Control::parse(packed, self.config.max_peers_entries) {
            Ok(control) => control,
            Err(fault) if fault.is_shape() => {
                return tracing::debug!(link = id.as_u64(), %fault, "ignored");
            }
            Err(fault) => return self.fault(id, fault, now),
        };
        if let Control::User = control {
            let (sender, form) = match packed.sender() {
                Sender::Node(sender, form) => (sender.clone(), *form),
                Sender::Unusable => return,
            };
            let time = match packed.time() {
                WireTime::Seconds(time) => time,
                WireTime::Unusable => return,
            };
            if sender == self.id {
                return tracing::debug!(link = id.as_u64(), "a message in our own name: ignored");
            }
            return self.deliver(id, packed, sender, form, time);
        }
        // What keeps logs alike comes as fast as the messages that it brings, and makes us keep no more than they do.
        let is_bulk = matches!(&control, Control::Native(native) if kind::is_bulk(native.kind));
        let is_limited = !is_bulk || sabotaged!(self.config, Sabotage::RepairsLimited);
        if is_limited && !self.admit_control(id, now) {
            return;
        }
        match control {
            Control::Handshake(handshake) => self.on_handshake(id, handshake, now),
            Control::Peers(entries) => self.on_peers(id, &entries, now),
            Control::RequestPeers => self.answer_request_for_peers(id, now),
            Control::RequestNode(request) => self.answer(id, &request, now),
            Control::Response(response) => self.on_response(&response, now),
            Control::RenegotiateCompression(methods) => self.on_renegotiation(id, &methods, now),
            // What py2p answers to it is no message; and nothing of ours was lost.
            Control::Resend => tracing::debug!(link = id.as_u64(), "resend ignored"),
            Control::Native(native) => self.on_native(id, &native, now),
            Control::User => {}
        }
    }

    /// Counts a control message, and returns whether it is to be looked at.
    fn admit_control(&mut self, id: LinkId, now: Instant) -> bool {
        let limit = self.config.max_control_rate;
        let Some(link) = self.links.get_mut(&id) else {
            return false;
        };
        match link.control.admit(limit, now) {
            Admission::Welcome => true,
            Admission::OneTooMany => {
                reached!(self, Mark::ControlFlood);
                self.event(Event::ControlFlood { link: id, limit });
                false
            }
            Admission::TooMany => false,
        }
    }

    pub(super) fn deliver(
        &mut self,
        link: LinkId,
        packed: &Packed,
        sender: NodeId,
        sender_form: IdForm,
        time: i64,
    ) {
        let Some(sub_flag) = SubFlag::from_wire(packed.sub_flag()) else {
            // Nobody can have meant this.
            return;
        };
        let kind = match packed.main() {
            MainType::Broadcast => MessageKind::Broadcast,
            MainType::Renegotiate | MainType::Whisper => MessageKind::Whisper,
        };
        self.outputs.push_message(Message {
            id: packed.id(),
            kind,
            sender,
            sender_form,
            time,
            sub_flag,
            packets: packed.packets(),
            place: None,
            link,
        });
    }

    /// Returns by how many seconds a broadcast is too old for the legacy rule, if the link is
    /// bound to it.
    fn age_over_window(&self, id: LinkId, time: i64, now: Instant) -> Option<u64> {
        let is_bound = self.links.get(&id).is_none_or(|link| link.traits().window)
            || sabotaged!(self.config, Sabotage::WallClockInDedupe);
        let wall = i64::try_from(self.clock.at(now).as_secs()).unwrap_or(i64::MAX);
        let oldest = wall.saturating_sub(WINDOW);
        (is_bound && time < oldest).then(|| oldest.abs_diff(time))
    }

    /// Returns how long the id of a broadcast has to be remembered: until a minute after its
    /// time, as legacy nodes do, and never less than the usual time.
    pub(super) fn time_to_keep(&self, time: i64, now: Instant) -> Duration {
        let wall = self.clock.at(now).as_secs();
        let until = u64::try_from(time).unwrap_or(0).saturating_add(61);
        Duration::from_secs(until.saturating_sub(wall)).max(self.config.seen_ttl)
    }

    fn on_peers(&mut self, id: LinkId, entries: &[PeerEntry], now: Instant) {
        let link = self.links.get(&id);
        let standing = if link.is_some_and(|link| link.kind == PeerKind::Native) {
            Standing::Told
        } else {
            Standing::Hearsay
        };
        for entry in entries {
            if entry.id != self.id && !self.peers.contains_key(&entry.id) {
                self.book
                    .add(&entry.address, Some(&entry.id), standing, now);
                self.should_dial = true;
            }
        }
    }

    /// A peer reads other methods from now on.
    fn on_renegotiation(&mut self, id: LinkId, methods: &[u64], now: Instant) {
        let methods = known(methods);
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.listed == methods {
            return;
        }
        reached!(self, Mark::Renegotiated);
        let traits = link.traits();
        let offered = traits.offered(&self.config);
        let common: Vec<u8> = offered
            .into_iter()
            .filter(|number| methods.iter().any(|method| method.number() == *number))
            .collect();
        link.listed = methods;
        if traits.renegotiates {
            self.send_renegotiation(id, &common, now);
        }
    }

    fn on_native(&mut self, id: LinkId, native: &Native, now: Instant) {
        // A pong is noted as the answer it is when its frame comes in. What is not known belongs
        // to a later version.
        if self.on_sync(id, native, now) {
            return;
        }
        match native.kind {
            kind::PING => match native.nonce() {
                Ok(nonce) => self.send_control(id, &encode_pong(nonce), now),
                Err(fault) => self.fault(id, fault, now),
            },
            kind::GOODBYE => match (Goodbye::parse(native), self.links.get_mut(&id)) {
                (Ok(goodbye), Some(link)) => link.goodbye = Some(goodbye),
                (Err(fault), _) => self.fault(id, fault, now),
                (Ok(_), None) => {}
            },
            kind::LETTER => match Letter::parse(native) {
                Ok(Some(letter)) => self.on_letter(id, letter, now),
                Ok(None) => {}
                Err(fault) => self.fault(id, fault, now),
            },
            kind::SEEK => match Seek::parse(native) {
                Ok(seek) => self.on_seek(id, seek, now),
                Err(fault) => self.fault(id, fault, now),
            },
            kind::BEACON => match native.beacon() {
                Ok(beacon) => self.on_beacon(id, beacon, now),
                Err(fault) => self.fault(id, fault, now),
            },
            _ => {}
        }
    }

    /// Remembers the request of a neighbour that would break on a response to it.
    fn note_request(&mut self, id: LinkId, sender: &NodeId, request: &RequestNode) {
        if let Some(link) = self.links.get(&id)
            && link.leads_to(sender)
            && !link.traits().takes_responses
        {
            self.searches.mute(&request.request_id, sender.clone());
        }
    }

    /// Answers a request for a node, if it is ourselves or a neighbour that can be dialled.
    fn answer(&mut self, id: LinkId, request: &RequestNode, now: Instant) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let is_muted = link
            .peer_id()
            .is_some_and(|peer| self.searches.is_muted(&request.request_id, peer));
        let address = if request.wanted == self.id {
            self.config.advertised.clone()
        } else {
            let wanted = self.peers.get(&request.wanted);
            let wanted = wanted.and_then(|link| self.links.get(link));
            wanted.and_then(|link| link.card.as_ref()?.address.clone())
        };
        let Some(address) = address else {
            return;
        };
        reached!(self, Mark::ResponseMuted if is_muted);
        if is_muted
            || link.leads_to(&request.wanted)
            || sabotaged!(self.config, Sabotage::ResponseNotGiven)
        {
            return;
        }
        reached!(self, Mark::ResponseGiven);
        let response = Response {
            request_id: request.request_id.clone(),
            found: PeerEntry {
                address,
                id: request.wanted.clone(),
                id_form: request.wanted_form,
            },
        };
        self.send_control(id, &response.encode(), now);
    }

    /// A response came: if it is to a request of ours, the node it names is dialled.
    fn on_response(&mut self, response: &Response, now: Instant) {
        let found = &response.found;
        if self.searches.answered(&response.request_id, &found.id) {
            reached!(self, Mark::SearchAnswered);
            self.dial_for_reply(&found.id, &found.address, now);
        }
    }
}
