//! What one link still has to be sent of the log, what its peer was asked for, and what it asked for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::frontier::{Stream, StreamFrontier};
use crate::id::MessageId;
use crate::log::Arrival;
use crate::ranges::Ranges;
use crate::time::Instant;

/// How many messages are asked of one peer at a time.
///
/// A guess: with messages of a few kilobytes they fill a link for about a second, and the next ones are asked for when half
/// of them has come.
pub(crate) const MAX_ASKED: u64 = 256;

/// How many ranges a peer may have asked for that were not sent yet. Whoever asks for more has to ask again.
const MAX_REPAIRS: usize = 4096;

/// How many streams, and how many ids, a peer may offer at a time. Streams that are beyond are offered again when logs are
/// compared the next time; ids are told no further until the peer asks for more.
const MAX_OFFERS: usize = 4096;

/// How many ranges of one stream are remembered as offered.
const MAX_OFFERED_RANGES: usize = 256;

/// One link's share in the log.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    /// The message of the log that is next for this link, or `None` while each is sent as it comes.
    pub(crate) behind: Option<Arrival>,
    /// Whether the logs are being compared for the first time: until that is done, the link gets no message of the log but
    /// those that the peer asks for, so that nothing arrives there before what came before it.
    pub(crate) is_comparing: bool,
    /// The last of this node's own messages that the peer is to ask for, if it lacks them: later ones it is sent unasked.
    pub(crate) compared_to: u64,
    /// The version of the frontiers that the peer was told last.
    pub(crate) told: Option<u64>,
    /// Changes of the frontiers since then that the peer need not be told: it said that it has the same.
    known: Vec<u64>,
    /// What the peer is still to be told of what was here: it may be more than a link holds.
    pub(crate) telling: Option<Telling>,
    /// Of which part of the log, before a message, the peer is still to be told the ids.
    pub(crate) telling_ids: Option<Arrival>,
    /// How many ids the peer may be told until it asks for more: what it is told it has to remember.
    pub(crate) ids_room: usize,
    /// Whether the peer was told all there was, and has not answered yet.
    pub(crate) awaits_want: bool,
    /// Whether the peer was told nothing, since by its summary it has what this node has.
    pub(crate) is_alike: bool,
    /// Whether the peer has told what it has.
    pub(crate) was_compared: bool,
    /// The version of the frontiers when it was last looked whether something comes.
    pub(crate) looked_at: Option<u64>,
    /// The version of the frontiers that was compared once more, as nothing came.
    pub(crate) compared_at: Option<u64>,
    /// How old a message was, when the peer said so, that its application was to get; and when that was.
    reach: (Duration, Instant),
    /// What the peer has of this node's own messages.
    pub(crate) holds: StreamFrontier,
    /// What the peer said that it has and this node lacks. Some of it may have come since.
    pub(crate) offers: BTreeMap<Stream, Offer>,
    asked: BTreeMap<Stream, Ranges>,
    asked_count: u64,
    /// Ids of messages without names that the peer has and this node lacks.
    offered_ids: VecDeque<MessageId>,
    /// How many ids the peer has told since it was last asked to go on.
    ids_heard: usize,
    asked_ids: BTreeSet<MessageId>,
    repairs: VecDeque<Request>,
    /// Whether the peer did not send what it was asked for in time: others are asked first.
    pub(crate) is_slow: bool,
    /// Messages that came before this one are too old for the legacy peer to hear of twice.
    pub(crate) late_from: Arrival,
}

/// The changes of the frontiers that a peer is still to be told: those after one version, up to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telling {
    pub(crate) after: u64,
    pub(crate) upto: u64,
    /// Whether the peer is to be told when that was all.
    pub(crate) is_first: bool,
}

/// What a peer offers of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) ranges: Ranges,
    /// What the peer had and has no more, as long as no message of the stream has come.
    pub(crate) gone: Ranges,
    /// The first sequence that is not too old for this node's application, if the peer knows it.
    pub(crate) from: Option<u64>,
}

/// Something that the peer asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The messages of a stream, from one sequence to another.
    Range(Stream, u64, u64),
    /// A message without a name.
    Id(MessageId),
}

