//! Tests of the whole state: against scripted peers ([`solo`]), and many states in virtual time
//! ([`net`]).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks the one variant that it looks for"
)]

mod bad_input;
mod duplicates;
mod limits;
mod net;
mod network;
mod properties;
mod quirks_greeting;
mod quirks_messages;
mod replies;
pub(crate) mod solo;
