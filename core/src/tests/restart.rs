//! A node that ends, and goes on from what it saved.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::net::Net;
use super::solo::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

fn saving(count: usize, seed: u8) -> Net {
    let mut net = Net::with(count, seed, |_, config| config.save_interval = Some(SECOND));
    for n in 1..count {
        net.connect(n, n - 1).unwrap();
    }
    net.run(SECOND * 3);
    net
}

fn last_save(net: &Net, n: usize) -> Bytes {
    net.nodes[n].saved.last().expect("it has saved").clone()
}

fn acknowledge_all(net: &mut Net, n: usize) {
    for message in net.nodes[n].messages.clone() {
        net.with_state(n, |state, now| state.acknowledge(&message, now));
    }
}

fn texts_since(net: &Net, n: usize, start: usize) -> Vec<String> {
    net.texts(n)[start..].to_vec()
}

#[test]
fn a_restored_node_is_the_same_and_misses_nothing() {
    let mut net = saving(3, 1);
    let id = net.nodes[2].state.id().clone();
    for n in 0..5 {
        net.broadcast(0, &format!("{n}"));
    }
    net.run(SECOND * 2);
    acknowledge_all(&mut net, 2);
    for n in 5..8 {
        net.broadcast(0, &format!("{n}"));
    }
    net.run(SECOND * 5);
    assert_eq!(net.texts(2).len(), 8);
    // Of these three the application has not said that it is done with them.
    let saved = last_save(&net, 2);
    net.cut_between(0..2, 2..3);
    for n in 8..10 {
        net.broadcast(1, &format!("{n}"));
        net.run(SECOND * 30);
    }
    net.heal();
    net.restart(2, Some(&saved));
    assert_eq!(*net.nodes[2].state.id(), id);
    net.run(SECOND * 20);
    let mut again = texts_since(&net, 2, 8);
    // Of two senders.
    again.sort();
    assert_eq!(
        again,
        ["5", "6", "7", "8", "9"],
        "and it found its way by itself"
    );
    assert_eq!(net.links().len() % 2, 0);
    net.broadcast(2, "in a new life");
    net.run(SECOND * 2);
    let heard = net.nodes[0].messages.last().expect("it is heard");
    assert_eq!((heard.sender(), heard.sequence()), (&id, Some(1)));
}

#[test]
fn what_came_in_the_first_moments_of_a_node_is_there_for_its_next_life() {
    // The node joins well within a second of the calendar, and is gone as long before it comes back.
    for (joined, gone) in [(1, 1), (5, 20), (10, 600), (300, 900), (600, 350)] {
        let (joined, gone) = (Duration::from_millis(joined), Duration::from_millis(gone));
        let mut net = Net::with(1, 5, |_, config| config.save_interval = Some(SECOND));
        net.run(SECOND);
        let late = net.add(|config| config.save_interval = Some(SECOND));
        net.connect(late, 0).unwrap();
        net.run(joined);
        net.broadcast(0, "first");
        net.run(SECOND * 3);
        assert_eq!(net.texts(late), ["first"]);
        net.with_state(late, |state, now| state.persist(now));
        let saved = last_save(&net, late);
        net.cut_between(0..1, 1..2);
        net.run(gone);
        net.heal();
        net.restart(late, Some(&saved));
        net.run(SECOND * 20);
        let why = format!("joined for {joined:?}, gone for {gone:?}");
        assert_eq!(texts_since(&net, late, 1), ["first"], "{why}");
    }
}

#[test]
pub(super) fn without_its_state_a_node_is_another() {
    let mut net = saving(2, 2);
    let id = net.nodes[1].state.id().clone();
    net.broadcast(0, "before");
    net.run(SECOND * 3);
    net.restart(1, None);
    assert_ne!(*net.nodes[1].state.id(), id);
}

#[test]
pub(super) fn own_messages_that_nobody_had_are_sent_by_the_next_life() {
    let mut net = Net::with(2, 3, |_, config| config.save_interval = Some(SECOND));
    for n in 0..3 {
        net.broadcast(0, &format!("{n}"));
    }
    net.run(SECOND * 2);
    let saved = last_save(&net, 0);
    net.restart(0, Some(&saved));
    net.broadcast(0, "of this life");
    net.run(SECOND * 2);
    // And by the one after that.
    let saved = last_save(&net, 0);
    net.restart(0, Some(&saved));
    assert_eq!(net.nodes[0].state.snapshot().log.unheld, 4);
    net.connect(1, 0).unwrap();
    net.run(SECOND * 5);
    let mut texts = net.texts(1);
    texts.sort();
    assert_eq!(texts, ["0", "1", "2", "of this life"]);
    assert_eq!(
        net.nodes[0].state.snapshot().log.unheld,
        0,
        "now somebody has them"
    );
    net.run(SECOND * 2);
    let saved = last_save(&net, 0);
    assert!(
        saved.len() < 1000,
        "and they are not saved any more: {}",
        saved.len()
    );
}

