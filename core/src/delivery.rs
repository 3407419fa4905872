//! What a node remembers for the sake of delivery: the log, the frontiers, and how far the application is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Config;
use crate::frontier::{Frontiers, Stream};
use crate::id::{MessageId, NodeId};
use crate::log::{Arrival, Evicted, Limits, Log};
use crate::output::LinkId;
use crate::ranges::Ranges;
use crate::seen::Seen;
use crate::time::Instant;

/// How many ranges beyond its first hole a stream may have. What would make one more is refused, and pulled
/// again when the holes have been filled.
const MAX_RANGES: usize = 256;

/// What is added to the log's age for remembering messages without names: they must not be new again while some node still
/// has them in its log.
const MARGIN: Duration = Duration::from_secs(300);

/// How many ranges of a stream may wait to be declared gone.
const MAX_DOOMED: usize = 256;

/// How many lost legacy neighbours are remembered.
const MAX_LOST: usize = 256;

/// The delivery layer's memory.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) log: Log,
    pub(crate) frontiers: Frontiers,
    /// The messages of this node in this life.
    pub(crate) own: Stream,
    /// The sequence of the last of them; zero if there is none.
    pub(crate) last_sequence: u64,
    /// Up to this sequence they are at the mercy of the log's limits, since others have them.
    pub(crate) released: u64,
    /// Of each stream of the frontiers but this node's own: how far the application is.
    pub(crate) order: BTreeMap<Stream, Order>,
    /// What is missing and was asked for in vain, and when it is declared gone.
    pub(crate) doomed: BTreeMap<Stream, Doomed>,
    /// The messages without names that were here.
    pub(crate) ids: Seen,
    /// The legacy neighbours whose links ended not long ago.
    pub(crate) lost: BTreeMap<NodeId, Lost>,
    /// How many messages came since the neighbours were told.
    pub(crate) news: usize,
    /// The links at which it may be worth asking for more.
    pub(crate) to_pull: BTreeSet<LinkId>,
    /// Broadcasts of earlier lives of this node that no neighbour is known to have.
    pub(crate) carried: Vec<Carried>,
    /// What the application has, and has not said that it is done with.
    pub(crate) unacknowledged: BTreeMap<Stream, Ranges>,
    /// The same of messages without names.
    pub(crate) unacknowledged_ids: BTreeSet<MessageId>,
    /// Of each stream some of which left the log: the youngest of that.
    pub(crate) unkept: BTreeMap<Stream, Unkept>,
    /// What the application was done with in an earlier life, beyond what it was not.
    pub(crate) done_before: BTreeMap<Stream, Ranges>,
    /// Kept to be used again.
    pub(crate) evicted: Vec<Evicted>,
    max_streams: usize,
    /// When this node was made, less what it wants of the time before.
    born: Instant,
    catch_up: Duration,
    /// The same of messages without names.
    nameless_catch_up: Duration,
}

/// How far the application is in one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// All up to this sequence were delivered, declared gone, or are none of the application's.
    pub(crate) delivered: u64,
    /// Until when a neighbour may tell where the stream begins for this node. Nothing is delivered before.
    pub(crate) undecided: Option<Instant>,
    /// Whether the application got one of its messages: then it gets all that follow, however old they are said to be.
    pub(crate) has_begun: bool,
}

impl Order {
    /// Notes that a message comes next, and whether it is recent enough for the application. Returns whether the application
    /// gets it: once a stream has begun it gets all that follow. Ages are reckoned by whoever carries a message, each a little
    /// differently.
    pub(crate) const fn begin(&mut self, is_recent: bool) -> bool {
        self.has_begun |= is_recent;
        self.has_begun
    }
}

/// Messages of a stream that nobody seems to have.
#[derive(Clone, Debug)]
pub(crate) struct Doomed {
    pub(crate) ranges: Ranges,
    pub(crate) at: Instant,
}

/// A broadcast of an earlier life of this node. It is pinned in the log.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    pub(crate) stream: Stream,
    pub(crate) sequence: u64,
    pub(crate) arrival: Arrival,
}

/// A message that is not in the log any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unkept {
    pub(crate) sequence: u64,
    pub(crate) at: Instant,
    /// How old it was at that time, at least.
    pub(crate) age: Duration,
}

impl Unkept {
    pub(crate) const fn age(&self, now: Instant) -> Duration {
        self.age
            .saturating_add(now.saturating_duration_since(self.at))
    }
}

/// What is remembered of a legacy neighbour whose link ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost {
    pub(crate) at: Instant,
    /// The message of the log that it would have got next.
    pub(crate) next: Arrival,
}

