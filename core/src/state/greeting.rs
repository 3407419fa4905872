//! From a byte stream to an established link, and which of two links to one node is kept.
//!
//! A node holds its answer back until it knows who is at the other end. With two links to one node
//! and none established, it answers only on the one that the node with the larger id dialled: the
//! rule of py2p, and computed alike by both ends. An established link is never given up for
//! another: its claim is proven, the other's is not.
//!
//! Between native nodes the answer is an accept, and the link counts for the side that accepted it
//! only when a confirm comes back. So there is one moment, at the side that dialled, at which a link
//! is chosen, and the other side has said before that it will follow; two links that cross cannot
//! be chosen one at each end. The handshakes of the legacy protocol would not do for this: a
//! dialler that finds the other side silent sends its handshake unasked.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::transmit::idle_interval;
use super::{MeshState, Phase};
use crate::address::Address;
use crate::book::Standing;
use crate::encode::Encoder;
use crate::error::{CloseReason, ConnectError, PeerFault};
use crate::flavour::{recognise, traits};
use crate::id::{IdForm, NodeId, ProtocolId};
use crate::link::{Card, Link, Stage};
use crate::output::{Event, LinkId, PeerKind, Side};
use crate::protocol::Encryption;
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::compress::Method;
use crate::wire::control::{Control, Handshake, OutControl, OwnHandshake};
use crate::wire::letter::FEATURE;
use crate::wire::message::Packed;
use crate::wire::native::{Goodbye, Hello, Native, encode_accept, encode_confirm, kind};

/// How long after closing a second link to a js2p peer the handshake is sent again on the first:
/// long enough for it to have seen the end of the second, if it is not busy.
const REINTRODUCTION_DELAY: Duration = Duration::from_millis(250);

/// How often it is sent again, in case the peer was busy: each time after eight times as long.
const REINTRODUCTIONS: u32 = 3;

impl MeshState {
    /// Begins the greeting on a link that this node dialled.
    pub(super) fn greet(&mut self, id: LinkId, now: Instant) {
        self.send_hello(id, now);
        // A js2p WebSocket listener says nothing before it has a handshake.
        if self.config.protocol.encryption() == Encryption::WebSocket {
            self.introduce(id, now);
        } else {
            let deadline = now.saturating_add(self.config.silence_timeout);
            self.timers.set(Timer::Silence(id), deadline);
        }
    }

    /// Sends our handshake although nothing tells yet who is there.
    pub(super) fn break_silence(&mut self, id: LinkId, now: Instant) {
        if self
            .links
            .get(&id)
            .is_some_and(|link| link.stage == Stage::Greeting)
        {
            reached!(self, Mark::SilenceBroken);
            self.introduce(id, now);
        }
    }

    /// Takes a message on a link that is not established. Only a greeting counts: what else comes
    /// so early is dropped.
    pub(super) fn on_greeting(&mut self, id: LinkId, packed: &Packed, now: Instant) {
        match Control::parse(packed, self.config.max_peers_entries) {
            Ok(Control::Native(native)) => self.on_native_greeting(id, &native, now),
            Ok(Control::Handshake(handshake)) => self.on_handshake(id, handshake, now),
            Ok(_) => tracing::trace!(%id, "message before the handshake dropped"),
            // Legacy nodes ignore a handshake of the wrong shape; what is wrong inside one of the
            // right shape ends the link.
            Err(fault) if fault.is_shape() => {
                tracing::debug!(%id, %fault, "ignored before the handshake");
            }
            Err(fault) => self.fault(id, fault, now),
        }
    }

    fn on_native_greeting(&mut self, id: LinkId, native: &Native, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        match (native.kind, link.stage) {
            (kind::HELLO, Stage::Greeting) => match Hello::parse(native) {
                Ok(hello) => self.on_hello(id, &hello, now),
                Err(fault) => self.fault(id, fault, now),
            },
            (kind::ACCEPT, _) if link.side == Side::Dialed => {
                link.is_accepted = true;
                reached!(self, Mark::AcceptEarly if link.stage != Stage::Awaiting);
                if link.stage == Stage::Awaiting {
                    self.decide(id, now);
                }
            }
            (kind::CONFIRM, Stage::Offered) => {
                reached!(self, Mark::Confirmed);
                self.establish(id, now);
            }
            (kind::GOODBYE, _) if link.side == Side::Dialed => match Goodbye::parse(native) {
                Ok(Goodbye::Full(others)) => {
                    self.note_named(&others, Standing::Told, now);
                    self.close(id, CloseReason::TurnedAway, now);
                }
                Ok(Goodbye::Leaving | Goodbye::Unwanted) => {}
                Err(fault) => self.fault(id, fault, now),
            },
            // Too early, or of a later version.
            _ => tracing::debug!(%id, kind = native.kind, "native message ignored"),
        }
    }

