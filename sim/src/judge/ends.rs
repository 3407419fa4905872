//! What has to hold at the end of a phase: one network, everyone reached, quiet, and little spent.

use std::time::Duration;

use super::lives::{LifeIndex, LifeState, NumberMap};
use super::{About, Judge};
use crate::facts::{ConnNumber, Life};
use crate::node::{ConnId, NodeStatus, PeerKey};
use crate::report::Checker;
use crate::time::Time;

/// A connection that is there, with the name that each end has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) conn: ConnNumber,
    pub(crate) ends: [(Life, ConnId); 2],
}

/// What one connection carried in both directions during some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkTraffic {
    pub(crate) ends: [Life; 2],
    /// Bytes of frames that carry messages.
    pub(crate) payload: u64,
    /// All other bytes.
    pub(crate) control: u64,
}

/// Sets that grow together: which nodes are connected.
struct Groups(Vec<usize>);

impl Groups {
    fn find(&mut self, mut place: usize) -> usize {
        while self.0[place] != place {
            self.0[place] = self.0[self.0[place]];
            place = self.0[place];
        }
        place
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}

impl Judge {
    /// Judges the network of those that are whole: one network, agreed upon by both ends, with one connection for each pair
    /// and no more links than allowed. Only nodes of rs2p that mean no harm are looked at.
    ///
    /// `pairs` are all connections that are there by now.
    pub(crate) fn check_overlay(
        &mut self,
        at: Time,
        statuses: &[(Life, NodeStatus)],
        pairs: &[Pair],
    ) {
        let judged: Vec<(LifeIndex, &NodeStatus)> = statuses
            .iter()
            .filter_map(|(life, status)| Some((self.lives.find(*life)?, status)))
            .filter(|(life, _)| self.lives.life(*life).is_mesh())
            .collect();
        let mut others = NumberMap::default();
        for pair in pairs {
            let [(a, on_a), (b, on_b)] = pair.ends;
            others.insert((a, on_a), (b, on_b));
            others.insert((b, on_b), (a, on_a));
        }
        let mut places = NumberMap::default();
        for (place, (life, _)) in judged.iter().enumerate() {
            places.insert(*life, place);
        }
        let mut groups = Groups((0..judged.len()).collect());
        for (place, (life, status)) in judged.iter().enumerate() {
            self.check_degree(at, *life, status);
            let mut linked = Vec::new();
            for (conn, peer) in &status.peers {
                let here = self.lives.life(*life).life;
                let there = others.get(&(here, *conn)).copied();
                let Some(other) = self.check_peer(at, *life, *peer, there.map(|(life, _)| life))
                else {
                    continue;
                };
                linked.push(other);
                let known = places.get(&other).copied();
                if let (Some(other_place), Some((_, on_other))) = (known, there) {
                    let (_, other_status) = judged[other_place];
                    let is_agreed = other_status.peers.iter().any(|(conn, _)| *conn == on_other);
                    if is_agreed {
                        groups.join(place, other_place);
                    } else {
                        self.note_disagreement(at, *life, other);
                    }
                }
            }
            self.check_single(at, *life, linked);
        }
        self.check_whole(at, &judged, &mut groups);
    }

    fn check_degree(&mut self, at: Time, life: LifeIndex, status: &NodeStatus) {
        let (links, limit) = (status.peers.len(), self.rules.links_max);
        if links > limit {
            self.note_overlay("too many links", at, life, |node| {
                format!("node {node} has {links} peers, and may have {limit}")
            });
        }
    }

    /// Judges whether a peer is who it is said to be, and returns who it is.
    fn check_peer(
        &mut self,
        at: Time,
        life: LifeIndex,
        peer: PeerKey,
        there: Option<Life>,
    ) -> Option<LifeIndex> {
        let claimed = self.lives.by_identity(peer).map(|state| state.life.node);
        let claimed = claimed.map_or_else(|| "someone".to_owned(), |node| format!("node {node}"));
        let Some(other) = there.and_then(|there| self.lives.find(there)) else {
            self.note_overlay("peer without connection", at, life, |node| {
                format!(
                    "node {node} says that it is linked to {claimed}, and has no such connection"
                )
            });
            return None;
        };
        let state = self.lives.life(other);
        let is_it = state.identity.is_none_or(|identity| identity == peer);
        if !is_it && !state.is_hostile {
            let really = state.life.node;
            self.note_overlay("wrong peer", at, life, |node| {
                format!("node {node} takes node {really} for {claimed}")
            });
        }
        Some(other)
    }

    fn note_disagreement(&mut self, at: Time, life: LifeIndex, other: LifeIndex) {
        let other = self.lives.life(other).life.node;
        self.note_overlay("disagreement", at, life, |node| {
            format!("node {node} says that it is linked to node {other}, which does not say so of that connection")
        });
    }

    fn check_single(&mut self, at: Time, life: LifeIndex, mut linked: Vec<LifeIndex>) {
        linked.sort_unstable();
        let twice = linked.windows(2).find(|two| two[0] == two[1]);
        if let Some(&[other, _]) = twice {
            let other = self.lives.life(other).life.node;
            self.note_overlay("two connections", at, life, |node| {
                format!("node {node} is linked to node {other} by more than one connection")
            });
        }
    }

    fn check_whole(&mut self, at: Time, judged: &[(LifeIndex, &NodeStatus)], groups: &mut Groups) {
        let mut apart = (0..judged.len()).filter(|place| groups.find(*place) != 0);
        let Some(first) = apart.next() else {
            return;
        };
        let (count, sum) = (apart.count() + 1, judged.len());
        let here = self.lives.life(judged[0].0).life.node;
        self.note_overlay("apart", at, judged[first].0, |node| {
            format!("no links lead from node {here} to node {node}: {count} of {sum} nodes that are whole are apart from it")
        });
    }

