//! The real binary, as processes that talk to each other on loopback.

mod demo;
mod node;
mod node_end;
mod peers;
mod process;
mod send;
mod sim;
