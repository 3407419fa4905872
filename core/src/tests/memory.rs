//! What a node remembers: what came, what it asked for, where streams begin, and what it had to let go of.

use std::time::Duration;

use bytes::Bytes;

use super::net::Net;
use super::solo::*;
use crate::wire::control::{Control, OutControl, RequestNode};
use crate::wire::native::kind;
use crate::wire::sync::{Have, HaveEntry, Ids, Repair, Want, WantIds};
use crate::wire::trailer::Name;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// A message between native nodes, as a frame.
fn native(id: &str, control: &OutControl) -> Vec<u8> {
    Legacy::native(id).text_frame(2, "rs2p", &control.packets)
}

/// A broadcast of a native node, packed: the text is its number.
fn named(sender: &str, sequence: u64) -> Vec<u8> {
    let text = sequence.to_string();
    let mut packed = Legacy::native(sender).pack(0, &0.into(), &Payload::from(text.as_str()));
    let name = Name::new(7, sequence).expect("neither is zero");
    name.put(&mut packed);
    packed
}

/// What somebody has of a sender's messages: all from one to another.
fn have(sender: &str, first: u64, last: u64) -> OutControl {
    have_of(sender, first, first, last)
}

/// The same, of one who says where the messages begin, and has only these left of them.
fn have_of(sender: &str, from: u64, first: u64, last: u64) -> OutControl {
    let entry = HaveEntry {
        origin: id(sender),
        epoch: 7,
        upto: last,
        low: first,
        from,
        ranges: Vec::new(),
    };
    let have = Have {
        entries: vec![entry],
        is_complete: false,
    };
    have.encode()
}

/// Returns the gaps told of since events were last taken: whose messages, the first, the last, and why.
fn take_gaps(solo: &mut Solo) -> Vec<(NodeId, u64, u64, GapReason)> {
    let gaps = solo
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Gap {
                origin,
                first,
                last,
                why,
                ..
            } => Some((origin, first, last, why)),
            _ => None,
        });
    gaps.collect()
}

fn repair(packed: Vec<u8>, age: Duration) -> OutControl {
    let packed = Bytes::from(packed);
    Repair { age, packed }.encode()
}

/// Returns what was asked for among what was sent, as ranges of a sender's messages.
fn wanted(sent: &[Sent]) -> Vec<(u64, u64)> {
    let wants = sent.iter().filter_map(|sent| match &sent.control {
        Control::Native(native) if native.kind == kind::WANT => {
            Some(Want::parse(native).expect("we send good messages"))
        }
        _ => None,
    });
    let entries = wants.flat_map(|want| want.entries);
    entries.flat_map(|extent| extent.ranges).collect()
}

/// Returns which messages without names were asked for among what was sent.
fn wanted_ids(sent: &[Sent]) -> Vec<MessageId> {
    let wants = sent.iter().filter_map(|sent| match &sent.control {
        Control::Native(native) if native.kind == kind::WANT_IDS => {
            Some(WantIds::parse(native).expect("we send good messages"))
        }
        _ => None,
    });
    wants.flat_map(|want| want.ids).collect()
}

#[test]
pub(super) fn a_request_that_comes_by_two_ways_is_passed_on_once() {
    let mut solo = Solo::new();
    let (one, other, third) = (solo.js2p("A"), solo.js2p("B"), solo.js2p("C"));
    solo.forget_sent(&[one, other, third]);
    let request = RequestNode {
        request_id: Bytes::from_static(b"\xa3req"),
        wanted: id("Wanted"),
        wanted_form: IdForm::Str,
    };
    let frame = Legacy::js2p("Asker").frame(0, 8, &request.encode().packets);
    solo.feed(one, &frame);
    solo.feed(other, &frame);
    solo.pass(SECOND * 60);
    solo.feed(other, &frame);
    let mut passed_on = solo.controls(third);
    passed_on.retain(|control| matches!(control, Control::RequestNode(_)));
    assert_eq!(passed_on, [Control::RequestNode(request)]);
}

#[test]
pub(super) fn what_a_neighbour_does_not_send_is_asked_of_another() {
    let mut solo = Solo::new();
    let (one, other) = (solo.native("N"), solo.native("M"));
    solo.feed(one, &native("N", &have("Far", 1, 3)));
    assert_eq!(wanted(&solo.sent(one)), [(1, 3)]);
    solo.feed(other, &native("M", &have("Far", 1, 3)));
    assert_eq!(wanted(&solo.sent(other)), [], "it is asked of one");
    solo.pass(Config::default().pull_timeout);
    assert_eq!(wanted(&solo.sent(other)), [(1, 3)]);
    for sequence in 1..=3 {
        let repair = repair(named("Far", sequence), SECOND);
        solo.feed(other, &native("M", &repair));
    }
    assert_eq!(solo.texts(), ["1", "2", "3"]);
}

#[test]
pub(super) fn a_stream_begins_where_a_neighbour_says_and_not_with_what_comes_first() {
    let mut solo = Solo::new();
    let link = solo.native("N");
    solo.pass(SECOND * 20);
    solo.sent(link);
    solo.feed(link, &plain_frame(&named("Far", 5)));
    assert_eq!(solo.texts(), [""; 0], "there may be something before it");
    solo.feed(link, &native("N", &have("Far", 3, 5)));
    assert_eq!(wanted(&solo.sent(link)), [(3, 4)]);
    for sequence in [4, 3] {
        let repair = repair(named("Far", sequence), SECOND * 2);
        solo.feed(link, &native("N", &repair));
    }
    assert_eq!(solo.texts(), ["3", "4", "5"]);
}

