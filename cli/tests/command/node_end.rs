//! How a node ends: with its input, by a signal, or when nobody reads what it shows.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::process::Stdio;

use crate::process::{Process, free_address};

#[test]
fn the_end_of_input_ends_a_node_once_all_of_it_is_sent() {
    let (ada, address) = Process::listener(&[]);
    let mut bob = Process::start(&["node", "--join", &address]);
    bob.write(b"one\ntwo, without an end of line");
    bob.end_input();
    assert_eq!(bob.ended().status, Some(0));
    assert_eq!(ada.message(), "one");
    assert_eq!(ada.message(), "two, without an end of line");
}

#[test]
fn a_long_input_arrives_whole_and_in_order() {
    const COUNT: usize = 5000;
    let (ada, address) = Process::listener(&[]);
    let mut bob = Process::start(&["node", "--join", &address]);
    let lines: String = (0..COUNT).map(|n| format!("{n}\n")).collect();
    bob.write(lines.as_bytes());
    bob.end_input();
    assert_eq!(bob.ended().status, Some(0));
    for n in 0..COUNT {
        assert_eq!(ada.message(), n.to_string());
    }
}

#[test]
fn a_node_without_any_input_stays_until_it_is_told_to_end() {
    let args = ["node", "--listen", "127.0.0.1:0", "--json"];
    let node = Process::start_with_input(&args, Stdio::null());
    node.event("input_ended");
    node.signal("TERM");
    node.event("leaving");
    assert_eq!(node.ended().status, Some(0));
}

#[test]
fn a_node_that_is_to_stay_outlives_its_input() {
    let (mut ada, address) = Process::listener(&["--stay"]);
    let mut bob = Process::start(&["node", "--join", &address, "--json"]);
    ada.write(b"greeting\n");
    ada.end_input();
    assert_eq!(bob.message(), "greeting");
    ada.event("input_ended");
    bob.write(b"answer\n");
    assert_eq!(ada.message(), "answer");
}

#[test]
fn an_interrupted_node_leaves_with_status_0() {
    let (ada, address) = Process::listener(&[]);
    let bob = Process::start(&["node", "--join", &address]);
    ada.event("peer_up");
    bob.signal("INT");
    let ended = bob.ended();
    assert_eq!(ended.status, Some(0));
    assert!(ended.stderr.ends_with("* leaving\n"), "{ended:?}");
    ada.event("peer_down");
}

#[test]
fn an_interrupted_node_says_what_it_could_not_send() {
    let mut node = Process::start(&["node", "--join", &free_address()]);
    node.write(b"fire\n");
    node.err("your lines wait");
    node.signal("INT");
    let ended = node.ended();
    assert_eq!(ended.status, Some(1));
    let expected = "rs2p: a line was not sent: nobody was linked\n";
    assert!(ended.stderr.ends_with(expected), "{ended:?}");
}

#[test]
fn a_node_whose_output_nobody_reads_ends_quietly() {
    let (mut ada, address) = Process::listener(&[]);
    let bob = Process::start_unread(&["node", "--join", &address]);
    ada.write(b"unread\n");
    let ended = bob.ended();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("rs2p:"), "{ended:?}");
}

#[test]
fn a_second_interrupt_ends_a_node_that_cannot_leave() {
    let (mut ada, address) = Process::listener(&[]);
    let (bob, _output) = stuck(&mut ada, &address);
    assert_eq!(bob.signal_until_ended("INT"), Some(130));
}

#[test]
fn a_node_that_cannot_show_what_it_has_ends_all_the_same_and_says_so() {
    let (mut ada, address) = Process::listener(&[]);
    let (bob, _output) = stuck(&mut ada, &address);
    // More than what waits to be written.
    let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
    ada.write(lines.as_bytes());
    ada.end_input();
    assert_eq!(ada.ended().status, Some(0), "all is sent");
    bob.signal("TERM");
    let ended = bob.ended();
    assert_eq!(ended.status, Some(1));
    let expected = "rs2p: cannot write to standard output: nobody reads it\n";
    assert!(ended.stderr.ends_with(expected), "{ended:?}");
}

/// Starts a node that is stuck in writing a message of another, as nobody reads on.
fn stuck(other: &mut Process, address: &str) -> (Process, BufReader<PipeReader>) {
    let (output, writer) = std::io::pipe().expect("pipes can be had");
    let args = ["node", "--join", address, "--json"];
    let node = Process::start_with(&args, Stdio::piped(), writer.into());
    // Far more than a pipe holds, of which only the start is read.
    let long = format!("{}\n", "x".repeat(1_000_000));
    other.write(long.as_bytes());
    let mut output = BufReader::with_capacity(16, output);
    let mut line = String::new();
    while !line.contains("peer_up") {
        line.clear();
        output.read_line(&mut line).expect("it shows lines");
    }
    let start = br#"{"event":"message""#;
    let mut found = vec![0; start.len()];
    output.read_exact(&mut found).expect("a message follows");
    assert_eq!(found, start);
    (node, output)
}
