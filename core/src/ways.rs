//! Which link leads to which node: the one on which the last thing that it made came first.
//!
//! A way is a guess: it was good in one direction a while ago. Whoever sends by it asks for a receipt.

use std::collections::BTreeMap;

use crate::id::NodeId;
use crate::output::LinkId;

/// The ways that this node knows of, within a limit: the one that was of no use longest is forgotten.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    max: usize,
    ways: BTreeMap<NodeId, Way>,
    /// Who is in `ways`, by when something came from there.
    by_age: BTreeMap<u64, NodeId>,
    last: u64,
}

#[derive(Clone, Copy, Debug)]
struct Way {
    link: LinkId,
    age: u64,
}

impl Ways {
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            max,
            ways: BTreeMap::new(),
            by_age: BTreeMap::new(),
            last: 0,
        }
    }

    /// Notes that something of a node came by a link.
    pub(crate) fn note(&mut self, node: &NodeId, link: LinkId) {
        if let Some(way) = self.ways.get_mut(node) {
            way.link = link;
            // The youngest is that already, most of the time.
            if way.age == self.last {
                return;
            }
            self.by_age.remove(&way.age);
            self.last += 1;
            way.age = self.last;
        } else {
            if self.ways.len() >= self.max
                && let Some((_, oldest)) = self.by_age.pop_first()
            {
                self.ways.remove(&oldest);
            }
            self.last += 1;
            let age = self.last;
            self.ways.insert(node.clone(), Way { link, age });
        }
        self.by_age.insert(self.last, node.clone());
    }

    pub(crate) fn get(&self, node: &NodeId) -> Option<LinkId> {
        self.ways.get(node).map(|way| way.link)
    }

    /// Forgets the way to a node, if it is by this link.
    pub(crate) fn forget(&mut self, node: &NodeId, by: LinkId) {
        if self.get(node) == Some(by)
            && let Some(way) = self.ways.remove(node)
        {
            self.by_age.remove(&way.age);
        }
    }

    /// Forgets all ways by a link.
    pub(crate) fn lose(&mut self, link: LinkId) {
        let by_age = &mut self.by_age;
        self.ways.retain(|_, way| {
            let stays = way.link != link;
            if !stays {
                by_age.remove(&way.age);
            }
            stays
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.ways.len()
    }

    pub(crate) fn check_invariants(&self) {
        debug_assert_eq!(self.ways.len(), self.by_age.len(), "each has an age");
        debug_assert!(self.ways.len() <= self.max, "ways are bounded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u32) -> NodeId {
        NodeId::new(n.to_string()).unwrap()
    }

    #[test]
    fn the_last_way_counts_and_goes_with_its_link() {
        let mut ways = Ways::new(10);
        ways.note(&node(1), LinkId(1));
        ways.note(&node(1), LinkId(2));
        ways.note(&node(2), LinkId(1));
        ways.forget(&node(1), LinkId(1));
        assert_eq!(ways.get(&node(1)), Some(LinkId(2)), "another one");
        ways.lose(LinkId(1));
        assert_eq!(
            (ways.get(&node(1)), ways.get(&node(2))),
            (Some(LinkId(2)), None)
        );
        ways.forget(&node(1), LinkId(2));
        assert_eq!(ways.len(), 0);
        ways.check_invariants();
    }

    #[test]
    fn the_limit_holds_and_the_oldest_go_first() {
        let mut ways = Ways::new(3);
        for n in 0..100 {
            ways.note(&node(n), LinkId(1));
            ways.note(&node(0), LinkId(1));
            ways.check_invariants();
        }
        let kept: Vec<u32> = (0..100).filter(|n| ways.get(&node(*n)).is_some()).collect();
        assert_eq!(kept, [0, 98, 99]);
    }
}