    fn note_overlay(
        &mut self,
        kind: &str,
        at: Time,
        life: LifeIndex,
        sentence: impl FnOnce(u32) -> String,
    ) {
        let node = self.lives.life(life).life.node;
        let about = About {
            at,
            node: Some(node),
            message: None,
        };
        self.docket
            .note(Checker::Overlay, kind, about, || sentence(node));
    }

    /// Returns whether all nodes of rs2p in the core have got what was published since a moment.
    pub(crate) fn is_heard(&self, since: Time) -> bool {
        let Some(core) = &self.core else {
            return true;
        };
        let lives = core
            .lives()
            .iter()
            .map(|life| (*life, self.lives.life(*life)));
        let lives: Vec<_> = lives.filter(|(_, state)| state.is_mesh()).collect();
        let mut probes = self
            .messages
            .public()
            .filter(|(_, message)| message.at >= since);
        probes.all(|(_, message)| {
            let mut others = lives.iter().filter(|(life, _)| *life != message.by);
            !(core.has(message.by) && self.is_owed_to_all(message.by))
                || others.all(|(_, state)| message.delivered.contains(state.reader))
        })
    }

    /// Judges the probe: each of the core has published something to all since a moment, and all the others of the core have
    /// got it. To have declared it missing does not do.
    ///
    /// Legacy nodes take part if [`Rules::owes_to_legacy`](super::Rules::owes_to_legacy) says so.
    pub(crate) fn check_probe(&mut self, at: Time, since: Time) {
        let Some(core) = self.core.take() else {
            return;
        };
        let takes_part = |state: &LifeState| state.is_mesh() || self.rules.owes_to_legacy;
        let lives = core.lives().iter().copied();
        let lives: Vec<LifeIndex> = lives.filter(|l| takes_part(self.lives.life(*l))).collect();
        let probes = self.messages.public().filter(|(_, m)| m.at >= since);
        let probes: Vec<(u32, LifeIndex)> = probes.map(|(index, m)| (index, m.by)).collect();
        let mut probing: Vec<LifeIndex> = probes.iter().map(|(_, by)| *by).collect();
        probing.sort_unstable();
        // One that is alone may have its log full of what nobody has yet.
        for life in lives.iter().filter(|_| lives.len() > 1) {
            if probing.binary_search(life).is_err() {
                let node = self.lives.life(*life).life.node;
                let about = About {
                    at,
                    node: Some(node),
                    message: None,
                };
                self.docket.note(Checker::Probe, "silent", about, || {
                    format!("node {node} could not publish anything from {since} s to {at} s")
                });
            }
        }
        for (message, by) in probes.into_iter().filter(|(_, by)| core.has(*by)) {
            if !self.is_owed_to_all(by) {
                continue;
            }
            for life in lives.iter().filter(|life| **life != by) {
                self.check_reached(at, *life, message);
            }
        }
        self.core = Some(core);
    }

    /// Returns whether what this one publishes has to reach everybody. py2p and js2p drop what is old by their calendars.
    fn is_owed_to_all(&self, publisher: LifeIndex) -> bool {
        self.lives.life(publisher).is_mesh() || self.rules.owes_from_legacy
    }

    fn check_reached(&mut self, at: Time, life: LifeIndex, message: u32) {
        let reader = self.lives.life(life).reader;
        if self.messages.get(message).delivered.contains(reader) {
            return;
        }
        let (about, which) = (self.about(at, life, message), self.tell(message));
        self.docket.note(Checker::Probe, "not reached", about, || {
            let node = about.node.unwrap_or_default();
            format!("node {node} has not got {which} by {at} s, when nothing was wrong any more")
        });
    }

    /// Judges the quiet: on no link do messages flow, and little else.
    pub(crate) fn check_quiet(&mut self, at: Time, length: Duration, traffic: &[LinkTraffic]) {
        let limit = u128::from(self.rules.quiet_control) * length.as_millis() / 1000;
        for link in traffic {
            // py2p, with a dead entry in its table, is never quiet.
            let lives = link.ends.map(|end| self.lives.find(end));
            if lives
                .iter()
                .flatten()
                .any(|life| !self.lives.life(*life).is_mesh())
            {
                continue;
            }
            let [a, b] = link.ends.map(|end| end.node);
            let (payload, control) = (link.payload, link.control);
            let about = About {
                at,
                node: Some(a),
                message: None,
            };
            let during = length.as_millis();
            if payload > 0 {
                self.docket.note(Checker::Quiet, "messages", about, || {
                    format!(
                        "{payload} bytes of messages went between node {a} and node {b} in {during} ms without anything new"
                    )
                });
            }
            if u128::from(control) > limit {
                self.docket.note(Checker::Quiet, "control", about, || {
                    format!(
                        "{control} bytes of control went between node {a} and node {b} in {during} ms without anything new, \
                         and {limit} are allowed"
                    )
                });
            }
        }
    }

    /// Judges what recovery cost: so many bytes of messages and talk about them were sent, where so many were missing.
    pub(crate) fn check_thrift(&mut self, at: Time, spent: u64, missing: u64) {
        let share = u128::from(missing) * u128::from(self.rules.thrift_percent) / 100;
        let limit = share + u128::from(self.rules.thrift_base);
        if u128::from(spent) > limit {
            let about = About {
                at,
                node: None,
                message: None,
            };
            self.docket.note(Checker::Thrift, "recovery", about, || {
                format!("{spent} bytes were sent to recover {missing} that were missing, and {limit} are allowed")
            });
        }
    }
}
