//! Messages to one node by way of others.

use std::time::Duration;

use proptest::prelude::*;

use super::net::Net;
use super::solo::*;
use crate::chance::Chance;
use crate::wire::control::Control;
use crate::wire::letter::{Content, Letter, Obstacle, Receipt, Seek};
use crate::wire::message::MainType;
use crate::wire::native::kind;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// Nodes that dial nobody of their own accord; the last of them cannot be dialled.
fn thin(count: usize, seed: u8) -> Net {
    Net::with(count, seed, |n, config| {
        config.max_dialed = 0;
        config.probe_interval = SECOND * 100_000;
        if n + 1 == count {
            config.advertised = None;
        }
    })
}

fn chain(count: usize, seed: u8) -> Net {
    let mut net = thin(count, seed);
    for n in 1..count {
        net.connect(n, n - 1).unwrap();
    }
    net.run(SECOND * 3);
    net
}

fn send(net: &mut Net, from: usize, to: usize, text: &str) -> SendId {
    let to = net.nodes[to].state.id().clone();
    let sent = net.with_state(from, |state, now| state.send_to(&to, text, now));
    sent.expect("accepted")
}

fn outcomes(net: &Net, n: usize) -> Vec<(SendId, SendOutcome)> {
    let events = net.nodes[n].events.iter();
    let sent = events.filter_map(|event| match event {
        Event::Sent { send, outcome } => Some((*send, outcome.clone())),
        _ => None,
    });
    sent.collect()
}

#[test]
pub(super) fn a_node_that_cannot_be_dialled_and_never_said_anything_is_reached() {
    let mut net = chain(6, 1);
    let dials = net.dials;
    let there = send(&mut net, 0, 5, "are you there");
    let back = send(&mut net, 5, 0, "am I heard");
    net.run(SECOND * 3);
    assert_eq!(net.texts(5), ["are you there"]);
    assert_eq!(net.texts(0), ["am I heard"]);
    assert_eq!(outcomes(&net, 0), [(there, SendOutcome::Delivered)]);
    assert_eq!(outcomes(&net, 5), [(back, SendOutcome::Delivered)]);
    assert_eq!(net.dials, dials);
    for n in 1..5 {
        assert_eq!(net.texts(n), [""; 0], "it is none of node {n}'s business");
    }
}

#[test]
pub(super) fn a_message_that_loses_its_way_finds_another() {
    // A ring: 0 to 3 by 1, 2, or by 5, 4.
    for seed in 0..20 {
        let mut net = thin(7, seed);
        for n in 1..6 {
            net.connect(n, n - 1).unwrap();
        }
        net.connect(5, 0).unwrap();
        net.run(SECOND * 3);
        net.broadcast(3, "here I am");
        net.run(SECOND);
        let sent = send(&mut net, 0, 3, "to you");
        net.run(Duration::from_millis(u64::from(seed) * 10));
        net.cut(1, 2);
        net.run(SECOND * 20);
        assert_eq!(net.texts(3), ["to you"], "seed {seed}");
        assert_eq!(
            outcomes(&net, 0),
            [(sent, SendOutcome::Delivered)],
            "seed {seed}"
        );
    }
}

#[test]
pub(super) fn a_way_that_dies_without_a_word_is_given_up_for_another() {
    let mut net = thin(7, 3);
    for n in 1..6 {
        net.connect(n, n - 1).unwrap();
    }
    net.connect(5, 0).unwrap();
    net.run(SECOND * 3);
    send(&mut net, 0, 3, "first");
    net.run(SECOND * 3);
    net.swallow(1, 2);
    net.swallow(4, 3);
    send(&mut net, 0, 3, "nobody can");
    net.run(SECOND * 9);
    net.heal();
    net.swallow(1, 2);
    net.run(SECOND * 20);
    assert_eq!(net.texts(3), ["first", "nobody can"]);
    let outcomes = outcomes(&net, 0).into_iter().map(|(_, outcome)| outcome);
    assert_eq!(
        outcomes.collect::<Vec<_>>(),
        [SendOutcome::Delivered, SendOutcome::Delivered]
    );
}

