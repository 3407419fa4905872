//! From the log to the links: each gets every message once, at its own pace.
//!
//! A link that takes what it is sent gets each message when it comes. One that does not has a mark in the log, up to which it
//! was served, and goes on from there when it drains: nothing is lost, and it costs no more memory however long it takes.

use std::time::Duration;

use super::transmit::withheld;
use super::{MeshState, Phase};
use crate::encode::Encoder;
use crate::error::CloseReason;
use crate::feed::Request;
use crate::frontier::Stream;
use crate::id::{MessageId, NodeId};
use crate::link::Link;
use crate::log::{Arrival, Entry};
use crate::output::{Event, LinkId, PeerKind, Spread};
use crate::ranges::Ranges;
use crate::time::Instant;
use crate::wire::control::sub_flag;
use crate::wire::message::{MainType, Outgoing, Packed, Sender};
use crate::wire::payload::{Payload, SubFlag};
use crate::wire::sync::{Extent, Gone, Repair};
use crate::wire::trailer::{Name, align};

/// A message that is older than this goes to a native peer with its age.
const OLD: Duration = Duration::from_secs(1);

/// How long legacy nodes take a broadcast by its own time, in seconds, less what it may be under way. What is older reaches
/// them as a whisper.
const LEGACY_WINDOW: i64 = 57;

/// For how long a lost legacy neighbour gets what it missed.
const RESUME: Duration = Duration::from_secs(58);

/// For how long a link may take nothing and still hold its publisher back.
const STUCK: Duration = Duration::from_secs(2);

impl MeshState {
    /// Takes a broadcast of this node's own into the log, and sends it. Returns its sequence.
    pub(super) fn publish(&mut self, packed: &Packed, name: Option<Name>, now: Instant) -> u64 {
        let sequence = name.map_or(0, Name::sequence);
        let own = self.delivery.own.clone();
        self.delivery.last_sequence = sequence;
        self.note_to_save();
        self.delivery.frontiers.insert(&own, sequence);
        self.delivery.frontiers.set_pinned(&own, true);
        self.seen.insert(packed.id(), self.config.seen_ttl, now);
        let mut encoder = Encoder::new(packed.id(), packed.bytes().clone());
        encoder.frame(None);
        let time = i64::try_from(self.clock.at(now).as_secs()).unwrap_or(i64::MAX);
        let entry = Entry {
            id: packed.id(),
            body: encoder.body(),
            sender: own.origin,
            name,
            time,
            from: None,
            is_own: !sabotaged!(self.config, Sabotage::OwnNotHeld),
            received_at: now,
            carried_age: Duration::ZERO,
        };
        let arrival = self.push(entry, now);
        self.feed_all(arrival, packed, encoder, now);
        self.note_news(now);
        self.release_own(now);
        sequence
    }

    /// Returns how far a broadcast of this node's own has come.
    pub(super) fn spread_of(&self, sequence: u64) -> Spread {
        let Stream { origin, epoch } = &self.delivery.own;
        let arrival = self.delivery.log.find(origin, *epoch, sequence);
        let mut spread = Spread {
            neighbours: 0,
            sent: 0,
            held: 0,
            is_kept: arrival.is_some(),
        };
        for link in self.links.values().filter(|link| link.is_established()) {
            let behind = link.feed.behind.zip(arrival);
            let is_held = link.feed.holds.contains(sequence);
            let is_sent = is_held || behind.is_none_or(|(behind, arrival)| arrival < behind);
            spread.neighbours += 1;
            spread.sent += usize::from(is_sent);
            spread.held += usize::from(is_held);
        }
        spread
    }

