//! One node and the links to its neighbours, without a network: for measuring what a message costs it.

use std::collections::VecDeque;
use std::fmt::Write as _;

use rs2p_core::{
    Address, Config, Instant, LinkId, MeshState, NodeId, Output, Payload, Protocol, UnixTime,
};
use sha2::{Digest as _, Sha256};

/// The calendar at which everything happens.
const WALL: u64 = 1_700_000_000;

/// Credit that is never used up.
const ENDLESS: usize = usize::MAX / 2;

/// What the neighbours are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Neighbours {
    /// Nodes of rs2p.
    Native,
    /// Nodes that speak as js2p does.
    Legacy,
}

/// What a node did with what came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Messages delivered.
    pub delivered: u32,
    /// Chunks written to links.
    pub sent: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Hub {
    node: MeshState,
    links: Vec<LinkId>,
    /// The first neighbour, if it is native: it makes messages.
    publisher: Option<(MeshState, LinkId)>,
    made: u64,
    neighbours: Neighbours,
}

impl Hub {
    /// Returns a node that is linked to so many neighbours.
    ///
    /// # Panics
    ///
    /// A link does not come about, which is a bug of the node or of this.
    pub fn new(neighbours: Neighbours, degree: u8, config: Config) -> Self {
        let mut hub = Self {
            node: node(0, config.clone()),
            links: Vec::new(),
            publisher: None,
            made: 0,
            neighbours,
        };
        for number in 1..=degree {
            match neighbours {
                Neighbours::Native => hub.link_native(number, config.clone()),
                Neighbours::Legacy => hub.link_legacy(number),
            }
        }
        let count = hub.node.peers().count();
        assert_eq!(count, usize::from(degree), "all are linked");
        hub
    }

    /// Returns the frame of a broadcast as the first neighbour sends it, its own and a new one each time.
    ///
    /// # Panics
    ///
    /// The neighbour's log is full: too many long ones were asked for.
    pub fn make_frame(&mut self, len: usize) -> Vec<u8> {
        self.made += 1;
        let mut payload = text(len);
        for (byte, number) in payload.iter_mut().zip(self.made.to_be_bytes()) {
            *byte = number;
        }
        let Some((publisher, link)) = &mut self.publisher else {
            return legacy_broadcast(&payload);
        };
        let sent = publisher.broadcast(Payload::from(payload), now());
        sent.expect("the publisher has room");
        let mut frame = Vec::new();
        while let Some(output) = publisher.poll_output() {
            if let Output::Send {
                link: to, bytes, ..
            } = output
                && to == *link
            {
                frame.extend_from_slice(&bytes);
            }
        }
        frame
    }

    /// Lets bytes arrive from the neighbour of that number, counted from 0, and takes all outputs.
    pub fn arrive(&mut self, from: usize, bytes: &[u8]) -> Done {
        self.node.handle_bytes(self.links[from], bytes, now());
        self.drain()
    }

    /// Returns what the neighbours are.
    pub const fn neighbours(&self) -> Neighbours {
        self.neighbours
    }

    fn drain(&mut self) -> Done {
        let mut done = Done::default();
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Message(_) => done.delivered += 1,
                Output::Send { .. } => done.sent += 1,
                Output::Dial(..)
                | Output::CancelDial(_)
                | Output::Close(..)
                | Output::Persist(_)
                | Output::Event(_) => {}
            }
        }
        done
    }

    fn accept(&mut self, number: u8) -> LinkId {
        let from = address(number);
        let link = self.node.handle_accepted(from, now());
        let link = link.expect("there is a place for it");
        self.node.handle_credit(link, ENDLESS, now());
        self.links.push(link);
        link
    }

    fn link_native(&mut self, number: u8, config: Config) {
        let mut peer = node(number, config);
        peer.connect(address(0), now()).expect("it is an address");
        let theirs = std::iter::from_fn(|| peer.poll_output()).find_map(|output| match output {
            Output::Dial(dial, _) => Some(dial),
            Output::CancelDial(_)
            | Output::Send { .. }
            | Output::Close(..)
            | Output::Message(_)
            | Output::Persist(_)
            | Output::Event(_) => None,
        });
        let ours = self.accept(number);
        let theirs = theirs.and_then(|dial| peer.handle_dial_succeeded(dial, now()));
        let theirs = theirs.expect("it has dialled");
        peer.handle_credit(theirs, ENDLESS, now());
        self.talk(&mut peer, theirs, ours);
        if number == 1 {
            self.publisher = Some((peer, theirs));
        }
    }

    /// Carries what the two ends of a link say to each other, until they have no more to say.
    fn talk(&mut self, peer: &mut MeshState, theirs: LinkId, ours: LinkId) {
        loop {
            let mut said = VecDeque::new();
            while let Some(output) = peer.poll_output() {
                if let Output::Send { link, bytes, .. } = output
                    && link == theirs
                {
                    said.push_back(bytes);
                }
            }
            let mut answered = VecDeque::new();
            for bytes in said {
                self.node.handle_bytes(ours, &bytes, now());
            }
            while let Some(output) = self.node.poll_output() {
                if let Output::Send { link, bytes, .. } = output
                    && link == ours
                {
                    answered.push_back(bytes);
                }
            }
            if answered.is_empty() {
                return;
            }
            for bytes in answered {
                peer.handle_bytes(theirs, &bytes, now());
            }
        }
    }

    fn link_legacy(&mut self, number: u8) {
        let link = self.accept(number);
        let handshake = legacy_handshake(number, self.node.protocol_id().as_str());
        self.node.handle_bytes(link, &handshake, now());
        self.drain();
    }
}

