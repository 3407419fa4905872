//! Bytes to types and back. Knows no state.

pub(crate) mod base58;
