//! What a node saves of itself, when, and how it goes on from it.
//!
//! A life that begins with what an earlier one saved is the same node to the others, by its id, and another stream:
//! each life counts its broadcasts from 1 in an epoch of its own. So it does not matter how old the bytes are, or how often they
//! are used: no name of a message is ever given twice.

use std::time::Duration;

use bytes::Bytes;

use super::MeshState;
use crate::config::Config;
use crate::delivery::{Carried, Order, Unkept};
use crate::encode::Encoder;
use crate::error::RestoreError;
use crate::frontier::{Inserted, Stream, StreamFrontier};
use crate::id::{MessageId, NodeId};
use crate::log::Entry;
use crate::message::Message;
use crate::output::{Event, Output};
use crate::ranges::Ranges;
use crate::save::{Save, SaveError};
use crate::time::{Instant, UnixTime};
use crate::timers::Timer;
use crate::wire::message::{Packed, Sender, WireTime};
use crate::wire::trailer::Name;

/// How many bytes of its own broadcasts a node saves that may be nowhere else.
const MAX_OWN_LEN: usize = 1 << 20;

/// How many ids of messages without names are saved, and how many of them the application may be at.
pub(super) const MAX_IDS: usize = 4096;

/// How many addresses are saved.
const MAX_ADDRESSES: usize = 256;

/// How many bytes are saved in a second at most, over the time.
const RATE: usize = 256 << 10;

/// How long a downtime counts, at most: no log keeps a message longer.
const MAX_DOWNTIME: Duration = Duration::from_secs(24 * 3600);

/// How many ranges of one stream may be acknowledged with holes between them.
const MAX_ACKNOWLEDGED: usize = 200;

impl MeshState {
    /// Returns a node that goes on from what an earlier life of it has saved ([`Output::Persist`]).
    ///
    /// It has the same id. What its application [acknowledged](Self::acknowledge) before the bytes were saved is not
    /// delivered again; what came since, or while there was no node, is, as far as other nodes still have it, and
    /// [`Event::Gap`] tells of the rest. Its own broadcasts that no neighbour had are sent now. A new epoch begins: no
    /// sequence is used twice, even if the bytes are old, or used again. `seed` must be fresh.
    ///
    /// # Errors
    ///
    /// The configuration breaks a rule, or the bytes do: they are not of a node of this network, or not whole. Nothing was
    /// done; the bytes are as good as before.
    pub fn restore(
        config: Config,
        seed: [u8; 32],
        saved: &Bytes,
        now: Instant,
        wall: UnixTime,
    ) -> Result<Self, RestoreError> {
        let save = Save::decode(saved)?;
        let network = config.protocol.id();
        if save.network != network {
            let theirs = save.network;
            return Err(SaveError::OtherNetwork { theirs }.into());
        }
        let mut state = Self::make(config, seed, Some(&save), now, wall)?;
        state.go_on_from(save, now, wall);
        state.settle(now);
        Ok(state)
    }

    fn go_on_from(&mut self, save: Save, now: Instant, wall: UnixTime) {
        // A calendar that was set back does not tell how long it was: then it is better to deliver too much than too little.
        let downtime = wall.as_micros().checked_sub(save.at.as_micros());
        let downtime = downtime.map_or(MAX_DOWNTIME, Duration::from_micros);
        let before = save.reach.saturating_add(downtime.min(MAX_DOWNTIME));
        self.delivery.extend_reach(before, save.has_all_ids);
        while save
            .streams
            .iter()
            .any(|(stream, _)| *stream == self.delivery.own)
        {
            self.delivery.own.epoch = self.chance.u64().max(1);
        }
        for (stream, known) in &save.streams {
            self.restore_stream(stream, known, now);
        }
        for (stream, known) in &save.letters {
            for (first, last) in had(known).iter() {
                self.letters.fill(stream, first, last);
            }
        }
        for id in save.ids {
            self.delivery.ids.insert(id, self.config.log_age, now);
            self.seen.insert(id, self.config.seen_ttl, now);
        }
        for (address, id, standing) in &save.addresses {
            self.book.add(address, id.as_ref(), *standing, now);
        }
        for packed in save.own {
            self.restore_own(packed, now);
        }
        for (stream, ranges) in &save.left_out {
            for (first, last) in had(ranges).iter() {
                let epoch = stream.epoch;
                self.event(Event::OwnLost { epoch, first, last });
            }
        }
        self.should_dial = true;
        self.note_to_save();
    }

