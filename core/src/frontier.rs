//! What this node knows of: every sequence of every stream, at the cost of a few numbers for each.
//!
//! A frontier outlives the messages that it names. They are evicted from the log in time; that they
//! were here is remembered, so a duplicate is one for as long as its stream is known.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::id::NodeId;
use crate::ranges::Ranges;

/// The messages of one life of one node. Their sequences count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stream {
    pub(crate) origin: NodeId,
    /// A random number other than zero, one for each life of the node.
    pub(crate) epoch: u64,
}

/// Which sequences of a stream are had: delivered, declared gone, or older than this node.
///
/// Zero is no sequence, and counts as had. Equal knowledge is an equal value, however it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamFrontier {
    /// All up to here are had. Zero: none.
    upto: u64,
    /// What is had beyond the first hole. Begins at least two after `upto`.
    beyond: Ranges,
}

/// What noting a sequence came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// It, or some of it, is new. To make room for a new stream, another was forgotten.
    New { forgotten: Option<Stream> },
    /// It is known already.
    Duplicate,
    /// It is new, but there is no room to remember it; nothing changed. Whoever takes the message
    /// all the same may take it twice.
    Refused,
}

impl StreamFrontier {
    /// Takes a frontier as a peer tells it: `beyond` may overlap or adjoin what is below it.
    pub(crate) fn new(upto: u64, beyond: Ranges) -> Self {
        let mut frontier = Self { upto, beyond };
        frontier.absorb();
        frontier
    }

    /// Returns the sequence up to which there is no hole; zero if the first is missing.
    pub(crate) const fn upto(&self) -> u64 {
        self.upto
    }

    /// Returns what is had beyond the first hole.
    pub(crate) const fn beyond(&self) -> &Ranges {
        &self.beyond
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        sequence <= self.upto || self.beyond.contains(sequence)
    }

    /// Returns what is missing.
    pub(crate) fn missing(&self) -> Ranges {
        Ranges::of(self.upto.saturating_add(1), u64::MAX).difference(&self.beyond)
    }

    /// Returns the highest sequence that is had; zero if there is none.
    pub(crate) fn highest(&self) -> u64 {
        self.beyond.last().unwrap_or(self.upto)
    }

    /// Returns what is had here and not there.
    fn minus(&self, other: &Self) -> Ranges {
        let first = other.upto.saturating_add(1);
        let mut had = self.beyond.clone();
        had.insert(first.min(self.upto), self.upto);
        had.remove(0, other.upto);
        had.difference(&other.beyond)
    }

    fn covers(&self, first: u64, last: u64) -> bool {
        last <= self.upto || self.beyond.covers(first.max(self.upto + 1), last)
    }

    /// Returns whether noting these would make more than `max` ranges beyond the first hole.
    fn is_too_much(&self, first: u64, last: u64, max: usize) -> bool {
        first > self.upto.saturating_add(1)
            && self.beyond.range_count() >= max
            && !self.beyond.adjoins(first, last)
    }

    fn insert(&mut self, first: u64, last: u64) {
        if first <= self.upto.saturating_add(1) {
            self.upto = self.upto.max(last);
            self.absorb();
        } else {
            self.beyond.insert(first, last);
        }
    }

    /// Moves what adjoins `upto` below it.
    fn absorb(&mut self) {
        if self.beyond.is_empty() {
            return;
        }
        self.beyond.insert(0, self.upto);
        self.upto = self.beyond.iter().next().map_or(0, |(_, last)| last);
        self.beyond.remove(0, self.upto);
    }

    /// The part of this stream in the fingerprint.
    fn hash(&self, stream: &Stream) -> u128 {
        let origin = stream.origin.as_str().as_bytes();
        let mut hasher = Sha256::new()
            .chain_update((origin.len() as u64).to_be_bytes())
            .chain_update(origin)
            .chain_update(stream.epoch.to_be_bytes())
            .chain_update(self.upto.to_be_bytes());
        for (first, last) in self.beyond.iter() {
            hasher.update(first.to_be_bytes());
            hasher.update(last.to_be_bytes());
        }
        let hash: [u8; 32] = hasher.finalize().into();
        hash[..16]
            .iter()
            .fold(0, |sum, byte| sum << 8 | u128::from(*byte))
    }
}

/// Where in the table of streams one is.
type Place = usize;

/// No place: the end of the line.
const NOWHERE: Place = usize::MAX;

#[derive(Clone, Debug)]
struct Entry {
    stream: Stream,
    known: StreamFrontier,
    /// The version that its last change made.
    changed: u64,
    /// Its part of `Frontiers::sum`; zero until it is first counted.
    hash: u128,
    is_pinned: bool,
    /// The one that changed last before it, and the one that changed next.
    before: Place,
    after: Place,
}

