//! The lives of nodes: how they begin, pause, and end, and how their clocks run.

use std::time::Duration;

use bytes::Bytes;

use super::{Event, Role, Slot, World, storm};
use crate::chance::{Chance, Purpose, name};
use crate::facts::{Fact, Life};
use crate::node::{Birth, Node, NodeStatus, Place};
use crate::scenario::{Back, Fault, Hostile, Kind, Stop};
use crate::time::{Clock, Time};
use crate::trace::What;

/// What a node's monotonic clock shows when the world begins, at the least.
const CLOCK_START: Duration = Duration::from_secs(1000);

/// One timer in so many is called too early.
const SPURIOUS: u64 = 64;

/// All nodes start within this, if they start at the beginning.
const START_SPREAD: Duration = Duration::from_millis(200);

/// How long a node may take to leave in good order.
const LEAVE_TIME: Duration = Duration::from_secs(10);

impl<N> Slot<N> {
    fn new(place: Place, kind: Kind, clock: Clock) -> Self {
        Self {
            node: None,
            life: 0,
            place,
            kind,
            is_hostile: false,
            is_leaving: false,
            is_dark: false,
            seeds: Vec::new(),
            paused: 0,
            missed: std::collections::VecDeque::new(),
            clock,
            counter: 0,
            armed: None,
            turn: 0,
            is_spurious: false,
            draws: 0,
            saved: [None, None],
            conns: Vec::new(),
            dialed: Vec::new(),
            waiting: std::collections::VecDeque::new(),
            busy: (Time::ZERO, 0),
            heard: None,
        }
    }
}

impl<N: Node> World<N> {
    /// Lays out the places of all nodes, and plans when they start.
    pub(super) fn settle_nodes(&mut self) {
        let nodes = u32::from(self.scenario.nodes.max(1));
        self.add_nodes(nodes);
    }

    /// Adds so many nodes, which start at once, or nearly.
    pub(crate) fn add_nodes(&mut self, count: u32) {
        let first = self.nodes();
        let more = usize::try_from(count).unwrap_or(0);
        self.slots.reserve_exact(more);
        self.places.reserve_exact(more);
        for node in first..first.saturating_add(count) {
            let kinds = &self.scenario.kinds;
            let kind = kinds.get(node as usize % kinds.len().max(1));
            let kind = kind.copied().unwrap_or_default();
            let place = Place(node);
            let clock = self.first_clock(node);
            self.slots.push(Slot::new(place, kind, clock));
            self.places.push(Some(node));
        }
        for node in first..first.saturating_add(count) {
            let spread = crate::time::nanos(START_SPREAD) * u64::from(count.div_ceil(1000));
            let after = self.chance.below(spread, Purpose::Dial, u64::from(node), 0);
            let at = self.now.after(Duration::from_nanos(after));
            let is_late = |fault: &crate::Timed<Fault>| {
                let Fault::Late { node: late } = fault.what else {
                    return false;
                };
                late.of(first + count) == node
            };
            if !self.scenario.faults.iter().any(is_late) {
                self.plan_own(at, Event::Start { node });
            }
        }
    }

    fn first_clock(&self, node: u32) -> Clock {
        let net = &self.scenario.net;
        let chance = self.given;
        let draw = |n| chance.draw(Purpose::Clock, u64::from(node), n);
        let start = CLOCK_START + Duration::from_micros(draw(0) % 1_000_000_000);
        let mut clock = Clock::new(start);
        clock.set_rate(around(net.drift_ppm, draw(1)), Time::ZERO);
        clock.step(i64::from(around(net.skew_s, draw(2))) * 1000);
        clock
    }

    /// Begins a life, with what an earlier one saved if it is to have that.
    pub(super) fn start(&mut self, node: u32, saved: Option<Bytes>) {
        let kind = self.slots[node as usize].kind;
        self.start_as(node, Role::Honest(kind), saved);
    }