#[test]
fn what_is_cut_off_is_told_in_time() {
    let mut net = chain(4, 2);
    net.broadcast(3, "here I am");
    net.run(SECOND * 2);
    net.cut(2, 3);
    let lost = send(&mut net, 0, 3, "too late");
    net.run(SECOND * 12);
    // The node at the end of its way said that it goes no further.
    assert_eq!(outcomes(&net, 0), [(lost, SendOutcome::NotFound)]);
    net.swallow(1, 2);
    net.cut(0, 2);
    let unknown = send(&mut net, 0, 2, "perhaps");
    net.run(SECOND * 31);
    assert_eq!(outcomes(&net, 0)[1], (unknown, SendOutcome::Unacknowledged));
    net.heal();
    net.run(SECOND * 100);
    assert_eq!(
        net.texts(3),
        [""; 0],
        "what was given up does not come later"
    );
}

/// Text that no compression method makes much shorter.
fn noise(len: usize) -> String {
    let mut chance = Chance::new([7; 32]);
    let bytes = std::iter::repeat_with(|| chance.bytes()).flatten();
    bytes
        .map(|byte| char::from(b'!' + byte % 90))
        .take(len)
        .collect()
}

#[test]
pub(super) fn a_long_message_goes_over_many_links() {
    let mut net = chain(5, 4);
    let long = noise(1 << 20);
    let sent = send(&mut net, 0, 4, &long);
    // All that the link has room for is the long one.
    let to = net.nodes[4].state.id().clone();
    let refused = net.with_state(0, |state, now| state.send_to(&to, "short", now));
    assert_eq!(refused, Err(SendError::Full));
    let has_room = |net: &Net| net.nodes[0].events.contains(&Event::Room);
    while !has_room(&net) {
        net.run(SECOND / 10);
    }
    let short = send(&mut net, 0, 4, "short");
    net.run(SECOND * 29);
    let mut texts = net.texts(4);
    texts.sort_by_key(String::len);
    assert!(texts == ["short".to_owned(), long], "{}", texts.len());
    let outcomes = outcomes(&net, 0);
    for send in [sent, short] {
        assert!(
            outcomes.contains(&(send, SendOutcome::Delivered)),
            "{outcomes:?}"
        );
    }
}

