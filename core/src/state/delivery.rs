//! Exactly once, in order: from a message's name to the application, or to a gap that says what is missing.

use std::time::Duration;

use super::MeshState;
use super::saving::MAX_IDS;
use crate::delivery::{Order, Unkept};
use crate::encode::Encoder;
use crate::frontier::{Inserted, Stream};
use crate::id::{IdForm, MessageId, NodeId};
use crate::link::Link;
use crate::log::{Arrival, Entry, EvictReason, Evicted};
use crate::message::{Message, MessageKind};
use crate::output::{Event, GapReason, LinkId};
use crate::ranges::Ranges;
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::message::{Packed, Sender, WireTime};
use crate::wire::payload::SubFlag;
use crate::wire::trailer::Name;

/// How long neighbours are given to tell where a stream begins, when a message from its middle is the first that comes: several
/// times what it takes them to tell what they have. While there is no native neighbour, it does not count.
const UNDECIDED: Duration = Duration::from_secs(10);

/// A broadcast of another node's application, as it came.
pub(super) struct Arriving<'a> {
    pub(super) from: LinkId,
    pub(super) packed: &'a Packed,
    pub(super) encoder: Encoder,
    /// How old it is, by the account of the node that sent it.
    pub(super) age: Duration,
}

impl MeshState {
    /// Takes a broadcast that has a name: passes it on, keeps it, and delivers what is in order by then.
    pub(super) fn on_named(&mut self, message: Arriving<'_>, name: Name, now: Instant) {
        let (Sender::Node(sender, _), WireTime::Seconds(time)) =
            (message.packed.sender(), message.packed.time())
        else {
            return;
        };
        let stream = Stream {
            origin: sender.clone(),
            epoch: name.epoch(),
        };
        let sequence = name.sequence();
        self.settle_asked(&stream, sequence);
        if stream == self.delivery.own {
            return;
        }
        match self.delivery.frontiers.insert(&stream, sequence) {
            Inserted::Duplicate if self.is_taken_twice(&message, &stream, sequence) => {
                return self.deliver(
                    message.from,
                    message.packed,
                    stream.origin,
                    IdForm::Str,
                    time,
                );
            }
            Inserted::Duplicate => {
                reached!(self, Mark::Duplicate);
                if message.age.is_zero() {
                    self.on_repeated(&stream, sequence, message.from, now);
                }
                return;
            }
            Inserted::Refused => {
                return tracing::debug!(%sender, sequence, "no room to remember it: refused");
            }
            Inserted::New { forgotten } => {
                if let Some(forgotten) = forgotten {
                    self.delivery.forget(&forgotten);
                    self.tree.forget(&forgotten);
                    self.event(Event::StreamForgotten {
                        origin: forgotten.origin,
                    });
                }
            }
        }
        let id = message.packed.id();
        self.seen.insert(id, self.config.seen_ttl, now);
        if message.age.is_zero() {
            self.note_way(&stream.origin, message.from);
            self.tree.note_parent(&stream, message.from);
        }
        self.begin_order(&stream, sequence, message.age, now);
        if sabotaged!(self.config, Sabotage::OrderIgnored)
            && let Some(order) = self.delivery.order.get_mut(&stream)
        {
            order.undecided = None;
            order.delivered = order.delivered.max(sequence - 1);
        }
        let entry = Entry {
            id,
            body: message.encoder.body(),
            sender: sender.clone(),
            name: Some(name),
            time,
            from: Some(message.from),
            is_own: false,
            received_at: now,
            carried_age: message.age,
        };
        let (packed, from, age) = (message.packed, message.from, message.age);
        self.keep_and_feed(entry, message, now);
        let is_recent = age <= self.delivery.reach(now);
        let Some(has_begun) = self.takes_next(&stream, sequence, is_recent) else {
            return self.deliver_from(&stream, Some(packed), now);
        };
        if (has_begun || sabotaged!(self.config, Sabotage::OldDelivered))
            && stream.origin != self.id
        {
            self.deliver_named(packed, name, time, from);
        }
    }

