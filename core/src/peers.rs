//! The links to the peers, by their ids.

use crate::id::NodeId;
use crate::output::LinkId;

/// A map that is made for what a node does with each message: to go through all of them. There are few, and they seldom
/// change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers {
    /// Ascending ids.
    sorted: Vec<(NodeId, LinkId)>,
}

impl Peers {
    pub(crate) fn get(&self, id: &NodeId) -> Option<&LinkId> {
        let place = self.place(id).ok()?;
        Some(&self.sorted[place].1)
    }

    pub(crate) fn contains_key(&self, id: &NodeId) -> bool {
        self.place(id).is_ok()
    }

    pub(crate) fn insert(&mut self, id: NodeId, link: LinkId) {
        match self.place(&id) {
            Ok(place) => self.sorted[place].1 = link,
            Err(place) => self.sorted.insert(place, (id, link)),
        }
    }

    pub(crate) fn remove(&mut self, id: &NodeId) {
        if let Ok(place) = self.place(id) {
            self.sorted.remove(place);
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Goes through the peers, in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&NodeId, &LinkId)> {
        self.sorted.iter().map(|(id, link)| (id, link))
    }

    /// Goes through their links, in the order of the peers' ids.
    pub(crate) fn values(&self) -> impl Iterator<Item = &LinkId> + Clone {
        self.sorted.iter().map(|(_, link)| link)
    }

    fn place(&self, id: &NodeId) -> Result<usize, usize> {
        self.sorted.binary_search_by(|(known, _)| known.cmp(id))
    }
}
