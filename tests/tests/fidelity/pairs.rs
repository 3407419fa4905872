//! Scripts that nodes of either package play, among themselves.

use super::check;
use super::script::{Kind, Script, Who};

both! {
    a_pair: a_pair_of_py2p_talks, a_pair_of_js2p_talks;
    a_pair_the_other_way: a_pair_of_py2p_that_the_first_made_talks, a_pair_of_js2p_that_the_first_made_talks;
    each_dials_the_other: two_py2p_dial_each_other, two_js2p_dial_each_other;
    one_dials_twice: a_py2p_dials_another_twice, a_js2p_dials_another_twice;
    a_chain: a_chain_of_py2p_relays, a_chain_of_js2p_relays;
    the_middle_dials: a_py2p_makes_two_others_known, a_js2p_makes_two_others_known;
    four_at_one_port: four_py2p_in_a_row_all_link, four_js2p_in_a_row_at_one_port_stay_a_row;
    a_triangle: three_py2p_learn_of_each_other, three_js2p_learn_of_each_other;
    one_of_three_leaves: one_of_three_py2p_leaves, one_of_three_js2p_leaves;
    they_join_again: py2p_join_again_after_one_left, js2p_join_again_after_one_left;
    the_dialler_disconnects: a_py2p_closes_the_link_that_it_made, a_js2p_closes_the_link_that_it_made;
    the_dialled_disconnects: a_py2p_closes_the_link_that_another_made, a_js2p_closes_the_link_that_another_made;
    a_chain_is_cut: a_chain_of_py2p_is_cut, a_chain_of_js2p_is_cut;
    one_returns: a_py2p_comes_back_as_somebody_new, a_js2p_comes_back_as_somebody_new;
    equal_messages: equal_messages_of_py2p_in_a_second_are_one, equal_messages_of_js2p_in_a_second_are_one;
    equal_messages_over_relays: equal_messages_over_py2p_relays, equal_messages_over_js2p_relays;
    another_network: a_py2p_of_another_network_is_turned_away, a_js2p_of_another_network_is_turned_away;
    whispers: whispers_of_py2p_go_one_hop, whispers_of_js2p_go_one_hop;
    a_burst_of_eights: a_burst_of_py2p_in_multiples_of_eight_arrives, a_burst_of_js2p_in_multiples_of_eight_arrives;
}

fn pair(kind: Kind) -> Script {
    Script::new(&[Who::new(kind); 2])
}

/// Three nodes that know of each other only what their users tell them.
fn three_hidden(kind: Kind) -> Script {
    Script::new(&[Who::new(kind).hidden(); 3])
}

/// Three that listen at addresses of their own, and are told of each other.
fn three(kind: Kind) -> Script {
    Script::new(&[Who::new(kind); 3]).own_ports()
}

fn a_pair(kind: Kind) -> Script {
    let script = pair(kind).join(1, 0).say(0, "fire").say(1, "where?");
    script.whisper(0, "here").say(0, "fire!")
}

fn a_pair_the_other_way(kind: Kind) -> Script {
    let script = pair(kind).own_ports().join(0, 1).say(0, "fire");
    script.say(1, "where?").whisper(1, "tell me")
}

fn each_dials_the_other(kind: Kind) -> Script {
    pair(kind).join(0, 1).say(0, "one").join(1, 0).say(1, "two")
}

/// When the third is linked, the second link has been dealt with.
fn one_dials_twice(kind: Kind) -> Script {
    let script = three_hidden(kind).join(1, 0).say(1, "one").join(1, 0);
    script.join(2, 0).say(0, "two").say(1, "three")
}

fn a_chain(kind: Kind) -> Script {
    let script = three_hidden(kind).join(1, 0).join(2, 1);
    script
        .say(0, "along")
        .say(2, "and back")
        .say(1, "both ways")
}

