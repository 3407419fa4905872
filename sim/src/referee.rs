//! The judge of a run that is not simulated: who plays a scenario with real nodes tells it what happens, and it finds what is
//! wrong by the rules that a simulated run is held against.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use rs2p_core::{Event, Message, NodeId, SendOutcome, Ticket};

use crate::chance::hash_bytes;
use crate::facts::{Fact, Life, Published};
use crate::findings::{FORGOTTEN, Findings, TOO_MUCH, forgotten, too_much};
use crate::judge::{Judge, LinkTraffic, Pair};
use crate::mesh;
use crate::node::{ConnId, NodeStatus, PeerKey, Place, Position};
use crate::protocol::Promise;
use crate::report::{Checker, Report, Violation};
use crate::rules::{is_one_network, rules};
use crate::run::Outcome;
use crate::scenario::{Kind, Scenario, Stop};
use crate::time::Time;
use crate::trace::{FaultSpan, Record, Trace, What};

/// A look at a node at one moment.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "who plays a scenario has to say all of it"
)]
pub struct Look {
    /// Which life it is.
    pub life: Life,
    /// The peers that it says it is linked to, each with the number of the connection; `None` if there is no such connection.
    pub peers: Vec<(Option<u64>, NodeId)>,
    /// How many connections it says it has.
    pub conns: usize,
    /// How many it has by the account of the network; those of which that is not known are left out.
    pub conns_there: usize,
    /// About how many bytes it holds, by its own account.
    pub memory: usize,
    /// How many it may hold.
    pub memory_limit: usize,
}

/// A connection as it is at one moment: its number, its two ends, who dialled first, and how many bytes it carried so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "who plays a scenario has to say all of it"
)]
pub struct Wire {
    /// Its number, which no other has.
    pub conn: u64,
    /// Its ends.
    pub ends: [Life; 2],
    /// The bytes that it carried, in both directions.
    pub carried: u64,
}

/// Holds what it is told against the rules, and keeps a trace of it.
///
/// Times are those since the beginning of the run; they never go back. Lives of a node are counted from 1.
pub struct Referee {
    judge: Judge,
    /// How many bytes of its own a connection may carry in a second, in both directions.
    quiet: u64,
    trace: Trace,
    others: Findings,
    /// How many of the judge's violations are in the trace.
    traced: usize,
    now: Time,
    /// The ends of each connection.
    ends: BTreeMap<u64, [Life; 2]>,
    published: u32,
    /// The messages by content, for naming what is delivered.
    contents: BTreeMap<u64, u32>,
    /// The places of faults in the trace, by their places in the scenario.
    spans: BTreeMap<usize, usize>,
}

impl fmt::Debug for Referee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Referee")
            .field("now", &self.now)
            .field("violations", &self.violations().len())
            .finish_non_exhaustive()
    }
}

impl Referee {
    /// Returns one that holds a run of this scenario against what was promised.
    pub fn new(scenario: &Scenario, promise: &Promise) -> Self {
        Self {
            judge: Judge::new(rules(scenario, promise)),
            quiet: promise.quiet_bytes * 2,
            trace: Trace {
                nodes: u32::from(scenario.nodes.max(1)),
                ..Trace::default()
            },
            others: Findings::default(),
            traced: 0,
            now: Time::ZERO,
            ends: BTreeMap::new(),
            published: 0,
            contents: BTreeMap::new(),
            spans: BTreeMap::new(),
        }
    }

    /// Moves the time on: all that is told from now on happened then.
    pub fn at(&mut self, now: Time) -> &mut Self {
        self.now = self.now.max(now);
        self
    }

    /// A life began, at a place that is counted like those of a world, with this identity.
    pub fn born(&mut self, life: Life, place: Place, id: &NodeId, is_restored: bool) {
        let what = What::Started {
            place,
            kind: "real".to_owned(),
            is_restored,
        };
        self.record(Some(life), what);
        self.observe(&Fact::Born {
            life,
            place,
            identity: Some(mesh::peer_key(id)),
            kind: Kind::Mesh,
            is_hostile: false,
            is_restored,
        });
    }

    /// A life ended.
    pub fn died(&mut self, life: Life, how: Stop) {
        let words = match how {
            Stop::Leave => "left",
            Stop::Crash => "crashed",
            Stop::PowerLoss => "lost power",
        };
        self.record(Some(life), What::Stopped(words.to_owned()));
        self.observe(&Fact::Died { life, how });
    }

