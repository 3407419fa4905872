//! Networks that are quick to notice and quick to try again, so that faults of a few seconds mean as much to them as faults of
//! minutes do to others; and which scenarios can be played with real nodes.

use std::fmt;
use std::time::Duration;

use rs2p_core::{Config, Sabotage};
use rs2p_sim::{
    Back, Birth, Ending, Fault, Kind, Net, Node, Promise, Protocol, Role, Rs2p, Scenario, ms, s,
};

/// Nodes of rs2p that are configured for seconds, in the simulator and on real sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brisk {
    bug: Option<Sabotage>,
}

impl Brisk {
    /// Returns networks in every node of which a bug is planted. Real ones get a short time to heal: it is known that they
    /// do not, and nobody is to wait for that.
    #[must_use]
    pub const fn sabotaged(bug: Sabotage) -> Self {
        Self { bug: Some(bug) }
    }

    /// Returns the configuration that a node of this scenario has, but for its address and its seeds.
    #[must_use]
    pub fn config(self, scenario: &Scenario) -> Config {
        self.rs2p().config(scenario)
    }

    fn rs2p(self) -> Rs2p {
        Rs2p::with(move |config| {
            hurry(config);
            config.sabotage = self.bug;
        })
    }

    /// Returns what is promised on real sockets, where other programs take their share of the machine: it may take three
    /// times as long.
    #[must_use]
    pub fn promise_for_real(self, scenario: &Scenario) -> Promise {
        let promise = self.promise(scenario);
        let heals_within = match self.bug {
            None => promise.heals_within * 3,
            Some(_) => s(10),
        };
        Promise {
            heals_within,
            hop: promise.hop * 3,
            ..promise
        }
    }
}

impl Protocol for Brisk {
    type Node = Box<dyn Node>;

    fn make(&self, scenario: &Scenario, birth: &Birth, role: Role) -> Option<Box<dyn Node>> {
        self.rs2p().make(scenario, birth, role)
    }

    fn make_any(&self, scenario: &Scenario, birth: &Birth, role: Role) -> Option<Box<dyn Node>> {
        self.make(scenario, birth, role)
    }

    fn promise(&self, scenario: &Scenario) -> Promise {
        Promise {
            heals_within: s(30),
            hop: s(6),
            // Messages tell their time in whole seconds.
            birth_slack: s(3),
            // Pings, beacons and news come more often.
            quiet_bytes: 1000,
            ..self.rs2p().promise(scenario)
        }
    }
}

/// Sets every wait to about a tenth of what is usual.
fn hurry(config: &mut Config) {
    config.have_interval = ms(200);
    config.pull_timeout = s(1);
    config.gap_grace = s(1);
    config.search_timeout = s(2);
    config.send_timeout = s(10);
    config.peers_interval = ms(300);
    config.dial_timeout = s(1);
    config.silence_timeout = ms(300);
    config.handshake_timeout = s(2);
    config.half_frame_timeout = s(6);
    config.stall_timeout = s(2);
    config.ping_interval = s(1);
    config.linger_timeout = s(1);
    config.redial_min = ms(200);
    config.redial_max = s(2);
    config.probe_interval = s(2);
    config.beacon_interval = s(2);
    config.save_interval = config.save_interval.map(|_| ms(300));
}

/// Why a scenario cannot be played with real nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unplayable {
    /// Not all nodes are of rs2p.
    Kind(Kind),
    /// A fault that real nodes, which share one machine and its clock, cannot be made to suffer.
    Fault(Fault),
    /// A node is to come back with an older memory than its last, or to another place.
    Back(Back),
    /// Clocks are to run apart.
    Clocks {
        /// By how many millionths.
        drift_ppm: u32,
        /// By how many seconds.
        skew_s: u32,
    },
    /// Only a part of the network is to be whole in the end.
    Ending(Ending),
    /// It takes too long for anyone to wait for it.
    Length(Duration),
}

impl fmt::Display for Unplayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "real nodes are all of rs2p, and one is to be {kind:?}"),
            Self::Fault(fault) => write!(f, "real nodes cannot be made to suffer {fault:?}"),
            Self::Back(back) => write!(f, "a real node cannot be made to come back {back:?}"),
            Self::Clocks { drift_ppm, skew_s } => write!(
                f,
                "real nodes have one clock, and theirs are to be {drift_ppm} millionths and {skew_s} s apart"
            ),
            Self::Ending(ending) => {
                write!(
                    f,
                    "with real nodes all heals, and the end is to be {ending:?}"
                )
            }
            Self::Length(length) => write!(
                f,
                "with real nodes it takes {length:?}, and {LONGEST:?} is the most"
            ),
        }
    }
}

impl std::error::Error for Unplayable {}

/// The longest storm.
const LONGEST: Duration = Duration::from_secs(60);

/// Says whether a scenario can be played with real nodes.
///
/// # Errors
///
/// Names the first thing in it that cannot.
pub fn check(scenario: &Scenario) -> Result<(), Unplayable> {
    if let Some(kind) = scenario.kinds.iter().find(|kind| **kind != Kind::Mesh) {
        return Err(Unplayable::Kind(*kind));
    }
    let Net {
        drift_ppm, skew_s, ..
    } = scenario.net;
    if drift_ppm > 0 || skew_s > 0 {
        return Err(Unplayable::Clocks { drift_ppm, skew_s });
    }
    if scenario.ending != Ending::Heal {
        return Err(Unplayable::Ending(scenario.ending));
    }
    let mut faults = scenario.faults.iter();
    faults.try_for_each(|fault| check_fault(fault.what))?;
    let length = rs2p_sim::Storm::new(scenario).length();
    if length > LONGEST {
        return Err(Unplayable::Length(length));
    }
    Ok(())
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is new is refused until somebody has seen to it"
)]
fn check_fault(fault: Fault) -> Result<(), Unplayable> {
    match fault {
        Fault::Stop {
            back: Some(back @ (Back::Outdated | Back::Moved)),
            ..
        } => Err(Unplayable::Back(back)),
        Fault::Split { .. }
        | Fault::Stop { .. }
        | Fault::Late { .. }
        | Fault::Pause { .. }
        | Fault::Slow { .. }
        | Fault::Delay { .. }
        | Fault::Stall { .. }
        | Fault::Drip { .. }
        | Fault::Flip { .. }
        | Fault::Reset { .. }
        | Fault::HalfOpen { .. }
        | Fault::DialFails { .. } => Ok(()),
        other => Err(Unplayable::Fault(other)),
    }
}
