//! Damaged and odd input. Where py2p and js2p did the same with it, so do we, but for the cases of
//! [`departures`]; where they differed, [`choices`] says what we do. Nothing of it ever touches
//! another link.

use std::time::Duration;

use super::super::solo::{Legacy, Sent, Solo};
use super::notation::sha256;
use super::pinned::Spelling::{Js2p, Py2p, Recorded};
use super::pinned::{ALL, Outcome, Pinned, Spelling, choices, departures};
use super::{Json, count, hex, list, load, text};
use crate::wire::control::Control;
use crate::wire::message::Sender;
use crate::*;

/// Who sends it, in the vectors.
const RAW: &str = "RawPeer1";

#[test]
fn every_case_comes_to_what_the_packages_did_or_to_what_is_pinned() {
    let negative = load("negative.json");
    let (departures, choices) = (departures(), choices());
    let mut cases_met = 0;
    let mut pins_met = 0;
    for case in list(&negative["cases"])
        .iter()
        .filter(|case| is_built(case))
    {
        let name = text(&case["name"]);
        cases_met += 1;
        for &spelling in spellings(case) {
            let departure = find(&departures, name, spelling);
            let choice = find(&choices, name, spelling);
            pins_met += usize::from(departure.is_some() || choice.is_some());
            let expected = match (of_both(case), departure, choice) {
                (Some(theirs), None, None) => theirs,
                (Some(theirs), Some(ours), None) => {
                    assert_ne!(ours, theirs, "{name}, {spelling:?}: no departure");
                    ours
                }
                (None, None, Some(ours)) => ours,
                pins => panic!("{name}, {spelling:?}: pinned in the wrong place: {pins:?}"),
            };
            // Cut anywhere, or not at all.
            for piece in [usize::MAX, 1] {
                let outcome = outcome(case, spelling, piece);
                assert_eq!(outcome, expected, "{name}, {spelling:?}, cut at {piece}");
            }
        }
    }
    if Method::built().count() == 5 {
        assert_eq!(cases_met, 141);
        let pins = departures.iter().chain(&choices);
        let pins = pins.map(|pin| pin.cases.len() * pin.spelt.len());
        assert_eq!(pins_met, pins.sum::<usize>(), "a pin names no case");
    }
}

#[test]
fn what_is_passed_on_would_be_seen() {
    // All cases are whispers or the like: that none of them is passed on means something only if
    // a broadcast is.
    let (mut solo, link, other) = linked(Recorded, &[]);
    solo.feed(link, &Legacy::native(RAW).broadcast("to all"));
    assert_eq!(passed_on(&mut solo, other), 1);
}

/// Finds the outcome that is pinned for a case, if one is.
fn find(pins: &[Pinned], name: &str, spelling: Spelling) -> Option<Outcome> {
    let is_for = |pin: &&Pinned| pin.cases.contains(&name) && pin.spelt.contains(&spelling);
    let mut hits = pins.iter().filter(is_for);
    let hit = hits.next()?;
    assert!(hits.next().is_none(), "{name}: pinned again: {}", hit.why);
    Some(hit.outcome.clone())
}

/// Returns what both packages did, if it was the same. What they sent back is left out: they
/// differ in it, and we greet as our own tests say.
fn of_both(case: &Json) -> Option<Outcome> {
    let [py2p, js2p] = ["py2p", "js2p"].map(|package| {
        let did = &case[package];
        (did["hangs"] != true).then(|| Outcome {
            is_open: text(&did["link"]) == "open",
            is_peer: did["established"] == true,
            ..Outcome::open(count(&did["delivered"]))
        })
    });
    let both = py2p.filter(|py2p| Some(py2p) == js2p.as_ref())?;
    Some(match (is_greeting(case), both.is_open, both.is_peer) {
        (true, true, true) => both.answering("handshake peers"),
        (true, false, _) => both.answering("handshake"),
        _ => both,
    })
}

/// Whether the bytes came instead of a handshake.
fn is_greeting(case: &Json) -> bool {
    match text(&case["sent"]) {
        "instead of a handshake" => true,
        "after a handshake that lists these methods" => false,
        other => panic!("sent {other}?"),
    }
}

/// A greeting is spelt as it is; after one, all spellings are tried.
fn spellings(case: &Json) -> &'static [Spelling] {
    if is_greeting(case) { &[Recorded] } else { ALL }
}

/// Whether the method that a case is about, if any, is built.
fn is_built(case: &Json) -> bool {
    let bytes = bytes_of(case);
    let body = bytes.get(4..).unwrap_or_default();
    Method::sniff(body).is_none_or(Method::is_built)
}

