//! Marks and sabotage: that they see and do what they say, and that a node without a planted bug is the node that
//! everybody gets, whatever features are on.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::solo::{EPOCH, address};
use crate::*;

/// Two nodes that know each other, and all that comes out of them.
struct Pair {
    nodes: [MeshState; 2],
    /// What each end of a connection is called at its node, one entry for each connection.
    connections: Vec<[LinkId; 2]>,
    now: Instant,
    outputs: Vec<String>,
}

impl Pair {
    fn new(adapt: impl Fn(&mut Config)) -> Self {
        let now = Instant::from_micros(1_000_000);
        let nodes = [1, 2].map(|n| {
            let mut config = Config {
                advertised: Some(address(&format!("10.0.0.{n}:4444"))),
                seeds: vec![address(&format!("10.0.0.{}:4444", 3 - n))],
                // What is compressed by depends on other features.
                compression: Vec::new(),
                ..Config::default()
            };
            adapt(&mut config);
            let wall = UnixTime::from_secs(EPOCH);
            MeshState::new(config, [n; 32], now, wall).expect("a good configuration")
        });
        let mut pair = Self {
            nodes,
            connections: Vec::new(),
            now,
            outputs: Vec::new(),
        };
        pair.settle();
        pair
    }

    /// Carries out all outputs, until there are none.
    fn settle(&mut self) {
        while let Some((n, output)) = self.next_output() {
            self.outputs.push(format!("{n} {:?} {output:?}", self.now));
            let other = 1 - n;
            match output {
                Output::Dial(dial, _) => self.connect(n, dial),
                Output::Send { link, bytes, .. } => {
                    if let Some(there) = self.other_end(n, link) {
                        self.nodes[n].handle_credit(link, bytes.len(), self.now);
                        self.nodes[other].handle_bytes(there, &bytes, self.now);
                    }
                }
                Output::Close(link, _) => {
                    if let Some(there) = self.other_end(n, link) {
                        self.connections.retain(|ends| ends[n] != link);
                        self.nodes[other].handle_closed(there, self.now);
                    }
                }
                Output::CancelDial(_)
                | Output::Message(_)
                | Output::Event(_)
                | Output::Persist(_) => {}
            }
        }
    }

    fn next_output(&mut self) -> Option<(usize, Output)> {
        let mut nodes = self.nodes.iter_mut().enumerate();
        nodes.find_map(|(n, node)| Some((n, node.poll_output()?)))
    }

    fn connect(&mut self, from: usize, dial: DialId) {
        let ours = self.nodes[from].handle_dial_succeeded(dial, self.now);
        let theirs = self.nodes[1 - from].handle_accepted(address("10.0.0.9:50000"), self.now);
        let (Some(ours), Ok(theirs)) = (ours, theirs) else {
            return;
        };
        let ends = if from == 0 {
            [ours, theirs]
        } else {
            [theirs, ours]
        };
        self.connections.push(ends);
        for (node, link) in self.nodes.iter_mut().zip(ends) {
            node.handle_credit(link, 1 << 16, self.now);
        }
    }

    fn other_end(&self, n: usize, link: LinkId) -> Option<LinkId> {
        let mut connections = self.connections.iter();
        let ends = connections.find(|ends| ends[n] == link);
        ends.map(|ends| ends[1 - n])
    }

    fn pass(&mut self, length: Duration) {
        let end = self.now.saturating_add(length);
        while let Some(due) = self.due().filter(|due| *due <= end) {
            self.now = due;
            for node in &mut self.nodes {
                node.handle_timeout(due);
            }
            self.settle();
        }
        self.now = end;
    }

    fn due(&self) -> Option<Instant> {
        self.nodes.iter().filter_map(MeshState::poll_timeout).min()
    }

    fn broadcast(&mut self, n: usize, text: &str) {
        let sent = self.nodes[n].broadcast(text, self.now);
        sent.expect("accepted");
        self.settle();
    }

    /// A short life: greeting, messages, pings, a break and what follows, the end.
    fn live(&mut self) {
        self.broadcast(0, "one");
        self.broadcast(1, "two");
        self.broadcast(1, "two");
        self.pass(Duration::from_secs(100));
        if let Some(ends) = self.connections.pop() {
            for (node, link) in self.nodes.iter_mut().zip(ends) {
                node.handle_closed(link, self.now);
            }
            self.settle();
        }
        self.pass(Duration::from_secs(100));
        self.broadcast(0, "three");
        self.nodes[0].shutdown(self.now);
        self.settle();
    }
}

