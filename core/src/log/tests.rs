use std::collections::{BTreeMap, BTreeSet};
use std::mem::size_of;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::encode::ALIGNMENT;

const OWN: &str = "own";

const NONE: [u64; 0] = [];

/// Room for ten messages of 100 bytes.
const LIMITS: Limits = Limits {
    max_len: 10 * (ENTRY_LEN + 100),
    max_count: 1000,
    max_age: Duration::from_secs(60),
    origin_parts: 5,
    own_parts: 2,
};

fn at(secs: u64) -> Instant {
    Instant::from_micros(secs * 1_000_000)
}

fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

fn packed(len: usize) -> Bytes {
    vec![7; len].into()
}

/// A message of 100 bytes without a name, whose id says its number.
fn entry(sender: &str, number: u8, now: Instant) -> Entry {
    Entry {
        id: MessageId::from_bytes([number; 32]),
        body: Body::Packed(packed(100)),
        sender: node(sender),
        name: None,
        time: 1,
        from: None,
        is_own: sender == OWN,
        received_at: now,
        carried_age: Duration::ZERO,
    }
}

fn named(sender: &str, epoch: u64, sequence: u64) -> Entry {
    Entry {
        name: Name::new(epoch, sequence),
        ..entry(sender, 0, at(0))
    }
}

/// Adds a message and returns the arrivals of those that had to go.
fn push(log: &mut Log, entry: Entry) -> Vec<u64> {
    let mut evicted = Vec::new();
    log.push(entry, &mut evicted);
    assert!(evicted.iter().all(|gone| gone.why == EvictReason::Room));
    numbers(&evicted)
}

fn numbers(evicted: &[Evicted]) -> Vec<u64> {
    evicted.iter().map(|gone| gone.arrival.0).collect()
}

fn arrivals(log: &Log) -> Vec<u64> {
    let all = log.since(Arrival::FIRST);
    all.map(|(arrival, _)| arrival.0).collect()
}

/// A log with one message of each of these senders.
fn log_of(senders: &[&str]) -> Log {
    let mut log = Log::new(LIMITS);
    for sender in senders {
        assert_eq!(push(&mut log, entry(sender, 0, at(0))), NONE);
    }
    log
}

#[test]
fn a_lone_talker_may_have_all_of_it_and_then_the_oldest_goes() {
    let mut log = log_of(&["A"; 10]);
    assert_eq!(log.memory(), LIMITS.max_len);
    assert_eq!(push(&mut log, entry("A", 0, at(0))), [0]);
    assert_eq!(push(&mut log, entry("A", 0, at(0))), [1]);
    assert_eq!(arrivals(&log), (2..12).collect::<Vec<_>>());
    assert_eq!(log.memory(), LIMITS.max_len);
}

#[test]
fn whoever_holds_more_than_a_share_makes_room_for_all() {
    // The share is two messages. A has one and B two, which is just that; C has seven.
    let mut log = log_of(&["A", "B", "B", "C", "C", "C", "C", "C", "C", "C"]);
    assert_eq!(push(&mut log, entry("A", 0, at(0))), [3]);
    assert_eq!(push(&mut log, entry("C", 0, at(0))), [4]);
    assert_eq!(
        push(&mut log, entry("B", 0, at(0))),
        [1],
        "B is over it now"
    );
    assert_eq!(push(&mut log, entry("D", 0, at(0))), [5]);
}

#[test]
fn of_those_within_their_shares_the_oldest_makes_room() {
    let mut log = log_of(&["A", "A", "B", "B", "C", "C", "D", "D", "E", "E"]);
    assert_eq!(push(&mut log, entry("F", 0, at(0))), [0]);
    assert_eq!(push(&mut log, entry("F", 0, at(0))), [1]);
    assert_eq!(push(&mut log, entry("A", 0, at(0))), [2]);
}

