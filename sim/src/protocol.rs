//! Which protocol is simulated, and what it promises: what a scenario is run with.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rs2p_core::Config;

use crate::mesh::{Mesh, config, memory_limit};
use crate::models::{Flavour, HostileNode, Legacy};
use crate::node::{Birth, Node};
use crate::scenario::{Back, Fault, Kind, Scenario, Timed};
use crate::world::Role;

/// A protocol, as the maker of its nodes, and its promises.
pub trait Protocol: Clone + Send + Sync + 'static {
    /// A participant.
    type Node: Node + 'static;

    /// Makes a node; `None` if the protocol has none for this role, and then its place stays empty.
    fn make(&self, scenario: &Scenario, birth: &Birth, role: Role) -> Option<Self::Node>;

    /// Does the same, as what is run: a node of whatever type. One that is in a box already is best given as it is.
    fn make_any(&self, scenario: &Scenario, birth: &Birth, role: Role) -> Option<Box<dyn Node>> {
        Some(Box::new(self.make(scenario, birth, role)?))
    }

    /// Returns what its users may rely on in this scenario: what the checkers hold it against.
    fn promise(&self, scenario: &Scenario) -> Promise;

    /// Returns the Rust expression that makes this protocol, for the tests that failures print.
    ///
    /// Default: the name of the type, which is the whole expression for a type without fields.
    fn in_rust(&self) -> String {
        let name = type_name::<Self>();
        let name = name.split('<').next().unwrap_or(name);
        name.rsplit("::").next().unwrap_or(name).to_owned()
    }
}

/// What a protocol promises to its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// For how long a message is kept for those who lack it. Zero: nothing is owed to whoever is not there.
    pub kept_for: Duration,
    /// How many messages are kept at least.
    pub kept_count: u64,
    /// How many bytes of messages are kept at least.
    pub kept_bytes: u64,
    /// Whoever publishes more than one part in so many of that may lose its own first. Zero: nothing is promised of what
    /// is full.
    pub kept_parts: u64,
    /// How many of those bytes a message takes besides its payload, at most.
    pub overhead: u64,
    /// Whether each sender's messages are delivered in order, and what is missing is declared.
    pub is_ordered: bool,
    /// How many connections a node may have.
    pub links_max: usize,
    /// How long after all is whole everybody has everything, at most.
    pub heals_within: Duration,
    /// How long a connection must be usable to carry what is owed from one end to the other.
    pub hop: Duration,
    /// By how much a node may be wrong about how old a message is. What was published so soon after a node began is not owed to
    /// it.
    pub birth_slack: Duration,
    /// How many bytes a second of a connection's own may flow in each direction while nobody says anything.
    pub quiet_bytes: u64,
}

impl Promise {
    /// Everything, for ever, in order; whole again within a minute.
    pub const ALL: Self = Self {
        kept_for: Duration::from_secs(1 << 30),
        kept_count: 1 << 40,
        kept_bytes: 1 << 50,
        kept_parts: 0,
        overhead: 0,
        is_ordered: true,
        links_max: 1 << 20,
        heals_within: Duration::from_secs(60),
        hop: Duration::from_secs(5),
        birth_slack: Duration::from_secs(15),
        quiet_bytes: 0,
    };
}

type Adapt = Arc<dyn Fn(&mut Config) + Send + Sync>;

/// Networks of rs2p, with models of py2p and js2p, and hostile nodes, where a scenario has them.
#[derive(Clone, Default)]
pub struct Rs2p {
    adapt: Option<Adapt>,
    /// The bug that is planted, if that is all that is changed.
    #[cfg(feature = "sabotage")]
    bug: Option<rs2p_core::Sabotage>,
}

impl fmt::Debug for Rs2p {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rs2p")
            .field("is_adapted", &self.adapt.is_some())
            .finish()
    }
}

