//! rs2p beside other systems that carry messages to everyone: the same work, the same definitions, in one run.
//!
//! `cargo run --release --manifest-path tests/compare/Cargo.toml -- [--rounds N] [--seconds S] [--nodes N,N] [--sizes B,B,…]
//! [--write] [SYSTEM…]`
//!
//! * **Deliveries** are counted at the receivers' applications, each message once, and summed over the receivers. One node
//!   publishes, all others receive. The publisher is held back so that at most 192 messages, and 1 MiB of them, are on their way:
//!   nobody loses any for want of room.
//! * **Per CPU-second** is by the processor time, in the program and in the system, of the process in which all nodes run; of
//!   py2p and js2p, whose nodes are processes, of all of them.
//! * **Latency** is from the call that publishes to the application of each receiver, at 200 messages of 64 bytes a second.
//! * **Arrived** is the mean share of the deliveries due that took place. A round in which nothing arrived, or no network came
//!   about, counts as none; it has no part in the other figures.
//! * Each measurement is made in a process of its own, the systems take turns, and what is shown are medians of the rounds.
//!
//! What is missing on this machine, python3 or node, is skipped, and said so. `--write` writes `RESULTS.md` and
//! `results.svg` beside this crate's `Cargo.toml`.

mod alone;
mod bound;
mod foreign;
mod gossipsub;
mod iroh;
mod plot;
mod report;
mod systems;

use std::time::Duration;

use rs2p_tests::bench::{Arguments, Outcome, Task, Work, child};

use crate::report::{Cell, Results};
use crate::systems::System;

/// How many messages a second latency is measured at, among how many nodes.
const LATENCY_RATE: u32 = 200;
const LATENCY_NODES: usize = 10;

struct Options {
    rounds: usize,
    lasts: Duration,
    nodes: Vec<usize>,
    lens: Vec<usize>,
    writes: bool,
    systems: Vec<System>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["child", system, work] => {
            child::tell(&measure(system, work));
            Ok(())
        }
        ["alone", len] => {
            let len = len.parse().map_err(|_error| "not a length".to_owned());
            child::tell(&len.and_then(alone::measure));
            Ok(())
        }
        _ => parse(&arguments).and_then(|options| compare(&options)),
    };
    if let Err(error) = done {
        eprintln!("{error}");
        std::process::exit(2);
    }
}

fn measure(system: &str, work: &str) -> Result<Outcome, String> {
    system.parse::<System>()?.measure(&work.parse()?)
}

fn parse(arguments: &[&str]) -> Result<Options, String> {
    let mut options = Options {
        rounds: 3,
        lasts: Duration::from_secs(2),
        nodes: vec![2, 10],
        lens: vec![64, 1024, 16 << 10],
        writes: false,
        systems: Vec::new(),
    };
    let mut arguments = Arguments::new(arguments);
    while let Some(argument) = arguments.next() {
        match argument {
            "--rounds" => options.rounds = arguments.value(argument)?,
            "--seconds" => options.lasts = Duration::from_secs(arguments.value(argument)?),
            "--nodes" => options.nodes = arguments.values(argument)?,
            "--sizes" => options.lens = arguments.values(argument)?,
            "--write" => options.writes = true,
            system => options.systems.push(system.parse()?),
        }
    }
    if options.systems.is_empty() {
        options.systems = systems::ALL.to_vec();
    }
    if options.nodes.iter().any(|nodes| *nodes < 2) {
        return Err("--nodes: a network has two nodes or more".to_owned());
    }
    if options.lens.iter().any(|len| !(16..=60_000).contains(len)) {
        return Err("--sizes: from 16 to 60000 bytes, which all systems take".to_owned());
    }
    Ok(options)
}

fn compare(options: &Options) -> Result<(), String> {
    let mut results = Results::new(options.rounds, options.lasts, &options.systems);
    for nodes in &options.nodes {
        for len in &options.lens {
            let work = Work {
                nodes: *nodes,
                len: *len,
                task: Task::Throughput,
                lasts: options.lasts,
            };
            results.throughput.push(take_turns(options, &work));
            // It takes long: what is there must survive a stop.
            results.write_if(options.writes)?;
        }
    }
    let work = Work {
        nodes: LATENCY_NODES,
        len: 64,
        task: Task::Latency(LATENCY_RATE),
        lasts: 2 * options.lasts,
    };
    results.latency = Some(take_turns(options, &work));
    for len in &options.lens {
        match child::run(&["alone".to_owned(), len.to_string()]) {
            Ok(costs) => results.alone.push(costs),
            Err(error) => eprintln!("the state machines alone, {len} bytes: {error}"),
        }
    }
    println!("{results}");
    results.write_if(options.writes)
}

/// Measures all systems, in turns.
fn take_turns(options: &Options, work: &Work) -> Cell {
    let mut outcomes = vec![Vec::new(); options.systems.len()];
    let mut skipped = vec![None; options.systems.len()];
    let mut failed = vec![0; options.systems.len()];
    for round in 0..options.rounds {
        for (number, system) in options.systems.iter().enumerate() {
            let has_latency = work.task == Task::Throughput || *system != System::Bound;
            if skipped[number].is_some() || !has_latency {
                continue;
            }
            let arguments = ["child".to_owned(), system.to_string(), work.to_string()];
            match child::run::<Outcome>(&arguments) {
                Ok(outcome) => {
                    eprintln!(
                        "{work} round {}: {system}: {:.0}/s, {:.0} per CPU-second, {:.2} % arrived, {:.2}/{:.2} ms",
                        round + 1,
                        outcome.rate(),
                        outcome.cpu_rate(),
                        100.0 * outcome.share,
                        outcome.p50_ms,
                        outcome.p99_ms,
                    );
                    outcomes[number].push(outcome);
                }
                Err(error) => {
                    eprintln!("{work} round {}: {system}: {error}", round + 1);
                    if error.starts_with("skipped") {
                        skipped[number] = Some(error);
                    } else {
                        failed[number] += 1;
                    }
                }
            }
        }
    }
    Cell {
        work: *work,
        outcomes,
        failed,
        skipped,
    }
}
