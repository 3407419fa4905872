//! What a scenario's faults and load come to: who is hit, what is said, how long bytes take. The same for simulated nodes and
//! for real ones.

use std::time::Duration;

use bytes::Bytes;

use super::streams;
use super::weather::{Draw, Parts, Weather, pair};
use crate::chance::{Chance, Purpose, mix, name};
use crate::scenario::{Bootstrap, Cutting, DialManner, Fault, Load, Manner, Scenario, Timed};

pub use super::weather::Burden;

/// A payload that is no other's is at least so long.
const UNIQUE_LEN: usize = 12;

/// For so long at least a chunk is waited for in which bits flip, in milliseconds.
const FLIP_MS: u32 = 10_000;

/// No load makes longer messages.
const MAX_LEN: u32 = 1 << 20;

/// Returns when something begins and ends. Bits flip in the next chunk that comes within some time.
pub(super) fn fault_span(timed: &Timed<Fault>) -> (Duration, Duration) {
    let mut timed = *timed;
    if matches!(timed.what, Fault::Flip { .. }) {
        timed.lasts_ms = timed.lasts_ms.max(FLIP_MS);
    }
    span(&timed)
}

pub(super) fn span<T>(timed: &Timed<T>) -> (Duration, Duration) {
    let from = Duration::from_millis(u64::from(timed.at_ms));
    (
        from,
        from + Duration::from_millis(u64::from(timed.lasts_ms)),
    )
}

/// Returns the two nodes that a fault is between. Where it is about a connection and those picked have none, the second is
/// another one that the first is connected with: a fault is to strike. `linked` tells with whom a node is.
pub(super) fn struck(
    fault: &Fault,
    nodes: u32,
    linked: impl FnOnce(u32) -> Vec<u32>,
) -> (u32, u32) {
    match fault {
        Fault::DialFails { who, .. } => who.of(nodes),
        Fault::Slow { who, .. }
        | Fault::Delay { who, .. }
        | Fault::Stall { who }
        | Fault::Drip { who }
        | Fault::Flip { who, .. }
        | Fault::Reset { who }
        | Fault::HalfOpen { who } => {
            let (one, other) = who.of(nodes);
            let mut linked = linked(one);
            linked.sort_unstable();
            linked.dedup();
            if linked.is_empty() || linked.contains(&other) {
                (one, other)
            } else {
                (one, linked[usize::from(who.1) % linked.len()])
            }
        }
        Fault::Split { .. }
        | Fault::Stop { .. }
        | Fault::Late { .. }
        | Fault::Pause { .. }
        | Fault::Clock { .. }
        | Fault::Hostile { .. } => (0, 0),
    }
}

/// Returns how a network falls apart by a split, in its `step`th state.
pub(super) fn parts(chance: Chance, timed: &Timed<Fault>, nodes: u32, step: u32) -> Option<Parts> {
    let Fault::Split { cut, .. } = timed.what else {
        return None;
    };
    let lasts = Duration::from_millis(u64::from(timed.lasts_ms));
    // By what it is and when, not by its place in the list: others may be taken out.
    let seed = chance.draw(Purpose::Shuffle, u64::from(timed.at_ms), 1);
    let chance = Chance::new(seed);
    Some(Parts::of(cut, nodes, step, lasts, Draw { chance }))
}

/// Returns the payload of a load's `turn`th message: drawn by what the load is, so that it is the same whatever else there is.
pub(super) fn payload(chance: Chance, timed: &Timed<Load>, turn: u32) -> Bytes {
    let (by, to, len, is_equal) = match timed.what {
        Load::Publish { by, len, equal, .. } => (by.0, 0, len, equal),
        Load::Send { pair, len } => (pair.0, pair.1 | 1 << 15, len, false),
    };
    let turn = if is_equal { 0 } else { turn };
    let entity = mix(name(timed.at_ms, u32::from(by) << 16 | u32::from(to)));
    let len = len.min(MAX_LEN) as usize;
    let len = if is_equal { len } else { len.max(UNIQUE_LEN) };
    let mut payload = Vec::with_capacity(len + 32);
    let mut n = 0;
    while payload.len() < len {
        let drawn = chance.bytes(Purpose::Payload, entity ^ mix(u64::from(turn)), n);
        payload.extend_from_slice(&drawn);
        n += 1;
    }
    payload.truncate(len);
    payload.into()
}

