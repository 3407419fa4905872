//! The command `rs2p`: a node of the network at a terminal, in a script or in a pipe.

mod args;
mod demo;
mod exit;
mod input;
mod join;
mod log;
mod node;
mod paint;
mod peers;
mod printer;
mod send;
mod signals;
mod sim;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    log::start(args.verbose);
    let done = smol::block_on(async {
        match args.command {
            Command::Node(node) => node::run(node).await,
            Command::Send(send) => send::run(send).await,
            Command::Peers(peers) => peers::run(peers).await,
            Command::Demo => demo::run().await,
            Command::Sim(sim) => sim::run(&sim),
        }
    });
    exit::code(done)
}