/// The frontiers of all streams, within limits.
///
/// - No more than `max_streams`. When one more begins, the stream that has been without a change for
///   the longest time is forgotten, unless it is pinned. If a message of it comes again, it is new
///   again; so a limit that holds all streams of the time for which messages are kept anywhere
///   keeps every promise, and pins are for those that must not be at the mercy of a flood of
///   names: this node's own and its neighbours'. When all are pinned, a new stream is refused.
/// - In each stream no more than `max_ranges` beyond the first hole. What would make one more is
///   refused; what fills or extends is not. A peer that names every other sequence, or
///   the last one there is, costs no more than that.
///
/// About 500 bytes for a stream, and 16 for each range. The streams are in a line by their last changes, so that a message, which
/// moves one to the end, costs one look-up and no more.
#[derive(Clone, Debug)]
pub(crate) struct Frontiers {
    max_streams: usize,
    max_ranges: usize,
    places: BTreeMap<Stream, Place>,
    entries: Vec<Entry>,
    /// The ends of the line: the stream that has been without a change for the longest time, and the one that changed last.
    idlest: Place,
    latest: Place,
    version: u64,
    range_count: usize,
    /// The sum of all hashes, as of the version `summed`.
    sum: u128,
    summed: u64,
}

impl Frontiers {
    pub(crate) const fn new(max_streams: usize, max_ranges: usize) -> Self {
        Self {
            max_streams,
            max_ranges,
            places: BTreeMap::new(),
            entries: Vec::new(),
            idlest: NOWHERE,
            latest: NOWHERE,
            version: 0,
            range_count: 0,
            sum: 0,
            summed: 0,
        }
    }

    /// Notes a message.
    pub(crate) fn insert(&mut self, stream: &Stream, sequence: u64) -> Inserted {
        self.fill(stream, sequence, sequence)
    }

    /// Notes all from `first` to `last`, as had or as declared gone.
    pub(crate) fn fill(&mut self, stream: &Stream, first: u64, last: u64) -> Inserted {
        let Some(&place) = self.places.get(stream) else {
            return self.begin(stream, first, last);
        };
        let entry = &mut self.entries[place];
        if first > last || entry.known.covers(first, last) {
            return Inserted::Duplicate;
        }
        if entry.known.is_too_much(first, last, self.max_ranges) {
            return Inserted::Refused;
        }
        self.range_count -= entry.known.beyond.range_count();
        entry.known.insert(first, last);
        self.range_count += entry.known.beyond.range_count();
        self.version += 1;
        entry.changed = self.version;
        if self.latest != place {
            self.leave_line(place);
            self.join_line(place);
        }
        Inserted::New { forgotten: None }
    }

    /// Keeps a stream from being forgotten, or no longer. Does nothing if it is not known.
    pub(crate) fn set_pinned(&mut self, stream: &Stream, is_pinned: bool) {
        if let Some(&place) = self.places.get(stream) {
            self.entries[place].is_pinned = is_pinned;
        }
    }

    /// Returns 16 bytes that are equal, among nodes, when they know the same.
    ///
    /// The sum modulo 2^128, big endian, over all streams, of the first 16 bytes of the SHA-256 of: the
    /// origin's length and text, the epoch, `upto`, and the first and last of each range beyond it,
    /// numbers in 8 bytes big endian. A sum, not an exclusive or: that could be made to cancel out
    /// by whoever chooses a few hundred names. Hashes only what changed since the last call.
    pub(crate) fn fingerprint(&mut self) -> [u8; 16] {
        let mut place = self.latest;
        while let Some(entry) = self.entries.get_mut(place)
            && entry.changed > self.summed
        {
            self.sum = self.sum.wrapping_sub(entry.hash);
            entry.hash = entry.known.hash(&entry.stream);
            self.sum = self.sum.wrapping_add(entry.hash);
            place = entry.before;
        }
        self.summed = self.version;
        self.sum.to_be_bytes()
    }

    pub(crate) fn get(&self, stream: &Stream) -> Option<&StreamFrontier> {
        self.entry(stream).map(|entry| &entry.known)
    }

    /// Returns what a peer knows and this node does not.
    pub(crate) fn lacking(&self, stream: &Stream, theirs: &StreamFrontier) -> Ranges {
        match self.get(stream) {
            Some(ours) => theirs.minus(ours),
            None => theirs.minus(&StreamFrontier::default()),
        }
    }

    /// Returns which of these this node does not know.
    pub(crate) fn still_lacking(&self, stream: &Stream, ranges: &Ranges) -> Ranges {
        match self.get(stream) {
            Some(ours) => ranges.intersection(&ours.missing()),
            None => ranges.clone(),
        }
    }

    /// Returns the number of the last change: each makes a higher one.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// Returns the version that the last change of a stream made, if it is known to be just this.
    pub(crate) fn version_of(&self, stream: &Stream, known: &StreamFrontier) -> Option<u64> {
        let entry = self.entry(stream)?;
        (entry.known == *known).then_some(entry.changed)
    }

    /// Returns the streams that changed after this version, each with the version of its change, in the order of their last changes. All of
    /// them, after version 0.
    pub(crate) fn changed_since(
        &self,
        version: u64,
    ) -> impl Iterator<Item = (u64, &Stream, &StreamFrontier)> {
        let mut first = NOWHERE;
        let mut place = self.latest;
        while let Some(entry) = self.entries.get(place)
            && entry.changed > version
        {
            first = place;
            place = entry.before;
        }
        let first = self.entries.get(first);
        let changed = std::iter::successors(first, |entry| self.entries.get(entry.after));
        changed.map(|entry| (entry.changed, &entry.stream, &entry.known))
    }