    /// Moves the application on by one message, if it is the next one of its stream and none behind it waits for it: that is
    /// so nearly always, and the log need not be asked. Returns whether the stream has begun for the application, with this
    /// one at the latest if it is recent; `None` if it is not the next.
    fn takes_next(&mut self, stream: &Stream, sequence: u64, is_recent: bool) -> Option<bool> {
        let known = self.delivery.frontiers.get(stream);
        let is_last = known.is_some_and(|known| known.upto() == sequence);
        let order = self.delivery.order.get_mut(stream).filter(|order| {
            is_last && order.undecided.is_none() && order.delivered.checked_add(1) == Some(sequence)
        });
        let order = order?;
        order.delivered = sequence;
        Some(order.begin(is_recent))
    }

    /// Returns whether a bug is planted by which this copy of a message is taken for new.
    #[cfg(feature = "sabotage")]
    fn is_taken_twice(&self, message: &Arriving<'_>, stream: &Stream, sequence: u64) -> bool {
        let first = self.kept_in(stream, sequence, sequence);
        let first = first.and_then(|(_, arrival)| self.delivery.log.get(arrival)?.from);
        sabotaged!(self.config, Sabotage::NoDedupe)
            || (sabotaged!(self.config, Sabotage::DedupeByLink) && first != Some(message.from))
    }