    fn restore_stream(&mut self, stream: &Stream, known: &StreamFrontier, now: Instant) {
        let mut is_known = true;
        for (first, last) in had(known).iter() {
            let inserted = self.delivery.frontiers.fill(stream, first, last);
            is_known &= matches!(inserted, Inserted::New { .. });
        }
        self.delivery.note_unkept(
            stream,
            Unkept {
                sequence: known.highest(),
                at: now,
                age: Duration::ZERO,
            },
        );
        // Even where the application has none of it: it is to get it from the first on.
        let has_room = self.delivery.order.len() < self.config.max_streams;
        if stream.origin != self.id && is_known && has_room {
            let order = Order {
                delivered: known.upto(),
                undecided: None,
                has_begun: false,
            };
            self.delivery.order.insert(stream.clone(), order);
            let beyond = known.beyond().clone();
            if !beyond.is_empty() {
                self.delivery.done_before.insert(stream.clone(), beyond);
            }
        }
    }

    /// Takes a broadcast of an earlier life into the log, until a neighbour has it.
    fn restore_own(&mut self, packed: Bytes, now: Instant) {
        let id = MessageId::of(&packed);
        let Ok(packed) = Packed::parse(id, packed, self.config.max_depth) else {
            return;
        };
        let (Sender::Node(sender, _), WireTime::Seconds(time), Some(name)) = (
            packed.sender(),
            packed.time(),
            Name::parse(packed.trailer()),
        ) else {
            return;
        };
        if *sender != self.id || !self.delivery.log.has_room_for_own(packed.bytes().len()) {
            return;
        }
        let stream = Stream {
            origin: sender.clone(),
            epoch: name.epoch(),
        };
        self.delivery.frontiers.insert(&stream, name.sequence());
        self.seen.insert(id, self.config.seen_ttl, now);
        let mut encoder = Encoder::new(id, packed.bytes().clone());
        encoder.frame(None);
        let entry = Entry {
            id,
            body: encoder.body(),
            sender: stream.origin.clone(),
            name: Some(name),
            time,
            from: None,
            is_own: true,
            received_at: now,
            // It was never sent: this life sends it, and counts from here.
            carried_age: Duration::ZERO,
        };
        let arrival = self.push(entry, now);
        let sequence = name.sequence();
        self.delivery.carried.push(Carried {
            stream,
            sequence,
            arrival,
        });
        self.note_news(now);
    }

    /// Notes what a neighbour has of this node's broadcasts of an earlier life.
    pub(super) fn release_carried(
        &mut self,
        stream: &Stream,
        theirs: &StreamFrontier,
        now: Instant,
    ) {
        let mut evicted = std::mem::take(&mut self.delivery.evicted);
        let log = &mut self.delivery.log;
        let before = self.delivery.carried.len();
        self.delivery.carried.retain(|carried| {
            let is_held = carried.stream == *stream && theirs.contains(carried.sequence);
            if is_held {
                log.unpin(carried.arrival, &mut evicted);
            }
            !is_held
        });
        if self.delivery.carried.len() < before {
            self.note_to_save();
        }
        self.on_evicted(evicted, now);
    }

