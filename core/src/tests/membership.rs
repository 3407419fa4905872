//! Whom a node dials, and when.

use std::time::Duration;

use bytes::Bytes;

use super::solo::*;
use crate::wire::control::{Control, PeerEntry, encode_peers};
use crate::wire::native::{Goodbye, kind};
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

fn seeds(count: u16) -> Vec<Address> {
    (1..=count)
        .map(|n| address(&format!("10.2.0.{n}:4444")))
        .collect()
}

#[test]
pub(super) fn seeds_are_tried_together_and_the_surplus_is_dropped_once_there_is_a_link() {
    let mut solo = Solo::with(Config {
        seeds: seeds(40),
        ..config()
    });
    assert_eq!(solo.dials.len(), 20, "four links, and sixteen more to try");
    // The last of them answers.
    let (dial, _) = solo.dials.pop().unwrap();
    let link = solo.dialed(dial);
    let peer = Legacy::native("Seed").at("10.2.0.20:4444");
    solo.feed(link, &[peer.hello(), peer.accept()].concat());
    assert!(solo.is_peer("Seed"));
    assert_eq!(solo.cancelled.len(), 16);
    assert_eq!(solo.state.snapshot().dials, 3);
}

#[test]
pub(super) fn a_cold_address_is_probed_every_15_to_30_seconds_whatever_its_backoff() {
    let mut solo = Solo::with(Config {
        seeds: seeds(1),
        ..config()
    });
    let link = solo.native("N");
    let pong = wire::native::encode_pong(1);
    let alive = Legacy::native("N").text_frame(2, "rs2p", &pong.packets);
    let mut probes = Vec::new();
    let mut failures = 0_u32;
    for _ in 0..6000 {
        for (dial, _) in std::mem::take(&mut solo.dials) {
            let failed = solo.events.len();
            solo.state
                .handle_dial_failed(dial, DialFailure::Refused, solo.now);
            solo.drain();
            // A probe that fails is nobody's business, a dial is told.
            if solo.events.len() == failed {
                probes.push(solo.now.as_micros());
            } else {
                failures += 1;
            }
        }
        solo.pass(Duration::from_millis(100));
        solo.feed(link, &alive);
    }
    assert!(failures < 20, "with backoff: {failures}");
    assert!((18..=40).contains(&probes.len()), "{}", probes.len());
    for pair in probes.windows(2) {
        let seconds = (pair[1] - pair[0]) / 1_000_000;
        // One may fall on the time of a dial, and is left out.
        assert!(
            (14..=61).contains(&seconds),
            "{seconds} s between two probes"
        );
    }
}

#[test]
pub(super) fn addresses_are_bounded_and_age() {
    let mut solo = Solo::with(Config {
        max_addresses: 10,
        address_age: SECOND * 3600,
        max_dialed: 0,
        seeds: seeds(1),
        ..config()
    });
    let link = solo.native("N");
    let peer = Legacy::native("N");
    for n in 0..50 {
        let entry = Value::array([
            Value::array([Value::from(format!("10.3.0.{n}")), 1.into()]),
            format!("P{n}").into(),
        ]);
        solo.feed(link, &peer.frame(2, 7, &packets![Value::array([entry])]));
    }
    assert_eq!(solo.state.snapshot().addresses.len(), 10);
    solo.close(link);
    for _ in 0..4000 {
        for (dial, _) in std::mem::take(&mut solo.dials) {
            solo.state
                .handle_dial_failed(dial, DialFailure::Refused, solo.now);
            solo.drain();
        }
        solo.pass(SECOND);
    }
    let left = solo.state.snapshot().addresses;
    assert_eq!(left.len(), 1, "the seed: {left:?}");
}

/// A node with room for three links, which it has: two that others dialled, and one that it did.
fn full() -> (Solo, [LinkId; 3]) {
    let mut solo = Solo::with(Config {
        max_links: 3,
        max_dialed: 1,
        ..config()
    });
    let dialed = solo.dial("10.2.0.1:4444");
    let peer = Legacy::native("Dialed").at("10.2.0.1:4444");
    solo.feed(dialed, &[peer.hello(), peer.accept()].concat());
    let links = [("First", "10.2.0.2:4444"), ("Second", "10.2.0.3:4444")].map(|(name, at)| {
        solo.pass(SECOND);
        let link = solo.accept();
        let peer = Legacy::native(name).at(at);
        solo.feed(link, &[peer.hello(), peer.confirm()].concat());
        link
    });
    assert_eq!(solo.state.peers().count(), 3);
    solo.take_events();
    let all = [dialed, links[0], links[1]];
    solo.forget_sent(&all);
    (solo, all)
}

/// Returns the nodes that are named on turning somebody away, if that is done.
fn named(sent: &[Control]) -> Option<Vec<String>> {
    sent.iter().find_map(|control| match control {
        Control::Native(native) if native.kind == kind::GOODBYE => {
            let Ok(Goodbye::Full(others)) = Goodbye::parse(native) else {
                return None;
            };
            let names = others.iter().map(|other| other.id.as_str().to_owned());
            Some(names.collect())
        }
        _ => None,
    })
}

