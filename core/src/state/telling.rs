//! What a node tells its native neighbours of what it has: a fingerprint of all, then what differs; and from then on what comes.

use std::time::Duration;

use super::MeshState;
use crate::encode::Encoder;
use crate::feed::{Feed, Telling};
use crate::frontier::{Stream, StreamFrontier};
use crate::output::{LinkId, PeerKind};
use crate::ranges::Ranges;
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::sync::{Have, HaveEntry, Ids, MAX_ENTRIES, MAX_IDS, Summary, batches};

/// After so many messages neighbours are told at once what came, without waiting for the time.
///
/// Whoever publishes fast waits for this before its log lets go of a message.
const MANY: usize = 512;

/// So many streams of which there is news are told piece by piece, each when there is room for it.
const MUCH: usize = 4 * MAX_ENTRIES;

/// How long the first comparison on a link may hold back what is to be sent there.
const COMPARISON: Duration = Duration::from_secs(5);

/// What this node has of one stream.
struct Had {
    /// The version that the stream's last change made.
    version: u64,
    /// The age of the first message that can still be sent, if all from that on are here. `None` where it takes more to say
    /// where the stream begins for a neighbour.
    age: Option<Duration>,
    /// Its `from` is right for those who want a message of that age.
    entry: HaveEntry,
}

/// What is told to the neighbours, and the messages that say so.
#[derive(Default)]
struct News {
    entries: Vec<HaveEntry>,
    messages: Vec<Encoder>,
}

impl MeshState {
    /// Begins to compare logs on a new native link.
    pub(super) fn begin_comparing(&mut self, id: LinkId, now: Instant) {
        let cap = now.saturating_add(COMPARISON);
        self.timers.set(Timer::Compare(id), cap);
        self.send_summary(id, now);
    }

