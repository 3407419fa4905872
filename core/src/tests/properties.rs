//! What holds for any bytes and any order of inputs.

use std::time::Duration;

use proptest::prelude::*;

use super::solo::*;
use crate::*;

/// Frames good and bad, for a link.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = (
        0..12u8,
        any::<u8>(),
        prop::collection::vec(any::<u8>(), 0..60),
    );
    let piece = piece.prop_map(|(kind, n, junk)| {
        let peer = match n % 3 {
            0 => Legacy::py2p("P"),
            1 => Legacy::js2p("P"),
            _ => Legacy::native("P"),
        };
        match kind {
            0 | 1 => peer.handshake(),
            2 if n % 2 == 0 => peer.hello(),
            2 => [peer.hello(), peer.confirm(), peer.accept()].concat(),
            3 => peer.broadcast(&format!("{n}")),
            4 => peer.whisper(&format!("{n}")),
            5 => peer.frame(2, u64::from(n % 20), &Payload::from(junk)),
            6 => peer.frame(u64::from(n % 4), 8, &packets!["*"]),
            7 => peer.frame(1, 1, &Payload::from(Value::array([19]))),
            8 => plain_frame(&[&junk[..], &[n]].concat()),
            9 => frame_by(
                Some(Method::Zlib),
                &peer.pack(0, &0.into(), &Payload::from(junk)),
            ),
            10 => peer.text_frame(2, "rs2p", &packets![n % 3, n]),
            _ if n == 0 => junk,
            _ => peer.broadcast("again"),
        }
    });
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Feeds a stream in pieces, and returns all that came of it.
fn feed(stream: &[u8], cuts: &[usize]) -> String {
    let mut solo = Solo::new();
    let link = solo.accept();
    let mut rest = stream;
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, tail) = rest.split_at((*cut).clamp(1, rest.len()));
        solo.feed(link, piece);
        rest = tail;
    }
    let bytes: Vec<u8> = solo
        .chunks
        .iter()
        .flat_map(|(_, bytes, _)| bytes.to_vec())
        .collect();
    format!(
        "{:?} {:?} {:?} {bytes:?} {:?} {:?}",
        solo.messages,
        solo.events,
        solo.closed,
        solo.state.snapshot(),
        solo.state.poll_timeout()
    )
}

/// One input, by numbers.
type Step = (u8, u8, Vec<u8>);

fn act(solo: &mut Solo, (kind, n, bytes): Step) {
    let now = solo.now;
    let link = LinkId(u64::from(n % 12));
    let dial = DialId(u64::from(n % 12));
    let state = &mut solo.state;
    let place = Address::new("10.0.0.5", u16::from(n % 4)).expect("good");
    match kind {
        0 | 1 => drop(state.handle_accepted(place, now)),
        2 => drop(state.handle_dial_succeeded(dial, now)),
        3 => state.handle_dial_failed(dial, DialFailure::Refused, now),
        4..=8 => state.handle_bytes(link, &bytes, now),
        9 => state.handle_credit(link, usize::from(n) * 9, now),
        10 => state.handle_closed(link, now),
        11 => drop(state.connect(place, now)),
        12 => drop(state.broadcast(bytes, now)),
        13 => drop(state.whisper(bytes, now)),
        14 => drop(state.send_to(&id(&format!("N{}", n % 3)), bytes, now)),
        15 => drop(state.disconnect(&id("P"), now)),
        16 => drop(state.add_seed(place, now)),
        17 => state.handle_timeout(now),
        18 if n == 0 => state.shutdown(now),
        _ => {
            solo.drain();
            return solo.pass(Duration::from_millis(1 << (n % 17)));
        }
    }
    solo.drain();
}

fn step() -> impl Strategy<Value = Step> {
    (0..21u8, any::<u8>(), stream())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_cutting_of_a_stream_gives_the_same_outputs(
        stream in stream(),
        cuts in prop::collection::vec(1usize..200, 1..20),
    ) {
        prop_assert_eq!(feed(&stream, &[usize::MAX]), feed(&stream, &cuts));
    }

    #[test]
    fn no_bytes_make_the_state_panic(junk in prop::collection::vec(any::<u8>(), 0..400)) {
        feed(&junk, &[7]);
    }

    #[test]
    fn no_order_of_inputs_makes_the_state_panic_or_break_its_contract(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        // `drain` checks the outputs, and debug builds the invariants after every input.
        let mut solo = Solo::with(Config {
            max_links: 8,
            max_pending: 4,
            link_queue_limit: 4096,
            seeds: vec![address("10.0.0.6:1")],
            ..config()
        });
        for step in steps {
            act(&mut solo, step);
        }
        // It always comes to an end.
        solo.state.shutdown(solo.now);
        solo.drain();
        solo.pass(Duration::from_secs(10));
        prop_assert_eq!(solo.events.last(), Some(&Event::ShutDown));
        prop_assert_eq!(solo.state.poll_timeout(), None);
    }
}