#[test]
pub(super) fn many_messages_at_once_all_arrive_or_are_refused_at_the_call() {
    let mut net = chain(3, 5);
    let mut accepted = 0;
    let to = net.nodes[2].state.id().clone();
    for n in 0..5000 {
        match net.with_state(0, |state, now| state.send_to(&to, n, now)) {
            Ok(_) => accepted += 1,
            Err(SendError::Full | SendError::TooManySearches { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    net.run(SECOND * 25);
    assert_eq!(net.nodes[2].messages.len(), accepted);
    let delivered = outcomes(&net, 0).into_iter();
    let delivered = delivered.filter(|(_, outcome)| *outcome == SendOutcome::Delivered);
    assert_eq!(delivered.count(), accepted);
    assert!(accepted >= 256, "{accepted}");
}

fn letter(from: &str, whom: &str, name: (u64, u64), text: &str) -> (Letter, bytes::Bytes) {
    let mut author = Legacy::carrier(from);
    author.time = EPOCH;
    let packed: bytes::Bytes = author.pack(2, &2.into(), &Payload::from(text)).into();
    let content = Content::Message {
        name,
        whom: id(whom),
        packed: packed.clone(),
    };
    let letter = Letter {
        to: id("?"),
        from: id(from),
        hops: 9,
        content,
    };
    (letter, packed)
}

fn feed_letter(solo: &mut Solo, link: LinkId, peer: &str, letter: &Letter) {
    let frame = Legacy::carrier(peer).text_frame(2, "rs2p", &letter.encode().packets);
    solo.feed(link, &frame);
}

/// Takes the letters that were sent on a link.
fn letters(solo: &mut Solo, link: LinkId) -> Vec<Letter> {
    let sent = solo.sent(link).into_iter();
    let letters = sent.filter_map(|sent| match sent.control {
        Control::Native(native) if native.kind == kind::LETTER => {
            Letter::parse(&native).expect("we send good letters")
        }
        _ => None,
    });
    letters.collect()
}

#[test]
pub(super) fn a_legacy_neighbour_gets_a_letters_message_as_a_whisper_once() {
    let mut solo = Solo::new();
    let own = solo.state.id().clone();
    let legacy = solo.py2p("P");
    let link = solo.carrier("N");
    let (mut letter, packed) = letter("Far", "P", (7, 1), "psst");
    letter.to = own.clone();
    for _ in 0..3 {
        feed_letter(&mut solo, link, "N", &letter);
    }
    let sent = solo.sent(legacy);
    assert_eq!(user_texts(&sent), ["psst"]);
    assert_eq!(
        sent[0].packed.bytes(),
        &packed,
        "a plain whisper of who wrote it"
    );
    assert_eq!(sent[0].packed.main(), MainType::Whisper);
    let receipts = letters(&mut solo, link);
    assert_eq!(receipts.len(), 3);
    for receipt in receipts {
        let content = Content::Receipt {
            name: (7, 1),
            receipt: Receipt::HandedOver,
        };
        assert_eq!((receipt.to, receipt.content), (id("Far"), content));
    }
    // Once it is gone it is said so, and nothing is noted.
    solo.close(legacy);
    let (mut next, _) = self::letter("Far", "P", (7, 2), "more");
    next.to = own;
    feed_letter(&mut solo, link, "N", &next);
    let said = letters(&mut solo, link);
    let no_way = Content::NoWay {
        name: (7, 2),
        lost: id("P"),
        why: Obstacle::NoLink,
    };
    assert_eq!(said[0].content, no_way);
}

#[test]
pub(super) fn nothing_of_letters_goes_to_who_does_not_know_them() {
    let mut solo = Solo::new();
    let old = solo.native("Old");
    let legacy = solo.js2p("J");
    let link = solo.carrier("N");
    let seek = Seek {
        wanted: id("Nobody"),
        seeker: id("Far"),
        nonce: 1,
        hops: 5,
    };
    let frame = Legacy::carrier("N").text_frame(2, "rs2p", &seek.encode().packets);
    solo.feed(link, &frame);
    assert!(solo.sent(old).is_empty() && solo.sent(legacy).is_empty());
    // A message for such a native node is a plain whisper.
    solo.state.send_to(&id("Old"), "plain", solo.now).unwrap();
    solo.drain();
    assert_eq!(user_texts(&solo.sent(old)), ["plain"]);
    let is_sent = |event: &Event| {
        let Event::Sent { outcome, .. } = event else {
            return false;
        };
        *outcome == SendOutcome::Sent { link: old }
    };
    assert!(solo.events.iter().any(is_sent), "{:?}", solo.events);
}

#[test]
fn what_a_gateway_may_have_handed_over_waits_for_its_word_when_the_receiver_is_linked() {
    let mut solo = Solo::new();
    let own = solo.state.id().clone();
    let link = solo.carrier("N");
    let sent = solo.state.send_to(&id("P"), "psst", solo.now).unwrap();
    solo.drain();
    let found = Letter {
        to: own,
        from: id("N"),
        hops: 9,
        content: Content::Found {
            wanted: id("P"),
            nonce: 1,
        },
    };
    feed_letter(&mut solo, link, "N", &found);
    let gone = letters(&mut solo, link);
    assert!(matches!(&gone[..], [one] if one.to == id("N")), "{gone:?}");
    // Its receipt does not come, and the receiver does.
    let legacy = solo.py2p("P");
    solo.pass(SECOND * 29);
    assert!(user_texts(&solo.sent(legacy)).is_empty());
    let end = |outcome: SendOutcome| Event::Sent {
        send: sent,
        outcome,
    };
    let events = solo.take_events();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Sent { .. }))
    );
    solo.pass(SECOND * 2);
    let events = solo.take_events();
    assert!(
        events.contains(&end(SendOutcome::Unacknowledged)),
        "{events:?}"
    );
}

#[test]
pub(super) fn a_letter_that_claims_to_be_of_another_author_or_to_be_a_broadcast_is_refused() {
    let mut solo = Solo::new();
    let own = solo.state.id().clone();
    let link = solo.carrier("N");
    let (mut good, _) = letter("Far", "?", (7, 1), "hello");
    good.to = own.clone();
    let mut cases = Vec::new();
    for (packed, receipt) in [
        (
            Legacy::carrier("Far").pack(2, &2.into(), &packets!["fine"]),
            Receipt::Taken,
        ),
        (
            Legacy::carrier("Other").pack(2, &2.into(), &packets!["x"]),
            Receipt::Refused,
        ),
        (
            Legacy::carrier("Far").pack(0, &0.into(), &packets!["x"]),
            Receipt::Refused,
        ),
        (
            Legacy::carrier("Far").pack(2, &5.into(), &packets![1, 2, 3, 4]),
            Receipt::Refused,
        ),
        (vec![0xc1], Receipt::Refused),
    ] {
        let name = (7, 1 + cases.len() as u64);
        let whom = own.clone();
        let packed = packed.into();
        good.content = Content::Message { name, whom, packed };
        cases.push((name, receipt));
        feed_letter(&mut solo, link, "N", &good);
    }
    let said: Vec<_> = letters(&mut solo, link)
        .into_iter()
        .map(|letter| letter.content)
        .collect();
    let expected: Vec<_> = cases
        .into_iter()
        .map(|(name, receipt)| Content::Receipt { name, receipt })
        .collect();
    assert_eq!(said, expected);
    assert_eq!(solo.texts(), ["fine"]);
    assert!(
        !solo.closed.contains_key(&link),
        "who carried it is not to blame"
    );
}

#[test]
pub(super) fn letters_do_not_go_round_for_ever() {
    let mut solo = Solo::new();
    let a = solo.carrier("A");
    let b = solo.carrier("B");
    // Each of them says that it is the other that leads there.
    let (mut there, _) = letter("Far", "Lost", (7, 1), "x");
    there.to = id("Lost");
    feed_letter(
        &mut solo,
        a,
        "A",
        &Letter {
            from: id("Lost"),
            to: id("B"),
            ..there.clone()
        },
    );
    solo.forget_sent(&[a, b]);
    feed_letter(&mut solo, b, "B", &there);
    assert_eq!(letters(&mut solo, a).len(), 1, "passed on, one hop less");
    feed_letter(&mut solo, a, "A", &there);
    let back = letters(&mut solo, a);
    let is_no_way = |letter: &Letter| matches!(letter.content, Content::NoWay { .. });
    assert!(
        matches!(&back[..], [one] if is_no_way(one)),
        "not back: {back:?}"
    );
    there.hops = 0;
    feed_letter(&mut solo, b, "B", &there);
    assert!(letters(&mut solo, a).is_empty());
    assert!(letters(&mut solo, b).iter().all(is_no_way));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_message_to_one_node_arrives_at_most_once_and_its_outcome_is_true(
        seed: u8,
        extra in prop::collection::vec((0..6usize, 0..6usize), 0..6),
        steps in prop::collection::vec((0..6usize, 0..6usize, 0..6usize, 0..4u8, 0..3000u64), 1..25),
    ) {
        let mut net = thin(6, seed);
        for n in 1..6 {
            net.connect(n, n - 1).unwrap();
        }
        for (a, b) in extra {
            if a != b && b != 5 {
                let _ = net.connect(a, b);
            }
        }
        net.run(SECOND * 3);
        let mut sent = Vec::new();
        for (number, (from, to, other, fault, wait)) in steps.into_iter().enumerate() {
            match fault {
                0 if to != other => net.cut(to, other),
                1 if to != other => net.swallow(to, other),
                2 => net.heal(),
                _ => {}
            }
            if from != to {
                let text = format!("{number}");
                sent.push((from, to, text.clone(), send(&mut net, from, to, &text)));
            }
            net.run(Duration::from_millis(wait));
        }
        net.run(SECOND * 31);
        for (from, to, text, send) in sent {
            let count = net.texts(to).iter().filter(|got| **got == text).count();
            prop_assert!(count <= 1, "{} came {} times", text, count);
            let told: Vec<_> = outcomes(&net, from)
                .into_iter()
                .filter(|(of, _)| *of == send)
                .map(|(_, outcome)| outcome)
                .collect();
            prop_assert_eq!(told.len(), 1, "{} {:?}", &text, &told);
            match &told[0] {
                SendOutcome::Delivered => prop_assert_eq!(count, 1, "{}", text),
                SendOutcome::NotFound | SendOutcome::Unreachable(_) => {
                    prop_assert_eq!(count, 0, "{}", text);
                }
                SendOutcome::Unacknowledged => {}
                // Where a hello was swallowed, a node is taken for one that acknowledges nothing.
                SendOutcome::Sent { .. } | SendOutcome::HandedOver { .. } => {}
                other => prop_assert!(false, "{} {:?}", text, other),
            }
        }
    }
}
