//! Tests of the whole state: against scripted peers ([`solo`]), many states in virtual time
//! ([`net`]), and what the older libraries wrote ([`vectors`]).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks the one variant that it looks for"
)]

mod bad_input;
mod chaos;
mod clocks;
mod delivery;
mod duplicates;
mod held;
mod ids;
mod instruments;
mod letters;
mod limits;
mod membership;
mod memory;
mod net;
mod network;
#[cfg(feature = "sabotage")]
pub(crate) mod planted;
mod pressure;
mod properties;
mod quirks_greeting;
mod quirks_messages;
mod receipts;
mod replies;
mod restart;
pub(crate) mod solo;
mod tree;
mod vectors;