    fn on_hello(&mut self, id: LinkId, hello: &Hello, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.kind = PeerKind::Native;
        link.listed = known(&hello.methods);
        if let Some(len) = hello.max_frame_len {
            link.max_frame_len = usize::try_from(len).unwrap_or(usize::MAX);
        }
        link.carries_letters = hello.features.iter().any(|name| name == FEATURE);
        link.island = hello.island.clone();
        let side = link.side;
        if side == Side::Accepted {
            link.is_probe = hello.is_probe;
            self.send_hello(id, now);
        } else if self.is_redundant(id) {
            return self.close(id, CloseReason::Redundant, now);
        }
        let card = Card {
            id: hello.id.clone(),
            id_form: IdForm::Str,
            address: hello.address.clone(),
        };
        self.on_known(id, card, &hello.network, now);
    }

    pub(super) fn on_handshake(&mut self, id: LinkId, handshake: Handshake, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if let Some(card) = &mut link.card {
            if card.id != handshake.id {
                let from = card.id.clone();
                let to = handshake.id;
                return self.fault(id, PeerFault::IdChanged { from, to }, now);
            }
            // js2p always sends a second one. A native node that found the link silent sent one
            // before it knew who we are; its hello has told more.
            if link.kind != PeerKind::Native {
                card.address = handshake.address;
                link.listed = known(&handshake.methods);
            }
            return;
        }
        reached!(self, Mark::LegacyGreeted);
        link.kind = recognise(&handshake);
        link.listed = known(&handshake.methods);
        let card = Card {
            id: handshake.id,
            id_form: handshake.id_form,
            address: handshake.address,
        };
        self.on_known(id, card, &handshake.protocol, now);
    }

    /// Now it is known who is at the other end.
    fn on_known(&mut self, id: LinkId, card: Card, theirs: &ProtocolId, now: Instant) {
        if *theirs != self.protocol_id && !sabotaged!(self.config, Sabotage::WrongNetworkAccepted) {
            let theirs = theirs.clone();
            return self.close(id, CloseReason::WrongNetwork { theirs }, now);
        }
        if card.id == self.id && !sabotaged!(self.config, Sabotage::SelfDialAccepted) {
            return self.close(id, CloseReason::Ourselves, now);
        }
        if !self.finds_place(id, &card.id, now) {
            return self.turn_away(id, &card, now);
        }
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.card = Some(card);
        link.stage = Stage::Held;
        self.timers.cancel(Timer::Silence(id));
        self.decide(id, now);
    }

    /// Decides about a link whose peer is known and whose handshake is held back.
    fn decide(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let Some(peer) = link.peer_id().cloned() else {
            return;
        };
        if let Some(&winner) = self.peers.get(&peer)
            && !sabotaged!(self.config, Sabotage::BothLinksKept)
        {
            return self.yield_to(id, winner, &peer, now);
        }
        let preferred =
            if self.id.outranks(&peer) || sabotaged!(self.config, Sabotage::TieBreakLopsided) {
                Side::Dialed
            } else {
                Side::Accepted
            };
        if link.side != preferred && self.has_rival(link, &peer, preferred) {
            tracing::debug!(%id, %peer, "held back: another link to this node is preferred");
            reached!(self, Mark::RivalPreferred);
            return self.set_stage(id, Stage::Held);
        }
        match (link.kind, link.side) {
            (PeerKind::Native, Side::Dialed)
                if !link.is_accepted && !sabotaged!(self.config, Sabotage::AcceptNotAwaited) =>
            {
                self.set_stage(id, Stage::Awaiting);
            }
            (PeerKind::Native, Side::Dialed) => {
                self.answer_native(id, &encode_confirm(), now);
                self.establish(id, now);
            }
            (PeerKind::Native, Side::Accepted) => {
                self.set_stage(id, Stage::Offered);
                self.answer_native(id, &encode_accept(), now);
            }
            _ => {
                self.introduce(id, now);
                self.establish(id, now);
            }
        }
    }