#[test]
fn own_messages_that_are_too_many_to_be_saved_are_told_as_lost() {
    let mut net = Net::with(2, 4, |_, config| config.save_interval = Some(SECOND));
    for n in 0..30 {
        net.broadcast(0, &format!("{n} {}", "x".repeat(100_000)));
    }
    net.run(SECOND * 20);
    let saved = last_save(&net, 0);
    assert!(saved.len() < 1_100_000);
    net.restart(0, Some(&saved));
    let lost = net.nodes[0].events.iter().find_map(|event| match event {
        Event::OwnLost { first, last, .. } => Some((*first, *last)),
        _ => None,
    });
    assert_eq!(lost, Some((11, 30)));
    net.connect(1, 0).unwrap();
    net.run(SECOND * 30);
    assert_eq!(net.texts(1).len(), 10);
    let gap = net.nodes[1].events.iter().find_map(|event| match event {
        Event::Gap { first, last, .. } => Some((*first, *last)),
        _ => None,
    });
    assert_eq!(gap, Some((11, 30)), "silence is none");
}

#[test]
fn no_sequence_is_used_twice_however_old_the_save() {
    let mut net = saving(2, 5);
    let old = net.nodes[0].saved.first().expect("at its birth").clone();
    let mut names = BTreeSet::new();
    for life in 0..6 {
        for n in 0..3 {
            net.broadcast(0, &format!("{life} {n}"));
        }
        net.run(SECOND * 5);
        let saved = if life % 2 == 0 {
            old.clone()
        } else {
            last_save(&net, 0)
        };
        net.restart(0, Some(&saved));
        net.run(SECOND * 70);
    }
    for message in &net.nodes[1].messages {
        let name = (
            message.sender().clone(),
            message.epoch(),
            message.sequence(),
        );
        assert!(names.insert(name), "{:?}", message.text());
    }
    assert_eq!(names.len(), 18, "and none of them is lost");
}

#[test]
fn bytes_that_are_no_save_are_refused_with_the_rule() {
    let mut solo = Solo::with(Config {
        save_interval: Some(SECOND),
        ..config()
    });
    let good = solo.saved.pop().expect("at its birth");
    let restore = |config: Config, bytes: &Bytes| {
        let wall = UnixTime::from_secs(EPOCH);
        MeshState::restore(config, [9; 32], bytes, Instant::ZERO, wall)
            .map(|state| state.id().clone())
    };
    assert_eq!(restore(config(), &good).as_ref(), Ok(solo.state.id()));
    let cut = good.slice(..good.len() - 1);
    let mut damaged = good.to_vec();
    damaged[40] ^= 8;
    let elsewhere = Config {
        protocol: Protocol::new("elsewhere", Encryption::Plaintext),
        ..config()
    };
    let theirs = Protocol::default().id();
    let table = [
        (
            config(),
            Bytes::from_static(b"#!/bin/sh"),
            SaveError::NotASave,
        ),
        (
            config(),
            cut,
            SaveError::Length {
                have: good.len() - 1,
                want: good.len() as u64,
            },
        ),
        (config(), damaged.into(), SaveError::Checksum),
        (elsewhere, good, SaveError::OtherNetwork { theirs }),
    ];
    for (config, bytes, error) in table {
        assert_eq!(restore(config, &bytes), Err(RestoreError::Save(error)));
    }
}

#[test]
fn saves_are_made_now_and_then_and_at_the_end() {
    let mut solo = Solo::with(Config {
        save_interval: Some(SECOND * 2),
        ..config()
    });
    solo.saved.clear();
    for n in 0..100 {
        solo.state.broadcast(n, solo.now).unwrap();
        solo.drain();
        solo.pass(Duration::from_millis(100));
    }
    assert!((5..=6).contains(&solo.saved.len()), "in ten seconds");
    solo.pass(SECOND * 2);
    solo.saved.clear();
    solo.pass(SECOND * 100);
    assert!(solo.saved.is_empty(), "nothing has changed since");
    solo.state.persist(solo.now);
    solo.drain();
    assert_eq!(solo.saved.len(), 1, "asked for");
    solo.state.broadcast("last", solo.now).unwrap();
    solo.state.shutdown(solo.now);
    let mut outputs = Vec::new();
    while let Some(output) = solo.state.poll_output() {
        outputs.push(output);
    }
    let [.., Output::Persist(_), Output::Event(Event::ShutDown)] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(solo.state.poll_timeout(), None);
}

#[test]
fn a_node_that_does_not_save_keeps_no_account_of_what_is_acknowledged() {
    let mut solo = Solo::new();
    let link = solo.native("N");
    solo.feed(link, &Legacy::native("N").broadcast("x"));
    let message = solo.messages[0].clone();
    solo.state.acknowledge(&message, solo.now);
    solo.state.persist(solo.now);
    solo.drain();
    assert!(solo.saved.is_empty());
}

