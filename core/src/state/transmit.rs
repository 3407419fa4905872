//! What goes out: messages made here, messages passed on, and the queues of the links.

use std::time::Duration;

use super::{MeshState, Phase, Room};
use crate::config::Config;
use crate::encode::{ALIGNMENT, Encoder};
use crate::error::CloseReason;
use crate::flavour::{Compress, Told, traits};
use crate::frame::PREFIX_LEN;
use crate::id::{IdForm, MessageId, NodeId};
use crate::link::{Link, Stage};
use crate::output::{Event, LinkId, Output, PeerKind, SendId, SendOutcome, WithheldReason};
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::control::{
    OutControl, Response, encode_peers, encode_renegotiation, encode_request_peers,
};
use crate::wire::fields::PeerEntry;
use crate::wire::message::{MainType, Outgoing, Packed, SubFlagOut};
use crate::wire::msgpack;
use crate::wire::native::encode_ping;
use crate::wire::payload::Payload;
use crate::wire::trailer::{Name, align};

/// How long a py2p is given to take a frame whose length is a danger before the next one follows.
const PACE: Duration = Duration::from_millis(20);

/// How often it is looked again whether there is room, while someone waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How many peers one list names.
const MAX_TOLD: usize = 64;

impl MeshState {
    /// Packs a message of our own, so that its plain frame has a length that suits py2p.
    ///
    /// Equal broadcasts within one second would have one id, and all but the first would be lost everywhere.
    /// The bytes behind the array are part of the id, every node keeps and nobody reads them:
    /// there a number makes ours differ, and the application sees what was sent.
    pub(super) fn compose(
        &mut self,
        main: MainType,
        sub_flag: SubFlagOut<'_>,
        packets: &Payload,
        name: Option<Name>,
        now: Instant,
    ) -> Packed {
        let outgoing = Outgoing {
            main,
            sender: &self.id,
            form: IdForm::Str,
            time: self.clock.at(now).as_secs(),
            sub_flag,
            packets,
        };
        let mut bytes = outgoing.pack();
        if let Some(name) = name {
            name.put(&mut bytes);
            return Packed::of_our_own(bytes.into());
        }
        align(&mut bytes);
        let aligned = bytes.len();
        loop {
            let packed = Packed::of_our_own(bytes.into());
            if main != MainType::Broadcast
                || !self.seen.contains(&packed.id())
                || sabotaged!(self.config, Sabotage::EqualMessagesCollide)
            {
                return packed;
            }
            reached!(self, Mark::MadeDistinct);
            self.next_trailer += 1;
            bytes = packed.bytes()[..aligned].to_vec();
            bytes.extend_from_slice(&self.next_trailer.to_be_bytes());
        }
    }

    pub(super) fn compose_control(&mut self, message: &OutControl, now: Instant) -> Packed {
        self.compose(message.main, message.sub_flag, &message.packets, None, now)
    }

    /// Packs one of the protocol's own messages that is no broadcast. It is not read again: nobody asks what is in it.
    pub(super) fn compose_whisper(&self, message: &OutControl, now: Instant) -> Encoder {
        let outgoing = Outgoing {
            main: message.main,
            sender: &self.id,
            form: IdForm::Str,
            time: self.clock.at(now).as_secs(),
            sub_flag: message.sub_flag,
            packets: &message.packets,
        };
        let mut bytes = outgoing.pack();
        align(&mut bytes);
        Encoder::new(MessageId::of(&bytes), bytes.into())
    }

    /// Sends one of the protocol's own messages to one peer, as the link's traits have it.
    pub(super) fn send_control(&mut self, id: LinkId, message: &OutControl, now: Instant) {
        let mut encoder = if message.main == MainType::Broadcast {
            let packed = self.compose_control(message, now);
            self.remember_own(&packed, now);
            Encoder::new(packed.id(), packed.bytes().clone())
        } else {
            self.compose_whisper(message, now)
        };
        self.send_encoded(id, &mut encoder, None, now);
    }

