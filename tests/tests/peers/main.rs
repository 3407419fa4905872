//! Both drivers work on this machine: two nodes of one package link up and talk.
//!
//! No rs2p takes part, so what fails here is the harness, the machine or the package.

#![expect(
    clippy::unwrap_used,
    reason = "the bodies of these tests are functions, and a failed command fails the test"
)]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rs2p_tests::peers::{
    Availability, Encryption, Flag, Flood, Peer, PeerMessage, PeerOptions, next_address, value,
};
use serde_json::Value;

type Start = fn(PeerOptions) -> Availability<Peer>;

#[test]
fn two_py2p_talk() {
    two_talk(Peer::py2p, Encryption::Plaintext);
}

#[test]
fn two_py2p_talk_over_ssl() {
    two_talk(Peer::py2p, Encryption::Ssl);
}

#[test]
fn two_js2p_talk() {
    two_talk(Peer::js2p, Encryption::Plaintext);
}

#[test]
fn two_js2p_talk_over_ssl() {
    two_talk(Peer::js2p, Encryption::Ssl);
}

#[test]
fn two_js2p_talk_over_websocket() {
    two_talk(Peer::js2p, Encryption::Ws);
}

#[test]
fn py2p_is_commanded_alone() {
    one_obeys(Peer::py2p);
}

#[test]
fn js2p_is_commanded_alone() {
    one_obeys(Peer::js2p);
}

#[test]
fn a_halted_py2p_answers_when_it_goes_on() {
    a_halted_one_answers_when_it_goes_on(Peer::py2p);
}

#[test]
fn a_halted_js2p_answers_when_it_goes_on() {
    a_halted_one_answers_when_it_goes_on(Peer::js2p);
}

#[test]
fn a_wait_in_vain_tells_what_was_said() {
    a_wait_in_vain_tells(Peer::py2p);
    a_wait_in_vain_tells(Peer::js2p);
}

fn two_talk(start: Start, encryption: Encryption) {
    let Some((alice, bob)) = linked_pair(start, encryption) else {
        return;
    };
    assert_eq!(alice.protocol_id(), bob.protocol_id());

    alice.send(every_type(), Flag::Broadcast, None).unwrap();
    let message = bob.wait_message(|_| true);
    assert_eq!(message.packets[0], value::int(0));
    assert_eq!(message.user_packets(), every_type());
    assert_eq!(message.main_type, value::int(0));
    assert_eq!(message.sender_text(), alice.id());
    assert!(message.raw.is_some_and(|raw| raw.len() > 100));

    let answer = [value::str("yes"), value::int(2)];
    bob.reply(message.n, answer.clone()).unwrap();
    let message = alice.wait_message(carries(&answer));
    assert_eq!(message.packets[0], value::int(2));
    assert_eq!(message.sender_text(), bob.id());

    let all = [value::str("to all of mine")];
    bob.send(all.clone(), Flag::Whisper, None).unwrap();
    let message = alice.wait_message(carries(&all));
    assert_eq!(message.main_type, value::int(2));
    assert_eq!(message.packets[0], value::int(0));

    let one = [value::str("to one")];
    let [row] = &bob.wait_routing(1)[..] else {
        panic!("bob has one link");
    };
    assert_eq!(row.id_text(), alice.id());
    assert!(row.outgoing);
    bob.send_to(&row.key, one.clone()).unwrap();
    let message = alice.wait_message(carries(&one));
    assert_eq!(message.packets[0], value::int(2));

    a_flood_is_counted(&alice, &bob);
    for peer in [&alice, &bob] {
        assert_eq!(peer.status().unwrap()["status"], "Nominal", "{peer:?}");
    }

    assert!(alice.close().success());
    bob.wait_routing(0);
    assert!(bob.close().success());
    assert_eq!([alice.noise(), bob.noise()], [vec![""; 0], vec![]]);
}