    fn start_as(&mut self, node: u32, role: Role, saved: Option<Bytes>) {
        if self.slots[node as usize].node.is_some() {
            return;
        }
        let seeds = self.seeds(node);
        let now = self.now;
        let slot = &mut self.slots[node as usize];
        slot.life += 1;
        slot.seeds.clone_from(&seeds);
        slot.is_dark = false;
        slot.is_leaving = false;
        slot.is_hostile = matches!(role, Role::Hostile(_));
        let life = Life {
            node,
            life: slot.life,
        };
        let is_restored = saved.is_some();
        let birth = Birth {
            node,
            life: slot.life,
            place: slot.place,
            seeds,
            seed: self
                .chance
                .bytes(Purpose::NodeSeed, name(node, slot.life), 0),
            saved,
            now: Duration::from_micros(slot.clock.local(now) / 1000),
            wall: Duration::from_micros(slot.clock.wall(now)),
        };
        let made = (self.maker)(&birth, role);
        let Some(made) = made else {
            slot.is_dark = true;
            return;
        };
        let identity = made.identity();
        let (place, kind, is_hostile) = (slot.place, slot.kind, slot.is_hostile);
        slot.node = Some(made);
        self.fold(name(node, life.life) ^ 4);
        self.record_of(life, None, |_| What::Started {
            place,
            kind: format!("{role:?}"),
            is_restored,
        });
        self.tell(Fact::Born {
            life,
            place,
            identity,
            kind,
            is_hostile,
            is_restored,
        });
        self.with_node(node, |node, io| node.on_start(io));
    }

    /// Returns the places at which a node may find others.
    fn seeds(&self, node: u32) -> Vec<Place> {
        let mut seeds = storm::seeds(self.scenario.bootstrap, self.given, node, self.nodes());
        // What py2p and js2p know they may not tell: a node of rs2p that knows only them need not find the others.
        let is_mesh = |seed: &u32| *seed != node && self.kind(*seed) == Kind::Mesh;
        if self.kind(node) == Kind::Mesh && !seeds.iter().any(is_mesh) {
            let lower = (0..node).rev().find(is_mesh);
            seeds.extend(lower.or_else(|| (node..self.nodes()).find(is_mesh)));
        }
        seeds
            .into_iter()
            .map(|seed| self.slots[seed as usize].place)
            .collect()
    }

    /// Ends a life, or asks it to end. Returns false if there is none.
    pub(super) fn stop(&mut self, node: u32, how: Stop, cause: Option<u64>) -> bool {
        let slot = &mut self.slots[node as usize];
        if slot.node.is_none() {
            return false;
        }
        if how == Stop::Leave && slot.paused == 0 {
            if slot.is_leaving {
                return false;
            }
            slot.is_leaving = true;
            let life = slot.life;
            self.plan(self.now.after(LEAVE_TIME), node, Event::Stop { node, life });
            self.with_node(node, |node, io| node.leave(io));
            return true;
        }
        self.end_life(node, how, cause);
        true
    }

    /// A node that was leaving has left, or has had enough time for it.
    pub(super) fn stop_leaving(&mut self, node: u32, life: u32) {
        let slot = &self.slots[node as usize];
        if slot.life == life && slot.is_leaving && slot.node.is_some() {
            self.end_life(node, Stop::Leave, None);
        }
    }

