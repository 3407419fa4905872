//! A scenario: all that happens to a network from outside, as plain data.
//!
//! Every field takes every value, and every part can be left out: picks count modulo the nodes there are, a fault carries
//! its own end, and what cannot be done does nothing. So whatever is cut from a scenario leaves a scenario.

#[cfg(feature = "json")]
mod json;
mod part;
mod source;
mod text;
mod words;

#[cfg(feature = "json")]
use serde::{Deserialize, Serialize};

pub use text::FormError;

/// All that happens to a network from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "json",
    derive(Serialize, Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Scenario {
    /// What everything is drawn from that is not in here: latencies, cuts, the nodes' own seeds.
    pub seed: u64,
    /// How many nodes there are, at least 1.
    pub nodes: u16,
    /// What they are, in turns: node `n` is the `n`th of these, counted around. None means all are rs2p.
    pub kinds: Vec<Kind>,
    /// The network between them.
    pub net: Net,
    /// How they find each other.
    pub bootstrap: Bootstrap,
    /// Their limits.
    pub limits: Limits,
    /// What is published, from the moment on at which the network has formed.
    pub load: Vec<Timed<Load>>,
    /// What goes wrong, on the same clock.
    pub faults: Vec<Timed<Fault>>,
    /// How it ends.
    pub ending: Ending,
}

impl Scenario {
    /// Returns how many messages are published or sent in it.
    pub fn messages(&self) -> u64 {
        let counts = self.load.iter().map(|load| match load.what {
            Load::Publish { count, .. } => u64::from(count),
            Load::Send { .. } => 1,
        });
        counts.sum()
    }

    /// Returns how many bytes are to be sent in all, with what a message costs besides its payload: about 400 bytes.
    pub fn load_bytes(&self) -> u64 {
        let bytes = self.load.iter().map(|load| match load.what {
            Load::Publish { count, len, .. } => u64::from(count) * (u64::from(len) + 400),
            Load::Send { len, .. } => u64::from(len) + 400,
        });
        bytes.sum()
    }
}

/// Something that happens at a time, for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "json",
    derive(Serialize, Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Timed<T> {
    /// When it begins, in milliseconds after the network has formed.
    pub at_ms: u32,
    /// How long it lasts, in milliseconds.
    pub lasts_ms: u32,
    /// What it is.
    pub what: T,
}

/// What a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Kind {
    /// A node of rs2p.
    #[default]
    Mesh,
    /// A model of py2p.
    Py2p,
    /// A model of js2p.
    Js2p,
}

/// One node, by a number that counts modulo the nodes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
pub struct Pick(pub u16);

/// Two nodes, by numbers that count modulo the nodes there are; the second never is the first, where there are two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
pub struct PairPick(pub u16, pub u16);

impl Pick {
    /// Returns the node that it picks out of so many.
    pub fn of(self, nodes: u32) -> u32 {
        u32::from(self.0) % nodes.max(1)
    }
}

impl PairPick {
    /// Returns the two nodes that it picks out of so many; the same twice if there is but one.
    pub fn of(self, nodes: u32) -> (u32, u32) {
        let first = u32::from(self.0) % nodes.max(1);
        let others = nodes.saturating_sub(1).max(1);
        let second = u32::from(self.1) % others;
        (first, (first + 1 + second) % nodes.max(1))
    }

    /// Returns what picks these two nodes out of so many. Numbers count modulo those; nodes beyond 65,535 cannot be picked.
    pub fn between(first: u32, second: u32, nodes: u32) -> Self {
        let nodes = nodes.max(1);
        let (first, second) = (first % nodes, second % nodes);
        // Counted from the one after the first.
        let beyond = (second + nodes - first + nodes - 1) % nodes;
        let narrow = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        Self(narrow(first), narrow(beyond))
    }
}

/// The network between the nodes. Integers only: microseconds, bytes, parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "json",
    derive(Serialize, Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Net {
    /// The latency of a usual pair, one way.
    pub latency_us: u32,
    /// By how much the base latency of a pair differs from that, at most: 1,000,000 doubles it.
    pub spread_ppm: u32,
    /// How the latency of each chunk differs from its pair's.
    pub jitter: Jitter,
    /// By how much.
    pub jitter_us: u32,
    /// How many bytes a second one connection carries in one direction; zero is without limit.
    pub bandwidth: u32,
    /// How many bytes may be under way on one connection in one direction before its writer has to wait; at least 1.
    pub window: u32,
    /// How streams are cut on their way.
    pub cutting: Cutting,
    /// How late timers fire, at most.
    pub lateness_us: u32,
    /// How fast the nodes' clocks may run too fast or too slow.
    pub drift_ppm: u32,
    /// How far the nodes' calendars may be off, in seconds.
    pub skew_s: u32,
}

impl Default for Net {
    /// A calm network: 20 ms, half of that as jitter, no loss of speed, cuts anywhere.
    fn default() -> Self {
        Self {
            latency_us: 20_000,
            spread_ppm: 500_000,
            jitter: Jitter::Uniform,
            jitter_us: 5_000,
            bandwidth: 0,
            window: 256 << 10,
            cutting: Cutting::Anywhere,
            lateness_us: 500,
            drift_ppm: 100,
            skew_s: 0,
        }
    }
}

/// How latencies are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Jitter {
    /// They are all the same.
    None,
    /// Anything up to the given length is added.
    #[default]
    Uniform,
    /// Small ones are the rule, with the given mean; large ones happen.
    Exponential,
    /// One chunk in a thousand takes a hundred times the given length.
    Bimodal,
}

/// How a stream is cut on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Cutting {
    /// What was written at once arrives at once.
    Whole,
    /// In pieces of at most 1,448 bytes.
    Segments,
    /// Each write is cut in two, anywhere.
    #[default]
    Anywhere,
    /// All that is there when something arrives comes as one piece.
    Together,
}

