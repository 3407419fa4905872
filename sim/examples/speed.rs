//! How fast the simulator is: `cargo run --release -p rs2p-sim --example speed -- 1000 100` (nodes, messages).

use std::time::{Duration, Instant};

use rs2p_sim::bench::{Bench, Meter};

struct Machine {
    began: Instant,
}

impl Meter for Machine {
    fn elapsed(&mut self) -> Duration {
        // The time that this process ran: what others do on the machine does not count.
        let ran = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
        let ran = ran.split(' ').next().and_then(|nanos| nanos.parse().ok());
        ran.map_or_else(|| self.began.elapsed(), Duration::from_nanos)
    }

    fn memory(&mut self) -> u64 {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = status
            .split(' ')
            .nth(1)
            .and_then(|pages| pages.parse().ok());
        pages.unwrap_or(0_u64) * 4096
    }
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse());
    let mut next = |default| numbers.next().and_then(Result::ok).unwrap_or(default);
    let default = Bench::default();
    let bench = Bench {
        nodes: next(default.nodes),
        messages: next(default.messages),
        ..default
    };
    let began = Instant::now();
    println!("{}", bench.run(&mut Machine { began }));
}