impl Rs2p {
    /// Returns networks whose nodes have another configuration: the scenario's, changed by this.
    pub fn with(adapt: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        Self {
            adapt: Some(Arc::new(adapt)),
            ..Self::default()
        }
    }

    /// Returns networks in every rs2p node of which a bug is planted, for tests of the tests.
    #[cfg(feature = "sabotage")]
    pub fn sabotaged(bug: rs2p_core::Sabotage) -> Self {
        Self {
            bug: Some(bug),
            ..Self::with(move |config| config.sabotage = Some(bug))
        }
    }

    /// Returns the configuration that a node of this scenario has, but for its address and its seeds.
    pub fn config(&self, scenario: &Scenario) -> Config {
        let mut config = config(&scenario.limits);
        let comes_back = |fault: &Timed<Fault>| {
            let Fault::Stop { back, .. } = fault.what else {
                return false;
            };
            matches!(back, Some(Back::Restored | Back::Outdated | Back::Moved))
        };
        if scenario.faults.iter().any(comes_back) {
            config.save_interval = Some(Duration::from_secs(1));
        }
        if let Some(adapt) = &self.adapt {
            adapt(&mut config);
        }
        config
    }
}

impl Protocol for Rs2p {
    type Node = Box<dyn Node>;

    fn make(&self, scenario: &Scenario, birth: &Birth, role: Role) -> Option<Box<dyn Node>> {
        match role {
            Role::Honest(Kind::Mesh) => {
                Some(Box::new(Mesh::with_config(birth, self.config(scenario))))
            }
            Role::Honest(Kind::Py2p) => Some(Box::new(Legacy::new(birth, Flavour::Py2p))),
            Role::Honest(Kind::Js2p) => Some(Box::new(Legacy::new(birth, Flavour::Js2p))),
            Role::Hostile(kind) => Some(Box::new(HostileNode::new(birth, kind))),
        }
    }

    fn make_any(&self, scenario: &Scenario, birth: &Birth, role: Role) -> Option<Box<dyn Node>> {
        self.make(scenario, birth, role)
    }

    fn promise(&self, scenario: &Scenario) -> Promise {
        let config = self.config(scenario);
        // Clocks that run too fast make everything old sooner.
        let age = config.log_age * 8 / 10;
        let net = &scenario.net;
        let round_trip = u64::from(net.latency_us) * 4 + u64::from(net.jitter_us) * 16;
        let slow = Duration::from_micros(round_trip * 20);
        // What is sent all has to go through each connection, perhaps more than once, a window at a time.
        let through = u64::from(net.window.max(1)) * 1_000_000 / round_trip.max(1);
        let rate = match net.bandwidth {
            0 => through,
            limit => through.min(u64::from(limit)),
        };
        let carrying = Duration::from_secs(scenario.load_bytes() * 6 / rate.max(1));
        Promise {
            kept_for: age,
            kept_count: config.log_count as u64,
            kept_bytes: config.log_len as u64,
            // A quarter of a log is an origin's share; beyond it, it displaces its own.
            kept_parts: 4,
            overhead: 1024,
            is_ordered: true,
            links_max: config.max_links,
            heals_within: Duration::from_secs(240) + slow + carrying,
            hop: Duration::from_secs(40) + slow,
            birth_slack: Duration::from_secs(15),
            // Beacons and what they answer take 45; logs that are not alike are compared once.
            quiet_bytes: 96,
        }
    }

    fn in_rust(&self) -> String {
        #[cfg(feature = "sabotage")]
        if let Some(bug) = self.bug {
            return format!("Rs2p::sabotaged(Sabotage::{bug})");
        }
        // What a closure does nobody can tell.
        match self.adapt {
            None => "Rs2p::default()".to_owned(),
            Some(_) => "Rs2p::with(/* as in the test that failed */)".to_owned(),
        }
    }
}

/// Returns how many bytes a node of rs2p may hold by its configuration, in all.
pub fn memory_bound(config: &Config) -> usize {
    memory_limit(config)
}