    /// Sends one of the protocol's own messages to everyone.
    pub(super) fn broadcast_control(&mut self, message: &OutControl, now: Instant) {
        let packed = self.compose_control(message, now);
        self.send_to_all(&packed, now);
    }

    /// Sends a broadcast of the protocol's own to all peers.
    fn send_to_all(&mut self, packed: &Packed, now: Instant) {
        self.remember_own(packed, now);
        let encoder = Encoder::new(packed.id(), packed.bytes().clone());
        self.send_to_peers(packed, encoder, |_| true, now);
    }

    /// Passes on a broadcast: to all peers but its sender and the one that it came from.
    pub(super) fn relay(
        &mut self,
        from: LinkId,
        sender: &NodeId,
        packed: &Packed,
        encoder: Encoder,
        response: Option<&Response>,
        now: Instant,
    ) {
        if sabotaged!(self.config, Sabotage::NoRelay) {
            return;
        }
        let is_muted = |link: &Link| {
            let peer = link.peer_id();
            response.is_some_and(|response| {
                peer.is_some_and(|peer| self.searches.is_muted(&response.request_id, peer))
            })
        };
        let muted: Vec<LinkId> = self
            .links
            .values()
            .filter(|link| response.is_some() && is_muted(link))
            .map(|link| link.id)
            .collect();
        let echoes = sabotaged!(self.config, Sabotage::RelaysBack);
        let wants = |link: &Link| {
            (link.id != from || echoes) && !link.leads_to(sender) && !muted.contains(&link.id)
        };
        let relayed = sabotaged!(self.config, Sabotage::RelayAltersByte
            => crate::sabotage::altered(packed), else encoder);
        self.send_to_peers(packed, relayed, wants, now);
    }

    /// Sends a message to every peer whose link `wants` it and that can live with it, those included
    /// that have a link on offer.
    pub(super) fn send_to_peers(
        &mut self,
        packed: &Packed,
        mut encoder: Encoder,
        wants: impl Fn(&Link) -> bool,
        now: Instant,
    ) {
        let is_on_offer = |link: &&Link| {
            let peer = link.peer_id();
            link.stage == Stage::Offered && peer.is_some_and(|peer| !self.peers.contains_key(peer))
        };
        let on_offer = self.links.values().filter(is_on_offer).map(|link| link.id);
        let targets: Vec<LinkId> = self.peers.values().copied().chain(on_offer).collect();
        let skipped = usize::from(sabotaged!(self.config, Sabotage::RelaySkipsOne));
        for &id in targets.iter().skip(skipped) {
            let Some(link) = self.links.get(&id).filter(|link| wants(link)) else {
                continue;
            };
            if let Some(why) = withheld(link, packed, &encoder) {
                reached!(self, Mark::Withheld);
                if let Some(peer) = link.peer_id().cloned() {
                    let id = packed.id();
                    self.event(Event::Withheld { id, peer, why });
                }
                continue;
            }
            self.send_encoded(id, &mut encoder, None, now);
        }
    }

