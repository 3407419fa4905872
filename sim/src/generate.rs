//! Scenarios drawn from a seed.
//!
//! **Swarm**: each scenario leaves out half of all kinds of faults, and weighs the rest very differently. A mixture of all
//! of everything is always the same mixture: what needs many splits and nothing else never comes up in it.

use crate::chance::{Chance, Purpose, hash_bytes};
use crate::scenario::{
    Bootstrap, Cutting, Ending, Family, Jitter, Kind, Limits, Load, Net, PairPick, Pick, Scenario,
    Timed,
};

mod faults;
#[cfg(feature = "proptest")]
mod strategy;

/// What may be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// How few nodes there may be. Default: 3.
    pub min_nodes: u16,
    /// How many. Default: 32.
    pub max_nodes: u16,
    /// The kinds of faults. Default: all.
    pub families: Vec<Family>,
    /// How many faults there may be; there may always be none. Default: 24.
    pub max_faults: u16,
    /// How short load and faults may be, in milliseconds. Default: 30,000.
    pub min_storm_ms: u32,
    /// How long. Default: 120,000.
    pub max_storm_ms: u32,
    /// How many messages there may be in all. Default: 300.
    pub max_messages: u16,
    /// How many bytes a message may be long; most are much shorter. Default: 65,536.
    pub max_len: u32,
    /// Of a hundred scenarios, how many have nodes of several kinds. Default: 12.
    pub mixed_percent: u8,
    /// How many have limits other than those of the protocol. Default: 25.
    pub limited_percent: u8,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            min_nodes: 3,
            max_nodes: 32,
            families: Family::ALL.to_vec(),
            max_faults: 24,
            min_storm_ms: 30_000,
            max_storm_ms: 120_000,
            max_messages: 300,
            max_len: 64 << 10,
            mixed_percent: 12,
            limited_percent: 25,
        }
    }
}

impl Profile {
    /// Returns a profile in which all nodes are rs2p's.
    #[must_use]
    pub fn mesh_only() -> Self {
        Self {
            mixed_percent: 0,
            ..Self::default()
        }
    }

    /// Returns the profile with no other kinds of faults than these.
    #[must_use]
    pub fn with_families(self, families: &[Family]) -> Self {
        Self {
            families: families.to_vec(),
            ..self
        }
    }
}

impl Scenario {
    /// Returns the scenario of a seed: the same on every machine.
    pub fn from_seed(seed: u64) -> Self {
        from_seed(seed)
    }

    /// Returns the scenario of a seed among those that a profile allows. The seed becomes the scenario's own.
    pub fn from_seed_with(seed: u64, profile: &Profile) -> Self {
        generate(seed, profile)
    }
}

pub(crate) fn from_seed(seed: u64) -> Scenario {
    generate(seed, &Profile::default())
}

fn generate(seed: u64, profile: &Profile) -> Scenario {
    let draw = Draw::new(seed);
    let nodes = narrow(draw.within(
        "nodes",
        profile.min_nodes.max(1).into(),
        profile.max_nodes.into(),
    ));
    // Small networks find most, and faster.
    let nodes = if draw.percent("small", 50) {
        nodes.min(profile.min_nodes.max(8))
    } else {
        nodes
    };
    let storm_ms = wide(draw.within(
        "storm",
        profile.min_storm_ms.into(),
        profile.max_storm_ms.into(),
    ));
    let load = load(&draw, nodes, storm_ms, profile);
    let mut scenario = Scenario {
        seed,
        nodes,
        kinds: kinds(&draw, profile),
        net: net(&draw),
        bootstrap: *draw.pick(
            "bootstrap",
            &[
                Bootstrap::One,
                Bootstrap::Few,
                Bootstrap::Chain,
                Bootstrap::Random,
            ],
        ),
        limits: limits(&draw, profile),
        load,
        faults: Vec::new(),
        ending: match draw.percent("ending", 70) {
            true => Ending::Heal,
            false => Ending::Core(byte(draw.within("core", 20, 100))),
        },
    };
    scenario.faults = faults::draw(&draw, &scenario, storm_ms, profile);
    scenario
}

