//! Whole networks, simulated: that nothing is wrong in thousands of scenarios, that the same scenario is the same run, and
//! that a bug planted in the nodes is found.
//!
//! - `RS2P_SIM_SEEDS=20000` sweeps so many scenarios of each kind besides those that are always swept, `RS2P_SIM_BASE=5` those
//!   from this seed on. Without it the base is drawn from the commit, so that each commit tries others; it is printed.
//! - `RS2P_SIM_ACCEPT=1` writes the hashes of today's runs to `golden.txt`: after a change that is meant to change runs.
//! - `RS2P_SIM_BUGS=NoRelay,GapNotTold` plants these bugs only.

#![expect(
    clippy::unwrap_used,
    reason = "the bodies of these tests are functions, and a failure fails the test"
)]

mod cutting;
mod golden;
mod marks;
mod sabotage;
mod settings;
mod sweeps;