/// What has to be done with a message in any case: to hash it, to keep a copy, and to look whether it was here.
#[derive(Debug, Default)]
pub struct Baseline {
    seen: std::collections::HashSet<[u8; 32]>,
    kept: Vec<Vec<u8>>,
}

impl Baseline {
    /// Takes the frame of a message. Returns whether it is new.
    pub fn take(&mut self, frame: &[u8]) -> bool {
        let copy = frame.to_vec();
        let id = Sha256::digest(&copy[36..]);
        self.kept.push(copy);
        self.seen.insert(id.into())
    }
}

/// Returns when nodes are [made](node).
pub fn now() -> Instant {
    Instant::from_micros(1_000_000)
}

/// Returns a node that is [to be dialled](address) by its number, from which its randomness comes as well.
///
/// # Panics
///
/// The configuration breaks a rule.
pub fn node(number: u8, config: Config) -> MeshState {
    let config = Config {
        advertised: Some(address(number)),
        protocol: Protocol::default(),
        ..config
    };
    let node = MeshState::new(config, [number; 32], now(), UnixTime::from_secs(WALL));
    node.expect("a good configuration")
}

/// Returns the address of the node of that number.
///
/// # Panics
///
/// Never: it is an address.
pub fn address(number: u8) -> Address {
    let mut text = String::new();
    write!(text, "192.0.2.{number}:4444").expect("a text takes what is written");
    text.parse().expect("an address")
}

fn legacy_id(number: u8) -> NodeId {
    NodeId::new(format!("{number:066}")).expect("66 bytes are an id")
}

/// Text of that length, as compressible as text is.
fn text(len: usize) -> Vec<u8> {
    let words = b"the disk of node is full since and nobody has looked at it yet alert ";
    let mut state = 1_u32;
    let mut text = Vec::with_capacity(len + 8);
    while text.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = (state >> 16) as usize % (words.len() - 8);
        text.extend_from_slice(&words[at..at + 8]);
    }
    text.truncate(len);
    text
}

/// A handshake as js2p writes it: ids are text. It reads no compression.
fn legacy_handshake(number: u8, protocol: &str) -> Vec<u8> {
    let mut out = vec![0x98, 2];
    let id = legacy_id(number);
    put_str(&mut out, id.as_str());
    put_time(&mut out);
    out.push(5);
    put_str(&mut out, id.as_str());
    put_str(&mut out, protocol);
    out.push(0x92);
    let host = format!("192.0.2.{number}");
    out.push(0xa0 | u8::try_from(host.len()).expect("short"));
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(&[0xcd, 0x11, 0x5c]);
    out.push(0x90);
    frame(&out)
}

fn legacy_broadcast(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x95, 0];
    put_str(&mut out, legacy_id(1).as_str());
    put_time(&mut out);
    out.push(0);
    put_bin(&mut out, payload);
    frame(&out)
}

fn put_str(out: &mut Vec<u8>, text: &str) {
    let len = u8::try_from(text.len()).expect("ids are short");
    out.extend_from_slice(&[0xd9, len]);
    out.extend_from_slice(text.as_bytes());
}

fn put_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).expect("far below 4 GiB");
    match u8::try_from(len) {
        Ok(len) => out.extend_from_slice(&[0xc4, len]),
        Err(_) => {
            out.push(0xc6);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

fn put_time(out: &mut Vec<u8>) {
    out.push(0xce);
    let time = u32::try_from(WALL).expect("before 2106");
    out.extend_from_slice(&time.to_be_bytes());
}

fn frame(packed: &[u8]) -> Vec<u8> {
    let len = u32::try_from(packed.len() + 32).expect("far below 4 GiB");
    let mut frame = len.to_be_bytes().to_vec();
    frame.extend_from_slice(&Sha256::digest(packed));
    frame.extend_from_slice(packed);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_delivered_and_passed_on_once() {
        for neighbours in [Neighbours::Native, Neighbours::Legacy] {
            let mut hub = Hub::new(neighbours, 4, Config::default());
            for len in [64, 5000] {
                let frame = hub.make_frame(len);
                let done = hub.arrive(0, &frame);
                let first = Done {
                    delivered: 1,
                    sent: 3,
                };
                assert_eq!(done, first, "{neighbours:?}, {len} bytes");
                let again = hub.arrive(1, &frame);
                assert_eq!(again, Done::default(), "{neighbours:?}, {len} bytes");
            }
        }
    }
}
