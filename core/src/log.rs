//! The log: recent broadcasts in the order in which they came, kept for those who lack them.
//!
//! It serves links that were too slow, links that were down, and neighbours that ask. It is bounded in bytes, count and
//! age. What must make room is, in this order:
//!
//! 1. the oldest message of those origins that hold more than their share, so that who floods the network displaces
//!    himself (a log that is not full is anyone's: a lone talker may have all of it);
//! 2. the oldest message of all.
//!
//! The newest goes last. A message that is pinned stays, whatever its age: the log's owner pins its own messages
//! until someone else has them, and asks [`Log::has_room_for_own`] before it takes on another one.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::encode::Encoder;
use crate::frame::{CHECKSUM_LEN, PREFIX_LEN};
use crate::frontier::Stream;
use crate::id::{MessageId, NodeId};
use crate::output::LinkId;
use crate::time::Instant;
use crate::wire::trailer::Name;
use index::Index;

mod index;

/// What an entry counts for besides the packed message, in bytes: itself and its places in the indexes.
///
/// Counted from the sizes of the types, with a third of slack in the queue and half-full nodes in the trees.
pub(crate) const ENTRY_LEN: usize = 480;

/// So many empty places are kept in any case before the queue is packed.
const MIN_HOLES: usize = 64;

/// How much a log may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of packed messages, each with [`ENTRY_LEN`] for its entry. Default: 64 MiB.
    pub(crate) max_len: usize,
    /// Messages. Default: 131,072.
    pub(crate) max_count: usize,
    /// The age beyond which a message is dropped, that which it had when it came included. Default: 70 minutes, which
    /// is the longest partition that is promised to heal and what healing takes.
    pub(crate) max_age: Duration,
    /// An origin's share of bytes and of messages is one part in so many. Default: 4. 0 counts as 1.
    ///
    /// To find what makes room, up to twice as many origins are looked at, so this is to be small.
    pub(crate) origin_parts: usize,
    /// The same for the log's owner. All its pinned messages must be within. Default: 2. 0 counts as 1.
    pub(crate) own_parts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_len: 64 << 20,
            max_count: 1 << 17,
            max_age: Duration::from_secs(70 * 60),
            origin_parts: 4,
            own_parts: 2,
        }
    }
}

impl Limits {
    /// Returns the bytes and the messages that are an origin's share.
    fn share(&self, is_own: bool) -> (usize, usize) {
        let parts = if is_own {
            self.own_parts
        } else {
            self.origin_parts
        };
        let parts = parts.max(1);
        (self.max_len / parts, self.max_count / parts)
    }
}

/// The number of a message in the order in which they came to this node. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Arrival(u64);

impl Arrival {
    /// The number of the first message that comes.
    pub(crate) const FIRST: Self = Self(0);

    /// Returns the number of the message that comes after this one.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The bytes of a message. They are shared with whoever else has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// A frame that carries it as it is: sending it again copies nothing.
    Frame(Bytes),
    /// Only the packed message, as it came compressed or in a repair.
    Packed(Bytes),
}

impl Body {
    /// Returns the packed message.
    pub(crate) fn packed(&self) -> Bytes {
        match self {
            Self::Frame(frame) => frame.slice(PREFIX_LEN + CHECKSUM_LEN..),
            Self::Packed(packed) => packed.clone(),
        }
    }

    /// Returns the length of the packed message.
    pub(crate) const fn packed_len(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.len() - PREFIX_LEN - CHECKSUM_LEN,
            Self::Packed(packed) => packed.len(),
        }
    }
}

/// A broadcast in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: MessageId,
    pub(crate) body: Body,
    /// The origin, whose share it takes.
    pub(crate) sender: NodeId,
    /// Which broadcast of its sender it is, if that is an rs2p node.
    pub(crate) name: Option<Name>,
    /// When it was made by its sender's clock: seconds since 1970.
    pub(crate) time: i64,
    /// The link that it came by.
    pub(crate) from: Option<LinkId>,
    /// Whether it is of the log's owner.
    pub(crate) is_own: bool,
    pub(crate) received_at: Instant,
    /// How old it was by then, by the account of the node that sent it as a repair.
    pub(crate) carried_age: Duration,
}

