//! One link: a byte stream, and how far the greeting on it has come.

use std::time::Duration;

use bytes::Bytes;

use crate::address::Address;
use crate::config::Config;
use crate::error::CloseReason;
use crate::feed::Feed;
use crate::flavour::{Traits, traits};
use crate::frame::FrameReader;
use crate::id::{IdForm, NodeId};
use crate::island::Beacon;
use crate::outbox::Outbox;
use crate::output::{DialId, LinkId, PeerInfo, PeerKind, Side};
use crate::receipts::Receipts;
use crate::skew::Skew;
use crate::time::Instant;
use crate::tree::Repeats;
use crate::wire::compress::Method;
use crate::wire::native::Goodbye;

/// How far the greeting has come.
///
/// A native link goes: dialler's hello, acceptor's hello and accept, dialler's confirm. On a legacy
/// link each side sends one handshake, the other side first. Whoever knows the peer but prefers
/// another link to it holds its accept, confirm or handshake back, so that no two links to one node
/// are established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing has come that tells who is there.
    Greeting,
    /// The peer is known, and a rival link to it is preferred: our answer is held back.
    Held,
    /// Native, accepted: our accept is out, their confirm is to come.
    Offered,
    /// Native, dialled: their hello is in, their accept is to come.
    Awaiting,
    /// Messages may go both ways.
    Established,
    /// What is queued still goes out, and nothing is taken in.
    Closing,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    pub(crate) id: NodeId,
    /// How its handshake spells its id: others have to be told of it in the same way.
    pub(crate) id_form: IdForm,
    /// Where it says that it can be reached.
    pub(crate) address: Option<Address>,
}

#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) side: Side,
    /// The address that was dialled, or that the link was accepted from.
    pub(crate) remote: Address,
    /// The dial that this link came from, until the link is established.
    pub(crate) dial: Option<DialId>,
    pub(crate) stage: Stage,
    /// [`PeerKind::Other`] until the peer is known.
    pub(crate) kind: PeerKind,
    pub(crate) card: Option<Card>,
    /// Whether our handshake is out; of a native link, our accept or confirm.
    pub(crate) introduced: bool,
    /// How often it was sent again.
    pub(crate) reintroductions: u32,
    /// Whether their accept is in.
    pub(crate) is_accepted: bool,
    pub(crate) established_at: Option<Instant>,
    /// The methods that the peer listed last.
    pub(crate) listed: Vec<Method>,
    /// Whether the peer carries letters, by its hello.
    pub(crate) carries_letters: bool,
    /// The longest frame body that the peer takes, by its hello.
    pub(crate) max_frame_len: usize,
    /// The method of the last frame that came.
    pub(crate) last_method: Option<Method>,
    /// Whether the peer was asked to renegotiate, which happens once.
    pub(crate) renegotiated: bool,
    pub(crate) reader: FrameReader,
    /// When the first byte of the unfinished frame came.
    pub(crate) frame_began: Instant,
    /// How much comes that was here before.
    pub(crate) repeats: Repeats,
    pub(crate) outbox: Outbox,
    /// Frames for a peer that was offered the link and has not confirmed it yet. For the dialler the link
    /// may be established already, and what is sent from then on has to reach it.
    pub(crate) held_back: HeldBack,
    /// What it still has to be sent of the log.
    pub(crate) feed: Feed,
    /// How far a legacy peer has come with what it was sent.
    pub(crate) receipts: Receipts,
    /// When it took bytes last.
    pub(crate) progress_at: Instant,
    /// Whether the next frame has to wait for the pacing timer.
    pub(crate) paced: bool,
    /// When the last bytes came.
    pub(crate) heard_at: Instant,
    /// When something was sent that the peer answers.
    pub(crate) asked_at: Option<Instant>,
    pub(crate) round_trip: Option<Duration>,
    /// What a legacy peer's messages tell of its clock.
    pub(crate) skew: Skew,
    pub(crate) control: ControlRate,
    /// When the peer was last told of others.
    pub(crate) told_at: Option<Instant>,
    /// Whether it is of use only if it leads to another island.
    pub(crate) is_probe: bool,
    /// The beacon of the peer's island, as its hello has it.
    pub(crate) island: Option<Beacon>,
    /// What the peer said when it began to close the link.
    pub(crate) goodbye: Option<Goodbye>,
    /// Why it is closing.
    pub(crate) closing: Option<CloseReason>,
}

