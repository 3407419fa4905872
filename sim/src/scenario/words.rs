//! A scenario in words, for people.

use std::fmt::Write;

use super::{
    Back, Bootstrap, Cut, Cutting, DialManner, Ending, Fault, Hostile, Jitter, Kind, Limits, Load,
    Manner, Net, PairPick, Pick, Scenario, Stop, Timed, Ways,
};

/// What each run ends with.
const AFTER: &str = "each node publishes a message to probe the network, and then all are silent";

impl Scenario {
    /// Returns what happens, in words: a line on the nodes and one on the network, then one for each load and fault in the
    /// order of time, and one on the end.
    pub fn describe(&self) -> String {
        let nodes = u32::from(self.nodes);
        let mut lines = vec![self.describe_nodes(), describe_net(&self.net)];
        if self.limits != Limits::default() {
            lines.push(describe_limits(&self.limits));
        }
        let load = self
            .load
            .iter()
            .map(|load| (load.at_ms, load.describe(nodes)));
        let faults = self
            .faults
            .iter()
            .map(|fault| (fault.at_ms, fault.describe(nodes)));
        let mut events: Vec<_> = load.chain(faults).collect();
        events.sort_by_key(|(at_ms, _)| *at_ms);
        lines.extend(events.into_iter().map(|(_, line)| line));
        lines.push(match self.ending {
            Ending::Heal => format!("in the end: everything heals, {AFTER}"),
            Ending::Core(percent) => {
                format!("in the end: {percent} % of the nodes heal and the rest is gone, {AFTER}")
            }
        });
        lines.join("\n")
    }

    fn describe_nodes(&self) -> String {
        let count = self.nodes.max(1);
        let mut line = format!("seed {}, {}", self.seed, counted(count.into(), "node"));
        if !self.kinds.is_empty() {
            let kinds: Vec<_> = self.kinds.iter().map(|kind| kind_name(*kind)).collect();
            let _ = write!(line, " (in turns: {})", kinds.join(", "));
        }
        line.push_str(match self.bootstrap {
            Bootstrap::One => "; all know the first",
            Bootstrap::Few => "; all know the first three",
            Bootstrap::Chain => "; each knows the one before it",
            Bootstrap::Random => "; each knows a few others",
        });
        line
    }
}

impl Timed<Load> {
    /// Returns it in words, in a network of so many nodes.
    pub fn describe(&self, nodes: u32) -> String {
        let what = match self.what {
            Load::Publish {
                by,
                count,
                len,
                equal,
            } => {
                let alike = if equal { ", all the same" } else { "" };
                format!(
                    "{} publishes {} of {len} bytes{alike}",
                    node(by, nodes),
                    counted(count.into(), "message")
                )
            }
            Load::Send { pair, len } => {
                let (from, to) = pair.of(nodes);
                format!("node {from} sends {len} bytes to node {to} alone")
            }
        };
        format!("{}: {what}", when(self))
    }
}

impl Timed<Fault> {
    /// Returns it in words, in a network of so many nodes.
    pub fn describe(&self, nodes: u32) -> String {
        format!("{}: {}", when(self), self.what.describe(nodes))
    }
}

