//! `rs2p sim bench`: how fast simulations are on this machine.

use std::fs;
use std::time::{Duration, Instant};

use rs2p_sim::bench::{Bench, Measured, Meter};

use super::args;
use super::output;
use crate::exit::Failure;

/// The clock and the memory of this process.
struct Machine {
    began: Instant,
}

impl Machine {
    fn new() -> Self {
        Self {
            began: Instant::now(),
        }
    }
}

impl Meter for Machine {
    /// Where the system says for how long this thread has run, that: what others do on the machine does not count.
    fn elapsed(&mut self) -> Duration {
        let ran = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let ran = ran.split(' ').next().and_then(|nanos| nanos.parse().ok());
        ran.map_or_else(|| self.began.elapsed(), Duration::from_nanos)
    }

    fn memory(&mut self) -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        kib.unwrap_or(0_u64) * 1024
    }
}

pub(super) fn run(args: &args::Bench) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        output::show("this is no release build: it is many times slower than one\n")?;
    }
    output::show(&format!(
        "{:>8} {:>9} {:>11} {:>8} {:>13} {:>14} {:>12} {:>10} {:>9}\n",
        "nodes",
        "links",
        "events",
        "seconds",
        "events/s",
        "deliveries/s",
        "bare/s",
        "bare/ours",
        "memory"
    ))?;
    for &nodes in &args.nodes {
        let bench = Bench {
            nodes,
            messages: args.messages,
            ..Bench::default()
        };
        output::show(&row(&bench.run(&mut Machine::new())))?;
    }
    output::show(
        "events/s and what follows: while the broadcasts go round; memory: bytes for each node at rest\n",
    )
}

fn row(measured: &Measured) -> String {
    let (loaded, bare) = (&measured.loaded, &measured.bare);
    let memory = match measured.memory[0] {
        0 => "-".to_owned(),
        bytes => bytes.to_string(),
    };
    format!(
        "{:>8} {:>9} {:>11} {:>8.2} {:>13.0} {:>14.0} {:>12.0} {:>10.1} {memory:>9}\n",
        measured.bench.nodes,
        measured.conns,
        loaded.events,
        loaded.took.as_secs_f64(),
        loaded.events_per_second(),
        loaded.deliveries_per_second(),
        bare.events_per_second(),
        bare.events_per_second() / loaded.events_per_second().max(1e-9),
    )
}
