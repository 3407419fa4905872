//! Whole runs, small.

use std::time::Duration;

use super::*;
use crate::scenario::{Fault, Load, PairPick, Timed};
use crate::{Bootstrap, Limits, Net, Rs2p};

/// A message to one node waits on a connection that is dead, and nobody knows it yet. It goes by way of a third node as soon as
/// they do, which may take a minute: the quiet begins when that is done.
#[test]
fn the_quiet_begins_when_the_last_message_to_one_node_has_come() {
    let who = PairPick::between(0, 1, 3);
    let len = 30_000;
    let scenario = Scenario {
        seed: 1,
        nodes: 3,
        kinds: Vec::new(),
        net: Net::default(),
        bootstrap: Bootstrap::One,
        limits: Limits::default(),
        load: vec![Timed {
            at_ms: 32_000,
            lasts_ms: 0,
            what: Load::Send { pair: who, len },
        }],
        faults: vec![Timed {
            at_ms: 0,
            lasts_ms: 1000,
            what: Fault::HalfOpen { who },
        }],
        ending: Ending::Heal,
    };
    let outcome = run(&Rs2p::default(), &scenario, Options::default());
    assert_eq!(outcome.report.violations, []);
    let numbers = &outcome.report.numbers;
    let number = |name: &str| {
        numbers
            .iter()
            .find(|number| number.name == name)
            .map(|number| number.value)
    };
    assert_eq!(number("deliveries to one"), Some(1));
    // It came later than a quiet that waits for nothing would have begun.
    let waited = Duration::from_micros(number("latency max").unwrap_or(0));
    assert!(waited > REST + s(3), "{waited:?}");
}
