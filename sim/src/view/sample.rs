//! Traces made by hand, for the tests of the views.

use std::collections::BTreeSet;

use crate::node::{ConnId, MessageKey, PeerKey, Place, Position, StreamKey};
use crate::report::{Better, Checker, Number, Report, Unit, Violation};
use crate::time::Time;
use crate::trace::{FaultSpan, Record, Trace, What};

/// How many frames carry the first message of [`split`]: over each of seven links once, and back where two cross.
pub(super) const FRAMES_OF_FIRST: usize = 9;

/// One record's content of each kind.
pub(super) fn one_of_each() -> Vec<What> {
    let (conn, peer, to, dial) = (ConnId(7), 3, Place(3), 9);
    let says = vec![
        "ping of Alice (9 bytes)".to_owned(),
        "a \"quoted\" <b>".to_owned(),
    ];
    let stream = StreamKey(1);
    let position = Some(Position {
        stream,
        sequence: 4,
    });
    let why = "why & how".to_owned();
    vec![
        What::Started {
            place: to,
            kind: "Mesh".to_owned(),
            is_restored: true,
        },
        What::Stopped("crashed".to_owned()),
        What::Paused,
        What::Resumed,
        What::Dialed { dial, to },
        What::DialFailed {
            dial,
            to,
            why: why.clone(),
        },
        What::Connected {
            conn,
            peer,
            dialed: true,
        },
        What::Sent {
            conn,
            peer,
            len: 12,
            says: Vec::new(),
        },
        What::Received {
            conn,
            peer,
            len: 12,
            says,
        },
        What::Closed {
            conn,
            peer,
            why: why.clone(),
        },
        What::Lost {
            conn,
            peer,
            how: "reset".to_owned(),
        },
        What::PeerUp { conn, peer },
        What::PeerDown { conn, peer },
        What::Published {
            message: 1,
            key: MessageKey(2),
            position,
            len: 5,
        },
        What::Refused(why.clone()),
        What::SentTo { number: 5, peer },
        What::Delivered {
            message: Some(1),
            sender: PeerKey(1),
            from: Some(2),
        },
        What::Gap {
            stream,
            first: 1,
            last: 2,
            why,
        },
        What::Told("two\nlines".to_owned()),
        What::FaultBegan(0, "split <in> halves".to_owned()),
        What::FaultEnded(0),
        What::Phase("storm".to_owned()),
        What::Violated {
            checker: "S2".to_owned(),
            sentence: "twice".to_owned(),
        },
    ]
}

/// Builds a trace.
struct Maker {
    trace: Trace,
    at: u64,
    conns: u64,
}

impl Maker {
    fn new(nodes: u32) -> Self {
        let trace = Trace {
            nodes,
            ..Trace::default()
        };
        let mut maker = Self {
            trace,
            at: 0,
            conns: 0,
        };
        maker.push(None, None, What::Phase("form".to_owned()));
        for node in 0..nodes {
            let (place, kind) = (Place(node), "Mesh".to_owned());
            maker.push(
                Some(node),
                None,
                What::Started {
                    place,
                    kind,
                    is_restored: false,
                },
            );
        }
        maker
    }

    fn push(&mut self, node: Option<u32>, cause: Option<u64>, what: What) -> u64 {
        let number = self.trace.records.len() as u64;
        let life = u32::from(node.is_some());
        let at = Time::from_nanos(self.at * 1000);
        self.trace.records.push(Record {
            number,
            at,
            node,
            life,
            cause,
            what,
        });
        number
    }

    fn pass(&mut self, micros: u64) {
        self.at += micros;
    }

    /// Connects two nodes, with their greetings. Returns the number of the connection.
    fn link(&mut self, a: u32, b: u32) -> u64 {
        self.conns += 1;
        let dial = self.conns;
        self.push(Some(a), None, What::Dialed { dial, to: Place(b) });
        self.pass(10_400);
        for (node, peer, dialed) in [(b, a, false), (a, b, true)] {
            self.push(
                Some(node),
                None,
                What::Connected {
                    conn: ConnId(dial),
                    peer,
                    dialed,
                },
            );
        }
        let hello = |node: u32| format!("hello of n{node}abcdef (61 bytes, snappy)");
        self.send(a, b, &[hello(a)]);
        self.send(b, a, &[hello(b)]);
        for (node, peer) in [(a, b), (b, a)] {
            self.push(
                Some(node),
                None,
                What::PeerUp {
                    conn: ConnId(dial),
                    peer,
                },
            );
        }
        dial
    }