impl Entry {
    /// Returns the stream that it is of, if it has a name.
    pub(crate) fn stream(&self) -> Option<Stream> {
        let epoch = self.name?.epoch();
        let origin = self.sender.clone();
        Some(Stream { origin, epoch })
    }

    /// Returns how old the message is, by the clocks of the nodes that kept it.
    pub(crate) const fn age(&self, now: Instant) -> Duration {
        self.carried_age
            .saturating_add(now.saturating_duration_since(self.received_at))
    }

    const fn cost(&self) -> usize {
        ENTRY_LEN + self.body.packed_len()
    }

    /// Returns when the message is as old as this.
    fn due(&self, max_age: Duration) -> Instant {
        let left = max_age.saturating_sub(self.carried_age);
        self.received_at.saturating_add(left)
    }
}

/// A message that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evicted {
    pub(crate) arrival: Arrival,
    pub(crate) entry: Entry,
    pub(crate) why: EvictReason,
}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EvictReason {
    /// Others needed the room.
    Room,
    /// It was as old as [`Limits::max_age`].
    Age,
}

/// Recent broadcasts in the order of arrival.
///
/// What is dropped is appended to the list that the caller gives, which may be used again: a message that comes into a
/// full log costs no allocation but in the trees of the index.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    limits: Limits,
    /// Ascending arrivals. The first is never a hole; where there are holes further on, numbers may be missing, too.
    slots: VecDeque<Slot>,
    /// No message before this one may be dropped.
    oldest: Arrival,
    next: Arrival,
    count: usize,
    len: usize,
    pinned_count: usize,
    pinned_len: usize,
    index: Index,
}

#[derive(Clone, Debug)]
struct Slot {
    arrival: Arrival,
    is_pinned: bool,
    /// `None` for a hole.
    entry: Option<Entry>,
}

