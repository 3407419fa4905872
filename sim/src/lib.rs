//! Deterministic simulation of networks: many nodes, one virtual clock, faults as data, and checkers that judge.
//!
//! A [`World`] holds nodes, the byte streams between them and one clock. A [`Scenario`] is all that happens to it from
//! outside, as plain data: what is published, and what goes wrong. [`run`] plays a scenario: the network forms, a storm of load
//! and faults passes over it, everything that is to be whole heals; then whoever is owed a message has to have it, once and in
//! order, or be told that it is missing, and in the end it has to be quiet. What is wrong is a [`Violation`] of one of the
//! rules of [`Checker`].
//!
//! Everything drawn is drawn by name, from the scenario's seed, so a fault that is taken away changes nothing elsewhere:
//! that is what lets a failure be [shrunk](shrink) to a few nodes and faults. The same scenario gives the same run on every machine.
//!
//! ```no_run
//! use rs2p_sim::{Sim, crash, halves, publish, s};
//!
//! Sim::new(8)
//!     .seeds(0..20)
//!     .fault(s(35), halves().lasts(s(30)))
//!     .fault(s(42), crash(3).lasts(s(10)))
//!     .load(s(40), publish(2).times(5))
//!     .check();
//! ```
//!
//! - [`Sim`] is the short way, for ordinary tests. [`Scenario::from_seed`] draws scenarios, [`sweep`] runs many of them on all cores.
//! - A protocol of one's own is a [`Node`] and a [`Protocol`]: see `sim/examples/own_protocol.rs`.
//! - [`view`] has what people look at: a timeline, a page, the spread of a message, tables.
//!
//! # What it does not model
//!
//! Congestion, packets, routing, address translation, threads, and disks beyond what a node asks to be kept. A link is two byte
//! streams with latency, limited room, and faults; loss below them is a stall or the end of a connection.
//!
//! # Features
//!
//! `json` (on by default): scenarios, traces and reports as JSON. `proptest`: strategies for scenarios. `marks` and
//! `sabotage`: instruments of the core for tests of the tests.

pub mod bench;
mod chance;
mod explain;
mod facts;
mod findings;
mod generate;
mod judge;
mod ledger;
mod mesh;
mod models;
mod node;
mod protocol;
mod queue;
mod referee;
mod report;
mod rules;
mod run;
mod scenario;
mod shrink;
mod sim;
mod sweep;
mod time;
mod trace;
pub mod view;
mod world;

pub use explain::{
    Explanation, check_in_rust, date_failure, explain, folder, in_words, shrink_failure,
    write_down, write_down_in,
};
pub use facts::Life;
pub use generate::Profile;
pub use ledger::{Entry, Ledger, Span};
pub use mesh::Mesh;
pub use models::{Flavour, Flaw, HostileNode, Legacy, LegacyRow, Toy};
pub use node::{
    Action, Birth, ConnId, Delivery, DialError, Io, MessageKey, Node, NodeStatus, Note, PeerKey,
    Place, Position, Receipt, Refusal, StreamKey,
};
pub use protocol::{Promise, Protocol, Rs2p, memory_bound};
pub use referee::{Look, Referee, Wire};
pub use report::{Better, Checker, Fingerprint, Number, Report, Unit, Violation};
#[cfg(feature = "sabotage")]
pub use rs2p_core::Sabotage;
pub use run::{Options, Outcome, run};
pub use scenario::{
    Back, Bootstrap, Cut, Cutting, DialManner, Ending, Family, Fault, FormError, Hostile, Jitter,
    Kind, Limits, Load, Manner, Net, PairPick, Pick, Scenario, Stop, Timed, Ways,
};
pub use shrink::{Dated, MAX_SHRINK_RUNS, Progress, Shrunk, date, shrink};
pub use sim::{Lasting, Sim, bridge, crash, halves, isolate, leave, pause, power_loss, publish};
pub use sweep::{Failure, Ran, Sweep, SweepOptions, sweep, sweep_with};
pub use time::{Time, ms, s};
pub use trace::{FaultSpan, Record, Trace, What};
pub use world::{Burden, Maker, Role, Step, Storm, World};