fn kinds(draw: &Draw, profile: &Profile) -> Vec<Kind> {
    if !draw.percent("mixed", profile.mixed_percent) {
        return Vec::new();
    }
    let count = draw.within("kinds", 2, 5);
    let all = [Kind::Mesh, Kind::Mesh, Kind::Py2p, Kind::Js2p];
    (0..count)
        .map(|n| *draw.at("kind", n).pick("which", &all))
        .collect()
}

fn net(draw: &Draw) -> Net {
    // On one machine, in one city, between continents, by satellite.
    let class = *draw.pick("latency", &[200, 2000, 20_000, 20_000, 80_000, 400_000]);
    let jitter = [
        Jitter::None,
        Jitter::Uniform,
        Jitter::Uniform,
        Jitter::Exponential,
        Jitter::Bimodal,
    ];
    Net {
        latency_us: wide(draw.within("base", class / 2, class * 2)),
        spread_ppm: wide(*draw.pick("spread", &[0, 100_000, 500_000, 900_000])),
        jitter: *draw.pick("jitter", &jitter),
        jitter_us: wide(draw.within("jitter length", 0, class / 2)),
        bandwidth: wide(*draw.pick("bandwidth", &[0, 0, 0, 64 << 10, 256 << 10, 2 << 20])),
        window: wide(*draw.pick("window", &[4 << 10, 64 << 10, 256 << 10, 256 << 10])),
        cutting: *draw.pick(
            "cutting",
            &[
                Cutting::Anywhere,
                Cutting::Anywhere,
                Cutting::Segments,
                Cutting::Together,
                Cutting::Whole,
            ],
        ),
        lateness_us: wide(*draw.pick("lateness", &[0, 500, 500, 5000, 50_000])),
        drift_ppm: wide(*draw.pick("drift", &[0, 100, 100, 500])),
        skew_s: wide(*draw.pick("skew", &[0, 0, 1, 30, 3600])),
    }
}

fn limits(draw: &Draw, profile: &Profile) -> Limits {
    let mut limits = Limits::default();
    if !draw.percent("limited", profile.limited_percent) {
        return limits;
    }
    if draw.percent("log", 50) {
        limits.log_kib = wide(draw.within("log KiB", 64, 256));
    }
    if draw.percent("count", 50) {
        limits.log_count = wide(draw.within("log count", 64, 256));
    }
    if draw.percent("age", 25) {
        limits.log_age_s = wide(draw.within("log age", 15, 90));
    }
    if draw.percent("queue", 50) {
        limits.queue_kib = wide(draw.within("queue KiB", 4, 64));
    }
    if draw.percent("dialed", 25) {
        limits.dialed = narrow(draw.within("dialed count", 2, 6));
    }
    if draw.percent("addresses", 15) {
        limits.addresses = narrow(draw.within("address count", 8, 64));
    }
    limits
}