#[test]
fn shares_are_of_the_count_too() {
    let mut log = Log::new(Limits {
        max_len: usize::MAX,
        max_count: 10,
        ..LIMITS
    });
    for sender in ["A", "B", "B", "B", "C", "C", "D", "D", "E", "E"] {
        assert_eq!(push(&mut log, entry(sender, 0, at(0))), NONE);
    }
    assert_eq!(push(&mut log, entry("F", 0, at(0))), [1]);
    assert_eq!(push(&mut log, entry("F", 0, at(0))), [0]);
    assert_eq!(log.count(), 10);
}

#[test]
fn the_newest_goes_last_and_not_at_all_if_it_fits_alone() {
    let of_len = |len: usize| Entry {
        body: Body::Packed(packed(len)),
        ..entry("A", 0, at(0))
    };
    let max_len = LIMITS.max_len - ENTRY_LEN;
    let mut log = log_of(&["B", "B", "C"]);
    assert_eq!(push(&mut log, of_len(max_len)), [0, 1, 2]);
    assert_eq!(push(&mut log, of_len(max_len + 1)), [3, 4]);
    assert_eq!((log.count(), log.memory(), log.oldest()), (0, 0, None));
    assert_eq!(log.next_arrival().0, 5);
    // Beside what is pinned it does not fit, either.
    let mut log = log_of(&[OWN, "B"]);
    assert_eq!(push(&mut log, of_len(max_len)), [1, 2]);
    assert_eq!(arrivals(&log), [0]);
}

#[test]
fn own_messages_stay_until_they_are_unpinned() {
    let mut log = log_of(&[OWN, OWN, "A", "A", "A"]);
    let mut evicted = Vec::new();
    for n in 0..100 {
        let sender = ["A", "B", "C"][n % 3];
        log.push(entry(sender, 0, at(0)), &mut evicted);
        assert!(log.memory() <= LIMITS.max_len);
    }
    log.expire(at(1000), &mut evicted);
    assert_eq!(arrivals(&log), [0, 1], "whatever their age");
    assert_eq!(log.deadline(), None);
    assert_eq!(log.pinned_count(), 2);

    evicted.clear();
    log.unpin(Arrival(0), &mut evicted);
    log.unpin(Arrival(0), &mut evicted);
    assert_eq!(evicted, [], "there is room for it");
    assert_eq!(log.deadline(), Some(at(60)));
    log.expire(at(60), &mut evicted);
    assert_eq!(numbers(&evicted), [0]);
    assert_eq!(evicted[0].why, EvictReason::Age);
    assert_eq!(log.pinned_count(), 1);
}

#[test]
fn what_is_unpinned_makes_the_room_that_it_took() {
    let mut log = log_of(&[OWN; 10]);
    assert_eq!(push(&mut log, entry(OWN, 0, at(0))), NONE);
    assert_eq!(log.memory(), LIMITS.max_len + ENTRY_LEN + 100);
    let mut evicted = Vec::new();
    log.unpin(Arrival(7), &mut evicted);
    assert_eq!(numbers(&evicted), [7]);
    assert_eq!(push(&mut log, entry("A", 0, at(0))), [11], "all is pinned");
}

#[test]
fn any_message_can_be_pinned() {
    let mut log = log_of(&["A"; 10]);
    assert!(log.pin(Arrival(0)) && log.pin(Arrival(0)));
    assert!(!log.pin(Arrival(10)), "not here yet");
    assert_eq!(push(&mut log, entry("A", 0, at(0))), [1]);
    assert!(!log.pin(Arrival(1)), "gone");
    let mut evicted = Vec::new();
    for gone in [1, 10, 11] {
        log.unpin(Arrival(gone), &mut evicted);
    }
    log.unpin(Arrival(0), &mut evicted);
    assert_eq!(evicted, []);
    assert_eq!(push(&mut log, entry("A", 0, at(0))), [0]);
}