fn a_triangle(kind: Kind) -> Script {
    let script = three(kind).join(1, 0).join(2, 0);
    script.say(2, "fire").say(0, "where?").whisper(1, "here")
}

fn the_middle_dials(kind: Kind) -> Script {
    three(kind)
        .join(1, 0)
        .join(1, 2)
        .say(2, "fire")
        .say(0, "where?")
}

fn four_at_one_port(kind: Kind) -> Script {
    let script = Script::new(&[Who::new(kind); 4]);
    script.join(1, 0).join(2, 1).join(3, 2).say(3, "fire")
}

fn one_of_three_leaves(kind: Kind) -> Script {
    let script = three(kind).join(1, 0).join(2, 0).say(0, "all");
    script.leave(2).say(0, "without it")
}

fn they_join_again(kind: Kind) -> Script {
    let script = three(kind)
        .join(1, 0)
        .join(2, 0)
        .leave(0)
        .say(1, "who is left?");
    script
        .join(2, 1)
        .say(2, "we are")
        .back(0)
        .join(0, 1)
        .say(0, "and so am I")
}

fn the_dialler_disconnects(kind: Kind) -> Script {
    let script = pair(kind).join(1, 0).say(1, "one").disconnect(1, 0);
    script.say(0, "lost").join(1, 0).say(0, "two")
}

fn the_dialled_disconnects(kind: Kind) -> Script {
    let script = pair(kind).join(1, 0).say(1, "one").disconnect(0, 1);
    script.say(1, "lost").join(0, 1).say(1, "two")
}

/// What the middle one closes is an end to one; whether the other end loses its link as well is up to the package.
fn a_chain_is_cut(kind: Kind) -> Script {
    let script = three_hidden(kind).join(1, 0).join(2, 1).say(0, "all");
    script.disconnect(2, 1).say(0, "two are left")
}

fn one_returns(kind: Kind) -> Script {
    let script = pair(kind).join(1, 0).say(1, "one").leave(1);
    script.say(0, "lost").back(1).join(1, 0).say(1, "two")
}

fn equal_messages(kind: Kind) -> Script {
    let script = pair(kind).join(1, 0).say_twice(0, "fire");
    script.say(1, "fire").say_later(0, "fire")
}

fn equal_messages_over_relays(kind: Kind) -> Script {
    let script = three_hidden(kind).join(1, 0).join(2, 1);
    script.say_twice(0, "fire").say_later(2, "fire")
}

/// The third is of the right network, and comes after the one that is not.
fn another_network(kind: Kind) -> Script {
    let other = Who::new(kind).subnet("other");
    let nodes = [Who::new(kind), other, Who::new(kind)];
    let script = Script::new(&nodes).own_ports().join(1, 0).join(2, 0);
    script.say(1, "anybody?").join(0, 1).say(0, "we two")
}

fn whispers(kind: Kind) -> Script {
    let script = three_hidden(kind).join(1, 0).join(2, 1);
    script.whisper(0, "to one").whisper(1, "to two")
}

fn a_burst_of_eights(kind: Kind) -> Script {
    let nodes = [Who::new(kind).uncompressed(); 2];
    Script::new(&nodes).join(1, 0).burst(1, 300, 0)
}

#[test]
fn a_burst_of_py2p_breaks_its_link_or_arrives() {
    let script = pair(Kind::Py2p).join(1, 0).say(1, "before");
    check(script.burst(1, 1000, 0).up_to_the_burst());
}

#[test]
fn a_burst_of_py2p_in_bad_lengths_breaks_its_link_or_arrives() {
    let nodes = [Who::new(Kind::Py2p).uncompressed(); 2];
    let script = Script::new(&nodes).join(1, 0).say(1, "before");
    check(script.burst(1, 1000, 4).up_to_the_burst());
}

#[test]
fn a_burst_of_js2p_in_any_lengths_arrives() {
    check(pair(Kind::Js2p).join(1, 0).burst(1, 500, 4));
}