    /// Sends a message on one link, compressed as its traits have it.
    pub(super) fn send_encoded(
        &mut self,
        id: LinkId,
        encoder: &mut Encoder,
        send: Option<SendId>,
        now: Instant,
    ) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let frame = frame_for(link, &self.config, encoder);
        reached!(self, Mark::SentCompressed if frame.len() != encoder.plain_len());
        tracing::trace!(
            link = id.as_u64(), message = ?encoder.id(), bytes = frame.len(), "message out"
        );
        if link.stage == Stage::Offered {
            return self.hold_back(id, frame, now);
        }
        self.enqueue(id, frame, send, now);
    }

    /// Sends a message of the log on an established link, if that is one on which nothing stands in its way: what nearly
    /// all links are, nearly always. Returns whether it was; else all that a link may need is left to others.
    pub(super) fn passes(&mut self, id: LinkId, encoder: &mut Encoder) -> bool {
        if self.is_flushing_sabotaged() {
            return false;
        }
        let Some(link) = self.links.get_mut(&id) else {
            return false;
        };
        let fits = encoder.plain_len() - PREFIX_LEN <= link.max_frame_len;
        if link.kind != PeerKind::Native || !fits || !link.outbox.is_empty() {
            return false;
        }
        let frame = frame_for(link, &self.config, encoder);
        if !link.outbox.pass(frame.len()) {
            return false;
        }
        reached!(self, Mark::SentCompressed if frame.len() != encoder.plain_len());
        tracing::trace!(
            link = id.as_u64(), message = ?encoder.id(), bytes = frame.len(), "message out"
        );
        self.timers.cancel(Timer::Stall(id));
        let batching = traits(PeerKind::Native).batching;
        self.outputs.push_send(id, frame, batching);
        true
    }

    /// Keeps a frame until a link that is on offer is established.
    fn hold_back(&mut self, id: LinkId, frame: bytes::Bytes, now: Instant) {
        let limit = self.config.link_queue_limit;
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.held_back.len().saturating_add(frame.len()) > limit.max(frame.len()) {
            return self.close(id, CloseReason::Overflow { limit }, now);
        }
        reached!(self, Mark::HeldBack);
        link.held_back.push(frame);
    }

    /// Sends on an established link what was held back on a link to the same peer, itself or another.
    pub(super) fn release_held_back(&mut self, from: LinkId, to: LinkId, now: Instant) {
        let held_back = self.links.get_mut(&from).map(|link| link.held_back.take());
        if sabotaged!(self.config, Sabotage::HeldBackDropped) {
            return;
        }
        for frame in held_back.into_iter().flatten() {
            reached!(self, Mark::HeldBackMoved if from != to);
            self.enqueue(to, frame, None, now);
        }
    }

    /// Queues a frame and writes what the credit allows. A link whose queue is full is closed.
    pub(super) fn enqueue(
        &mut self,
        id: LinkId,
        frame: bytes::Bytes,
        send: Option<SendId>,
        now: Instant,
    ) {
        let is_sabotaged = self.is_flushing_sabotaged();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let is_plain = send.is_none() && !link.traits().align && link.stage != Stage::Closing;
        if is_plain && !is_sabotaged && link.outbox.pass(frame.len()) {
            // Most frames: they need not wait in the queue for the look that lets them out again.
            let batching = link.traits().batching;
            self.timers.cancel(Timer::Stall(id));
            return self.outputs.push_send(id, frame, batching);
        }
        if let Err(overflow) = link.outbox.push(frame, send) {
            if sabotaged!(self.config, Sabotage::OverflowDropsFrame) {
                return;
            }
            let reason = CloseReason::Overflow {
                limit: overflow.limit,
            };
            if let Some(send) = send {
                let reason = reason.clone();
                self.tell_outcome(send, SendOutcome::LinkLost(reason));
            }
            return self.close(id, reason, now);
        }
        self.flush(id, now);
    }

    /// Returns whether a bug is planted in [`flush`](Self::flush): then all goes through that.
    #[cfg(feature = "sabotage")]
    fn is_flushing_sabotaged(&self) -> bool {
        sabotaged!(self.config, Sabotage::StalledPeerBlocksOthers)
            || sabotaged!(self.config, Sabotage::CreditExceeded)
    }

    #[cfg(not(feature = "sabotage"))]
    #[expect(
        clippy::unused_self,
        reason = "it is the same call as with the feature"
    )]
    const fn is_flushing_sabotaged(&self) -> bool {
        false
    }

    /// Writes what waits on a link, as far as credit and pacing allow.
    pub(super) fn flush(&mut self, id: LinkId, now: Instant) {
        if sabotaged!(self.config, Sabotage::StalledPeerBlocksOthers
            => crate::sabotage::is_another_stuck(&self.links, id), else false)
        {
            return;
        }
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let traits = link.traits();
        if sabotaged!(self.config, Sabotage::CreditExceeded) {
            link.outbox.grant(1 << 10);
        }
        while !link.paced
            && let Some(chunk) = link.outbox.pop(traits.align)
        {
            reached!(self, Mark::WritePartial if chunk.ended.is_none());
            if sabotaged!(self.config, Sabotage::WriteTailLost)
                && chunk.ended.is_some_and(|len| len > chunk.bytes.len())
            {
                continue;
            }
            self.outputs.push_send(id, chunk.bytes, traits.batching);
            if let Some(send) = chunk.sent {
                let outcome = SendOutcome::Sent { link: id };
                self.outputs
                    .push(Output::Event(Event::Sent { send, outcome }));
            }
            let is_dangerous = |len: usize| !len.is_multiple_of(ALIGNMENT);
            if traits.align && chunk.ended.is_some_and(is_dangerous) {
                reached!(self, Mark::Paced);
                link.paced = true;
                self.timers.set(Timer::Pace(id), now.saturating_add(PACE));
            }
        }
        if !link.outbox.is_empty() {
            if !link.paced {
                let deadline = now.saturating_add(self.config.stall_timeout);
                self.timers.arm(Timer::Stall(id), deadline);
            }
            return;
        }
        self.timers.cancel(Timer::Stall(id));
        if link.stage == Stage::Closing {
            reached!(self, Mark::LingerFlushed);
            self.cut(id);
        }
    }

    /// Says that there is room again, if that is what the application waits for.
    pub(super) fn announce_room(&mut self, now: Instant) {
        let Some(awaited) = self.awaited else {
            return;
        };
        if self.phase != Phase::Running {
            return;
        }
        let has_room = match awaited {
            Room::Links => self.has_room(),
            Room::Log(len) => self.delivery.log.has_room_for_own(len),
            Room::Posts(len) => self.has_room_for_post(len),
        };
        if has_room {
            reached!(self, Mark::RoomAgain);
            self.awaited = None;
            self.timers.cancel(Timer::Room);
            self.event(Event::Room);
        } else {
            // A neighbour that takes nothing counts no more after a while.
            self.timers.arm(Timer::Room, now.saturating_add(LOOK_AGAIN));
        }
    }

    pub(super) fn has_room(&self) -> bool {
        let mut links = self.peers.values().filter_map(|link| self.links.get(link));
        links.all(|link| link.outbox.has_room())
    }

    /// Tells a peer of the others that it can live with.
    pub(super) fn tell_peers(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.told_at = Some(now);
        let told = link.traits().told;
        let suits = |other: &&Link| match told {
            Told::Nobody => sabotaged!(self.config, Sabotage::Js2pToldOfPeers),
            Told::Native => other.kind == PeerKind::Native,
            Told::BinaryProtocol => matches!(
                other.kind,
                PeerKind::Native | PeerKind::Py2p | PeerKind::Py2p27
            ),
        };
        let others = self.links.values().filter(|l| l.is_established());
        let entries: Vec<PeerEntry> = others
            .filter(|other| other.id != id)
            .filter(suits)
            .filter_map(|other| other.card.as_ref())
            .filter_map(|card| {
                Some(PeerEntry {
                    address: card.address.clone()?,
                    id: card.id.clone(),
                    id_form: card.id_form,
                })
            })
            .take(sabotaged!(self.config, Sabotage::PeersListEmpty => 0, else MAX_TOLD))
            .collect();
        self.send_control(id, &encode_peers(&entries), now);
    }

    /// Answers a request for peers, unless the last answer is too recent.
    pub(super) fn answer_request_for_peers(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let is_recent = link.told_at.is_some_and(|told_at| {
            now.saturating_duration_since(told_at) < self.config.peers_interval
        });
        if !is_recent {
            self.tell_peers(id, now);
        }
    }

    /// Asks all peers for theirs, after a loss has left places free.
    pub(super) fn ask_for_peers(&mut self, now: Instant) {
        let is_recent = self
            .asked_for_peers
            .is_some_and(|asked| now.saturating_duration_since(asked) < self.config.peers_interval);
        if is_recent || self.peers.len() >= self.config.max_dialed {
            return;
        }
        reached!(self, Mark::PeersAsked);
        self.asked_for_peers = Some(now);
        let request = encode_request_peers();
        let peers: Vec<LinkId> = self.peers.values().copied().collect();
        for id in peers {
            self.send_control(id, &request, now);
        }
    }

    pub(super) fn send_renegotiation(&mut self, id: LinkId, methods: &[u8], now: Instant) {
        self.send_control(id, &encode_renegotiation(methods), now);
    }

    /// Looks after a link on which nothing has come for a while: asks, and if there is no answer either, closes it. Its
    /// other end may be gone without a word. Legacy peers answer no ping, but all answer a request for peers.
    pub(super) fn on_idle(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.is_established()) else {
            return;
        };
        let interval = idle_interval(&self.config, link.kind);
        let silence = now.saturating_duration_since(link.heard_at);
        let patience =
            sabotaged!(self.config, Sabotage::IdleLinkClosed => interval, else interval * 2);
        if silence >= patience {
            return self.close(id, CloseReason::Silent, now);
        }
        let heard_at = link.heard_at;
        let next = if silence < interval {
            if link.kind == PeerKind::Native {
                self.compare_when_quiet(id, now);
            }
            heard_at.saturating_add(interval)
        } else {
            reached!(self, Mark::PingSent);
            if link.kind == PeerKind::Native {
                link.asked_at = Some(now);
                self.send_control(id, &encode_ping(now.as_micros()), now);
                self.send_summary(id, now);
            } else {
                self.send_control(id, &encode_request_peers(), now);
            }
            now.saturating_add(interval)
        };
        if self.links.contains_key(&id) && !sabotaged!(self.config, Sabotage::IdleTimerNotRearmed) {
            self.timers.set(Timer::Idle(id), next);
        }
    }

    /// Makes a fresh id for a request: text, as legacy nodes have it.
    pub(super) fn request_id(&mut self) -> bytes::Bytes {
        let text = crate::wire::base58::integer(&self.chance.bytes());
        let mut out = Vec::with_capacity(text.len() + 2);
        msgpack::put_str(&mut out, &text).expect("32 bytes are short in base58");
        out.into()
    }

    fn remember_own(&mut self, packed: &Packed, now: Instant) {
        self.seen.insert(packed.id(), self.config.seen_ttl, now);
    }
}

