//! Native neighbours make their logs alike: a fingerprint, then what differs, then what is missing.
//!
//! Each tells the other what it has, and asks for what it lacks, of one neighbour at a time. A node fetches also what is older
//! than itself, although its application does not get it: others may have to get it through this node.

use std::time::Duration;

use super::MeshState;
use super::delivery::Arriving;
use crate::encode::Encoder;
use crate::feed::{Offer, Request};
use crate::frontier::{Stream, StreamFrontier};
use crate::id::MessageId;
use crate::output::{LinkId, PeerKind};
use crate::ranges::Ranges;
use crate::seen::Insert;
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::control::Control;
use crate::wire::fault::ControlFault;
use crate::wire::message::{MainType, Packed, Sender, WireTime};
use crate::wire::native::{Native, kind};
use crate::wire::sync::{
    Extent, Gone, Have, HaveEntry, Ids, MAX_IDS, Repair, Summary, Want, WantIds, batches,
};
use crate::wire::trailer::Name;

/// After so many messages neighbours are told at once what came, without waiting for the time.
///
/// Whoever publishes fast waits for this before its log lets go of a message.
const MANY: usize = 512;

/// How long the first comparison on a link may hold back what is to be sent there.
const COMPARISON: Duration = Duration::from_secs(5);

impl MeshState {
    /// Takes a message about logs. Returns whether it was one.
    pub(super) fn on_sync(&mut self, id: LinkId, native: &Native, now: Instant) -> bool {
        let taken = match native.kind {
            kind::SUMMARY => Summary::parse(native).map(|told| self.on_summary(id, &told, now)),
            kind::HAVE => Have::parse(native).map(|have| self.on_have(id, have, now)),
            kind::WANT => Want::parse(native).map(|want| self.on_want(id, want, now)),
            kind::REPAIR => Repair::parse(native).map(|repair| self.on_repair(id, repair, now)),
            kind::GONE => Gone::parse(native).map(|gone| self.on_gone(id, gone, now)),
            kind::IDS => Ids::parse(native).map(|ids| self.on_ids(id, ids)),
            kind::WANT_IDS => WantIds::parse(native).map(|want| self.on_want_ids(id, want, now)),
            _ => return false,
        };
        if let Err(fault) = taken {
            let fault: ControlFault = fault;
            self.fault(id, fault, now);
        }
        true
    }

    /// Begins to compare logs on a new native link.
    pub(super) fn begin_comparing(&mut self, id: LinkId, now: Instant) {
        let cap = now.saturating_add(COMPARISON);
        self.timers.set(Timer::Compare(id), cap);
        self.send_summary(id, now);
    }