    /// A neighbour has all that this node has.
    pub(super) fn release_all_carried(&mut self, now: Instant) {
        let carried = self.delivery.carried.iter();
        let streams: Vec<Stream> = carried.map(|carried| carried.stream.clone()).collect();
        for stream in streams {
            let all = StreamFrontier::new(u64::MAX, Ranges::new());
            self.release_carried(&stream, &all, now);
        }
    }

    /// Says that the application is done with a message: once this is saved, no later life of the node delivers it again.
    ///
    /// It is saved with the next [`Output::Persist`], and holds when the driver has stored that. A
    /// message that was not acknowledged before the node ended is delivered again by the next life, if anybody still has
    /// it: so a program acknowledges what it has dealt with, in any order. Does nothing without
    /// [`Config::save_interval`], nor for a message that was acknowledged before.
    pub fn acknowledge(&mut self, message: &Message, now: Instant) {
        match message.place {
            Some((epoch, sequence)) => {
                self.acknowledge_range(&message.sender, epoch, sequence, sequence, now);
            }
            None => {
                if self.delivery.unacknowledged_ids.remove(&message.id) {
                    self.note_to_save();
                    self.settle(now);
                }
            }
        }
    }

    /// The same for all broadcasts of one life of a node from one sequence to another: such as the application
    /// will not get, since it was too slow.
    pub fn acknowledge_range(
        &mut self,
        origin: &NodeId,
        epoch: u64,
        first: u64,
        last: u64,
        now: Instant,
    ) {
        let stream = Stream {
            origin: origin.clone(),
            epoch,
        };
        let Some(open) = self.delivery.unacknowledged.get_mut(&stream) else {
            return;
        };
        // In the middle of a range it makes two of one.
        if open.range_count() < MAX_ACKNOWLEDGED || !splits(open, first, last) {
            open.remove(first, last);
        }
        if open.is_empty() {
            self.delivery.unacknowledged.remove(&stream);
        }
        self.note_to_save();
        self.settle(now);
    }

    /// Saves now, whatever was saved when: an [`Output::Persist`] comes of it, with all that was acknowledged.
    ///
    /// Does nothing without [`Config::save_interval`], and after the node was shut down.
    pub fn persist(&mut self, now: Instant) {
        if self.config.save_interval.is_some() && self.phase != super::Phase::ShutDown {
            self.save(now);
        }
    }

    /// Notes that something has changed that is to be saved.
    pub(super) const fn note_to_save(&mut self) {
        self.saving.is_due = true;
    }

    /// Saves if there is something to be saved and the last time is long enough ago; else that is done when it is.
    pub(super) fn save_if_due(&mut self, now: Instant) {
        if !self.saving.is_due || self.config.save_interval.is_none() {
            return;
        }
        if self.saving.next <= now {
            self.save(now);
        } else {
            self.timers.set(Timer::Save, self.saving.next);
        }
    }

    /// Saves all at the end of the node's life, if that is wanted.
    pub(super) fn save_at_the_end(&mut self, now: Instant) {
        if self.config.save_interval.is_some() {
            self.save(now);
        }
    }

    fn save(&mut self, now: Instant) {
        self.saving.is_due = false;
        self.timers.cancel(Timer::Save);
        let bytes = self.snapshot_to_save(now).encode();
        let pause = Duration::from_millis((bytes.len() / (RATE / 1000)) as u64);
        let interval = self.config.save_interval.unwrap_or(Duration::ZERO);
        self.saving.next = now.saturating_add(interval.max(pause));
        reached!(self, Mark::Persisted);
        self.outputs.push(Output::Persist(bytes));
    }

