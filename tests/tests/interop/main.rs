//! rs2p beside the real py2p and js2p, as processes on loopback.
//!
//! [`pair`] runs with each kind of peer in each mode that it has; [`network`] joins several.

#![expect(
    clippy::unwrap_used,
    reason = "the bodies of these tests are functions, and a failure fails the test"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks the one variant that it looks for"
)]

mod bare;
mod compression;
mod delivery;
mod network;
mod node;
mod pair;
mod proxy;
mod replies;