/// Returns the bytes of a case. The longest are given by a recipe, in words.
fn bytes_of(case: &Json) -> Vec<u8> {
    if case["bytes"].is_string() {
        return hex(&case["bytes"]);
    }
    let recipe = "whisper whose packet is 20000 nested one-element arrays around 0";
    assert_eq!(text(&case["recipe"]), recipe);
    let mut nested = Payload::new();
    nested.push_with(|out| {
        out.extend([0x91; 20_000]);
        out.push(0);
    });
    let bytes = Legacy::native(RAW).frame(2, 0, &nested);
    assert_eq!(bytes.len(), count(&case["bytes_len"]));
    assert_eq!(sha256(&bytes), text(&case["bytes_sha256"]));
    bytes
}

/// A node with a native peer on the second link, and a first link that is accepted.
fn beside_another() -> (Solo, LinkId, LinkId) {
    let mut solo = Solo::new();
    let other = solo.native("Other");
    let link = solo.accept();
    (solo, link, other)
}

/// The same, with the first link established.
fn linked(spelling: Spelling, methods: &[u64]) -> (Solo, LinkId, LinkId) {
    let (mut solo, link, other) = beside_another();
    let peer = match spelling {
        Recorded => Legacy::native(RAW),
        Py2p => Legacy::py2p(RAW),
        Js2p => Legacy::js2p(RAW),
    };
    let mut peer = peer.at("127.0.0.9:9");
    peer.methods = methods.to_vec();
    solo.feed(link, &peer.handshake());
    assert!(solo.is_peer(RAW), "{spelling:?}");
    // Long enough for a request for peers to be answered again.
    solo.pass(Duration::from_secs(2));
    solo.forget_sent(&[link, other]);
    solo.take_events();
    (solo, link, other)
}

/// Sends a case in pieces of that length, and returns what the link comes to.
fn outcome(case: &Json, spelling: Spelling, piece: usize) -> Outcome {
    let name = text(&case["name"]);
    let (mut solo, link, other) = if is_greeting(case) {
        beside_another()
    } else {
        let methods = list(&case["link_methods"]).iter();
        let methods: Vec<u64> = methods.map(|method| method.as_u64().unwrap()).collect();
        linked(spelling, &methods)
    };
    for bytes in bytes_of(case).chunks(piece) {
        solo.feed(link, bytes);
    }
    // The packages were looked at half a second later.
    solo.pass(Duration::from_millis(500));

    let messages = solo.messages.iter();
    let inbox = messages.filter(|m| *m.sub_flag() == SubFlag::Default);
    let inbox = inbox.count();
    let outcome = Outcome {
        is_open: !solo.closed.contains_key(&link),
        is_peer: solo.is_peer(RAW),
        inbox,
        for_handlers: solo.messages.len() - inbox,
        relayed: passed_on(&mut solo, other),
        answers: answers(&solo.sent(link)),
    };
    if let Some(reason) = solo.closed.remove(&link) {
        assert_closed_for_it(name, &reason);
    }
    assert!(solo.closed.is_empty(), "{name}: {:?}", solo.closed);
    assert!(solo.dials.is_empty(), "{name}: {:?}", solo.dials);
    solo.messages.clear();
    solo.feed(other, &Legacy::native("Other").broadcast("still here"));
    assert_eq!(solo.texts(), ["still here"], "{name}");
    outcome
}

fn assert_closed_for_it(name: &str, reason: &CloseReason) {
    let is_wrong_network = matches!(reason, CloseReason::WrongNetwork { .. });
    let is_fault = matches!(reason, CloseReason::Fault(_));
    let of_another = [
        "handshake/wrong-protocol-bin",
        "handshake/wrong-protocol-str",
        "handshake/other-subnet",
    ];
    assert_eq!(is_wrong_network, of_another.contains(&name), "{name}");
    assert!(is_fault || is_wrong_network, "{name}: {reason}");
}

/// Takes what was sent on a link, and returns how much of it others have made.
fn passed_on(solo: &mut Solo, link: LinkId) -> usize {
    let sent = solo.sent(link);
    let ours = solo.state.id();
    let is_ours =
        |sent: &&Sent| matches!(sent.packed.sender(), Sender::Node(sender, _) if sender == ours);
    sent.len() - sent.iter().filter(is_ours).count()
}

fn answers(sent: &[Sent]) -> String {
    let kinds: Vec<&str> = sent.iter().map(|sent| kind(&sent.control)).collect();
    kinds.join(" ")
}

fn kind(control: &Control) -> &'static str {
    match control {
        Control::User => "message",
        Control::Handshake(_) => "handshake",
        Control::Peers(_) => "peers",
        Control::RequestPeers => "request-for-peers",
        Control::RequestNode(_) => "request",
        Control::Response(_) => "response",
        Control::RenegotiateCompression(_) => "renegotiation",
        Control::Resend => "resend",
        Control::Native(_) => "native",
    }
}
