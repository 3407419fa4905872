//! Where in the log a message is, and which one goes next.

use std::collections::{BTreeMap, BTreeSet};

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
    /// What is not pinned.
    evictable: BTreeSet<Arrival>,
    /// Those of `evictable` that were old when they came, by when they are too old: not in the order of arrival.
    early: BTreeSet<(Instant, Arrival)>,
    /// Messages without names.
    ids: BTreeMap<MessageId, Arrival>,
}

/// What one sender has in the log. One that has nothing is forgotten.
#[derive(Clone, Debug, Default)]
struct Origin {
    is_own: bool,
    is_over: bool,
    count: usize,
    len: usize,
    evictable: BTreeSet<Arrival>,
    /// By epoch and sequence.
    names: BTreeMap<(u64, u64), Arrival>,
}

impl Origin {
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
            evictable: BTreeSet::new(),
            early: BTreeSet::new(),
            ids: BTreeMap::new(),
        }
    }

    /// Takes in a message, which is held.
    pub(super) fn add(&mut self, entry: &mut Entry, arrival: Arrival) {
        // All messages of a sender share one text of its id.
        match self.origins.get_key_value(&entry.sender) {
            Some((id, _)) => entry.sender = id.clone(),
            None => {
                self.origins.insert(entry.sender.clone(), Origin::default());
            }
        }
        let Some(origin) = self.origins.get_mut(&entry.sender) else {
            return;
        };
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
        self.evictable.insert(arrival);
        if !entry.carried_age.is_zero() {
            let due = entry.due(self.limits.max_age);
            self.early.insert((due, arrival));
        }
        if let Some(origin) = self.origins.get_mut(&entry.sender) {
            origin.evictable.insert(arrival);
        }
    }

    /// Keeps a message from being dropped.
    pub(super) fn hold(&mut self, entry: &Entry, arrival: Arrival) {
        self.evictable.remove(&arrival);
        if !entry.carried_age.is_zero() {
            let due = entry.due(self.limits.max_age);
            self.early.remove(&(due, arrival));
        }
        if let Some(origin) = self.origins.get_mut(&entry.sender) {
            origin.evictable.remove(&arrival);
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

    /// Returns the first of all that may be dropped.
    pub(super) fn oldest(&self) -> Option<Arrival> {
        self.evictable.first().copied()
    }

    /// Returns what is too old next, of what was old when it came, and when.
    pub(super) fn early(&self) -> Option<(Instant, Arrival)> {
        self.early.first().copied()
    }

    /// Returns what has to make room, as the [module](super) says.
    pub(super) fn next_to_go(&self, newest: Option<Arrival>) -> Option<Arrival> {
        // The newest is the last one of any set.
        let oldest = |of: &BTreeSet<Arrival>| {
            let first = of.first().copied();
            first.filter(|first| Some(*first) != newest)
        };
        // Few: with shares of a fourth, six at most and the owner.
        let over = self.over.iter().filter_map(|id| self.origins.get(id));
        let over = over.filter_map(|origin| oldest(&origin.evictable)).min();
        over.or_else(|| oldest(&self.evictable))
            .or_else(|| self.oldest())
    }

    /// Returns how many origins are known.
    #[cfg(test)]
    pub(super) fn origins(&self) -> usize {
        self.origins.len()
    }
}