    /// Returns whether there is, or is about to be, a link to this peer that its side makes the
    /// preferred one.
    fn has_rival(&self, link: &Link, peer: &NodeId, preferred: Side) -> bool {
        let address = link.card.as_ref().and_then(|card| card.address.as_ref());
        let is_rival = |other: &Link| {
            let may_lead_there = other.leads_to(peer)
                || (other.stage == Stage::Greeting
                    && other.side == Side::Dialed
                    && address == Some(&other.remote));
            other.id != link.id
                && other.side == preferred
                && other.stage != Stage::Closing
                && may_lead_there
        };
        self.links.values().any(is_rival)
            || (preferred == Side::Dialed
                && address.is_some_and(|address| self.is_dialing(address)))
    }

    /// A link turns out to be a second one to a peer: the established one stays.
    fn yield_to(&mut self, id: LinkId, winner: LinkId, peer: &NodeId, now: Instant) {
        let has_crossed = self.end_dial_at_peer(id, winner, peer);
        reached!(self, Mark::DialsCrossed if has_crossed);
        if sabotaged!(self.config, Sabotage::BothLinksDropped) {
            self.close(id, CloseReason::Duplicate(peer.clone()), now);
            return self.close(winner, CloseReason::Duplicate(peer.clone()), now);
        }
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let is_spare =
            |other: &Link| other.id != id && other.leads_to(peer) && other.stage == Stage::Held;
        let has_spare = self.links.values().any(is_spare);
        let keeps = link.traits().keeps_spares
            && !has_crossed
            && !has_spare
            && !sabotaged!(self.config, Sabotage::SpareClosed);
        match link.side {
            _ if keeps => {
                reached!(self, Mark::SpareKept);
                // Idle and unanswered, until one of the two links ends.
                self.set_stage(id, Stage::Held);
                self.timers.cancel(Timer::Handshake(id));
            }
            // The peer closes it when it sees our hello; unless it has lost the other one, which
            // we would learn before this one is out of time.
            Side::Accepted if !has_spare => {
                reached!(self, Mark::SecondHeld);
                self.set_stage(id, Stage::Held);
            }
            Side::Accepted | Side::Dialed => {
                self.close(id, CloseReason::Duplicate(peer.clone()), now);
            }
        }
    }

    /// Both handshakes were exchanged.
    fn establish(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.stage = Stage::Established;
        link.established_at = Some(now);
        let dial = link.dial.take();
        let Some(info) = link.peer_info() else {
            return;
        };
        reached!(self, Mark::ProbeBridged if link.is_probe);
        let peer = info.id.clone();
        let standing = lost_standing(link.kind);
        let address = link.dial_address().cloned();
        for timer in [Timer::Handshake(id), Timer::Silence(id)] {
            self.timers.cancel(timer);
        }
        let can_be_asked = info.kind != PeerKind::Other;
        if can_be_asked && !sabotaged!(self.config, Sabotage::PingNeverSent) {
            let at = now.saturating_add(idle_interval(&self.config, info.kind));
            self.timers.set(Timer::Idle(id), at);
        }
        self.peers.insert(peer.clone(), id);
        self.note_to_save();
        for known in address.iter().chain(&info.address) {
            self.book.add(known, Some(&peer), standing, now);
            self.book.set_busy(known, now);
        }
        if self.peers.len() == 1 {
            let event = if self.has_joined {
                Event::JoinedAgain
            } else {
                Event::Joined
            };
            self.has_joined = true;
            self.event(event);
        }
        tracing::debug!(%id, %peer, kind = %info.kind, "link established");
        self.event(Event::PeerUp(info.clone()));
        if let Some(dial) = dial {
            self.dial_reached(dial, &peer);
        }
        self.join_islands(id, now);
        self.release_held_back(id, id, now);
        self.begin_feed(id, now);
        self.settle_rivals(id, &peer, info.address.as_ref(), now);
        self.tell_peers(id, now);
        self.post_what_waits(&peer, now);
        self.search_again(now);
        self.drop_surplus_dials();
        self.should_dial = true;
        self.make_room(id, now);
    }