/// How nodes find each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Bootstrap {
    /// All know the first.
    #[default]
    One,
    /// All know the first three.
    Few,
    /// Each knows the one before it.
    Chain,
    /// Each knows a few others, drawn.
    Random,
}

/// The nodes' limits; zero is the default of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "json",
    derive(Serialize, Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Limits {
    /// How many KiB of messages a node keeps for others.
    pub log_kib: u32,
    /// How many messages.
    pub log_count: u32,
    /// For how many seconds.
    pub log_age_s: u32,
    /// How many KiB may wait at a connection.
    pub queue_kib: u32,
    /// How many connections a node dials.
    pub dialed: u16,
    /// How many it has in all.
    pub links: u16,
    /// How many addresses it remembers.
    pub addresses: u16,
}

/// What is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "json",
    derive(Serialize, Deserialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub enum Load {
    /// Messages to all, spread evenly over the time that this lasts.
    Publish {
        /// Who publishes.
        by: Pick,
        /// How many.
        count: u16,
        /// How many bytes each is long; at least 12, unless they are equal.
        len: u32,
        /// Whether they are all the same.
        equal: bool,
    },
    /// A message to one node.
    Send {
        /// Who sends, and to whom.
        pair: PairPick,
        /// How many bytes it is long.
        len: u32,
    },
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "json",
    derive(Serialize, Deserialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub enum Fault {
    /// The network falls apart.
    Split {
        /// Into which parts.
        cut: Cut,
        /// Which ways are cut.
        ways: Ways,
        /// What becomes of connections across the cut.
        live: Manner,
        /// What becomes of dials across it.
        dial: DialManner,
    },
    /// A node stops.
    Stop {
        /// Which.
        node: Pick,
        /// How.
        kind: Stop,
        /// As what it comes back when this ends; `None` is never.
        back: Option<Back>,
    },
    /// A node is not there until this ends.
    Late {
        /// Which.
        node: Pick,
    },
    /// A node does nothing, and then finds everything that came meanwhile.
    Pause {
        /// Which.
        node: Pick,
    },
    /// A node's clock runs at another speed, and its calendar is set.
    Clock {
        /// Which.
        node: Pick,
        /// By how many millionths it is too fast.
        ppm: i32,
        /// By how many milliseconds the calendar is set forward. It stays so.
        step_ms: i64,
    },
    /// Connections from one to the other carry few bytes a second.
    Slow {
        /// From whom, to whom.
        who: PairPick,
        /// So many.
        bytes_per_s: u32,
    },
    /// Everything between the two takes longer.
    Delay {
        /// From whom, to whom.
        who: PairPick,
        /// So much longer.
        ms: u16,
    },
    /// The second does not read what the first sends.
    Stall {
        /// Sender and reader.
        who: PairPick,
    },
    /// What the first sends to the second arrives a byte or three at a time, for as long as this lasts.
    Drip {
        /// Sender and reader.
        who: PairPick,
    },
    /// Bits flip in one chunk from the first to the second.
    Flip {
        /// Sender and reader.
        who: PairPick,
        /// How many.
        bits: u8,
    },
    /// The connections between the two break, and both ends learn of it.
    Reset {
        /// Between whom.
        who: PairPick,
    },
    /// The connections between the two carry nothing any more, and nobody is told.
    HalfOpen {
        /// Between whom.
        who: PairPick,
    },
    /// The first cannot dial the second.
    DialFails {
        /// Who dials whom.
        who: PairPick,
        /// What it sees.
        how: DialManner,
    },
    /// A node is replaced by one that means harm, until this ends; then it comes back anew.
    Hostile {
        /// Which.
        node: Pick,
        /// What it does.
        kind: Hostile,
    },
}

/// What kind of thing goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Family {
    /// The network falls apart.
    Split,
    /// A node stops.
    Stop,
    /// A node comes late.
    Late,
    /// A node stands still.
    Pause,
    /// A clock is wrong.
    Clock,
    /// A connection is slow.
    Slow,
    /// A connection takes long.
    Delay,
    /// A node does not read.
    Stall,
    /// Bytes come one by one.
    Drip,
    /// Bits flip.
    Flip,
    /// Connections break.
    Reset,
    /// Connections carry nothing, and nobody is told.
    HalfOpen,
    /// Dials fail.
    DialFails,
    /// A node means harm.
    Hostile,
}

impl Family {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::Split,
        Self::Stop,
        Self::Late,
        Self::Pause,
        Self::Clock,
        Self::Slow,
        Self::Delay,
        Self::Stall,
        Self::Drip,
        Self::Flip,
        Self::Reset,
        Self::HalfOpen,
        Self::DialFails,
        Self::Hostile,
    ];

    /// Returns its name, in small letters: `half-open`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Stop => "stop",
            Self::Late => "late",
            Self::Pause => "pause",
            Self::Clock => "clock",
            Self::Slow => "slow",
            Self::Delay => "delay",
            Self::Stall => "stall",
            Self::Drip => "drip",
            Self::Flip => "flip",
            Self::Reset => "reset",
            Self::HalfOpen => "half-open",
            Self::DialFails => "dial-fails",
            Self::Hostile => "hostile",
        }
    }
}