/// A node hears of a life of its own that it does not remember: its application does not get its own messages, and does not miss
/// those that are gone.
#[test]
fn nobody_misses_what_he_said_himself() {
    let mut solo = Solo::new();
    let link = solo.native("N");
    let own = solo.state.id().as_str().to_owned();
    for sender in [own.as_str(), "Far"] {
        solo.feed(link, &native("N", &have_of(sender, 1, 4, 5)));
        for sequence in [4, 5] {
            let repair = repair(named(sender, sequence), Duration::ZERO);
            solo.feed(link, &native("N", &repair));
        }
    }
    solo.pass(SECOND * 20);
    assert_eq!(solo.texts(), ["4", "5"]);
    let before = (id("Far"), 1, 3, GapReason::Evicted);
    assert_eq!(take_gaps(&mut solo), [before]);
}

/// A message has to be delivered since the log has no room for it, and nobody has said yet whether there was one before it.
#[test]
fn what_may_have_been_before_a_message_that_the_log_drops_is_a_gap() {
    let mut solo = Solo::with(Config {
        log_count: 64,
        ..config()
    });
    let link = solo.native("N");
    solo.pass(SECOND * 20);
    solo.feed(link, &plain_frame(&named("Far", 5)));
    assert_eq!(solo.texts(), [""; 0], "there may be something before it");
    solo.take_events();
    for n in 0..70 {
        solo.feed(link, &plain_frame(&named(&format!("Other{n}"), 1)));
    }
    let before = (id("Far"), 1, 4, GapReason::Room);
    assert_eq!(take_gaps(&mut solo), [before]);
    assert!(solo.texts().contains(&"5".to_owned()));
}

#[test]
pub(super) fn a_legacy_neighbour_that_comes_back_gets_what_it_missed() {
    for is_py2p in [true, false] {
        let mut solo = Solo::new();
        let join = |solo: &mut Solo| match is_py2p {
            true => solo.py2p("P"),
            false => solo.js2p("P"),
        };
        solo.js2p("Other");
        let first = join(&mut solo);
        solo.state
            .broadcast("before", solo.now)
            .expect("there is room");
        solo.drain();
        solo.pass(SECOND);
        assert_eq!(user_texts(&solo.sent(first)), ["before"]);
        solo.close(first);
        solo.pass(SECOND * 5);
        solo.state
            .broadcast("missed", solo.now)
            .expect("there is room");
        solo.drain();
        solo.pass(SECOND * 5);
        let second = solo.accept();
        let peer = match is_py2p {
            true => Legacy::py2p("P"),
            false => Legacy::js2p("P"),
        };
        solo.feed(second, &peer.handshake());
        solo.pass(SECOND);
        let got = user_texts(&solo.sent(second));
        assert!(got.contains(&"missed".to_owned()), "{got:?}");
    }
}

#[test]
pub(super) fn what_a_log_had_no_room_for_is_a_gap_also_to_who_never_heard_of_the_sender() {
    let mut net = Net::with(2, 1, |_, config| config.log_count = 64);
    net.run(SECOND * 3);
    // Another takes them, so that the first may let go of them.
    let third = net.add(|config| config.log_count = 64);
    net.connect(third, 0).expect("it can be dialled");
    net.cut(0, 1);
    net.run(SECOND * 2);
    for n in 0..200 {
        net.broadcast(0, &format!("{n}"));
        net.run(SECOND / 10);
    }
    net.heal();
    net.connect(1, 0).expect("it can be dialled");
    net.run(SECOND * 60);
    let stream = net.nodes[0].stream();
    let told = net.nodes[1].told.iter().filter(|(of, ..)| *of == stream);
    let told: Vec<(u64, u64)> = told.map(|(_, first, last)| (*first, *last)).collect();
    let [(1, gone), rest @ ..] = &told[..] else {
        panic!("{told:?}");
    };
    assert!((100..190).contains(gone), "{told:?}");
    let expected: Vec<(u64, u64)> = (gone + 1..=200).map(|n| (n, n)).collect();
    assert_eq!(rest, expected);
}

#[test]
pub(super) fn a_message_without_a_name_is_known_for_as_long_as_logs_keep_it() {
    let mut solo = Solo::new();
    let link = solo.js2p("J");
    let packed = Legacy::js2p("J").pack(0, &0.into(), &Payload::from("once"));
    solo.feed(link, &plain_frame(&packed));
    assert_eq!(solo.texts(), ["once"]);
    // Longer than old nodes remember anything, and less than native ones keep it.
    let age = SECOND * 300;
    solo.pass(age);
    let link = solo.native("N");
    let ids = vec![MessageId::of(&packed)];
    solo.feed(link, &native("N", &Ids { ids }.encode()));
    assert_eq!(wanted_ids(&solo.sent(link)), [], "it was here");
    solo.feed(link, &native("N", &repair(packed, age)));
    assert_eq!(solo.texts(), [""; 0]);
}
