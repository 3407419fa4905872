//! [`MeshState`]: the entry points, the drain, the deadlines. What a message, a greeting or a dial
//! leads to is in the modules below.

mod application;
mod clocks;
mod closing;
mod delivery;
mod dialing;
mod feeding;
mod greeting;
mod islands;
mod letters;
mod posting;
mod receipts;
mod receive;
mod repair;
mod room;
mod saving;
mod telling;
mod transmit;
mod tree;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::address::Address;
use crate::book::Book;
use crate::chance::Chance;
use crate::config::Config;
use crate::delivery::Delivery;
use crate::error::{AcceptError, CloseReason, ConfigError, PeerFault};
use crate::frame::{Frame, FrameReader, PREFIX_LEN};
use crate::frontier::{Frontiers, Stream};
use crate::id::{NodeId, ProtocolId};
use crate::island::Island;
use crate::link::{Link, Stage};
use crate::links::Links;
use crate::output::{DialId, Event, LinkId, Output, PeerInfo, SendId, SendOutcome, Side};
use crate::outputs::Outputs;
use crate::post::Posts;
use crate::save::Save;
use crate::search::Searches;
use crate::seen::Seen;
use crate::senders::Senders;
use crate::snapshot::{AddressInfo, LinkInfo, LogInfo, Snapshot};
use crate::sorted::SortedMap;
use crate::state::dialing::Dial;
use crate::time::{Instant, UnixTime, WallClock};
use crate::timers::{Timer, Timers};
use crate::tree::Tree;
use crate::ways::Ways;

/// What a remembered message id costs, in bytes: the id, and its share of the table.
const SEEN_COST: usize = 64;

/// What a way costs, in bytes: the id of the node, and its places in two trees.
const WAY_COST: usize = 200;

/// What an address in the book costs, in bytes: host, id, and their places in a tree.
const ADDRESS_COST: usize = 250;

/// To how many nodes it is remembered which link leads there: 3 MB.
const MAX_WAYS: usize = 1 << 14;

/// Of how many senders it is remembered which of their letters came. One that is forgotten may bring what it brought before, if
/// it does so within [`Config::send_timeout`].
const MAX_CORRESPONDENTS: usize = 4096;

/// How many ranges of the letters of one sender are remembered. It begins anew when one is lost, so there are hardly two.
const MAX_LETTER_RANGES: usize = 64;

/// One node of the network, without its sockets and clocks.
///
/// See the [crate documentation](crate) for the contract and for the loop that drives it.
#[derive(Clone, Debug)]
pub struct MeshState {
    config: Config,
    id: NodeId,
    protocol_id: ProtocolId,
    chance: Chance,
    clock: WallClock,
    timers: Timers,
    outputs: Outputs,
    links: Links,
    /// The established link to each peer. Every entry is in `links`, and every established link
    /// is here.
    peers: SortedMap<NodeId, LinkId>,
    dials: BTreeMap<DialId, Dial>,
    /// Kept to be used again: the links that a message goes to.
    targets: Vec<LinkId>,
    book: Book,
    island: Island,
    seen: Seen,
    senders: Senders,
    delivery: Delivery,
    tree: Tree,
    searches: Searches,
    posts: Posts,
    ways: Ways,
    saving: Saving,
    /// Which letters with messages for this node, or for legacy neighbours of it, were here.
    letters: Frontiers,
    phase: Phase,
    /// The last number given to a link, dial or send.
    last_number: u64,
    /// The number in the next trailer that makes a message differ from an equal one.
    next_trailer: u64,
    /// Whether there was a link before.
    has_joined: bool,
    /// The legacy neighbours whose clocks were told to be wrong, and by how much.
    skewed: BTreeMap<NodeId, i64>,
    /// What the application waits for since a message was refused.
    awaited: Option<Room>,
    /// Whether something has changed that may make a dial due.
    should_dial: bool,
    /// When the neighbours were last asked for peers after a loss.
    asked_for_peers: Option<Instant>,
    /// When a link was last given up, or promised to be, for one that leads to another island.
    made_room: Option<Instant>,
    #[cfg(feature = "marks")]
    marks: crate::Marks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Links flush what they hold and close; nothing new begins.
    ShuttingDown,
    ShutDown,
}