    fn end_life(&mut self, node: u32, how: Stop, cause: Option<u64>) {
        let life = self.life_of(node);
        let words = match how {
            Stop::Leave => "left",
            Stop::Crash => "crashed",
            Stop::PowerLoss => "lost power",
        };
        self.fold(name(node, life.life) ^ 5);
        let cause = self.record_of(life, cause, |_| What::Stopped(words.to_owned()));
        let slot = &mut self.slots[node as usize];
        #[cfg(feature = "marks")]
        if let Some(gone) = &slot.node {
            self.marks |= gone.marks();
        }
        slot.node = None;
        slot.armed = None;
        slot.is_leaving = false;
        slot.missed.clear();
        slot.is_dark = how == Stop::PowerLoss;
        let refused = std::mem::take(&mut slot.waiting).len();
        for _ in 0..refused {
            let why = "its node ended first".to_owned();
            self.tell(Fact::Refused { life, why });
        }
        for conn in self.conns_of(node) {
            // A connection of an earlier life, whose dial was under way when that ended, is none of this one's.
            let mine = |conn: &super::conn::Conn| conn.ends.iter().position(|end| end.life == life);
            match self.conns.get(conn).and_then(mine) {
                Some(side) if how != Stop::PowerLoss => self.finish(conn, side, cause),
                Some(side) => self.vanish(conn, side),
                None => {}
            }
        }
        self.slots[node as usize].conns.clear();
        self.tell(Fact::Died { life, how });
    }

    /// Lets one end of a connection be gone without a word.
    pub(super) fn vanish(&mut self, place: u32, side: usize) {
        if let Some(conn) = self.conns.get_mut(place) {
            conn.ends[side].is_open = false;
            conn.pipes[side].is_silent = true;
            conn.pipes[side].flight.clear();
            let (node, conn) = (conn.ends[side].life.node, conn.number);
            self.slots[node as usize]
                .conns
                .retain(|conn| *conn != place);
            self.tell(Fact::Disconnected { conn });
        }
    }

    /// Begins another life of a node.
    pub(super) fn bring_back(&mut self, node: u32, back: Back) {
        if self.slots[node as usize].node.is_some() {
            return;
        }
        let saved = self.slots[node as usize].saved.clone();
        let saved = match back {
            Back::Restored | Back::Moved => saved[0].clone(),
            Back::Outdated => saved[1].clone().or_else(|| saved[0].clone()),
            Back::New => None,
        };
        if back == Back::Moved {
            let place = Place(u32::try_from(self.places.len()).unwrap_or(u32::MAX));
            self.places.push(Some(node));
            let old = std::mem::replace(&mut self.slots[node as usize].place, place);
            self.places[old.0 as usize] = None;
        }
        self.start(node, saved);
    }

    /// Puts a node that means harm in the place of another one.
    pub(super) fn turn_hostile(&mut self, node: u32, kind: Hostile, cause: Option<u64>) -> bool {
        let was_up = self.stop(node, Stop::Crash, cause);
        self.start_as(node, Role::Hostile(kind), None);
        was_up
    }

    /// Ends the harm, and lets an honest node come back.
    pub(super) fn turn_honest(&mut self, node: u32) {
        if self.slots[node as usize].is_hostile {
            self.stop(node, Stop::Crash, None);
            self.start(node, None);
        }
    }

    /// Lets a node do nothing from now on. Returns false if it is not up.
    pub(super) fn pause(&mut self, node: u32, cause: Option<u64>) -> bool {
        let slot = &mut self.slots[node as usize];
        slot.paused += 1;
        if slot.node.is_none() {
            return false;
        }
        if slot.paused == 1 {
            let life = self.life_of(node);
            self.record_of(life, cause, |_| What::Paused);
            self.tell(Fact::Paused {
                life,
                is_paused: true,
            });
        }
        true
    }

    /// Lets a paused node go on, with all that came meanwhile.
    pub(super) fn resume(&mut self, node: u32) {
        let slot = &mut self.slots[node as usize];
        slot.paused = slot.paused.saturating_sub(1);
        if slot.paused > 0 || slot.node.is_none() {
            return;
        }
        let missed = std::mem::take(&mut slot.missed);
        let life = self.life_of(node);
        self.record_of(life, None, |_| What::Resumed);
        self.tell(Fact::Paused {
            life,
            is_paused: false,
        });
        for event in missed {
            self.plan(self.now, node, event);
        }
        for conn in self.conns_of(node) {
            self.unpark(conn);
        }
        self.slots[node as usize].armed = None;
        self.arm(node);
    }

