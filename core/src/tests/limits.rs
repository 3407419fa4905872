//! Every limit of the configuration, at the limit.

use std::time::Duration;

use super::solo::*;
use crate::wire::control::{Control, OutControl};
use crate::wire::native::kind;
use crate::*;

#[test]
fn a_flood_of_connections_is_refused_beyond_the_pending_limit() {
    let mut solo = Solo::with(Config {
        max_pending: 3,
        ..config()
    });
    let links = [(); 3].map(|()| solo.accept());
    let refused = solo.state.handle_accepted(address("1.2.3.4:5"), solo.now);
    assert_eq!(refused, Err(AcceptError::TooManyPending { limit: 3 }));
    // A native node is told why; and who we are, which a py2p has to know lest it storm others.
    let farewell = solo.state.farewell(solo.now);
    let mut stranger = Solo::new();
    let link = stranger.dial("1.2.3.4:5");
    stranger.feed(link, &farewell);
    assert_eq!(stranger.closed.get(&link), Some(&CloseReason::TurnedAway));
    let full = ConnectError::Closed(CloseReason::TurnedAway);
    let is_told =
        |event: &Event| matches!(event, Event::ConnectFailed { error, .. } if *error == full);
    assert!(stranger.events.iter().any(is_told), "{:?}", stranger.events);
    solo.take_frames(links[0], &farewell);
    let said = solo.sent(links[0]);
    assert_eq!(
        handshake_in(&said).map(|handshake| &handshake.id),
        Some(solo.state.id())
    );
    // One that shakes hands makes room.
    solo.feed(links[0], &Legacy::py2p("P").handshake());
    solo.accept();
}

#[test]
pub(super) fn links_are_bounded_whoever_dials() {
    let mut solo = Solo::with(Config {
        max_links: 4,
        ..config()
    });
    solo.native("A");
    let link = solo.accept();
    solo.feed(link, &Legacy::py2p("B").at("10.0.0.8:1").handshake());
    solo.dial("10.0.0.7:1");
    solo.state.connect(address("10.0.0.7:2"), solo.now).unwrap();
    let late = solo.accept();
    solo.feed(late, &Legacy::native("C").hello());
    assert_eq!(solo.closed.get(&late), Some(&CloseReason::NoPlace));
    let refused = solo.state.connect(address("10.0.0.7:3"), solo.now);
    assert_eq!(refused, Err(ConnectError::TooManyLinks { limit: 4 }));
}

#[test]
fn streams_are_bounded_whatever_becomes_of_them() {
    let mut solo = Solo::with(Config {
        max_links: 2,
        max_dialed: 0,
        max_pending: 3,
        ..config()
    });
    solo.native("A");
    solo.native("B");
    for name in ["C", "D", "E"] {
        // It is turned away, and does not take in that it is.
        let link = solo.accept_without_credit();
        solo.feed(link, &Legacy::native(name).hello());
        assert_eq!(solo.closed.get(&link), None);
    }
    let refused = solo.state.handle_accepted(address("1.2.3.4:5"), solo.now);
    assert_eq!(refused, Err(AcceptError::TooManyLinks { limit: 5 }));
    solo.pass(solo.state.config().linger_timeout);
    solo.accept();
}

#[test]
pub(super) fn credit_is_never_exceeded() {
    let mut solo = Solo::new();
    let link = solo.accept_without_credit();
    solo.feed(link, &Legacy::native("N").hello());
    solo.feed(link, &Legacy::native("N").confirm());
    let mut granted = 0;
    for grant in [0, 1, 10, 3, 500, 2, 10_000] {
        solo.state.handle_credit(link, grant, solo.now);
        solo.drain();
        granted += grant;
        let written: usize = solo.chunks.iter().map(|(_, bytes, _)| bytes.len()).sum();
        assert!(written <= granted, "{written} of {granted}");
    }
    assert!(solo.is_peer("N"));
}