    /// Sends frames, which arrive 10 ms later. Returns the record of their arrival.
    fn send(&mut self, from: u32, to: u32, says: &[String]) -> u64 {
        let (conn, len, says) = (ConnId(self.conns), 61 * says.len(), says.to_vec());
        let sent = What::Sent {
            conn,
            peer: to,
            len,
            says: says.clone(),
        };
        let sent = self.push(Some(from), None, sent);
        self.pass(10_137);
        self.push(
            Some(to),
            Some(sent),
            What::Received {
                conn,
                peer: from,
                len,
                says,
            },
        )
    }

    fn publish(&mut self, node: u32, message: u32, sequence: u64) {
        let position = Some(Position {
            stream: StreamKey(node.into()),
            sequence,
        });
        let key = MessageKey(message.into());
        self.push(
            Some(node),
            None,
            What::Published {
                message,
                key,
                position,
                len: 24,
            },
        );
    }

    /// Sends a message over links, from whoever has it, as long as anyone new gets it.
    fn flood(&mut self, message: u32, has: &mut BTreeSet<u32>, links: &[(u32, u32)]) {
        let says = [format!(
            "broadcast [\"message {message}\"] of n1abcdef (93 bytes)"
        )];
        let mut fresh: Vec<(u32, Option<u32>)> = has.iter().map(|node| (*node, None)).collect();
        while !fresh.is_empty() {
            let mut next: Vec<(u32, Option<u32>)> = Vec::new();
            for (from, except) in fresh {
                for &(a, b) in links {
                    let to = if a == from { b } else { a };
                    if (a != from && b != from) || Some(to) == except {
                        continue;
                    }
                    let arrived = self.send(from, to, &says);
                    if has.insert(to) {
                        self.deliver(to, from, message, arrived);
                        next.push((to, Some(from)));
                    }
                }
            }
            fresh = next;
        }
    }

    fn deliver(&mut self, node: u32, from: u32, message: u32, arrived: u64) {
        let (message, sender) = (Some(message), PeerKey(1));
        let delivered = What::Delivered {
            message,
            sender,
            from: Some(from),
        };
        self.push(Some(node), Some(arrived), delivered);
    }

    fn violate(&mut self, violation: &Violation) {
        let what = What::Violated {
            checker: violation.checker.code().to_owned(),
            sentence: violation.sentence.clone(),
        };
        self.push(violation.node, None, what);
    }
}

