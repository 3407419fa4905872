//! Prints the hashes of the runs that are written down in `tests/sim/golden.txt`: to compare another build, or another machine.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

fn main() {
    print!("{}", rs2p_tests::golden::hashes());
}
