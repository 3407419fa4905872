//! One message, and how its sending can fail.

use std::net::TcpListener;

use crate::process::{Process, free_address};

#[test]
fn the_words_arrive_as_one_message() {
    let (ada, address) = Process::listener(&[]);
    let ended = Process::run(&["send", "--join", &address, "disk", "full", "  97 %"]);
    assert_eq!(ended.status, Some(0));
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    assert_eq!(ada.message(), "disk full   97 %");
}

#[test]
fn a_message_that_fills_every_buffer_arrives_too() {
    let (ada, address) = Process::listener(&[]);
    let word = "x".repeat(100_000);
    let words: Vec<&str> = std::iter::repeat_n(word.as_str(), 10).collect();
    let args = [&["send", "--join", &address], &words[..]].concat();
    assert_eq!(Process::run(&args).status, Some(0));
    assert_eq!(ada.message().len(), 10 * 100_000 + 9);
}

#[test]
fn any_of_several_ways_into_the_network_will_do() {
    let (ada, address) = Process::listener(&["--tls"]);
    let dead = free_address();
    let args = ["send", "--tls", "--join", &dead, "--join", &address, "fire"];
    let ended = Process::run(&args);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ada.message(), "fire");
}

#[test]
fn a_message_that_reaches_nobody_is_a_failure_with_a_reason() {
    let (one, two) = (free_address(), free_address());
    let ended = Process::run(&["send", "--join", &one, "fire"]);
    assert_eq!(ended.status, Some(1));
    assert_eq!(
        ended.stderr,
        format!("rs2p: cannot join {one}: connection refused\n")
    );

    let ended = Process::run(&["send", "--join", &one, "--join", &two, "fire"]);
    assert_eq!(ended.status, Some(1));
    assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
}

#[test]
fn a_node_of_another_network_gets_nothing() {
    let (mut ada, address) = Process::listener(&["--subnet", "ops"]);
    let ended = Process::run(&["send", "--join", &address, "fire"]);
    assert_eq!(ended.status, Some(1));
    let expected = "the node there is not in subnet \"mesh\"";
    assert!(ended.stderr.contains(expected), "{ended:?}");

    ada.end_input();
    ada.event("rejected");
    ada.signal("TERM");
    let ended = ada.ended();
    assert!(!ended.stdout.contains("\"message\""), "{ended:?}");
}

#[test]
fn a_listener_that_says_nothing_is_given_up() {
    // It is never accepted from: the system completes the connection, and that is all.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let ended = Process::run(&["send", "--join", &address, "--timeout", "1", "fire"]);
    assert_eq!(ended.status, Some(1));
    assert_eq!(
        ended.stderr,
        "rs2p: could not send the message within 1 s\n"
    );
}

#[test]
fn a_message_that_is_too_long_is_refused() {
    let (_ada, address) = Process::listener(&[]);
    let word = "x".repeat(100_000);
    let words: Vec<&str> = std::iter::repeat_n(word.as_str(), 12).collect();
    let args = [&["send", "--join", &address], &words[..]].concat();
    let ended = Process::run(&args);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("over the limit of"), "{ended:?}");
}