/// Six nodes in two halves that are split while a message is published; after that one of them never gets it.
pub(super) fn split() -> (Trace, Violation) {
    let mut maker = Maker::new(6);
    let links = [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (2, 3), (5, 0)];
    for (a, b) in links {
        maker.link(a, b);
    }
    maker.push(None, None, What::Phase("storm".to_owned()));
    maker.at = 3_000_000;
    maker.publish(1, 0, 1);
    maker.flood(0, &mut BTreeSet::from([1]), &links);
    maker.at = 5_000_000;
    let words = "split: nodes 0 1 2 from 3 4 5, connections frozen".to_owned();
    let began = maker.push(None, None, What::FaultBegan(0, words.clone()));
    maker.at = 6_000_000;
    maker.publish(1, 1, 2);
    let mut has = BTreeSet::from([1]);
    maker.flood(1, &mut has, &links[..3]);
    let says = vec!["broadcast [\"message 1\"] of n1abcdef (93 bytes)".to_owned()];
    for (from, to, conn) in [(2, 3, 6), (0, 5, 7)] {
        let conn = ConnId(conn);
        maker.push(
            Some(from),
            None,
            What::Sent {
                conn,
                peer: to,
                len: 93,
                says: says.clone(),
            },
        );
    }
    maker.at = 7_100_000;
    for (node, peer, conn) in [(5, 0, 7), (0, 5, 7), (3, 2, 6), (2, 3, 6)] {
        let (conn, how) = (ConnId(conn), "keep-alive ran out".to_owned());
        maker.push(Some(node), Some(began), What::Lost { conn, peer, how });
        maker.push(Some(node), None, What::PeerDown { conn, peer });
    }
    for dial in [21, 22] {
        maker.push(Some(5), None, What::Dialed { dial, to: Place(0) });
        maker.pass(150_000);
        let why = "TimedOut".to_owned();
        maker.push(
            Some(5),
            Some(began),
            What::DialFailed {
                dial,
                to: Place(0),
                why,
            },
        );
    }
    maker.at = 8_000_000;
    maker.push(None, None, What::FaultEnded(0));
    maker.trace.faults.push(FaultSpan {
        what: words,
        began: Time::from_millis(5000),
        ended: Some(Time::from_millis(8000)),
        nodes: Vec::new(),
        effect: 14,
    });
    maker.push(None, None, What::Phase("converge".to_owned()));
    maker.pass(310_000);
    maker.link(2, 3);
    maker.send(
        3,
        2,
        &["want, of 1 streams of n3abcdef (88 bytes)".to_owned()],
    );
    let repair = "repair, 2400 ms old: broadcast [\"message 1\"] of n1abcdef (121 bytes)";
    let arrived = maker.send(2, 3, &[repair.to_owned()]);
    maker.deliver(3, 2, 1, arrived);
    let arrived = maker.send(3, 4, &says);
    maker.deliver(4, 3, 1, arrived);
    maker.send(
        4,
        5,
        &["summary of 3 streams of n4abcdef (70 bytes)".to_owned()],
    );
    maker.send(
        5,
        4,
        &["have, of 3 streams of n5abcdef (70 bytes)".to_owned()],
    );
    maker.at = 12_000_000;
    let violation = Violation {
        checker: Checker::Owed,
        kind: "missing".to_owned(),
        at: Time::from_millis(12_000),
        node: Some(5),
        message: Some(1),
        sentence: "node 5 never got message 1, which node 1 published at 6.000 s, though a path of links was whole since 8.3 s".to_owned(),
    };
    maker.violate(&violation);
    maker.push(None, None, What::Phase("probe".to_owned()));
    (maker.trace, violation)
}

/// So many nodes in a ring with chords, and so many messages, of which the last but one is delivered to a node twice.
pub(super) fn twice(nodes: u32, messages: u32) -> (Trace, Violation) {
    let mut maker = Maker::new(nodes);
    let mut links: Vec<(u32, u32)> = (0..nodes).map(|node| (node, (node + 1) % nodes)).collect();
    links.extend((0..nodes / 2).map(|node| (node, (node * 7 + 11) % nodes)));
    links.retain(|(a, b)| a != b);
    for &(a, b) in &links {
        maker.link(a, b);
    }
    maker.push(None, None, What::Phase("storm".to_owned()));
    let mut violation = None;
    for message in 0..messages {
        let publisher = message * 5 % nodes;
        maker.publish(publisher, message, u64::from(message) + 1);
        maker.flood(message, &mut BTreeSet::from([publisher]), &links);
        maker.pass(400_000);
        if message + 2 == messages {
            let node = (publisher + 3) % nodes;
            let says = [format!(
                "broadcast [\"message {message}\"] of n1abcdef (93 bytes)"
            )];
            let arrived = maker.send((node + 1) % nodes, node, &says);
            maker.deliver(node, (node + 1) % nodes, message, arrived);
            let found = Violation {
                checker: Checker::Once,
                kind: "twice".to_owned(),
                at: Time::from_nanos(maker.at * 1000),
                node: Some(node),
                message: Some(message),
                sentence: format!("message {message} was delivered twice to node {node}"),
            };
            maker.violate(&found);
            violation = Some(found);
        }
    }
    (maker.trace, violation.expect("at least two messages"))
}

/// A report with a few numbers, one of them the latency given.
pub(super) fn report(latency: u64) -> Report {
    let number = |name: &str, value, unit, better| Number {
        name: name.to_owned(),
        value,
        unit,
        better,
    };
    Report {
        numbers: vec![
            number("delivery ratio", 980_000, Unit::Ppm, Better::More),
            number("latency p99", latency, Unit::Micros, Better::Less),
            number("payload bytes", 123_456, Unit::Bytes, Better::Less),
            number("events", 1_234_567, Unit::Count, Better::Neither),
        ],
        ..Report::default()
    }
}