    /// A node does nothing from now on, or goes on.
    pub fn paused(&mut self, life: Life, is_paused: bool) {
        let what = if is_paused {
            What::Paused
        } else {
            What::Resumed
        };
        self.record(Some(life), what);
        self.observe(&Fact::Paused { life, is_paused });
    }

    /// A node accepted a message to all, in the life of its own that has this epoch.
    pub fn published(
        &mut self,
        life: Life,
        ticket: &Ticket,
        (id, epoch): (&NodeId, u64),
        payload: &Bytes,
    ) {
        let content = hash_bytes(payload);
        let key = mesh::message_key(&ticket.id());
        let position = Some(Position {
            stream: mesh::stream_key(id, epoch),
            sequence: ticket.sequence(),
        });
        let message = self.published;
        self.contents.insert(content, message);
        let len = payload.len();
        let what = What::Published {
            message,
            key,
            position,
            len,
        };
        self.publish(
            life,
            what,
            Published {
                by: life,
                key,
                position,
                len,
                content,
                to: None,
            },
        );
    }

    /// A node accepted a message to one node; the number is one that no other of its life has.
    pub fn sent(&mut self, life: Life, number: u64, to: u32, payload: &Bytes) {
        let published = Published::to_one(life, number, to, payload);
        self.contents.insert(published.content, self.published);
        self.publish(life, What::SentTo { number, peer: to }, published);
    }

    fn publish(&mut self, life: Life, what: What, published: Published) {
        self.published += 1;
        self.record(Some(life), what);
        self.observe(&Fact::Published(published));
    }

    /// A node did not accept a message, for good or until it ended.
    pub fn refused(&mut self, life: Life, why: &str) {
        let why = why.to_owned();
        self.record(Some(life), What::Refused(why.clone()));
        self.observe(&Fact::Refused { life, why });
    }

    /// A message was delivered to a node's application.
    pub fn delivered(&mut self, life: Life, message: &Message) {
        let delivery = mesh::delivery(message, None);
        let content = hash_bytes(&delivery.payload);
        let what = What::Delivered {
            message: self.contents.get(&content).copied(),
            sender: delivery.sender,
            from: None,
        };
        self.record(Some(life), what);
        self.observe(&Fact::Delivered {
            life,
            delivery,
            content,
        });
    }