#[test]
fn the_outputs_are_the_same_with_all_features_and_with_none() {
    let mut pair = Pair::new(|_| {});
    pair.live();
    let delivered = pair.outputs.iter();
    let delivered = delivered.filter(|output| output.contains("Message("));
    assert_eq!(delivered.count(), 4);
    let hash = Sha256::digest(pair.outputs.join("\n"));
    let start = u64::from_be_bytes(hash[..8].try_into().expect("eight bytes"));
    // Another one than before is right when the protocol changed, and wrong when a feature did.
    assert_eq!(
        format!("{start:016x}"),
        "34b52ce73614983c",
        "the outputs are others"
    );
}

#[cfg(feature = "marks")]
#[test]
fn a_handshake_and_a_life_leave_their_marks() {
    let mut pair = Pair::new(|_| {});
    let greeted = pair.nodes[0].marks() | pair.nodes[1].marks();
    assert!(greeted.contains(Mark::Confirmed), "{greeted:?}");
    assert!(!greeted.contains(Mark::EndShutDown));

    pair.live();
    let lived = pair.nodes[0].marks() | pair.nodes[1].marks();
    for mark in [
        Mark::Compared,
        Mark::BeaconCounted,
        Mark::EndPeerClosed,
        Mark::EndPeerLeft,
        Mark::EndShutDown,
        Mark::PingSent,
    ] {
        assert!(lived.contains(mark), "{mark}: {lived:?}");
    }
    assert!(
        greeted.iter().all(|mark| lived.contains(mark)),
        "none is lost"
    );
    assert!(!lived.contains(Mark::EndStalled) && !lived.contains(Mark::LegacyGreeted));
}

#[cfg(feature = "sabotage")]
#[test]
fn a_planted_bug_shows() {
    let lived = |bug| {
        let mut pair = Pair::new(|config| config.sabotage = bug);
        pair.live();
        pair.outputs.join("\n")
    };
    let sound = lived(None);
    for bug in [
        Sabotage::OwnDelivered,
        Sabotage::EqualMessagesCollide,
        Sabotage::PeerDownNotTold,
        Sabotage::GoodbyeNotSent,
        Sabotage::IdleLinkClosed,
    ] {
        assert_ne!(lived(Some(bug)), sound, "{bug}");
    }
}

/// Six nodes in a row: messages to one node, a link that breaks, a restart. Returns what came of it.
#[cfg(feature = "sabotage")]
fn post_and_restart(bug: Option<Sabotage>) -> String {
    use super::net::Net;

    let second = Duration::from_secs(1);
    let mut net = Net::with(6, 1, |_, config| {
        config.sabotage = bug;
        config.max_dialed = 0;
        config.save_interval = Some(second);
        config.advertised = None;
    });
    for n in 1..6 {
        net.connect(n, n - 1).expect("it is there");
    }
    net.run(second * 3);
    let to = net.nodes[5].state.id().clone();
    for fault in 0..8 {
        net.with_state(0, |state, now| state.send_to(&to, fault, now))
            .expect("accepted");
        match fault {
            0 => {}
            // What is under way, or its receipt, is lost; then the link is made anew.
            1..=6 => {
                net.run(Duration::from_millis(25 * fault));
                net.cut(3, 4);
                net.run(second);
                net.heal();
                let _ = net.connect(4, 3);
            }
            _ => {
                net.cut(4, 5);
            }
        }
        net.run(second * 12);
    }
    for n in 0..3 {
        net.broadcast(0, &format!("{n}"));
        net.run(second * 2);
    }
    let first = net.nodes[1].messages[0].clone();
    net.with_state(1, |state, now| state.acknowledge(&first, now));
    net.run(second * 3);
    net.broadcast(5, "to nobody");
    net.run(second * 3);
    for n in [1, 5] {
        let saved = net.nodes[n].saved.last().expect("it has saved").clone();
        net.restart(n, Some(&saved));
    }
    net.heal();
    for (a, b) in [(1, 0), (2, 1), (5, 4)] {
        let _ = net.connect(a, b);
    }
    net.run(second * 30);
    let events = |n: usize| {
        let sent = |event: &&Event| matches!(event, Event::Sent { .. });
        net.nodes[n].events.iter().filter(sent).collect::<Vec<_>>()
    };
    let texts: Vec<_> = (0..6).map(|n| net.texts(n)).collect();
    let counts: Vec<_> = net.nodes.iter().map(|node| node.messages.len()).collect();
    format!("{texts:?} {counts:?} {:?}", events(0))
}

#[cfg(feature = "sabotage")]
#[test]
fn bugs_planted_in_letters_and_saves_show() {
    let sound = post_and_restart(None);
    for bug in [
        Sabotage::ReceiptNotSent,
        Sabotage::ReceiptForNothing,
        Sabotage::LettersNotCarried,
        Sabotage::AcknowledgedUnasked,
        Sabotage::AcknowledgedForgotten,
        Sabotage::OwnNotSaved,
    ] {
        assert_ne!(post_and_restart(Some(bug)), sound, "{bug}");
    }
}
