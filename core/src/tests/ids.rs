//! Messages without names: native neighbours list their ids to each other, and ask for them by these.

use std::time::Duration;

use bytes::Bytes;

use super::solo::*;
use crate::wire::control::{Control, OutControl};
use crate::wire::native::{Native, kind};
use crate::wire::sync::{Gone, Ids, Repair, Summary, WantIds};
use crate::*;

fn message(text: &str) -> (Vec<u8>, MessageId) {
    let packed = Legacy::js2p("Far").pack(0, &0.into(), &Payload::from(text));
    let id = MessageId::of(&packed);
    (packed, id)
}

fn say(solo: &mut Solo, link: LinkId, peer: &str, control: &OutControl) {
    let frame = Legacy::native(peer).text_frame(2, "rs2p", &control.packets);
    solo.feed(link, &frame);
}

fn offer(solo: &mut Solo, link: LinkId, peer: &str, ids: &[MessageId]) {
    let ids = ids.to_vec();
    say(solo, link, peer, &Ids { ids }.encode());
}

fn say_gone(solo: &mut Solo, link: LinkId, peer: &str, ids: &[MessageId]) {
    let (entries, ids) = (Vec::new(), ids.to_vec());
    say(solo, link, peer, &Gone { entries, ids }.encode());
}

/// Says that the log of a peer has other messages without names; each time others.
fn differ(solo: &mut Solo, link: LinkId, peer: &str, others: u8) {
    let summary = Summary {
        fingerprint: [0; 16],
        streams: 0,
        others: [others; 16],
        reach: Duration::MAX,
    };
    say(solo, link, peer, &summary.encode());
}

/// Returns the messages of a kind among what was sent on a link since it was looked at last.
fn sent_of(solo: &mut Solo, link: LinkId, kind: u64) -> Vec<Native> {
    let controls = solo.controls(link).into_iter();
    let native = controls.filter_map(|control| match control {
        Control::Native(native) => Some(native),
        _ => None,
    });
    native.filter(|native| native.kind == kind).collect()
}

/// Returns the ids that a peer was asked for, question by question.
fn asked(solo: &mut Solo, link: LinkId) -> Vec<Vec<MessageId>> {
    let wants = sent_of(solo, link, kind::WANT_IDS);
    let wants = wants.iter().map(WantIds::parse);
    wants
        .map(|want| want.expect("we send good messages").ids)
        .collect()
}

/// Returns the ids that a peer was told.
fn told(solo: &mut Solo, link: LinkId) -> Vec<MessageId> {
    let told = sent_of(solo, link, kind::IDS);
    let told = told.iter().map(Ids::parse);
    told.flat_map(|ids| ids.expect("we send good messages").ids)
        .collect()
}

#[test]
pub(super) fn what_a_neighbour_has_no_more_is_asked_of_another_and_then_forgotten() {
    let mut solo = Solo::new();
    let (one, other) = (solo.native("N"), solo.native("M"));
    let (packed, first) = message("first");
    let (_, second) = message("second");
    offer(&mut solo, one, "N", &[first, second]);
    assert_eq!(asked(&mut solo, one), [[first, second]]);
    offer(&mut solo, other, "M", &[second, first]);
    assert_eq!(asked(&mut solo, other), [[]; 0], "it is asked of one");
    say_gone(&mut solo, one, "N", &[first, second]);
    assert_eq!(asked(&mut solo, other), [[second, first]]);
    say_gone(&mut solo, other, "M", &[second]);
    let (age, packed) = (Duration::ZERO, Bytes::from(packed));
    say(&mut solo, other, "M", &Repair { age, packed }.encode());
    assert_eq!(solo.texts(), ["first"]);
    solo.pass(Config::default().pull_timeout * 2);
    for link in [one, other] {
        assert_eq!(asked(&mut solo, link), [[]; 0], "nobody has it");
    }
}

