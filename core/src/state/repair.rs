//! Native neighbours make their logs alike: each [tells](super::telling) the other what it has, and asks for what it lacks, of
//! one neighbour at a time.
//!
//! A node fetches also what is older than itself, although its application does not get it: others may have to get it through
//! this node.

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
    Extent, Gone, Graft, Have, HaveEntry, Ids, MAX_IDS, Prune, Repair, Summary, Want, WantIds,
    batches,
};
use crate::wire::trailer::Name;

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
            kind::PRUNE => Prune::parse(native).map(|prune| self.on_prune(id, prune, now)),
            kind::GRAFT => Graft::parse(native).map(|graft| self.on_graft(id, &graft, now)),
            kind::WANT_IDS => WantIds::parse(native).map(|want| self.on_want_ids(id, want, now)),
            _ => return false,
        };
        if let Err(fault) = taken {
            let fault: ControlFault = fault;
            self.fault(id, fault, now);
        }
        true
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
        if have.is_complete {
            if !asked {
                // The answer that it waits for.
                let entries = Vec::new();
                self.send_control(id, &Want { entries }.encode(), now);
            }
            self.confirm_own(id, now);
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
        if stream.origin == self.id {
            self.release_carried(&stream, &theirs, now);
        }
        // Whoever does not know where the stream begins has to be told.
        if entry.from > 0
            && let Some(version) = self.delivery.frontiers.version_of(&stream, &theirs)
            && let Some(link) = self.links.get_mut(&id)
        {
            link.feed.note_known(version);
            // Nearly always: then there is nothing to ask for.
            if self.delivery.order.contains_key(&stream) {
                link.feed.forget_offer(&stream);
                return;
            }
        }
        let lacking = self.delivery.frontiers.lacking(&stream, &theirs);
        let mut offered = Ranges::new();
        if entry.low > 0 {
            offered = lacking.intersection(&Ranges::of(entry.low, u64::MAX));
        }
        let gone = lacking.difference(&offered);
        self.doom(&stream, &gone, now);
        self.await_from_parent(&stream, id, &offered, now);
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        // Where the stream begins is of interest as long as no message of it has come.
        let is_new = !self.delivery.order.contains_key(&stream);
        let offer = Offer {
            ranges: offered,
            gone: if is_new { gone } else { Ranges::new() },
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
            // That is to come by another link. If it does not, it is noticed.
            if self.tree.is_pruned(stream, id, now) {
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

    /// Does the same for messages without names.
    fn pull_ids(&mut self, id: LinkId, quota: u64, now: Instant) -> bool {
        let room = usize::try_from(quota).unwrap_or(MAX_IDS).min(MAX_IDS);
        let mut ids = Vec::new();
        let offered = self
            .links
            .get(&id)
            .map_or(0, |link| link.feed.offered_ids());
        for _ in 0..offered {
            if ids.len() == room {
                break;
            }
            let next = self.links.get_mut(&id).and_then(|link| link.feed.next_id());
            let Some(next) = next else {
                break;
            };
            if self.has_id(&next) {
                continue;
            }
            let is_others_turn = self.is_id_of_another(id, &next);
            let Some(link) = self.links.get_mut(&id) else {
                break;
            };
            if is_others_turn {
                // That one may turn out not to have it any more.
                link.feed.keep_id(next);
            } else {
                link.feed.ask_id(next);
                ids.push(next);
            }
        }
        let link = self.links.get_mut(&id);
        // An empty question: all is dealt with that was offered, and there may be more.
        let wants_more = link.is_some_and(|link| link.feed.wants_more_ids());
        let has_asked = !ids.is_empty();
        if has_asked || wants_more {
            self.send_control(id, &WantIds { ids }.encode(), now);
        }
        has_asked
    }

    /// Returns whether another neighbour was asked for a message without a name, or is to be asked first.
    fn is_id_of_another(&self, id: LinkId, wanted: &MessageId) -> bool {
        let is_slow = self.links.get(&id).is_some_and(|link| link.feed.is_slow);
        let mut others = self.links.values().filter(|link| link.id != id);
        others.any(|other| {
            let is_better = is_slow && !other.feed.is_slow && other.is_established();
            other.feed.has_asked_id(wanted) || is_better && other.feed.offers_id(wanted)
        })
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
            let has_more = want.ids.is_empty() && link.feed.tell_more_ids();
            for wanted in want.ids {
                link.feed.request(Request::Id(wanted));
            }
            if has_more {
                self.tell_ids_on(id, now);
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
            => std::time::Duration::ZERO, else self.config.log_age);
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
        if let Some(link) = self.links.get_mut(&id) {
            for gone in &gone.ids {
                link.feed.settle_id(gone);
            }
        }
        self.watch_pull(id, now);
        self.pull_everywhere();
    }

    fn on_ids(&mut self, id: LinkId, ids: Ids) {
        if let Some(link) = self.links.get_mut(&id) {
            link.feed.hear_ids(ids.ids.len());
        }
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