    /// Returns the streams of one origin: one for each of its lives.
    pub(crate) fn of_origin(
        &self,
        origin: &NodeId,
    ) -> impl Iterator<Item = (&Stream, &StreamFrontier)> {
        let first = Stream {
            origin: origin.clone(),
            epoch: 0,
        };
        let places = self.places.range(first..);
        let places = places.take_while({
            let origin = origin.clone();
            move |(stream, _)| stream.origin == origin
        });
        places.filter_map(|(stream, &place)| Some((stream, &self.entries.get(place)?.known)))
    }

    /// Returns how many streams are known.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns about how many bytes all this takes.
    pub(crate) fn memory(&self) -> usize {
        // The map's nodes are about two thirds full, and the table has some places to spare.
        let entry = size_of::<(Stream, Place)>() * 3 / 2 + size_of::<Entry>() * 4 / 3;
        // An id of a real node has 64 to 66 bytes, and the counts before them. An id of 256
        // is a peer's whim: `max_streams` bounds it.
        entry * self.entries.len() + 82 * self.entries.len() + 16 * self.range_count
    }

    fn begin(&mut self, stream: &Stream, first: u64, last: u64) -> Inserted {
        let mut known = StreamFrontier::default();
        if first > last || known.covers(first, last) {
            return Inserted::Duplicate;
        }
        if known.is_too_much(first, last, self.max_ranges) {
            return Inserted::Refused;
        }
        let is_full = self.entries.len() >= self.max_streams;
        let forgotten = if is_full { self.forget_idlest() } else { None };
        if is_full && forgotten.is_none() {
            return Inserted::Refused;
        }
        known.insert(first, last);
        self.range_count += known.beyond.range_count();
        self.version += 1;
        let place = self.entries.len();
        self.entries.push(Entry {
            stream: stream.clone(),
            known,
            changed: self.version,
            hash: 0,
            is_pinned: false,
            before: NOWHERE,
            after: NOWHERE,
        });
        self.places.insert(stream.clone(), place);
        self.join_line(place);
        Inserted::New { forgotten }
    }

    fn entry(&self, stream: &Stream) -> Option<&Entry> {
        Some(&self.entries[*self.places.get(stream)?])
    }

    fn forget_idlest(&mut self) -> Option<Stream> {
        let mut place = self.idlest;
        while self.entries.get(place)?.is_pinned {
            place = self.entries[place].after;
        }
        self.leave_line(place);
        let entry = self.entries.swap_remove(place);
        self.places.remove(&entry.stream);
        self.mend_links(place);
        self.sum = self.sum.wrapping_sub(entry.hash);
        self.range_count -= entry.known.beyond.range_count();
        Some(entry.stream)
    }

    /// Tells those around it of the place of a stream that was moved there, if one was.
    fn mend_links(&mut self, place: Place) {
        let Some(moved) = self.entries.get(place) else {
            return;
        };
        let (before, after) = (moved.before, moved.after);
        if let Some(known) = self.places.get_mut(&moved.stream) {
            *known = place;
        }
        self.join(before, place);
        self.join(place, after);
    }

    /// Puts one behind another in the line, where `NOWHERE` is either end of it.
    fn join(&mut self, before: Place, after: Place) {
        match self.entries.get_mut(before) {
            Some(entry) => entry.after = after,
            None => self.idlest = after,
        }
        match self.entries.get_mut(after) {
            Some(entry) => entry.before = before,
            None => self.latest = before,
        }
    }

    fn leave_line(&mut self, place: Place) {
        let Entry { before, after, .. } = self.entries[place];
        self.join(before, after);
    }

    fn join_line(&mut self, place: Place) {
        self.join(self.latest, place);
        self.join(place, NOWHERE);
    }

    pub(crate) fn check_invariants(&self) {
        debug_assert!(
            self.entries.len() <= self.max_streams,
            "streams are bounded"
        );
        debug_assert_eq!(self.entries.len(), self.places.len(), "each has a place");
        let mut range_count = 0;
        let mut in_line = 0;
        for (version, stream, known) in self.changed_since(0) {
            let place = self.places.get(stream);
            let entry = place.map(|place| &self.entries[*place]);
            debug_assert!(
                entry.is_some_and(|entry| entry.changed == version && entry.stream == *stream)
            );
            let beyond = &known.beyond;
            in_line += 1;
            range_count += beyond.range_count();
            debug_assert!(
                beyond.range_count() <= self.max_ranges,
                "ranges are bounded"
            );
            debug_assert!(
                beyond.first().is_none_or(|first| first - 1 > known.upto),
                "there is a hole between upto and beyond"
            );
        }
        debug_assert_eq!(in_line, self.entries.len(), "all are in line");
        debug_assert_eq!(range_count, self.range_count, "ranges are counted");
    }
}