/// When to save.
#[derive(Clone, Copy, Debug)]
struct Saving {
    /// Whether something has changed since the last time.
    is_due: bool,
    /// When the last time is long enough ago.
    next: Instant,
}

/// Where there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// In the queue of a link.
    Links,
    /// In the log, for a message of this length.
    Log(usize),
    /// Among the messages to one node, for one of this length.
    Posts(usize),
}

impl MeshState {
    /// Returns a node that has no links yet, and whose first outputs are the dials of its seeds.
    ///
    /// `seed` is its only source of chance: two nodes with the same seed and the same advertised
    /// address have the same id, so a driver draws 32 fresh random bytes. `now` is the driver's clock at
    /// this moment, `wall` the calendar's.
    ///
    /// # Errors
    ///
    /// The configuration breaks a rule of [`Config::check`].
    pub fn new(
        config: Config,
        seed: [u8; 32],
        now: Instant,
        wall: UnixTime,
    ) -> Result<Self, ConfigError> {
        let mut state = Self::make(config, seed, None, now, wall)?;
        state.settle(now);
        Ok(state)
    }

    /// Makes a node that has not begun to do anything.
    fn make(
        config: Config,
        seed: [u8; 32],
        save: Option<&Save>,
        now: Instant,
        wall: UnixTime,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let mut chance =
            Chance::new(sabotaged!(config, Sabotage::SeedIgnored => [0; 32], else seed));
        let protocol_id = config.protocol.id();
        let derived = NodeId::derive(config.advertised.as_ref(), &protocol_id, &chance.bytes());
        let id = save.map_or(derived, |save| save.id.clone());
        let mut book = Book::new(
            sabotaged!(config, Sabotage::BookUnbounded => usize::MAX, else config.max_addresses),
            sabotaged!(config, Sabotage::BackoffMissing => Duration::ZERO, else config.redial_min),
            sabotaged!(config, Sabotage::BackoffMissing => Duration::ZERO, else config.redial_max),
        );
        if let Some(own) = &config.advertised {
            book.set_own(own);
        }
        for address in &config.seeds {
            book.add_seed(address, now);
        }
        let seen = Seen::new(config.seen_ttl, config.max_seen);
        let divisor = sabotaged!(config, Sabotage::BeaconsWithoutPause => 100, else 1);
        let interval = config.beacon_interval / divisor;
        let island = Island::new(id.clone(), interval, &mut chance, now);
        let own = Stream {
            origin: id.clone(),
            // Zero is no epoch.
            epoch: chance.u64().max(1),
        };
        let delivery = Delivery::new(&config, own, now);
        let mut state = Self {
            config,
            id,
            protocol_id,
            chance,
            clock: WallClock::new(now, wall),
            timers: Timers::default(),
            outputs: Outputs::default(),
            links: Links::new(),
            peers: SortedMap::default(),
            dials: BTreeMap::new(),
            targets: Vec::new(),
            book,
            island,
            seen,
            senders: Senders::default(),
            delivery,
            tree: Tree::default(),
            searches: Searches::default(),
            posts: Posts::default(),
            ways: Ways::new(MAX_WAYS),
            saving: Saving {
                is_due: true,
                next: now,
            },
            letters: Frontiers::new(MAX_CORRESPONDENTS, MAX_LETTER_RANGES),
            phase: Phase::Running,
            last_number: 0,
            next_trailer: 0,
            has_joined: false,
            skewed: BTreeMap::new(),
            awaited: None,
            should_dial: true,
            asked_for_peers: None,
            made_room: None,
            #[cfg(feature = "marks")]
            marks: crate::Marks::NONE,
        };
        state.watch_island();
        state.plan_probe(now);
        Ok(state)
    }

