//! The quirks of py2p and js2p, as far as they concern frames and messages. Each test is named
//! after the behaviour that it answers to.

use std::time::Duration;

use super::solo::*;
#[cfg(feature = "zlib")]
use crate::wire::control::Control;
use crate::*;

/// Two links: a py2p that sends, and a js2p that what it sends is relayed to.
fn between_two() -> (Solo, LinkId, LinkId) {
    let mut solo = Solo::new();
    let from = solo.py2p("From");
    let to = solo.accept();
    solo.feed(to, &Legacy::js2p("To").at("10.0.0.8:1").handshake());
    solo.sent(to);
    (solo, from, to)
}

fn odd(main: Value, sender: Value, time: Value, sub_flag: Value) -> Vec<u8> {
    let payload = Payload::from("odd");
    plain_frame(&pack_odd(&main, &sender, &time, &sub_flag, &payload))
}

#[test]
pub(super) fn exactly_4_bytes_left() {
    // Towards py2p every frame is a multiple of 8 bytes long, also one that is cut by credit.
    let mut solo = Solo::new();
    let link = solo.accept_without_credit();
    solo.feed(link, &Legacy::py2p("P").handshake());
    for len in 0..40 {
        solo.state.broadcast("x".repeat(len), solo.now).unwrap();
    }
    for _ in 0..2000 {
        solo.state.handle_credit(link, 7, solo.now);
        solo.drain();
    }
    let sent = solo.sent(link);
    assert_eq!(user_texts(&sent).len(), 40);
    for frame in &sent {
        assert_eq!(frame.frame_len % 8, 0, "{:?}", frame.control);
    }
    assert!(solo.chunks.iter().all(|(_, bytes, _)| bytes.len() % 8 == 0));
}

#[test]
fn exactly_4_bytes_left_without_compression_relays_are_paced() {
    let mut solo = Solo::new();
    let from = solo.py2p("From");
    let link = solo.accept();
    let mut plain = Legacy::py2p("To").at("10.0.0.8:1");
    plain.methods = vec![];
    solo.feed(link, &plain.handshake());
    let greeting = solo.sent(link);
    assert!(greeting.iter().all(|sent| sent.frame_len % 8 == 0));
    // Our own messages are padded inside; those of others must stay as they are.
    for n in 0..8 {
        solo.feed(from, &Legacy::py2p("From").broadcast(&"x".repeat(n)));
    }
    let mut spurts = Vec::new();
    for _ in 0..100 {
        spurts.push(solo.sent(link));
        solo.pass(Duration::from_millis(20));
    }
    assert_eq!(
        spurts.iter().map(Vec::len).sum::<usize>(),
        8,
        "none is lost"
    );
    for spurt in spurts {
        let dangerous = spurt.iter().position(|sent| sent.frame_len % 8 != 0);
        let last = spurt.len().saturating_sub(1);
        assert!(
            dangerous.is_none_or(|at| at == last),
            "nothing right behind it"
        );
    }
}

#[test]
fn partial_writes() {
    // What py2p cut short is never a message: its checksum fails, or the frame never ends.
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    let frame = Legacy::py2p("P").broadcast("cut short, and filled up with the next");
    let torn = [&frame[..frame.len() - 9], &frame[..]].concat();
    solo.feed(link, &torn);
    assert_eq!(solo.closed[&link], CloseReason::Fault(PeerFault::Checksum));
    let link = solo.py2p("Q");
    solo.feed(link, &frame[..frame.len() - 9]);
    solo.pass(Duration::from_secs(61));
    assert_eq!(solo.closed[&link], CloseReason::HalfFrameTimeout);
    assert!(solo.messages.is_empty());
}

#[test]
fn frame_size() {
    // What goes to legacy nodes stays within what they relay whole; native ones have no such limit.
    let mut solo = Solo::with(Config {
        max_message_len: 3 << 20,
        link_queue_limit: 16 << 20,
        ..config()
    });
    let legacy = [solo.py2p("P"), {
        let link = solo.accept();
        solo.feed(link, &Legacy::js2p("J").at("10.0.0.8:1").handshake());
        link
    }];
    let native = solo.native("N");
    solo.forget_sent(&legacy);
    let million: Vec<u8> = (0..1u32 << 18)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect();
    solo.state.broadcast(million.clone(), solo.now).unwrap();
    solo.state
        .broadcast([&million[..], &million].concat(), solo.now)
        .unwrap();
    solo.drain();
    assert_eq!(solo.sent(native).len(), 2);
    for link in legacy {
        assert_eq!(solo.sent(link).len(), 1);
    }
    let withheld = solo.events.iter();
    let withheld = withheld.filter(|event| matches!(event, Event::Withheld { .. }));
    assert_eq!(withheld.count(), 2);
}