    /// Sends a message of the log to all peers that are up to date. Those that are not get it in their turn.
    pub(super) fn feed_all(
        &mut self,
        arrival: Arrival,
        packed: &Packed,
        mut encoder: Encoder,
        now: Instant,
    ) {
        let skipped = usize::from(sabotaged!(self.config, Sabotage::RelaySkipsOne));
        let mut targets = std::mem::take(&mut self.targets);
        targets.clear();
        targets.extend(self.peers.values().skip(skipped));
        self.leave_out_spared(&mut targets, arrival, now);
        if !sabotaged!(self.config, Sabotage::NoRelay) {
            self.feed_these(&targets, arrival, packed, &mut encoder, now);
        }
        self.targets = targets;
    }

    fn feed_these(
        &mut self,
        targets: &[LinkId],
        arrival: Arrival,
        packed: &Packed,
        encoder: &mut Encoder,
        now: Instant,
    ) {
        let Some(entry) = self.delivery.log.get(arrival) else {
            // It did not fit into the log.
            return;
        };
        let (sender, from) = (entry.sender.clone(), entry.from);
        let is_young = entry.age(now) < OLD;
        for &id in targets {
            let Some(link) = self.links.get_mut(&id) else {
                continue;
            };
            if link.feed.behind.is_some() {
                continue;
            }
            let is_for =
                is_for(link, &sender, from) || sabotaged!(self.config, Sabotage::RelaysBack);
            if is_for && is_young && self.passes(id, encoder) {
                continue;
            }
            // The message had to go meanwhile if the end of a link has made others' own messages give way.
            let Some(entry) = self.delivery.log.get(arrival) else {
                return;
            };
            if is_for {
                let entry = entry.clone();
                self.feed(id, &entry, packed, encoder, arrival, now);
            }
        }
    }

    /// Sends a message on a link, or notes that the link is behind from there on.
    fn feed(
        &mut self,
        id: LinkId,
        entry: &Entry,
        packed: &Packed,
        encoder: &mut Encoder,
        arrival: Arrival,
        now: Instant,
    ) {
        let keeps_up = self.links.get(&id).is_some_and(|link| self.keeps_up(link));
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if can_take(link, encoder.plain_len()) && keeps_up {
            return self.send_entry(id, entry, packed, encoder, arrival, now);
        }
        reached!(self, Mark::FellBehind);
        if !sabotaged!(self.config, Sabotage::BehindForgotten) {
            link.feed.behind = Some(arrival);
        }
    }

    /// Sends on a link what it has room for: what its peer asked for and what it is behind with, in turns.
    pub(super) fn pump(&mut self, id: LinkId, now: Instant) {
        self.tell_on(id, now);
        let mut gone = Gone::default();
        let mut has_fed = false;
        loop {
            let Some(link) = self.links.get(&id).filter(|link| link.is_established()) else {
                return;
            };
            if !link.outbox.has_room() || !self.keeps_up(link) {
                break;
            }
            let repaired = self.repair_next(id, &mut gone, now);
            let fed = self.feed_next(id, now);
            has_fed |= fed;
            if !repaired && !fed && !self.ends_comparing(id) {
                break;
            }
        }
        for gone in gone.divide() {
            self.send_control(id, &gone.encode(), now);
        }
        if has_fed {
            self.release_own(now);
        }
        let link = self.links.get(&id);
        if self.phase == Phase::ShuttingDown && link.is_some_and(|link| link.feed.behind.is_none())
        {
            self.close(id, CloseReason::ShutDown, now);
        }
    }

    /// Ends the first comparison on a link when all is sent that its peer asked for after it.
    fn ends_comparing(&mut self, id: LinkId) -> bool {
        let Some(link) = self.links.get_mut(&id) else {
            return false;
        };
        let feed = &mut link.feed;
        let ends = feed.is_comparing && feed.told.is_some() && !feed.awaits_want;
        if ends && !feed.has_requests() {
            reached!(self, Mark::Compared);
            feed.is_comparing = false;
            return true;
        }
        false
    }

