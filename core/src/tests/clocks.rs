//! Clocks that are wrong: of no account between native nodes, and told where legacy nodes mind them.

use std::time::Duration;

use super::net::Net;
use super::solo::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);
const YEAR: i64 = 366 * 24 * 3600;

fn skews(events: &[Event]) -> Vec<(String, i64)> {
    let skews = events.iter().filter_map(|event| match event {
        Event::ClockSkew { peer, seconds } => Some((peer.to_string(), *seconds)),
        _ => None,
    });
    skews.collect()
}

#[test]
pub(super) fn native_nodes_deliver_all_whatever_their_clocks_say() {
    let offsets = [YEAR, -YEAR, 0, 59, -61, YEAR / 2];
    let mut net = Net::new(0, 1);
    for offset in offsets {
        net.add_at(offset, |_| {});
    }
    for n in 1..offsets.len() {
        net.connect(n, n - 1).unwrap();
    }
    net.run(SECOND * 3);
    for round in 0..20 {
        for from in 0..offsets.len() {
            net.broadcast(from, &format!("{round}"));
        }
        net.cut(round % 5, round % 5 + 1);
        net.run(SECOND * 7);
        net.heal();
    }
    net.run(SECOND * 60);
    for at in 0..offsets.len() {
        for from in 0..offsets.len() {
            let origin = net.nodes[from].state.id();
            let got = net.nodes[at].messages.iter();
            let got: Vec<u64> = got
                .filter(|message| message.sender() == origin)
                .filter_map(Message::sequence)
                .collect();
            let expected: Vec<u64> = if at == from {
                vec![]
            } else {
                (1..=20).collect()
            };
            assert_eq!(got, expected, "{from} at {at}");
        }
        let events = &net.nodes[at].events;
        assert_eq!(skews(events), [], "at {at}");
        let is_bad = |event: &Event| matches!(event, Event::Expired { .. } | Event::Gap { .. });
        assert!(!events.iter().any(is_bad), "at {at}: {events:?}");
    }
}

#[test]
fn a_legacy_clock_that_mutes_us_is_told_at_once_and_once() {
    for ahead in [55_i64, -55, 60, YEAR, -YEAR] {
        let mut solo = Solo::new();
        let mut peer = Legacy::py2p("P");
        peer.time = EPOCH.checked_add_signed(ahead).unwrap();
        let link = solo.accept();
        solo.feed(link, &peer.handshake());
        let told = [("P".to_owned(), ahead)];
        assert_eq!(skews(&solo.take_events()), told, "with the handshake");
        solo.feed(link, &peer.whisper("more of the same"));
        solo.close(link);
        let again = solo.accept();
        solo.feed(again, &peer.handshake());
        assert_eq!(skews(&solo.take_events()), [], "it was told");
        // It is set right.
        solo.pass(SECOND * 61);
        // What it passes on says nothing of its own clock, and keeps the link.
        solo.feed(again, &Legacy::py2p("Q").broadcast("passed on"));
        solo.pass(SECOND * 60);
        peer.time = EPOCH + 121;
        solo.feed(again, &peer.whisper("now"));
        let now = skews(&solo.take_events());
        assert!(matches!(&now[..], [(_, -2..=2)]), "{now:?}");
    }
}

#[test]
fn a_small_difference_and_a_relayed_message_tell_nothing() {
    let mut solo = Solo::new();
    let mut peer = Legacy::js2p("P");
    peer.time = EPOCH + 54;
    let link = solo.accept();
    solo.feed(link, &peer.handshake());
    let mut other = Legacy::js2p("Other");
    other.time = EPOCH + 1000;
    solo.feed(link, &other.broadcast("made elsewhere"));
    assert_eq!(skews(&solo.take_events()), []);
}

#[test]
pub(super) fn our_own_clock_that_is_set_is_told_at_once() {
    let mut solo = Solo::new();
    solo.py2p("P");
    solo.take_events();
    let wrong = UnixTime::from_secs(EPOCH - 100);
    solo.state.handle_wall_clock(wrong, solo.now);
    solo.drain();
    assert_eq!(skews(&solo.take_events()), [("P".to_owned(), 100)]);
    solo.state
        .handle_wall_clock(UnixTime::from_secs(EPOCH), solo.now);
    solo.drain();
    assert_eq!(skews(&solo.take_events()), [("P".to_owned(), 0)]);
}

#[test]
pub(super) fn a_legacy_neighbour_whose_clock_is_ahead_gets_whispers() {
    let mut solo = Solo::new();
    let mut peer = Legacy::py2p("P");
    peer.time = EPOCH + 100;
    let link = solo.accept();
    solo.feed(link, &peer.handshake());
    solo.sent(link);
    solo.state
        .broadcast("heard all the same", solo.now)
        .unwrap();
    solo.drain();
    let sent = solo.sent(link);
    assert_eq!(user_texts(&sent), ["heard all the same"]);
    let kinds: Vec<_> = sent.iter().map(|sent| sent.packed.main()).collect();
    assert_eq!(kinds, [wire::message::MainType::Whisper]);
}
