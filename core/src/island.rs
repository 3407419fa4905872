//! Which island this node is on: a set of native nodes that reach each other over native links.
//!
//! Two islands of one network can each be content, with all the links they want, and not know of each other. So a node
//! dials an address that it is not linked to now and then, and has to tell whether that leads to another island, and
//! the link is a bridge, or to its own, and it is of no use.
//!
//! What tells is a beacon: the node with the smallest id on an island counts, and says so to its neighbours, who pass it on. Two
//! nodes that heard the same node count to about the same number are on one island, or were until a moment ago; of
//! two that did not, the links are kept. Being wrong is harmless: a probe too few is followed by another, a link
//! too many is just that.

use std::time::Duration;

use crate::chance::Chance;
use crate::id::NodeId;
use crate::time::Instant;

/// How far the counts of two nodes on one island may be apart: a beacon takes time to spread.
const TOLERANCE: u64 = 1;

/// After how many intervals without a new beacon its node is taken to be gone.
const PATIENCE: u32 = 3;

/// Who counts, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beacon {
    pub(crate) leader: NodeId,
    pub(crate) count: u64,
}

impl Beacon {
    /// Returns whether whoever holds this beacon and whoever holds that one are on one island.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.leader == other.leader && self.count.abs_diff(other.count) <= TOLERANCE
    }
}

/// What a node knows of its island.
#[derive(Clone, Debug)]
pub(crate) struct Island {
    own: NodeId,
    interval: Duration,
    /// How much later than due we take over from a node that is gone, lest all do so at once.
    hesitation: Duration,
    beacon: Beacon,
    /// When the beacon came, or was counted up by ourselves.
    heard_at: Instant,
}

impl Island {
    /// Every node begins as an island of its own.
    pub(crate) fn new(own: NodeId, interval: Duration, chance: &mut Chance, now: Instant) -> Self {
        let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
        let leader = own.clone();
        Self {
            own,
            interval,
            hesitation: Duration::from_micros(chance.below(micros)),
            beacon: Beacon { leader, count: 0 },
            heard_at: now,
        }
    }

    /// Nobody else is on the island any more: it begins anew, as that of one node. Who it is linked to next may be its old
    /// neighbours, and have to see that it came back from outside.
    pub(crate) fn begin_alone(&mut self, now: Instant) {
        self.beacon.leader = self.own.clone();
        self.beacon.count = self.count_at(now);
        self.heard_at = now;
    }

    /// Returns the count by our clock, so that it only goes up however often we lead.
    fn count_at(&self, now: Instant) -> u64 {
        let interval = u64::try_from(self.interval.as_micros()).unwrap_or(u64::MAX);
        now.as_micros() / interval.max(1)
    }

    pub(crate) const fn beacon(&self) -> &Beacon {
        &self.beacon
    }

    /// A neighbour passes a beacon on. Returns whether it is news, to be passed on further.
    pub(crate) fn hear(&mut self, beacon: Beacon, now: Instant) -> bool {
        let current = &self.beacon;
        let is_newer = beacon.leader == current.leader && beacon.count > current.count;
        let is_better = beacon.leader < current.leader || self.is_gone(now);
        // Nobody but ourselves counts in our name.
        if beacon.leader == self.own || !(is_newer || is_better) || beacon == *current {
            return false;
        }
        self.beacon = beacon;
        self.heard_at = now;
        true
    }

    /// Counts, if that is up to this node and due. Returns whether there is a new beacon to tell.
    pub(crate) fn count(&mut self, now: Instant) -> bool {
        if now < self.deadline() {
            return false;
        }
        if self.beacon.leader != self.own {
            self.beacon.leader = self.own.clone();
        }
        self.beacon.count = self.count_at(now);
        self.heard_at = now;
        true
    }

    /// Returns when [`count`](Self::count) is due, if nothing is heard until then.
    pub(crate) fn deadline(&self) -> Instant {
        if self.beacon.leader == self.own {
            self.heard_at.saturating_add(self.interval)
        } else {
            self.gone_at().saturating_add(self.hesitation)
        }
    }

    fn is_gone(&self, now: Instant) -> bool {
        self.beacon.leader != self.own && now >= self.gone_at()
    }

    fn gone_at(&self) -> Instant {
        let patience = self.interval.saturating_mul(PATIENCE);
        self.heard_at.saturating_add(patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn beacon(leader: &str, count: u64) -> Beacon {
        let leader = NodeId::new(leader).unwrap();
        Beacon { leader, count }
    }

    fn island(own: &str) -> Island {
        Island {
            hesitation: Duration::from_secs(7),
            ..Island::new(
                NodeId::new(own).unwrap(),
                INTERVAL,
                &mut Chance::new([0; 32]),
                at(0),
            )
        }
    }

    #[test]
    fn the_smallest_id_leads() {
        let mut island = island("m");
        assert!(!island.hear(beacon("x", 9), at(1)), "we are smaller");
        assert!(island.hear(beacon("c", 4), at(2)));
        assert!(!island.hear(beacon("c", 4), at(3)), "it is known");
        assert!(!island.hear(beacon("c", 3), at(3)), "it is old");
        assert!(island.hear(beacon("c", 5), at(3)));
        assert!(island.hear(beacon("a", 0), at(4)));
        assert!(!island.hear(beacon("c", 6), at(5)), "another is smaller");
    }

    #[test]
    fn a_leader_counts_by_its_clock() {
        let mut island = island("m");
        assert!(!island.count(at(29)));
        assert!(island.count(at(30)));
        assert_eq!(*island.beacon(), beacon("m", 1));
        assert!(island.count(at(95)));
        assert_eq!(*island.beacon(), beacon("m", 3));
        assert_eq!(island.deadline(), at(125));
    }

    #[test]
    fn a_leader_that_falls_silent_is_replaced() {
        let mut island = island("m");
        island.hear(beacon("c", 4), at(10));
        assert!(!island.hear(beacon("x", 3), at(99)));
        // From now on anybody will do; and if nobody says anything for a while, we.
        assert!(island.clone().hear(beacon("x", 3), at(100)));
        assert!(!island.count(at(106)));
        assert!(island.count(at(107)));
        assert_eq!(*island.beacon(), beacon("m", 3));
    }

    #[test]
    fn who_is_alone_is_an_island_of_its_own() {
        let mut island = island("m");
        island.hear(beacon("c", 4), at(10));
        island.begin_alone(at(65));
        assert_eq!(*island.beacon(), beacon("m", 2));
        assert!(!island.beacon().agrees(&beacon("c", 4)));
        assert_eq!(island.deadline(), at(95), "and it counts");
        assert!(island.hear(beacon("c", 4), at(70)), "back again");
    }

    #[test]
    fn nobody_else_counts_in_our_name() {
        let mut island = island("m");
        assert!(!island.hear(beacon("m", 77), at(1)));
        island.hear(beacon("c", 4), at(2));
        assert!(!island.hear(beacon("m", 77), at(200)), "not even then");
    }

    #[test]
    fn one_island_is_where_the_counts_agree() {
        let own = beacon("c", 4);
        for (theirs, expected) in [
            (beacon("c", 4), true),
            (beacon("c", 3), true),
            (beacon("c", 5), true),
            (beacon("c", 6), false),
            (beacon("d", 4), false),
        ] {
            assert_eq!(own.agrees(&theirs), expected, "{theirs:?}");
        }
    }
}