    /// Ends what competed with a link that is established now.
    fn settle_rivals(
        &mut self,
        id: LinkId,
        peer: &NodeId,
        address: Option<&Address>,
        now: Instant,
    ) {
        if let Some(address) = address {
            self.end_dials_to(address, peer);
        }
        let is_rival = |link: &&Link| {
            let is_dialed_there = link.stage == Stage::Greeting
                && link.side == Side::Dialed
                && address == Some(&link.remote);
            link.id != id
                && link.stage != Stage::Closing
                && (link.leads_to(peer) || is_dialed_there)
        };
        let rivals: Vec<_> = self.links.values().filter(is_rival).map(|l| l.id).collect();
        if sabotaged!(self.config, Sabotage::BothLinksKept) {
            return;
        }
        for rival in rivals {
            let Some(link) = self.links.get_mut(&rival) else {
                continue;
            };
            if link.side == Side::Dialed {
                // py2p, which accepted it, waits there without knowing who we are.
                if let Some(dial) = link.dial.take() {
                    self.dial_reached(dial, peer);
                }
                reached!(self, Mark::RivalClosed);
                self.close(rival, CloseReason::Duplicate(peer.clone()), now);
                self.plan_reintroduction(id, now);
            } else {
                reached!(self, Mark::RivalHeld);
                self.release_held_back(rival, id, now);
                self.set_stage(rival, Stage::Held);
                if traits(self.kind_of(rival)).keeps_spares {
                    // py2p closes its own dial when it finds that ours is kept.
                    self.timers.cancel(Timer::Handshake(rival));
                }
            }
        }
    }

    /// Decides again about the links that are held back, since a rival has gone.
    pub(super) fn revive_held(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        let held: Vec<_> = self
            .links
            .values()
            .filter(|link| link.stage == Stage::Held)
            .filter(|link| {
                link.peer_id()
                    .is_some_and(|id| !self.peers.contains_key(id))
            })
            .map(|link| link.id)
            .collect();
        for id in held {
            reached!(self, Mark::HeldRevived);
            self.timers.arm(
                Timer::Handshake(id),
                now.saturating_add(self.config.handshake_timeout),
            );
            self.decide(id, now);
        }
    }

    /// After a second link to some peers was closed, they need our handshake again on the first.
    pub(super) fn plan_reintroduction(&mut self, survivor: LinkId, now: Instant) {
        if traits(self.kind_of(survivor)).reintroduce {
            let at = now.saturating_add(REINTRODUCTION_DELAY);
            self.timers.set(Timer::Reintroduce(survivor), at);
            if let Some(link) = self.links.get_mut(&survivor) {
                link.reintroductions = 0;
            }
        }
    }

    pub(super) fn reintroduce(&mut self, id: LinkId, now: Instant) {
        if let Some(link) = self.links.get_mut(&id)
            && link.is_established()
        {
            reached!(self, Mark::Reintroduced);
            link.introduced = false;
            link.reintroductions += 1;
            let count = link.reintroductions;
            if count < REINTRODUCTIONS {
                let delay = REINTRODUCTION_DELAY * 8_u32.pow(count);
                let at = now.saturating_add(delay);
                self.timers.set(Timer::Reintroduce(id), at);
            }
            self.introduce(id, now);
        }
    }

    pub(super) fn on_handshake_timeout(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let winner = link.peer_id().filter(|id| self.peers.contains_key(id));
        let reason = match winner {
            Some(peer) => CloseReason::Duplicate(peer.clone()),
            None => CloseReason::HandshakeTimeout,
        };
        self.close(id, reason, now);
    }

