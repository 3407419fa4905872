//! Nodes that talk.

use std::net::TcpListener;

use serde_json::json;

use crate::process::{Process, free_address};

#[test]
fn two_nodes_talk_both_ways() {
    let (mut ada, address) = Process::listener(&[]);
    let mut bob = Process::start(&["node", "--join", &address]);
    bob.write(b"fire in room 3\n");
    let heard = ada.event("message");
    assert_eq!(heard["text"], "fire in room 3");

    ada.write("it is out — thanks\n".as_bytes());
    let line = bob.out(|_| true);
    let id = ada_id(&bob);
    assert_eq!(line, format!("{id}  it is out — thanks"));
}

/// Returns the short id of the node that was joined, as a person is shown it.
fn ada_id(bob: &Process) -> String {
    let line = bob.err("linked to ");
    let words: Vec<&str> = line.split(' ').collect();
    let ["*", "linked", "to", id, "at", _] = words[..] else {
        panic!("{line}");
    };
    id.to_owned()
}

#[test]
fn a_program_reads_all_there_is_to_know_of_a_message() {
    let (ada, address) = Process::listener(&[]);
    let mut bob = Process::start(&["node", "--join", &address, "--json"]);
    let bob_id = bob.event("started")["id"].clone();

    let up = ada.event("peer_up");
    assert_eq!((&up["id"], &up["kind"]), (&bob_id, &json!("rs2p")));
    assert_eq!(up["side"], "accepted");

    bob.write(b"disk \xff full\nplain\n");
    let bytes = ada.event("message");
    assert_eq!(
        bytes["packets"],
        json!([{"$hex": "6469736b20ff2066756c6c"}])
    );
    assert_eq!(bytes["text"], json!(null));

    let plain = ada.event("message");
    assert_eq!(plain["packets"], json!(["plain"]));
    assert_eq!(plain["kind"], "broadcast");
    assert_eq!(plain["sender"], bob_id);
    assert!(plain["time"].as_i64().unwrap() > 1_600_000_000, "{plain}");
    assert!(plain["id"].as_str().unwrap().len() > 40, "{plain}");

    drop(bob);
    assert_eq!(ada.event("peer_down")["id"], bob_id);
    ada.event("isolated");
}

#[test]
fn a_message_reaches_nodes_that_the_sender_is_not_linked_to() {
    let (hub, address) = Process::listener(&[]);
    let mut ada = Process::start(&["node", "--join", &address, "--json"]);
    let bob = Process::start(&["node", "--join", &address, "--json"]);
    hub.event("peer_up");
    hub.event("peer_up");
    ada.write(b"to everyone\n");
    assert_eq!(bob.message(), "to everyone");
    assert_eq!(hub.message(), "to everyone");
}

#[test]
fn lines_wait_for_a_node_that_is_not_there_yet() {
    let address = free_address();
    let mut early = Process::start(&["node", "--join", &address]);
    early.write(b"first\nsecond\n");
    let warning =
        format!("! cannot join {address}: connection refused; trying again until it works");
    early.err_both(&warning, "nobody is linked: your lines wait");

    let late = Process::start(&["node", "--listen", &address, "--json"]);
    assert_eq!(late.message(), "first");
    assert_eq!(late.message(), "second");
    early.err("your lines are being sent");
}

#[test]
fn a_program_is_told_of_each_attempt_that_fails() {
    let address = free_address();
    let node = Process::start(&["node", "--join", &address, "--json"]);
    for _ in 0..2 {
        let failed = node.event("dial_failed");
        assert_eq!(failed["address"], address);
        assert_eq!(failed["reason"], "connection refused");
        assert!(failed["retry_in_ms"].is_u64());
    }
}

#[test]
fn a_node_of_another_network_is_told_of_on_both_sides() {
    let ada = Process::start(&["node", "--listen", "127.0.0.1:0"]);
    let line = ada.err("listening on ");
    let (_, address) = line.split_once("listening on ").unwrap();
    let bob = Process::start(&["node", "--join", address, "--subnet", "ops"]);
    let warning = bob.err("cannot join");
    assert!(
        warning.contains("the node there is in subnet \"mesh\", not \"ops\""),
        "{warning}"
    );
    ada.err("turned away a node of another network, from 127.0.0.1");
}

#[test]
fn links_can_be_encrypted_or_web_sockets() {
    for option in ["--tls", "--ws"] {
        let (ada, address) = Process::listener(&[option]);
        let mut bob = Process::start(&["node", "--join", &address, option]);
        bob.write(option.as_bytes());
        bob.end_input();
        assert_eq!(ada.message(), option);
        assert_eq!(bob.ended().status, Some(0), "{option}");
    }
}

#[test]
fn a_line_that_is_too_long_is_told_of_and_the_next_is_sent() {
    let (ada, address) = Process::listener(&[]);
    let mut bob = Process::start(&["node", "--join", &address]);
    let long = vec![b'x'; 3 << 20];
    bob.write(&long);
    bob.write(b"\nshort\n");
    let warning = bob.err("line 1 was not sent");
    assert!(
        warning.contains("message of 3145728 bytes is over the limit"),
        "{warning}"
    );
    assert_eq!(ada.message(), "short");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Process::run(&["node", "--listen", &address]);
    assert_eq!(ended.status, Some(2));
    let expected = format!("rs2p: cannot listen on {address}: the port is in use\n");
    assert_eq!(ended.stderr, expected);
    assert_eq!(ended.stdout, "");
}

#[test]
fn an_address_that_is_none_or_our_own_is_refused() {
    let ended = Process::run(&["node", "--listen", "localhost"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("write host:port"), "{ended:?}");

    let own = free_address();
    let ended = Process::run(&["node", "--listen", &own, "--join", &own]);
    assert_eq!(ended.status, Some(2));
    assert!(
        ended.stderr.contains("that address is this node's own"),
        "{ended:?}"
    );
}

#[test]
fn what_a_peer_sends_cannot_steer_the_terminal() {
    let (mut ada, address) = Process::listener(&[]);
    let bob = Process::start(&["node", "--join", &address]);
    ada.write(b"\x1b[2J\x07gone\n");
    let line = bob.out(|_| true);
    assert!(line.ends_with("  \\u{1b}[2J\\u{7}gone"), "{line:?}");
}