#[test]
pub(super) fn broadcast_on_several_links() {
    let mut solo = Solo::new();
    let links = [solo.py2p("P"), solo.native("N")];
    let id = solo.state.broadcast("one", solo.now).unwrap();
    solo.drain();
    for link in links {
        let sent = solo.sent(link);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].packed.id(), id.id());
    }
}

#[test]
pub(super) fn identical_payload_in_one_second() {
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    let ids = [(); 5].map(|()| solo.state.broadcast("fire", solo.now).unwrap());
    solo.drain();
    let sent = solo.sent(link);
    assert_eq!(
        user_texts(&sent),
        ["fire"; 5],
        "what the application sees is equal"
    );
    for (n, frame) in sent.iter().enumerate() {
        assert_eq!(frame.packed.id(), ids[n].id());
        assert!(
            !ids[..n].contains(&ids[n]),
            "and each is a message of its own"
        );
        assert_eq!(frame.frame_len % 8, 0);
    }
    // Equal ids are one message, as everywhere.
    let frame = Legacy::py2p("P").broadcast("twice");
    solo.feed(link, &[frame.clone(), frame].concat());
    assert_eq!(solo.texts(), ["twice"]);
}

#[test]
fn age_exactly_60_s() {
    let (mut solo, from, to) = between_two();
    let mut peer = Legacy::py2p("From");
    for (age, is_taken) in [(59, true), (60, true), (61, false)] {
        peer.time = EPOCH - age;
        let frame = peer.broadcast(&age.to_string());
        solo.feed(from, &frame);
        assert_eq!(solo.texts().len(), usize::from(is_taken), "{age} s");
        // To and fro, for as long as the second lasts: once is enough.
        for _ in 0..10 {
            solo.feed(to, &frame);
            solo.feed(from, &frame);
        }
        assert!(solo.messages.is_empty(), "{age} s");
        assert_eq!(solo.sent(to).len(), usize::from(is_taken), "{age} s");
    }
    let expired = Event::Expired {
        sender: id("From"),
        seconds: 1,
    };
    assert!(solo.events.contains(&expired));
}

#[test]
fn age_of_a_message_from_the_future() {
    let (mut solo, from, _) = between_two();
    let mut peer = Legacy::py2p("From");
    peer.time = EPOCH + 3600;
    let frame = peer.broadcast("soon");
    for _ in 0..70 {
        solo.feed(from, &frame);
        solo.pass(Duration::from_secs(52));
    }
    assert_eq!(solo.texts(), ["soon"], "for more than an hour");
}

#[test]
fn time_nan_text_missing_fractional_or_infinite() {
    let (mut solo, from, to) = between_two();
    let times = [
        Value::from(f64::NAN),
        Value::from(f64::INFINITY),
        Value::from(1_700_000_000.5),
        Value::from("1700000000"),
        Value::Nil,
    ];
    for time in times {
        solo.feed(from, &odd(0.into(), "From".into(), time, 0.into()));
    }
    assert!(solo.messages.is_empty() && solo.sent(to).is_empty());
    assert!(solo.is_peer("From"), "it may only pass on what others made");
    // js2p after 2038.
    let time = Value::from(1_700_000_000.0);
    solo.feed(from, &odd(0.into(), "From".into(), time, 0.into()));
    assert_eq!(solo.texts(), ["odd"]);
    assert_eq!(solo.sent(to).len(), 1);
}

#[test]
fn sender_nil() {
    let (mut solo, from, to) = between_two();
    for sender in [Value::Nil, 5.into(), "".into(), b"\xff".into()] {
        solo.feed(from, &odd(0.into(), sender, EPOCH.into(), 0.into()));
    }
    assert!(solo.messages.is_empty() && solo.sent(to).is_empty());
}