    #[cfg(not(feature = "sabotage"))]
    #[expect(
        clippy::unused_self,
        reason = "it is the same call as with the feature"
    )]
    const fn is_taken_twice(&self, _: &Arriving<'_>, _: &Stream, _: u64) -> bool {
        false
    }

    /// Takes a broadcast of an application that has no name, and is known to be new.
    pub(super) fn on_nameless(
        &mut self,
        message: Arriving<'_>,
        sender: &NodeId,
        form: IdForm,
        time: i64,
        now: Instant,
    ) {
        let (from, packed, age) = (message.from, message.packed, message.age);
        let entry = Entry {
            id: packed.id(),
            body: message.encoder.body(),
            sender: sender.clone(),
            name: None,
            time,
            from: Some(from),
            is_own: false,
            received_at: now,
            carried_age: age,
        };
        self.keep_and_feed(entry, message, now);
        // All that this node says has a name: in its own name somebody else has said it.
        if *sender != self.id && age <= self.delivery.nameless_reach(now) {
            self.note_unacknowledged_id(packed.id());
            self.deliver(from, packed, sender.clone(), form, time);
        }
    }

    fn keep_and_feed(&mut self, entry: Entry, message: Arriving<'_>, now: Instant) {
        let is_repair = message.age > Duration::ZERO;
        let arrival = self.push(entry, now);
        if is_repair && sabotaged!(self.config, Sabotage::RepairNotRelayed) {
            return;
        }
        let encoder = sabotaged!(self.config, Sabotage::RelayAltersByte
            => crate::sabotage::altered(message.packed), else message.encoder);
        self.feed_all(arrival, message.packed, encoder, now);
        self.note_news(now);
    }

    /// Adds a message to the log, and does what follows for those that had to go.
    pub(super) fn push(&mut self, entry: Entry, now: Instant) -> Arrival {
        let mut evicted = std::mem::take(&mut self.delivery.evicted);
        let arrival = self.delivery.log.push(entry, &mut evicted);
        self.on_evicted(evicted, now);
        self.watch_log();
        arrival
    }

    /// Drops what is too old.
    pub(super) fn expire_log(&mut self, now: Instant) {
        let mut evicted = std::mem::take(&mut self.delivery.evicted);
        self.delivery.log.expire(now, &mut evicted);
        self.on_evicted(evicted, now);
        self.watch_log();
    }

    /// Sets the timer for when the next message is too old. It may be early: that does no harm.
    fn watch_log(&mut self) {
        let log = &self.delivery.log;
        if log.count() > log.pinned_count() && self.timers.is_set(Timer::Log) {
            return;
        }
        match self.delivery.log.deadline() {
            Some(deadline) => self.timers.set(Timer::Log, deadline),
            None => self.timers.cancel(Timer::Log),
        }
    }

    /// Does what follows for messages that left the log: the application gets those that it was still to get.
    pub(super) fn on_evicted(&mut self, mut evicted: Vec<Evicted>, now: Instant) {
        let mut late: Vec<(Stream, u64, Evicted)> = Vec::new();
        for gone in evicted.drain(..) {
            let Some(name) = gone.entry.name else {
                continue;
            };
            let stream = Stream {
                origin: gone.entry.sender.clone(),
                epoch: name.epoch(),
            };
            let unkept = Unkept {
                sequence: name.sequence(),
                at: now,
                age: gone.entry.age(now),
            };
            self.delivery.note_unkept(&stream, unkept);
            let waits = self.delivery.order.get(&stream);
            if waits.is_some_and(|order| order.delivered < name.sequence()) {
                late.push((stream, name.sequence(), gone));
            }
        }
        self.delivery.evicted = evicted;
        // All of them have left the log by now: nothing may be delivered that is behind one.
        late.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        for (stream, sequence, gone) in &late {
            self.deliver_regardless(stream, *sequence, gone, now);
        }
        late.dedup_by(|a, b| a.0 == b.0);
        for (stream, ..) in late {
            self.deliver_in_order(&stream, now);
        }
    }

    /// Decides where a stream begins for the application, if this is the first message of it.
    fn begin_order(&mut self, stream: &Stream, sequence: u64, age: Duration, now: Instant) {
        if self.delivery.order.contains_key(stream) {
            return;
        }
        let mut order = Order {
            delivered: 0,
            undecided: None,
            has_begun: false,
        };
        if sabotaged!(self.config, Sabotage::BeginsAnywhere) {
            order.delivered = sequence - 1;
        } else if age > self.delivery.reach(now) {
            order.delivered = sequence;
        } else if sequence > 1 {
            match self.told_beginning(stream) {
                Some(from) => order.delivered = from.min(sequence) - 1,
                None => order.undecided = Some(now.saturating_add(UNDECIDED)),
            }
        }
        if let Some(until) = order.undecided {
            // No other is decided later: all are given the same time.
            self.timers.arm(Timer::Decide, until);
        }
        self.delivery.order.insert(stream.clone(), order);
        // What neighbours have no more they said when there was nobody to wait for it.
        let offers = self
            .links
            .values()
            .filter_map(|link| link.feed.offers.get(stream));
        let gone = offers.fold(Ranges::new(), |gone, offer| gone.union(&offer.gone));
        self.doom(stream, &gone, now);
    }

    /// Returns where a stream begins for this node by what a neighbour has said.
    fn told_beginning(&self, stream: &Stream) -> Option<u64> {
        let offers = self.links.values().filter(|link| link.is_established());
        let offers = offers.filter_map(|link| link.feed.offers.get(stream)?.from);
        offers.min()
    }

    /// Takes what a neighbour says of the beginning of a stream, if that is not known.
    pub(super) fn decide_beginning(&mut self, stream: &Stream, from: u64, now: Instant) {
        let Some(order) = self.delivery.order.get_mut(stream) else {
            return;
        };
        if order.undecided.take().is_some() {
            let lowest = self.delivery.log.low(&stream.origin, stream.epoch);
            order.delivered = from.min(lowest.unwrap_or(from)).saturating_sub(1);
            self.watch_decisions();
            self.deliver_in_order(stream, now);
        }
    }

    /// Lets streams begin of which no neighbour has said anything in time.
    pub(super) fn decide_beginnings(&mut self, now: Instant) {
        let order = self.delivery.order.iter();
        let due: Vec<Stream> = order
            .filter(|(_, order)| order.undecided.is_some_and(|until| until <= now))
            .map(|(stream, _)| stream.clone())
            .collect();
        let mut neighbours = self.links.values();
        let is_told = neighbours.any(Link::is_native_peer);
        for stream in due {
            if is_told {
                self.begin_untold(&stream, now);
            } else if let Some(order) = self.delivery.order.get_mut(&stream) {
                order.undecided = Some(now.saturating_add(UNDECIDED));
            }
        }
        self.watch_decisions();
    }

    /// Lets a stream begin where the log does. Whether there was anything before is not known, so that is declared gone.
    fn begin_untold(&mut self, stream: &Stream, now: Instant) {
        if let Some(lowest) = self.delivery.log.low(&stream.origin, stream.epoch) {
            self.tell_untold(stream, lowest, GapReason::Evicted);
        }
        self.decide_beginning(stream, u64::MAX, now);
    }

    /// Declares gone what is before a sequence, of which nobody has said whether there was anything.
    fn tell_untold(&mut self, stream: &Stream, begins: u64, why: GapReason) {
        if begins > 1 && stream.origin != self.id {
            reached!(self, Mark::Gap);
            self.event(Event::Gap {
                origin: stream.origin.clone(),
                epoch: stream.epoch,
                first: 1,
                last: begins - 1,
                why,
            });
        }
    }

    fn watch_decisions(&mut self) {
        match self.delivery.next_decision() {
            Some(at) => self.timers.set(Timer::Decide, at),
            None => self.timers.cancel(Timer::Decide),
        }
    }

    /// Delivers the messages of a stream that are next, as far as there is no hole.
    pub(super) fn deliver_in_order(&mut self, stream: &Stream, now: Instant) {
        self.deliver_from(stream, None, now);
    }

    /// Does the same, with the message that has just come, which need not be read again.
    fn deliver_from(&mut self, stream: &Stream, came: Option<&Packed>, now: Instant) {
        while let Some(order) = self.delivery.order.get(stream).copied()
            && order.undecided.is_none()
            && let Some(next) = order.delivered.checked_add(1)
        {
            let Some(had_to) = self.had_from(stream, next) else {
                reached!(self, Mark::WaitsForOrder);
                return;
            };
            let kept = self.kept_in(stream, next, had_to);
            let delivered = kept.map_or(had_to, |(sequence, _)| sequence);
            if let Some(order) = self.delivery.order.get_mut(stream) {
                order.delivered = delivered;
            }
            if let Some((_, arrival)) = kept
                && let Some(entry) = self.delivery.log.get(arrival)
            {
                let entry = entry.clone();
                self.deliver_entry(stream, &entry, came, now);
            }
        }
    }

    /// Returns the first message of a stream between two sequences that is in the log.
    pub(super) fn kept_in(&self, stream: &Stream, first: u64, last: u64) -> Option<(u64, Arrival)> {
        let range = (first, last);
        let mut kept = self.delivery.log.range(&stream.origin, stream.epoch, range);
        kept.next()
    }

    /// Returns up to where a stream is had without a hole from `first` on, or `None` if `first` is missing.
    fn had_from(&self, stream: &Stream, first: u64) -> Option<u64> {
        let known = self.delivery.frontiers.get(stream)?;
        if first <= known.upto() {
            return Some(known.upto());
        }
        let mut beyond = known.beyond().iter();
        let range = beyond.find(|(begin, end)| *begin <= first && first <= *end)?;
        Some(range.1)
    }

    /// Delivers a message that the log cannot keep, and all that are before it. What is missing there is declared gone.
    fn deliver_regardless(&mut self, stream: &Stream, sequence: u64, gone: &Evicted, now: Instant) {
        let why = match gone.why {
            EvictReason::Age => GapReason::Age,
            EvictReason::Room => GapReason::Room,
        };
        if let Some(order) = self.delivery.order.get_mut(stream)
            && order.undecided.take().is_some()
        {
            let lowest = self.delivery.log.low(&stream.origin, stream.epoch);
            let begins = lowest.map_or(sequence, |low| low.min(sequence));
            order.delivered = begins - 1;
            self.watch_decisions();
            self.tell_untold(stream, begins, why);
        }
        while let Some(order) = self.delivery.order.get(stream).copied()
            && order.delivered + 1 < sequence
        {
            let first = order.delivered + 1;
            let Some(had_to) = self.had_from(stream, first) else {
                let known = self.delivery.frontiers.get(stream);
                // Where the application began later, there may be holes before that, and what lies between them.
                let next_had = known.and_then(|known| {
                    let mut beyond = known.beyond().iter();
                    beyond.find_map(|(begin, _)| (begin > first).then_some(begin))
                });
                let last = next_had.map_or(sequence, |had| had.min(sequence)) - 1;
                self.tell_gap(stream, first, last, why, now);
                self.pass_to(stream, last);
                continue;
            };
            let had_to = had_to.min(sequence - 1);
            let kept = self.kept_in(stream, first, had_to);
            self.pass_to(stream, kept.map_or(had_to, |(sequence, _)| sequence));
            let entry = kept.and_then(|(_, arrival)| self.delivery.log.get(arrival));
            if let Some(entry) = entry.cloned() {
                self.deliver_entry(stream, &entry, None, now);
            }
        }
        let waits = self.delivery.order.get(stream);
        if waits.is_some_and(|order| order.delivered < sequence) {
            self.pass_to(stream, sequence);
            self.deliver_entry(stream, &gone.entry, None, now);
        }
    }

    /// Notes that the application is this far in a stream.
    fn pass_to(&mut self, stream: &Stream, sequence: u64) {
        if let Some(order) = self.delivery.order.get_mut(stream) {
            order.delivered = sequence;
        }
    }

    /// Gives up on messages that the application waits for, and delivers what is behind them.
    fn declare_gap(
        &mut self,
        stream: &Stream,
        first: u64,
        last: u64,
        why: GapReason,
        now: Instant,
    ) {
        self.tell_gap(stream, first, last, why, now);
        self.deliver_in_order(stream, now);
    }

    /// Remembers that a message was given up that may be younger than some neighbours: those are to know of it.
    ///
    /// How old it is nobody can say, but that it is older than what follows it.
    fn note_missing(&mut self, stream: &Stream, sequence: u64, now: Instant) {
        let next = self.kept_in(stream, sequence.saturating_add(1), u64::MAX);
        let next = next.and_then(|(_, arrival)| self.delivery.log.get(arrival));
        let age = next.map_or(Duration::ZERO, |entry| entry.age(now));
        let unkept = Unkept {
            sequence,
            at: now,
            age,
        };
        self.delivery.note_unkept(stream, unkept);
    }

    /// Gives up on messages, and tells the application if it waits for them.
    fn tell_gap(&mut self, stream: &Stream, first: u64, last: u64, why: GapReason, now: Instant) {
        if sabotaged!(self.config, Sabotage::GapNeverDeclared) {
            return;
        }
        self.delivery.frontiers.fill(stream, first, last);
        self.note_missing(stream, last, now);
        self.note_to_save();
        // What a node published in a life before this one its application waits for in vain, and does not expect.
        let order = self.delivery.order.get(stream);
        let is_awaited = stream.origin != self.id
            && order.is_some_and(|order| order.undecided.is_none() && order.delivered < last);
        if is_awaited && !sabotaged!(self.config, Sabotage::GapNotTold) {
            reached!(self, Mark::Gap);
            let delivered = self.delivery.order[stream].delivered;
            let told = sabotaged!(self.config, Sabotage::GapOneShort => last - 1, else last);
            self.event(Event::Gap {
                origin: stream.origin.clone(),
                epoch: stream.epoch,
                first: first.max(delivered + 1),
                last: told,
                why,
            });
        }
    }

    /// Notes that a neighbour that had them has them no more.
    pub(super) fn doom(&mut self, stream: &Stream, ranges: &Ranges, now: Instant) {
        let at = now.saturating_add(self.config.gap_grace);
        self.delivery.doom(stream, ranges, at);
        self.watch_doom();
    }

    fn watch_doom(&mut self) {
        match self.delivery.next_doom() {
            Some(at) => self.timers.set(Timer::Gap, at),
            None => self.timers.cancel(Timer::Gap),
        }
    }

    /// Declares gone what no neighbour offers after all.
    pub(super) fn declare_doomed(&mut self, now: Instant) {
        let doomed = self.delivery.doomed.iter();
        let due: Vec<Stream> = doomed
            .filter(|(_, doomed)| doomed.at <= now)
            .map(|(stream, _)| stream.clone())
            .collect();
        for stream in due {
            let Some(doomed) = self.delivery.doomed.remove(&stream) else {
                continue;
            };
            let mut missing = doomed.ranges;
            for link in self.links.values().filter(|link| link.is_established()) {
                if let Some(offer) = link.feed.offers.get(&stream) {
                    missing = missing.difference(&offer.ranges);
                }
            }
            let missing = self.delivery.frontiers.still_lacking(&stream, &missing);
            for (first, last) in missing.iter() {
                self.declare_gap(&stream, first, last, GapReason::Evicted, now);
            }
        }
        self.watch_doom();
    }

    /// Notes that the application gets a message, until it says that it is done with it.
    fn note_unacknowledged(&mut self, origin: &NodeId, name: Name) {
        if self.config.save_interval.is_none() {
            return;
        }
        let stream = Stream {
            origin: origin.clone(),
            epoch: name.epoch(),
        };
        let open = self.delivery.unacknowledged.entry(stream).or_default();
        open.insert(name.sequence(), name.sequence());
        self.note_to_save();
    }

    fn note_unacknowledged_id(&mut self, id: MessageId) {
        let open = &mut self.delivery.unacknowledged_ids;
        // An application that is at more than these gets the others no more than once.
        if self.config.save_interval.is_some() && open.len() < MAX_IDS {
            open.insert(id);
            self.note_to_save();
        }
    }

    /// Delivers a message of the log, unless it is older than what the application is to get or its own.
    fn deliver_entry(
        &mut self,
        stream: &Stream,
        entry: &Entry,
        came: Option<&Packed>,
        now: Instant,
    ) {
        let is_recent = entry.age(now) <= self.delivery.reach(now);
        let order = self.delivery.order.get_mut(stream);
        let is_wanted = order.map_or(is_recent, |order| order.begin(is_recent))
            || sabotaged!(self.config, Sabotage::OldDelivered);
        if !is_wanted || entry.sender == self.id {
            return;
        }
        let kept;
        let packed = if let Some(came) = came.filter(|came| came.id() == entry.id) {
            came
        } else if let Ok(parsed) =
            Packed::parse(entry.id, entry.body.packed(), self.config.max_depth)
        {
            kept = parsed;
            &kept
        } else {
            // It was parsed when it came.
            return;
        };
        if let (Some(name), Some(link)) = (entry.name, entry.from) {
            self.deliver_named(packed, name, entry.time, link);
        }
    }

    /// Gives a message that has a name to the application.
    fn deliver_named(&mut self, packed: &Packed, name: Name, time: i64, link: LinkId) {
        let Sender::Node(origin, form) = packed.sender() else {
            return;
        };
        let Some(sub_flag) = SubFlag::from_wire(packed.sub_flag()) else {
            return;
        };
        self.note_unacknowledged(origin, name);
        let sender = sabotaged!(self.config, Sabotage::SenderReplaced
            => self.links.get(&link).and_then(|link| link.peer_id()).unwrap_or(origin), else origin);
        self.outputs.push_message(Message {
            id: packed.id(),
            kind: MessageKind::Broadcast,
            sender: sender.clone(),
            sender_form: *form,
            time,
            sub_flag,
            packets: packed.packets(),
            place: Some((name.epoch(), name.sequence())),
            link,
        });
    }
}
