//! The links of a node, by id.

use std::slice;

use crate::link::Link;
use crate::output::LinkId;

/// A map from ids to links that is made for what a node does most: to look up one of a few, and to go through all.
///
/// A link takes some hundred bytes, and a tree would keep them in blocks of eleven, most of them half empty; and every
/// look-up would go through those blocks. Here a look-up goes through the ids alone, which lie side by side. To add or
/// remove a link moves what is behind it, which is nothing beside what else there is to do then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    /// Ascending, since ids do.
    sorted: Vec<(LinkId, Box<Link>)>,
}

impl Links {
    pub(crate) const fn new() -> Self {
        Self { sorted: Vec::new() }
    }

    pub(crate) fn get(&self, id: &LinkId) -> Option<&Link> {
        let place = self.place(*id).ok()?;
        Some(&self.sorted[place].1)
    }

    pub(crate) fn get_mut(&mut self, id: &LinkId) -> Option<&mut Link> {
        let place = self.place(*id).ok()?;
        Some(&mut self.sorted[place].1)
    }

    pub(crate) fn contains_key(&self, id: &LinkId) -> bool {
        self.place(*id).is_ok()
    }

    /// Adds a link, in place of one with the same id.
    pub(crate) fn insert(&mut self, id: LinkId, link: Link) {
        match self.place(id) {
            Ok(place) => *self.sorted[place].1 = link,
            Err(place) => self.sorted.insert(place, (id, Box::new(link))),
        }
    }

    pub(crate) fn remove(&mut self, id: &LinkId) -> Option<Link> {
        let place = self.place(*id).ok()?;
        Some(*self.sorted.remove(place).1)
    }

    pub(crate) const fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Goes through the ids, in their order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &LinkId> + Clone {
        self.sorted.iter().map(|(id, _)| id)
    }

    /// Goes through the links, in the order of their ids.
    pub(crate) fn values(&self) -> Values<'_> {
        Values(self.sorted.iter())
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.sorted.iter_mut().map(|(_, link)| &mut **link)
    }

    fn place(&self, id: LinkId) -> Result<usize, usize> {
        self.sorted.binary_search_by_key(&id, |(id, _)| *id)
    }
}

/// Goes through links.
#[derive(Clone, Debug)]
pub(crate) struct Values<'a>(slice::Iter<'a, (LinkId, Box<Link>)>);

impl<'a> Iterator for Values<'a> {
    type Item = &'a Link;

    fn next(&mut self) -> Option<&'a Link> {
        self.0.next().map(|(_, link)| &**link)
    }
}