#[test]
pub(super) fn relay_excludes() {
    let mut solo = Solo::new();
    let origin = solo.py2p("Origin");
    let neighbour = solo.native("Neighbour");
    let other = solo.accept();
    solo.feed(other, &Legacy::js2p("Other").at("10.0.0.8:1").handshake());
    solo.forget_sent(&[origin, neighbour, other]);
    solo.feed(neighbour, &Legacy::py2p("Origin").broadcast("news"));
    assert!(solo.sent(origin).is_empty(), "not to the sender");
    assert!(solo.sent(neighbour).is_empty(), "not back");
    assert_eq!(user_texts(&solo.sent(other)), ["news"]);
}

#[test]
pub(super) fn relay_bytes() {
    // Odd widths, a float time, trailing bytes: the very bytes go on, with the same id.
    let (mut solo, from, to) = between_two();
    let odd: &[u8] = &[
        0xdd, 0, 0, 0, 5, 0xcd, 0, 0, 0xda, 0, 4, b'F', b'r', b'o', b'm', 0xcb, 0x41, 0xd9, 0x54,
        0xfc, 0x40, 0, 0, 0, 0xd2, 0, 0, 0, 0, 0xd9, 2, b'h', b'i', 1, 2, 3,
    ];
    solo.feed(from, &plain_frame(odd));
    let sent = solo.sent(to);
    assert_eq!(sent[0].packed.bytes(), odd);
    assert_eq!(sent[0].packed.id(), MessageId::of(odd));
    assert_eq!(solo.texts(), ["hi"]);
}

#[test]
fn broadcast_with_sub_flag_5_or_7() {
    let (mut solo, from, to) = between_two();
    let peer = Legacy::py2p("From");
    let place = Value::array([Value::from("10.0.3.1"), 1.into()]);
    let list = Value::array([Value::array([place, "X".into()])]);
    solo.feed(from, &peer.frame(0, 7, &Payload::from(list)));
    let mut thief = Legacy::py2p("Thief");
    thief.id = "To".to_owned();
    let handshake = thief.pack(0, &5.into(), &Payload::from("whatever"));
    solo.feed(from, &plain_frame(&handshake));
    assert!(solo.sent(to).is_empty(), "not relayed");
    assert!(solo.dials.is_empty(), "not acted on");
    assert!(solo.is_peer("From") && solo.is_peer("To"));
}

#[test]
fn main_type_other_than_0_1() {
    let (mut solo, from, to) = between_two();
    for main in [3.into(), 99.into(), (-1).into(), Value::Nil, "x".into()] {
        solo.feed(from, &odd(main, "From".into(), EPOCH.into(), 0.into()));
    }
    assert_eq!(solo.texts(), ["odd"; 5], "delivered like a whisper");
    assert!(solo.sent(to).is_empty(), "and not relayed");
    let zero = Value::from(0.0);
    solo.feed(from, &odd(zero, "From".into(), EPOCH.into(), 0.into()));
    assert_eq!(solo.sent(to).len(), 1, "a float zero is a zero");
}

#[test]
fn user_messages_before_handshake() {
    let mut solo = Solo::new();
    let peer = solo.py2p("P");
    let link = solo.accept();
    solo.feed(link, &Legacy::py2p("Q").broadcast("early"));
    solo.feed(link, &Legacy::py2p("Q").whisper("early"));
    assert!(solo.messages.is_empty() && solo.sent(peer).is_empty());
    assert!(!solo.closed.contains_key(&link), "dropped, no more");
}

#[test]
fn bad_utf_8_repeated_keys_deep_nesting() {
    let mut solo = Solo::new();
    let from = solo.js2p("From");
    let py2p = solo.accept();
    solo.feed(py2p, &Legacy::py2p("P").at("10.0.0.8:1").handshake());
    let native = solo.native("N");
    solo.forget_sent(&[py2p, native]);
    let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
    let contents: [(&str, Vec<u8>); 4] = [
        ("bad UTF-8", vec![0xa2, 0xff, 0xfe]),
        ("repeated keys", vec![0x82, 1, 2, 1, 3]),
        ("equal keys", vec![0x82, 1, 2, 0xc3, 3]),
        ("deep nesting", nested(400)),
    ];
    for (why, content) in contents {
        let mut payload = Payload::new();
        payload.push_with(|out| out.extend_from_slice(&content));
        let js2p = Legacy::js2p("From");
        solo.feed(from, &js2p.frame(0, 0, &payload));
        assert!(solo.sent(py2p).is_empty(), "{why}");
        assert_eq!(solo.sent(native).len(), 1, "{why}");
        let last = solo.events.pop();
        assert!(
            matches!(last, Some(Event::Withheld { .. })),
            "{why}: {last:?}"
        );
    }
    // Our own application cannot send such things.
    let twice = Value::map([(Value::from(1), 2), (Value::from(1.0), 3)]);
    let deep = (0..301).fold(Value::Nil, |inner, _| Value::Array(vec![inner]));
    for payload in [twice, deep] {
        let refused = solo.state.broadcast(payload, solo.now);
        assert!(matches!(refused, Err(SendError::Payload(_))), "{refused:?}");
    }
    solo.drain();
    assert!(solo.sent(native).is_empty());
}