#[test]
fn whoever_does_not_answer_is_asked_after_others() {
    let mut solo = Solo::new();
    let (one, other) = (solo.native("N"), solo.native("M"));
    let (_, id) = message("text");
    offer(&mut solo, one, "N", &[id]);
    offer(&mut solo, other, "M", &[id]);
    assert_eq!(asked(&mut solo, one), [[id]]);
    solo.pass(Config::default().pull_timeout);
    assert_eq!(asked(&mut solo, one), [[]; 0], "it is slow");
    assert_eq!(asked(&mut solo, other), [[id]]);
}

#[test]
fn whoever_asks_for_what_is_gone_is_told_so() {
    let mut solo = Solo::new();
    let link = solo.native("N");
    let js2p = solo.js2p("Far");
    let (packed, here) = message("here");
    solo.feed(js2p, &plain_frame(&packed));
    let (_, gone) = message("gone");
    let ids = vec![gone, here, gone];
    say(&mut solo, link, "N", &WantIds { ids }.encode());
    let sent = sent_of(&mut solo, link, kind::GONE);
    let [said] = &sent[..] else {
        panic!("{sent:?}");
    };
    let (entries, ids) = (Vec::new(), vec![gone, gone]);
    assert_eq!(Gone::parse(said), Ok(Gone { entries, ids }));
}

#[test]
pub(super) fn a_neighbour_is_told_the_ids_once() {
    let mut solo = Solo::new();
    let js2p = solo.js2p("Far");
    let mut ids: Vec<MessageId> = Vec::new();
    let mut hear = |solo: &mut Solo| {
        let (packed, id) = message(&format!("{}", ids.len()));
        solo.feed(js2p, &plain_frame(&packed));
        ids.insert(0, id);
        ids.clone()
    };
    hear(&mut solo);
    let both = hear(&mut solo);
    let link = solo.accept();
    solo.feed(link, &Legacy::native("N").hello());
    solo.feed(link, &Legacy::native("N").confirm());
    differ(&mut solo, link, "N", 1);
    assert_eq!(told(&mut solo, link), both);
    hear(&mut solo);
    differ(&mut solo, link, "N", 2);
    assert_eq!(told(&mut solo, link), []);
    let ids = Vec::new();
    say(&mut solo, link, "N", &WantIds { ids }.encode());
    assert_eq!(told(&mut solo, link), [], "there are no more");
}

#[test]
pub(super) fn more_ids_are_told_than_a_neighbour_remembers_when_it_asks() {
    let mut solo = Solo::new();
    let js2p = solo.js2p("Far");
    let mut all = Vec::new();
    for n in 0..5000 {
        let (packed, id) = message(&format!("{n}"));
        solo.feed(js2p, &plain_frame(&packed));
        all.insert(0, id);
    }
    let link = solo.accept();
    solo.feed(link, &Legacy::native("N").hello());
    solo.feed(link, &Legacy::native("N").confirm());
    differ(&mut solo, link, "N", 1);
    assert_eq!(told(&mut solo, link), all[..4096]);
    let ids = Vec::new();
    say(&mut solo, link, "N", &WantIds { ids }.encode());
    assert_eq!(told(&mut solo, link), all[4096..]);
}

#[test]
pub(super) fn a_neighbour_is_asked_to_go_on_when_all_is_dealt_with() {
    let mut solo = Solo::new();
    let link = solo.native("N");
    let many: Vec<MessageId> = (0_u32..4096)
        .map(|n| MessageId::of(&n.to_be_bytes()))
        .collect();
    for ids in many.chunks(512) {
        offer(&mut solo, link, "N", ids);
    }
    let mut refused = Vec::new();
    loop {
        let mut questions = asked(&mut solo, link);
        if questions.last().is_some_and(Vec::is_empty) {
            break;
        }
        let ids = std::mem::take(&mut questions).concat();
        assert!(!ids.is_empty(), "after {}", refused.len());
        say_gone(&mut solo, link, "N", &ids);
        refused.extend(ids);
    }
    assert_eq!(refused, many);
    // Fewer than it may tell at once: there are no more.
    offer(&mut solo, link, "N", &many[..512]);
    let ids = asked(&mut solo, link).concat();
    say_gone(&mut solo, link, "N", &ids);
    assert!(!asked(&mut solo, link).iter().any(Vec::is_empty));
}