    /// Sends the next message that a link is behind with.
    fn feed_next(&mut self, id: LinkId, now: Instant) -> bool {
        let Some(link) = self.links.get(&id) else {
            return false;
        };
        let Some(next) = link.feed.behind.filter(|_| !link.feed.is_comparing) else {
            return false;
        };
        let Some((arrival, entry)) = self.next_for(link, next, now) else {
            if let Some(link) = self.links.get_mut(&id) {
                link.feed.behind = None;
            }
            return false;
        };
        if let Some(link) = self.links.get_mut(&id) {
            link.feed.behind = Some(sabotaged!(self.config, Sabotage::BehindSkipsOne
                => arrival.next().next(), else arrival.next()));
        }
        let parsed = Packed::parse(entry.id, entry.body.packed(), self.config.max_depth);
        if let (Ok(packed), Some(mut encoder)) = (parsed, self.delivery.log.encoder(arrival)) {
            self.send_entry(id, &entry, &packed, &mut encoder, arrival, now);
        }
        true
    }

    /// Returns the first message of the log that is for a link, from a place on.
    fn next_for(&self, link: &Link, from: Arrival, now: Instant) -> Option<(Arrival, Entry)> {
        let may_be_spared = !self.tree.spares_nobody();
        let is_spared = |entry: &Entry| {
            let stream = entry.stream();
            stream.is_some_and(|stream| self.tree.is_spared(&stream, link.id, now))
        };
        let mut rest = self.delivery.log.since(from);
        let (arrival, entry) = rest.find(|(_, entry)| {
            is_for(link, &entry.sender, entry.from) && !(may_be_spared && is_spared(entry))
        })?;
        Some((arrival, entry.clone()))
    }

    /// Sends the next message that a peer asked for, or notes that it is gone.
    fn repair_next(&mut self, id: LinkId, gone: &mut Gone, now: Instant) -> bool {
        let Some(link) = self.links.get_mut(&id) else {
            return false;
        };
        let Some(request) = link.feed.next_request() else {
            return false;
        };
        let arrival = match request {
            Request::Id(id) => {
                let found = self.delivery.log.find_id(&id);
                if found.is_none() {
                    gone.ids.push(id);
                }
                found
            }
            Request::Range(stream, first, last) => {
                let range = (first, last);
                let log = &self.delivery.log;
                let found = log.range(&stream.origin, stream.epoch, range).next();
                let missing_to = match found {
                    Some((sequence, _)) => sequence.checked_sub(1),
                    None => Some(last),
                };
                if let Some(missing_to) = missing_to.filter(|to| first <= *to) {
                    gone.entries.push(Extent {
                        origin: stream.origin.clone(),
                        epoch: stream.epoch,
                        ranges: vec![(first, missing_to)],
                    });
                }
                if let Some((sequence, _)) = found
                    && sequence < last
                {
                    link.feed
                        .put_back(Request::Range(stream, sequence + 1, last));
                }
                found.map(|(_, arrival)| arrival)
            }
        };
        let entry = arrival.and_then(|arrival| self.delivery.log.get(arrival));
        if let Some(entry) = entry.cloned() {
            self.send_repair(id, &entry, now);
        }
        true
    }