impl Fault {
    /// Returns it in words, without its times, in a network of so many nodes.
    pub fn describe(&self, nodes: u32) -> String {
        match *self {
            Self::Split {
                cut,
                ways,
                live,
                dial,
            } => describe_split(cut, ways, live, dial, nodes),
            Self::Stop {
                node: who,
                kind,
                back,
            } => format!("{} {}", node(who, nodes), describe_stop(kind, back)),
            Self::Late { node: who } => format!("{} is not there yet", node(who, nodes)),
            Self::Pause { node: who } => format!("{} stands still", node(who, nodes)),
            Self::Clock {
                node: who,
                ppm,
                step_ms,
            } => {
                let speed = match ppm {
                    0 => "at its speed".to_owned(),
                    1.. => format!("{ppm} ppm too fast"),
                    _ => format!("{} ppm too slow", ppm.unsigned_abs()),
                };
                let step = match step_ms {
                    0 => "is left alone".to_owned(),
                    1.. => format!("is set {} s forward", seconds(step_ms.unsigned_abs())),
                    _ => format!("is set {} s back", seconds(step_ms.unsigned_abs())),
                };
                format!(
                    "the clock of {} runs {speed}, its calendar {step}",
                    node(who, nodes)
                )
            }
            Self::Slow { who, bytes_per_s } => {
                format!("{} carry {bytes_per_s} bytes a second", from_to(who, nodes))
            }
            Self::Delay { who, ms } => {
                format!("all between {} takes {ms} ms longer", pair(who, nodes))
            }
            Self::Stall { who } => {
                let (from, to) = who.of(nodes);
                format!("node {to} does not read what node {from} sends")
            }
            Self::Drip { who } => {
                format!("{} carry a byte or three at a time", from_to(who, nodes))
            }
            Self::Flip { who, bits } => {
                let (from, to) = who.of(nodes);
                let bits = counted(bits.into(), "bit");
                format!("in a chunk from node {from} to node {to}, {bits} flipped")
            }
            Self::Reset { who } => format!("the connections between {} break", pair(who, nodes)),
            Self::HalfOpen { who } => {
                let pair = pair(who, nodes);
                format!("the connections between {pair} carry nothing any more, and nobody is told")
            }
            Self::DialFails { who, how } => {
                let (from, to) = who.of(nodes);
                format!("dials from node {from} to node {to} {}", dialed(how))
            }
            Self::Hostile { node: who, kind } => {
                format!(
                    "a node that means harm is in the place of {} and {}",
                    node(who, nodes),
                    harm(kind)
                )
            }
        }
    }
}

fn describe_split(cut: Cut, ways: Ways, live: Manner, dial: DialManner, nodes: u32) -> String {
    let cut = match cut {
        Cut::Halves => "the network falls into halves".to_owned(),
        Cut::Isolate(who) => format!("{} is cut off", node(who, nodes)),
        Cut::Bridge(who) => {
            format!(
                "the network falls into two parts that only {} joins",
                node(who, nodes)
            )
        }
        Cut::Ring => "the network becomes a ring in which each reaches the nearest half".to_owned(),
        Cut::Parts(count) => format!("the network falls into {} parts", count.max(2)),
        Cut::Swizzle => "the nodes are cut off one by one, and come back the other way".to_owned(),
        Cut::Flapping(each_ms) => format!(
            "the network falls into halves and together again, each for {} s",
            seconds(each_ms.into())
        ),
    };
    let ways = match ways {
        Ways::Both => "",
        Ways::Forth => ", only from the earlier part to the later",
        Ways::Back => ", only from the later part to the earlier",
    };
    let live = match live {
        Manner::Freeze => "what is under way waits",
        Manner::Reset => "connections break",
        Manner::Silent => "connections go silent",
    };
    format!("{cut}{ways}; {live}, dials {}", dialed(dial))
}

fn describe_stop(kind: Stop, back: Option<Back>) -> String {
    let stops = match kind {
        Stop::Leave => "leaves",
        Stop::Crash => "crashes",
        Stop::PowerLoss => "loses power",
    };
    let back = match back {
        None => "never comes back",
        Some(Back::Restored) => "comes back with what it saved",
        Some(Back::Outdated) => "comes back from an old backup",
        Some(Back::New) => "comes back without memory",
        Some(Back::Moved) => "comes back at another place",
    };
    format!("{stops}, and {back}")
}

