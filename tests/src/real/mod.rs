//! Scenarios of the simulator, played with real nodes: sockets of `rs2p-smol` on the loopback interface, with a proxy between
//! them that delays, drips, holds, cuts and swallows what they say to each other. The same files, the same load and the
//! same checkers: a [`Referee`](rs2p_sim::Referee) judges what happened by the rules that simulated runs are held against.
//!
//! # How it works
//!
//! Each node has a place, which is a port of the proxy, and listens at a port of its own that nobody else knows. Whoever dials says to the
//! proxy who it is, so that the proxy knows both ends of each connection, and asks the [`Storm`](rs2p_sim::Storm) of the
//! scenario what is to become of dials and of bytes. A node is stopped by dropping all its tasks, and paused by not running
//! them. Nodes are configured for seconds instead of minutes ([`Brisk`]), in the simulator, too.
//!
//! What is real differs with each run: the nodes' draws, the order of things, the time that the machine takes. So what a run is held
//! against has three times the time that is promised; and what a fault came to is told by [`Outcome::effects`], and it is for
//! the caller to try again if a fault struck nothing.
//!
//! # How to add a scenario
//!
//! Put a file into `tests/tests/real/scenarios`: JSON as [`Scenario::to_json`] writes it, of which all but `schema`, `seed` and `nodes` may be
//! left out. It is found by itself. Some things cannot be had of real nodes: other kinds of nodes, clocks that run apart (so
//! `"net": {"drift_ppm": 0}` has to be there), hostile nodes, what a node saved before the last time, and a storm of more
//! than a minute; [`check`] names the first that is asked for. A storm of five to ten seconds is enough for timers like
//! these, and each fault has to do something in each run, or the test says so.
//!
//! # How to run one
//!
//! ```console
//! $ RS2P_REAL=ring-cut cargo test -p rs2p-tests --test real -- --nocapture
//! ```
//!
//! What fails is written down as the simulator does it: as a page, a timeline and a trace, in `target/rs2p-sim`.
//!
//! [`Outcome::effects`]: rs2p_sim::Outcome::effects
//! [`Scenario::to_json`]: rs2p_sim::Scenario::to_json

mod brisk;
mod gate;
mod life;
mod net;
mod player;
mod proxy;
mod runtime;

pub use brisk::{Brisk, Unplayable, check};
pub use player::{PlayError, play};
