//! A world: nodes, the byte streams between them, and one clock, as a value.
//!
//! Everything happens in one order, and everything drawn has a name, so a scenario gives the same run on every machine.
//! What is in this file is the order of things and what a node does; what a stream, a life or a fault is has its place below.

mod conn;
mod dials;
mod life;
mod look;
mod plan;
mod storm;
mod streams;
#[cfg(test)]
mod tests;
mod tracer;
mod weather;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::chance::{Chance, hash_bytes, mix};
use crate::facts::{Fact, Life};
use crate::node::{Action, Birth, ConnId, Io, Node, NodeStatus, Note, PeerKey, Place, Refusal};
use crate::queue::{Key, Queue};
use crate::report::Checker;
use crate::scenario::{Hostile, Kind, Scenario};
use crate::time::{Clock, Time};
use crate::trace::{Trace, What};
use conn::Conns;
use dials::Dial;
use plan::Waiting;
pub use storm::{Burden, Step, Storm};
use tracer::Tracer;
use weather::Weather;

/// What a life is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// A participant.
    Honest(Kind),
    /// One that means harm.
    Hostile(Hostile),
}

/// Makes the nodes of a world; `None` where it has nothing for a role, and then the place stays empty.
pub type Maker<N> = Box<dyn Fn(&Birth, Role) -> Option<N> + Send>;

/// So often a node may do something at one moment. What it only takes in is not counted: behind a connection that trickled, or a
/// node that stood still, pieces of a few bytes may wait in their thousands.
const MAX_AT_ONCE: u32 = 20_000;

/// A source of events that is no node.
const WORLD: u32 = u32::MAX;

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A chunk arrives at the end of a pipe.
    Arrive {
        conn: u32,
        generation: u32,
        pipe: u8,
    },
    /// The writer of a pipe learns that there is room again.
    Room {
        conn: u32,
        generation: u32,
        pipe: u8,
    },
    /// One end learns that a connection broke.
    Lost {
        conn: u32,
        generation: u32,
        side: u8,
    },
    /// The first packet of a dial arrives.
    DialArrives {
        dial: u32,
    },
    /// Who dialled learns that it succeeded.
    DialDone {
        dial: u32,
    },
    /// Who dialled learns that it failed.
    DialFailed {
        dial: u32,
        is_refusal: bool,
    },
    /// A node's deadline.
    Deadline {
        node: u32,
        turn: u32,
    },
    /// A life begins.
    Start {
        node: u32,
    },
    /// A node that leaves has had enough time.
    Stop {
        node: u32,
        life: u32,
    },
    /// A fault begins, changes, ends.
    Begin {
        fault: u32,
    },
    Change {
        fault: u32,
        step: u32,
    },
    End {
        fault: u32,
    },
    /// The `turn`th message of a load.
    Load {
        load: u32,
        turn: u32,
    },
    /// A node may accept what it refused.
    Retry {
        node: u32,
        life: u32,
    },
}

/// What is at a place: a node in one of its lives, or nobody.
struct Slot<N> {
    node: Option<N>,
    life: u32,
    place: Place,
    /// The places of others that it knew when its life began.
    seeds: Vec<Place>,
    kind: Kind,
    is_hostile: bool,
    is_leaving: bool,
    /// Whether the machine is gone, and not just the process.
    is_dark: bool,
    /// How many faults have it paused.
    paused: u32,
    /// What happened to it meanwhile.
    missed: VecDeque<Event>,
    clock: Clock,
    counter: u32,
    /// When the deadline is due for which it is armed, and which arming that is. It fires a little later.
    armed: Option<Time>,
    turn: u32,
    /// Whether the deadline that is armed is too early on purpose.
    is_spurious: bool,
    draws: u64,
    /// What it asked to be kept, the last and the one before.
    saved: [Option<Bytes>; 2],
    /// The connections that it has.
    conns: Vec<u32>,
    /// How often it dialled each place.
    dialed: Vec<(Place, u32)>,
    /// What its application wants to send, and could not yet.
    waiting: VecDeque<Waiting>,
    /// The last moment at which something happened to it, and how much did.
    busy: (Time, u32),
    /// The record of the last bytes that arrived.
    heard: Option<u64>,
}

