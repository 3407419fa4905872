//! What a node remembers for the sake of delivery: the log, the frontiers, and how far the application is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Config;
use crate::frontier::{Frontiers, Stream};
use crate::id::NodeId;
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
    /// Kept to be used again.
    pub(crate) evicted: Vec<Evicted>,
    /// When this node was made, less what it wants of the time before.
    born: Instant,
    catch_up: Duration,
}

/// How far the application is in one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// All up to this sequence were delivered, declared gone, or are none of the application's.
    pub(crate) delivered: u64,
    /// Until when a neighbour may tell where the stream begins for this node. Nothing is delivered before.
    pub(crate) undecided: Option<Instant>,
}

/// Messages of a stream that nobody seems to have.
#[derive(Clone, Debug)]
pub(crate) struct Doomed {
    pub(crate) ranges: Ranges,
    pub(crate) at: Instant,
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
        Self {
            log: Log::new(limits),
            frontiers: Frontiers::new(config.max_streams, MAX_RANGES),
            own,
            last_sequence: 0,
            released: 0,
            order: BTreeMap::new(),
            doomed: BTreeMap::new(),
            ids: Seen::new(config.log_age.saturating_add(MARGIN), config.max_seen),
            lost: BTreeMap::new(),
            news: 0,
            to_pull: BTreeSet::new(),
            evicted: Vec::new(),
            born: now,
            catch_up: config.catch_up,
        }
    }

    /// Returns how old a message may be by now that the application is to get.
    pub(crate) const fn reach(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
            .saturating_add(self.catch_up)
    }

    /// Forgets all about a stream but what is in the log.
    pub(crate) fn forget(&mut self, stream: &Stream) {
        self.order.remove(stream);
        self.doomed.remove(stream);
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
        self.log.memory()
            + self.frontiers.memory()
            + self.order.len() * ORDER_COST
            + self.doomed.len() * ORDER_COST
            + self.ids.len() * ID_COST
    }

    pub(crate) fn check_invariants(&self) {
        self.frontiers.check_invariants();
        debug_assert!(
            self.order.len() <= self.frontiers.len(),
            "what is ordered is known"
        );
    }
}