#[test]
fn what_is_pinned_has_to_be_within_the_owners_share() {
    let mut log = Log::new(LIMITS);
    for _ in 0..4 {
        push(&mut log, entry(OWN, 0, at(0)));
    }
    assert!(log.has_room_for_own(100));
    assert!(!log.has_room_for_own(101));
    assert!(!log.has_room_for_own(usize::MAX));
    push(&mut log, entry(OWN, 0, at(0)));
    assert!(!log.has_room_for_own(0));
    log.unpin(Arrival(2), &mut Vec::new());
    assert!(log.has_room_for_own(100));

    let mut log = Log::new(Limits {
        max_count: 2,
        ..LIMITS
    });
    assert!(log.has_room_for_own(0));
    push(&mut log, entry(OWN, 0, at(0)));
    assert!(!log.has_room_for_own(0));
}

#[test]
fn the_owner_has_a_larger_share() {
    let mut log = log_of(&[OWN, OWN, OWN, OWN, OWN, "A", "B", "B", "C", "C"]);
    for own in 0..5 {
        log.unpin(Arrival(own), &mut Vec::new());
    }
    assert_eq!(
        push(&mut log, entry("B", 0, at(0))),
        [6],
        "B is over its share"
    );
    assert_eq!(
        push(&mut log, entry(OWN, 0, at(0))),
        [0],
        "now the owner is"
    );
    assert_eq!(push(&mut log, entry("D", 0, at(0))), [1], "the oldest");
}

#[test]
fn an_age_that_was_carried_counts() {
    let mut log = Log::new(LIMITS);
    let mut evicted = Vec::new();
    let mut old = |carried: u64, now: u64| {
        let entry = Entry {
            carried_age: Duration::from_secs(carried),
            ..entry("A", 0, at(now))
        };
        log.push(entry, &mut evicted);
    };
    old(0, 10);
    old(50, 20);
    old(55, 30);
    old(1000, 40);
    let age = |n: u64| log.get(Arrival(n)).unwrap().age(at(45)).as_secs();
    assert_eq!([age(0), age(1), age(2), age(3)], [35, 75, 70, 1005]);
    assert_eq!(evicted, [], "time passes by `expire` only");

    assert_eq!(log.deadline(), Some(at(30)));
    log.expire(at(34), &mut evicted);
    assert_eq!(numbers(&evicted), [1]);
    assert_eq!(log.deadline(), Some(at(35)));
    log.expire(at(40), &mut evicted);
    assert_eq!(numbers(&evicted), [1, 2, 3]);
    assert_eq!(log.deadline(), Some(at(70)));
    log.expire(at(69), &mut evicted);
    assert_eq!(log.count(), 1);
    log.expire(at(70), &mut evicted);
    assert_eq!((log.count(), log.deadline()), (0, None));
    assert!(evicted.iter().all(|gone| gone.why == EvictReason::Age));
}

#[test]
fn a_message_is_found_by_its_name() {
    let mut log = Log::new(LIMITS);
    for (sender, epoch, sequence) in [
        ("A", 1, 5),
        ("A", 1, 3),
        ("A", 2, 4),
        ("B", 1, 4),
        ("A", 1, u64::MAX),
    ] {
        assert_eq!(push(&mut log, named(sender, epoch, sequence)), NONE);
    }
    assert_eq!(log.find(&node("A"), 1, 5), Some(Arrival(0)));
    assert_eq!(log.find(&node("A"), 1, 4), None);
    assert_eq!(log.find(&node("C"), 1, 5), None);
    let range = |range| log.range(&node("A"), 1, range).collect::<Vec<_>>();
    let all = [(3, Arrival(1)), (5, Arrival(0)), (u64::MAX, Arrival(4))];
    assert_eq!(range((0, u64::MAX)), all);
    assert_eq!(range((3, 5)), all[..2]);
    assert_eq!(range((4, 4)), []);
    assert_eq!(range((5, 3)), []);
    let lows = [("A", 1), ("A", 2), ("A", 3), ("B", 1), ("C", 1)];
    let lows = lows.map(|(origin, epoch)| log.low(&node(origin), epoch));
    assert_eq!(lows, [Some(3), Some(4), None, Some(4), None]);
    assert_eq!(log.find_id(&MessageId::from_bytes([0; 32])), None);
}