/// See the module. `N` is the protocol under test.
pub struct World<N> {
    now: Time,
    queue: Queue<Event>,
    slots: Vec<Slot<N>>,
    conns: Conns,
    dials: Vec<Option<Dial>>,
    free_dials: Vec<u32>,
    /// Who lives at each place.
    places: Vec<Option<u32>>,
    scenario: Scenario,
    /// What of the scenario itself is drawn: who knows whom, clocks, halves, payloads, and who stays in the end.
    given: Chance,
    /// All that happens by chance.
    chance: Chance,
    /// From when on chance is another one.
    turns_at: Option<(Time, Chance)>,
    maker: Maker<N>,
    weather: Weather,
    /// From when on the scenario's load and faults are counted.
    storm: Time,
    facts: Vec<(Time, Fact)>,
    tracer: Option<Tracer>,
    actions: Vec<Action>,
    counter: u32,
    hash: u64,
    events: u64,
    published: u32,
    sent_to: u64,
    /// Bytes read by nodes.
    carried: u64,
    /// The branches that nodes reached whose lives are over.
    #[cfg(feature = "marks")]
    marks: rs2p_core::Marks,
}

impl<N> fmt::Debug for World<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut world = f.debug_struct("World");
        world
            .field("now", &self.now)
            .field("nodes", &self.slots.len());
        world
            .field("events", &self.events)
            .field("hash", &self.hash);
        world.finish_non_exhaustive()
    }
}

impl<N: Node> World<N> {
    /// Returns a world in which a scenario is about to begin. Its load and faults wait for [`begin_storm`](Self::begin_storm).
    pub fn new(scenario: Scenario, maker: Maker<N>) -> Self {
        let chance = Chance::new(scenario.seed);
        let faults = scenario.faults.len();
        let mut world = Self {
            now: Time::ZERO,
            queue: Queue::new(),
            slots: Vec::new(),
            conns: Conns::default(),
            dials: Vec::new(),
            free_dials: Vec::new(),
            places: Vec::new(),
            scenario,
            given: chance,
            chance,
            turns_at: None,
            maker,
            weather: Weather::new(faults),
            storm: Time::ZERO,
            facts: Vec::new(),
            tracer: None,
            actions: Vec::new(),
            counter: 0,
            hash: mix(1),
            events: 0,
            published: 0,
            sent_to: 0,
            carried: 0,
            #[cfg(feature = "marks")]
            marks: rs2p_core::Marks::NONE,
        };
        world.settle_nodes();
        world
    }

    /// Keeps a record of all that happens from now on.
    pub fn trace(&mut self) {
        self.tracer = Some(Tracer::new(self.nodes()));
    }

    /// Draws all that happens by chance after a moment from another seed: latencies, cuts, jitter, lateness, and the seeds
    /// of nodes that begin to live. What the scenario's own seed says of load and faults stays.
    pub fn turn_chance(&mut self, after: Time, seed: u64) {
        self.turns_at = Some((after, Chance::new(seed)));
    }

    /// Returns the trace, if one was kept, and keeps none any more.
    pub fn take_trace(&mut self) -> Option<Trace> {
        let effects = self.weather.effects();
        Some(self.tracer.take()?.finish(effects))
    }

