//! The scenarios, as data.

use rs2p_sim::{
    Back, Bootstrap, Cut, Cutting, DialManner, Ending, Fault, Hostile, Limits, Load, Manner, Net,
    PairPick, Pick, Scenario, Stop, Timed, Ways,
};

/// How many nodes there are.
pub(crate) const NODES: u16 = 200;

/// The one that does not read.
pub(crate) const SLOW: u32 = 150;

/// When it ceases to: all logs are full by then, and what a node holds beyond its log it holds for that one.
const SLOW_AFTER_MS: u32 = 80_000;

/// These publish, and do not crash.
const STEADY: u16 = 20;

/// When it begins, so that the network has come to rest.
const START_MS: u32 = 30_000;

/// About how many links there are: each node dials four.
const LINKS: u32 = NODES as u32 * 4;

/// What a cut does to connections and dials.
#[derive(Clone, Copy)]
pub(crate) enum Manners {
    /// Connections break at once, and dials are refused.
    Reset,
    /// Connections carry nothing any more, dials are not answered, and nobody is told.
    Silent,
    /// The same, but connections go on where they were when the cut heals.
    Frozen,
}

impl Manners {
    pub(crate) const ALL: [Self; 3] = [Self::Reset, Self::Silent, Self::Frozen];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Silent => "silent",
            Self::Frozen => "frozen",
        }
    }

    const fn fault(self) -> Fault {
        let (live, dial) = match self {
            Self::Reset => (Manner::Reset, DialManner::Refused),
            Self::Silent => (Manner::Silent, DialManner::Silent),
            Self::Frozen => (Manner::Freeze, DialManner::Silent),
        };
        Fault::Split {
            cut: Cut::Halves,
            ways: Ways::Both,
            live,
            dial,
        }
    }
}

/// How one node does not read.
#[derive(Clone, Copy)]
pub(crate) enum Reader {
    /// It does.
    Usual,
    /// Its process stands still.
    Stopped,
    /// It greets, and reads nothing.
    NeverReads,
}

impl Reader {
    pub(crate) const ALL: [Self; 3] = [Self::Usual, Self::Stopped, Self::NeverReads];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Usual => "all read",
            Self::Stopped => "one stands still",
            Self::NeverReads => "one greets, no more",
        }
    }

    fn fault(self) -> Option<Fault> {
        let node = Pick(u16::try_from(SLOW).unwrap_or(0));
        match self {
            Self::Usual => None,
            Self::Stopped => Some(Fault::Pause { node }),
            Self::NeverReads => Some(Fault::Hostile {
                node,
                kind: Hostile::NeverReads,
            }),
        }
    }
}

fn calm(seed: u64) -> Scenario {
    Scenario {
        seed,
        nodes: NODES,
        kinds: Vec::new(),
        net: Net {
            cutting: Cutting::Whole,
            ..Net::default()
        },
        bootstrap: Bootstrap::Random,
        limits: Limits::default(),
        load: Vec::new(),
        faults: Vec::new(),
        ending: Ending::Heal,
    }
}

const fn timed<T>(at_ms: u32, lasts_ms: u32, what: T) -> Timed<T> {
    Timed {
        at_ms,
        lasts_ms,
        what,
    }
}

fn publish(by: u16, count: u16, len: u32) -> Load {
    Load::Publish {
        by: Pick(by),
        count,
        len,
        equal: false,
    }
}

/// The network falls into halves for so many seconds; twenty nodes say something in that time, one after the other.
pub(crate) fn cut(seed: u64, seconds: u32, manners: Manners) -> Scenario {
    let length = seconds * 1000;
    let turn = |n: u16| {
        let at = START_MS + length / 40 + length / 20 * u32::from(n);
        timed(at, 0, publish(n * 10, 1, 64))
    };
    Scenario {
        load: (0..20).map(turn).collect(),
        faults: vec![timed(START_MS, length, manners.fault())],
        ..calm(seed)
    }
}

/// Messages of the steady nodes in turn, so many seconds long, a second or less apart.
fn steady(seconds: u32, per_second: u16, len: u32) -> Vec<Timed<Load>> {
    let turn = |n: u16| {
        let all = u32::from(per_second) * seconds;
        let count = u16::try_from(all / u32::from(STEADY)).unwrap_or(u16::MAX);
        let offset = u32::from(n) * 1000 / u32::from(per_second);
        timed(START_MS + offset, seconds * 1000, publish(n, count, len))
    };
    (0..STEADY).map(turn).collect()
}

/// Numbers drawn from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u32) -> u32 {
        // The usual constants of a linear generator; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(((self.0 >> 33) * u64::from(bound)) >> 31).unwrap_or(0)
    }
}

/// For ten minutes a node crashes every so often, and a new one begins in its place when the next one crashes.
pub(crate) fn churn(seed: u64, every_ms: u32) -> Scenario {
    let mut draw = Draw(seed);
    let mut faults = Vec::new();
    let mut before = 0;
    for n in 0..600_000 / every_ms {
        let node = loop {
            let drawn = u32::from(STEADY) + draw.below(u32::from(NODES - STEADY));
            if drawn != before {
                break drawn;
            }
        };
        before = node;
        let crash = Fault::Stop {
            node: Pick(u16::try_from(node).unwrap_or(0)),
            kind: Stop::Crash,
            back: Some(Back::New),
        };
        faults.push(timed(START_MS + n * every_ms, every_ms - 1, crash));
    }
    Scenario {
        load: steady(600, 1, 64),
        faults,
        ..calm(seed)
    }
}

/// For a minute, each second so many of a hundred links carry nothing for a second, and a tenth of these breaks.
pub(crate) fn loss(seed: u64, percent: u32) -> Scenario {
    let mut draw = Draw(seed);
    let mut faults = Vec::new();
    let nodes = u32::from(NODES);
    for second in 0..60 {
        for n in 0..LINKS * percent / 100 {
            let (one, other) = (draw.below(nodes), draw.below(nodes - 1));
            let who = PairPick::between(one, (one + 1 + other) % nodes, nodes);
            let at = START_MS + second * 1000 + draw.below(1000);
            faults.push(if n % 10 == 9 {
                timed(at, 0, Fault::Reset { who })
            } else {
                timed(at, 1000, Fault::Stall { who })
            });
        }
    }
    Scenario {
        load: steady(60, 2, 64),
        faults,
        ..calm(seed)
    }
}

/// One node does not read for ten minutes, or does.
pub(crate) fn slow(seed: u64, reader: Reader) -> Scenario {
    let fault = reader.fault();
    Scenario {
        load: steady(SLOW_AFTER_MS / 1000 + 600, 1, 8192),
        faults: fault
            .into_iter()
            .map(|fault| timed(START_MS + SLOW_AFTER_MS, 600_000, fault))
            .collect(),
        net: Net {
            window: 16 << 10,
            ..calm(seed).net
        },
        limits: Limits {
            log_kib: 512,
            ..Limits::default()
        },
        ..calm(seed)
    }
}
