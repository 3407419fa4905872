//! What the real adapters do, on loopback: smol and tokio, plain TCP and TLS, 2 to 25 nodes.
//!
//! `cargo run --release -p rs2p-tests --example adapters [--rounds N] [--seconds S] [--nodes N,N,…] [SYSTEM…]`
//!
//! One node publishes, all others receive. It is held back so that at most 192 messages, and 1 MiB of them, are on their
//! way; latency is measured apart, at 200 messages a second. Each measurement is made in a process of its own, and the systems
//! take turns; what is shown are the medians of the rounds. Where others use the machine as well, the figures per second of
//! processor time and the ratios mean more than those per second.

use std::time::Duration;

use rs2p_tests::bench::ours::{Idle, Ours};
use rs2p_tests::bench::{Arguments, Outcome, Task, Work, child, machine, median};

const LENS: [usize; 3] = [64, 1024, 16 << 10];

/// How many nodes are made to see what one takes.
const IDLE_NODES: usize = 50;
const LINKED_NODES: usize = 20;

struct Options {
    rounds: usize,
    seconds: f64,
    nodes: Vec<usize>,
    systems: Vec<Ours>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["child", system, work] => {
            child::tell(&measure(system, work));
            Ok(())
        }
        ["idle", system, nodes, linked] => {
            child::tell(&idle(system, nodes, linked));
            Ok(())
        }
        ref others => parse(others).map(|options| report(&options)),
    };
    if let Err(error) = done {
        eprintln!("{error}\nusage: adapters [--rounds N] [--seconds S] [--nodes N,N,…] [SYSTEM…]");
        std::process::exit(2);
    }
}

fn measure(system: &str, work: &str) -> Result<Outcome, String> {
    system.parse::<Ours>()?.measure(&work.parse()?)
}

fn idle(system: &str, nodes: &str, linked: &str) -> Result<Idle, String> {
    let number = |text: &str| {
        text.parse()
            .map_err(|_error| format!("{text:?} is no number"))
    };
    system
        .parse::<Ours>()?
        .idle(number(nodes)?, number(linked)?)
}

fn parse(arguments: &[&str]) -> Result<Options, String> {
    let mut options = Options {
        rounds: 3,
        seconds: 2.0,
        nodes: vec![2, 5, 10, 25],
        systems: Vec::new(),
    };
    let mut arguments = Arguments::new(arguments);
    while let Some(argument) = arguments.next() {
        match argument {
            "--rounds" => options.rounds = arguments.value(argument)?,
            "--seconds" => options.seconds = arguments.value(argument)?,
            "--nodes" => options.nodes = arguments.values(argument)?,
            system => options.systems.push(system.parse()?),
        }
    }
    if options.systems.is_empty() {
        options.systems = Ours::ALL.to_vec();
    }
    Ok(options)
}

fn report(options: &Options) {
    println!("{}; {} rounds\n", machine::describe(), options.rounds);
    println!(
        "| nodes | bytes | system | deliveries/s | per CPU-second | CPU s per million | arrived | wire bytes per payload byte | deliveries per write | per read | peak MiB |"
    );
    println!("|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for nodes in &options.nodes {
        for len in LENS {
            table(options, *nodes, len, Task::Throughput);
        }
    }
    println!("\n200 messages of 64 bytes a second:\n");
    println!(
        "| nodes | system | p50 ms | p99 ms | arrived | CPU s per million | deliveries per write |"
    );
    println!("|--:|---|--:|--:|--:|--:|--:|");
    for nodes in &options.nodes {
        table(options, *nodes, 64, Task::Latency(200));
    }
    println!("\nNodes that do nothing:\n");
    println!("| system | KiB per node | KiB per link, both ends |");
    println!("|---|--:|--:|");
    for system in &options.systems {
        show_idle(*system);
    }
}

fn table(options: &Options, nodes: usize, len: usize, task: Task) {
    let work = Work {
        nodes,
        len,
        task,
        lasts: Duration::from_secs_f64(options.seconds),
    };
    let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); options.systems.len()];
    for _ in 0..options.rounds {
        for (system, outcomes) in options.systems.iter().zip(&mut outcomes) {
            let arguments = ["child".to_owned(), system.to_string(), work.to_string()];
            match child::run(&arguments) {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => eprintln!("{system}, {work}: {error}"),
            }
        }
    }
    for (system, outcomes) in options.systems.iter().zip(&outcomes) {
        show(*system, &work, outcomes);
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn show(system: Ours, work: &Work, outcomes: &[Outcome]) {
    let of = |part: &dyn Fn(&Outcome) -> f64| median(outcomes.iter().map(part).collect());
    let payload = |o: &Outcome| (o.delivered * work.len as u64) as f64;
    let per_million = of(&|o| 1e6 / o.cpu_rate());
    let per_write = of(&|o| o.delivered as f64 / o.writes.max(1) as f64);
    let share = 100.0 * of(&|o| o.share);
    let Work { nodes, len, .. } = work;
    match work.task {
        Task::Throughput => println!(
            "| {nodes} | {len} | {system} | {:.0} | {:.0} | {per_million:.2} | {share:.2} % | {:.3} | {per_write:.1} | {:.1} | {:.1} |",
            of(&Outcome::rate),
            of(&Outcome::cpu_rate),
            of(&|o| o.wire as f64 / payload(o)),
            of(&|o| o.delivered as f64 / o.reads.max(1) as f64),
            of(&|o| o.memory as f64 / f64::from(1 << 20)),
        ),
        Task::Latency(_) => println!(
            "| {nodes} | {system} | {:.3} | {:.3} | {share:.2} % | {per_million:.1} | {per_write:.2} |",
            of(&|o| o.p50_ms),
            of(&|o| o.p99_ms),
        ),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn show_idle(system: Ours) {
    let run = |linked: usize| {
        let arguments = [
            "idle",
            &system.to_string(),
            &IDLE_NODES.to_string(),
            &linked.to_string(),
        ];
        child::run::<Idle>(&arguments.map(str::to_owned))
    };
    match (run(0), run(LINKED_NODES)) {
        (Ok(alone), Ok(linked)) => {
            let links = linked.links.max(1) as f64;
            let more = linked.memory as f64 - alone.memory as f64;
            println!(
                "| {system} | {:.0} | {:.0} |",
                alone.memory as f64 / 1024.0 / IDLE_NODES as f64,
                more / 1024.0 / links,
            );
        }
        (alone, linked) => {
            let error = alone.err().or_else(|| linked.err()).unwrap_or_default();
            eprintln!("{system}: {error}");
        }
    }
}