impl Log {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: VecDeque::new(),
            oldest: Arrival::FIRST,
            next: Arrival::FIRST,
            count: 0,
            len: 0,
            pinned_count: 0,
            pinned_len: 0,
            index: Index::new(limits),
        }
    }

    /// Adds a message and makes room for it. One of the log's owner is pinned.
    ///
    /// The message itself is dropped at once if it does not fit with all others gone. Of two messages that claim one
    /// name, the name finds the one that came first. A message that is too old already is kept until [`Log::expire`].
    ///
    /// [`Entry::received_at`] must not be before that of an earlier message, as time goes on.
    pub(crate) fn push(&mut self, mut entry: Entry, evicted: &mut Vec<Evicted>) -> Arrival {
        let arrival = self.next;
        let is_pinned = entry.is_own;
        self.next = arrival.next();
        self.count += 1;
        self.len += entry.cost();
        self.index.add(&mut entry, arrival, is_pinned);
        if is_pinned {
            self.pinned_count += 1;
            self.pinned_len += entry.cost();
        }
        self.slots.push_back(Slot {
            arrival,
            is_pinned,
            entry: Some(entry),
        });
        self.make_room(Some(arrival), evicted);
        arrival
    }

    /// Drops what is too old.
    pub(crate) fn expire(&mut self, now: Instant, evicted: &mut Vec<Evicted>) {
        while let Some((due, arrival)) = self.next_due()
            && due <= now
        {
            self.evict(arrival, EvictReason::Age, evicted);
        }
    }

    /// Keeps a message whatever comes, until it is unpinned. Returns whether it is there.
    #[cfg(test)]
    pub(crate) fn pin(&mut self, arrival: Arrival) -> bool {
        let Some(place) = self.place(arrival) else {
            return false;
        };
        let slot = &mut self.slots[place];
        let Some(entry) = &slot.entry else {
            return false;
        };
        if !slot.is_pinned {
            slot.is_pinned = true;
            self.pinned_count += 1;
            self.pinned_len += entry.cost();
            self.index.hold(entry, arrival);
        }
        true
    }

    /// Lets a message go when room is needed or when it is too old, as any other.
    pub(crate) fn unpin(&mut self, arrival: Arrival, evicted: &mut Vec<Evicted>) {
        let Some(place) = self.place(arrival) else {
            return;
        };
        let slot = &mut self.slots[place];
        if let (true, Some(entry)) = (slot.is_pinned, &slot.entry) {
            slot.is_pinned = false;
            self.pinned_count -= 1;
            self.pinned_len -= entry.cost();
            self.index.release(entry, arrival);
            self.oldest = self.oldest.min(arrival);
            self.make_room(None, evicted);
        }
    }

    /// Returns what makes frames of a message. The plain frame is made at most once, and kept.
    pub(crate) fn encoder(&mut self, arrival: Arrival) -> Option<Encoder> {
        let place = self.place(arrival)?;
        let entry = self.slots[place].entry.as_mut()?;
        if let Body::Packed(packed) = &entry.body {
            let mut encoder = Encoder::new(entry.id, packed.clone());
            entry.body = Body::Frame(encoder.frame(None));
        }
        match &entry.body {
            Body::Frame(bytes) | Body::Packed(bytes) => {
                Some(Encoder::of_frame(entry.id, bytes.clone()))
            }
        }
    }

    /// Returns a message that is still here.
    pub(crate) fn get(&self, arrival: Arrival) -> Option<&Entry> {
        self.slots[self.place(arrival)?].entry.as_ref()
    }

    /// Returns where the message with this name is.
    pub(crate) fn find(&self, origin: &NodeId, epoch: u64, sequence: u64) -> Option<Arrival> {
        self.index.find(origin, epoch, sequence)
    }

    /// Returns where the message with this id is, if it has no name.
    pub(crate) fn find_id(&self, id: &MessageId) -> Option<Arrival> {
        self.index.find_id(id)
    }

    /// Goes through those of a stream's messages from one sequence to another, both included, that are here: each with
    /// its sequence, in that order.
    pub(crate) fn range(
        &self,
        origin: &NodeId,
        epoch: u64,
        (first, last): (u64, u64),
    ) -> impl Iterator<Item = (u64, Arrival)> {
        self.index.range(origin, epoch, (first, last))
    }

    /// Returns the lowest sequence of a stream that is here.
    pub(crate) fn low(&self, origin: &NodeId, epoch: u64) -> Option<u64> {
        let mut all = self.range(origin, epoch, (0, u64::MAX));
        all.next().map(|(sequence, _)| sequence)
    }

    /// Goes through the messages that came as this one or later, in the order in which they came.
    pub(crate) fn since(
        &self,
        arrival: Arrival,
    ) -> impl DoubleEndedIterator<Item = (Arrival, &Entry)> {
        let entries = self.slots.range(self.place_from(arrival)..);
        entries.filter_map(|slot| Some((slot.arrival, slot.entry.as_ref()?)))
    }

    /// Goes through the messages without names that came to this node within so long a time, the last one first.
    pub(crate) fn ids(
        &self,
        within: Duration,
        now: Instant,
    ) -> impl Iterator<Item = (Arrival, MessageId)> {
        self.ids_before(self.next, within, now)
    }

    /// Goes through those of them that came before a message.
    pub(crate) fn ids_before(
        &self,
        before: Arrival,
        within: Duration,
        now: Instant,
    ) -> impl Iterator<Item = (Arrival, MessageId)> {
        let slots = self.slots.range(..self.place_from(before)).rev();
        slots
            .filter_map(|slot| Some((slot.arrival, slot.entry.as_ref()?)))
            .take_while(move |(_, entry)| {
                now.saturating_duration_since(entry.received_at) <= within
            })
            .filter(|(_, entry)| entry.name.is_none())
            .map(|(arrival, entry)| (arrival, entry.id))
    }

    /// Returns the message that came first of all that are here.
    #[cfg(test)]
    pub(crate) fn oldest(&self) -> Option<Arrival> {
        self.slots.front().map(|slot| slot.arrival)
    }

    /// Returns the number that the next message gets.
    pub(crate) const fn next_arrival(&self) -> Arrival {
        self.next
    }

    /// Returns when the next message is too old, if none is pinned or displaced before.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        self.next_due().map(|(due, _)| due)
    }

    /// Returns whether the log's owner may add a message of so many bytes, packed: with all that is pinned it has to
    /// be within the owner's share.
    pub(crate) fn has_room_for_own(&self, packed_len: usize) -> bool {
        let (max_len, max_count) = self.limits.share(true);
        let cost = packed_len.saturating_add(ENTRY_LEN);
        self.pinned_len.saturating_add(cost) <= max_len && self.pinned_count < max_count
    }

    /// Returns how long a message of the log's owner may be at most, packed: it has to fit into the owner's share.
    pub(crate) fn longest_own(&self) -> usize {
        self.limits.share(true).0.saturating_sub(ENTRY_LEN)
    }

    /// Returns how many messages are here.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Returns how many of them are pinned.
    pub(crate) const fn pinned_count(&self) -> usize {
        self.pinned_count
    }

    /// Returns the bytes of the messages and their entries: at most [`Limits::max_len`], unless more is pinned.
    pub(crate) const fn memory(&self) -> usize {
        self.len
    }

    fn make_room(&mut self, newest: Option<Arrival>, evicted: &mut Vec<Evicted>) {
        while self.len > self.limits.max_len || self.count > self.limits.max_count {
            let Some(arrival) = self.next_to_go(newest) else {
                // All is pinned.
                return;
            };
            self.evict(arrival, EvictReason::Room, evicted);
        }
    }

    /// Returns what has to make room, as the [module](self) says.
    fn next_to_go(&mut self, newest: Option<Arrival>) -> Option<Arrival> {
        let over = self.index.first_over(newest);
        // All others are before the newest, so if that is the first there are no others.
        over.or_else(|| self.first_evictable())
    }

    /// Returns the first of all that may be dropped. What is passed over on the way is not looked at again, unless it is
    /// unpinned.
    fn first_evictable(&mut self) -> Option<Arrival> {
        let start = self.place_from(self.oldest);
        let mut rest = self.slots.range(start..);
        let first = rest.find(|slot| slot.entry.is_some() && !slot.is_pinned);
        self.oldest = first.map_or(self.next, |slot| slot.arrival);
        first.map(|slot| slot.arrival)
    }

    /// Returns the message that is too old next, and when.
    fn next_due(&mut self) -> Option<(Instant, Arrival)> {
        let max_age = self.limits.max_age;
        // What was not old when it came is due in the order in which it came.
        let first = self.first_evictable().and_then(|arrival| {
            // One that was old is among the early ones as well, and due before this.
            let entry = self.get(arrival)?;
            Some((entry.received_at.saturating_add(max_age), arrival))
        });
        first.into_iter().chain(self.index.early()).min()
    }

    /// Drops a message that is not pinned.
    fn evict(&mut self, arrival: Arrival, why: EvictReason, evicted: &mut Vec<Evicted>) {
        let entry = self
            .place(arrival)
            .and_then(|at| self.slots[at].entry.take());
        let entry = entry.expect("the index names only what is here");
        self.count -= 1;
        self.len -= entry.cost();
        self.index.hold(&entry, arrival);
        self.index.remove(&entry, arrival);
        self.pack_slots();
        evicted.push(Evicted {
            arrival,
            entry,
            why,
        });
    }

    /// Removes holes: those at the front at once, all when there are more of them than of messages.
    fn pack_slots(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.entry.is_none()) {
            self.slots.pop_front();
        }
        if self.slots.len() > 2 * self.count + MIN_HOLES {
            self.slots.retain(|slot| slot.entry.is_some());
        }
    }

    /// Returns where the first slot is of this message or a later one.
    fn place_from(&self, arrival: Arrival) -> usize {
        let slots = &self.slots;
        let place = self.place(arrival);
        place.unwrap_or_else(|| slots.partition_point(|slot| slot.arrival < arrival))
    }

    /// Returns where the slot of a message is, if there is one.
    fn place(&self, arrival: Arrival) -> Option<usize> {
        let front = self.slots.front()?.arrival;
        let steps = arrival.0.checked_sub(front.0)?;
        let is_there = |place: &usize| {
            let slot = self.slots.get(*place);
            slot.is_some_and(|slot| slot.arrival == arrival)
        };
        // Where no numbers are missing, which is nearly always.
        let guess = usize::try_from(steps).ok().filter(is_there);
        guess.or_else(|| {
            let found = self
                .slots
                .binary_search_by_key(&arrival, |slot| slot.arrival);
            found.ok()
        })
    }
}

#[cfg(test)]
mod tests;
