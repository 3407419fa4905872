//! Who is linked to a node.

use serde_json::Value;

use crate::process::{Process, free_address};

#[test]
fn the_joined_node_and_those_that_it_names_are_listed() {
    let (ada, ada_address) = Process::listener(&[]);
    let (_bob, bob_address) = Process::listener(&["--join", &ada_address]);
    let bob_id = ada.event("peer_up")["id"].clone();
    // Listens nowhere, and so is not named.
    let _cleo = Process::start(&["node", "--join", &ada_address]);
    ada.event("peer_up");

    let ended = Process::run(&["peers", "--join", &ada_address, "--json"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let rows: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [joined, reached] = &rows[..] else {
        panic!("not two rows: {ended:?}");
    };
    assert_eq!(joined["address"], ada_address);
    assert_eq!(joined["state"], "joined");
    assert_eq!(reached["address"], bob_address);
    assert_eq!(reached["id"], bob_id);
    assert_eq!(reached["state"], "reached");
    for row in rows {
        assert_eq!(row["kind"], "rs2p");
        assert!(row["round_trip_ms"].is_number(), "{row}");
    }
}

#[test]
fn a_person_sees_a_table_and_which_nodes_are_out_of_reach() {
    let (ada, ada_address) = Process::listener(&[]);
    let nowhere = free_address();
    let options = ["--join", &ada_address, "--advertise", &nowhere];
    let (_bob, _) = Process::listener(&options);
    ada.event("peer_up");

    let ended = Process::run(&["peers", "--join", &ada_address]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let [head, joined, lost] = &lines[..] else {
        panic!("not three lines: {ended:?}");
    };
    assert!(head.starts_with("node      kind  address"), "{head}");
    assert!(
        joined.contains(&ada_address) && joined.ends_with("joined"),
        "{joined}"
    );
    assert!(lost.contains(&nowhere), "{lost}");
    assert!(lost.ends_with("unreachable: connection refused"), "{lost}");
}

#[test]
fn a_node_that_is_not_there_is_a_failure() {
    let address = free_address();
    let ended = Process::run(&["peers", "--join", &address]);
    assert_eq!(ended.status, Some(1));
    assert_eq!(
        ended.stderr,
        format!("rs2p: cannot join {address}: connection refused\n")
    );
    assert_eq!(ended.stdout, "");
}