#[test]
fn of_two_with_one_name_it_is_the_firsts() {
    let mut log = Log::new(Limits {
        max_count: 2,
        ..LIMITS
    });
    push(&mut log, named("A", 1, 1));
    push(&mut log, named("A", 1, 1));
    assert_eq!(log.find(&node("A"), 1, 1), Some(Arrival(0)));
    assert_eq!(push(&mut log, named("A", 1, 1)), [0]);
    assert_eq!(log.find(&node("A"), 1, 1), None);
    assert_eq!(push(&mut log, named("A", 1, 1)), [1]);
    assert_eq!(log.find(&node("A"), 1, 1), Some(Arrival(3)));
    assert_eq!(push(&mut log, entry("A", 0, at(0))), [2]);
    assert_eq!(log.low(&node("A"), 1), Some(1));
}

#[test]
fn messages_without_names_are_listed_the_last_one_first() {
    let mut log = Log::new(LIMITS);
    for (number, secs) in [(1, 0), (2, 10), (3, 20), (4, 20)] {
        push(&mut log, entry("A", number, at(secs)));
    }
    push(
        &mut log,
        Entry {
            received_at: at(20),
            ..named("A", 1, 1)
        },
    );
    let ids = |secs| {
        let listed = log.ids(Duration::from_secs(secs), at(25));
        listed.map(|(_, id)| id.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!(ids(4), [0_u8; 0]);
    assert_eq!(ids(5), [4, 3]);
    assert_eq!(ids(100), [4, 3, 2, 1]);
    let third = MessageId::from_bytes([3; 32]);
    assert_eq!(log.find_id(&third), Some(Arrival(2)));
}

#[test]
fn messages_are_gone_through_from_any_number_on() {
    let mut log = log_of(&["A", "B", OWN, "C", "D", "E", "F", "G", "H", "I"]);
    for (sender, gone) in [("J", 0), ("K", 1), ("L", 3)] {
        assert_eq!(push(&mut log, entry(sender, 0, at(0))), [gone]);
    }
    let since = |number| {
        let all = log.since(Arrival(number));
        all.map(|(arrival, _)| arrival.0).collect::<Vec<_>>()
    };
    assert_eq!(log.oldest(), Some(Arrival(2)));
    assert_eq!(since(0), [2, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(since(3), [4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(since(12), [12]);
    assert_eq!(since(13), NONE);
    assert_eq!(since(u64::MAX), NONE);
}

#[test]
fn a_pinned_message_does_not_make_the_log_grow() {
    let mut log = log_of(&[OWN]);
    let mut evicted = Vec::new();
    for n in 0..100_000 {
        evicted.clear();
        let arrival = log.push(entry("A", 0, at(0)), &mut evicted);
        assert!(log.slots.len() <= 2 * log.count() + MIN_HOLES, "after {n}");
        assert!(log.get(arrival).is_some() && log.get(Arrival(0)).is_some());
        assert!(log.get(Arrival(1)).is_none() || n < 10);
    }
    assert!(log.slots.capacity() < 1000, "{}", log.slots.capacity());
}

#[test]
fn a_sender_is_forgotten_with_its_last_message() {
    let mut log = log_of(&["A", "B"]);
    assert_eq!(log.index.origins(), 2);
    log.expire(at(60), &mut Vec::new());
    assert_eq!(log.index.origins(), 0);
}

#[test]
fn all_messages_of_a_sender_share_its_id() {
    let log = log_of(&["A", "A"]);
    let id = |n: u64| log.get(Arrival(n)).unwrap().sender.as_str().as_ptr();
    assert_eq!(id(0), id(1));
}

#[test]
fn a_frame_is_sent_again_as_it_is() {
    let packed = packed(28);
    let id = MessageId::of(&packed);
    let frame = Encoder::new(id, packed.clone()).frame(None);
    assert!(frame.len().is_multiple_of(ALIGNMENT));
    let mut log = Log::new(LIMITS);
    for body in [Body::Frame(frame.clone()), Body::Packed(packed.clone())] {
        assert_eq!((body.packed(), body.packed_len()), (packed.clone(), 28));
        let entry = entry("A", 0, at(0));
        log.push(Entry { id, body, ..entry }, &mut Vec::new());
    }
    let before = log.memory();
    let kept = log.encoder(Arrival(0)).unwrap().frame(None);
    assert_eq!(kept.as_ptr(), frame.as_ptr());
    let made = log.encoder(Arrival(1)).unwrap().frame(None);
    assert_eq!(made, frame);
    let again = log.encoder(Arrival(1)).unwrap();
    assert_eq!(again.clone().frame(None).as_ptr(), made.as_ptr());
    assert_eq!(again.body(), Body::Frame(frame));
    assert_eq!(log.memory(), before);
    assert!(log.encoder(Arrival(2)).is_none());
    assert_eq!(
        Encoder::new(id, packed.clone()).body(),
        Body::Packed(packed)
    );
}

#[test]
fn an_entry_takes_no_more_than_it_counts_for() {
    // Every third place in the queue empty; trees as full as they are after ascending inserts: six of eleven places.
    let slot = size_of::<Slot>() * 4 / 3;
    let in_line = size_of::<Arrival>() * 4 / 3;
    let in_trees = [
        size_of::<(Instant, Arrival)>(),
        size_of::<(MessageId, Arrival)>(),
    ];
    let trees: usize = in_trees.iter().map(|len| len * 11 / 6 + 2).sum();
    // Length and checksum of a frame, the counter of those who share it, and what the allocator adds.
    let body = PREFIX_LEN + CHECKSUM_LEN + 24 + 2 * 16;
    let sum = slot + in_line + trees + body;
    assert!((ENTRY_LEN - 64..=ENTRY_LEN).contains(&sum), "{sum}");
}

/// What a log should do, in the plainest words.
struct Model {
    limits: Limits,
    entries: Vec<(Arrival, bool, Entry)>,
    next: Arrival,
}

impl Model {
    fn len(&self) -> usize {
        self.entries.iter().map(|(_, _, entry)| cost(entry)).sum()
    }

    fn is_over(&self, sender: &NodeId) -> bool {
        let all = self.entries.iter().map(|(_, _, entry)| entry);
        let held: Vec<&Entry> = all.filter(|entry| entry.sender == *sender).collect();
        let parts = match sender.as_str() {
            OWN => self.limits.own_parts,
            _ => self.limits.origin_parts,
        };
        let len: usize = held.iter().map(|entry| cost(entry)).sum();
        len > self.limits.max_len / parts || held.len() > self.limits.max_count / parts
    }

    fn push(&mut self, entry: Entry) -> Vec<u64> {
        let newest = self.next;
        self.entries.push((newest, entry.is_own, entry));
        self.next = newest.next();
        self.make_room(newest)
    }

    fn make_room(&mut self, newest: Arrival) -> Vec<u64> {
        let mut gone = Vec::new();
        while self.len() > self.limits.max_len || self.entries.len() > self.limits.max_count {
            let loose = |index: &usize| !self.entries[*index].1;
            let old = |index: &usize| loose(index) && self.entries[*index].0 != newest;
            let over = |index: &usize| old(index) && self.is_over(&self.entries[*index].2.sender);
            let all = 0..self.entries.len();
            let found = all.clone().find(over).or_else(|| all.clone().find(old));
            let Some(index) = found.or_else(|| all.clone().find(loose)) else {
                break;
            };
            gone.push(self.entries.remove(index).0.0);
        }
        gone
    }

    fn expire(&mut self, now: Instant) -> Vec<u64> {
        let max_age = self.limits.max_age;
        let is_due = |pinned: bool, entry: &Entry| !pinned && entry.age(now) >= max_age;
        let due = self
            .entries
            .extract_if(.., |(_, pinned, entry)| is_due(*pinned, entry));
        let mut gone: Vec<u64> = due.map(|(arrival, _, _)| arrival.0).collect();
        gone.sort_unstable();
        gone
    }

    fn deadline(&self) -> Option<Instant> {
        let loose = self.entries.iter().filter(|(_, pinned, _)| !pinned);
        let due = loose.map(|(_, _, entry)| {
            let left = self.limits.max_age.saturating_sub(entry.carried_age);
            entry.received_at.saturating_add(left)
        });
        due.min()
    }

    fn pin(&mut self, arrival: Arrival, pinned: bool) -> bool {
        let found = self
            .entries
            .iter_mut()
            .find(|(other, _, _)| *other == arrival);
        found.is_some_and(|entry| std::mem::replace(&mut entry.1, pinned) != pinned)
    }
}

fn cost(entry: &Entry) -> usize {
    entry.body.packed_len() + ENTRY_LEN
}

#[derive(Clone, Debug)]
enum Step {
    /// Of a sender, with a name or without, so long, so old.
    Push(usize, Option<(u64, u64)>, usize, u64),
    /// Of an arrival, counted back from the last.
    Pin(u64),
    Unpin(u64),
    Wait(u64),
}

const SENDERS: [&str; 6] = [OWN, "A", "A", "A", "B", "C"];

fn step() -> impl Strategy<Value = Step> {
    let name = proptest::option::of((1..3_u64, 1..9_u64));
    let len = prop_oneof![9 => 0..300_usize, 1 => 0..7000_usize];
    let carried = prop_oneof![4 => Just(0), 1 => 0..80_u64];
    let push = (0..SENDERS.len(), name, len, carried);
    prop_oneof![
        8 => push.prop_map(|(sender, name, len, old)| Step::Push(sender, name, len, old)),
        1 => (0..20_u64).prop_map(Step::Pin),
        3 => (0..30_u64).prop_map(Step::Unpin),
        2 => (0..20_u64).prop_map(Step::Wait),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let kinds = (0..8000_usize, 0..20_usize, 1..5_usize, 1..3_usize);
    kinds.prop_map(|(max_len, max_count, origin_parts, own_parts)| Limits {
        max_len,
        max_count,
        origin_parts,
        own_parts,
        ..LIMITS
    })
}

fn agree(log: &mut Log, model: &Model) {
    let all = log.since(Arrival::FIRST);
    let expected = model.entries.iter();
    let expected: Vec<_> = expected
        .map(|(arrival, _, entry)| (*arrival, entry))
        .collect();
    assert_eq!(all.collect::<Vec<_>>(), expected);
    assert_eq!(log.count(), model.entries.len());
    assert_eq!(log.memory(), model.len());
    assert_eq!(log.oldest(), expected.first().map(|(arrival, _)| *arrival));
    assert_eq!(log.next_arrival(), model.next);
    assert_eq!(log.deadline(), model.deadline());
    let pinned = model.entries.iter().filter(|(_, pinned, _)| *pinned);
    assert_eq!(log.pinned_count(), pinned.clone().count());
    let pinned_len: usize = pinned.map(|(_, _, entry)| cost(entry)).sum();
    assert_eq!(log.pinned_len, pinned_len);
    for number in 0..=model.next.0 {
        let arrival = Arrival(number);
        let entry = expected.iter().find(|(other, _)| *other == arrival);
        assert_eq!(log.get(arrival), entry.map(|(_, entry)| *entry));
        let since = log.since(arrival).map(|(arrival, _)| arrival);
        let rest = expected.iter().map(|(arrival, _)| *arrival);
        assert!(since.eq(rest.filter(|other| *other >= arrival)));
    }
    assert!(log.slots.len() <= 2 * log.count() + MIN_HOLES);
}

proptest! {
    #[test]
    fn a_log_does_what_its_model_does(limits in limits(), steps in vec(step(), 0..120)) {
        let mut log = Log::new(limits);
        let mut model = Model { limits, entries: Vec::new(), next: Arrival::FIRST };
        let mut now = at(0);
        for step in steps {
            let mut evicted = Vec::new();
            let back = |by: u64| Arrival(model.next.0.saturating_sub(by));
            let gone = match step {
                Step::Push(sender, name, len, carried) => {
                    let entry = Entry {
                        body: Body::Packed(packed(len)),
                        name: name.and_then(|(epoch, sequence)| Name::new(epoch, sequence)),
                        carried_age: Duration::from_secs(carried),
                        ..entry(SENDERS[sender], 0, now)
                    };
                    prop_assert_eq!(log.push(entry.clone(), &mut evicted), model.next);
                    model.push(entry)
                }
                Step::Pin(by) => {
                    let arrival = back(by);
                    prop_assert_eq!(log.pin(arrival), log.get(arrival).is_some());
                    model.pin(arrival, true);
                    Vec::new()
                }
                Step::Unpin(by) => {
                    let arrival = back(by);
                    log.unpin(arrival, &mut evicted);
                    let is_loose = model.pin(arrival, false);
                    if is_loose { model.make_room(model.next) } else { Vec::new() }
                }
                Step::Wait(secs) => {
                    now = now.saturating_add(Duration::from_secs(secs));
                    log.expire(now, &mut evicted);
                    prop_assert!(log.deadline().is_none_or(|deadline| deadline > now));
                    let mut gone = model.expire(now);
                    // In which order is of no matter: the log's is by when they were due.
                    let mut got = numbers(&evicted);
                    got.sort_unstable();
                    prop_assert_eq!(&got, &gone);
                    gone = numbers(&evicted);
                    gone
                }
            };
            prop_assert_eq!(numbers(&evicted), gone);
            agree(&mut log, &model);
        }
    }

    #[test]
    fn names_find_what_is_there(
        limits in limits(),
        pushes in vec((1..4_usize, proptest::option::of((1..3_u64, 1..6_u64))), 0..100),
    ) {
        let mut log = Log::new(limits);
        // A name, or an id where there is none, is of the first that claims it, as long as that is there.
        let mut firsts = BTreeMap::new();
        let key = |entry: &Entry| match entry.name {
            Some(name) => (Some((entry.sender.clone(), name)), None),
            None => (None, Some(entry.id)),
        };
        let mut keys = BTreeSet::new();
        for (number, (sender, name)) in pushes.into_iter().enumerate() {
            let name = name.and_then(|(epoch, sequence)| Name::new(epoch, sequence));
            let id = u8::try_from(number % 7).unwrap();
            let entry = Entry { name, ..entry(SENDERS[sender], id, at(0)) };
            keys.insert(key(&entry));
            firsts.entry(key(&entry)).or_insert_with(|| log.next_arrival());
            let mut evicted = Vec::new();
            log.push(entry, &mut evicted);
            for gone in evicted {
                let key = key(&gone.entry);
                if firsts.get(&key) == Some(&gone.arrival) {
                    firsts.remove(&key);
                }
            }
            for key in &keys {
                let found = match key {
                    (Some((sender, name)), _) => log.find(sender, name.epoch(), name.sequence()),
                    (None, id) => id.and_then(|id| log.find_id(&id)),
                };
                prop_assert_eq!(found.as_ref(), firsts.get(key));
            }
            for sender in ["A", "B", "C"].map(node) {
                for epoch in 1..3 {
                    let range: Vec<_> = log.range(&sender, epoch, (2, 4)).collect();
                    let each = (2..=4).filter_map(|n| Some((n, log.find(&sender, epoch, n)?)));
                    prop_assert_eq!(range, each.collect::<Vec<_>>());
                    let low = (1..6).find(|n| log.find(&sender, epoch, *n).is_some());
                    prop_assert_eq!(log.low(&sender, epoch), low);
                }
            }
        }
    }
}