    /// Changes a node's clock, from now on.
    pub(super) fn set_clock(&mut self, node: u32, ppm: i32, step_ms: i64) {
        let now = self.now;
        let slot = &mut self.slots[node as usize];
        slot.clock.set_rate(ppm, now);
        slot.clock.step(step_ms);
        slot.armed = None;
        slot.turn = slot.turn.wrapping_add(1);
        if slot.paused == 0 {
            self.with_node(node, |node, io| node.on_wall_clock(io));
            self.arm(node);
        }
    }

    /// Returns when a timer fires that is due then: late by a little, and sometimes too early besides.
    pub(super) fn unpunctual(&mut self, node: u32, due: Time) -> (Time, bool) {
        let (now, chance) = (self.now, self.chance);
        let lateness = u64::from(self.scenario.net.lateness_us) * 1000;
        let slot = &mut self.slots[node as usize];
        slot.draws += 1;
        let (entity, n) = (name(node, slot.life), slot.draws);
        if lateness > 0 && chance.below(SPURIOUS, Purpose::Spurious, entity, n) == 0 {
            let early = due.since(now) / 2;
            return (now.after(early), true);
        }
        let late = chance.below(lateness + 1, Purpose::Lateness, entity, n);
        (due.after(Duration::from_nanos(late)), false)
    }

    /// Returns the lives that are up, and mean no harm.
    pub(crate) fn lives(&self) -> Vec<Life> {
        let slots = (0..).zip(&self.slots);
        let up = slots.filter(|(_, slot)| slot.node.is_some() && !slot.is_hostile);
        up.map(|(node, slot)| Life {
            node,
            life: slot.life,
        })
        .collect()
    }

    /// Returns what can be seen of each node that is up.
    pub(crate) fn statuses(&self) -> Vec<(Life, NodeStatus)> {
        let lives = self.lives().into_iter();
        lives
            .filter_map(|life| Some((life, self.status(life.node)?)))
            .collect()
    }

    /// Returns the nodes that are up, in as many parts as there are between which nobody knows of anybody: none of one began its
    /// life with a place where one of the other is, and none is linked with such a one.
    pub(crate) fn islands(&self, linked: &[[u32; 2]]) -> Vec<Vec<u32>> {
        let mut parts: Vec<Vec<u32>> = Vec::new();
        for life in self.lives() {
            let knows = |a: u32, b: u32| {
                let place = self.slots[b as usize].place;
                self.slots[a as usize].seeds.contains(&place)
                    || linked.contains(&[a, b])
                    || linked.contains(&[b, a])
            };
            let node = life.node;
            let is_known = |part: &Vec<u32>| {
                let mut others = part.iter();
                others.any(|other| knows(node, *other) || knows(*other, node))
            };
            let (known, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_known);
            parts = others;
            parts.push(known.into_iter().flatten().chain([node]).collect());
        }
        parts
    }

    /// Ends the lives of all but some, for ever, without a word.
    pub(crate) fn keep_only(&mut self, core: &[u32]) {
        for node in 0..self.nodes() {
            if !core.contains(&node) {
                self.stop(node, Stop::PowerLoss, None);
                self.slots[node as usize].is_dark = true;
            }
        }
    }

    /// Returns the nodes in an order drawn for choosing who stays.
    pub(crate) fn drawn_order(&self) -> Vec<u32> {
        let mut nodes: Vec<u32> = (0..self.nodes()).collect();
        let chance: Chance = self.given;
        nodes.sort_by_key(|node| chance.draw(Purpose::Core, u64::from(*node), 99));
        nodes
    }
}

/// Returns a draw between minus and plus so much.
fn around(most: u32, drawn: u64) -> i32 {
    let most = i64::from(most.min(1 << 30));
    let drawn = i64::try_from(drawn >> 2).unwrap_or(0);
    i32::try_from(drawn % (2 * most + 1) - most).unwrap_or(0)
}
