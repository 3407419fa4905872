//! Rules that a network hardly suffers from when one of its nodes breaks them, at one node.

use std::time::Duration;

use super::solo::*;
use crate::wire::message::MainType;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

fn pong(id: &str) -> Vec<u8> {
    let pong = wire::native::encode_pong(1);
    Legacy::native(id).text_frame(2, "rs2p", &pong.packets)
}

#[test]
pub(super) fn a_peer_that_talks_and_takes_nothing_is_given_up() {
    let mut solo = Solo::new();
    let link = solo.accept_without_credit();
    let peer = Legacy::native("N");
    solo.feed(link, &[peer.hello(), peer.confirm()].concat());
    for _ in 0..4 {
        solo.pass(SECOND * 10);
        solo.feed(link, &pong("N"));
    }
    assert_eq!(solo.closed.get(&link), Some(&CloseReason::Stalled));
}

#[test]
pub(super) fn a_legacy_broadcast_that_comes_again_within_its_time_is_known() {
    let mut solo = Solo::new();
    let one = solo.js2p("A");
    let other = solo.js2p("B");
    let frame = Legacy::js2p("A").broadcast("once");
    solo.feed(one, &frame);
    for _ in 0..5 {
        solo.pass(SECOND * 10);
        solo.feed(other, &Legacy::js2p("B").whisper("between"));
        solo.feed(other, &frame);
    }
    let texts = solo.texts().into_iter();
    assert_eq!(texts.filter(|text| text == "once").count(), 1);
}

#[test]
pub(super) fn a_whisper_is_nothing_to_pass_on() {
    let mut solo = Solo::new();
    let link = solo.js2p("J");
    solo.state.whisper("psst", solo.now).unwrap();
    solo.drain();
    let sent = solo.sent(link);
    assert_eq!(user_texts(&sent), ["psst"]);
    assert!(
        sent.iter()
            .all(|sent| sent.packed.main() == MainType::Whisper)
    );
}

#[test]
pub(super) fn a_dial_without_an_answer_ends_in_time() {
    let mut solo = Solo::new();
    solo.state.connect(address("10.0.0.7:1"), solo.now).unwrap();
    solo.drain();
    solo.pass(SECOND * 9);
    assert_eq!(solo.cancelled.len(), 0);
    solo.pass(SECOND * 2);
    assert_eq!(solo.cancelled.len(), 1);
    let is_told = |event: &Event| matches!(event, Event::ConnectFailed { .. });
    assert!(solo.events.iter().any(is_told), "{:?}", solo.events);
}

#[test]
pub(super) fn an_address_that_failed_often_is_dialled_soon_after_a_long_link() {
    let mut solo = Solo::with(Config {
        seeds: vec![address("10.2.0.1:4444")],
        probe_interval: SECOND * 100_000,
        ..config()
    });
    let dial = |solo: &mut Solo| {
        for _ in 0..200 {
            if let Some((dial, _)) = solo.dials.pop() {
                return dial;
            }
            solo.pass(SECOND);
        }
        panic!("it dials no more");
    };
    for _ in 0..10 {
        let failed = dial(&mut solo);
        solo.state
            .handle_dial_failed(failed, DialFailure::Refused, solo.now);
        solo.drain();
    }
    let answered = dial(&mut solo);
    let link = solo.dialed(answered);
    let peer = Legacy::native("Seed").at("10.2.0.1:4444");
    solo.feed(link, &[peer.hello(), peer.accept()].concat());
    assert!(solo.is_peer("Seed"));
    for _ in 0..20 {
        solo.pass(SECOND * 20);
        solo.feed(link, &pong("Seed"));
    }
    solo.close(link);
    solo.pass(SECOND * 3);
    assert_eq!(
        solo.dials.len(),
        1,
        "the wait is a second and a half at most"
    );
}
