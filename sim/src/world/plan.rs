//! The scenario's load and faults, as they happen.

use std::time::Duration;

use bytes::Bytes;

use super::storm;
use super::weather::Parts;
use super::{Event, World};
use crate::chance::{hash_bytes, name};
use crate::facts::{Fact, Life, Published};
use crate::node::{Node, Refusal};
use crate::scenario::{Fault, Load, Manner};
use crate::time::Time;
use crate::trace::What;

/// What an application wants to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// To all.
    Broadcast(Bytes),
    /// To one node.
    Private(u32, Bytes),
}

impl<N: Node> World<N> {
    /// Lets the scenario's load and faults begin to count from now. Returns when the last of them is over.
    pub fn begin_storm(&mut self) -> Time {
        self.storm = self.now;
        let mut end = self.now;
        for (number, timed) in (0..).zip(self.scenario.faults.clone()) {
            let (from, to) = self.span(storm::fault_span(&timed));
            end = end.max(to);
            self.plan_own(from, Event::Begin { fault: number });
            self.plan_own(to, Event::End { fault: number });
        }
        for (number, timed) in (0..).zip(self.scenario.load.clone()) {
            let (from, to) = self.span(storm::span(&timed));
            end = end.max(to);
            self.plan_own(
                from,
                Event::Load {
                    load: number,
                    turn: 0,
                },
            );
        }
        end
    }

    fn span(&self, (from, to): (Duration, Duration)) -> (Time, Time) {
        (self.storm.after(from), self.storm.after(to))
    }

    pub(super) fn begin_fault(&mut self, fault: u32) {
        let index = fault as usize;
        let Some(timed) = self.scenario.faults.get(index).copied() else {
            return;
        };
        let nodes = self.nodes();
        self.fold(u64::from(fault) << 8 | 6);
        let pair = self.pair(&timed.what);
        self.trace_fault(
            index,
            timed.what.describe(nodes),
            concerned(&timed.what, pair, nodes),
        );
        let cause = self.fault_record(index);
        let lasts = Duration::from_millis(u64::from(timed.lasts_ms));
        let effect = match timed.what {
            Fault::Split { cut, .. } => {
                let parts = self.parts(index, 0);
                self.weather.begin(index, timed.what, pair, parts);
                let steps = Parts::steps(cut, nodes, lasts);
                self.plan_step(fault, 1, steps, lasts);
                self.break_across(index, cause);
                0
            }
            Fault::Stop { node, kind, .. } => u64::from(self.stop(node.of(nodes), kind, cause)),
            Fault::Late { .. } => 1,
            Fault::Pause { node } => u64::from(self.pause(node.of(nodes), cause)),
            Fault::Clock { node, ppm, step_ms } => {
                self.set_clock(node.of(nodes), ppm, step_ms);
                u64::from(self.slots[node.of(nodes) as usize].node.is_some())
            }
            Fault::Reset { .. } => {
                let hit = self.conns_between(pair.0, pair.1);
                hit.iter().for_each(|conn| self.reset(*conn, cause));
                hit.len() as u64
            }
            Fault::HalfOpen { .. } => {
                let hit = self.conns_between(pair.0, pair.1);
                hit.iter()
                    .for_each(|conn| self.silence(*conn, [true, true]));
                hit.len() as u64
            }
            Fault::Hostile { node, kind } => {
                u64::from(self.turn_hostile(node.of(nodes), kind, cause))
            }
            Fault::Slow { .. }
            | Fault::Delay { .. }
            | Fault::Stall { .. }
            | Fault::Drip { .. }
            | Fault::Flip { .. }
            | Fault::DialFails { .. } => {
                self.weather.begin(index, timed.what, pair, None);
                0
            }
        };
        self.weather.note_effect(index, effect);
        self.tell_held();
    }

    /// Returns the two nodes that a fault is between.
    fn pair(&self, fault: &Fault) -> (u32, u32) {
        storm::struck(fault, self.nodes(), |one| {
            let conns = self.conns_of(one).into_iter();
            conns
                .filter_map(|conn| {
                    let ends = self.conns.get(conn)?.ends.map(|end| end.life.node);
                    ends.into_iter().find(|node| *node != one)
                })
                .collect()
        })
    }