#[test]
fn messages_without_names_are_not_delivered_again() {
    let config = Config {
        save_interval: Some(SECOND),
        ..config()
    };
    let mut solo = Solo::with(config.clone());
    let link = solo.py2p("P");
    solo.feed(link, &Legacy::py2p("P").broadcast("done with"));
    solo.feed(link, &Legacy::py2p("P").broadcast("not done with"));
    let done = solo.messages[0].clone();
    solo.state.acknowledge(&done, solo.now);
    solo.state.persist(solo.now);
    solo.drain();
    let saved = solo.saved.pop().unwrap();
    let mut next = Solo::with(config.clone());
    let wall = UnixTime::from_secs(EPOCH + 5);
    next.state = MeshState::restore(config, [3; 32], &saved, next.now, wall).unwrap();
    next.drain();
    // It dials its neighbour of its own accord.
    let (dial, _) = next.dials.pop().expect("the address was saved");
    let link = next.dialed(dial);
    next.feed(link, &Legacy::py2p("P").handshake());
    for text in ["done with", "not done with", "new"] {
        next.feed(link, &Legacy::py2p("P").broadcast(text));
    }
    assert_eq!(next.texts(), ["not done with", "new"]);
}

#[test]
fn a_letter_that_comes_again_after_a_restart_is_known() {
    let mut net = saving(2, 6);
    let to = net.nodes[1].state.id().clone();
    net.with_state(0, |state, now| state.send_to(&to, "once", now))
        .unwrap();
    net.run(Duration::from_millis(49));
    // It may have come, and its receipt is lost with the link.
    net.run(Duration::from_millis(60));
    assert_eq!(net.texts(1), ["once"]);
    net.with_state(1, |state, now| state.persist(now));
    let saved = last_save(&net, 1);
    net.restart(1, Some(&saved));
    net.run(SECOND * 60);
    assert_eq!(net.texts(1), ["once"]);
    let delivered = |event: &Event| {
        matches!(
            event,
            Event::Sent {
                outcome: SendOutcome::Delivered,
                ..
            }
        )
    };
    assert!(net.nodes[0].events.iter().any(delivered));
}

#[test]
pub(super) fn what_was_acknowledged_beyond_a_hole_outlives_more_than_one_life() {
    let mut net = saving(2, 7);
    for n in 1..=3 {
        net.broadcast(1, &format!("{n}"));
    }
    net.run(SECOND);
    for n in [0, 2] {
        let message = net.nodes[0].messages[n].clone();
        net.with_state(0, |state, now| state.acknowledge(&message, now));
    }
    for _ in 0..2 {
        net.with_state(0, |state, now| state.persist(now));
        let saved = last_save(&net, 0);
        net.restart(0, Some(&saved));
    }
    net.run(SECOND * 60);
    assert_eq!(net.texts(0), ["1", "2", "3", "2"]);
}

#[test]
fn a_stream_of_which_nothing_was_acknowledged_begins_anew_with_its_first_message() {
    let mut net = saving(3, 8);
    net.broadcast(0, "first");
    net.run(SECOND);
    for n in [1, 2] {
        let message = net.nodes[1].messages[0].clone();
        if n == 1 {
            net.with_state(1, |state, now| state.acknowledge(&message, now));
        }
        net.with_state(n, |state, now| state.persist(now));
    }
    net.cut(0, 2);
    net.cut(0, 1);
    for n in [1, 2] {
        let saved = last_save(&net, n);
        net.restart(n, Some(&saved));
    }
    net.broadcast(0, "second");
    // By way of a node that has no need of the first, and does not keep it.
    net.run(SECOND * 5);
    net.heal();
    net.run(SECOND * 60);
    assert_eq!(net.texts(2), ["first", "first", "second"]);
    assert_eq!(net.texts(1), ["first", "second"]);
}

#[derive(Clone, Debug)]
enum Step {
    Broadcast(usize),
    /// Of the messages that a node has and has not acknowledged, one in so many.
    Acknowledge(usize, usize),
    /// From the last save, or from one so many before it.
    Restart(usize, usize),
    Cut(usize, usize),
    Heal,
    Run(u64),
}

fn step(count: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..count).prop_map(Step::Broadcast),
        3 => (0..count, 1..4usize).prop_map(|(n, every)| Step::Acknowledge(n, every)),
        2 => (0..count, 0..3usize).prop_map(|(n, back)| Step::Restart(n, back)),
        1 => (0..count, 0..count).prop_map(|(a, b)| Step::Cut(a, b)),
        1 => Just(Step::Heal),
        4 => (0..4000u64).prop_map(Step::Run),
    ]
}

