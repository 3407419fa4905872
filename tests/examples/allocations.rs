//! What a message that a node receives and passes on costs in allocations: `cargo run --release -p rs2p-tests --example allocations`

use std::hint::black_box;

use rs2p_core::Config;
use rs2p_tests::hub::{Hub, Neighbours};

fn main() {
    println!(
        "{:<8}{:>8}{:>9}{:>8}{:>8}{:>10}{:>8}",
        "peers", "others", "bytes", "packed", "new", "new bytes", "repeat"
    );
    for neighbours in [Neighbours::Native, Neighbours::Legacy] {
        for compresses in [false, true] {
            for len in [64, 1024, 16 << 10, 256 << 10] {
                show(neighbours, 7, compresses, len);
            }
        }
    }
    for others in [1, 3, 9] {
        show(Neighbours::Native, others, false, 64);
    }
    println!("\nnew, repeat: allocations for a new message, and for one that comes again.");
}

fn show(neighbours: Neighbours, others: u8, compresses: bool, len: usize) {
    let mut config = Config::default();
    if !compresses {
        config.compression = Vec::new();
    }
    let mut hub = Hub::new(neighbours, others + 1, config);
    // Before a measurement, and during it. Tables that double now and then are among what is counted.
    let count: u16 = if len > 16 << 10 { 16 } else { 64 };
    let frames: Vec<Vec<u8>> = (0..2 * count).map(|_| hub.make_frame(len)).collect();
    let (before, measured) = frames.split_at(count.into());
    for frame in before {
        hub.arrive(0, frame);
    }
    let new = allocation_counter::measure(|| {
        for frame in measured {
            black_box(hub.arrive(0, frame));
        }
    });
    let repeat = allocation_counter::measure(|| {
        for frame in measured {
            black_box(hub.arrive(1, frame));
        }
    });
    let per_message = |total: u64| total as f64 / f64::from(count);
    let is_native = neighbours == Neighbours::Native;
    let neighbours = if is_native { "native" } else { "legacy" };
    let packed = if compresses { "yes" } else { "no" };
    println!(
        "{neighbours:<8}{others:>8}{len:>9}{packed:>8}{:>8.1}{:>10.0}{:>8.1}",
        per_message(new.count_total),
        per_message(new.bytes_total),
        per_message(repeat.count_total),
    );
}
