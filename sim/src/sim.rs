//! The short way: a network, what happens to it, and whether all is as it should be, in a few lines of an ordinary test.

use std::env;
use std::ops::Range;
use std::time::Duration;

use crate::explain::explain;
use crate::protocol::{Protocol, Rs2p};
use crate::run::{Options, Outcome, run};
use crate::scenario::{
    Back, Bootstrap, Cut, DialManner, Ending, Fault, Kind, Limits, Load, Manner, Net, Pick,
    Scenario, Stop, Timed, Ways,
};
use crate::sweep::{Failure, Sweep, SweepOptions, sweep};

/// A network and what happens to it, for a range of seeds.
///
/// ```
/// use rs2p_sim::{Sim, crash, halves, publish, s};
///
/// Sim::new(6)
///     .seeds(0..3)
///     .fault(s(5), halves().lasts(s(30)))
///     .fault(s(50), crash(4).lasts(s(10)))
///     .load(s(10), publish(2).times(5))
///     .check();
/// ```
///
/// Times count from the moment on at which the network has formed. Every fault ends by itself; when the last is over, all
/// that was sent has to be everywhere within a bound, once each and in order, and then the network has to be quiet.
#[derive(Clone, Debug)]
pub struct Sim<P = Rs2p> {
    protocol: P,
    scenario: Scenario,
    seeds: Range<u64>,
    options: Options,
}

impl Sim<Rs2p> {
    /// Returns a network of so many nodes of rs2p, for 20 seeds.
    pub fn new(nodes: u16) -> Self {
        Self::of(Rs2p::default(), nodes)
    }
}

impl<P: Protocol> Sim<P> {
    /// Returns a network of so many nodes of a protocol, for 20 seeds.
    pub fn of(protocol: P, nodes: u16) -> Self {
        Self {
            protocol,
            scenario: Scenario {
                seed: 0,
                nodes,
                kinds: Vec::new(),
                net: Net::default(),
                bootstrap: Bootstrap::default(),
                limits: Limits::default(),
                load: Vec::new(),
                faults: Vec::new(),
                ending: Ending::default(),
            },
            seeds: 0..20,
            options: Options::default().demanding_effects(),
        }
    }

    /// Sets the seeds: each gives other latencies, cuts, and halves.
    #[must_use]
    pub const fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// Sets the network between the nodes.
    #[must_use]
    pub const fn net(mut self, net: Net) -> Self {
        self.scenario.net = net;
        self
    }

    /// Sets how nodes find each other.
    #[must_use]
    pub const fn bootstrap(mut self, bootstrap: Bootstrap) -> Self {
        self.scenario.bootstrap = bootstrap;
        self
    }

    /// Sets what the nodes are, in turns.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.scenario.kinds = kinds.into_iter().collect();
        self
    }

    /// Sets the nodes' limits.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.scenario.limits = limits;
        self
    }

    /// Sets how it ends.
    #[must_use]
    pub const fn ending(mut self, ending: Ending) -> Self {
        self.scenario.ending = ending;
        self
    }

    /// Lets something go wrong, so long after the network has formed.
    #[must_use]
    pub fn fault(mut self, at: Duration, fault: impl Into<Lasting<Fault>>) -> Self {
        self.scenario.faults.push(fault.into().at(at));
        self
    }

    /// Lets something be sent, so long after the network has formed.
    #[must_use]
    pub fn load(mut self, at: Duration, load: impl Into<Lasting<Load>>) -> Self {
        self.scenario.load.push(load.into().at(at));
        self
    }

    /// Allows faults that do nothing. Without this they are failures, since they test nothing.
    #[must_use]
    pub const fn allow_inert_faults(mut self) -> Self {
        self.options.is_effect_demanded = false;
        self
    }

    /// Returns the scenario of a seed.
    pub fn scenario(&self, seed: u64) -> Scenario {
        Scenario {
            seed,
            ..self.scenario.clone()
        }
    }

    /// Runs one seed.
    pub fn run(&self, seed: u64) -> Outcome {
        run(&self.protocol, &self.scenario(seed), self.options)
    }

    /// Runs all seeds, on all cores, up to the first failure.
    pub fn sweep(&self) -> Sweep {
        let options = SweepOptions {
            run: self.options,
            ..SweepOptions::default()
        };
        let scenario = |seed| self.scenario(seed);
        sweep(
            &self.protocol,
            self.seeds.clone(),
            scenario,
            options,
            |_| true,
        )
    }

    /// Runs all seeds, and checks that nothing is wrong.
    ///
    /// With `RS2P_SIM_REPLAY` set to the line that a failure has printed, runs that scenario and no other. With
    /// `RS2P_SIM_SEEDS` set to a number, runs so many seeds instead of those that are set. `RS2P_SIM_TRACE` names the folder
    /// for the pictures.
    ///
    /// # Panics
    ///
    /// Something is wrong. The message says what, with the smallest scenario in which it still is, a line that replays it,
    /// a test, and where the pictures are.
    #[track_caller]
    pub fn check(&self) {
        if let Some(failure) = self.first_failure() {
            let name = test_name();
            let explained = explain(&self.protocol, &failure, self.options, &name, |_| ());
            panic!("{}", explained.text);
        }
    }

    /// Returns the first failure of the seeds, or of the scenario to replay.
    fn first_failure(&self) -> Option<Failure> {
        if let Some(line) = env::var_os("RS2P_SIM_REPLAY") {
            let scenario = Scenario::from_line(&line.to_string_lossy());
            let scenario = scenario.unwrap_or_else(|error| panic!("RS2P_SIM_REPLAY: {error}"));
            let report = run(&self.protocol, &scenario, self.options).report;
            let has_failed = !report.violations.is_empty();
            return has_failed.then_some(Failure { scenario, report });
        }
        let mut sim = self.clone();
        let count = env::var("RS2P_SIM_SEEDS").ok();
        if let Some(count) = count.and_then(|count| count.parse().ok()) {
            sim.seeds = sim.seeds.start..sim.seeds.start.saturating_add(count);
        }
        sim.sweep().first_failure().cloned()
    }
}

