//! Finding a distant node, to send it a message: by native nodes, and by the protocol's request and response.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::error::ConnectError;
use crate::id::{IdForm, MessageId, NodeId};
use crate::time::Instant;

/// How many requests of peers that must get no response are remembered.
const MAX_MUTED: usize = 256;

/// How long native nodes are given to find a node before all others are asked as well.
pub(crate) const HEAD_START: Duration = Duration::from_secs(1);

/// How long after a search of native nodes it is begun again, the first time.
const AGAIN: Duration = Duration::from_secs(2);

/// A search for one node.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// What the requests are known by, in msgpack.
    pub(crate) request: Bytes,
    /// How the node spells its id, if that is known: legacy nodes find it by that form only.
    pub(crate) form: Option<IdForm>,
    pub(crate) deadline: Instant,
    /// When all nodes are asked by the protocol's request, if they were not.
    pub(crate) ask: Option<Instant>,
    /// When the native nodes are asked again.
    pub(crate) seek: Instant,
    /// How often they were.
    pub(crate) sought: u32,
    /// Whether a response came, and the node is being dialled.
    pub(crate) found: bool,
    /// Why the last dial led nowhere.
    pub(crate) error: Option<ConnectError>,
}

impl Search {
    /// Notes that the native nodes were asked.
    pub(crate) fn note_sought(&mut self, now: Instant) {
        let wait = AGAIN.saturating_mul(1 << self.sought.min(4));
        self.seek = now.saturating_add(wait);
        self.sought += 1;
    }

    fn due(&self) -> Instant {
        let next = self.seek.min(self.deadline);
        self.ask.map_or(next, |ask| ask.min(next))
    }
}

/// The searches under way, and the requests of others that must not be answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Searches {
    under_way: BTreeMap<NodeId, Search>,
    /// The hashes of the requests: a peer chooses how long they are.
    muted: VecDeque<(MessageId, NodeId)>,
}

impl Searches {
    pub(crate) fn get_mut(&mut self, node: &NodeId) -> Option<&mut Search> {
        self.under_way.get_mut(node)
    }

    pub(crate) fn contains(&self, node: &NodeId) -> bool {
        self.under_way.contains_key(node)
    }

    pub(crate) fn begin(&mut self, node: NodeId, search: Search) {
        self.under_way.insert(node, search);
    }

    pub(crate) fn end(&mut self, node: &NodeId) -> Option<Search> {
        self.under_way.remove(node)
    }

    pub(crate) fn clear(&mut self) {
        self.under_way.clear();
    }

    /// Returns the nodes for whose searches something is due.
    pub(crate) fn due(&self, now: Instant) -> Vec<NodeId> {
        let due = self
            .under_way
            .iter()
            .filter(|(_, search)| search.due() <= now);
        due.map(|(node, _)| node.clone()).collect()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.under_way.values().map(Search::due).min()
    }

    /// Returns the nodes that were not found yet.
    pub(crate) fn unanswered(&self) -> Vec<NodeId> {
        let open = self.under_way.iter().filter(|(_, search)| !search.found);
        open.map(|(node, _)| node.clone()).collect()
    }

    /// Notes the response to a request. Returns whether it is the first to one of ours.
    pub(crate) fn answered(&mut self, request: &Bytes, node: &NodeId) -> bool {
        match self.under_way.get_mut(node) {
            Some(search) if search.request == *request && !search.found => {
                search.found = true;
                true
            }
            _ => false,
        }
    }

    /// Notes a request of a peer that must get no response to it.
    pub(crate) fn mute(&mut self, request: &Bytes, peer: NodeId) {
        if self.muted.len() == MAX_MUTED {
            self.muted.pop_front();
        }
        self.muted.push_back((MessageId::of(request), peer));
    }

    /// Returns whether a peer must not get the response to this request.
    pub(crate) fn is_muted(&self, request: &Bytes, peer: &NodeId) -> bool {
        let mut muted = self.muted.iter().filter(|(_, node)| node == peer);
        let request = MessageId::of(request);
        muted.any(|(muted, _)| *muted == request)
    }

    /// Returns about how many bytes all this takes.
    pub(crate) fn memory(&self) -> usize {
        self.under_way.len() * 400 + self.muted.len() * 300
    }
}