    /// Ends a comparison that takes too long.
    pub(super) fn end_comparing(&mut self, id: LinkId, now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.feed.is_comparing = false;
            self.pump(id, now);
        }
    }

    /// Says in a few bytes what this node has.
    pub(super) fn send_summary(&mut self, id: LinkId, now: Instant) {
        let summary = Summary {
            fingerprint: self.delivery.frontiers.fingerprint(),
            streams: self.delivery.frontiers.len() as u64,
            others: self.sum_of_ids(now),
            reach: self.delivery.reach(now),
        };
        self.send_control(id, &summary.encode(), now);
    }

    fn sum_of_ids(&self, now: Instant) -> [u8; 16] {
        let ids = self.delivery.log.ids(self.config.log_age, now);
        let sum = ids.fold(0_u128, |sum, (_, id)| {
            let (half, _) = id
                .as_bytes()
                .split_first_chunk()
                .expect("an id has 32 bytes");
            sum.wrapping_add(u128::from_be_bytes(*half))
        });
        sum.to_be_bytes()
    }

    fn on_summary(&mut self, id: LinkId, summary: &Summary, now: Instant) {
        let fingerprint = self.delivery.frontiers.fingerprint();
        let others = self.sum_of_ids(now);
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.feed.set_reach(summary.reach, now);
        if link.feed.is_comparing {
            // All that is here by now is compared.
            link.feed.behind = Some(self.delivery.log.next_arrival());
        }
        if summary.others != others {
            self.send_ids(id, now);
        }
        if summary.fingerprint != fingerprint && !sabotaged!(self.config, Sabotage::SummaryIgnored)
        {
            reached!(self, Mark::LogsDiffer);
            return self.tell_all(id, now);
        }
        let version = self.delivery.frontiers.version();
        if let Some(link) = self.links.get_mut(&id) {
            link.feed.told = Some(version);
            link.feed.awaits_want = false;
        }
        self.note_holds(id, self.delivery.last_sequence, Ranges::new(), now);
        self.pump(id, now);
    }

    /// Tells all that this node has.
    fn tell_all(&mut self, id: LinkId, now: Instant) {
        let version = self.delivery.frontiers.version();
        let mut messages = batches(self.haves(id, 0, now));
        let last = messages.pop().unwrap_or_default();
        if let Some(link) = self.links.get_mut(&id) {
            link.feed.told = Some(version);
            link.feed.awaits_want = true;
        }
        for entries in messages {
            let is_complete = false;
            self.send_control(
                id,
                &Have {
                    entries,
                    is_complete,
                }
                .encode(),
                now,
            );
        }
        let have = Have {
            entries: last,
            is_complete: true,
        };
        self.send_control(id, &have.encode(), now);
    }

    /// Notes that the neighbours do not know all that this node has.
    pub(super) fn note_news(&mut self, now: Instant) {
        self.delivery.news += 1;
        if self.delivery.news == 1 {
            let at = now.saturating_add(self.config.have_interval);
            self.timers.arm(Timer::Have, at);
        }
    }

    /// Tells the neighbours what came, if it is a lot.
    pub(super) fn tell_if_many(&mut self, now: Instant) {
        if self.delivery.news >= MANY {
            self.tell_news(now);
        }
    }

    /// Tells the neighbours what came since they were told. Those that are behind are told when they are not.
    pub(super) fn tell_news(&mut self, now: Instant) {
        self.delivery.news = 0;
        self.timers.cancel(Timer::Have);
        if sabotaged!(self.config, Sabotage::NewsNotTold) {
            return;
        }
        let version = self.delivery.frontiers.version();
        let mut is_late = false;
        let peers: Vec<LinkId> = self.peers.values().copied().collect();
        for id in peers {
            let Some(link) = self.links.get_mut(&id) else {
                continue;
            };
            let Some(told) = link.feed.told.filter(|_| link.kind == PeerKind::Native) else {
                continue;
            };
            if told == version {
                continue;
            }
            if link.feed.behind.is_some() || !link.outbox.has_room() {
                is_late = true;
                continue;
            }
            link.feed.told = Some(version);
            let is_complete = false;
            for entries in batches(self.haves(id, told, now)) {
                self.send_control(
                    id,
                    &Have {
                        entries,
                        is_complete,
                    }
                    .encode(),
                    now,
                );
            }
        }
        if is_late {
            let at = now.saturating_add(self.config.have_interval);
            self.timers.arm(Timer::Have, at);
        }
    }

    /// Returns what this node has of the streams that changed after a version, for one neighbour.
    fn haves(&self, id: LinkId, version: u64, now: Instant) -> Vec<HaveEntry> {
        let reach = self
            .links
            .get(&id)
            .map_or(Duration::MAX, |link| link.feed.reach(now));
        let changed = self.delivery.frontiers.changed_since(version);
        let entries = changed.map(|(stream, known)| {
            let low = self.delivery.log.low(&stream.origin, stream.epoch);
            HaveEntry {
                origin: stream.origin.clone(),
                epoch: stream.epoch,
                upto: known.upto(),
                low: low.unwrap_or(0),
                from: self.beginning(stream, known, low, reach, now),
                ranges: known.beyond().iter().collect(),
            }
        });
        let skipped = usize::from(sabotaged!(self.config, Sabotage::HaveSkipsLast));
        entries.skip(skipped).collect()
    }

    /// Returns the first sequence of a stream that a node with this reach wants for its application; 0 if it is not known.
    ///
    /// A sender's messages are the younger the higher their sequence, so the place is found by halving.
    fn beginning(
        &self,
        stream: &Stream,
        known: &StreamFrontier,
        low: Option<u64>,
        reach: Duration,
        now: Instant,
    ) -> u64 {
        let order = self.delivery.order.get(stream);
        if order.is_some_and(|order| order.undecided.is_some()) {
            return 0;
        }
        let Some(low) = low else {
            return known.highest().saturating_add(1);
        };
        let next = |from: u64| self.kept_in(stream, from, u64::MAX);
        // The first that is kept at or above `old` is too old, if any is; that at or above `young` is not.
        let (mut old, mut young) = (low, known.highest().saturating_add(1));
        let is_old = |from: u64| {
            let entry = next(from).and_then(|(_, arrival)| self.delivery.log.get(arrival));
            entry.is_some_and(|entry| entry.age(now) > reach)
        };
        if !is_old(low) {
            return low;
        }
        while young - old > 1 {
            let middle = old + (young - old) / 2;
            if is_old(middle) {
                old = middle;
            } else {
                young = middle;
            }
        }
        next(old).map_or(young, |(sequence, _)| sequence.saturating_add(1))
    }

    fn on_have(&mut self, id: LinkId, have: Have, now: Instant) {
        let is_native = self
            .links
            .get(&id)
            .is_some_and(|link| link.kind == PeerKind::Native);
        if !is_native {
            return;
        }
        for entry in have.entries {
            self.on_have_entry(id, entry, now);
        }
        let asked = self.pull(id, now);
        if have.is_complete && !asked {
            // The answer that it waits for.
            let entries = Vec::new();
            self.send_control(id, &Want { entries }.encode(), now);
        }
    }

    fn on_have_entry(&mut self, id: LinkId, entry: HaveEntry, now: Instant) {
        let stream = Stream {
            origin: entry.origin,
            epoch: entry.epoch,
        };
        let beyond: Ranges = entry.ranges.into_iter().collect();
        if stream == self.delivery.own {
            return self.note_holds(id, entry.upto, beyond, now);
        }
        if entry.from > 0 {
            self.decide_beginning(&stream, entry.from, now);
        }
        let theirs = StreamFrontier::new(entry.upto, beyond);
        let lacking = self.delivery.frontiers.lacking(&stream, &theirs);
        let mut offered = Ranges::new();
        if entry.low > 0 {
            offered = lacking.intersection(&Ranges::of(entry.low, u64::MAX));
        }
        let gone = lacking.difference(&offered);
        self.doom(&stream, &gone, now);
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        // Where the stream begins is of interest as long as no message of it has come.
        let is_new = !self.delivery.order.contains_key(&stream);
        let offer = Offer {
            ranges: offered,
            from: (entry.from > 0 && is_new).then_some(entry.from),
        };
        link.feed.offer(stream, offer);
    }

    /// Notes that it may be worth asking any neighbour for more.
    pub(super) fn pull_everywhere(&mut self) {
        if sabotaged!(self.config, Sabotage::PullNeverRetried) {
            return;
        }
        let native = self
            .links
            .values()
            .filter(|link| link.kind == PeerKind::Native);
        self.delivery.to_pull.extend(native.map(|link| link.id));
    }

    /// Asks for more where it has become worth it.
    pub(super) fn pull_what_is_due(&mut self, now: Instant) {
        while let Some(id) = self.delivery.to_pull.pop_first() {
            self.pull(id, now);
        }
    }

    /// Asks a neighbour for what it has and this node lacks, and was not asked of another. Returns whether it did.
    fn pull(&mut self, id: LinkId, now: Instant) -> bool {
        let Some(link) = self.links.get(&id).filter(|link| link.is_established()) else {
            return false;
        };
        let Some(mut quota) = link.feed.quota() else {
            return false;
        };
        if sabotaged!(self.config, Sabotage::NeverPulls) {
            return false;
        }
        let is_slow = link.feed.is_slow;
        let mut wanted = Vec::new();
        let mut done = Vec::new();
        for (stream, offer) in &link.feed.offers {
            let lacking = self.delivery.frontiers.still_lacking(stream, &offer.ranges);
            if lacking.is_empty() {
                if offer.from.is_none() || self.delivery.order.contains_key(stream) {
                    done.push(stream.clone());
                }
                continue;
            }
            let mut open = lacking;
            for other in self.links.values() {
                if let Some(asked) = other.feed.asked_of(stream) {
                    open = open.difference(asked);
                }
                // Others are asked first; where they have nothing, the slow one is better than none.
                let is_better = is_slow && !other.feed.is_slow && other.is_established();
                if let Some(offer) = other.feed.offers.get(stream).filter(|_| is_better) {
                    open = open.difference(&offer.ranges);
                }
            }
            let most = sabotaged!(self.config, Sabotage::PullSkipsLast
                => quota.min(open.count().saturating_sub(1)), else quota);
            let open = open.lowest(most);
            if !open.is_empty() {
                quota -= open.count();
                wanted.push((stream.clone(), open));
            }
            if quota == 0 {
                break;
            }
        }
        let Some(link) = self.links.get_mut(&id) else {
            return false;
        };
        for stream in done {
            link.feed.offers.remove(&stream);
        }
        let mut extents = Vec::new();
        for (stream, ranges) in wanted {
            link.feed.ask(stream.clone(), &ranges);
            extents.push(Extent {
                origin: stream.origin,
                epoch: stream.epoch,
                ranges: ranges.iter().collect(),
            });
        }
        let has_asked = !extents.is_empty();
        for entries in batches(extents) {
            self.send_control(id, &Want { entries }.encode(), now);
        }
        let has_asked_ids = self.pull_ids(id, quota, now);
        self.watch_pull(id, now);
        has_asked || has_asked_ids
    }

    fn pull_ids(&mut self, id: LinkId, quota: u64, now: Instant) -> bool {
        let mut ids = Vec::new();
        let room = usize::try_from(quota).unwrap_or(MAX_IDS).min(MAX_IDS);
        while ids.len() < room {
            let Some(next) = self.links.get_mut(&id).and_then(|link| link.feed.next_id()) else {
                break;
            };
            let is_asked = self
                .links
                .values()
                .any(|link| link.feed.has_asked_id(&next));
            if is_asked || self.has_id(&next) {
                continue;
            }
            if let Some(link) = self.links.get_mut(&id) {
                link.feed.ask_id(next);
            }
            ids.push(next);
        }
        if ids.is_empty() {
            return false;
        }
        self.send_control(id, &WantIds { ids }.encode(), now);
        true
    }

    /// Returns whether a message without a name was here.
    fn has_id(&self, id: &MessageId) -> bool {
        self.delivery.ids.contains(id) || self.seen.contains(id)
    }

    /// Sets the timer for when a neighbour has had enough time to answer.
    fn watch_pull(&mut self, id: LinkId, now: Instant) {
        if self
            .links
            .get(&id)
            .is_some_and(|link| link.feed.is_waiting())
        {
            let at = now.saturating_add(self.config.pull_timeout);
            self.timers.set(Timer::Pull(id), at);
        } else {
            self.timers.cancel(Timer::Pull(id));
        }
    }

    /// A neighbour has sent nothing of what it was asked for: others are asked, and it again if they cannot help.
    pub(super) fn on_pull_timeout(&mut self, id: LinkId) {
        reached!(self, Mark::PullTimedOut);
        if sabotaged!(self.config, Sabotage::PullNeverRetried) {
            return;
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.feed.forget_asked();
            link.feed.is_slow = true;
            self.pull_everywhere();
        }
    }

    /// Notes that a message has come, so that nobody has to send it any more.
    pub(super) fn settle_asked(&mut self, stream: &Stream, sequence: u64) {
        for link in self.links.values_mut() {
            if link.feed.is_waiting()
                && link.feed.settle(stream, sequence, sequence)
                && link.feed.quota().is_some()
            {
                self.delivery.to_pull.insert(link.id);
            }
        }
    }

    fn settle_asked_id(&mut self, id: &MessageId) {
        for link in self.links.values_mut() {
            if link.feed.is_waiting() && link.feed.settle_id(id) && link.feed.quota().is_some() {
                self.delivery.to_pull.insert(link.id);
            }
        }
    }

    fn on_want(&mut self, id: LinkId, want: Want, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.feed.awaits_want = false;
        for extent in want.entries {
            for (first, last) in extent.ranges {
                let stream = Stream {
                    origin: extent.origin.clone(),
                    epoch: extent.epoch,
                };
                link.feed.request(Request::Range(stream, first, last));
            }
        }
        self.pump(id, now);
    }

    fn on_want_ids(&mut self, id: LinkId, want: WantIds, now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            for wanted in want.ids {
                link.feed.request(Request::Id(wanted));
            }
        }
        self.pump(id, now);
    }

    /// A message that this node asked for, or an old one that is passed on with its age.
    fn on_repair(&mut self, id: LinkId, repair: Repair, now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.feed.is_slow = false;
        }
        let message = MessageId::of(&repair.packed);
        let packed = match Packed::parse(message, repair.packed.clone(), self.config.max_depth) {
            Ok(packed) => packed,
            Err(fault) => return self.fault(id, fault, now),
        };
        tracing::trace!(
            link = id.as_u64(), ?message, age = ?repair.age, bytes = packed.bytes().len(), "message in, again"
        );
        let (Sender::Node(sender, form), WireTime::Seconds(time)) =
            (packed.sender(), packed.time())
        else {
            return;
        };
        let is_of_an_application = packed.main() == MainType::Broadcast
            && matches!(
                Control::parse(&packed, self.config.max_peers_entries),
                Ok(Control::User)
            );
        if !is_of_an_application {
            return tracing::debug!(link = id.as_u64(), "a repair of something else dropped");
        }
        let arriving = Arriving {
            from: id,
            packed: &packed,
            encoder: Encoder::new(message, repair.packed),
            age: repair.age,
        };
        if let Some(name) = Name::parse(packed.trailer()) {
            self.on_named(arriving, name, now);
        } else {
            reached!(self, Mark::RepairWithoutName);
            self.settle_asked_id(&message);
            if self.is_new_id(message, time, now) {
                let sender = sender.clone();
                self.on_nameless(arriving, &sender, *form, time, now);
            }
        }
        self.watch_pull(id, now);
    }

    /// Notes the id of an application's message without a name. Returns whether it is new.
    pub(super) fn is_new_id(&mut self, id: MessageId, time: i64, now: Instant) -> bool {
        let keep = self.time_to_keep(time, now);
        let was_seen = self.note_seen(id, keep, now) == Insert::Duplicate;
        let age = sabotaged!(self.config, Sabotage::IdsForgotten
            => Duration::ZERO, else self.config.log_age);
        let was_here = self.delivery.ids.insert(id, age, now) == Insert::Duplicate;
        !was_seen && !was_here
    }

    fn on_gone(&mut self, id: LinkId, gone: Gone, now: Instant) {
        for extent in gone.entries {
            let stream = Stream {
                origin: extent.origin,
                epoch: extent.epoch,
            };
            let ranges: Ranges = extent.ranges.into_iter().collect();
            let Some(link) = self.links.get_mut(&id) else {
                return;
            };
            for (first, last) in ranges.iter() {
                link.feed.settle(&stream, first, last);
            }
            if let Some(offer) = link.feed.offers.get_mut(&stream) {
                offer.ranges = offer.ranges.difference(&ranges);
            }
            self.doom(&stream, &ranges, now);
        }
        self.watch_pull(id, now);
        self.pull_everywhere();
    }

    /// Lists the messages without names that are in the log.
    fn send_ids(&mut self, id: LinkId, now: Instant) {
        let ids = self.delivery.log.ids(self.config.log_age, now);
        let ids: Vec<MessageId> = ids.map(|(_, id)| id).collect();
        for ids in ids.chunks(MAX_IDS) {
            let ids = ids.to_vec();
            self.send_control(id, &Ids { ids }.encode(), now);
        }
    }

    fn on_ids(&mut self, id: LinkId, ids: Ids) {
        for offered in ids.ids {
            if !self.has_id(&offered)
                && let Some(link) = self.links.get_mut(&id)
            {
                link.feed.offer_id(offered);
            }
        }
        self.delivery.to_pull.insert(id);
    }
}