impl Delivery {
    pub(crate) fn new(config: &Config, own: Stream, now: Instant) -> Self {
        let limits = Limits {
            max_len: sabotaged!(config, Sabotage::LogUnbounded => usize::MAX, else config.log_len),
            max_count: sabotaged!(config, Sabotage::LogUnbounded => usize::MAX, else config.log_count),
            max_age: config.log_age,
            ..Limits::default()
        };
        let ids_kept_for = sabotaged!(config, Sabotage::IdsForgotten
            => config.seen_ttl, else config.log_age.saturating_add(MARGIN));
        Self {
            log: Log::new(limits),
            frontiers: Frontiers::new(config.max_streams, MAX_RANGES),
            own,
            last_sequence: 0,
            released: 0,
            order: BTreeMap::new(),
            doomed: BTreeMap::new(),
            ids: Seen::new(ids_kept_for, config.max_seen),
            lost: BTreeMap::new(),
            news: 0,
            to_pull: BTreeSet::new(),
            carried: Vec::new(),
            unacknowledged: BTreeMap::new(),
            unacknowledged_ids: BTreeSet::new(),
            unkept: BTreeMap::new(),
            done_before: BTreeMap::new(),
            evicted: Vec::new(),
            max_streams: config.max_streams,
            born: now,
            catch_up: config.catch_up,
            nameless_catch_up: config.catch_up,
        }
    }

    /// Returns how old a message may be by now that the application is to get.
    pub(crate) const fn reach(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
            .saturating_add(self.catch_up)
    }

    /// The same of messages without names, of which it is less well known what was here in an earlier life.
    pub(crate) const fn nameless_reach(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
            .saturating_add(self.nameless_catch_up)
    }

    /// Lets the application have what is not older than this at the node's birth, since it was there in an earlier life.
    /// `knows_ids` is whether it is known of all messages without names that were here then.
    pub(crate) fn extend_reach(&mut self, before: Duration, knows_ids: bool) {
        self.catch_up = self.catch_up.max(before);
        self.nameless_catch_up = if knows_ids {
            self.catch_up
        } else {
            Duration::ZERO
        };
    }

    /// Forgets all about a stream but what is in the log.
    pub(crate) fn forget(&mut self, stream: &Stream) {
        self.order.remove(stream);
        self.unacknowledged.remove(stream);
        self.done_before.remove(stream);
        self.unkept.remove(stream);
        self.doomed.remove(stream);
    }

    /// Notes that a message is not in the log any more.
    pub(crate) fn note_unkept(&mut self, stream: &Stream, unkept: Unkept) {
        if self.frontiers.get(stream).is_none() {
            return;
        }
        let youngest = self.unkept.entry(stream.clone()).or_insert(unkept);
        if youngest.sequence < unkept.sequence {
            *youngest = unkept;
        }
    }

    /// Marks what is missing as asked for in vain.
    pub(crate) fn doom(&mut self, stream: &Stream, ranges: &Ranges, at: Instant) {
        if ranges.is_empty() || !self.order.contains_key(stream) {
            return;
        }
        let doomed = self.doomed.entry(stream.clone()).or_insert(Doomed {
            ranges: Ranges::new(),
            at,
        });
        doomed.ranges = doomed.ranges.union(ranges);
        doomed.ranges.truncate(MAX_DOOMED);
    }

    /// Returns when the next of the doomed is declared gone.
    pub(crate) fn next_doom(&self) -> Option<Instant> {
        self.doomed.values().map(|doomed| doomed.at).min()
    }

    /// Returns when the next stream without a beginning gets one.
    pub(crate) fn next_decision(&self) -> Option<Instant> {
        self.order
            .values()
            .filter_map(|order| order.undecided)
            .min()
    }

    /// Remembers a lost legacy neighbour.
    pub(crate) fn lose(&mut self, node: NodeId, next: Arrival, at: Instant) {
        if self.lost.len() >= MAX_LOST
            && let Some(oldest) = self.lost.iter().min_by_key(|(_, lost)| lost.at)
        {
            let oldest = oldest.0.clone();
            self.lost.remove(&oldest);
        }
        self.lost.insert(node, Lost { at, next });
    }

    /// Returns about how many bytes all this takes.
    pub(crate) fn memory(&self) -> usize {
        const ORDER_COST: usize = 160;
        const ID_COST: usize = 64;
        let open = self
            .unacknowledged
            .values()
            .chain(self.done_before.values());
        self.log.memory()
            + self.frontiers.memory()
            + self.order.len() * ORDER_COST
            + self.doomed.len() * ORDER_COST
            + self.ids.len() * ID_COST
            + self.lost.len() * ORDER_COST
            + self.carried.len() * ORDER_COST
            + self.unkept.len() * ORDER_COST
            + self.unacknowledged_ids.len() * ID_COST
            + open
                .map(|open| ORDER_COST + open.range_count() * 16)
                .sum::<usize>()
            + self
                .doomed
                .values()
                .map(|doomed| doomed.ranges.range_count() * 16)
                .sum::<usize>()
    }

    pub(crate) fn check_invariants(&self) {
        self.frontiers.check_invariants();
        debug_assert!(
            self.order.len() <= self.frontiers.len() + self.max_streams,
            "what is ordered is known, or was in an earlier life"
        );
    }
}
