//! Scripts in which somebody who runs no package meets two nodes that do, and writes what the packages never would.

use super::check;
use super::script::{Bit, Kind, Script, Who};

both! {
    old_messages: an_old_message_is_dropped_by_py2p, an_old_message_is_dropped_by_js2p;
    copies: a_copy_is_dropped_by_py2p, a_copy_is_dropped_by_js2p;
    spellings: py2p_knows_a_node_by_one_spelling, js2p_knows_a_node_by_any_spelling;
    four_bytes: four_bytes_left_end_a_py2p_link, four_bytes_left_are_nothing_to_js2p;
    four_bytes_of_many: four_bytes_of_what_is_read_at_once_end_a_py2p_link, what_is_read_at_once_is_nothing_to_js2p;
    five_bytes_less_of_many: frames_that_py2p_reads_at_once_arrive, frames_that_js2p_reads_at_once_arrive;
    other_leftovers: other_leftovers_are_nothing_to_py2p, other_leftovers_are_nothing_to_js2p;
    damage: a_damaged_frame_ends_a_py2p_link, a_damaged_frame_ends_a_js2p_link;
    behind_a_foreign_handshake: py2p_goes_on_behind_a_foreign_handshake, js2p_goes_on_behind_a_foreign_handshake;
    damage_behind_a_foreign_handshake: damage_behind_a_foreign_handshake_parts_two_py2p, damage_behind_a_foreign_handshake_is_nothing_to_two_js2p;
    before_the_handshake: py2p_takes_messages_before_a_handshake, js2p_takes_messages_before_a_handshake;
    a_neighbour_leaves: py2p_asks_for_peers_when_a_link_ends, js2p_says_nothing_when_a_link_ends;
    a_stranger_comes_and_goes: a_stranger_that_goes_parts_two_py2p, a_stranger_that_goes_is_nothing_to_two_js2p;
}

const HELLO: Bit = Bit::Hello { is_bin: false };

/// A broadcast of the stranger's, who spells its id as in its handshake.
const fn broadcast(age: u64, text: &'static str) -> Bit {
    let is_bin = false;
    Bit::Broadcast { age, is_bin, text }
}

/// Two nodes that are linked, and tell nobody how to dial them.
fn two(kind: Kind) -> Script {
    Script::new(&[Who::new(kind).hidden(); 2]).join(1, 0)
}

/// The same, and a stranger at the first of them.
fn with_stranger(kind: Kind, bits: &[Bit]) -> Script {
    let script = two(kind);
    script.stranger(0, &[HELLO]).stranger_writes(bits)
}

fn old_messages(kind: Kind) -> Script {
    let ages = [
        broadcast(62, "too old"),
        broadcast(45, "not too old"),
        broadcast(3600, "an hour old"),
        broadcast(0, "new"),
    ];
    with_stranger(kind, &ages)
}

fn copies(kind: Kind) -> Script {
    let whisper = Bit::Whisper { text: "psst" };
    let bits = [
        broadcast(5, "fire"),
        broadcast(5, "fire"),
        whisper,
        whisper,
        broadcast(4, "fire"),
    ];
    with_stranger(kind, &bits)
}

/// A broadcast goes back to who sent it where the sender's id is spelled in another way than in its handshake, and that is not
/// understood. After a second handshake with the other spelling it is in the table twice.
fn spellings(kind: Kind) -> Script {
    let is_bin = true;
    let text = "spelled otherwise";
    let other = Bit::Broadcast {
        age: 0,
        is_bin,
        text,
    };
    let script = with_stranger(kind, &[broadcast(0, "spelled so"), other]);
    let again = broadcast(0, "known twice");
    let script = script.say(1, "to it");
    let script = script.stranger_writes(&[Bit::Hello { is_bin }, again]);
    script.say(1, "to it twice").stranger_goes()
}

fn four_bytes(kind: Kind) -> Script {
    let text = "whole";
    let bits = [Bit::Sized { len: 200, text }, Bit::Begun { len: 4 }];
    with_stranger(kind, &bits)
}

fn other_leftovers(kind: Kind) -> Script {
    let text = "whole";
    let bits = [Bit::Sized { len: 200, text }, Bit::Begun { len: 5 }];
    with_stranger(kind, &bits).stranger_goes()
}

/// The 1024 bytes that py2p reads at once are five whole frames, and four bytes.
fn four_bytes_of_many(kind: Kind) -> Script {
    with_stranger(kind, &many(204))
}

fn five_bytes_less_of_many(kind: Kind) -> Script {
    with_stranger(kind, &many(205))
}

/// Six frames of one length.
fn many(len: usize) -> [Bit; 6] {
    ["one", "two", "three", "four", "five", "six"].map(|text| Bit::Sized { len, text })
}

/// py2p goes on with what it has read after a handshake of another network, and a fault in that costs it all its links to py2p.
fn behind_a_foreign_handshake(kind: Kind) -> Script {
    let behind = Bit::Whisper { text: "behind it" };
    let script = two(kind);
    script.stranger(0, &[Bit::Foreign, behind])
}

fn damage_behind_a_foreign_handshake(kind: Kind) -> Script {
    let script = two(kind);
    let behind = Bit::Whisper { text: "behind it" };
    script.stranger(0, &[Bit::Foreign, behind, Bit::Damaged])
}

fn damage(kind: Kind) -> Script {
    let behind = Bit::Whisper { text: "behind it" };
    let bits = [broadcast(0, "good"), Bit::Damaged, behind];
    with_stranger(kind, &bits)
}

fn before_the_handshake(kind: Kind) -> Script {
    let odd = Bit::Odd { flag: "odd" };
    let early = Bit::Whisper { text: "early" };
    let script = two(kind);
    script
        .stranger(0, &[odd, early, broadcast(0, "early to all")])
        .stranger_writes(&[HELLO, Bit::Whisper { text: "late" }])
}

/// What is said about it, is said to the stranger.
fn a_neighbour_leaves(kind: Kind) -> Script {
    let script = with_stranger(kind, &[broadcast(0, "hello")]);
    script.leave(1).say(0, "we two")
}

fn a_stranger_comes_and_goes(kind: Kind) -> Script {
    let odd = Bit::Odd { flag: "odd" };
    let script = two(kind).say(0, "before");
    script.stranger(0, &[odd]).stranger_goes()
}
