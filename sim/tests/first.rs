//! The first test that people write, as in the README.

use rs2p_sim::{Sim, crash, halves, publish, s};

#[test]
fn alerts_survive_a_split() {
    Sim::new(8)
        .seeds(0..20)
        .fault(s(35), halves().lasts(s(30)))
        .fault(s(42), crash(3).lasts(s(10)))
        .load(s(40), publish(2).times(5))
        .check();
}