    /// A node told of something; `conn` is the number of the connection that it is about, if it is about one.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is not judged is told in words"
    )]
    pub fn event(&mut self, life: Life, event: &Event, conn: Option<u64>) {
        match event {
            Event::PeerUp(peer) => self.peer(life, conn, mesh::peer_key(&peer.id), true),
            Event::PeerDown { peer, reason } => {
                let words = format!("peer down: {reason}");
                self.record(Some(life), What::Told(words));
                self.peer(life, conn, mesh::peer_key(&peer.id), false);
            }
            Event::Gap {
                origin,
                epoch,
                first,
                last,
                why,
            } => {
                let stream = mesh::stream_key(origin, *epoch);
                let (first, last) = (*first, *last);
                let what = What::Gap {
                    stream,
                    first,
                    last,
                    why: why.to_string(),
                };
                self.record(Some(life), what);
                self.observe(&Fact::Gap {
                    life,
                    stream,
                    first,
                    last,
                });
            }
            other => self.record(Some(life), What::Told(format!("{other:?}"))),
        }
    }

    fn peer(&mut self, life: Life, conn: Option<u64>, peer: PeerKey, is_up: bool) {
        let Some(conn) = conn else {
            let words = "the other end of this link is not known";
            return self.record(Some(life), What::Told(words.to_owned()));
        };
        let (id, other) = (self.end(conn, life), self.other(conn, life));
        self.record(Some(life), What::peer(id, other, is_up));
        self.observe(&Fact::Peer {
            conn,
            life,
            peer,
            is_up,
        });
    }

    /// A node told what became of a message to one node.
    pub fn outcome(&mut self, life: Life, number: u64, outcome: &SendOutcome) {
        let words = format!("message {number}: {outcome}");
        self.record(Some(life), What::Told(words));
        self.observe(&Fact::Outcome {
            life,
            number,
            is_delivered: *outcome == SendOutcome::Delivered,
        });
    }

    /// A connection was made; the first end dialled.
    pub fn connected(&mut self, conn: u64, ends: [Life; 2]) {
        self.ends.insert(conn, ends);
        for (life, dialed) in ends.into_iter().zip([true, false]) {
            let what = What::Connected {
                conn: self.end(conn, life),
                peer: self.other(conn, life),
                dialed,
            };
            self.record(Some(life), what);
        }
        self.observe(&Fact::Connected { conn, ends });
    }

    /// A node dialled a place, and that failed, or will.
    pub fn dial_failed(&mut self, life: Life, to: Place, why: &str) {
        let what = What::DialFailed {
            dial: 0,
            to,
            why: why.to_owned(),
        };
        self.record(Some(life), what);
    }

    /// A connection is gone for one end, or broke.
    pub fn disconnected(&mut self, conn: u64, end: Life, how: &str) {
        let what = What::Lost {
            conn: self.end(conn, end),
            peer: self.other(conn, end),
            how: how.to_owned(),
        };
        self.record(Some(end), what);
        self.observe(&Fact::Disconnected { conn });
    }

    /// What the first and the second end send on a connection is held by a fault from now on, or no more.
    pub fn held(&mut self, conn: u64, is_held: [bool; 2]) {
        self.observe(&Fact::Held { conn, is_held });
    }

    /// A phase of the run begins.
    pub fn phase(&mut self, name: &str) {
        self.record(None, What::Phase(name.to_owned()));
    }

    /// A fault of the scenario begins, by its place in the list.
    pub fn fault_began(&mut self, fault: usize, words: String) {
        let number = u32::try_from(fault).unwrap_or(u32::MAX);
        self.record(None, What::FaultBegan(number, words.clone()));
        self.spans.insert(fault, self.trace.faults.len());
        self.trace.faults.push(FaultSpan {
            what: words,
            began: self.now,
            ended: None,
            nodes: Vec::new(),
            effect: 0,
        });
    }

    /// A fault ended.
    pub fn fault_ended(&mut self, fault: usize) {
        let number = u32::try_from(fault).unwrap_or(u32::MAX);
        self.record(None, What::FaultEnded(number));
        if let Some(span) = self.spans.get(&fault) {
            self.trace.faults[*span].ended = Some(self.now);
        }
    }

    /// The ending begins: these lives are whole from now on, and can reach each other.
    pub fn begin_core(&mut self, lives: &[Life]) {
        self.judge.begin_core(self.now, lives);
    }

    /// Returns how many deliveries the core is owed that are neither made nor declared missing.
    pub fn outstanding(&self) -> usize {
        self.judge.outstanding()
    }

    /// Returns whether nodes are one network, and what both ends of each connection say of it fits together.
    pub fn is_one(&self, looks: &[Look], wires: &[Wire]) -> bool {
        is_one_network(&self.statuses(looks), &self.pairs(wires))
            && forgotten_connections(looks).is_none()
    }

    /// Judges what has to hold when the core has had its time.
    pub fn check_converged(&mut self, looks: &[Look], wires: &[Wire]) {
        let (statuses, pairs) = (self.statuses(looks), self.pairs(wires));
        self.judge.check_converged(self.now);
        self.judge.check_overlay(self.now, &statuses, &pairs);
        if let Some((node, sentence)) = forgotten_connections(looks) {
            self.violate(Checker::Discipline, FORGOTTEN, Some(node), sentence);
        }
        self.trace_violations();
    }

    /// Judges whether nodes hold no more than they may.
    pub fn check_memory(&mut self, looks: &[Look]) {
        for look in looks {
            let (node, memory, limit) = (look.life.node, look.memory, look.memory_limit);
            if memory > limit {
                let sentence = too_much(node, memory, limit);
                self.violate(Checker::Memory, TOO_MUCH, Some(node), sentence);
            }
        }
    }

    /// Returns whether the whole core has got what was published since a moment.
    pub fn is_heard(&self, since: Time) -> bool {
        self.judge.is_heard(since)
    }

    /// Judges whether each of the core has published something since a moment, and all the others have got it.
    pub fn check_probe(&mut self, since: Time) {
        self.judge.check_probe(self.now, since);
        self.trace_violations();
    }

    /// Returns whether no connection carried more than it may while nobody says anything, between two looks at them.
    pub fn is_quiet(&self, before: &[Wire], after: &[Wire], length: Duration) -> bool {
        let limit = u128::from(self.quiet) * length.as_millis() / 1000;
        traffic(before, after).all(|traffic| u128::from(traffic.control) <= limit)
    }

    /// Judges what connections carried while nobody said anything, between two looks at them so long apart.
    pub fn check_quiet(&mut self, before: &[Wire], after: &[Wire], length: Duration) {
        let traffic: Vec<LinkTraffic> = traffic(before, after).collect();
        self.judge.check_quiet(self.now, length, &traffic);
        self.trace_violations();
    }

    /// Notes that a rule was broken that nobody else sees to.
    pub fn violate(&mut self, checker: Checker, kind: &str, node: Option<u32>, sentence: String) {
        let found = self.others.note(self.now, checker, kind, node, sentence);
        if let Some(violation) = found.cloned() {
            self.record_violation(&violation);
        }
    }

    /// Returns all that was violated so far, the first first.
    pub fn violations(&self) -> Vec<Violation> {
        self.others.with(&self.judge)
    }

    /// Ends the run. `effects` is what each fault came to. Nothing is to be told after this.
    pub fn finish(&mut self, effects: &[u64]) -> Outcome {
        self.trace_violations();
        for (fault, span) in &self.spans {
            if let Some(effect) = effects.get(*fault) {
                self.trace.faults[*span].effect = *effect;
            }
        }
        Outcome {
            report: Report {
                hash: 0,
                violations: self.violations(),
                numbers: self.judge.numbers(),
            },
            #[cfg(feature = "marks")]
            marks: rs2p_core::Marks::NONE,
            effects: effects.to_vec(),
            ledger: None,
            trace: Some(std::mem::take(&mut self.trace)),
        }
    }

    fn observe(&mut self, fact: &Fact) {
        self.judge.observe(self.now, fact);
        self.trace_violations();
    }

    fn trace_violations(&mut self) {
        let fresh: Vec<Violation> = self.judge.violations()[self.traced..].to_vec();
        self.traced += fresh.len();
        for violation in &fresh {
            self.record_violation(violation);
        }
    }

    fn record_violation(&mut self, violation: &Violation) {
        let what = What::Violated {
            checker: violation.checker.code().to_owned(),
            sentence: violation.sentence.clone(),
        };
        let number = self.trace.records.len() as u64;
        self.trace.records.push(Record {
            number,
            at: violation.at,
            node: violation.node,
            life: 0,
            cause: None,
            what,
        });
    }

    fn record(&mut self, life: Option<Life>, what: What) {
        let number = self.trace.records.len() as u64;
        self.trace.records.push(Record {
            number,
            at: self.now,
            node: life.map(|life| life.node),
            life: life.map_or(0, |life| life.life),
            cause: None,
            what,
        });
    }

    /// Returns the name that a life's end of a connection has.
    fn end(&self, conn: u64, life: Life) -> ConnId {
        let is_second = self.ends.get(&conn).is_some_and(|ends| ends[0] != life);
        ConnId(conn << 1 | u64::from(is_second))
    }

    fn other(&self, conn: u64, life: Life) -> u32 {
        let other = self.ends.get(&conn).map(|ends| {
            let is_first = ends[0] == life;
            ends[usize::from(is_first)].node
        });
        other.unwrap_or(u32::MAX)
    }

    fn statuses(&self, looks: &[Look]) -> Vec<(Life, NodeStatus)> {
        let status = |look: &Look| {
            // Of a link to nobody there is no connection: its name is that of none.
            let end = |conn: Option<u64>| match conn {
                Some(conn) => self.end(conn, look.life),
                None => ConnId(u64::MAX),
            };
            let peers = look.peers.iter();
            let peers = peers.map(|(conn, id)| (end(*conn), mesh::peer_key(id)));
            NodeStatus {
                peers: peers.collect(),
                conns: look.conns,
                ..NodeStatus::default()
            }
        };
        let mut statuses: Vec<_> = looks.iter().map(|look| (look.life, status(look))).collect();
        statuses.sort_by_key(|(life, _)| *life);
        statuses
    }

    fn pairs(&self, wires: &[Wire]) -> Vec<Pair> {
        let pair = |wire: &Wire| Pair {
            conn: wire.conn,
            ends: wire.ends.map(|life| (life, self.end(wire.conn, life))),
        };
        wires.iter().map(pair).collect()
    }
}

fn forgotten_connections(looks: &[Look]) -> Option<(u32, String)> {
    let looks = looks.iter();
    forgotten(looks.map(|look| (look.life.node, look.conns, look.conns_there)))
}

/// Returns what the connections carried that were there at both times.
fn traffic(before: &[Wire], after: &[Wire]) -> impl Iterator<Item = LinkTraffic> {
    after.iter().filter_map(|wire| {
        let earlier = before.iter().find(|other| other.conn == wire.conn)?;
        Some(LinkTraffic {
            ends: wire.ends,
            payload: 0,
            control: wire.carried.saturating_sub(earlier.carried),
        })
    })
}