fn load(draw: &Draw, nodes: u16, storm_ms: u32, profile: &Profile) -> Vec<Timed<Load>> {
    let mut left = draw.skewed("messages", profile.max_messages.into());
    // Keeps a run cheap whatever the lengths: some of this goes over every link.
    let mut bytes_left: u64 = 2 << 20;
    // Few long rows, many single messages, or something between.
    let most = *draw.pick("row", &[1, 4, 20, 100]);
    let mut load = Vec::new();
    for n in 0..u64::from(profile.max_messages) {
        let draw = draw.at("load", n);
        let len = message_len(&draw, profile.max_len).min(bytes_left);
        let count = draw.within("count", 1, most).min(left);
        let count = count.min(bytes_left / len.max(1));
        if count == 0 {
            break;
        }
        let at_ms = wide(draw.below("at", u64::from(storm_ms) * 9 / 10));
        let private = count == 1 && nodes > 1 && draw.percent("private", 15);
        left -= count;
        bytes_left -= count * len;
        load.push(if private {
            timed(
                at_ms,
                0,
                Load::Send {
                    pair: draw.pair("pair", nodes),
                    len: wide(len),
                },
            )
        } else {
            let by = draw.node("by", nodes);
            let (count_16, len, equal) = (narrow(count), wide(len), draw.percent("equal", 5));
            let rest = u64::from(storm_ms - at_ms);
            // At once, or over a time.
            let lasts = match draw.percent("burst", 30) || count == 1 {
                true => 0,
                false => draw.within("lasts", 1, rest),
            };
            let publish = Load::Publish {
                by,
                count: count_16,
                len,
                equal,
            };
            timed(at_ms, wide(lasts), publish)
        });
    }
    load.sort_by_key(|load| load.at_ms);
    load
}

fn message_len(draw: &Draw, max: u32) -> u64 {
    let most = match draw.below("len class", 100) {
        0..70 => 200,
        70..90 => 2000,
        90..97 => 16 << 10,
        _ => 64 << 10,
    };
    let most = most.min(u64::from(max)).max(12);
    draw.within("len", 12, most)
}

const fn timed<T>(at_ms: u32, lasts_ms: u32, what: T) -> Timed<T> {
    Timed {
        at_ms,
        lasts_ms,
        what,
    }
}

/// Draws with names, so that a new question does not change the answers to the old ones.
#[derive(Clone, Copy)]
struct Draw {
    chance: Chance,
    within: u64,
}

impl Draw {
    const fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            within: 0,
        }
    }

    /// Returns the draws about one of many things.
    fn at(self, what: &str, n: u64) -> Self {
        let within = self.chance.draw(Purpose::Scenario, self.name(what), n + 1);
        Self { within, ..self }
    }

    fn name(self, what: &str) -> u64 {
        hash_bytes(what.as_bytes()) ^ self.within
    }

    fn below(self, what: &str, bound: u64) -> u64 {
        self.chance
            .below(bound, Purpose::Scenario, self.name(what), 0)
    }

    /// Returns a number from the first to the second; the first if that is larger.
    fn within(self, what: &str, first: u64, last: u64) -> u64 {
        first + self.below(what, (last + 1).saturating_sub(first))
    }

    /// Returns a number up to `most` that is small more often than not: half of all are in the lowest quarter.
    fn skewed(self, what: &str, most: u64) -> u64 {
        let drawn = self.within(what, 0, most);
        drawn * self.at(what, 0).within("skew", 0, most) / most.max(1)
    }

    /// Returns a length between two others, of which each doubling is as likely as the next.
    fn length(self, what: &str, least: u64, most: u64) -> u64 {
        let doublings = u64::from((most / least.max(1)).max(1).ilog2());
        let scale = least << self.within(what, 0, doublings);
        self.within("length", scale, scale * 2).min(most)
    }

    fn percent(self, what: &str, percent: u8) -> bool {
        self.below(what, 100) < u64::from(percent)
    }

    fn pick<'a, T>(&self, what: &str, all: &'a [T]) -> &'a T {
        let place = self.below(what, all.len() as u64);
        let mut rest = (0..).zip(all);
        let found = rest.find(|(n, _): &(u64, _)| *n == place);
        found.expect("lists to pick from are not empty").1
    }

    fn node(self, what: &str, nodes: u16) -> Pick {
        Pick(narrow(self.below(what, nodes.into())))
    }

    fn pair(self, what: &str, nodes: u16) -> PairPick {
        let Pick(first) = self.node(what, nodes);
        let others = u64::from(nodes).saturating_sub(1);
        PairPick(first, narrow(self.below("other", others)))
    }
}

fn wide(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn narrow(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn byte(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests;
