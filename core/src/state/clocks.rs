//! What the messages of legacy neighbours tell of their clocks, and whom that has to be told.

use super::MeshState;
use crate::id::NodeId;
use crate::output::{Event, LinkId};
use crate::skew::Skew;
use crate::time::Instant;
use crate::wire::message::{MainType, Packed, Sender, WireTime};

/// Of how many neighbours it is remembered that their clocks were told to be wrong.
const MAX_SKEWED: usize = 256;

impl MeshState {
    /// Looks at the time of a message, if it is one that a legacy neighbour has just made.
    pub(super) fn note_clock(&mut self, id: LinkId, packed: &Packed, now: Instant) {
        let WireTime::Seconds(time) = packed.time() else {
            return;
        };
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if !link.traits().window {
            return;
        }
        let ours = i64::try_from(self.clock.at(now).as_secs()).unwrap_or(i64::MAX);
        let is_own = match packed.sender() {
            Sender::Node(sender, _) => link.leads_to(sender),
            Sender::Unusable => false,
        };
        let is_passed_on = packed.main() == MainType::Broadcast && !is_own;
        if link.is_established() && !is_passed_on {
            link.skew.note(time.saturating_sub(ours), now);
            self.tell_skew(id);
        }
    }

    /// Our own clock was set, forward by so many seconds.
    pub(super) fn shift_skews(&mut self, forward: i64) {
        let legacy = self.peers.values().copied();
        for id in legacy.collect::<Vec<LinkId>>() {
            if let Some(link) = self.links.get_mut(&id) {
                link.skew.shift(forward);
                self.tell_skew(id);
            }
        }
    }

    /// Tells the application of a neighbour's clock, if there is something new to tell.
    fn tell_skew(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let (Some(ahead), Some(peer)) = (link.skew.ahead(), link.peer_id()) else {
            return;
        };
        let told = self.skewed.get(peer).copied();
        if !Skew::is_news(ahead, told) || sabotaged!(self.config, Sabotage::SkewNotTold) {
            return;
        }
        let peer = peer.clone();
        self.remember_skew(&peer, ahead);
        reached!(self, Mark::ClockSkew);
        let seconds = ahead;
        self.event(Event::ClockSkew { peer, seconds });
    }

    fn remember_skew(&mut self, peer: &NodeId, ahead: i64) {
        if Skew::is_harmless(ahead) {
            self.skewed.remove(peer);
            return;
        }
        if self.skewed.len() >= MAX_SKEWED {
            // Of a neighbour that is told again no harm comes.
            self.skewed.pop_first();
        }
        self.skewed.insert(peer.clone(), ahead);
    }
}
