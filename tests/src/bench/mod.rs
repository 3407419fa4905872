//! The same work for every system that carries messages to everyone, and what it costs.
//!
//! A [`Network`] is some nodes in this process, of whichever system. Its first node publishes, all others receive, and a [`Tally`]
//! counts what arrives. [`run`] does the [`Work`] and returns the [`Outcome`]; each is done in a process of its own
//! ([`child`]), so that its processor time and its memory are its own. [`ours`] makes networks of rs2p.

mod arguments;
pub mod child;
pub mod machine;
pub mod ours;
mod tally;
mod work;

pub use arguments::Arguments;
pub use tally::{Tally, payload};
pub use work::{Network, Outcome, Task, Work, median, percentile, run};
