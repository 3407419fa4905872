//! Every compression method that a peer has, alone, in both directions.

use rs2p_smol::{Config, Method};
use rs2p_tests::peers::{Flag, PeerOptions, value};

use super::node::{Mode, Node, wait};

fn talk_by(mode: Mode, methods: &[u8]) {
    let Some(peer) = mode.peer_with(PeerOptions::new().compression(methods)) else {
        return;
    };
    let config = Config {
        compression: Method::built().collect(),
        ..Config::default()
    };
    let node = Node::with(mode, "mesh", config);
    node.connect(&peer);
    peer.wait_linked(node.id());
    for len in [0, 10, 1000, 50_000] {
        // Something that shrinks, of every length modulo 8.
        for len in len..len + 9 {
            let text = "compress me ".repeat(1 + len / 12)[..len].to_owned();
            wait("room", node.socket.broadcast_when_ready(text.as_str())).unwrap();
            peer.wait_message(|message| message.user_packets() == [value::str(&text)]);
            peer.send([value::str(&text)], Flag::Whisper, None).unwrap();
            assert_eq!(node.recv_text(), text);
        }
    }
    assert_eq!(node.socket.peers().len(), 1, "no frame broke the link");
}

#[test]
fn py2p_by_zlib() {
    talk_by(Mode::PY2P, &[19]);
}

#[test]
fn py2p_by_gzip() {
    talk_by(Mode::PY2P, &[17]);
}

#[test]
fn py2p_by_bz2() {
    talk_by(Mode::PY2P, &[16]);
}

#[test]
fn py2p_by_lzma() {
    talk_by(Mode::PY2P, &[18]);
}

#[test]
fn py2p_by_nothing() {
    talk_by(Mode::PY2P, &[]);
}

#[test]
fn js2p_by_zlib() {
    talk_by(Mode::JS2P, &[19]);
}

#[test]
fn js2p_by_gzip() {
    talk_by(Mode::JS2P, &[17]);
}

#[test]
fn js2p_by_nothing() {
    talk_by(Mode::JS2P, &[]);
}
