//! Bytes to types and back. Knows no state.

pub(crate) mod base58;
pub(crate) mod compress;
pub(crate) mod control;
pub(crate) mod fault;
pub(crate) mod fields;
pub(crate) mod int;
pub(crate) mod letter;
pub(crate) mod message;
pub(crate) mod msgpack;
pub(crate) mod native;
pub(crate) mod payload;
pub(crate) mod refusal;
pub(crate) mod sync;
pub(crate) mod trailer;
pub(crate) mod value;