impl Fault {
    /// Returns what kind of fault it is.
    pub const fn family(&self) -> Family {
        match self {
            Self::Split { .. } => Family::Split,
            Self::Stop { .. } => Family::Stop,
            Self::Late { .. } => Family::Late,
            Self::Pause { .. } => Family::Pause,
            Self::Clock { .. } => Family::Clock,
            Self::Slow { .. } => Family::Slow,
            Self::Delay { .. } => Family::Delay,
            Self::Stall { .. } => Family::Stall,
            Self::Drip { .. } => Family::Drip,
            Self::Flip { .. } => Family::Flip,
            Self::Reset { .. } => Family::Reset,
            Self::HalfOpen { .. } => Family::HalfOpen,
            Self::DialFails { .. } => Family::DialFails,
            Self::Hostile { .. } => Family::Hostile,
        }
    }
}

/// How a network falls apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Cut {
    /// Into two halves, drawn.
    Halves,
    /// One node is alone.
    Isolate(Pick),
    /// Into two parts that are joined by one node only.
    Bridge(Pick),
    /// In a ring, where each reaches the nearest half of the others only.
    Ring,
    /// Into so many parts, in turns; at least two.
    Parts(u8),
    /// The nodes are cut off one by one, and come back one by one in the other order.
    Swizzle,
    /// Two halves that are apart and together in turns, each for so many milliseconds.
    Flapping(u16),
}

/// Which ways a cut goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Ways {
    /// Nothing passes.
    #[default]
    Both,
    /// Only what goes from a later part to an earlier one passes.
    Forth,
    /// Only what goes from an earlier part to a later one passes.
    Back,
}

/// What becomes of connections across a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Manner {
    /// What is under way is held, and goes on when the cut heals.
    Freeze,
    /// They break, and both ends learn of it.
    #[default]
    Reset,
    /// They carry nothing any more, and nobody is told.
    Silent,
}

/// What becomes of a dial that cannot succeed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum DialManner {
    /// It is refused at once.
    #[default]
    Refused,
    /// Nothing comes back.
    Silent,
    /// It succeeds, and then the connection breaks.
    Dropped,
}

/// How a node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Stop {
    /// It leaves in good order.
    Leave,
    /// Its process ends; the system closes its connections.
    Crash,
    /// Its machine is gone, and nobody is told.
    PowerLoss,
}

/// As what a node comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Back {
    /// With what it last saved.
    Restored,
    /// With what it saved before that: a backup.
    Outdated,
    /// Without any memory, at its old place.
    New,
    /// With what it last saved, at another place.
    Moved,
}

/// What a node does that means harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Hostile {
    /// Sends bytes without sense.
    Garbage,
    /// Announces frames that are far too long.
    Oversize,
    /// Sends what it got again, over and over, to everybody.
    Replay,
    /// Sends messages under a new identity each, as many as it can.
    Flood,
    /// Sends one byte now and then.
    Slowloris,
    /// Greets, and never reads.
    NeverReads,
    /// Opens connections, as many as it can.
    Dials,
}

/// How a scenario ends: all temporary faults end, and whoever is whole has to become one network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(Serialize, Deserialize))]
#[non_exhaustive]
pub enum Ending {
    /// Everything heals, and all that are up are whole.
    #[default]
    Heal,
    /// So many of a hundred nodes are whole, at least two; the others stay gone, as after a power loss.
    Core(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_can_be_picked_by_its_nodes() {
        for nodes in 2..9 {
            for first in 0..nodes {
                for second in (0..nodes).filter(|n| *n != first) {
                    let pick = PairPick::between(first, second, nodes);
                    assert_eq!(pick.of(nodes), (first, second), "{nodes}");
                }
            }
        }
        assert_eq!(PairPick::between(0, 0, 1).of(1), (0, 0));
    }
}