/// Returns how long a link of this kind may be silent before the peer is asked for a sign of life.
pub(super) fn idle_interval(config: &Config, kind: PeerKind) -> Duration {
    match kind {
        PeerKind::Native => config.ping_interval,
        // Their answer is longer, and py2p may be busy with a dial for a while.
        PeerKind::Py2p | PeerKind::Py2p27 | PeerKind::Js2p | PeerKind::Other => {
            config.ping_interval.saturating_mul(2)
        }
    }
}

/// Returns the frame of a message for a peer, compressed as its traits have it.
fn frame_for(link: &Link, config: &Config, encoder: &mut Encoder) -> bytes::Bytes {
    let traits = link.traits();
    let is_short = encoder.plain_len() < config.min_compress_len;
    if link.listed.is_empty() || (traits.compress == Compress::IfShorter && is_short) {
        return encoder.plain().clone();
    }
    match (traits.method(config, &link.listed), traits.compress) {
        (Some(method), Compress::IfShorter) => encoder.shorter_frame(method),
        (method, Compress::Always) => encoder.frame(method),
        (None, Compress::IfShorter) | (_, Compress::Never) => encoder.frame(None),
    }
}

/// Returns why a message is kept from a peer.
pub(super) fn withheld(link: &Link, packed: &Packed, encoder: &Encoder) -> Option<WithheldReason> {
    let traits = traits(link.kind);
    let limit = traits.max_frame_len.min(link.max_frame_len);
    if encoder.plain_len() - PREFIX_LEN > limit {
        return Some(WithheldReason::TooLong { limit });
    }
    (traits.refuses)(packed).map(WithheldReason::Content)
}
