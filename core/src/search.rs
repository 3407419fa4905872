//! Finding a distant node, to send it a message: the protocol's request and response.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::id::{IdForm, NodeId};
use crate::output::SendId;
use crate::time::Instant;
use crate::wire::payload::{Payload, SubFlag};

/// How many requests of peers that must get no response are remembered.
const MAX_MUTED: usize = 256;

/// A message that waits for a link to its receiver.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) send: SendId,
    pub(crate) sub_flag: SubFlag,
    pub(crate) payload: Payload,
}

/// A search for one node.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// What the requests are known by, in msgpack.
    pub(crate) request: Bytes,
    /// How the node spells its id, if that is known: legacy nodes find it by that form only.
    pub(crate) form: Option<IdForm>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) deadline: Instant,
    /// Whether a response came, and the node is being dialled.
    pub(crate) found: bool,
}

/// The searches under way, and the requests of others that must not be answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Searches {
    under_way: BTreeMap<NodeId, Search>,
    /// How many messages wait, in all searches.
    waiting: usize,
    muted: VecDeque<(Bytes, NodeId)>,
}

impl Searches {
    /// Returns how many messages wait for a link to their receiver.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns the bytes of the messages that wait.
    pub(crate) fn bytes(&self) -> usize {
        let searches = self.under_way.values();
        let waiting = searches.flat_map(|search| &search.waiting);
        waiting.map(|waiting| waiting.payload.encoded_len()).sum()
    }

    /// Adds a message to the search for a node. Returns whether there is one.
    pub(crate) fn join(&mut self, node: &NodeId, message: Waiting) -> bool {
        let Some(search) = self.under_way.get_mut(node) else {
            return false;
        };
        search.waiting.push(message);
        self.waiting += 1;
        true
    }

    /// Adds a search for a node that is not being searched for.
    pub(crate) fn begin(&mut self, node: NodeId, search: Search) {
        self.waiting += search.waiting.len();
        self.under_way.insert(node, search);
    }

    /// Ends a search, and returns the messages that waited for it.
    pub(crate) fn take(&mut self, node: &NodeId) -> Vec<Waiting> {
        let search = self.under_way.remove(node);
        let waiting = search.map(|search| search.waiting).unwrap_or_default();
        self.waiting -= waiting.len();
        waiting
    }

    /// Ends all searches that are due, and returns the messages that waited.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Waiting> {
        let due = self.under_way.iter();
        let due = due.filter(|(_, search)| search.deadline <= now);
        let due: Vec<NodeId> = due.map(|(node, _)| node.clone()).collect();
        due.iter().flat_map(|node| self.take(node)).collect()
    }

    /// Ends all searches, and returns the messages that waited.
    pub(crate) fn take_all(&mut self) -> Vec<Waiting> {
        self.waiting = 0;
        std::mem::take(&mut self.under_way)
            .into_values()
            .flat_map(|search| search.waiting)
            .collect()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.under_way.values().map(|search| search.deadline).min()
    }

    /// Returns the searches that nobody has answered yet.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = (&NodeId, &Search)> {
        self.under_way.iter().filter(|(_, search)| !search.found)
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
    pub(crate) fn mute(&mut self, request: Bytes, peer: NodeId) {
        if self.muted.len() == MAX_MUTED {
            self.muted.pop_front();
        }
        self.muted.push_back((request, peer));
    }

    /// Returns whether a peer must not get the response to this request.
    pub(crate) fn is_muted(&self, request: &Bytes, peer: &NodeId) -> bool {
        self.muted
            .iter()
            .any(|(muted, node)| muted == request && node == peer)
    }
}
