//! Runs one of the hot paths a fixed number of times, for counting its instructions: see `.ci/instructions`.
//!
//! `hotpath PATH COUNT`: the same work before, and `COUNT` times the path. The difference between two counts is what the
//! path costs, without the start of the process and the making of the messages.

use std::hint::black_box;
use std::time::Duration;

use rs2p_core::Config;
use rs2p_sim::bench::{Bench, Meter};
use rs2p_tests::hub::{Hub, Neighbours};

/// The paths, each with how often it is run.
const PATHS: [(&str, usize); 6] = [
    ("native-new-64", 200),
    ("native-repeat-64", 2000),
    ("native-new-16384", 20),
    ("native-packed-1024", 100),
    ("legacy-new-64", 200),
    ("world-100-nodes", 20),
];

/// Frames are made for so many, whatever the count.
const MADE: usize = 2000;

struct NoMeter;

impl Meter for NoMeter {
    fn elapsed(&mut self) -> Duration {
        Duration::ZERO
    }

    fn memory(&mut self) -> u64 {
        0
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (path, count) = (arguments.next(), arguments.next());
    let count = count.and_then(|count| count.parse().ok());
    match (path.as_deref(), count) {
        (Some("list"), _) => {
            for (path, count) in PATHS {
                println!("{path} {count}");
            }
        }
        (Some(path), Some(count)) => run(path, count),
        _ => {
            eprintln!("usage: hotpath list, or hotpath PATH COUNT");
            std::process::exit(2);
        }
    }
}

fn run(path: &str, count: usize) {
    let plain = || Config {
        compression: Vec::new(),
        ..Config::default()
    };
    match path {
        "native-new-64" => receive(Hub::new(Neighbours::Native, 8, plain()), 64, count),
        "native-new-16384" => receive(Hub::new(Neighbours::Native, 8, plain()), 16 << 10, count),
        "native-packed-1024" => {
            receive(
                Hub::new(Neighbours::Native, 8, Config::default()),
                1024,
                count,
            );
        }
        "legacy-new-64" => receive(Hub::new(Neighbours::Legacy, 8, plain()), 64, count),
        "native-repeat-64" => repeat(Hub::new(Neighbours::Native, 8, plain()), count),
        "world-100-nodes" => {
            let bench = Bench {
                nodes: 100,
                messages: u32::try_from(count).unwrap_or(u32::MAX),
                forms: Duration::from_secs(5),
                rests: Duration::ZERO,
                ..Bench::default()
            };
            black_box(bench.run(&mut NoMeter));
        }
        other => {
            eprintln!("there is no path {other}");
            std::process::exit(2);
        }
    }
}

/// Lets so many new messages arrive.
fn receive(mut hub: Hub, len: usize, count: usize) {
    let most = if len > 1024 { 40 } else { MADE / 4 };
    let frames: Vec<Vec<u8>> = (0..most).map(|_| hub.make_frame(len)).collect();
    for frame in frames.iter().take(count) {
        black_box(hub.arrive(0, frame));
    }
}

/// Lets a message arrive again and again.
fn repeat(mut hub: Hub, count: usize) {
    let frame = hub.make_frame(64);
    hub.arrive(0, &frame);
    for number in 0..count {
        black_box(hub.arrive(1 + number % 7, &frame));
    }
}
