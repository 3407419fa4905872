//! What the tests across the crates of rs2p share.
//!
//! [`mod@bench`] gives networks of real nodes work, and measures what it costs them. [`golden`] runs what has to be the same always and everywhere. [`hub`] is one node and its links, to
//! measure what a message costs it. [`peers`] runs published py2p and js2p nodes as child processes, for tests of what they and
//! rs2p say to each other. [`real`] plays scenarios of the simulator with real nodes. [`mod@suite`] tests sockets, on whichever
//! runtime.

pub mod bench;
pub mod golden;
pub mod hub;
pub mod peers;
pub mod real;
pub mod suite;

/// The programs of the README, which have to compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;