/// Returns the name of the test that runs, as Rust's test runner names its thread.
fn test_name() -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("main");
    let name = name.rsplit("::").next().unwrap_or(name);
    name.chars()
        .filter(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Something that goes on for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting<T> {
    what: T,
    lasts: Duration,
}

impl<T> Lasting<T> {
    /// Sets for how long.
    #[must_use]
    pub const fn lasts(mut self, lasts: Duration) -> Self {
        self.lasts = lasts;
        self
    }

    fn at(self, at: Duration) -> Timed<T> {
        let millis = |length: Duration| u32::try_from(length.as_millis()).unwrap_or(u32::MAX);
        Timed {
            at_ms: millis(at),
            lasts_ms: millis(self.lasts),
            what: self.what,
        }
    }
}

impl Lasting<Fault> {
    /// Changes what becomes of the connections across a split: by default they break.
    #[must_use]
    pub const fn live(mut self, manner: Manner) -> Self {
        if let Fault::Split { live, .. } = &mut self.what {
            *live = manner;
        }
        self
    }

    /// Changes what becomes of dials across a split: by default they are refused.
    #[must_use]
    pub const fn dials(mut self, manner: DialManner) -> Self {
        if let Fault::Split { dial, .. } = &mut self.what {
            *dial = manner;
        }
        self
    }

    /// Changes as what a node that stopped comes back: by default without any memory.
    #[must_use]
    pub const fn as_what(mut self, as_what: Back) -> Self {
        if let Fault::Stop { back, .. } = &mut self.what {
            *back = Some(as_what);
        }
        self
    }
}

impl Lasting<Load> {
    /// Sets how many messages there are: by default one.
    #[must_use]
    pub const fn times(mut self, times: u16) -> Self {
        if let Load::Publish { count, .. } = &mut self.what {
            *count = times;
        }
        self
    }

    /// Sets how long a message is, in bytes: by default 64.
    #[must_use]
    pub const fn len(mut self, bytes: u32) -> Self {
        match &mut self.what {
            Load::Publish { len, .. } | Load::Send { len, .. } => *len = bytes,
        }
        self
    }
}

impl<T> From<T> for Lasting<T> {
    /// At once, and over at once; of a fault that has to last, 10 s.
    fn from(what: T) -> Self {
        Self {
            what,
            lasts: Duration::from_secs(10),
        }
    }
}

const fn split(cut: Cut) -> Lasting<Fault> {
    Lasting {
        what: Fault::Split {
            cut,
            ways: Ways::Both,
            live: Manner::Reset,
            dial: DialManner::Refused,
        },
        lasts: Duration::from_secs(30),
    }
}

/// The network falls into two halves, drawn, for 30 s.
pub const fn halves() -> Lasting<Fault> {
    split(Cut::Halves)
}

/// A node is alone for 30 s.
pub const fn isolate(node: u16) -> Lasting<Fault> {
    split(Cut::Isolate(Pick(node)))
}

/// The network falls into two parts that only this node joins, for 30 s.
pub const fn bridge(node: u16) -> Lasting<Fault> {
    split(Cut::Bridge(Pick(node)))
}

/// A node's process ends; after 10 s it comes back without any memory.
pub const fn crash(node: u16) -> Lasting<Fault> {
    stop(node, Stop::Crash)
}

/// A node's machine is gone, and nobody is told; after 10 s it comes back without any memory.
pub const fn power_loss(node: u16) -> Lasting<Fault> {
    stop(node, Stop::PowerLoss)
}

/// A node leaves in good order; after 10 s it comes back without any memory.
pub const fn leave(node: u16) -> Lasting<Fault> {
    stop(node, Stop::Leave)
}

const fn stop(node: u16, kind: Stop) -> Lasting<Fault> {
    Lasting {
        what: Fault::Stop {
            node: Pick(node),
            kind,
            back: Some(Back::New),
        },
        lasts: Duration::from_secs(10),
    }
}

/// A node does nothing for 10 s.
pub const fn pause(node: u16) -> Lasting<Fault> {
    Lasting {
        what: Fault::Pause { node: Pick(node) },
        lasts: Duration::from_secs(10),
    }
}

/// A node sends a message of 64 bytes to all; several are spread over a second.
pub const fn publish(node: u16) -> Lasting<Load> {
    Lasting {
        what: Load::Publish {
            by: Pick(node),
            count: 1,
            len: 64,
            equal: false,
        },
        lasts: Duration::from_secs(1),
    }
}
