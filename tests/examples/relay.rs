//! What a message costs a node: to receive, verify, deduplicate, deliver, and pass it on to all neighbours but one.
//!
//! `cargo run --release -p rs2p-tests --example relay`
//!
//! Beside it, in the same run, what is to be done with the same bytes in any case: a SHA-256, a copy, and a look into a set
//! of ids. The times of a machine that does other things as well mean little by themselves; the ratio means more, and is
//! that of the fastest rounds. "repeat" is a frame that comes again by another link: in a flood most do.
//!
//! Allocations are counted by the example `allocations`, since an allocator that counts takes its time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rs2p_core::Config;
use rs2p_tests::hub::{Baseline, Hub, Neighbours};

/// To how many others a node passes the messages on.
const OTHERS: u8 = 7;

/// How often each measurement is made.
const ROUNDS: usize = 7;

struct Case {
    neighbours: Neighbours,
    others: u8,
    compresses: bool,
    len: usize,
}

#[derive(Clone, Copy)]
struct Times {
    new: Duration,
    repeat: Duration,
    baseline: Duration,
}

impl Case {
    fn messages(&self) -> u32 {
        if self.len <= 1024 {
            2000
        } else if self.len <= 16 << 10 {
            200
        } else {
            40
        }
    }

    fn hub(&self) -> Hub {
        let mut config = Config::default();
        if !self.compresses {
            config.compression = Vec::new();
        }
        Hub::new(self.neighbours, self.others + 1, config)
    }

    fn round(&self) -> Times {
        let mut hub = self.hub();
        let frames: Vec<Vec<u8>> = (0..self.messages())
            .map(|_| hub.make_frame(self.len))
            .collect();
        let mut baseline = Baseline::default();
        let began = Instant::now();
        for frame in &frames {
            black_box(baseline.take(frame));
        }
        let after_baseline = Instant::now();
        for frame in &frames {
            black_box(hub.arrive(0, frame));
        }
        let after_new = Instant::now();
        for frame in &frames {
            black_box(hub.arrive(1, frame));
        }
        let per_message = |length: Duration| length / self.messages();
        Times {
            new: per_message(after_new - after_baseline),
            repeat: per_message(after_new.elapsed()),
            baseline: per_message(after_baseline - began),
        }
    }
}

fn main() {
    println!("{}\n", machine());
    println!(
        "{:<8}{:>8}{:>9}{:>8}{:>10}{:>10}{:>10}{:>8}{:>9}",
        "peers", "others", "bytes", "packed", "new ns", "repeat ns", "base ns", "new %", "repeat %"
    );
    for others in [1, 3, 9] {
        for len in [64, 1024] {
            show(&Case {
                neighbours: Neighbours::Native,
                others,
                compresses: false,
                len,
            });
        }
    }
    for neighbours in [Neighbours::Native, Neighbours::Legacy] {
        for compresses in [false, true] {
            for len in [64, 1024, 16 << 10, 256 << 10] {
                show(&Case {
                    neighbours,
                    others: OTHERS,
                    compresses,
                    len,
                });
            }
        }
    }
    println!(
        "\n%: the speed of the baseline is 100. others: the links on which a message goes on. packed: whether compression is on; \
         text of the length is sent."
    );
}

fn show(case: &Case) {
    let rounds: Vec<Times> = (0..ROUNDS).map(|_| case.round()).collect();
    let fastest = |part: fn(&Times) -> Duration| rounds.iter().map(part).min().unwrap_or_default();
    let (new, repeat, baseline) = (
        fastest(|times| times.new),
        fastest(|times| times.repeat),
        fastest(|times| times.baseline),
    );
    let percent = |of: Duration| 100.0 * baseline.as_secs_f64() / of.as_secs_f64().max(1e-12);
    let is_native = case.neighbours == Neighbours::Native;
    let neighbours = if is_native { "native" } else { "legacy" };
    let packed = if case.compresses { "yes" } else { "no" };
    println!(
        "{neighbours:<8}{:>8}{:>9}{packed:>8}{:>10}{:>10}{:>10}{:>8.0}{:>9.0}",
        case.others,
        case.len,
        new.as_nanos(),
        repeat.as_nanos(),
        baseline.as_nanos(),
        percent(new),
        percent(repeat),
    );
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about.lines().find_map(|line| {
        let (name, model) = line.split_once(':')?;
        (name.trim() == "model name").then(|| model.trim().to_owned())
    });
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{cores} cores of {model}, {}", std::env::consts::OS)
}