fn a_flood_is_counted(from: &Peer, to: &Peer) {
    to.quiet(true).unwrap();
    let flood = Flood::new(20).gap(Duration::from_millis(20));
    from.flood(&flood).unwrap();
    // A link keeps the order, so what should not follow the flood has come before this.
    from.send([value::str("end")], Flag::Broadcast, None)
        .unwrap();
    let counts = to.wait_counts(21);
    assert_eq!((counts.total, counts.distinct), (21, 21));
    assert_eq!((counts.duplicates, counts.duplicate_bodies), (0, 0));
    assert_eq!(counts.distinct_bodies, 21);
}

fn one_obeys(start: Start) {
    let nobody = next_address();
    let options = PeerOptions::new().manual_recv().connect(nobody);
    let Some(peer) = start(options).or_skip() else {
        return;
    };
    peer.wait_event("result", |event| event["cmd"] == "connect");

    assert_eq!(peer.recv(None).unwrap()["returned"], "none");
    assert_eq!(peer.recv(Some(3)).unwrap()["returned"], "list");
    peer.ping().unwrap();
    peer.request_peers().unwrap();

    let error = peer.reply(7, []).unwrap_err();
    assert_eq!(error.command, "reply");
    assert!(error.error.contains("no such message"), "{error}");
    peer.disconnect(&value::str("nobody")).unwrap_err();

    peer.kill();
    let heir = PeerOptions::new().address(peer.address());
    let heir = start(heir).or_skip().expect("it was there a moment ago");
    assert_eq!(heir.address(), peer.address());
    assert_ne!(heir.id(), peer.id());
}

fn a_halted_one_answers_when_it_goes_on(start: Start) {
    let Some((alice, bob)) = linked_pair(start, Encryption::Plaintext) else {
        return;
    };
    bob.stop();
    let news = [value::str("news")];
    alice.send(news.clone(), Flag::Broadcast, None).unwrap();

    thread::scope(|scope| {
        let (answered, answer) = mpsc::channel();
        let bob = &bob;
        scope.spawn(move || answered.send(bob.ping()));
        // That something does not happen takes time to see; too little would only hide a fault.
        let silence = answer.recv_timeout(Duration::from_millis(300));
        assert_eq!(silence, Err(mpsc::RecvTimeoutError::Timeout));
        assert_eq!(bob.messages(), []);

        bob.cont();
        answer.recv().unwrap().unwrap();
    });
    bob.wait_message(carries(&news));
}

fn a_wait_in_vain_tells(start: Start) {
    let options = PeerOptions::new().debug(5);
    let Some(peer) = start(options).or_skip() else {
        return;
    };
    peer.ping().unwrap();
    peer.kill();
    let wait = std::panic::AssertUnwindSafe(|| peer.wait_message(|_| true));
    let panic = std::panic::catch_unwind(wait).unwrap_err();
    let said = panic.downcast_ref::<String>().expect("a formatted panic");
    for part in [
        "no such message and the process has ended",
        "signal: 9",
        "\"ready\"",
        "\"ping\"",
        "--- stderr",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

/// Starts two peers, the second of which has dialled the first. `None` if they cannot be had.
fn linked_pair(start: Start, encryption: Encryption) -> Option<(Peer, Peer)> {
    let options = PeerOptions::new().encryption(encryption).raw();
    let alice = start(options.clone()).or_skip()?;
    let bob = start(options).or_skip()?;

    bob.connect(alice.address()).unwrap();
    for peer in [&alice, &bob] {
        peer.wait_event("connect", |_| true);
        peer.wait_routing(1);
    }
    Some((alice, bob))
}

fn carries(packets: &[Value]) -> impl Fn(&PeerMessage) -> bool {
    move |message| message.user_packets() == packets
}

/// One packet of every type that both packages can send and tell apart.
fn every_type() -> Vec<Value> {
    vec![
        value::nil(),
        value::boolean(true),
        value::boolean(false),
        value::int(0),
        value::int(-1),
        value::float(1.5),
        value::str("h\u{e9}\u{1f600}"),
        value::bin(b"\x00\xff"),
        value::array([]),
        value::array([value::int(1), value::array([value::str("x")])]),
        value::map([(
            value::str("k"),
            value::map([(value::str("n"), value::nil())]),
        )]),
    ]
}