impl Feed {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            behind: None,
            is_comparing: false,
            compared_to: 0,
            told: None,
            telling: None,
            telling_ids: None,
            known: Vec::new(),
            awaits_want: false,
            is_alike: false,
            was_compared: false,
            looked_at: None,
            compared_at: None,
            reach: (Duration::MAX, now),
            holds: StreamFrontier::default(),
            offers: BTreeMap::new(),
            asked: BTreeMap::new(),
            asked_count: 0,
            ids_room: MAX_OFFERS,
            offered_ids: VecDeque::new(),
            ids_heard: 0,
            asked_ids: BTreeSet::new(),
            repairs: VecDeque::new(),
            is_slow: false,
            late_from: Arrival::FIRST,
        }
    }

    /// Notes how old a message may be that the peer's application is to get.
    pub(crate) const fn set_reach(&mut self, reach: Duration, now: Instant) {
        self.reach = (reach, now);
    }

    /// Returns how old a message may be by now that the peer's application is to get.
    pub(crate) const fn reach(&self, now: Instant) -> Duration {
        let (reach, at) = self.reach;
        reach.saturating_add(now.saturating_duration_since(at))
    }

    /// Notes that the peer has what a change of the frontiers led to.
    pub(crate) fn note_known(&mut self, version: u64) {
        if self.known.len() < MAX_OFFERS && self.told.is_some_and(|told| told < version) {
            self.known.push(version);
        }
    }

    /// Notes that the peer is told all up to a version. Returns the changes among them that it knows, ascending.
    pub(crate) fn tell(&mut self, version: u64) -> Vec<u64> {
        self.told = Some(version);
        let mut known = std::mem::take(&mut self.known);
        known.sort_unstable();
        known
    }

    /// Takes what a peer offers of one stream, in place of what it offered before.
    pub(crate) fn offer(&mut self, stream: Stream, mut offer: Offer) {
        offer.ranges.truncate(MAX_OFFERED_RANGES);
        offer.gone.truncate(MAX_OFFERED_RANGES);
        let is_known = self.offers.contains_key(&stream);
        if offer.ranges.is_empty() && offer.from.is_none() && offer.gone.is_empty() {
            self.offers.remove(&stream);
        } else if is_known || self.offers.len() < MAX_OFFERS {
            self.offers.insert(stream, offer);
        }
    }

    /// Forgets what a peer offered of one stream.
    pub(crate) fn forget_offer(&mut self, stream: &Stream) {
        self.offers.remove(stream);
    }

    /// Notes that the peer has asked to be told of more ids. Returns whether there are more.
    pub(crate) const fn tell_more_ids(&mut self) -> bool {
        self.ids_room = MAX_OFFERS;
        self.telling_ids.is_some()
    }

    /// Notes that the peer has told so many ids.
    pub(crate) fn hear_ids(&mut self, count: usize) {
        self.ids_heard = self.ids_heard.saturating_add(count);
    }

    /// Takes the id of a message that the peer offers.
    pub(crate) fn offer_id(&mut self, id: MessageId) {
        if self.offered_ids.len() < MAX_OFFERS && !self.asked_ids.contains(&id) {
            self.offered_ids.push_back(id);
        }
    }

    /// Returns whether the peer is to be asked for more ids: it has told as many as are remembered, and all are dealt with.
    pub(crate) fn wants_more_ids(&mut self) -> bool {
        let is_idle = self.offered_ids.is_empty() && self.asked_ids.is_empty();
        let wants_more = is_idle && self.ids_heard >= MAX_OFFERS;
        if wants_more {
            self.ids_heard = 0;
        }
        wants_more
    }

    /// Returns how many messages were asked for and have not come.
    pub(crate) fn asked(&self) -> u64 {
        self.asked_count + self.asked_ids.len() as u64
    }

    /// Returns how many messages may be asked for, if it is worth a question.
    pub(crate) fn quota(&self) -> Option<u64> {
        let asked = self.asked();
        (asked <= MAX_ASKED / 2).then_some(MAX_ASKED - asked)
    }

    /// Returns what was asked for of a stream and has not come.
    pub(crate) fn asked_of(&self, stream: &Stream) -> Option<&Ranges> {
        self.asked.get(stream)
    }

    pub(crate) fn has_asked_id(&self, id: &MessageId) -> bool {
        self.asked_ids.contains(id)
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.asked_count > 0 || !self.asked_ids.is_empty()
    }

    /// Notes that these were asked for.
    pub(crate) fn ask(&mut self, stream: Stream, wanted: &Ranges) {
        self.asked_count += wanted.count();
        let asked = self.asked.entry(stream).or_default();
        *asked = asked.union(wanted);
    }

    /// Returns how many ids the peer offers.
    pub(crate) fn offered_ids(&self) -> usize {
        self.offered_ids.len()
    }

    /// Returns whether the peer offers a message that it was not asked for.
    pub(crate) fn offers_id(&self, id: &MessageId) -> bool {
        self.offered_ids.contains(id)
    }

    /// Takes the next id that is to be asked for.
    pub(crate) fn next_id(&mut self) -> Option<MessageId> {
        self.offered_ids.pop_front()
    }

    /// Puts back an id for which it is another neighbour's turn.
    pub(crate) fn keep_id(&mut self, id: MessageId) {
        self.offered_ids.push_back(id);
    }

    pub(crate) fn ask_id(&mut self, id: MessageId) {
        self.asked_ids.insert(id);
    }

    /// Notes that a message has come, or will not. Returns whether it was asked for here.
    pub(crate) fn settle(&mut self, stream: &Stream, first: u64, last: u64) -> bool {
        let Some(asked) = self.asked.get_mut(stream) else {
            return false;
        };
        let before = asked.count();
        asked.remove(first, last);
        let settled = before - asked.count();
        self.asked_count -= settled;
        if asked.is_empty() {
            self.asked.remove(stream);
        }
        settled > 0
    }

    /// The same for a message without a name.
    pub(crate) fn settle_id(&mut self, id: &MessageId) -> bool {
        self.asked_ids.remove(id)
    }

    /// Forgets what was asked for: it is to be asked for again, here or elsewhere.
    pub(crate) fn forget_asked(&mut self) {
        self.asked.clear();
        self.asked_count = 0;
        let ids = std::mem::take(&mut self.asked_ids);
        self.offered_ids.extend(ids);
    }

    /// Takes what the peer asks for. What is too much is left out.
    pub(crate) fn request(&mut self, request: Request) {
        if self.repairs.len() < MAX_REPAIRS {
            self.repairs.push_back(request);
        }
    }

    pub(crate) fn next_request(&mut self) -> Option<Request> {
        self.repairs.pop_front()
    }

    /// Puts back what is left of a request.
    pub(crate) fn put_back(&mut self, request: Request) {
        self.repairs.push_front(request);
    }

    pub(crate) fn has_requests(&self) -> bool {
        !self.repairs.is_empty()
    }

    /// Returns about how many bytes all this takes.
    pub(crate) fn memory(&self) -> usize {
        let ranges = self.offers.values().map(|offer| &offer.ranges);
        let gone = self.offers.values().map(|offer| &offer.gone);
        let ranges: usize = ranges
            .chain(gone)
            .chain(self.asked.values())
            .map(Ranges::range_count)
            .sum();
        (self.offers.len() + self.asked.len()) * 120
            + ranges * 16
            + (self.offered_ids.len() + self.asked_ids.len()) * 40
            + self.repairs.len() * size_of::<Request>()
            + self.known.len() * size_of::<u64>()
    }

    pub(crate) fn check_invariants(&self) {
        let asked: u64 = self.asked.values().map(Ranges::count).sum();
        debug_assert_eq!(asked, self.asked_count, "what was asked for is counted");
        debug_assert!(
            self.repairs.len() <= MAX_REPAIRS + 1,
            "requests are bounded"
        );
        debug_assert!(self.offers.len() <= MAX_OFFERS, "offers are bounded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;

    fn stream(epoch: u64) -> Stream {
        let origin = NodeId::new("A").unwrap();
        Stream { origin, epoch }
    }

    #[test]
    fn half_of_what_was_asked_for_comes_before_more_is_asked() {
        let mut feed = Feed::new(Instant::from_micros(0));
        assert_eq!(feed.quota(), Some(MAX_ASKED));
        feed.ask(stream(1), &Ranges::of(1, MAX_ASKED));
        assert_eq!(feed.quota(), None);
        assert!(feed.settle(&stream(1), 1, MAX_ASKED / 2 - 1));
        assert_eq!(feed.quota(), None);
        assert!(!feed.settle(&stream(1), 1, 1), "it has come before");
        assert!(!feed.settle(&stream(2), 200, 200), "another stream's");
        assert!(feed.settle(&stream(1), 256, 256));
        assert_eq!(feed.quota(), Some(MAX_ASKED / 2));
        feed.check_invariants();
        feed.forget_asked();
        assert_eq!(feed.quota(), Some(MAX_ASKED));
        assert!(!feed.is_waiting());
    }

    #[test]
    fn what_a_peer_makes_us_keep_is_bounded() {
        let mut feed = Feed::new(Instant::from_micros(0));
        feed.tell(0);
        for n in 1..10_000 {
            let ranges = (0..1000).map(|at| (2 * at, 2 * at)).collect();
            let from = None;
            let gone = Ranges::new();
            feed.offer(stream(n), Offer { ranges, gone, from });
            feed.offer_id(MessageId::of(&n.to_be_bytes()));
            feed.request(Request::Range(stream(n), 1, u64::MAX));
            feed.note_known(n);
        }
        feed.check_invariants();
        assert!(feed.memory() < 20 << 20, "{} bytes", feed.memory());
    }

    #[test]
    fn what_a_peer_knows_is_what_it_was_not_told() {
        let mut feed = Feed::new(Instant::from_micros(0));
        feed.note_known(1);
        assert_eq!(feed.tell(3), [0; 0], "it was told nothing before");
        for version in [5, 3, 4] {
            feed.note_known(version);
        }
        assert_eq!(feed.tell(5), [4, 5]);
        assert_eq!(feed.tell(6), [0; 0], "it is told once");
    }

    #[test]
    fn reach_grows_with_time() {
        let mut feed = Feed::new(Instant::from_micros(0));
        feed.set_reach(Duration::from_secs(3), Instant::from_micros(1_000_000));
        let later = Instant::from_micros(5_000_000);
        assert_eq!(feed.reach(later), Duration::from_secs(7));
    }
}