    /// Returns the time.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Returns how many nodes there are, up or not.
    pub fn nodes(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Returns a node, if it is up.
    pub fn node(&self, node: u32) -> Option<&N> {
        self.slots.get(node as usize)?.node.as_ref()
    }

    /// Returns the scenario.
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Returns a hash of all that has happened so far.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns how many events there were: chunks handled, deadlines, and what else happened to nodes.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Returns how many bytes nodes have read.
    pub const fn carried(&self) -> u64 {
        self.carried
    }

    /// Returns how many connections there were so far.
    pub const fn conns_made(&self) -> u64 {
        self.conns.made()
    }

    /// Returns how many connections there are.
    pub(crate) fn open_conns(&self) -> usize {
        self.conns.places().count()
    }

    /// Returns what each fault of the scenario came to so far: bytes held, connections hit, dials refused. Zero is nothing.
    pub fn effects(&self) -> &[u64] {
        self.weather.effects()
    }

    /// Lets everything happen up to a moment, that included.
    pub fn run_until(&mut self, end: Time) {
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Lets everything happen for so long.
    pub fn run_for(&mut self, length: Duration) {
        self.run_until(self.now.after(length));
    }

    /// Lets the next thing happen. Returns when it did, or `None` if nothing ever happens again.
    pub fn step(&mut self) -> Option<Time> {
        let (key, event) = self.queue.pop()?;
        self.now = self.now.max(key.at);
        if let Some((after, chance)) = self.turns_at
            && self.now > after
        {
            self.chance = chance;
            self.turns_at = None;
        }
        self.handle(event);
        Some(self.now)
    }

    /// Sends a message from a node's application to all, now. Returns whether the node took it; if it is full, it is
    /// tried again when there is room, and that counts as well.
    pub fn publish(&mut self, node: u32, payload: Bytes) -> bool {
        self.hand_in(node, Waiting::Broadcast(payload))
    }

    /// Returns what can be seen of a node, if it is up.
    pub fn status(&self, node: u32) -> Option<NodeStatus> {
        Some(self.node(node)?.status())
    }

    /// Returns the branches of the core that any node has reached.
    #[cfg(feature = "marks")]
    pub fn marks(&self) -> rs2p_core::Marks {
        let up = self.slots.iter().filter_map(|slot| slot.node.as_ref());
        up.fold(self.marks, |marks, node| marks | node.marks())
    }

    /// Takes what happened that those who judge have to know.
    pub(crate) fn take_facts(&mut self) -> Vec<(Time, Fact)> {
        std::mem::take(&mut self.facts)
    }

    /// Gives the memory of what was taken back.
    pub(crate) fn recycle(&mut self, mut facts: Vec<(Time, Fact)>) {
        if self.facts.is_empty() {
            facts.clear();
            self.facts = facts;
        }
    }

    /// Notes the phase of a run that begins now.
    pub(crate) fn phase(&mut self, name: &str) {
        self.record(None, None, What::Phase(name.to_owned()));
    }

    /// Notes in the trace what a checker found.
    pub(crate) fn note_violation(&mut self, violation: &crate::Violation) {
        let what = What::Violated {
            checker: violation.checker.code().to_owned(),
            sentence: violation.sentence.clone(),
        };
        self.record(violation.node, None, what);
    }

    fn handle(&mut self, event: Event) {
        self.events += 1;
        match event {
            Event::Arrive {
                conn,
                generation,
                pipe,
            } => self.arrive(conn, generation, usize::from(pipe)),
            Event::Room {
                conn,
                generation,
                pipe,
            } => self.give_room(conn, generation, usize::from(pipe)),
            Event::Lost {
                conn,
                generation,
                side,
            } => self.lose(conn, generation, usize::from(side)),
            Event::DialArrives { dial } => self.dial_arrives(dial),
            Event::DialDone { dial } => self.dial_done(dial),
            Event::DialFailed { dial, is_refusal } => self.dial_failed(dial, is_refusal),
            Event::Deadline { node, turn } => self.deadline(node, turn),
            Event::Start { node } => self.start(node, None),
            Event::Stop { node, life } => self.stop_leaving(node, life),
            Event::Begin { fault } => self.begin_fault(fault),
            Event::Change { fault, step } => self.change_fault(fault, step),
            Event::End { fault } => self.end_fault(fault),
            Event::Load { load, turn } => self.offer_load(load, turn),
            Event::Retry { node, life } => self.retry(node, life),
        }
    }

    /// Plans an event that this node causes, or the world.
    fn plan(&mut self, at: Time, source: u32, event: Event) {
        let counter = match self.slots.get_mut(source as usize) {
            Some(slot) => &mut slot.counter,
            None => &mut self.counter,
        };
        *counter = counter.wrapping_add(1);
        let counter = *counter;
        let key = Key {
            at: at.max(self.now),
            source,
            counter,
        };
        self.queue.push(key, event);
    }

    /// Lets a node handle something, and carries out what it wants. Nothing happens if it is not up.
    fn with_node<T>(
        &mut self,
        node: u32,
        call: impl FnOnce(&mut N, &mut Io<'_>) -> T,
    ) -> Option<T> {
        let mut actions = std::mem::take(&mut self.actions);
        let now = self.now;
        let slot = &mut self.slots[node as usize];
        let alive = slot.node.as_mut()?;
        let mut io = Io {
            now: Duration::from_micros(slot.clock.local(now) / 1000),
            wall: Duration::from_micros(slot.clock.wall(now)),
            actions: &mut actions,
        };
        let result = call(alive, &mut io);
        let life = Life {
            node,
            life: slot.life,
        };
        let has_acted = !actions.is_empty();
        for action in actions.drain(..) {
            self.perform(life, action);
        }
        self.actions = actions;
        if has_acted {
            self.watch_for_zeno(life);
        }
        self.arm(node);
        Some(result)
    }

    fn perform(&mut self, life: Life, action: Action) {
        let node = life.node;
        match action {
            Action::Dial(tag, to) => self.dial(life, tag, to),
            Action::CancelDial(tag) => self.cancel_dial(life, tag),
            Action::Write(conn, bytes) => self.write(life, conn, bytes),
            Action::Close(conn, why) => self.close(life, conn, why),
            Action::Deliver(delivery) => {
                let content = hash_bytes(&delivery.payload);
                self.fold(content ^ u64::from(node));
                if self.tracer.is_some() {
                    self.trace_delivery(life, &delivery, content);
                }
                let life_of = life;
                self.tell(Fact::Delivered {
                    life: life_of,
                    delivery,
                    content,
                });
            }
            Action::Tell(note) => self.note(life, note),
            Action::Persist(bytes) => {
                let slot = &mut self.slots[node as usize];
                slot.saved.swap(0, 1);
                slot.saved[0] = Some(bytes);
            }
            Action::Ended => {
                let slot = &self.slots[node as usize];
                if slot.is_leaving {
                    self.plan(
                        self.now,
                        node,
                        Event::Stop {
                            node,
                            life: life.life,
                        },
                    );
                }
            }
        }
    }

    fn note(&mut self, life: Life, note: Note) {
        match note {
            Note::PeerUp(conn, peer) => self.note_peer(life, conn, peer, true),
            Note::PeerDown(conn, peer) => self.note_peer(life, conn, peer, false),
            Note::Gap(stream, first, last, why) => {
                self.fold(stream.0 ^ first ^ last.rotate_left(32));
                self.record_of(life, None, |_| What::Gap {
                    stream,
                    first,
                    last,
                    why,
                });
                self.tell(Fact::Gap {
                    life,
                    stream,
                    first,
                    last,
                });
            }
            Note::Outcome(number, is_delivered, words) => {
                self.record_of(life, None, |_| {
                    What::Told(format!("message {number}: {words}"))
                });
                self.tell(Fact::Outcome {
                    life,
                    number,
                    is_delivered,
                });
            }
            Note::Room => self.plan(
                self.now,
                life.node,
                Event::Retry {
                    node: life.node,
                    life: life.life,
                },
            ),
            Note::Told(words) => {
                self.record_of(life, None, |_| What::Told(words));
            }
        }
    }

    fn note_peer(&mut self, life: Life, id: ConnId, peer: PeerKey, is_up: bool) {
        let Some((place, side)) = self.conns.find(id) else {
            return;
        };
        let Some(conn) = self.conns.get(place) else {
            return;
        };
        let (number, other) = (conn.number, conn.ends[1 - side].life.node);
        self.record_of(life, None, |_| What::peer(id, other, is_up));
        self.tell(Fact::Peer {
            conn: number,
            life,
            peer,
            is_up,
        });
    }

    fn tell(&mut self, fact: Fact) {
        self.facts.push((self.now, fact));
    }

    fn breach(&mut self, life: Life, checker: Checker, kind: &'static str, sentence: String) {
        if self.slots[life.node as usize].is_hostile {
            return;
        }
        self.tell(Fact::Breach {
            life,
            checker,
            kind,
            sentence,
        });
    }

    /// Makes something a part of the hash of all that happened.
    const fn fold(&mut self, what: u64) {
        self.hash = mix(self.hash ^ what).wrapping_add(self.now.as_nanos());
    }

    /// Sees to it that a node's deadline fires.
    fn arm(&mut self, node: u32) {
        let slot = &self.slots[node as usize];
        if slot.paused > 0 {
            return;
        }
        let Some(deadline) = slot.node.as_ref().and_then(Node::deadline) else {
            return;
        };
        let due = slot.clock.when(crate::time::nanos(deadline));
        // It may fire before its deadline, if that was put off: then it is armed again.
        if slot.armed.is_some_and(|armed| armed <= due) {
            return;
        }
        let (at, is_spurious) = self.unpunctual(node, due);
        let slot = &mut self.slots[node as usize];
        slot.armed = Some(due);
        slot.is_spurious = is_spurious;
        slot.turn = slot.turn.wrapping_add(1);
        let turn = slot.turn;
        self.plan(at, node, Event::Deadline { node, turn });
    }

    fn deadline(&mut self, node: u32, turn: u32) {
        let now = self.now;
        let slot = &mut self.slots[node as usize];
        if slot.turn != turn || slot.node.is_none() {
            return;
        }
        slot.armed = None;
        if slot.paused > 0 {
            return;
        }
        let local = Duration::from_micros(slot.clock.local(now) / 1000);
        let is_due = |node: &N| node.deadline().is_some_and(|deadline| deadline <= local);
        if !slot.node.as_ref().is_some_and(is_due) && !slot.is_spurious {
            return self.arm(node);
        }
        let life = slot.life;
        self.fold(u64::from(node) << 8 | 1);
        self.with_node(node, |alive, io| alive.on_deadline(io));
        let slot = &mut self.slots[node as usize];
        if slot.node.as_ref().is_some_and(is_due) {
            // Not for ever at this moment.
            slot.turn = slot.turn.wrapping_add(1);
            let (turn, at) = (slot.turn, now.after(Duration::from_millis(1)));
            slot.armed = Some(at);
            self.plan(at, node, Event::Deadline { node, turn });
            let sentence = format!(
                "node {node} was called at its deadline, and its next deadline was not later"
            );
            self.breach(Life { node, life }, Checker::Zeno, "deadline", sentence);
        }
    }

    fn watch_for_zeno(&mut self, life: Life) {
        let now = self.now;
        let slot = &mut self.slots[life.node as usize];
        if slot.busy.0 != now {
            slot.busy = (now, 0);
        }
        slot.busy.1 += 1;
        if slot.busy.1 == MAX_AT_ONCE {
            let node = life.node;
            let sentence = format!("node {node} did something {MAX_AT_ONCE} times at one moment");
            self.breach(life, Checker::Zeno, "busy", sentence);
        }
    }

    /// Hands a message of its application to a node; see [`publish`](Self::publish).
    fn hand_in(&mut self, node: u32, message: Waiting) -> bool {
        let Some(slot) = self.slots.get(node as usize) else {
            return false;
        };
        if slot.node.is_none() || slot.is_hostile || slot.is_leaving || slot.paused > 0 {
            return false;
        }
        if !slot.waiting.is_empty() {
            // Its application sends in order.
            self.slots[node as usize].waiting.push_back(message);
            return true;
        }
        self.try_hand_in(node, message)
    }

    fn try_hand_in(&mut self, node: u32, message: Waiting) -> bool {
        match self.hand_over(node, &message) {
            Some(Ok(())) => true,
            Some(Err(Refusal::Full)) => {
                self.slots[node as usize].waiting.push_front(message);
                true
            }
            Some(Err(Refusal::Never(why))) => {
                let life = self.life_of(node);
                self.record_of(life, None, |_| What::Refused(why.clone()));
                self.tell(Fact::Refused { life, why });
                false
            }
            None => false,
        }
    }

    fn retry(&mut self, node: u32, life: u32) {
        if self.slots[node as usize].life != life {
            return;
        }
        let tries = self.slots[node as usize].waiting.len();
        for _ in 0..tries {
            let Some(message) = self.slots[node as usize].waiting.pop_front() else {
                return;
            };
            let before = self.slots[node as usize].waiting.len();
            self.try_hand_in(node, message);
            if self.slots[node as usize].waiting.len() > before {
                return;
            }
        }
    }

    fn life_of(&self, node: u32) -> Life {
        Life {
            node,
            life: self.slots[node as usize].life,
        }
    }

    /// Returns whether a life has begun and not ended.
    fn is_up(&self, life: Life) -> bool {
        let slot = &self.slots[life.node as usize];
        slot.life == life.life && slot.node.is_some()
    }
}
