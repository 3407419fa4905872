//! Hand-made runs, right and wrong.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::node::{Delivery, MessageKey, PeerKey, Place, Position, StreamKey};
use crate::scenario::Stop;
use crate::time::{ms, s};

mod ends;
mod owed;
mod safety;

fn rules() -> Rules {
    Rules {
        nodes: 8,
        retention: Retention {
            age: s(600),
            count: 100,
            bytes: 100_000,
            overhead: 100,
            parts: 4,
        },
        hop: s(2),
        settle: s(60),
        birth_slack: s(1),
        is_ordered: true,
        links_max: 3,
        redelivery_after_crash: false,
        legacy_window: s(60),
        owes_from_legacy: false,
        owes_to_legacy: false,
        claims_are_certain: true,
        calendars_jump: false,
        outcome: s(30),
        quiet_control: 20,
        thrift_percent: 200,
        thrift_base: 1000,
    }
}

/// A run told by hand: what happens happens at `now`.
struct Story {
    judge: Judge,
    now: Time,
    /// How many messages were published, and how many by each node in the life that it is in.
    count: u32,
    sequences: Vec<u64>,
    lives: Vec<u32>,
}

impl Story {
    fn new(rules: Rules) -> Self {
        Self {
            judge: Judge::new(rules),
            now: Time::ZERO,
            count: 0,
            sequences: vec![0; 8],
            lives: vec![0; 8],
        }
    }

    /// So many nodes, ten seconds old.
    fn of(nodes: u32) -> Self {
        Self::with(nodes, rules())
    }

    fn with(nodes: u32, rules: Rules) -> Self {
        let mut story = Self::new(rules);
        for node in 0..nodes {
            story.born(node, Kind::Mesh);
        }
        story.wait(s(10));
        story
    }

    fn wait(&mut self, length: Duration) {
        self.now = self.now.after(length);
    }

    fn life(&self, node: u32) -> Life {
        let life = self.lives[node as usize];
        Life { node, life }
    }

    fn tell(&mut self, fact: &Fact) {
        self.judge.observe(self.now, fact);
    }

    fn begin(&mut self, node: u32, kind: Kind, is_hostile: bool, is_restored: bool) {
        self.lives[node as usize] += 1;
        self.sequences[node as usize] = 0;
        self.tell(&Fact::Born {
            life: self.life(node),
            place: Place(node),
            identity: Some(identity(node)),
            kind,
            is_hostile,
            is_restored,
        });
    }

    fn born(&mut self, node: u32, kind: Kind) {
        self.begin(node, kind, false, false);
    }

    fn died(&mut self, node: u32) {
        let (life, how) = (self.life(node), Stop::Crash);
        self.tell(&Fact::Died { life, how });
    }

    /// Publishes something new; its number is also its key and its content.
    fn publish(&mut self, node: u32) -> u32 {
        let key = self.count;
        self.publish_as(node, u64::from(key), u64::from(key))
    }

    fn publish_as(&mut self, node: u32, key: u64, content: u64) -> u32 {
        self.sequences[node as usize] += 1;
        let position = self.position(node, self.sequences[node as usize]);
        self.tell(&Fact::Published(Published {
            by: self.life(node),
            key: MessageKey(key),
            position: Some(position),
            len: 100,
            content,
            to: None,
        }));
        self.count += 1;
        self.count - 1
    }

    fn send(&mut self, node: u32, to: u32, number: u64) -> u32 {
        self.tell(&Fact::Published(Published {
            by: self.life(node),
            key: MessageKey(0),
            position: None,
            len: 100,
            content: u64::from(self.count),
            to: Some((number, to)),
        }));
        self.count += 1;
        self.count - 1
    }

    fn position(&self, node: u32, sequence: u64) -> Position {
        let stream = StreamKey(u64::from(node) << 8 | u64::from(self.lives[node as usize]));
        Position { stream, sequence }
    }

    /// What a right delivery of a message to all looks like.
    fn delivery(&self, message: u32) -> Delivery {
        let published = self.judge.messages.get(message);
        let by = self.judge.lives.life(published.by).life;
        let position = published.in_stream.map(|in_stream| {
            let stream = &self.judge.messages.streams[in_stream.stream as usize];
            let (sequence, _) = stream.messages[in_stream.place as usize];
            let stream = StreamKey(u64::from(by.node) << 8 | u64::from(by.life));
            Position { stream, sequence }
        });
        Delivery {
            key: published
                .to
                .is_none()
                .then_some(MessageKey(u64::from(message))),
            sender: identity(by.node),
            position,
            payload: Bytes::from_static(b"hello"),
            from: None,
            is_private: published.to.is_some(),
        }
    }

    fn deliver(&mut self, message: u32, node: u32) {
        self.deliver_as(self.delivery(message), u64::from(message), node);
    }

    fn deliver_as(&mut self, delivery: Delivery, content: u64, node: u32) {
        self.tell(&Fact::Delivered {
            life: self.life(node),
            delivery,
            content,
        });
    }

    fn gap(&mut self, node: u32, of: u32, first: u64, last: u64) {
        self.tell(&Fact::Gap {
            life: self.life(node),
            stream: self.position(of, 1).stream,
            first,
            last,
        });
    }

    /// Links two nodes, and lets both say so.
    fn link(&mut self, conn: u64, a: u32, b: u32) {
        let ends = [self.life(a), self.life(b)];
        self.tell(&Fact::Connected { conn, ends });
        for (node, peer) in [(a, b), (b, a)] {
            self.peer(conn, node, peer, true);
        }
    }

    fn peer(&mut self, conn: u64, node: u32, peer: u32, is_up: bool) {
        self.tell(&Fact::Peer {
            conn,
            life: self.life(node),
            peer: identity(peer),
            is_up,
        });
    }

    fn unlink(&mut self, conn: u64) {
        self.tell(&Fact::Disconnected { conn });
    }

    fn core(&mut self, nodes: &[u32]) {
        let core: Vec<Life> = nodes.iter().map(|node| self.life(*node)).collect();
        self.judge.begin_core(self.now, &core);
    }

    fn converge(&mut self) {
        self.judge.check_converged(self.now);
    }

    fn found(&self) -> Vec<(&'static str, &str)> {
        let all = self.judge.violations().iter();
        all.map(|found| (found.checker.code(), found.kind.as_str()))
            .collect()
    }

    #[track_caller]
    fn is_right(&self) {
        assert_eq!(self.judge.violations(), []);
    }

    fn number(&self, name: &str) -> u64 {
        let numbers = self.judge.numbers();
        let found = numbers.iter().find(|number| number.name == name);
        found.expect("a number of this name").value
    }
}

fn identity(node: u32) -> PeerKey {
    PeerKey(1000 + u64::from(node))
}
