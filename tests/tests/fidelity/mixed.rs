//! Scripts in which nodes of several kinds meet.

use super::check;
use super::script::{Kind, Script, Who};

const PY2P: Who = Who::new(Kind::Py2p);
const JS2P: Who = Who::new(Kind::Js2p);
const RS2P: Who = Who::new(Kind::Rs2p);

/// Two of each, of which the first two meet. The others come later, and are let in.
///
/// A py2p that has peers already would lose them over it or not: js2p takes its handshake for a good one and answers with three
/// frames, and if py2p finds them all at once it stumbles over the third, and asks its peers for peers.
fn they_meet(dialler: usize, other: usize) -> Script {
    let nodes = [PY2P, JS2P, PY2P, JS2P];
    let script = Script::new(&nodes).own_ports().join(dialler, other);
    let script = script.join(2, 0).join(3, 1);
    script.say(0, "snakes").say(1, "coffee")
}

#[test]
fn a_py2p_dials_a_js2p() {
    check(they_meet(0, 1));
}

#[test]
fn a_js2p_dials_a_py2p() {
    check(they_meet(1, 0));
}

#[test]
fn a_py2p_and_a_js2p_are_joined_by_rs2p() {
    let script = Script::new(&[PY2P, RS2P, JS2P]).join(0, 1).join(2, 1);
    check(script.say(0, "snakes").say(2, "coffee").say(1, "rust"));
}

#[test]
fn rs2p_tells_py2p_of_py2p_and_of_nobody_else() {
    let script = Script::new(&[PY2P, RS2P, JS2P, PY2P]).join(0, 1);
    let script = script.join(2, 1).join(3, 1).say(3, "more snakes");
    check(script.say(2, "coffee"));
}
