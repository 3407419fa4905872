//! Every limit of the configuration, at the limit.

use std::time::Duration;

use super::solo::*;
use crate::wire::control::Control;
use crate::wire::message::WireTime;
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
fn links_are_bounded_whoever_dials() {
    let mut solo = Solo::with(Config {
        max_links: 4,
        ..config()
    });
    solo.native("A");
    let link = solo.accept();
    solo.feed(link, &Legacy::py2p("B").at("10.0.0.8:1").handshake());
    solo.dial("10.0.0.7:1");
    solo.state.connect(address("10.0.0.7:2"), solo.now).unwrap();
    let refused = solo.state.handle_accepted(address("1.2.3.4:5"), solo.now);
    assert_eq!(refused, Err(AcceptError::TooManyLinks { limit: 4 }));
    let refused = solo.state.connect(address("10.0.0.7:3"), solo.now);
    assert_eq!(refused, Err(ConnectError::TooManyLinks { limit: 4 }));
}

#[test]
fn credit_is_never_exceeded() {
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
fn own_messages_are_refused_when_a_link_is_half_full_and_room_is_announced() {
    let mut solo = Solo::with(Config {
        link_queue_limit: 64 << 10,
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
    assert!((28..34).contains(&accepted), "{accepted}");
    solo.drain();
    assert!(!solo.events.contains(&Event::Room));
    solo.state.handle_credit(link, 2000, solo.now);
    solo.drain();
    assert!(solo.events.contains(&Event::Room));
    solo.state.broadcast("again", solo.now).unwrap();
    solo.state.handle_credit(link, usize::MAX, solo.now);
    solo.drain();
    let sent = solo.sent(link).len();
    assert_eq!(
        sent,
        2 + accepted + 1,
        "handshake, peers, and all that was accepted"
    );
}

#[test]
fn relays_fill_the_other_half_and_then_the_link_is_closed() {
    let mut solo = Solo::with(Config {
        link_queue_limit: 16 << 10,
        ..config()
    });
    let from = solo.native("From");
    let other = solo.native("Other");
    let slow = solo.accept_without_credit();
    solo.feed(slow, &Legacy::js2p("Slow").at("10.0.0.8:1").handshake());
    for n in 0..40 {
        let peer = Legacy::native("From");
        solo.feed(from, &peer.frame(0, 0, &packets![n, vec![0; 500]]));
    }
    let limit = 16 << 10;
    assert_eq!(solo.closed[&slow], CloseReason::Overflow { limit });
    let relayed = solo.controls(other).into_iter();
    let relayed = relayed.filter(|control| *control == Control::User).count();
    assert_eq!(relayed, 40, "nobody else is affected");
    let links = solo.state.snapshot().links;
    assert!(links.iter().all(|link| link.queued <= limit));
    // Its address is kept, and dialled again.
    solo.pass(Duration::from_secs(2));
    assert_eq!(
        solo.dials.last().map(|(_, to)| to.clone()),
        Some(address("10.0.0.8:1"))
    );
}

#[test]
fn a_link_that_takes_no_bytes_is_closed_after_the_stall_time() {
    let mut solo = Solo::new();
    let link = solo.accept_without_credit();
    solo.feed(link, &Legacy::js2p("J").handshake());
    for _ in 0..5 {
        solo.pass(Duration::from_secs(29));
        solo.state.handle_credit(link, 1, solo.now);
        solo.drain();
    }
    assert!(solo.is_peer("J"), "a little progress is progress");
    solo.pass(Duration::from_secs(30));
    assert_eq!(solo.closed[&link], CloseReason::Stalled);
}

#[test]
fn a_dial_without_an_answer_times_out_and_is_cancelled() {
    let mut solo = Solo::new();
    let dial = solo
        .state
        .connect(address("10.0.0.9:4444"), solo.now)
        .unwrap();
    solo.drain();
    solo.pass(Duration::from_secs(10));
    assert_eq!(solo.cancelled, [dial]);
    let error = ConnectError::Dial(DialFailure::TimedOut);
    let failed = Event::ConnectFailed {
        dial,
        address: address("10.0.0.9:4444"),
        error,
    };
    assert_eq!(solo.take_events(), [failed]);
    // What the driver tells too late is ignored.
    assert_eq!(solo.state.handle_dial_succeeded(dial, solo.now), None);
    solo.state
        .handle_dial_failed(dial, DialFailure::Refused, solo.now);
    solo.drain();
    assert!(solo.events.is_empty());
}

#[test]
fn a_native_peer_gets_no_frame_that_it_would_not_take() {
    let mut solo = Solo::new();
    let link = solo.accept();
    let mut peer = Legacy::native("N");
    peer.max_frame_len = Some(1000);
    solo.feed(link, &peer.hello());
    solo.feed(link, &peer.confirm());
    solo.forget_sent(&[link]);
    solo.state.broadcast(vec![0; 500], solo.now).unwrap();
    solo.state.broadcast(vec![0; 1000], solo.now).unwrap();
    solo.drain();
    assert_eq!(solo.sent(link).len(), 1);
    let limit = 1000;
    let why = WithheldReason::TooLong { limit };
    let withheld =
        |event: &Event| matches!(event, Event::Withheld { why: reason, .. } if *reason == why);
    assert!(solo.events.iter().any(withheld));
}

#[test]
fn the_calendar_can_be_set() {
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    let wall = UnixTime::from_secs(EPOCH + 5000);
    solo.state.handle_wall_clock(wall, solo.now);
    solo.feed(link, &Legacy::py2p("P").broadcast("from the past now"));
    assert!(solo.messages.is_empty());
    solo.state.broadcast("x", solo.now).unwrap();
    solo.drain();
    let time = solo.sent(link)[0].packed.time();
    assert_eq!(time, WireTime::Seconds(1_700_005_000));
}

#[test]
fn a_flood_of_ids_is_bounded_and_reported() {
    let mut solo = Solo::with(Config {
        max_seen: 1024,
        ..config()
    });
    let link = solo.native("N");
    for n in 0..5000 {
        let frame = Legacy::native("N").frame(0, 0, &Payload::from(n));
        solo.feed(link, &frame);
        assert!(solo.state.snapshot().seen <= 1024);
    }
    assert_eq!(solo.messages.len(), 5000);
    let overflowed = |event: &Event| matches!(event, Event::SeenOverflow { .. });
    assert!(solo.events.iter().any(overflowed));
}

#[test]
fn a_flood_of_addresses_is_bounded() {
    let mut solo = Solo::with(Config {
        max_addresses: 50,
        ..config()
    });
    let link = solo.py2p("P");
    for batch in 0..40u16 {
        let entry = |n: u16| {
            let place = Value::array([Value::from("10.9.9.9"), Value::from(1 + batch * 100 + n)]);
            Value::array([place, Value::from(format!("Id{batch}x{n}"))])
        };
        let list = Value::Array((0..100).map(entry).collect());
        solo.feed(link, &Legacy::py2p("P").frame(2, 7, &Payload::from(list)));
        assert!(solo.state.snapshot().addresses.len() <= 50);
    }
}

#[test]
fn searches_are_bounded() {
    let mut solo = Solo::with(Config {
        max_searches: 2,
        ..config()
    });
    for n in 0..2 {
        solo.state
            .send_to(&id(&format!("Far{n}")), "x", solo.now)
            .unwrap();
    }
    let refused = solo.state.send_to(&id("Far"), "x", solo.now);
    assert_eq!(refused, Err(SendError::TooManySearches { limit: 2 }));
    solo.pass(Duration::from_secs(10));
    assert_eq!(solo.state.snapshot().waiting_for_route, 0);
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
fn shutting_down_flushes_within_its_time_and_is_the_end() {
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