    /// Returns how the network has fallen apart by a split, in its `step`th state.
    fn parts(&self, index: usize, step: u32) -> Option<Parts> {
        let timed = self.scenario.faults.get(index)?;
        storm::parts(self.given, timed, self.nodes(), step)
    }

    fn plan_step(&mut self, fault: u32, step: u32, steps: u32, lasts: Duration) {
        if step < steps {
            let at = self.now.after(lasts / steps);
            self.plan_own(at, Event::Change { fault, step });
        }
    }

    pub(super) fn change_fault(&mut self, fault: u32, step: u32) {
        let index = fault as usize;
        let Some(timed) = self.scenario.faults.get(index).copied() else {
            return;
        };
        let (Some(parts), Fault::Split { cut, .. }) = (self.parts(index, step), timed.what) else {
            return;
        };
        if !self.weather.change(index, parts) {
            return;
        }
        let lasts = Duration::from_millis(u64::from(timed.lasts_ms));
        self.plan_step(
            fault,
            step + 1,
            Parts::steps(cut, self.nodes(), lasts),
            lasts,
        );
        self.break_across(index, self.fault_record(index));
        self.unpark_all();
        self.tell_held();
    }

    /// Does to the connections across a cut what the cut does to them.
    fn break_across(&mut self, index: usize, cause: Option<u64>) {
        for place in self.conns.places() {
            let Some(conn) = self.conns.get(place) else {
                continue;
            };
            let ways = [conn.way(0), conn.way(1)];
            let hits = ways.map(|(from, to)| self.weather.split(from, to));
            let Some((_, manner)) = hits.iter().flatten().find(|(by, _)| *by == index) else {
                continue;
            };
            self.weather.note_effect(index, 1);
            match manner {
                Manner::Freeze => {}
                Manner::Reset => self.reset(place, cause),
                Manner::Silent => self.silence(place, hits.map(|hit| hit.is_some())),
            }
        }
    }

    pub(super) fn end_fault(&mut self, fault: u32) {
        let index = fault as usize;
        let Some(timed) = self.scenario.faults.get(index).copied() else {
            return;
        };
        let nodes = self.nodes();
        self.trace_fault_end(index);
        let pair = self.weather.end(index);
        if let (Some(pair), Fault::Slow { .. } | Fault::Drip { .. }) = (pair, timed.what) {
            self.hasten(pair);
        }
        match timed.what {
            Fault::Stop { node, back, .. } => {
                let node = node.of(nodes);
                if let Some(back) = back {
                    // It may not have finished leaving.
                    let life = self.slots[node as usize].life;
                    self.stop_leaving(node, life);
                    self.bring_back(node, back);
                }
            }
            Fault::Late { node } => self.start(node.of(nodes), None),
            Fault::Pause { node } => self.resume(node.of(nodes)),
            Fault::Clock { node, .. } => self.set_clock(node.of(nodes), 0, 0),
            Fault::Hostile { node, .. } => self.turn_honest(node.of(nodes)),
            Fault::Split { .. }
            | Fault::Slow { .. }
            | Fault::Delay { .. }
            | Fault::Stall { .. }
            | Fault::Drip { .. }
            | Fault::Flip { .. }
            | Fault::Reset { .. }
            | Fault::HalfOpen { .. }
            | Fault::DialFails { .. } => self.unpark_all(),
        }
        self.tell_held();
    }

    /// Tells those who judge which connections are held by a fault, where that has changed.
    fn tell_held(&mut self) {
        for place in self.conns.places() {
            let Some(conn) = self.conns.get(place) else {
                continue;
            };
            let silent = [conn.pipes[0].is_silent, conn.pipes[1].is_silent];
            let holds = [conn.way(0), conn.way(1)].map(|(from, to)| self.weather.holds(from, to));
            let is_held = [
                silent[0] || holds[0].is_some(),
                silent[1] || holds[1].is_some(),
            ];
            if is_held != conn.held {
                let number = conn.number;
                if let Some(conn) = self.conns.get_mut(place) {
                    conn.held = is_held;
                }
                self.tell(Fact::Held {
                    conn: number,
                    is_held,
                });
            }
        }
    }

