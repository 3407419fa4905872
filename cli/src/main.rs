//! rs2p
fn main() {}
