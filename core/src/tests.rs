//! Tests of the whole state: against scripted peers ([`solo`]), many states in virtual time
//! ([`net`]), and what the older libraries wrote ([`vectors`]).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks the one variant that it looks for"
)]

mod bad_input;
mod delivery;
mod duplicates;
mod instruments;
mod limits;
mod net;
mod network;
mod properties;
mod quirks_greeting;
mod quirks_messages;
mod replies;
pub(crate) mod solo;
mod vectors;
