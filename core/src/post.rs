//! Messages to one node, from the moment they are accepted until it is known what became of them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::{IdForm, NodeId};
use crate::output::{LinkId, SendId};
use crate::time::Instant;
use crate::wire::letter::LetterName;
use crate::wire::message::Packed;

/// How many receivers are remembered by the sequence that is next. One that is forgotten gets another epoch.
const MAX_CONVERSATIONS: usize = 1024;

/// How many messages may wait for their receipts, or for a way.
pub(crate) const MAX_POSTS: usize = 4096;

/// How long a receipt may take before the message is sent again, if it is short.
const PATIENCE: Duration = Duration::from_secs(2);

/// For so many bytes of a message one second more.
const SLOW: usize = 64 << 10;

/// A message to one node.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) node: NodeId,
    /// How the node spells its id, if that is known: legacy nodes find it by that form only.
    pub(crate) form: Option<IdForm>,
    pub(crate) packed: Packed,
    pub(crate) name: LetterName,
    /// When it is given up.
    pub(crate) deadline: Instant,
    /// When it is sent again, or looked for again; `None` while a search is on.
    pub(crate) retry: Option<Instant>,
    pub(crate) tries: u32,
    /// The link on which it was sent last.
    pub(crate) sent_on: Option<LinkId>,
    /// How many letters with it are on their way, or have arrived: of those that are not, nodes on the way have said so.
    pub(crate) at_large: u32,
    /// The native neighbour of a legacy receiver that was asked to hand it over. No other will be, unless this one says that it
    /// has not: nobody would notice that it came twice.
    pub(crate) gateway: Option<NodeId>,
    /// Whether a native node on the way said that the message is too long for it.
    pub(crate) is_too_long: bool,
}

impl Post {
    /// Returns the native node that is to get the letter.
    pub(crate) fn target(&self) -> &NodeId {
        self.gateway.as_ref().unwrap_or(&self.node)
    }

    pub(crate) fn len(&self) -> usize {
        self.packed.bytes().len()
    }

    /// Returns how long a receipt may take this time.
    pub(crate) fn patience(&self) -> Duration {
        let slow = u32::try_from(self.len() / SLOW).unwrap_or(u32::MAX);
        let first = PATIENCE.saturating_add(Duration::from_secs(1).saturating_mul(slow));
        first.saturating_mul(1 << self.tries.min(3))
    }

    fn due(&self) -> Instant {
        self.retry
            .map_or(self.deadline, |retry| retry.min(self.deadline))
    }
}

/// All that is on its way from this node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Posts {
    posts: BTreeMap<SendId, Post>,
    /// The bytes of all messages.
    len: usize,
    conversations: BTreeMap<NodeId, LetterName>,
}

impl Posts {
    /// Returns the name of the next message to a node. `epoch` is for a first one: drawn by chance, and never zero.
    pub(crate) fn next_name(&mut self, node: &NodeId, epoch: impl FnOnce() -> u64) -> LetterName {
        if let Some((epoch, sequence)) = self.conversations.get_mut(node) {
            *sequence += 1;
            return (*epoch, *sequence);
        }
        if self.conversations.len() >= MAX_CONVERSATIONS {
            self.conversations.pop_first();
        }
        let name = (epoch().max(1), 1);
        self.conversations.insert(node.clone(), name);
        name
    }

    pub(crate) fn add(&mut self, send: SendId, post: Post) {
        self.len += post.len();
        self.posts.insert(send, post);
    }

    pub(crate) fn get(&self, send: SendId) -> Option<&Post> {
        self.posts.get(&send)
    }

    pub(crate) fn get_mut(&mut self, send: SendId) -> Option<&mut Post> {
        self.posts.get_mut(&send)
    }

    /// Takes out a message of which it is known what became of it.
    ///
    /// One that `arrived` not for sure leaves a hole in what its receiver has: the next one begins anew.
    pub(crate) fn take(&mut self, send: SendId, arrived: bool) -> Option<Post> {
        let post = self.posts.remove(&send)?;
        self.len -= post.len();
        let is_current = |name: &LetterName| name.0 == post.name.0;
        if !arrived
            && self
                .conversations
                .get(post.target())
                .is_some_and(is_current)
        {
            self.begin_anew(post.target());
        }
        Some(post)
    }

    /// Lets the next message to a node be the first of another epoch.
    pub(crate) fn begin_anew(&mut self, node: &NodeId) {
        self.conversations.remove(node);
    }

    /// Returns the message of this name that is on its way to this native node.
    pub(crate) fn find(&self, name: LetterName) -> Option<SendId> {
        let mut posts = self.posts.iter();
        posts
            .find(|(_, post)| post.name == name)
            .map(|(send, _)| *send)
    }

    /// Returns those that meet a condition, the oldest first.
    pub(crate) fn those(&self, wanted: impl Fn(&Post) -> bool) -> Vec<SendId> {
        let posts = self.posts.iter().filter(|(_, post)| wanted(post));
        posts.map(|(send, _)| *send).collect()
    }

    /// Returns those for which something is due.
    pub(crate) fn due(&self, now: Instant) -> Vec<SendId> {
        self.those(|post| post.due() <= now)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.posts.values().map(Post::due).min()
    }

    pub(crate) fn count(&self) -> usize {
        self.posts.len()
    }

    /// Returns the bytes of all messages.
    pub(crate) const fn bytes(&self) -> usize {
        self.len
    }

    /// Returns about how many bytes all this takes.
    pub(crate) fn memory(&self) -> usize {
        const CONVERSATION: usize = 160;
        self.len
            + self.posts.len() * (size_of::<Post>() + 64)
            + self.conversations.len() * CONVERSATION
    }

    pub(crate) fn check_invariants(&self) {
        let len: usize = self.posts.values().map(Post::len).sum();
        debug_assert_eq!(len, self.len, "bytes are counted");
        debug_assert!(self.posts.len() <= MAX_POSTS, "posts are bounded");
    }
}