    pub(super) fn offer_load(&mut self, load: u32, turn: u32) {
        let Some(timed) = self.scenario.load.get(load as usize).copied() else {
            return;
        };
        let nodes = self.nodes();
        match timed.what {
            Load::Publish { by, count, .. } => {
                let lasts = Duration::from_millis(u64::from(timed.lasts_ms));
                if turn + 1 < u32::from(count) {
                    let next = lasts / u32::from(count).max(1);
                    let event = Event::Load {
                        load,
                        turn: turn + 1,
                    };
                    self.plan_own(self.now.after(next), event);
                }
                if count > 0 {
                    let payload = storm::payload(self.given, &timed, turn);
                    self.hand_in(by.of(nodes), Waiting::Broadcast(payload));
                }
            }
            Load::Send { pair, .. } => {
                let (from, to) = pair.of(nodes);
                let payload = storm::payload(self.given, &timed, turn);
                self.hand_in(from, Waiting::Private(to, payload));
            }
        }
    }

    /// Hands a message to a node, and notes it if it was accepted. `None` if the node is not up.
    pub(super) fn hand_over(
        &mut self,
        node: u32,
        message: &Waiting,
    ) -> Option<Result<(), Refusal>> {
        let life = self.life_of(node);
        match message {
            Waiting::Broadcast(payload) => {
                let mark = self.facts.len();
                let receipt = self.with_node(node, |node, io| node.publish(payload, io))?;
                Some(receipt.map(|receipt| {
                    let content = hash_bytes(payload);
                    self.fold(content ^ name(node, life.life));
                    let message = self.published;
                    self.published += 1;
                    self.trace_publication(
                        life,
                        content,
                        What::Published {
                            message,
                            key: receipt.key,
                            position: receipt.position,
                            len: payload.len(),
                        },
                    );
                    let published = Published {
                        by: life,
                        key: receipt.key,
                        position: receipt.position,
                        len: payload.len(),
                        content,
                        to: None,
                    };
                    // It was published before what the node did with it.
                    self.facts
                        .insert(mark, (self.now, Fact::Published(published)));
                }))
            }
            Waiting::Private(to, payload) => self.hand_over_private(life, *to, payload),
        }
    }

    fn hand_over_private(
        &mut self,
        life: Life,
        to: u32,
        payload: &Bytes,
    ) -> Option<Result<(), Refusal>> {
        let peer = self.node(to).and_then(Node::identity);
        let Some(peer) = peer else {
            return Some(Err(Refusal::Never(
                "nobody is there to send it to".to_owned(),
            )));
        };
        let number = self.sent_to + 1;
        let mark = self.facts.len();
        let sent = self.with_node(life.node, |node, io| {
            node.send_to(peer, payload, number, io)
        })?;
        Some(sent.map(|()| {
            self.sent_to = number;
            self.published += 1;
            self.record_of(life, None, |_| What::SentTo { number, peer: to });
            let published = Published::to_one(life, number, to, payload);
            self.facts
                .insert(mark, (self.now, Fact::Published(published)));
        }))
    }
}

/// Returns the nodes that a fault is about; none are all.
fn concerned(fault: &Fault, pair: (u32, u32), nodes: u32) -> Vec<u32> {
    match fault {
        Fault::Split { .. } => Vec::new(),
        Fault::Stop { node, .. }
        | Fault::Late { node }
        | Fault::Pause { node }
        | Fault::Clock { node, .. }
        | Fault::Hostile { node, .. } => vec![node.of(nodes)],
        Fault::Slow { .. }
        | Fault::Delay { .. }
        | Fault::Stall { .. }
        | Fault::Drip { .. }
        | Fault::Flip { .. }
        | Fault::Reset { .. }
        | Fault::HalfOpen { .. }
        | Fault::DialFails { .. } => vec![pair.0, pair.1],
    }
}