/// Returns the nodes at whose places a node may find others.
pub(super) fn seeds(bootstrap: Bootstrap, chance: Chance, node: u32, nodes: u32) -> Vec<u32> {
    let mut seeds: Vec<u32> = match bootstrap {
        Bootstrap::One => vec![0],
        Bootstrap::Few => (0..nodes.min(3)).collect(),
        Bootstrap::Chain => vec![node.saturating_sub(1)],
        Bootstrap::Random => {
            let draw = |n| chance.below(u64::from(nodes), Purpose::Core, u64::from(node), n);
            // With the one before it, all are joined.
            let drawn = (0..3).filter_map(|n| u32::try_from(draw(n)).ok());
            drawn.chain([node.saturating_sub(1)]).collect()
        }
    };
    // The first one would know nobody when it comes back.
    if seeds.iter().all(|seed| *seed == node) {
        seeds = vec![(node + 1) % nodes];
    }
    seeds.retain(|seed| *seed != node);
    seeds.dedup();
    seeds
}

/// Flips so many bits in bytes from one node to another.
pub(super) fn flip(chance: Chance, bytes: &mut [u8], bits: u8, entity: u64) {
    for n in 0..u64::from(bits) {
        let at = chance.below(bytes.len() as u64 * 8, Purpose::Flip, entity, n);
        let place = usize::try_from(at / 8).expect("within the bytes");
        bytes[place] ^= 1 << (at % 8);
    }
}

/// Something that a scenario has happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "who plays a scenario has to do all of it"
)]
pub enum Step {
    /// A fault begins, by its place in the list.
    Begin(usize),
    /// A network that has fallen apart does so in another way from now on: the fault, and which of its states.
    Change(usize, u32),
    /// A fault ends.
    End(usize),
    /// A message is handed in: the load, by its place in the list, and which message of it, counted from 0.
    Load(usize, u32),
}

/// The storm of a scenario, for those who play it with nodes of their own: which pairs are cut now, what takes longer, and
/// what is to happen when. It draws as a [`World`](crate::World) does, so that the same are hit.
///
/// Whoever plays goes through the [`steps`](Self::steps), tells of those that begin, change and end a fault, asks what is to
/// become of bytes and dials, and [notes](Self::note_effect) what each fault came to.
#[derive(Clone, Debug)]
pub struct Storm {
    scenario: Scenario,
    chance: Chance,
    weather: Weather,
}

impl Storm {
    /// How long after each other the pieces of a chunk arrive that drips.
    pub const DRIP_INTERVAL: Duration = streams::DRIP_INTERVAL;