    /// A byte stream was accepted from this address. Returns the id of the new link, which has no
    /// credit yet.
    ///
    /// # Errors
    ///
    /// A limit is reached, or the node is shut down. The driver drops the stream; nothing else
    /// has changed.
    pub fn handle_accepted(&mut self, from: Address, now: Instant) -> Result<LinkId, AcceptError> {
        if self.phase != Phase::Running {
            return Err(AcceptError::ShutDown);
        }
        // Beyond max_links one is heard out, and told of others: see the module `room`.
        let limit = self.config.max_links + self.config.max_pending;
        if self.links.len() + self.dials_in_the_air() >= limit {
            return Err(AcceptError::TooManyLinks { limit });
        }
        let pending = self.links.values().filter(|link| {
            // A spare link to a peer is waiting for something else, and there is one for each.
            let is_spare =
                link.stage == Stage::Held && link.peer_id().is_some_and(|id| self.is_peer(id));
            link.side == Side::Accepted
                && !matches!(link.stage, Stage::Established | Stage::Closing)
                && !is_spare
        });
        if pending.count() >= self.config.max_pending {
            reached!(self, Mark::TooManyPending);
            let limit = self.config.max_pending;
            return Err(AcceptError::TooManyPending { limit });
        }
        let link = self.add_link(Side::Accepted, from, None, now);
        self.settle(now);
        Ok(link)
    }

    /// A dial that the state asked for gave a byte stream. Returns the id of the new link, which
    /// has no credit yet; or `None` if the dial is of no interest any more, and the stream is to be dropped.
    pub fn handle_dial_succeeded(&mut self, dial: DialId, now: Instant) -> Option<LinkId> {
        reached!(self, Mark::DialTooLate if !self.dials.contains_key(&dial));
        let under_way = self.dials.get_mut(&dial)?;
        if under_way.link.is_some() {
            return None;
        }
        let remote = under_way.address.clone();
        let link = self.add_link(Side::Dialed, remote, Some(dial), now);
        let is_probe = self.is_probe(dial);
        if let Some(open) = self.links.get_mut(&link) {
            open.is_probe = is_probe;
        }
        if let Some(under_way) = self.dials.get_mut(&dial) {
            under_way.link = Some(link);
        }
        self.timers.cancel(Timer::Dial(dial));
        self.greet(link, now);
        self.settle(now);
        Some(link)
    }

    /// A dial that the state asked for failed. One that is of no interest any more is ignored.
    pub fn handle_dial_failed(&mut self, dial: DialId, failure: crate::DialFailure, now: Instant) {
        if self
            .dials
            .get(&dial)
            .is_some_and(|dial| dial.link.is_none())
        {
            self.dial_failed(dial, crate::ConnectError::Dial(failure), now);
        }
        self.settle(now);
    }

    /// Bytes arrived on a link, cut anywhere. Bytes on a link that is closed or closing are ignored: they
    /// were under way when it was closed.
    pub fn handle_bytes(&mut self, link: LinkId, mut bytes: &[u8], now: Instant) {
        if sabotaged!(self.config, Sabotage::KeepAliveCountsAsTaking) {
            self.timers.cancel(Timer::Stall(link));
        }
        while self.skip_repetition(link, &mut bytes, now) || self.take_frame(link, &mut bytes, now)
        {
            reached!(self, Mark::FramesCoalesced if !bytes.is_empty());
            if sabotaged!(self.config, Sabotage::SecondFrameDropped) {
                break;
            }
        }
        self.note_bytes(link, now);
        self.settle(now);
    }

    /// A link can take so many more bytes, on top of what it could take before. A link begins with none.
    pub fn handle_credit(&mut self, link: LinkId, bytes: usize, now: Instant) {
        if let Some(open) = self.links.get_mut(&link) {
            open.outbox.grant(bytes);
            if bytes > 0 {
                open.progress_at = now;
                // Progress: the wait for it begins anew.
                self.timers.cancel(Timer::Stall(link));
            }
            if !open.is_established() || !sabotaged!(self.config, Sabotage::CreditWakesNobody) {
                self.flush(link, now);
                self.pump(link, now);
            }
        }
        self.settle(now);
    }

    /// A link was closed by the other side, or broke. No [`Output::Close`] follows for it.
    pub fn handle_closed(&mut self, link: LinkId, now: Instant) {
        if let Some(gone) = self.remove_link(link) {
            self.end_feed(&gone, now);
            let reason = if gone.goodbye.is_some() {
                CloseReason::PeerLeft
            } else {
                CloseReason::PeerClosed
            };
            self.lose_unsent(&gone, &reason);
            if gone.stage != Stage::Closing {
                self.on_link_gone(&gone, &reason, now);
            }
        }
        self.settle(now);
    }