/// The name of a broadcast: its sender, epoch and sequence.
type Name = (NodeId, u64, u64);

fn name(message: &Message) -> Name {
    let place = message.epoch().zip(message.sequence());
    let (epoch, sequence) = place.expect("native nodes name their broadcasts");
    (message.sender().clone(), epoch, sequence)
}

/// What is true of each node of a run with restarts.
#[derive(Default)]
struct Account {
    acknowledged: Vec<Name>,
    /// For each save, how many messages had been acknowledged by then.
    at_save: Vec<usize>,
    /// From where its messages are those of this life, and what may not be among them.
    life: usize,
    forbidden: BTreeSet<Name>,
}

impl Account {
    /// Saves are made at the end of an input: what was acknowledged by then is in those that are new.
    fn note_saves(&mut self, net: &Net, n: usize) {
        let count = self.acknowledged.len();
        self.at_save.resize(net.nodes[n].saved.len(), count);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_crash_repeats_what_was_acknowledged_or_loses_what_is_still_there(
        seed: u8,
        steps in prop::collection::vec(step(4), 1..50),
    ) {
        let mut net = saving(4, seed);
        let mut accounts: Vec<Account> = (0..4).map(|_| Account::default()).collect();
        accounts.iter_mut().enumerate().for_each(|(n, account)| account.note_saves(&net, n));
        let mut sent: BTreeMap<Name, String> = BTreeMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Broadcast(n) => {
                    let text = format!("{number}");
                    net.broadcast(n, &text);
                }
                Step::Acknowledge(n, every) => {
                    let life = accounts[n].life;
                    let messages = net.nodes[n].messages[life..].to_vec();
                    for message in messages.iter().step_by(every) {
                        net.with_state(n, |state, now| state.acknowledge(message, now));
                        accounts[n].acknowledged.push(name(message));
                        accounts[n].note_saves(&net, n);
                    }
                }
                Step::Restart(n, back) => {
                    // Some were made without anything being acknowledged.
                    accounts[n].note_saves(&net, n);
                    let saves = net.nodes[n].saved.len();
                    let which = saves.saturating_sub(1 + back);
                    let saved = net.nodes[n].saved[which].clone();
                    let account = &mut accounts[n];
                    // Of what a life acknowledged that was taken back since, nothing is remembered.
                    let known = account.at_save[which].min(account.acknowledged.len());
                    let done = account.acknowledged[..known].iter().cloned();
                    account.forbidden = done.collect();
                    account.acknowledged.truncate(known);
                    account.life = net.nodes[n].messages.len();
                    net.restart(n, Some(&saved));
                }
                Step::Cut(a, b) if a != b => net.cut(a, b),
                Step::Cut(..) => {}
                Step::Heal => net.heal(),
                Step::Run(millis) => net.run(Duration::from_millis(millis)),
            }
            for (n, account) in accounts.iter_mut().enumerate() {
                net.with_state(n, |state, now| state.persist(now));
                account.note_saves(&net, n);
            }
        }
        net.heal();
        net.run(SECOND * 150);
        // Each name is one message, whoever got it in whatever life.
        for node in &net.nodes {
            for message in &node.messages {
                let text = message.text().expect("text");
                let before = sent.entry(name(message)).or_insert_with(|| text.clone());
                prop_assert_eq!(&*before, &text, "a name was used twice");
            }
        }
        for (n, account) in accounts.iter().enumerate() {
            let of_life = &net.nodes[n].messages[account.life..];
            let mut seen = BTreeSet::new();
            let mut last: BTreeMap<(NodeId, u64), u64> = BTreeMap::new();
            for message in of_life {
                let (origin, epoch, sequence) = name(message);
                prop_assert!(seen.insert(name(message)), "{} twice at {}", sequence, n);
                prop_assert!(
                    !account.forbidden.contains(&name(message)),
                    "{:?} at {} was acknowledged", message.text(), n
                );
                let before = last.insert((origin, epoch), sequence);
                prop_assert!(before < Some(sequence), "out of order at {}", n);
            }
            // All that anybody got is here, acknowledged before or in this life; or it was broadcast here.
            let done: BTreeSet<&Name> = account.forbidden.iter().chain(&seen).collect();
            let own = net.nodes[n].state.id();
            let is_told = |known: &Name| net.nodes[n].events.iter().any(|event| {
                let Event::Gap { origin, epoch, first, last, .. } = event else {
                    return false;
                };
                *origin == known.0 && *epoch == known.1 && (*first..=*last).contains(&known.2)
            });
            for known in sent.keys().filter(|known| known.0 != *own) {
                // It may have been in no log but those that are gone; that is told once, in whatever life.
                prop_assert!(done.contains(known) || is_told(known), "{:?} {} is missing at {}", known, sent[known], n);
            }
        }
    }
}
