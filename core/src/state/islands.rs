//! Beacons: who is on one island with this node, and becoming one with others.

use super::MeshState;
use crate::island::Beacon;
use crate::link::Link;
use crate::output::{LinkId, PeerKind};
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::native::encode_beacon;

impl MeshState {
    /// Sets the timer for when it is up to this node to say something.
    pub(super) fn watch_island(&mut self) {
        self.timers.set(Timer::Beacon, self.island.deadline());
    }

    pub(super) fn count_beacon(&mut self, now: Instant) {
        reached!(self, Mark::LeaderReplaced
            if now >= self.island.deadline() && self.island.beacon().leader != self.id);
        if self.island.count(now) {
            reached!(self, Mark::BeaconCounted);
            self.spread_beacon(None, now);
        }
        self.watch_island();
    }

    pub(super) fn on_beacon(&mut self, from: LinkId, beacon: Beacon, now: Instant) {
        let leader = beacon.leader.clone();
        if self.island.hear(beacon, now) {
            self.note_way(&leader, from);
            self.spread_beacon(Some(from), now);
            self.watch_island();
        }
    }

    /// A native link was established: the two islands at its ends, if they were two, are one.
    pub(super) fn join_islands(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.kind != PeerKind::Native {
            return;
        }
        let Some(theirs) = link.island.take() else {
            return;
        };
        self.on_beacon(id, theirs.clone(), now);
        if *self.island.beacon() != theirs {
            let message = encode_beacon(self.island.beacon());
            self.send_control(id, &message, now);
        }
    }

    /// A node that has lost its last native link is an island of its own.
    pub(super) fn leave_island(&mut self, now: Instant) {
        let mut links = self.links.values();
        if !links.any(Link::is_native_peer) {
            self.island.begin_alone(now);
            self.watch_island();
        }
    }

    fn spread_beacon(&mut self, but: Option<LinkId>, now: Instant) {
        if sabotaged!(self.config, Sabotage::BeaconsDisabled) {
            return;
        }
        let message = encode_beacon(self.island.beacon());
        let links = self.links.values();
        let links = links.filter(|link| link.is_native_peer());
        let others: Vec<LinkId> = links
            .map(|link| link.id)
            .filter(|id| Some(*id) != but)
            .collect();
        for id in others {
            self.send_control(id, &message, now);
        }
    }
}