    /// The calendar's clock says something else than the time that passed since it was last told: it was
    /// set, or the machine slept. Messages carry its time, and legacy nodes drop what is a minute old by it,
    /// so a driver calls this now and then.
    pub fn handle_wall_clock(&mut self, wall: UnixTime, now: Instant) {
        let forward = wall.seconds_since(self.clock.at(now));
        self.clock = WallClock::new(now, wall);
        if forward != 0 {
            self.shift_skews(forward);
            // How long there is no node is reckoned by the calendar.
            self.note_to_save();
            self.save_if_due(now);
        }
    }

    /// Returns what to write, if that is possible at once, to an accepted stream that
    /// [`handle_accepted`](Self::handle_accepted) turned away, before dropping it.
    ///
    /// A native node learns from it why, as [`CloseReason::TurnedAway`], and of nobody else: it has not said who it is, and may be
    /// of another network. A legacy node gets our handshake: a py2p that
    /// dialled us by our id and does not get it would storm its other peers with requests for ever.
    pub fn farewell(&mut self, now: Instant) -> Bytes {
        self.farewell_frames(now)
    }

    /// Time has passed. It does no harm to call this early, late or twice: what is not due is not done.
    ///
    /// Afterwards [`poll_timeout`](Self::poll_timeout) is `None` or later than `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            self.on_timer(timer, now);
            if sabotaged!(self.config, Sabotage::TimerInThePast) {
                return self.settle(now);
            }
        }
        self.settle(now);
        debug_assert!(self.timers.next().is_none_or(|due| due > now));
    }

    /// Returns the next thing to do, the oldest first. To be called after every input until it
    /// returns `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is to be called; `None` means never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = self.timers.next();
        sabotaged!(self.config, Sabotage::DeadlineRoundedDown
            => next.map(crate::sabotage::rounded_down), else next)
    }

    /// Returns this node's id. It is new for every node made, but for one that was [restored](Self::restore).
    pub const fn id(&self) -> &NodeId {
        &self.id
    }

    /// Returns the number of this life of the node: that of the messages that it broadcasts, as receivers see it in
    /// [`Message::epoch`](crate::Message::epoch).
    pub const fn epoch(&self) -> u64 {
        self.delivery.own.epoch
    }

    /// Returns the id of the network: subnet, encryption and protocol version, hashed.
    pub const fn protocol_id(&self) -> &ProtocolId {
        &self.protocol_id
    }

    /// Returns the epoch of this node's broadcasts.
    #[cfg(test)]
    pub(crate) const fn epoch_for_tests(&self) -> u64 {
        self.delivery.own.epoch
    }

    /// Returns the configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the peers with an established link, by id.
    pub fn peers(&self) -> impl Iterator<Item = PeerInfo> + '_ {
        let links = self.peers.values().filter_map(|link| self.links.get(link));
        links.filter_map(Link::peer_info)
    }

    /// Returns what is inside, for operators and simulators.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            id: self.id.clone(),
            peers: self.peers().collect(),
            links: self.links.values().map(LinkInfo::of).collect(),
            addresses: self.book.addresses().map(AddressInfo::of).collect(),
            dials: self.dials_in_the_air(),
            seen: self.seen.len(),
            log: LogInfo {
                messages: self.delivery.log.count(),
                bytes: self.delivery.log.memory(),
                unheld: self.delivery.log.pinned_count(),
                streams: self.delivery.frontiers.len(),
            },
            waiting_for_route: self.posts.count(),
            undrained: self.outputs.len(),
        }
    }

    /// Returns the branches that this node has reached.
    #[cfg(feature = "marks")]
    pub fn marks(&self) -> crate::Marks {
        self.marks | self.book.marks
    }

    /// Returns about how many bytes of memory the node holds, without its fixed size.
    ///
    /// An estimate by what is counted and bounded: queues of links, unfinished frames, remembered ids,
    /// addresses, messages that wait for a route, and outputs that wait to be drained. Frames that several queues share are
    /// counted in each.
    pub fn memory(&self) -> usize {
        let links = self.links.values();
        let links: usize = links
            .map(|link| {
                let queued = link.outbox.len() + link.held_back.len() + link.feed.memory();
                size_of::<Link>() + queued + link.reader.partial_len()
            })
            .sum();
        links
            + self.seen.len() * SEEN_COST
            + self.senders.memory()
            + self.book.len() * ADDRESS_COST
            + self.searches.memory()
            + self.posts.memory()
            + self.ways.len() * WAY_COST
            + self.letters.memory()
            + self.tree.memory()
            + self.delivery.memory()
            + self.outputs.memory()
    }

    /// Brings what follows from other things up to date, at the end of every input.
    fn settle(&mut self, now: Instant) {
        if self.should_dial {
            self.should_dial = false;
            self.dial_what_is_due(now);
        }
        self.pull_what_is_due(now);
        self.tell_if_many(now);
        self.announce_room(now);
        self.finish_shutdown(now);
        self.save_if_due(now);
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    fn add_link(
        &mut self,
        side: Side,
        remote: Address,
        dial: Option<DialId>,
        now: Instant,
    ) -> LinkId {
        let id = LinkId(self.number());
        tracing::debug!(%id, %side, %remote, "link opened");
        let link = Link::new(id, side, remote, dial, &self.config, now);
        self.links.insert(id, link);
        let deadline = now.saturating_add(self.config.handshake_timeout);
        if !sabotaged!(self.config, Sabotage::HandshakeTimeoutMissing) {
            self.timers.set(Timer::Handshake(id), deadline);
        }
        id
    }

    /// Passes over the next frame in `bytes` if it brings a broadcast that was here: most frames of a flood do, and that
    /// is to cost next to nothing. Returns whether it did.
    fn skip_repetition(&mut self, link: LinkId, bytes: &mut &[u8], now: Instant) -> bool {
        let Some(open) = self.links.get_mut(&link) else {
            return false;
        };
        if sabotaged!(self.config, Sabotage::NoDedupe) || !open.is_established() {
            return false;
        }
        if sabotaged!(self.config, Sabotage::MemoryTooShort) {
            return false;
        }
        if open.repeats.is_due() {
            return false;
        }
        let seen = &self.seen;
        let before = bytes.len();
        let skips = open.reader.skip(bytes, |id| seen.contains(id));
        if skips {
            let len = before - bytes.len();
            open.repeats.note(len, self.config.prune_after, now);
            open.frame_began = now;
            open.note_frame(now);
            reached!(self, Mark::Repetition);
        }
        skips
    }

    /// Handles the next frame in `bytes`. Returns whether there was one.
    fn take_frame(&mut self, link: LinkId, bytes: &mut &[u8], now: Instant) -> bool {
        let open = self.links.get(&link);
        let is_whole = open.is_some_and(|open| open.reader.partial_len() == 0);
        let Some(frame) = self.next_frame(link, bytes, now) else {
            return false;
        };
        if sabotaged!(self.config, Sabotage::MemoryTooShort) {
            self.seen.expire(now.saturating_add(self.config.seen_ttl));
        }
        let is_due = self
            .links
            .get_mut(&link)
            .is_some_and(|link| link.repeats.take_due());
        // What was whole was looked at before.
        if is_due
            || (is_whole && !sabotaged!(self.config, Sabotage::MemoryTooShort))
            || !self.is_repetition(link, frame.body(), now)
        {
            self.on_frame(link, frame, now);
        }
        true
    }

    /// Takes the next frame off `bytes`; or none if the link is, or thereby gets, closed.
    fn next_frame(&mut self, link: LinkId, bytes: &mut &[u8], now: Instant) -> Option<Frame> {
        let open = self.links.get_mut(&link)?;
        if open.stage == Stage::Closing {
            return None;
        }
        let partial = open.reader.partial_len();
        if partial == 0 || sabotaged!(self.config, Sabotage::DripCountsAsProgress) {
            open.frame_began = now;
        }
        if partial < PREFIX_LEN && sabotaged!(self.config, Sabotage::PrefixPartDropped) {
            open.reader = FrameReader::new(self.config.max_frame_len);
        }
        match open.reader.take(bytes) {
            Ok(Some(frame)) => {
                open.note_frame(now);
                Some(frame)
            }
            Ok(None) => None,
            Err(fault) => {
                self.close(link, CloseReason::Fault(fault), now);
                None
            }
        }
    }

    /// Notes that bytes came, which is a sign of life also while a long frame is under way, and sets the deadline of a frame
    /// that they leave unfinished: one second more for each 4 KiB that came.
    fn note_bytes(&mut self, link: LinkId, now: Instant) {
        let Some(open) = self.links.get_mut(&link) else {
            return;
        };
        open.heard_at = now;
        let partial = open.reader.partial_len();
        if partial == 0 || open.stage == Stage::Closing {
            self.timers.cancel(Timer::HalfFrame(link));
            return;
        }
        reached!(self, Mark::FramePartial);
        reached!(self, Mark::PrefixPartial if partial < PREFIX_LEN);
        let bonus = Duration::from_secs((partial >> 12) as u64);
        let allowed = self.config.half_frame_timeout.saturating_add(bonus);
        let deadline = open.frame_began.saturating_add(allowed);
        if deadline <= now {
            self.close(link, CloseReason::HalfFrameTimeout, now);
        } else {
            self.timers.set(Timer::HalfFrame(link), deadline);
        }
    }

    fn on_timer(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::Dial(dial) => {
                reached!(self, Mark::DialTimedOut);
                let failure = crate::DialFailure::TimedOut;
                self.outputs.push(Output::CancelDial(dial));
                self.dial_failed(dial, crate::ConnectError::Dial(failure), now);
            }
            Timer::Silence(link) => self.break_silence(link, now),
            Timer::Handshake(link) => self.on_handshake_timeout(link, now),
            Timer::HalfFrame(link) => self.close(link, CloseReason::HalfFrameTimeout, now),
            Timer::Stall(link) => self.close(link, CloseReason::Stalled, now),
            Timer::Pace(link) => {
                if let Some(open) = self.links.get_mut(&link) {
                    open.paced = false;
                    self.flush(link, now);
                    self.pump(link, now);
                }
            }
            Timer::Compare(link) => self.end_comparing(link, now),
            Timer::Pull(link) => self.on_pull_timeout(link),
            Timer::Receipt(link) => self.on_receipt_timeout(link, now),
            Timer::Have | Timer::Tell => self.tell_news(now),
            Timer::Prune => self.renew_prunes(now),
            Timer::Graft => self.graft_what_is_overdue(now),
            Timer::Decide => self.decide_beginnings(now),
            Timer::Gap => self.declare_doomed(now),
            Timer::Log => self.expire_log(now),
            Timer::Room => self.release_own(now),
            Timer::Idle(link) => self.on_idle(link, now),
            Timer::Linger(link) => {
                reached!(self, Mark::LingerCut);
                self.on_linger(link, now);
            }
            Timer::Reintroduce(link) => self.reintroduce(link, now),
            Timer::Redial => self.should_dial = true,
            Timer::Probe => self.probe(now),
            Timer::Beacon => self.count_beacon(now),
            Timer::Save => self.save_if_due(now),
            Timer::Search => self.tend_posts(now),
        }
    }

    fn finish_shutdown(&mut self, now: Instant) {
        if self.phase == Phase::ShuttingDown && self.links.is_empty() {
            self.save_at_the_end(now);
            self.saving.is_due = false;
            self.phase = Phase::ShutDown;
            self.timers = Timers::default();
            self.event(Event::ShutDown);
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push(Output::Event(event));
    }

    fn tell_outcome(&mut self, send: SendId, outcome: SendOutcome) {
        self.event(Event::Sent { send, outcome });
    }

    fn fault(&mut self, link: LinkId, fault: impl Into<PeerFault>, now: Instant) {
        self.close(link, CloseReason::Fault(fault.into()), now);
    }

    fn is_peer(&self, id: &NodeId) -> bool {
        self.peers.contains_key(id)
    }

    const fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn check_invariants(&self) {
        for (peer, link) in self.peers.iter() {
            let link = self.links.get(link).expect("a peer's link is open");
            debug_assert!(link.is_established() && link.leads_to(peer), "{}", link.id);
        }
        let established = self.links.values().filter(|link| link.is_established());
        debug_assert_eq!(
            established.count(),
            self.peers.len(),
            "one link for each peer"
        );
        debug_assert!(
            self.links.len() + self.dials_in_the_air()
                <= self.config.max_links + self.config.max_pending + 1,
            "links are bounded"
        );
        self.links.values().for_each(Link::check_invariants);
        self.book.check_invariants();
        self.delivery.check_invariants();
        self.tree.check_invariants();
        self.posts.check_invariants();
        self.ways.check_invariants();
        self.letters.check_invariants();
    }
}
