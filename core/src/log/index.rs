//! Where in the log a message is, and which one goes next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Arrival, Entry, Limits};
use crate::id::{MessageId, NodeId};
use crate::time::Instant;

/// What is known of the messages of a log besides their order.
#[derive(Clone, Debug)]
pub(super) struct Index {
    limits: Limits,
    origins: BTreeMap<NodeId, Origin>,
    /// Origins that hold more than their share.
    over: BTreeSet<NodeId>,
    /// Those of what is not pinned that were old when they came, by when they are too old: not in the order of arrival.
    early: BTreeSet<(Instant, Arrival)>,
    /// Messages without names.
    ids: BTreeMap<MessageId, Arrival>,
}

/// What one sender has in the log. One that has nothing is forgotten.
#[derive(Clone, Debug)]
struct Origin {
    /// All messages of a sender share one text of its id.
    id: NodeId,
    is_own: bool,
    is_over: bool,
    count: usize,
    len: usize,
    /// What is not pinned, in the order of arrival. Nearly always the first one goes and the last one comes.
    evictable: VecDeque<Arrival>,
    /// By epoch and sequence.
    names: BTreeMap<(u64, u64), Arrival>,
}

impl Origin {
    const fn new(id: NodeId) -> Self {
        Self {
            id,
            is_own: false,
            is_over: false,
            count: 0,
            len: 0,
            evictable: VecDeque::new(),
            names: BTreeMap::new(),
        }
    }

    fn release(&mut self, arrival: Arrival) {
        if self.evictable.back().is_none_or(|last| *last < arrival) {
            self.evictable.push_back(arrival);
        } else if let Err(place) = self.evictable.binary_search(&arrival) {
            self.evictable.insert(place, arrival);
        }
    }

    fn hold(&mut self, arrival: Arrival) {
        if self.evictable.front() == Some(&arrival) {
            self.evictable.pop_front();
        } else if let Ok(place) = self.evictable.binary_search(&arrival) {
            self.evictable.remove(place);
        }
    }

    fn exceeds_share(&self, limits: &Limits) -> bool {
        let (max_len, max_count) = limits.share(self.is_own);
        self.len > max_len || self.count > max_count
    }
}

impl Index {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            origins: BTreeMap::new(),
            over: BTreeSet::new(),
            early: BTreeSet::new(),
            ids: BTreeMap::new(),
        }
    }

    /// Takes in a message.
    pub(super) fn add(&mut self, entry: &mut Entry, arrival: Arrival, is_pinned: bool) {
        let id = entry.sender.clone();
        let origin = self.origins.entry(id);
        let origin = origin.or_insert_with_key(|id| Origin::new(id.clone()));
        entry.sender.clone_from(&origin.id);
        origin.is_own |= entry.is_own;
        origin.count += 1;
        origin.len += entry.cost();
        match entry.name {
            Some(name) => {
                let place = origin.names.entry((name.epoch(), name.sequence()));
                place.or_insert(arrival);
            }
            None => {
                self.ids.entry(entry.id).or_insert(arrival);
            }
        }
        let is_over = origin.exceeds_share(&self.limits);
        if is_over && !origin.is_over {
            self.over.insert(entry.sender.clone());
        } else if !is_over && origin.is_over {
            // The sender has turned out to be the log's owner, whose share is larger.
            self.over.remove(&entry.sender);
        }
        origin.is_over = is_over;
        if !is_pinned {
            origin.release(arrival);
            self.note_early(entry, arrival);
        }
    }

    /// Forgets a message that is held.
    pub(super) fn remove(&mut self, entry: &Entry, arrival: Arrival) {
        let Some(origin) = self.origins.get_mut(&entry.sender) else {
            return;
        };
        origin.count -= 1;
        origin.len -= entry.cost();
        // The name or the id is another's if that came first.
        match entry.name {
            Some(name) => {
                let name = (name.epoch(), name.sequence());
                if origin.names.get(&name) == Some(&arrival) {
                    origin.names.remove(&name);
                }
            }
            None => {
                if self.ids.get(&entry.id) == Some(&arrival) {
                    self.ids.remove(&entry.id);
                }
            }
        }
        if origin.is_over && !origin.exceeds_share(&self.limits) {
            origin.is_over = false;
            self.over.remove(&entry.sender);
        }
        if origin.count == 0 {
            self.origins.remove(&entry.sender);
        }
    }

    /// Lets a message be dropped.
    pub(super) fn release(&mut self, entry: &Entry, arrival: Arrival) {
        self.note_early(entry, arrival);
        if let Some(origin) = self.origins.get_mut(&entry.sender) {
            origin.release(arrival);
        }
    }

    fn note_early(&mut self, entry: &Entry, arrival: Arrival) {
        if !entry.carried_age.is_zero() {
            let due = entry.due(self.limits.max_age);
            self.early.insert((due, arrival));
        }
    }

    /// Keeps a message from being dropped.
    pub(super) fn hold(&mut self, entry: &Entry, arrival: Arrival) {
        if !entry.carried_age.is_zero() {
            let due = entry.due(self.limits.max_age);
            self.early.remove(&(due, arrival));
        }
        if let Some(origin) = self.origins.get_mut(&entry.sender) {
            origin.hold(arrival);
        }
    }

    pub(super) fn find(&self, origin: &NodeId, epoch: u64, sequence: u64) -> Option<Arrival> {
        let origin = self.origins.get(origin)?;
        origin.names.get(&(epoch, sequence)).copied()
    }

    pub(super) fn find_id(&self, id: &MessageId) -> Option<Arrival> {
        self.ids.get(id).copied()
    }

    pub(super) fn range(
        &self,
        origin: &NodeId,
        epoch: u64,
        (first, last): (u64, u64),
    ) -> impl Iterator<Item = (u64, Arrival)> {
        // A tree takes no range that ends before it starts.
        let origin = self.origins.get(origin).filter(|_| first <= last);
        let names = origin.map(|origin| origin.names.range((epoch, first)..=(epoch, last)));
        let names = names.into_iter().flatten();
        names.map(|((_, sequence), arrival)| (*sequence, *arrival))
    }

    /// Returns what is too old next, of what was old when it came, and when.
    pub(super) fn early(&self) -> Option<(Instant, Arrival)> {
        self.early.first().copied()
    }

    /// Returns the first message of those origins that hold more than their share, but for the newest of all.
    pub(super) fn first_over(&self, newest: Option<Arrival>) -> Option<Arrival> {
        // Few: with shares of a fourth, six at most and the owner.
        let over = self.over.iter().filter_map(|id| self.origins.get(id));
        // The newest is the last one of any.
        let first = over.filter_map(|origin| origin.evictable.front().copied());
        first.filter(|first| Some(*first) != newest).min()
    }

    /// Returns how many origins are known.
    #[cfg(test)]
    pub(super) fn origins(&self) -> usize {
        self.origins.len()
    }
}
