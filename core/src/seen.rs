//! The seen cache: which broadcasts were here already.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use crate::id::MessageId;
use crate::time::Instant;

/// How many generations share the time to live. Expiry drops one whole: constant time per message.
const GENERATIONS: u32 = 5;

/// A set of message ids, each kept for at least `ttl` from when it came, by our own clock. The
/// sender's clock has no say, but for a message from the future: legacy nodes remember that one
/// until a minute after its time, and so does this set.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    ttl: Duration,
    max: usize,
    /// The youngest first.
    generations: VecDeque<Generation>,
    len: usize,
    /// Ids to be kept longer than `ttl`.
    future: BTreeSet<(Instant, MessageId)>,
    future_ids: BTreeSet<MessageId>,
}

#[derive(Clone, Debug)]
struct Generation {
    /// Until when ids join it.
    grows: Instant,
    /// When the last of them has been here for its time.
    ends: Instant,
    ids: IdSet,
}

/// What adding an id came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Insert {
    /// It was here already.
    Duplicate,
    /// It is new. So many others had to be forgotten before their time.
    New { forgotten: usize },
}

impl Seen {
    pub(crate) fn new(ttl: Duration, max: usize) -> Self {
        Self {
            ttl,
            max,
            generations: VecDeque::new(),
            len: 0,
            future: BTreeSet::new(),
            future_ids: BTreeSet::new(),
        }
    }

    pub(crate) fn contains(&self, id: &MessageId) -> bool {
        self.generations
            .iter()
            .any(|generation| generation.ids.contains(id))
            || (!self.future_ids.is_empty() && self.future_ids.contains(id))
    }

    pub(crate) fn insert(&mut self, id: MessageId, keep: Duration, now: Instant) -> Insert {
        self.expire(now);
        if self.contains(&id) {
            return Insert::Duplicate;
        }
        let forgotten = self.make_room();
        if keep > self.ttl {
            self.future.insert((now.saturating_add(keep), id));
            self.future_ids.insert(id);
        } else {
            self.youngest(now).insert(id);
        }
        self.len += 1;
        Insert::New { forgotten }
    }

    /// Returns how many ids are remembered.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    fn youngest(&mut self, now: Instant) -> &mut IdSet {
        let young = self.generations.front();
        if young.is_none_or(|young| young.grows <= now) {
            let grows = now.saturating_add(self.ttl / (GENERATIONS - 1));
            self.generations.push_front(Generation {
                grows,
                ends: grows.saturating_add(self.ttl),
                ids: IdSet::default(),
            });
        }
        &mut self.generations[0].ids
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(old) = self.generations.back() {
            if now <= old.ends {
                break;
            }
            self.len -= old.ids.len();
            self.generations.pop_back();
        }
        while let Some(&(until, id)) = self.future.first() {
            if until > now {
                break;
            }
            self.forget_future(until, id);
        }
    }

    fn make_room(&mut self) -> usize {
        if self.len < self.max {
            return 0;
        }
        if let Some(old) = self.generations.pop_back() {
            self.len -= old.ids.len();
            return old.ids.len();
        }
        let Some(&(until, id)) = self.future.first() else {
            return 0;
        };
        self.forget_future(until, id);
        1
    }

    fn forget_future(&mut self, until: Instant, id: MessageId) {
        self.future.remove(&(until, id));
        self.future_ids.remove(&id);
        self.len -= 1;
    }
}

#[expect(
    clippy::disallowed_types,
    reason = "a set of a million ids has to be fast; it is never iterated, and its hasher is fixed"
)]
type IdSet = std::collections::HashSet<MessageId, BuildHasherDefault<IdHasher>>;

/// Takes eight bytes of the id as its hash: it is a SHA-256, so they are as good as any.
///
/// Whoever can afford to make many messages whose ids agree in their low bits gains little: within
/// the limit of the set, a look-up stays a search through ids of his own.
#[derive(Clone, Copy, Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // The set hashes a length first, through `write_usize`, and then the 32 bytes.
        if let Some(middle) = bytes.get(12..20).and_then(<[u8]>::first_chunk) {
            self.0 = u64::from_ne_bytes(*middle);
        }
    }

    fn write_usize(&mut self, _len: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(75);

    fn id(n: u32) -> MessageId {
        MessageId::of(&n.to_be_bytes())
    }

    fn at(secs: u64) -> Instant {
        Instant::from_micros(secs * 1_000_000)
    }

    const NEW: Insert = Insert::New { forgotten: 0 };

    #[test]
    fn an_id_is_kept_for_its_time_and_not_for_ever() {
        for arrival in [0, 3, 18, 19, 40] {
            let mut seen = Seen::new(TTL, 1000);
            seen.insert(id(0), TTL, at(0));
            assert_eq!(seen.insert(id(1), TTL, at(arrival)), NEW);
            assert_eq!(
                seen.insert(id(1), TTL, at(arrival + 75)),
                Insert::Duplicate,
                "came at {arrival}"
            );
            assert_eq!(seen.insert(id(1), TTL, at(arrival + 120)), NEW);
        }
    }

    #[test]
    fn a_message_from_the_future_is_remembered_until_after_its_time() {
        let mut seen = Seen::new(TTL, 1000);
        assert_eq!(seen.insert(id(1), Duration::from_secs(3600), at(0)), NEW);
        assert_eq!(seen.insert(id(2), TTL, at(3000)), NEW);
        assert_eq!(seen.insert(id(1), TTL, at(3599)), Insert::Duplicate);
        assert_eq!(seen.insert(id(1), TTL, at(3601)), NEW);
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn the_limit_holds_and_the_oldest_go_first() {
        let mut seen = Seen::new(TTL, 10);
        for n in 0..10 {
            assert_eq!(seen.insert(id(n), TTL, at(u64::from(n) * 5)), NEW);
        }
        let Insert::New { forgotten } = seen.insert(id(10), TTL, at(50)) else {
            panic!("it is new");
        };
        assert!((1..10).contains(&forgotten), "{forgotten}");
        assert!(!seen.contains(&id(0)));
        assert!(seen.contains(&id(9)) && seen.contains(&id(10)));
        assert!(seen.len() <= 10);
    }

    #[test]
    fn a_flood_from_the_future_is_bounded_too() {
        let mut seen = Seen::new(TTL, 10);
        for n in 0..100 {
            seen.insert(id(n), Duration::from_secs(1 << 40), at(0));
            assert!(seen.len() <= 10);
        }
        assert!(seen.contains(&id(99)));
    }
}
