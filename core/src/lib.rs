//! rs2p-core
mod wire;
