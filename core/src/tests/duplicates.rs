//! Two links to one node: which is kept, by kind of peer.

use std::time::Duration;

use super::solo::*;
use crate::*;

/// We dial a peer and it dials us, and nobody has shaken hands.
fn crossed(peer: &Legacy) -> (Solo, LinkId, LinkId) {
    let mut solo = Solo::new();
    let ours = solo.dial("10.0.0.9:4444");
    let theirs = solo.accept();
    solo.feed(theirs, &peer.handshake());
    (solo, ours, theirs)
}

#[test]
fn duplicate_links_py2p_when_ours_is_preferred() {
    // Held back on its dial; answered on ours; py2p then closes its own.
    let peer = Legacy::py2p(LOW);
    let (mut solo, ours, theirs) = crossed(&peer);
    assert!(handshake_in(&solo.sent(theirs)).is_none(), "held back");
    solo.feed(ours, &peer.handshake());
    assert!(handshake_in(&solo.sent(ours)).is_some());
    assert!(handshake_in(&solo.sent(theirs)).is_none());
    assert!(
        !solo.closed.contains_key(&theirs),
        "it closes its dial itself"
    );
    solo.close(theirs);
    let info = solo.state.peers().next().expect("linked");
    assert_eq!((info.link, solo.state.snapshot().links.len()), (ours, 1));
}

#[test]
pub(super) fn duplicate_links_py2p_when_its_own_is_preferred() {
    let peer = Legacy::py2p(HIGH);
    let (mut solo, ours, theirs) = crossed(&peer);
    assert!(
        handshake_in(&solo.sent(theirs)).is_some(),
        "answered at once"
    );
    solo.feed(ours, &peer.handshake());
    assert_eq!(solo.closed[&ours], CloseReason::Duplicate(id(HIGH)));
    assert!(
        handshake_in(&solo.sent(ours)).is_none(),
        "it waits there without an id"
    );
    assert!(solo.is_peer(HIGH));
    let connected = |event: &Event| matches!(event, Event::Connected { .. });
    assert!(
        solo.events.iter().any(connected),
        "who dialled has what he wanted"
    );
}

#[test]
fn duplicate_links_py2p_a_second_one_waits_unanswered_and_takes_over() {
    let mut solo = Solo::new();
    let first = solo.py2p("P");
    let second = solo.accept();
    solo.feed(second, &Legacy::py2p("P").handshake());
    for _ in 0..60 {
        solo.pass(Duration::from_secs(60));
        solo.feed(first, &Legacy::py2p("P").whisper("still here"));
    }
    assert!(solo.sent(second).is_empty(), "unanswered");
    assert!(
        solo.closed.is_empty(),
        "closing it would cost py2p its other links"
    );
    // A third is one too many.
    let third = solo.accept();
    solo.feed(third, &Legacy::py2p("P").handshake());
    assert_eq!(solo.closed[&third], CloseReason::Duplicate(id("P")));
    // When the first ends the second takes over at once.
    solo.take_events();
    solo.close(first);
    assert!(handshake_in(&solo.sent(second)).is_some());
    assert_eq!(
        solo.state.peers().next().map(|peer| peer.link),
        Some(second)
    );
}

#[test]
fn duplicate_links_py2p_when_our_dial_fails_the_held_one_is_answered() {
    let mut solo = Solo::new();
    let dial = solo
        .state
        .connect(address("10.0.0.9:4444"), solo.now)
        .unwrap();
    solo.drain();
    let theirs = solo.accept();
    solo.feed(theirs, &Legacy::py2p(LOW).handshake());
    assert!(solo.sent(theirs).is_empty(), "ours is preferred");
    solo.state
        .handle_dial_failed(dial, DialFailure::Refused, solo.now);
    solo.drain();
    assert!(solo.is_peer(LOW));
    assert!(handshake_in(&solo.sent(theirs)).is_some());
}

#[test]
fn duplicate_links_js2p() {
    // After closing a second link the handshake is sent again on the first, or js2p stays mute.
    let peer = Legacy::js2p(HIGH);
    let (mut solo, ours, theirs) = crossed(&peer);
    solo.feed(ours, &peer.handshake());
    assert!(solo.closed.contains_key(&ours));
    solo.forget_sent(&[theirs]);
    solo.pass(Duration::from_millis(249));
    assert!(solo.sent(theirs).is_empty());
    solo.pass(Duration::from_millis(1));
    assert!(handshake_in(&solo.sent(theirs)).is_some());
    // Also when js2p itself opens and closes another.
    let again = solo.accept();
    solo.feed(again, &peer.handshake());
    solo.close(again);
    solo.pass(Duration::from_millis(250));
    assert!(handshake_in(&solo.sent(theirs)).is_some());
}

#[test]
pub(super) fn connecting_to_a_linked_py2p_by_another_name_says_duplicate_and_leaves_it_in_peace() {
    let mut solo = Solo::new();
    solo.py2p("P");
    solo.take_events();
    let spare = solo.dial("10.0.0.77:4444");
    solo.feed(spare, &Legacy::py2p("P").handshake());
    let failed = |event: &Event| matches!(event, Event::ConnectFailed { error: ConnectError::Duplicate(peer), .. } if *peer == id("P"));
    assert!(solo.events.iter().any(failed), "{:?}", solo.events);
    solo.pass(Duration::from_secs(100));
    assert!(solo.closed.is_empty());
}