#[test]
pub(super) fn whoever_is_turned_away_is_told_of_others_and_dials_them() {
    let (mut solo, _) = full();
    let link = solo.accept();
    assert_eq!(solo.controls(link), [], "it might be anybody");
    solo.feed(link, &Legacy::native("Late").at("10.2.0.9:4444").hello());
    assert_eq!(solo.closed.get(&link), Some(&CloseReason::NoPlace));
    let frames: Vec<Bytes> = solo.chunks_to(link);
    let names = named(&solo.controls(link)).expect("it is told");
    assert_eq!(names, ["Dialed", "First", "Second"]);
    assert_eq!(solo.state.peers().count(), 3);

    let mut late = Solo::with(Config {
        advertised: Some(address("10.2.0.9:4444")),
        ..config()
    });
    let link = late.dial("10.0.0.1:4444");
    for frame in frames {
        late.feed(link, &frame);
    }
    assert_eq!(late.closed.get(&link), Some(&CloseReason::TurnedAway));
    let mut dialed: Vec<String> = late.dials.iter().map(|(_, to)| to.to_string()).collect();
    dialed.sort();
    let neighbours = ["10.2.0.1:4444", "10.2.0.2:4444", "10.2.0.3:4444"];
    assert_eq!(dialed[dialed.len() - 3..], neighbours);
}

#[test]
pub(super) fn a_stranger_of_another_network_is_told_of_nobody() {
    let (mut solo, _) = full();
    let link = solo.accept();
    let mut spy = Legacy::native("Spy");
    spy.protocol = "another".to_owned();
    solo.feed(link, &spy.hello());
    assert!(matches!(
        solo.closed.get(&link),
        Some(CloseReason::WrongNetwork { .. })
    ));
    assert_eq!(named(&solo.controls(link)), None);
}

#[test]
fn a_legacy_node_is_greeted_before_it_is_turned_away_and_told_of_those_it_can_live_with() {
    let (mut solo, _) = full();
    let link = solo.accept();
    solo.feed(link, &Legacy::py2p("P").handshake());
    assert_eq!(solo.closed.get(&link), Some(&CloseReason::NoPlace));
    let said = solo.controls(link);
    assert!(matches!(said[0], Control::Handshake(_)), "{said:?}");
    let told = said.iter().find_map(|control| match control {
        Control::Peers(entries) => Some(entries.len()),
        _ => None,
    });
    assert_eq!(told, Some(3));
    let link = solo.accept();
    solo.feed(link, &Legacy::js2p("J").handshake());
    let said = solo.controls(link);
    assert!(matches!(said[0], Control::Handshake(_)), "{said:?}");
    assert!(
        said.iter()
            .all(|control| !matches!(control, Control::Peers(entries) if !entries.is_empty())),
        "js2p breaks on them: {said:?}"
    );
}

#[test]
pub(super) fn one_of_another_island_gets_the_place_of_the_neighbour_that_came_last() {
    let (mut solo, [dialed, first, second]) = full();
    let stranger = |name: &str, at: &str| {
        let beacon = island::Beacon {
            leader: id(name),
            count: 0,
        };
        Legacy::native(name).at(at).hello_from(beacon)
    };
    let link = solo.accept();
    solo.feed(link, &stranger("Stranger", "10.2.0.8:4444"));
    assert!(solo.closed.is_empty(), "it may be nobody");
    solo.feed(link, &Legacy::native("Stranger").confirm());
    assert!(solo.is_peer("Stranger") && solo.is_peer("First") && solo.is_peer("Dialed"));
    assert_eq!(solo.closed.get(&second), Some(&CloseReason::NoPlace));
    let names = named(&solo.controls(second)).expect("it is told for whom");
    assert_eq!(names, ["Stranger"]);
    // The next one has to wait.
    let early = solo.accept();
    solo.feed(early, &stranger("Early", "10.2.0.10:4444"));
    assert_eq!(solo.closed.get(&early), Some(&CloseReason::NoPlace));
    let alive = wire::native::encode_pong(1);
    for _ in 0..7 {
        solo.pass(SECOND * 10);
        for (link, name) in [(dialed, "Dialed"), (first, "First"), (link, "Stranger")] {
            let peer = Legacy::native(name);
            solo.feed(link, &peer.text_frame(2, "rs2p", &alive.packets));
        }
    }
    let later = solo.accept();
    solo.feed(later, &stranger("Later", "10.2.0.11:4444"));
    solo.feed(later, &Legacy::native("Later").confirm());
    assert!(solo.is_peer("Later"));
    assert_eq!(
        solo.closed.get(&link),
        Some(&CloseReason::NoPlace),
        "who came by a claim goes first"
    );
    assert!(solo.is_peer("First") && solo.is_peer("Dialed"));
}

#[test]
pub(super) fn who_loses_its_place_to_another_dials_that_one_first() {
    let mut solo = Solo::with(Config {
        max_dialed: 1,
        ..config()
    });
    let link = solo.dial("10.2.0.9:4444");
    let peer = Legacy::native("Full").at("10.2.0.9:4444");
    solo.feed(link, &[peer.hello(), peer.accept()].concat());
    let told = |id: &str, at: &str| PeerEntry {
        address: address(at),
        id: super::solo::id(id),
        id_form: IdForm::Str,
    };
    let peers = encode_peers(&[told("Other", "10.1.0.1:4444")]);
    solo.feed(link, &peer.frame(2, 7, &peers.packets));
    let goodbye = Goodbye::Full(vec![told("Newcomer", "10.2.0.8:4444")]).encode();
    solo.feed(link, &peer.text_frame(2, "rs2p", &goodbye.packets));
    solo.dials.clear();
    solo.close(link);
    let dialed: Vec<String> = solo.dials.iter().map(|(_, to)| to.to_string()).collect();
    assert_eq!(dialed, ["10.2.0.8:4444"]);
}