    /// Ends a comparison that takes too long.
    pub(super) fn end_comparing(&mut self, id: LinkId, now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.feed.is_comparing = false;
            self.pump(id, now);
        }
    }

    /// Says in a few bytes what this node has.
    pub(super) fn send_summary(&mut self, id: LinkId, now: Instant) {
        let summary = Summary {
            fingerprint: self.delivery.frontiers.fingerprint(),
            streams: self.delivery.frontiers.len() as u64,
            others: self.sum_of_ids(now),
            reach: self.delivery.reach(now),
        };
        self.send_control(id, &summary.encode(), now);
    }

    /// Compares logs once more when nothing new has come from anywhere for a while: once, until something comes.
    pub(super) fn compare_when_quiet(&mut self, id: LinkId, now: Instant) {
        let version = self.delivery.frontiers.version();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let feed = &mut link.feed;
        let is_busy = feed.behind.is_some() || feed.telling.is_some();
        let is_quiet = feed.looked_at.replace(version) == Some(version) && !is_busy;
        if is_quiet && feed.compared_at.replace(version) != Some(version) {
            self.send_summary(id, now);
        }
    }

    fn sum_of_ids(&self, now: Instant) -> [u8; 16] {
        let ids = self.delivery.log.ids(self.config.log_age, now);
        let sum = ids.fold(0_u128, |sum, (_, id)| {
            let (half, _) = id
                .as_bytes()
                .split_first_chunk()
                .expect("an id has 32 bytes");
            sum.wrapping_add(u128::from_be_bytes(*half))
        });
        sum.to_be_bytes()
    }

    pub(super) fn on_summary(&mut self, id: LinkId, summary: &Summary, now: Instant) {
        let fingerprint = self.delivery.frontiers.fingerprint();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.feed.set_reach(summary.reach, now);
        if link.feed.is_comparing {
            // All that is here by now is compared.
            link.feed.behind = Some(self.delivery.log.next_arrival());
        }
        // Only once: full logs differ for ever.
        let is_first = !std::mem::replace(&mut link.feed.was_compared, true);
        if is_first && summary.others != self.sum_of_ids(now) {
            if let Some(link) = self.links.get_mut(&id) {
                link.feed.telling_ids = Some(self.delivery.log.next_arrival());
            }
            self.tell_ids_on(id, now);
        }
        if summary.fingerprint != fingerprint && !sabotaged!(self.config, Sabotage::SummaryIgnored)
        {
            reached!(self, Mark::LogsDiffer);
            return self.tell_all(id, now);
        }
        let version = self.delivery.frontiers.version();
        if let Some(link) = self.links.get_mut(&id) {
            link.feed.tell(version);
            link.feed.awaits_want = false;
            link.feed.is_alike = true;
        }
        self.note_holds(id, self.delivery.last_sequence, Ranges::new(), now);
        self.release_all_carried(now);
        self.pump(id, now);
    }

    /// Tells all that this node has.
    fn tell_all(&mut self, id: LinkId, now: Instant) {
        let version = self.delivery.frontiers.version();
        let last = self.delivery.last_sequence;
        if let Some(link) = self.links.get_mut(&id) {
            if link.feed.is_comparing {
                link.feed.compared_to = last;
            }
            link.feed.tell(version);
            link.feed.awaits_want = true;
            link.feed.is_alike = false;
            link.feed.telling = Some(Telling {
                after: 0,
                upto: version,
                is_first: true,
            });
        }
        self.tell_on(id, now);
    }

    /// Goes on telling a peer what it is still to be told, as far as there is room.
    pub(super) fn tell_on(&mut self, id: LinkId, now: Instant) {
        while let Some(telling) = self.has_to_tell(id, |feed| feed.telling) {
            let all = self.haves(telling.after, telling.upto, MAX_ENTRIES, now);
            let is_last = all.len() < MAX_ENTRIES;
            let mut messages = batches(self.haves_for(id, &all, telling.after, &[], now));
            if messages.is_empty() && is_last && telling.is_first {
                messages.push(Vec::new());
            }
            let count = messages.len();
            for (n, entries) in messages.into_iter().enumerate() {
                let is_complete = telling.is_first && is_last && n + 1 == count;
                let have = Have {
                    entries,
                    is_complete,
                };
                self.send_control(id, &have.encode(), now);
            }
            let after = all.last().map_or(telling.upto, |had| had.version);
            if let Some(link) = self.links.get_mut(&id) {
                link.feed.telling = (!is_last).then_some(Telling { after, ..telling });
            }
        }
        self.tell_ids_on(id, now);
    }

    /// Lists the messages without names that are in the log, the last ones first, as far as there is room: on the link, and at
    /// the peer.
    pub(super) fn tell_ids_on(&mut self, id: LinkId, now: Instant) {
        while let Some((before, room)) = self.has_to_tell(id, |feed| {
            let room = feed.ids_room.min(MAX_IDS);
            feed.telling_ids.zip((room > 0).then_some(room))
        }) {
            let log = &self.delivery.log;
            let ids = log.ids_before(before, self.config.log_age, now);
            let ids: Vec<_> = ids.take(room).collect();
            let next = ids.last().filter(|_| ids.len() == room);
            if let Some(link) = self.links.get_mut(&id) {
                link.feed.telling_ids = next.map(|(arrival, _)| *arrival);
                link.feed.ids_room -= ids.len();
            }
            if !ids.is_empty() {
                let ids = ids.into_iter().map(|(_, id)| id).collect();
                self.send_control(id, &Ids { ids }.encode(), now);
            }
        }
    }

    /// Returns what is still to be told on a link, if there is room to.
    fn has_to_tell<T>(&self, id: LinkId, what: impl Fn(&Feed) -> Option<T>) -> Option<T> {
        let link = self.links.get(&id).filter(|link| link.is_established())?;
        what(&link.feed).filter(|_| link.outbox.has_room())
    }

    /// Notes that the neighbours do not know all that this node has.
    pub(super) fn note_news(&mut self, now: Instant) {
        self.delivery.news += 1;
        if self.delivery.news == 1 {
            // A message is news to all nodes within moments, and whoever is told need not tell. So they take turns.
            let longest = self.config.have_interval;
            let most = u64::try_from(longest.as_micros() / 2).unwrap_or(u64::MAX);
            let earlier = Duration::from_micros(self.chance.below(most));
            let at = now.saturating_add(longest.saturating_sub(earlier));
            self.timers.arm(Timer::Have, at);
        }
    }

    /// Tells the neighbours what came, if it is a lot.
    pub(super) fn tell_if_many(&mut self, now: Instant) {
        if self.delivery.news >= MANY {
            self.tell_news(now);
        }
    }

    /// Tells the neighbours what came since they were told. Those that are behind are told when they are not.
    pub(super) fn tell_news(&mut self, now: Instant) {
        self.delivery.news = 0;
        self.timers.cancel(Timer::Have);
        self.timers.cancel(Timer::Tell);
        if sabotaged!(self.config, Sabotage::NewsNotTold) {
            return;
        }
        let version = self.delivery.frontiers.version();
        let mut is_late = false;
        let mut to_tell = Vec::new();
        for link in self.peers.values() {
            let Some(link) = self.links.get(link) else {
                continue;
            };
            let told = link.feed.told.filter(|_| link.kind == PeerKind::Native);
            let Some(told) = told.filter(|told| *told != version) else {
                continue;
            };
            let is_busy = link.feed.behind.is_some() || link.feed.telling.is_some();
            if is_busy || !link.outbox.has_room() {
                is_late = true;
            } else {
                to_tell.push((link.id, told));
            }
        }
        let oldest = to_tell.iter().map(|(_, told)| *told).min();
        let all = self.haves(oldest.unwrap_or(version), version, MUCH, now);
        let mut last = News::default();
        for (id, told) in to_tell {
            let Some(link) = self.links.get_mut(&id) else {
                continue;
            };
            let known = link.feed.tell(version);
            if all.len() == MUCH {
                link.feed.telling = Some(Telling {
                    after: told,
                    upto: version,
                    is_first: false,
                });
                self.tell_on(id, now);
                continue;
            }
            let entries = self.haves_for(id, &all, told, &known, now);
            if entries != last.entries {
                last = self.news(entries, now);
            }
            for message in &mut last.messages {
                self.send_encoded(id, message, None, now);
            }
        }
        if is_late {
            let at = now.saturating_add(self.config.have_interval);
            self.timers.arm(Timer::Have, at);
        }
    }

    /// Makes the messages that tell news. Most neighbours get the same ones.
    fn news(&self, entries: Vec<HaveEntry>, now: Instant) -> News {
        let is_complete = false;
        let messages = batches(entries.clone()).into_iter().map(|entries| {
            let have = Have {
                entries,
                is_complete,
            };
            self.compose_whisper(&have.encode(), now)
        });
        News {
            messages: messages.collect(),
            entries,
        }
    }

    /// Returns what this node has of the streams that changed last after one version and not after another; at most so many,
    /// those that changed first.
    fn haves(&self, version: u64, upto: u64, most: usize, now: Instant) -> Vec<Had> {
        let changed = self.delivery.frontiers.changed_since(version);
        let changed = changed.take_while(|(changed, ..)| *changed <= upto);
        let had = changed
            .take(most)
            .map(|(version, stream, known)| self.had(version, stream, known, now));
        let skipped = usize::from(sabotaged!(self.config, Sabotage::HaveSkipsLast));
        had.skip(skipped).collect()
    }

    fn had(&self, version: u64, stream: &Stream, known: &StreamFrontier, now: Instant) -> Had {
        let low = self.kept_in(stream, 0, u64::MAX);
        let oldest = low.and_then(|(_, arrival)| self.delivery.log.get(arrival));
        let order = self.delivery.order.get(stream);
        let is_undecided = order.is_some_and(|order| order.undecided.is_some());
        let low = low.map_or(0, |(sequence, _)| sequence);
        // The usual case: no message of it has left the log, and none is missing before those that are here.
        let is_whole = !is_undecided
            && !self.delivery.unkept.contains_key(stream)
            && (low <= 1 || known.contains(low - 1));
        Had {
            version,
            age: oldest.filter(|_| is_whole).map(|oldest| oldest.age(now)),
            entry: HaveEntry {
                origin: stream.origin.clone(),
                epoch: stream.epoch,
                upto: known.upto(),
                low,
                from: low,
                ranges: known.beyond().iter().collect(),
            },
        }
    }

    /// Returns what of this changed after a version, as one neighbour is to be told: without what it is known to have, too,
    /// but with its own, since it waits for others to have that.
    fn haves_for(
        &self,
        id: LinkId,
        all: &[Had],
        version: u64,
        known: &[u64],
        now: Instant,
    ) -> Vec<HaveEntry> {
        let link = self.links.get(&id);
        let reach = link.map_or(Duration::MAX, |link| link.feed.reach(now));
        let is_news = |had: &&Had| {
            known.binary_search(&had.version).is_err()
                || link.is_some_and(|link| link.leads_to(&had.entry.origin))
        };
        let all = &all[all.partition_point(|had| had.version <= version)..];
        let entries = all.iter().filter(is_news);
        entries.map(|had| self.have_of(had, reach, now)).collect()
    }

    /// Returns how a neighbour with this reach is told of a stream.
    fn have_of(&self, had: &Had, reach: Duration, now: Instant) -> HaveEntry {
        let mut entry = had.entry.clone();
        if had.age.is_none_or(|age| age > reach) {
            entry.from = self.beginning_for(&entry, reach, now);
        }
        entry
    }

    fn beginning_for(&self, entry: &HaveEntry, reach: Duration, now: Instant) -> u64 {
        let stream = Stream {
            origin: entry.origin.clone(),
            epoch: entry.epoch,
        };
        let low = (entry.low > 0).then_some(entry.low);
        let known = self.delivery.frontiers.get(&stream);
        known.map_or(0, |known| self.beginning(&stream, known, low, reach, now))
    }

    /// Returns the first sequence of a stream that a node with this reach wants for its application; 0 if it is not known.
    ///
    /// A sender's messages are the younger the higher their sequence, so the place is found by halving.
    fn beginning(
        &self,
        stream: &Stream,
        known: &StreamFrontier,
        low: Option<u64>,
        reach: Duration,
        now: Instant,
    ) -> u64 {
        let order = self.delivery.order.get(stream);
        if order.is_some_and(|order| order.undecided.is_some()) {
            return 0;
        }
        // Of what is not here any more it may want some: then it is to know that there was something.
        let unkept = self.delivery.unkept.get(stream);
        let wants_unkept = unkept.is_some_and(|unkept| unkept.age(now) <= reach)
            && !sabotaged!(self.config, Sabotage::EvictedTakenForOld);
        let Some(low) = low else {
            return if wants_unkept {
                1
            } else {
                known.highest().saturating_add(1)
            };
        };
        let next = |from: u64| self.kept_in(stream, from, u64::MAX);
        // The first that is kept at or above `old` is too old, if any is; that at or above `young` is not.
        let (mut old, mut young) = (low, known.highest().saturating_add(1));
        let is_old = |from: u64| {
            let entry = next(from).and_then(|(_, arrival)| self.delivery.log.get(arrival));
            entry.is_some_and(|entry| entry.age(now) > reach)
        };
        if !is_old(low) {
            return match low.checked_sub(1) {
                _ if wants_unkept => 1,
                // What was never here may be younger, too.
                Some(before) if before > 0 && !known.contains(before) => 0,
                _ => low,
            };
        }
        while young - old > 1 {
            let middle = old + (young - old) / 2;
            if is_old(middle) {
                old = middle;
            } else {
                young = middle;
            }
        }
        next(old).map_or(young, |(sequence, _)| sequence.saturating_add(1))
    }

    /// Tells a peer that has just told all what this node has of the peer's own streams, if it was told nothing since the logs
    /// looked alike from here: to the peer they did not, as something had come meanwhile. It waits for that, and it is no news.
    pub(super) fn confirm_own(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let is_alike = std::mem::take(&mut link.feed.is_alike);
        if !is_alike || sabotaged!(self.config, Sabotage::AlikeNotConfirmed) {
            return;
        }
        let (Some(peer), reach) = (link.peer_id().cloned(), link.feed.reach(now)) else {
            return;
        };
        let own = self.delivery.frontiers.of_origin(&peer);
        let own = own.map(|(stream, known)| {
            let had = self.had(0, stream, known, now);
            self.have_of(&had, reach, now)
        });
        for entries in batches(own) {
            let is_complete = false;
            let have = Have {
                entries,
                is_complete,
            };
            self.send_control(id, &have.encode(), now);
        }
    }
}