    /// Sends a message of the log on one link, in the form that suits its peer.
    fn send_entry(
        &mut self,
        id: LinkId,
        entry: &Entry,
        packed: &Packed,
        encoder: &mut Encoder,
        arrival: Arrival,
        now: Instant,
    ) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        if let Some(why) = withheld(link, packed, encoder) {
            if let Some(peer) = link.peer_id().cloned() {
                let id = entry.id;
                self.event(Event::Withheld { id, peer, why });
            }
        } else if link.kind == PeerKind::Native {
            if entry.age(now) < OLD {
                self.send_encoded(id, encoder, None, now);
            } else {
                self.send_repair(id, entry, now);
            }
        } else if !self.is_late(link, entry, now)
            || sabotaged!(self.config, Sabotage::LateAsBroadcast)
        {
            self.send_encoded(id, encoder, None, now);
            self.count_sent(id, now);
        } else if link.feed.late_from <= arrival {
            self.whisper_late(id, entry, packed, now);
            self.count_sent(id, now);
        }
    }

    /// Sends a message with its age.
    fn send_repair(&mut self, id: LinkId, entry: &Entry, now: Instant) {
        tracing::trace!(link = id.as_u64(), message = ?entry.id, "message out, again");
        reached!(self, Mark::RepairSent);
        let repair = Repair {
            age: entry.age(now),
            packed: entry.body.packed(),
        };
        let carrier = self.compose_control(&repair.encode(), now);
        let mut encoder = Encoder::new(carrier.id(), carrier.bytes().clone());
        let link = self.links.get(&id);
        if link.is_some_and(|link| withheld(link, &carrier, &encoder).is_some()) {
            // As it is it may just fit.
            encoder = Encoder::new(entry.id, entry.body.packed());
        }
        self.send_encoded(id, &mut encoder, None, now);
    }

    /// Returns whether a legacy peer would drop a message as too old, by its clock as far as that is known.
    fn is_late(&self, link: &Link, entry: &Entry, now: Instant) -> bool {
        let ahead = link.skew.ahead().unwrap_or(0).max(0);
        let wall = i64::try_from(self.clock.at(now).as_secs()).unwrap_or(i64::MAX);
        wall.saturating_add(ahead).saturating_sub(entry.time) > LEGACY_WINDOW
    }

    /// Sends a legacy peer what it would drop as a broadcast: as a whisper of the same sender.
    fn whisper_late(&mut self, id: LinkId, entry: &Entry, packed: &Packed, now: Instant) {
        let Sender::Node(sender, form) = packed.sender() else {
            return;
        };
        reached!(self, Mark::WhisperedLate);
        let Some(sub_flag) = SubFlag::from_wire(packed.sub_flag()) else {
            return;
        };
        let whisper = Outgoing {
            main: MainType::Whisper,
            sender,
            form: *form,
            time: u64::try_from(entry.time).unwrap_or(0),
            sub_flag: sub_flag.to_wire(sub_flag::WHISPER),
            packets: &Payload::of_packets(&packed.packets()),
        };
        let mut bytes = whisper.pack();
        align(&mut bytes);
        let id_of = MessageId::of(&bytes);
        let mut encoder = Encoder::new(id_of, bytes.into());
        self.send_encoded(id, &mut encoder, None, now);
    }

    /// Prepares what a new link is to get of the log.
    pub(super) fn begin_feed(&mut self, id: LinkId, now: Instant) {
        let next = self.delivery.log.next_arrival();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.progress_at = now;
        if link.kind == PeerKind::Native {
            link.feed.behind = Some(next);
            link.feed.is_comparing = true;
            link.feed.compared_to = self.delivery.last_sequence;
            return self.begin_comparing(id, now);
        }
        link.feed.late_from = next;
        let lost = link
            .peer_id()
            .and_then(|peer| self.delivery.lost.remove(peer));
        let Some(lost) = lost else {
            return self.release_own(now);
        };
        if now.saturating_duration_since(lost.at) > RESUME
            || sabotaged!(self.config, Sabotage::LegacyNotResumed)
        {
            return self.release_own(now);
        }
        reached!(self, Mark::LegacyResumed);
        // It drops what it had before, by the id. What it had as a whisper it would not.
        link.feed.late_from = lost.next;
        let all = self.delivery.log.since(Arrival::FIRST);
        let recent = all
            .rev()
            .take_while(|(_, entry)| now.saturating_duration_since(entry.received_at) <= RESUME);
        let first = recent.map(|(arrival, _)| arrival).last();
        if let Some(link) = self.links.get_mut(&id) {
            link.feed.behind = first;
        }
        self.pump(id, now);
        self.release_own(now);
    }

    /// Has a link sent what its peer would still have to ask for: this node leaves, and answers no more.
    pub(super) fn feed_unasked(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.feed.is_comparing = false;
        let first = link.feed.holds.upto().max(self.delivery.released) + 1;
        let range = (first, link.feed.compared_to);
        let Stream { origin, epoch } = &self.delivery.own;
        let Some((_, arrival)) = self.delivery.log.range(origin, *epoch, range).next() else {
            return;
        };
        let behind = link.feed.behind;
        link.feed.behind = Some(behind.map_or(arrival, |behind| behind.min(arrival)));
    }

    /// Remembers how far a link was when it ended.
    pub(super) fn end_feed(&mut self, gone: &Link, now: Instant) {
        if !gone.is_established() {
            return;
        }
        if gone.kind != PeerKind::Native
            && let Some(peer) = gone.peer_id()
        {
            let next = self.delivery.log.next_arrival();
            let next = gone.feed.behind.unwrap_or(next);
            self.delivery.lose(peer.clone(), next, now);
        }
        self.post_by_another_link(gone.id, now);
        self.lose_branches(gone.id, now);
        // What it was asked for, others may have.
        self.pull_everywhere();
        self.release_own(now);
    }

    /// Lets go of those of this node's own messages that others have: the log may drop them now when it has to.
    ///
    /// They are held for the slowest native neighbour, unless that one takes nothing at all; where there are only legacy
    /// neighbours, until they were sent to all of them.
    pub(super) fn release_own(&mut self, now: Instant) {
        if self.delivery.released >= self.delivery.last_sequence {
            return;
        }
        let links = self.links.values().filter(|link| link.is_established());
        let native = links.clone().filter(|link| link.kind == PeerKind::Native);
        let best = native.clone().map(|link| link.feed.holds.upto()).max();
        let moving = native
            .filter(|link| !is_stuck(link, now))
            .map(|link| link.feed.holds.upto())
            .min();
        let released = match best {
            Some(best) => moving.unwrap_or(best),
            None => {
                let Some(behind) = links.map(|link| link.feed.behind).reduce(earliest) else {
                    return;
                };
                self.sent_before(behind)
            }
        };
        self.note_to_save();
        let mut evicted = std::mem::take(&mut self.delivery.evicted);
        while self.delivery.released < released.min(self.delivery.last_sequence) {
            self.delivery.released += 1;
            let Stream { origin, epoch } = &self.delivery.own;
            let arrival = self
                .delivery
                .log
                .find(origin, *epoch, self.delivery.released);
            if let Some(arrival) = arrival {
                self.delivery.log.unpin(arrival, &mut evicted);
            }
        }
        self.on_evicted(evicted, now);
    }

    /// Returns the sequence of the last own message before a place in the log.
    fn sent_before(&self, behind: Option<Arrival>) -> u64 {
        let Some(behind) = behind else {
            return self.delivery.last_sequence;
        };
        let own = self.delivery.log.since(behind);
        let next = own
            .filter(|(_, entry)| entry.is_own)
            .find_map(|(_, entry)| entry.name);
        next.map_or(self.delivery.last_sequence, |name| name.sequence() - 1)
    }

    /// Notes what the peer at the end of a link has of this node's own messages.
    pub(super) fn note_holds(&mut self, id: LinkId, upto: u64, beyond: Ranges, now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.feed.holds = crate::frontier::StreamFrontier::new(upto, beyond);
            self.release_own(now);
        }
    }
}

/// Returns whether a message is to be sent to a peer: not if it, or who it came from, has sent it.
fn is_for(link: &Link, sender: &NodeId, from: Option<LinkId>) -> bool {
    from != Some(link.id) && !link.leads_to(sender)
}

/// Returns whether a message may be sent at once. Where a peer waits for what it asked for, half the room is for that.
fn can_take(link: &Link, len: usize) -> bool {
    if link.feed.has_requests() {
        link.outbox.has_room()
    } else {
        link.outbox.fits(len)
    }
}

fn is_stuck(link: &Link, now: Instant) -> bool {
    !link.outbox.is_empty() && now.saturating_duration_since(link.progress_at) > STUCK
}

/// Returns the earlier one of two marks, where none is the end.
fn earliest(a: Option<Arrival>, b: Option<Arrival>) -> Option<Arrival> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