#[test]
fn integers_of_64_bits_and_bin_of_length_255_and_ints_as_float64() {
    // Every width is read, and ours are written in the shortest.
    let (mut solo, from, to) = between_two();
    let contents: [(&[u8], Value); 6] = [
        (&[0xcf, 0, 0, 0, 0, 0, 0, 0, 7], 7.into()),
        (
            &[0xcf, 255, 255, 255, 255, 255, 255, 255, 255],
            u64::MAX.into(),
        ),
        (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], i64::MIN.into()),
        (&[0xc5, 0, 1, 9], b"\x09".into()),
        (&[0xca, 0x3f, 0x80, 0, 0], 1.0.into()),
        (&[0xdb, 0, 0, 0, 1, b'x'], "x".into()),
    ];
    for (content, expected) in contents {
        let mut payload = Payload::new();
        payload.push_with(|out| out.extend_from_slice(content));
        solo.feed(from, &Legacy::py2p("From").frame(0, 0, &payload));
        let message = solo.messages.pop().expect("delivered");
        assert_eq!(message.packets().to_values(), Ok(vec![expected]));
        let sent = solo.sent(to);
        assert!(
            sent[0].packed.packet_bytes().ends_with(content),
            "as it came"
        );
    }
}

#[test]
fn tls_records_to_py2p() {
    // One frame per record: what the driver gets for py2p says so.
    let mut solo = Solo::new();
    let py2p = solo.py2p("P");
    let native = solo.native("N");
    solo.chunks.clear();
    solo.state.broadcast("x", solo.now).unwrap();
    solo.drain();
    let batching = |link| solo.chunks.iter().find(|c| c.0 == link).map(|c| c.2);
    assert_eq!(batching(py2p), Some(Batching::OwnRecord));
    assert_eq!(batching(native), Some(Batching::Free));
}

#[test]
fn custom_sub_flags_reach_the_application_and_are_relayed() {
    let (mut solo, from, to) = between_two();
    let payload = Payload::from("job");
    solo.feed(
        from,
        &Legacy::py2p("From").text_frame(0, "my-work", &payload),
    );
    let message = solo.messages.pop().expect("delivered");
    assert_eq!(*message.sub_flag(), SubFlag::from("my-work"));
    assert_eq!(user_texts(&solo.sent(to)), ["job"]);
    solo.state
        .broadcast_as(SubFlag::from(48), "mine", solo.now)
        .unwrap();
    solo.drain();
    assert_eq!(user_texts(&solo.sent(to)), ["mine"]);
    for reserved in [SubFlag::from(47), SubFlag::from("rs2p")] {
        let refused = solo.state.broadcast_as(reserved.clone(), "x", solo.now);
        assert_eq!(refused, Err(SendError::ReservedSubFlag(reserved)));
    }
}

#[cfg(feature = "zlib")]
#[test]
fn a_malformed_message_of_py2p_gets_one_round_of_renegotiation() {
    let mut solo = Solo::new();
    let link = solo.py2p("P");
    let short = plain_frame(&[0x93, 0, 0xa1, b'P', 0]);
    solo.feed(link, &short);
    let controls = solo.controls(link);
    assert!(matches!(&controls[..], [Control::RenegotiateCompression(list)] if !list.is_empty()));
    assert!(solo.is_peer("P"));
    solo.feed(link, &short);
    let fault = PeerFault::Message(MessageFault::TooFewFields { have: 3 });
    assert_eq!(solo.closed[&link], CloseReason::Fault(fault));
}