    fn snapshot_to_save(&self, now: Instant) -> Save {
        let (own, left_out) = self.own_to_save();
        let ids = self.delivery.log.ids(self.config.log_age, now);
        let done = ids.filter(|(_, id)| !self.delivery.unacknowledged_ids.contains(id));
        let mut ids: Vec<MessageId> = done.map(|(_, id)| id).take(MAX_IDS + 1).collect();
        let has_all_ids = ids.len() <= MAX_IDS;
        ids.truncate(MAX_IDS);
        let letters = self.letters.changed_since(0);
        Save {
            network: self.protocol_id.clone(),
            id: self.id.clone(),
            at: self.clock.at(now),
            reach: self.delivery.reach(now),
            streams: self.streams_to_save(),
            letters: letters
                .map(|(_, stream, known)| (stream.clone(), known.clone()))
                .collect(),
            own,
            left_out,
            ids,
            has_all_ids,
            addresses: self.book.to_save(MAX_ADDRESSES),
        }
    }

    /// Returns what the application is done with, the streams that changed last at the end.
    fn streams_to_save(&self) -> Vec<(Stream, StreamFrontier)> {
        let frontiers = &self.delivery.frontiers;
        let known = frontiers.changed_since(0).map(|(_, stream, _)| stream);
        let expected = self.delivery.order.keys();
        let expected = expected.filter(|stream| frontiers.get(stream).is_none());
        let done = known.chain(expected).filter_map(|stream| {
            if stream.origin == self.id {
                return Some((stream.clone(), frontiers.get(stream)?.clone()));
            }
            let order = self.delivery.order.get(stream)?;
            if order.undecided.is_some() {
                return None;
            }
            let mut done = Ranges::of(0, order.delivered);
            let forgets = sabotaged!(self.config, Sabotage::AcknowledgedUnasked);
            if let Some(open) = self
                .delivery
                .unacknowledged
                .get(stream)
                .filter(|_| !forgets)
            {
                done = done.difference(open);
            }
            if let Some(before) = self.delivery.done_before.get(stream) {
                done = done.union(before);
            }
            if sabotaged!(self.config, Sabotage::AcknowledgedForgotten) {
                done = Ranges::of(0, 0);
            }
            Some((stream.clone(), StreamFrontier::new(0, done)))
        });
        done.collect()
    }

    /// Returns this node's own broadcasts that may be nowhere else, and which of them are too many.
    fn own_to_save(&self) -> (Vec<Bytes>, Vec<(Stream, StreamFrontier)>) {
        let own = &self.delivery.own;
        let held = (self.delivery.released + 1, self.delivery.last_sequence);
        let of_this_life = self.delivery.log.range(&own.origin, own.epoch, held);
        let of_this_life = of_this_life.map(|(sequence, arrival)| (own, sequence, arrival));
        let carried = self.delivery.carried.iter();
        let carried = carried.map(|carried| (&carried.stream, carried.sequence, carried.arrival));
        let mut left = sabotaged!(self.config, Sabotage::OwnNotSaved => 0, else MAX_OWN_LEN);
        let mut saved = Vec::new();
        let mut left_out: Vec<(Stream, StreamFrontier)> = Vec::new();
        for (stream, sequence, arrival) in carried.chain(of_this_life) {
            let Some(entry) = self.delivery.log.get(arrival) else {
                continue;
            };
            let packed = entry.body.packed();
            if packed.len() <= left {
                left -= packed.len();
                saved.push(packed);
                continue;
            }
            // What is sent in order is left out in order, from here on.
            left = 0;
            let mut missing = Ranges::of(sequence, sequence);
            match left_out.last_mut().filter(|(last, _)| last == stream) {
                Some((_, known)) => {
                    missing = missing.union(known.beyond());
                    *known = StreamFrontier::new(0, missing);
                }
                None => left_out.push((stream.clone(), StreamFrontier::new(0, missing))),
            }
        }
        (saved, left_out)
    }
}

/// Returns all that is had, without the zero that is no sequence.
fn had(known: &StreamFrontier) -> Ranges {
    let mut had = known.beyond().clone();
    had.insert(1, known.upto());
    had
}

/// Returns whether taking these out makes two ranges of one.
fn splits(ranges: &Ranges, first: u64, last: u64) -> bool {
    let mut without = ranges.clone();
    without.remove(first, last);
    without.range_count() > ranges.range_count()
}