fn describe_net(net: &Net) -> String {
    let most = u64::from(net.latency_us) * (1_000_000 + u64::from(net.spread_ppm)) / 1_000_000;
    let least = u64::from(net.latency_us);
    let mut line = match most {
        most if most == least => format!("network: {} one way", millis(least)),
        most => format!(
            "network: {} to {} one way, depending on the pair",
            millis(least),
            millis(most)
        ),
    };
    let jitter = millis(net.jitter_us.into());
    let _ = match net.jitter {
        Jitter::None => write!(line, ", no jitter"),
        Jitter::Uniform => write!(line, ", up to {jitter} of jitter"),
        Jitter::Exponential => write!(line, ", jitter of {jitter} in the mean"),
        Jitter::Bimodal => write!(line, ", now and then 100 times {jitter} of jitter"),
    };
    if net.bandwidth > 0 {
        let _ = write!(line, ", {} bytes a second", net.bandwidth);
    }
    let _ = write!(line, ", window of {} bytes", net.window.max(1));
    line.push_str(match net.cutting {
        Cutting::Whole => ", writes arrive whole",
        Cutting::Segments => ", writes arrive in segments",
        Cutting::Anywhere => ", writes are cut anywhere",
        Cutting::Together => ", writes arrive together",
    });
    if net.lateness_us > 0 {
        let _ = write!(
            line,
            "; timers up to {} late",
            millis(net.lateness_us.into())
        );
    }
    if net.drift_ppm > 0 {
        let _ = write!(line, "; clocks up to {} ppm fast or slow", net.drift_ppm);
    }
    if net.skew_s > 0 {
        let _ = write!(line, "; calendars up to {} s wrong", net.skew_s);
    }
    line
}

fn describe_limits(limits: &Limits) -> String {
    let Limits {
        log_kib,
        log_count,
        log_age_s,
        queue_kib,
        dialed,
        links,
        addresses,
    } = *limits;
    let all = [
        (log_kib, "KiB of messages kept"),
        (log_count, "messages kept"),
        (log_age_s, "s for which they are kept"),
        (queue_kib, "KiB waiting at a connection"),
        (dialed.into(), "connections dialled"),
        (links.into(), "connections in all"),
        (addresses.into(), "addresses"),
    ];
    let set = all.iter().filter(|(limit, _)| *limit > 0);
    let set: Vec<_> = set.map(|(limit, what)| format!("{limit} {what}")).collect();
    format!("limits: {}", set.join(", "))
}

/// `at 5.000 s for 30 s`, or without its length if that is nothing.
fn when<T>(timed: &Timed<T>) -> String {
    let at = format!("at {}.{:03} s", timed.at_ms / 1000, timed.at_ms % 1000);
    match timed.lasts_ms {
        0 => at,
        lasts_ms => format!("{at} for {} s", seconds(lasts_ms.into())),
    }
}

/// Returns milliseconds as seconds, with as many digits behind the point as it takes.
pub(super) fn seconds(millis: u64) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns microseconds as milliseconds.
fn millis(micros: u64) -> String {
    format!("{} ms", seconds(micros))
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn node(pick: Pick, nodes: u32) -> String {
    format!("node {}", pick.of(nodes))
}

fn pair(pick: PairPick, nodes: u32) -> String {
    let (a, b) = pick.of(nodes);
    format!("nodes {a} and {b}")
}

fn from_to(pick: PairPick, nodes: u32) -> String {
    let (from, to) = pick.of(nodes);
    format!("connections from node {from} to node {to}")
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Mesh => "rs2p",
        Kind::Py2p => "py2p",
        Kind::Js2p => "js2p",
    }
}

const fn dialed(how: DialManner) -> &'static str {
    match how {
        DialManner::Refused => "are refused",
        DialManner::Silent => "get no answer",
        DialManner::Dropped => "succeed and break at once",
    }
}

const fn harm(kind: Hostile) -> &'static str {
    match kind {
        Hostile::Garbage => "sends bytes without sense",
        Hostile::Oversize => "announces frames that are far too long",
        Hostile::Replay => "sends what it got again, to everybody",
        Hostile::Flood => "sends messages under many identities",
        Hostile::Slowloris => "sends a byte now and then",
        Hostile::NeverReads => "greets and never reads",
        Hostile::Dials => "opens as many connections as it can",
    }
}
