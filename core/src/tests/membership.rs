//! Whom a node dials, and when.

use std::time::Duration;

use super::solo::*;
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