impl Link {
    pub(crate) fn new(
        id: LinkId,
        side: Side,
        remote: Address,
        dial: Option<DialId>,
        config: &Config,
        now: Instant,
    ) -> Self {
        Self {
            id,
            side,
            remote,
            dial,
            stage: Stage::Greeting,
            kind: PeerKind::Other,
            card: None,
            introduced: false,
            reintroductions: 0,
            is_accepted: false,
            established_at: None,
            listed: Vec::new(),
            carries_letters: false,
            max_frame_len: usize::MAX,
            last_method: None,
            renegotiated: false,
            reader: FrameReader::new(
                sabotaged!(config, Sabotage::FrameLengthUnbounded => usize::MAX, else config.max_frame_len),
            ),
            frame_began: now,
            repeats: Repeats::default(),
            outbox: Outbox::new(
                sabotaged!(config, Sabotage::QueueUnbounded => usize::MAX, else config.link_queue_limit),
            ),
            held_back: HeldBack::default(),
            feed: Feed::new(now),
            receipts: Receipts::new(),
            progress_at: now,
            paced: false,
            heard_at: now,
            asked_at: None,
            round_trip: None,
            skew: Skew::default(),
            control: ControlRate::default(),
            told_at: None,
            is_probe: false,
            island: None,
            goodbye: None,
            closing: None,
        }
    }

    pub(crate) fn traits(&self) -> &'static Traits {
        traits(self.kind)
    }

    pub(crate) fn is_established(&self) -> bool {
        self.stage == Stage::Established
    }

    /// Returns whether it is established and leads to a node of rs2p.
    pub(crate) fn is_native_peer(&self) -> bool {
        self.is_established() && self.kind == PeerKind::Native
    }

    pub(crate) fn peer_id(&self) -> Option<&NodeId> {
        self.card.as_ref().map(|card| &card.id)
    }

    /// Returns whether the peer at the other end has this id.
    pub(crate) fn leads_to(&self, id: &NodeId) -> bool {
        self.peer_id() == Some(id)
    }

    /// Returns the address to dial to get this peer again.
    pub(crate) fn dial_address(&self) -> Option<&Address> {
        let advertised = self.card.as_ref().and_then(|card| card.address.as_ref());
        match self.side {
            // This one is known to work.
            Side::Dialed => Some(&self.remote),
            Side::Accepted => advertised,
        }
    }

    /// Returns the peer, once it is known.
    pub(crate) fn peer_info(&self) -> Option<PeerInfo> {
        let card = self.card.as_ref()?;
        Some(PeerInfo {
            id: card.id.clone(),
            kind: self.kind,
            link: self.id,
            side: self.side,
            remote: self.remote.clone(),
            address: card.address.clone(),
            round_trip: self.round_trip,
        })
    }

    /// Notes that a frame came, and with it perhaps the answer to something.
    pub(crate) fn note_frame(&mut self, now: Instant) {
        if let Some(asked_at) = self.asked_at.take() {
            self.round_trip = Some(now.saturating_duration_since(asked_at));
        }
    }

    pub(crate) fn check_invariants(&self) {
        self.outbox.check_invariants();
        self.feed.check_invariants();
        self.receipts.check_invariants();
        let is_known = self.card.is_some();
        match self.stage {
            Stage::Greeting => debug_assert!(!is_known, "{}: known, and greeting", self.id),
            Stage::Held | Stage::Offered | Stage::Awaiting => {
                debug_assert!(is_known, "{}: unknown, and past the greeting", self.id);
            }
            Stage::Established => {
                debug_assert!(is_known && self.introduced, "{}: half known", self.id);
                debug_assert!(self.dial.is_none(), "{}: its dial is over", self.id);
            }
            Stage::Closing => debug_assert!(!self.outbox.is_empty(), "{}: lingers", self.id),
        }
        if self.stage != Stage::Offered {
            debug_assert_eq!(self.held_back.len(), 0, "{}: holds frames back", self.id);
        }
    }
}

/// Frames that wait for a link to be established.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldBack {
    frames: Vec<Bytes>,
    len: usize,
}

impl HeldBack {
    pub(crate) fn push(&mut self, frame: Bytes) {
        self.len += frame.len();
        self.frames.push(frame);
    }

    /// Returns the bytes of all frames.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(self).frames
    }
}

/// Counts control messages second by second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ControlRate {
    second: u64,
    count: u32,
}

/// What one more control message comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Welcome,
    /// The first one too many in this second.
    OneTooMany,
    TooMany,
}

impl ControlRate {
    pub(crate) fn admit(&mut self, limit: u32, now: Instant) -> Admission {
        let second = now.as_micros() / 1_000_000;
        if second != self.second {
            *self = Self { second, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        match self.count.checked_sub(limit) {
            None | Some(0) => Admission::Welcome,
            Some(1) => Admission::OneTooMany,
            Some(_) => Admission::TooMany,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_messages_are_admitted_up_to_the_limit_in_each_second() {
        let mut rate = ControlRate::default();
        for second in 0..3 {
            let now = Instant::from_micros(second * 1_000_000);
            let admitted = [(); 5].map(|()| rate.admit(3, now));
            assert_eq!(
                admitted,
                [
                    Admission::Welcome,
                    Admission::Welcome,
                    Admission::Welcome,
                    Admission::OneTooMany,
                    Admission::TooMany
                ]
            );
        }
    }
}