    /// Returns the storm of a scenario before it has begun.
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            scenario: scenario.clone(),
            chance: Chance::new(scenario.seed),
            weather: Weather::new(scenario.faults.len()),
        }
    }

    /// Returns how many nodes there are.
    pub fn nodes(&self) -> u32 {
        u32::from(self.scenario.nodes.max(1))
    }

    /// Returns the nodes at whose places a node may find others when it starts.
    pub fn seeds(&self, node: u32) -> Vec<u32> {
        seeds(self.scenario.bootstrap, self.chance, node, self.nodes())
    }

    /// Returns whether a node is not there before the storm.
    pub fn is_late(&self, node: u32) -> bool {
        self.scenario.faults.iter().any(|fault| {
            matches!(fault.what, Fault::Late { node: late } if late.of(self.nodes()) == node)
        })
    }

    /// Returns all that happens, in order, each with its time from the beginning of the storm on.
    pub fn steps(&self) -> Vec<(Duration, Step)> {
        let mut steps = Vec::new();
        for (index, timed) in self.scenario.faults.iter().enumerate() {
            let (from, to) = fault_span(timed);
            steps.push((from, Step::Begin(index)));
            if let Fault::Split { cut, .. } = timed.what {
                let count = Parts::steps(cut, self.nodes(), to - from);
                let step = (to - from) / count;
                steps.extend((1..count).map(|n| (from + step * n, Step::Change(index, n))));
            }
            steps.push((to, Step::End(index)));
        }
        for (index, timed) in self.scenario.load.iter().enumerate() {
            let (from, to) = span(timed);
            let count = match timed.what {
                Load::Publish { count, .. } => u32::from(count),
                Load::Send { .. } => 1,
            };
            let apart = (to - from) / count.max(1);
            steps.extend((0..count).map(|n| (from + apart * n, Step::Load(index, n))));
        }
        steps.sort_by_key(|(at, _)| *at);
        steps
    }

    /// Returns when the last fault and the last load are over.
    pub fn length(&self) -> Duration {
        let faults = self.scenario.faults.iter().map(|fault| fault_span(fault).1);
        let load = self.scenario.load.iter().map(|load| span(load).1);
        faults.chain(load).max().unwrap_or_default()
    }

    /// Begins a fault. Returns the two nodes that it is between, if it is between two; `linked` tells with whom a node is
    /// connected.
    pub fn begin(
        &mut self,
        fault: usize,
        linked: impl FnOnce(u32) -> Vec<u32>,
    ) -> Option<(u32, u32)> {
        let timed = *self.scenario.faults.get(fault)?;
        let pair = struck(&timed.what, self.nodes(), linked);
        let parts = parts(self.chance, &timed, self.nodes(), 0);
        self.weather.begin(fault, timed.what, pair, parts);
        Some(pair)
    }

    /// Lets a network that has fallen apart do so in another way. Returns whether that fault is going on.
    pub fn change(&mut self, fault: usize, step: u32) -> bool {
        let timed = self.scenario.faults.get(fault);
        let parts = timed.and_then(|timed| parts(self.chance, timed, self.nodes(), step));
        parts.is_some_and(|parts| self.weather.change(fault, parts))
    }

    /// Ends a fault. Returns the two nodes that it was between, if it was going on.
    pub fn end(&mut self, fault: usize) -> Option<(u32, u32)> {
        self.weather.end(fault)
    }

    /// Returns the split that cuts one node off from another, and what it does to connections.
    pub fn split(&self, from: u32, to: u32) -> Option<(usize, Manner)> {
        self.weather.split(from, to)
    }

    /// Returns the fault that holds what is under way from one node to another.
    pub fn holds(&self, from: u32, to: u32) -> Option<usize> {
        self.weather.holds(from, to)
    }

    /// Returns the fault that decides what becomes of a dial, and what that is; `None` if it just succeeds.
    pub fn dial(&self, from: u32, to: u32) -> Option<(usize, DialManner)> {
        self.weather.dial(from, to)
    }

    /// Returns what makes bytes from one node to another slower, besides the network.
    pub fn burden(&self, from: u32, to: u32) -> Burden {
        self.weather.burden(from, to)
    }

    /// Flips bits in a chunk from one node to another, if a fault is to. Returns which.
    pub fn flip(&mut self, from: u32, to: u32, bytes: &mut [u8]) -> Option<usize> {
        let (fault, bits) = self.weather.flip(from, to)?;
        flip(self.chance, bytes, bits, pair(from, to));
        Some(fault)
    }

    /// Returns how long the `n`th chunk of a stream, or of whatever has this name, takes from one node to another.
    pub fn latency(&self, from: u32, to: u32, stream: u64, n: u64) -> Duration {
        streams::latency(&self.scenario.net, self.chance, from, to, mix(stream), n)
    }

    /// Returns the lengths of the pieces that the `n`th chunk of a stream is cut into, by the network or, where it drips, by
    /// that fault; together they are as long as the chunk.
    pub fn pieces(&self, stream: u64, n: u64, len: usize, drips: bool) -> Vec<usize> {
        let cutting = self.scenario.net.cutting;
        let first = match cutting {
            Cutting::Anywhere if !drips => {
                let drawn = self.chance.below(len as u64, Purpose::Cut, mix(stream), n);
                usize::try_from(drawn).unwrap_or(0)
            }
            Cutting::Anywhere | Cutting::Whole | Cutting::Segments | Cutting::Together => 0,
        };
        let mut pieces = Vec::new();
        let mut rest = len;
        while rest > 0 {
            let piece = streams::piece_len(cutting, drips, first, pieces.len(), rest);
            pieces.push(piece);
            rest -= piece;
        }
        pieces
    }

    /// Returns the payload of a load's message; see [`Step::Load`].
    pub fn payload(&self, load: usize, turn: u32) -> Bytes {
        let timed = self.scenario.load.get(load);
        timed.map_or_else(Bytes::new, |timed| payload(self.chance, timed, turn))
    }

    /// Notes what a fault came to: bytes held, connections hit, dials refused.
    pub fn note_effect(&mut self, fault: usize, amount: u64) {
        self.weather.note_effect(fault, amount);
    }

    /// Returns what each fault came to so far. Zero is nothing.
    pub fn effects(&self) -> &[u64] {
        self.weather.effects()
    }
}