#[test]
fn own_messages_are_refused_when_the_log_is_full_of_them_and_room_is_announced() {
    let mut solo = Solo::with(Config {
        link_queue_limit: 16 << 10,
        log_len: 128 << 10,
        ..config()
    });
    let link = solo.accept_without_credit();
    solo.feed(link, &Legacy::js2p("J").handshake());
    let mut accepted = 0;
    let refused = loop {
        match solo.state.broadcast(vec![7; 1000], solo.now) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 100);
    };
    assert_eq!(refused, SendError::Full);
    // What is in the link's queue, and half of the log; a message takes 1.5 KB there.
    assert!((50..65).contains(&accepted), "{accepted}");
    solo.drain();
    assert!(!solo.events.contains(&Event::Room));
    solo.state.handle_credit(link, 12_000, solo.now);
    solo.drain();
    assert!(solo.events.contains(&Event::Room));
    solo.state.broadcast("again", solo.now).unwrap();
    solo.state.handle_credit(link, usize::MAX, solo.now);
    // This peer never says how far it is.
    solo.pass(Duration::from_secs(5));
    let controls = solo.controls(link).into_iter();
    let sent = controls.filter(|control| *control == Control::User).count();
    assert_eq!(sent, accepted + 1, "all that was accepted");
}

#[test]
pub(super) fn a_link_that_takes_nothing_costs_its_queue_and_gets_all_in_the_end() {
    let limit = 16 << 10;
    let mut solo = Solo::with(Config {
        link_queue_limit: limit,
        ..config()
    });
    let from = solo.native("From");
    let other = solo.native("Other");
    let slow = solo.accept_without_credit();
    solo.feed(slow, &Legacy::js2p("Slow").handshake());
    for n in 0..400 {
        let peer = Legacy::native("From");
        solo.feed(from, &peer.frame(0, 0, &packets![n, vec![0; 500]]));
    }
    assert!(!solo.closed.contains_key(&slow));
    let relayed = solo.controls(other).into_iter();
    let relayed = relayed.filter(|control| *control == Control::User).count();
    assert_eq!(relayed, 400, "nobody else is affected");
    let links = solo.state.snapshot().links;
    assert!(links.iter().all(|link| link.queued <= limit));
    solo.state.handle_credit(slow, usize::MAX, solo.now);
    // This peer never says how far it is.
    solo.pass(Duration::from_secs(5));
    let controls = solo.controls(slow).into_iter();
    let got = controls.filter(|control| *control == Control::User).count();
    assert_eq!(got, 400);
}

#[test]
pub(super) fn control_messages_do_not_wait_in_the_log_and_are_bounded_all_the_same() {
    let limit = 16 << 10;
    let mut solo = Solo::with(Config {
        link_queue_limit: limit,
        ..config()
    });
    let link = solo.accept_without_credit();
    let peer = Legacy::native("N");
    solo.feed(link, &peer.hello());
    solo.feed(link, &peer.confirm());
    for nonce in 0..1000 {
        let ping = OutControl::native(kind::PING, &packets![nonce]);
        solo.feed(link, &peer.text_frame(2, "rs2p", &ping.packets));
        solo.pass(Duration::from_millis(10));
    }
    assert_eq!(solo.closed[&link], CloseReason::Overflow { limit });
}

#[test]
fn inputs_that_name_what_is_gone_are_ignored() {
    let mut solo = Solo::new();
    let link = solo.native("N");
    solo.close(link);
    solo.take_events();
    let before = solo.state.snapshot();
    solo.feed(link, &Legacy::native("N").broadcast("late"));
    solo.state.handle_credit(link, 5, solo.now);
    solo.close(link);
    solo.state.handle_timeout(solo.now);
    solo.state.handle_timeout(Instant::ZERO);
    solo.drain();
    assert!(solo.messages.is_empty() && solo.events.is_empty());
    assert_eq!(solo.state.snapshot(), before);
}

#[test]
pub(super) fn shutting_down_flushes_within_its_time_and_is_the_end() {
    let mut solo = Solo::new();
    let quick = solo.native("Quick");
    let stuck = solo.accept_without_credit();
    solo.feed(stuck, &Legacy::js2p("Stuck").at("10.0.0.8:1").handshake());
    solo.state.broadcast("last words", solo.now).unwrap();
    solo.state.shutdown(solo.now);
    solo.drain();
    assert_eq!(user_texts(&solo.sent(quick)), ["last words"]);
    assert_eq!(solo.closed[&quick], CloseReason::ShutDown);
    assert!(!solo.closed.contains_key(&stuck));
    assert_eq!(
        solo.state.broadcast("x", solo.now),
        Err(SendError::ShutDown)
    );
    solo.pass(Duration::from_secs(5));
    assert_eq!(solo.closed[&stuck], CloseReason::ShutDown);
    assert_eq!(solo.events.last(), Some(&Event::ShutDown));
    assert_eq!(solo.state.poll_timeout(), None);
    let refused = solo.state.handle_accepted(address("1.2.3.4:5"), solo.now);
    assert_eq!(refused, Err(AcceptError::ShutDown));
}