    /// Sends our handshake on a link that is about to be closed without one: a py2p that dialled
    /// us by our id and does not get it would storm its other peers for ever; and a node of
    /// another network learns that it is in the wrong one.
    pub(super) fn introduce_before_closing(
        &mut self,
        id: LinkId,
        reason: &CloseReason,
        now: Instant,
    ) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let is_of_use = match reason {
            CloseReason::WrongNetwork { .. } => link.kind != PeerKind::Native,
            // On a second link it would make py2p close the first.
            CloseReason::Duplicate(_)
            | CloseReason::Stalled
            | CloseReason::Silent
            | CloseReason::Overflow { .. }
            | CloseReason::PeerClosed
            | CloseReason::PeerLeft
            | CloseReason::TurnedAway
            | CloseReason::NoPlace
            | CloseReason::Redundant => false,
            CloseReason::Fault(_)
            | CloseReason::Ourselves
            | CloseReason::HandshakeTimeout
            | CloseReason::HalfFrameTimeout
            | CloseReason::Requested
            | CloseReason::ShutDown => link.side == Side::Accepted && link.kind != PeerKind::Native,
        };
        if is_of_use {
            self.introduce(id, now);
        }
    }

    /// Tells a native peer that we close the link on purpose, and whether it may dial us for it.
    pub(super) fn say_goodbye(&mut self, id: LinkId, reason: &CloseReason, now: Instant) {
        if sabotaged!(self.config, Sabotage::GoodbyeNotSent) {
            return;
        }
        let goodbye = if *reason == CloseReason::Requested {
            Goodbye::Unwanted
        } else if *reason == CloseReason::ShutDown {
            Goodbye::Leaving
        } else {
            return;
        };
        let link = self.links.get(&id);
        if link.is_some_and(Link::is_native_peer) {
            self.send_control(id, &goodbye.encode(), now);
        }
    }

    /// Sends our handshake, unless it is out already.
    pub(super) fn introduce(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.introduced {
            return;
        }
        link.introduced = true;
        link.asked_at = Some(now);
        let kind = link.kind;
        let message = self.handshake(kind);
        self.send_greeting(id, &message, now);
    }

    /// Returns our handshake, as a kind of peer is told it.
    fn handshake(&self, kind: PeerKind) -> OutControl {
        let traits = traits(kind);
        let handshake = OwnHandshake {
            id: &self.id,
            protocol: &self.protocol_id,
            address: self.config.advertised.as_ref(),
            no_address: traits.no_address,
            methods: &traits.offered(&self.config),
        };
        handshake.encode()
    }

    /// Returns what suits whoever is there: a native node takes the first message, a legacy one ignores it.
    pub(super) fn farewell_frames(&mut self, now: Instant) -> Bytes {
        let mut frames = BytesMut::new();
        for message in [
            Goodbye::Full(Vec::new()).encode(),
            self.handshake(PeerKind::Other),
        ] {
            let packed = self.compose_control(&message, now);
            let frame = Encoder::new(packed.id(), packed.bytes().clone()).frame(None);
            frames.extend_from_slice(&frame);
        }
        frames.freeze()
    }

    fn answer_native(&mut self, id: LinkId, answer: &OutControl, now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.introduced = true;
            link.asked_at = Some(now);
        }
        self.send_greeting(id, answer, now);
    }

    fn send_hello(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.asked_at = Some(now);
        let is_probe = link.is_probe && link.side == Side::Dialed;
        let methods = traits(PeerKind::Native).offered(&self.config);
        let hello = Hello {
            version: Hello::VERSION,
            id: self.id.clone(),
            network: self.protocol_id.clone(),
            address: self.config.advertised.clone(),
            methods: methods.into_iter().map(u64::from).collect(),
            features: vec![FEATURE.to_owned()],
            max_frame_len: Some(self.config.max_frame_len as u64),
            key: None,
            island: Some(self.island.beacon().clone()),
            is_probe,
        };
        self.send_greeting(id, &hello.encode(), now);
    }

    /// Sends one message of the greeting: a whisper, never compressed.
    pub(super) fn send_greeting(&mut self, id: LinkId, message: &OutControl, now: Instant) {
        let packed = self.compose_control(message, now);
        let frame = Encoder::new(packed.id(), packed.bytes().clone()).frame(None);
        self.enqueue(id, frame, None, now);
    }

    fn set_stage(&mut self, id: LinkId, stage: Stage) {
        if let Some(link) = self.links.get_mut(&id) {
            link.stage = stage;
        }
    }

    fn kind_of(&self, id: LinkId) -> PeerKind {
        self.links
            .get(&id)
            .map_or(PeerKind::Other, |link| link.kind)
    }

    /// Ends the dial of a link that leads to a peer which is linked already. Returns whether the
    /// dial was under way when that link was established: then the two have crossed.
    fn end_dial_at_peer(&mut self, id: LinkId, winner: LinkId, peer: &NodeId) -> bool {
        let established_at = self.links.get(&winner).and_then(|link| link.established_at);
        let Some(dial) = self.links.get_mut(&id).and_then(|link| link.dial.take()) else {
            return false;
        };
        let started = self.dials.get(&dial).map(|dial| dial.started);
        let has_crossed = established_at > started;
        if has_crossed {
            // Whoever asked for the dial has what he wanted, by a link that crossed it.
            self.dial_reached(dial, peer);
        } else {
            self.dial_useless(dial, ConnectError::Duplicate(peer.clone()), peer);
        }
        has_crossed
    }
}

/// What a neighbour becomes in the book when it is lost.
pub(super) fn lost_standing(kind: PeerKind) -> Standing {
    if traits(kind).always_redial {
        Standing::Stray
    } else {
        Standing::Lost
    }
}

/// Returns those of a list of methods that have a name here, in its order.
pub(super) fn known(numbers: &[u64]) -> Vec<Method> {
    let methods = numbers.iter().filter_map(|n| Method::from_number(*n));
    methods.collect()
}
